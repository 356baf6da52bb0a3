//! What holds for all policies, overlays and calls: nothing widens, nothing is left uncounted, nothing panics.

use super::*;
use crate::rules::ledger::account::Scope;
use proptest::prelude::*;

const PATHS: [&str; 8] = ["/v1/a", "/v1/a/b", "/v1/a/*", "/v1/**", "/v1/{a,b}", "/v1/b/*/c", "/**", "/v2"];
const TARGETS: [&str; 8] = ["/v1/a", "/v1/a/b", "/v1/a/b/c", "/v1/b", "/v1/b/x/c", "/v2", "/v2/a?n=5", "/"];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "HEAD"];
const PARAMS: [&str; 4] =
    ["", "params.n = { max = 3 }", "params.n = { required = true }", "params.n = { absent = true }"];

fn rule(kind: &'static str) -> impl Strategy<Value = String> {
    let methods = prop::option::of(prop::sample::select(&METHODS[..]));
    (methods, prop::sample::select(&PATHS[..]), prop::sample::select(&PARAMS[..])).prop_map(move |(m, p, n)| {
        let methods = m.map(|m| format!("methods = [\"{m}\"]\n")).unwrap_or_default();
        format!("[[{kind}]]\n{methods}paths = [\"{p}\"]\n{n}\n")
    })
}

/// The schema that it ends with, if one.
const SCHEMAS: [&str; 3] = [
    "",
    "[[schema]]\npaths = [\"/v2\"]\nschema = { type = \"object\", maxProperties = 0 }\n",
    "[[schema]]\npaths = [\"/**\"]\nmode = \"observe\"\nschema = { type = \"object\", properties.n = { type = \"integer\", maximum = 3 } }\n",
];

fn budget() -> impl Strategy<Value = String> {
    let scopes: Vec<&str> = Scope::ALL.iter().map(|s| s.as_str()).collect();
    let windows = ["minute", "hour", "day", "month", "total"];
    (prop::sample::select(scopes), prop::sample::select(windows.to_vec()), 1u32..100).prop_map(|(per, window, n)| {
        format!("[[budget]]\nper = \"{per}\"\nwindow = \"{window}\"\nlimit = \"{n} calls\"\n")
    })
}

/// Calls come at noon.
fn window() -> impl Strategy<Value = String> {
    (prop::sample::select(&PATHS[..]), 9_u32..15).prop_map(|(path, from)| {
        format!("[[window]]\npaths = [\"{path}\"]\nhours = \"{from:02}:00-{:02}:00\"\n", from + 2)
    })
}

prop_compose! {
    pub fn policy_text(name: &'static str)(
        allow in prop::collection::vec(rule("allow"), 0..4),
        deny in prop::collection::vec(rule("deny"), 0..3),
        budgets in prop::collection::vec(budget(), 0..4),
        windows in prop::collection::vec(window(), 0..2),
        observe in prop::bool::weighted(0.2),
        schema in prop::sample::select(&SCHEMAS[..]),
    ) -> String {
        let mode = if observe { "observe" } else { "enforce" };
        let head = match name {
            "floor" => "name = \"floor\"\nglobal = true\n".to_owned(),
            _ => format!("name = \"{name}\"\nvendors = [\"stripe\"]\n"),
        };
        let rules = [allow, deny, budgets, windows].concat().concat();
        format!("{head}mode = \"{mode}\"\n{rules}{schema}")
    }
}

pub fn overlay_text() -> impl Strategy<Value = String> {
    let rule = (prop::option::of(prop::sample::select(&METHODS[..])), prop::sample::select(&PATHS[..]));
    let rules = prop::collection::vec(rule, 0..3);
    let vendors = prop::option::of(prop::sample::select(vec!["stripe", "openai"]));
    let budgets = prop::collection::vec((prop::sample::select(vec!["key", "run"]), 1u32..100), 0..3);
    (rules, vendors, budgets).prop_map(|(rules, vendor, budgets)| {
        let allow: Vec<_> =
            rules.iter().map(|(m, p)| serde_json::json!({"methods": m.map(|m| vec![m]), "paths": [p]})).collect();
        let budgets: Vec<_> =
            budgets.iter().map(|(per, n)| serde_json::json!({"per": per, "limit": format!("{n} calls")})).collect();
        serde_json::json!({"allow": allow, "vendors": vendor.map(|v| vec![v]), "budgets": budgets}).to_string()
    })
}

pub fn any_call() -> impl Strategy<Value = Call<'static>> {
    let run = prop::option::of(Just("r"));
    let all = Subject {
        app: Some("a".into()),
        workflow: Some("w".into()),
        workspace: Some("s".into()),
        toolset: Some("t".into()),
        ..Subject::default()
    };
    (prop::sample::select(&METHODS[..]), prop::sample::select(&TARGETS[..]), run, any::<bool>(), any::<bool>())
        .prop_map(move |(method, target, run, claimed, levels)| {
            let mut call = call(method, target, "");
            if levels {
                call.facts.subject = Subject { agent: Some("refunds".into()), ..all.clone() };
            }
            call.facts.subject.run = run.map(Into::into);
            call.claimed = claimed;
            call
        })
}

pub fn allowed(call: &Call<'_>, set: &PolicySet) -> bool {
    call.word(set) == "allow"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_overlay_allows_what_the_policy_denies(
        text in policy_text("p"), own in overlay_text(), parent in overlay_text(), mut call in any_call(),
    ) {
        let set = set(&[&text]);
        let bare = allowed(&call, &set);
        call.overlays = vec![(KeyId("parent".into()), overlay(&parent))];
        let once = allowed(&call, &set);
        call.overlays.push((KeyId("child".into()), overlay(&own)));
        let twice = allowed(&call, &set);
        prop_assert!(once <= bare && twice <= once, "{text}\n{own}\n{parent}");
    }

    #[test]
    fn no_policy_allows_what_the_global_one_denies(text in policy_text("p"), floor in policy_text("floor"), call in any_call()) {
        let (alone, both) = (set(&[&text]), set(&[&text, &floor]));
        prop_assert!(allowed(&call, &both) <= allowed(&call, &alone), "{text}\n{floor}");
    }

    #[test]
    fn every_shape_is_counted_and_every_own_limit_checked(
        text in policy_text("p"), other in policy_text("q"), json in overlay_text(), mut call in any_call(),
    ) {
        let set = set(&[&text, &other]);
        call.overlays = vec![(KeyId("child".into()), overlay(&json))];
        let Decision::Permit(permit) = call.decide(&set) else { return Ok(()) };
        let line = |account: &_| permit.lines().iter().find(|l| l.account == *account);
        let run_counts = |scope| scope != Scope::Run || !call.claimed;
        for shape in set.shapes().iter().filter(|s| run_counts(s.scope)) {
            for account in shape.accounts(&call.facts) {
                prop_assert!(line(&account).is_some(), "{account} of {text}\n{other}");
            }
        }
        let own = set.get("p").expect("loaded");
        for budget in own.budgets.iter().filter(|b| run_counts(b.shape.scope)) {
            for account in budget.shape.accounts(&call.facts) {
                let limit = line(&account).and_then(|l| l.limit.as_ref());
                prop_assert!(limit.is_some_and(|l| l.amount <= budget.amount), "{account} of {text}");
            }
        }
        let mut names: Vec<_> = permit.lines().iter().map(|l| &l.account).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), permit.lines().len(), "an account stands twice");
    }

    #[test]
    fn what_need_not_be_read_is_not_asked_for(text in policy_text("p"), floor in policy_text("floor"), mut call in any_call()) {
        let set = set(&[&text, &floor]);
        let path = CanonicalPath::parse(call.target).expect("canonical").path;
        let whole = call.word(&set);
        call.unread = true;
        if !set.reads_args("p", "stripe", call.method, &path, &call.facts.operation) {
            prop_assert_eq!(call.word(&set), whole, "{}", text);
        }
    }

    #[test]
    fn an_overlay_that_is_said_to_be_narrower_and_names_plain_paths_is_allowed_them(text in policy_text("p"), at in 0..TARGETS.len()) {
        let policy = policy(&text);
        let path = TARGETS[at].split('?').next().expect("one part");
        let narrow = overlay(&format!(r#"{{"allow": [{{"methods": ["GET"], "paths": ["{path}"]}}]}}"#));
        let allows = policy.allow.iter().any(|r| r.covers("GET", path));
        prop_assert!(allows || !narrow.narrows(&policy).is_empty(), "{text} {path}");
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}", tail in "[a-z_]{1,8} = [\\[\"{0-9a-z ,=}\\]]{0,20}") {
        let _ = policy_file::read("x", &text, None);
        let _ = policy_file::read("x", &format!("name = \"p\"\nvendors = [\"v\"]\n{tail}"), None);
        let _ = parse_budget(&text);
        let _ = serde_json::from_str::<Overlay>(&text);
    }
}
