//! `[[approver]]` and `[approvals]`: persons who may approve calls and nothing else, how they are told, and where links lead.

use std::collections::HashSet;

use super::checked::CredentialSource;
use super::raw::Table;
use super::sinks::{SinkUrl, name, url};
use super::vendors;

/// Who is asked beside the operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers {
    /// The admin API as approvers reach it, without a slash at the end; where it listens if unsaid.
    pub url: Option<String>,
    pub people: Vec<Approver>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// As the books name them.
    pub name: String,
    /// Opens the approvals of the admin API, and nothing else there.
    pub token: Option<CredentialSource>,
    pub hook: Option<Hook>,
}

/// Gets each request, with a link that is signed for this approver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub url: SinkUrl,
    pub secret: CredentialSource,
}

pub(super) fn read(root: &Table<'_>) -> Approvers {
    let url = root.get("approvals").and_then(|n| n.table()).and_then(|table| {
        let url = table.get("url").and_then(|n| n.parsed(super::file::public_url));
        table.done();
        url
    });
    let mut names = HashSet::new();
    let mut people = Vec::new();
    for table in root.tables("approver") {
        let Some(approver) = approver(&table) else { continue };
        if !names.insert(approver.name.to_lowercase()) {
            table.wrong(format!("two approvers are called `{}`: each is one person", approver.name));
        }
        people.push(approver);
    }
    Approvers { url, people }
}

fn approver(table: &Table<'_>) -> Option<Approver> {
    let name = table.need("name", "who it is, as the books shall name them").and_then(|n| n.parsed(name));
    let token = table.get("token").and_then(|n| n.parsed(vendors::source));
    let secret = table.get("secret").and_then(|n| n.parsed(vendors::source));
    let url = table.get("webhook").map(|n| n.parsed(url));
    table.done();
    let hook = match (url, secret) {
        (None, None) => None,
        (Some(url), Some(secret)) => Some(Hook { url: url?, secret }),
        _ => return table.none("`webhook` and `secret` go together: each message is signed"),
    };
    if token.is_none() && hook.is_none() {
        table.wrong("an approver has a `token`, a `webhook` or both");
    }
    Some(Approver { name: name?, token, hook })
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn approvers_are_read_and_each_mistake_is_told() {
        let ann = "[[approver]]\nname = \"ann\"\ntoken = \"env:ANN\"\n";
        let hook = "webhook = \"https://hooks.example/T0\"\n";
        let good = format!("[approvals]\nurl = \"https://b.example/\"\n{ann}{hook}secret = \"env:HOOK\"");
        let found = read("bursar.toml", &good, &|_| None).expect("one approver").approvers;
        assert_eq!(found.url.as_deref(), Some("https://b.example"));
        assert!(found.people[0].token.is_some() && found.people[0].hook.is_some());
        for (text, word) in [
            (format!("{ann}{}", ann.replace("ann", "Ann")), "two approvers"),
            (format!("{ann}{hook}"), "go together"),
            (ann.replace("token", "tokens"), "tokens"),
            ("[[approver]]\nname = \"ann\"".to_owned(), "a `token`, a `webhook`"),
            ("[approvals]\nurl = \"ftp://x\"".to_owned(), "approvals.url"),
        ] {
            let told = read("bursar.toml", &text, &|_| None).expect_err(&text).to_string();
            assert!(told.contains(word), "{told}");
        }
    }
}
