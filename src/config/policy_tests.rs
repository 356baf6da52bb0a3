//! `NAME.test.toml` beside a policy: a table of requests and the verdicts that they are to get, read with all its mistakes at
//! once. `bursar policy test` plays them; `outcome` says what is not as it should be.

mod body;
mod outcome;
mod who;

use super::mistake::Mistakes;
use super::raw::{self, Node, Table};
use crate::rules::books::Tier;
use crate::rules::rehearsal::{Actor, Request, Wanted};
use crate::rules::subject::Name;
use crate::units::time::Timestamp;

/// How the name of such a file ends; what stands before it is the policy, unless the file says otherwise.
pub const ENDING: &str = ".test.toml";

/// One request, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub line: usize,
    pub actor: Actor,
    pub at: Timestamp,
    pub request: Request,
    /// So many times at the same moment; the last one counts.
    pub repeat: u64,
    pub wanted: Wanted,
    /// The rule that is to be named, or the end of it.
    pub rule: Option<String>,
    pub tier: Option<Tier>,
    pub risk: Option<u64>,
}

/// When a case is played that names no time: in the middle of a month, a day and an hour.
const NOON: Timestamp = Timestamp(1_781_524_800_000_000);

/// Reads one file. `policy` is what its name says.
pub fn read(file: &str, text: &str, policy: &str) -> Result<Vec<Case>, Mistakes> {
    raw::read(file, text, |root| Some(cases(&root, policy)))
}

fn cases(root: &Table<'_>, policy: &str) -> Vec<Case> {
    let policy: Name = root.get("policy").and_then(|n| n.text()).unwrap_or(policy).into();
    let at = root.get("at").and_then(|n| n.instant()).unwrap_or(NOON);
    let who = root.get("who").and_then(|n| n.table());
    let mut actor = Actor::under(policy);
    if let Some(who) = &who {
        who::read(who, &mut actor);
    }
    let tables = root.tables("case");
    if tables.is_empty() {
        root.wrong("it has no `[[case]]`: a table without requests tests nothing");
    }
    root.done();
    tables.iter().filter_map(|table| case(table, &actor, at)).collect()
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn case(table: &Table<'_>, usual: &Actor, at: Timestamp) -> Option<Case> {
    let mut actor = usual.clone();
    if let Some(who) = table.get("who").and_then(|n| n.table()) {
        who::read(&who, &mut actor);
    }
    if let Some(policy) = table.get("policy").and_then(|n| n.text()) {
        actor.policy = policy.into();
    }
    let request = table.need("request", "method and path, such as `POST /stripe/v1/refunds`");
    let request = request.and_then(|node| node.parsed(Request::parse)).and_then(|request| body::read(table, request));
    let wanted = table.need("expect", "a verdict such as `allow` or `deny`, or a code such as `param_denied`");
    let text = |key| table.get(key).and_then(|n: Node<'_>| n.text()).map(ToOwned::to_owned);
    let name = text("name");
    let rule = text("rule");
    let words: Vec<(&str, Tier)> = Tier::ALL.iter().map(|t| (t.as_str(), *t)).collect();
    let tier = table.get("tier").and_then(|n| n.word(&words));
    let risk = table.get("risk").and_then(|n| n.count());
    let at = table.get("at").map_or(Some(at), |n| n.instant());
    let repeat = table.get("repeat").map_or(Some(1), |n| n.count().filter(|n| (1..=10_000).contains(n)));
    if repeat.is_none() {
        table.wrong("`repeat` must be 1 to 10,000");
    }
    table.done();
    let (request, wanted) = (request?, Wanted::parse(wanted?.text()?));
    let name = name.unwrap_or_else(|| format!("{} {}", request.method, request.target));
    Some(Case { name, line: table.line(), actor, at: at?, request, repeat: repeat?, wanted, rule, tier, risk })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whole() {
        let text = "at = 2026-11-20T10:00:00Z\nwho = { agent = \"refunds\", run = \"r1\" }\n\
                    [[case]]\nrequest = \"POST /stripe/v1/refunds\"\nform = { amount = 500, \"metadata[a b]\" = \"x&y\" }\n\
                    expect = \"allow\"\nrisk = 20\n\
                    [[case]]\nname = \"other\"\nrequest = \"POST /openai/v1/responses\"\njson = { model = \"m\", n = 1 }\n\
                    who = { agent = \"b\" }\nrepeat = 3\nexpect = \"budget_spent\"\nrule = \"p: 5 USD\"\n";
        let cases = read("p.test.toml", text, "p").expect("a sound table");
        let body = |at: usize| String::from_utf8(cases[at].request.body.clone()).expect("text");
        assert_eq!((&*cases[0].actor.policy, body(0).as_str()), ("p", "amount=500&metadata%5Ba%20b%5D=x%26y"));
        assert_eq!(cases[0].wanted, Wanted::parse("allow"));
        assert_eq!((cases[0].line, cases[0].risk), (3, Some(20)));
        let subject = &cases[1].actor.subject;
        assert_eq!((subject.agent.as_deref(), subject.run.as_deref()), (Some("b"), Some("r1")));
        assert_eq!((cases[1].repeat, body(1).as_str()), (3, r#"{"model":"m","n":1}"#));
    }

    #[test]
    fn every_mistake_has_its_field() {
        let case = "[[case]]\nrequest = \"GET /stripe/v1/x\"\nexpect = \"allow\"\n";
        for (text, field) in [
            ("", ""),
            ("[[case]]\nexpect = \"allow\"", "case[0].request"),
            ("[[case]]\nrequest = \"GET /x\"", "case[0].expect"),
            ("[[case]]\nrequest = \"/x\"\nexpect = \"allow\"", "case[0].request"),
            (&format!("{case}repeat = 0"), "case[0]"),
            (&format!("{case}risky = 5"), "case[0].risky"),
            (&format!("{case}form = {{ a = 1 }}\njson = {{ a = 1 }}"), "case[0]"),
            (&format!("{case}form = {{ a = [1] }}"), "case[0].form"),
            (&format!("{case}who = {{ boss = \"x\" }}"), "case[0].who.boss"),
        ] {
            let found = read("p.test.toml", text, "p").expect_err(text).0;
            assert_eq!(found.iter().map(|m| m.field.as_str()).collect::<Vec<_>>(), [field], "{text}");
        }
    }
}
