//! Rows for somebody who shall count and compare, and not know whom: every name becomes a pseudonym, the same for the same
//! name, by a key of this installation. Free text, which may name anybody, is cut to its code. Changes nothing in the books.

use super::CallRow;
use crate::adapters::keyring::secrets::BodyHasher;
use crate::rules::subject::{Name, Subject};

/// Makes pseudonyms.
pub struct Pseudonyms(BodyHasher);

impl Pseudonyms {
    pub fn new(hasher: BodyHasher) -> Self {
        Self(hasher)
    }

    /// What identifies nobody stays: times, vendors, operations, policies, verdicts, amounts.
    pub fn hide(&self, row: &mut CallRow) {
        if let Some(subject) = &mut row.subject {
            self.hide_subject(subject);
        }
        let name = |what: &str, value: &mut Option<Name>| {
            if let Some(value) = value {
                *value = self.of(what, value);
            }
        };
        name("run", &mut row.run_id);
        name("agent", &mut row.agent_id);
        if let Some(key) = &mut row.key_id {
            key.0 = self.of("key", &key.0);
        }
        for (what, value) in [
            ("vendor_request", &mut row.vendor_request_id),
            ("trace", &mut row.trace_id),
            ("approver", &mut row.approved_by),
        ] {
            if let Some(value) = value {
                *value = self.of(what, value).to_string();
            }
        }
        // Paths have ids of customers in them; the template of the operation has not.
        row.path = row.endpoint.as_ref().map_or_else(|| self.of("path", &row.path), |e| e.clone());
        row.reason = row.reason.as_deref().map(code);
        row.error = row.error.as_deref().map(code);
        row.request_hash = None;
    }

    fn hide_subject(&self, subject: &mut Subject) {
        let tenant = std::mem::replace(&mut subject.tenant, Name::from(""));
        subject.tenant = self.of("tenant", &tenant);
        for (what, value) in [
            ("workspace", &mut subject.workspace),
            ("app", &mut subject.app),
            ("workflow", &mut subject.workflow),
            ("agent", &mut subject.agent),
            ("toolset", &mut subject.toolset),
            ("run", &mut subject.run),
        ] {
            if let Some(value) = value {
                *value = self.of(what, value);
            }
        }
        subject.dimensions.iter_mut().for_each(|(what, value)| *value = self.of(&format!("tag.{what}"), value));
    }

    /// A value of a dimension that sums are cut by.
    pub fn hide_named(&self, dimension: &str, value: &mut String) {
        if !matches!(dimension, "hour" | "day" | "month" | "vendor" | "operation" | "policy") {
            *value = self.of(dimension, value).to_string();
        }
    }

    /// Values of different kinds have different pseudonyms, so that none can be led over from one to the other.
    fn of(&self, what: &str, value: &str) -> Name {
        let hash = self.0.hash(format!("{what}\0{value}").as_bytes()).to_string();
        format!("p-{}", hash.get(..16).unwrap_or(&hash)).into()
    }
}

/// `budget_spent: The daily budget of …` → `budget_spent`.
fn code(text: &str) -> String {
    let code = text.split_once(':').map_or("", |(code, _)| code);
    let plain = !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain { code.to_owned() } else { "(withheld)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_not_told() {
        let of = |key: &[u8]| Pseudonyms::new(BodyHasher::with_key(key).expect("any length will do"));
        let one = of(b"one");
        assert_eq!(one.of("agent", "ann"), one.of("agent", "ann"));
        assert_ne!(one.of("agent", "ann"), one.of("agent", "bob"));
        assert_ne!(one.of("agent", "ann"), one.of("run", "ann"));
        assert_ne!(one.of("agent", "ann"), of(b"two").of("agent", "ann"));
        let mut subject = Subject { agent: Some("ann".into()), app: Some("ann".into()), ..Subject::default() };
        subject.dimensions.insert("user".into(), "ann".into());
        one.hide_subject(&mut subject);
        assert!(!format!("{subject:?}").contains("ann") && &*subject.tenant != "default");
    }

    #[test]
    fn sentences_are_cut_to_their_code() {
        assert_eq!(code("budget_spent: the budget of agent ann"), "budget_spent");
        assert_eq!(code("Ann: no"), "(withheld)");
        assert_eq!(code("the vendor said ann"), "(withheld)");
    }
}
