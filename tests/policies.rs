//! Policies as code, by the command line: the tables that ship, what `explain` says beside what the gateway does, what `diff`
//! and `replay` find.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::bursar::{Key, binary};
use common::client::Ask;
use common::house::House;
use common::{SOON, wait_for};
use serde_json::Value;

/// Without a server, in a folder of its own.
fn cli(args: &[&str], dir: &Path) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(binary()).args(args).current_dir(dir).output().expect("bursar runs");
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn shipped() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/policies")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn the_policies_that_ship_pass_their_tests_and_a_wrong_table_does_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, said) = cli(&["policy", "test", shipped()], dir.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" tables"), "{said}");
    let table = dir.path().join("refund-agent.test.toml");
    fs::write(&table, "who = { agent = \"a\" }\n[[case]]\nrequest = \"GET /stripe/v1/payouts\"\nexpect = \"allow\"\n")
        .expect("a table");
    let (code, said) = cli(&["policy", "test", shipped(), "--table", text(&table)], dir.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("refund-agent.test.toml:2") && said.contains("expected allow, got policy_denied"), "{said}");
    fs::write(&table, "[[case]]\nexpect = \"allow\"\n").expect("a table");
    let (code, said) = cli(&["policy", "test", shipped(), "--table", text(&table)], dir.path());
    assert!(code == Some(1) && said.contains(":1: case[0].request: it is missing"), "{said}");
}

const GUARDED: &str = r#"name = "guarded"
vendors = ["stripe", "openai"]
[[allow]]
vendor = "stripe"
methods = ["POST"]
paths = ["/v1/charges"]
params.amount = { max = 5000 }
[[allow]]
vendor = "openai"
paths = ["/v1/chat/completions"]
[[deny]]
paths = ["/v1/payouts/**"]
[[deny]]
mode = "observe"
vendor = "stripe"
paths = ["/v1/charges"]
params.description = { matches = ".*test.*" }
[[budget]]
per = "agent"
limit = "100 USD"
[[budget]]
per = "call"
limit = "40 USD"
"#;

fn explain(house: &House, request: &str, data: &[&str]) -> Value {
    let config = house.dir.path().join("bursar.toml");
    let mut args = vec!["policy", "explain", "guarded", request, "--agent", "a", "--json", "--config", text(&config)];
    args.extend(["--policies", text(&house.policies)]);
    data.iter().for_each(|field| args.extend(["-d", field]));
    let (code, said) = cli(&args, house.dir.path());
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e} in {said}"))
}

#[test]
fn what_explain_says_is_what_the_gateway_does() {
    let house = House::new(&[GUARDED]);
    let key = house.mint("guarded", "a");
    for (path, data, code) in [
        ("/stripe/v1/charges", &["amount=1000", "currency=usd", "source=tok_visa"][..], ""),
        ("/stripe/v1/charges", &["amount=6000", "currency=usd", "source=tok_visa"], "param_denied"),
        ("/stripe/v1/charges", &["amount=4500", "currency=usd", "source=tok_visa"], "call_limit"),
        ("/stripe/v1/charges", &["currency=usd", "source=tok_visa"], "param_denied"),
        ("/stripe/v1/payouts", &["amount=100", "currency=usd"], "policy_denied"),
        ("/stripe/v1/refunds", &["charge=ch_1"], "policy_denied"),
        ("/github/user", &[], "vendor_not_allowed"),
        ("/stripe/v1/charges", &["amount=1&amount=2"], "request_unreadable"),
    ] {
        let said = explain(&house, &format!("POST {path}"), data);
        let did = house.call(&Ask::form(path, data.join("&")).key(&key));
        assert_eq!((did.code().as_str(), said["code"].as_str().unwrap_or_default()), (code, code), "{path} {data:?}");
        assert_eq!(did.status == 200, code.is_empty(), "{}", did.text());
        if !code.is_empty() && code != "request_unreadable" {
            assert_eq!(did.json()["bursar"]["rule"], said["rule"], "{path}");
        }
    }
}

#[test]
fn a_rule_that_observes_leaves_its_word_in_the_row() {
    let house = House::new(&[GUARDED]);
    let key = house.mint("guarded", "a");
    let fields = "amount=1000&currency=usd&source=tok_visa&description=a+test";
    assert_eq!(house.call(&Ask::form("/stripe/v1/charges", fields).key(&key)).status, 200);
    let of_ended = ["audit", "query", "--verdict", "deny", "--outcome", "ok"];
    let row = wait_for("the row", SOON, || house.bursar.json(&of_ended).pop());
    assert_eq!(row["enforced"], false, "{row}");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("deny rule 2")), "{row}");
    let said = explain(&house, "POST /stripe/v1/charges", &fields.split('&').collect::<Vec<_>>());
    assert_eq!((&said["enforced"], &said["code"]), (&false.into(), &"policy_denied".into()), "{said}");
}

#[test]
fn a_diff_that_widens_ends_with_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a policy");
        path
    };
    let old = file("old.toml", GUARDED);
    let wider = file("wider.toml", &GUARDED.replace("5000", "9000").replace("100 USD", "1000 USD"));
    let tighter = file("tighter.toml", &GUARDED.replace("100 USD", "10 USD"));
    let (code, said) = cli(&["policy", "diff", text(&old), text(&wider)], dir.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("of at most 9000, not there and a number of at most 5000") && said.contains("raised: "),
        "{said}"
    );
    let (code, said) = cli(&["policy", "diff", text(&old), text(&tighter)], dir.path());
    assert!(code == Some(0) && said.contains("lowered: "), "{said}");
    assert_eq!(cli(&["policy", "diff", shipped(), shipped()], dir.path()).0, Some(0));
}

fn charge(house: &House, key: &Key, cents: u64) {
    let answer = house.call(&Ask::charge(cents).key(key));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_replay_says_what_other_policies_would_have_refused_and_saved() {
    let house = House::new(&[GUARDED]);
    let key = house.mint("guarded", "a");
    [1000, 2000, 3000].into_iter().for_each(|cents| charge(&house, &key, cents));
    wait_for("the books", SOON, || {
        let rows = house.bursar.json(&["audit", "query"]);
        (rows.len() == 3 && rows.iter().all(|row| row["outcome"] == "ok")).then_some(())
    });
    let new = house.dir.path().join("new.toml");
    let config = house.dir.path().join("bursar.toml");
    let mut args = vec!["policy", "replay", "--since", "1h", "--policy", text(&new), "--config", text(&config)];
    let replay = |args: &[&str], policy: &str| {
        fs::write(&new, policy).expect("a policy");
        // The folder of the house is what its server has; the configuration names no other.
        let said = house.bursar.json(&[args, &["--policies", text(&house.policies)]].concat());
        said.last().expect("the sum").clone()
    };
    let same = replay(&args, GUARDED);
    assert_eq!((&same["calls"], &same["refused"], &same["undecided"]), (&3.into(), &0.into(), &3.into()), "{same}");
    let tight = replay(&args, &GUARDED.replace("100 USD", "35 USD"));
    assert_eq!((&tight["refused"], &tight["saved_usd"], &tight["cost_usd"]), (&1.into(), &"30".into(), &"60".into()));
    assert_eq!(tight["rules"][0]["rule"], "guarded: 35 USD per agent", "{tight}");
    args.push("--calls");
    let said = house.bursar.json(&[&args[..], &["--policies", text(&house.policies)]].concat());
    assert_eq!((&said[0]["code"], &said[0]["cost_usd"]), (&"budget_spent".into(), &"30".into()), "{said:?}");
}
