//! Deny, allow, expiry, vendors, account headers, observe, the global policy: what is decided, and for which reason.

use super::*;

const REFUNDS: &str = r#"
    name = "p"
    vendors = ["stripe"]
    expires_at = 2027-01-01T00:00:00Z
    [[allow]]
    methods = ["POST"]
    paths = ["/v1/refunds"]
    tier = "mutation"
    params.amount = { max = 50_000 }
    params.reason = { one_of = ["duplicate", "fraudulent"], optional = true }
    [[allow]]
    methods = ["GET"]
    paths = ["/v1/charges/**", "/v1/customers/*", "/v1/{balance,events}"]
    [[allow]]
    paths = ["/v1/transfers"]
    params.destination = { matches = "acct_[a-z0-9]+" }
    [[deny]]
    paths = ["/v1/payouts/**"]
    [[deny]]
    methods = ["GET"]
    paths = ["/v1/customers/cus_vip"]
    [[deny]]
    methods = ["POST"]
    paths = ["/v1/transfers"]
    params.amount = { min = 10_000 }
    params.currency = { one_of = ["usd"] }
    [params]
    customer = { one_of = ["cus_A", "cus_B"] }
    [accounts]
    Stripe-Account = ["acct_1", "acct_2"]
"#;

#[test]
fn a_table_of_calls() {
    let set = set(&[REFUNDS]);
    for (method, target, body, wanted) in [
        // allow: the path itself and what is below, by whole segments
        ("POST", "/v1/refunds", "amount=500", "allow"),
        ("POST", "/v1/refunds/", "amount=500", "allow"),
        ("POST", "//v1//refunds", "amount=500", "allow"),
        ("POST", "/v1/%72efunds", "amount=500", "allow"),
        ("POST", "/v1/refunds/re_1", "amount=1", "allow"),
        ("POST", "/v1/refunds_all", "amount=500", "policy_denied"),
        ("POST", "/v1/refund", "amount=500", "policy_denied"),
        ("POST", "/V1/refunds", "amount=500", "policy_denied"),
        ("GET", "/v1/refunds", "", "policy_denied"),
        ("PUT", "/v1/refunds", "amount=500", "policy_denied"),
        ("post", "/v1/refunds", "amount=500", "policy_denied"),
        ("POST", "/", "amount=500", "policy_denied"),
        // allow: globs
        ("GET", "/v1/charges", "", "allow"),
        ("GET", "/v1/charges/ch_1", "", "allow"),
        ("GET", "/v1/charges/ch_1/refunds", "", "allow"),
        ("GET", "/v1/chargesx", "", "policy_denied"),
        ("GET", "/v1/customers/cus_1", "", "allow"),
        ("GET", "/v1/customers/cus_1/sources", "", "policy_denied"),
        ("GET", "/v1/customers", "", "policy_denied"),
        ("GET", "/v1/balance", "", "allow"),
        ("GET", "/v1/events", "", "allow"),
        ("GET", "/v1/files", "", "policy_denied"),
        // HEAD is read as GET, on both sides
        ("HEAD", "/v1/charges/ch_1", "", "allow"),
        ("HEAD", "/v1/customers/cus_vip", "", "policy_denied"),
        ("HEAD", "/v1/refunds", "", "policy_denied"),
        // deny wins
        ("GET", "/v1/payouts", "", "policy_denied"),
        ("POST", "/v1/payouts/po_1/cancel", "", "policy_denied"),
        ("GET", "/v1/customers/cus_vip", "", "policy_denied"),
        ("GET", "/v1/customers/cus_vi%70", "", "policy_denied"),
        ("GET", "/v1/customers/cus_vip/", "", "policy_denied"),
        // a deny with parameters matches only if all of them do
        ("POST", "/v1/transfers", "amount=9999&currency=usd&destination=acct_1", "allow"),
        ("POST", "/v1/transfers", "amount=10000&currency=usd&destination=acct_1", "policy_denied"),
        ("POST", "/v1/transfers", "amount=1e4&currency=USD&destination=acct_1", "policy_denied"),
        ("POST", "/v1/transfers", "amount=10000&currency=eur&destination=acct_1", "allow"),
        ("POST", "/v1/transfers", "amount=many&currency=usd&destination=acct_1", "policy_denied"),
        ("POST", "/v1/transfers", "currency=usd&destination=acct_1", "allow"),
        ("POST", "/v1/transfers", r#"{"amount": 20000, "currency": "usd", "destination": "acct_1"}"#, "policy_denied"),
        ("POST", "/v1/transfers", r#"{"amount": null, "currency": "usd", "destination": "acct_1"}"#, "policy_denied"),
        // parameters of an allow rule
        ("POST", "/v1/refunds", "amount=50000", "allow"),
        ("POST", "/v1/refunds", "amount=50001", "param_denied"),
        ("POST", "/v1/refunds", "amount=50000.01", "param_denied"),
        ("POST", "/v1/refunds", "", "param_denied"),
        ("POST", "/v1/refunds", "amount=", "param_denied"),
        ("POST", "/v1/refunds", "amount=five", "param_denied"),
        ("POST", "/v1/refunds", "amount=0x10", "param_denied"),
        ("POST", "/v1/refunds", "amount=-5", "allow"),
        ("POST", "/v1/refunds", r#"{"amount": 5e4}"#, "allow"),
        ("POST", "/v1/refunds", r#"{"amount": 50000.0}"#, "allow"),
        ("POST", "/v1/refunds", r#"{"amount": 5e5}"#, "param_denied"),
        ("POST", "/v1/refunds", r#"{"amount": "50001"}"#, "param_denied"),
        ("POST", "/v1/refunds", r#"{"amount": {"value": 1}}"#, "param_denied"),
        ("POST", "/v1/refunds", r#"{"amount": [1, 50001]}"#, "param_denied"),
        ("POST", "/v1/refunds?amount=500", "", "allow"),
        ("POST", "/v1/refunds", "amount=1&reason=duplicate", "allow"),
        ("POST", "/v1/refunds", "amount=1&reason=because", "param_denied"),
        ("POST", "/v1/transfers", "destination=acct_9z", "allow"),
        ("POST", "/v1/transfers", "destination=xacct_9z", "param_denied"),
        ("POST", "/v1/transfers", "destination=acct_9z%0a", "param_denied"),
        // parameters of the policy are tested wherever they are
        ("POST", "/v1/refunds", "amount=1&customer=cus_A", "allow"),
        ("POST", "/v1/refunds", "amount=1&customer=cus_a", "param_denied"),
        ("GET", "/v1/charges?customer=cus_B", "", "allow"),
        ("GET", "/v1/charges?customer=cus_C", "", "param_denied"),
        ("GET", "/v1/charges?customer=", "", "param_denied"),
        // one reading or none
        ("POST", "/v1/refunds", "amount=1&amount=90000", "unreadable"),
        ("POST", "/v1/refunds", "amount=1&amount[]=90000", "unreadable"),
        ("POST", "/v1/refunds", "Amount=90000", "unreadable"),
        ("POST", "/v1/refunds?amount=1", "amount=90000", "unreadable"),
        ("POST", "/v1/refunds", r#"{"amount": 1, "amount": 90000}"#, "unreadable"),
        ("GET", "/v1/charges?customer=cus_A&customer=cus_C", "", "unreadable"),
    ] {
        let call = call(method, target, body);
        assert_eq!(call.word(&set), wanted, "{method} {target} {body}");
    }
}

#[test]
fn the_first_reason_wins() {
    let set = set(&[REFUNDS]);
    // Denied, of another customer, with a wrong account: the deny rule speaks.
    let mut all = call("POST", "/v1/payouts?customer=cus_C", "");
    all.headers = vec![("stripe-account", "acct_9")];
    assert_eq!(all.denial(&set).rule.as_ref(), "p: deny rule 1");
    all.target = "/v1/refunds?customer=cus_C";
    assert_eq!(all.denial(&set).rule.as_ref(), "p: params: customer");
    all.target = "/v1/refunds";
    assert_eq!(all.denial(&set).rule.as_ref(), "p: allow rule 1: amount");
    all.body = "amount=1";
    assert_eq!(all.denial(&set).rule.as_ref(), "p: accounts.stripe-account");
    all.now = at("2027-01-01T00:00:00Z");
    assert_eq!(all.denial(&set).code, Code::PolicyExpired);
}

#[test]
fn vendors_policies_and_ends() {
    let set = set(&[REFUNDS]);
    let mut call = call("POST", "/v1/refunds", "amount=1");
    call.now = at("2026-12-31T23:59:59.999999Z");
    assert_eq!(call.word(&set), "allow");
    call.facts.vendor = "openai".into();
    assert_eq!(call.word(&set), "vendor_not_allowed");
    call.facts.policy = "gone".into();
    assert_eq!(call.word(&set), "policy_missing");
}

#[test]
fn account_headers_are_named_with_their_values() {
    let set = set(&[REFUNDS]);
    for (headers, wanted) in [
        (vec![], "allow"),
        (vec![("stripe-account", "acct_1")], "allow"),
        (vec![("stripe-account", "acct_2")], "allow"),
        (vec![("stripe-account", "acct_10")], "account_header_denied"),
        (vec![("stripe-account", "")], "account_header_denied"),
        (vec![("stripe-context", "acct_1")], "account_header_denied"),
        (vec![("stripe-account", "acct_1"), ("stripe-context", "x")], "account_header_denied"),
        (vec![("stripe-account", "acct_1"), ("stripe-account", "acct_9")], "account_header_denied"),
    ] {
        let mut call = call("POST", "/v1/refunds", "amount=1");
        call.headers = headers.clone();
        assert_eq!(call.word(&set), wanted, "{headers:?}");
    }
}

#[test]
fn observe_denies_nothing_but_foreign_vendors_and_unreadable_calls() {
    let set = set(&[&format!("mode = \"observe\"\n{REFUNDS}")]);
    for (method, target, body, wanted) in [
        ("POST", "/v1/refunds", "amount=1", "allow"),
        ("POST", "/v1/refunds", "amount=90000", "observed param_denied"),
        ("GET", "/v1/payouts", "", "observed policy_denied"),
        ("GET", "/v1/files", "", "observed policy_denied"),
        ("POST", "/v1/refunds", "amount=1&amount=2", "unreadable"),
    ] {
        assert_eq!(call(method, target, body).word(&set), wanted, "{method} {target} {body}");
    }
    let mut observed = call("GET", "/v1/payouts", "");
    assert!(!observed.permit(&set).enforced());
    observed.now = at("2028-01-01T00:00:00Z");
    assert_eq!(observed.word(&set), "observed policy_expired");
    observed.facts.vendor = "openai".into();
    assert_eq!(observed.word(&set), "vendor_not_allowed");
}

const FLOOR: &str = r#"
    name = "floor"
    global = true
    max_output_tokens = 1000
    [[deny]]
    paths = ["/v1/accounts"]
    [params]
    currency = { one_of = ["usd", "eur"] }
    [accounts]
    Stripe-Account = ["acct_1"]
    [risk]
    mutation = 30
"#;

#[test]
fn nobody_loosens_the_global_policy() {
    let open = "name = \"p\"\nvendors = [\"stripe\"]\nmax_output_tokens = 4000\nrisk = { mutation = 2 }\n\
                accounts = { Stripe-Account = [\"acct_1\", \"acct_2\"] }\n[[allow]]\npaths = [\"/**\"]\ntier = \"mutation\"";
    let set = set(&[open, FLOOR]);
    for (target, account, wanted) in [
        ("/v1/refunds", None, "allow"),
        ("/v1/refunds?currency=usd", None, "allow"),
        ("/v1/refunds?currency=gbp", None, "param_denied"),
        ("/v1/accounts", None, "policy_denied"),
        ("/v1/accounts/acct_1", None, "policy_denied"),
        ("/v1/refunds", Some("acct_1"), "allow"),
        ("/v1/refunds", Some("acct_2"), "account_header_denied"),
    ] {
        let mut call = call("GET", target, "");
        call.headers = account.map(|a| ("stripe-account", a)).into_iter().collect();
        assert_eq!(call.word(&set), wanted, "{target} {account:?}");
    }
    let permit = call("GET", "/v1/refunds", "").permit(&set);
    assert_eq!((permit.risk(), permit.max_output_tokens()), (30, Some(1000)));
    // A floor that only observes speaks for itself alone.
    let watching = FLOOR.replace("global = true", "global = true\nmode = \"observe\"");
    let set = super::set(&[open, &watching]);
    assert_eq!(call("GET", "/v1/accounts", "").word(&set), "observed policy_denied");
    assert!(call("GET", "/v1/accounts", "").permit(&set).enforced());
}

#[test]
fn a_global_policy_with_allow_rules_bounds_every_other() {
    let open = "name = \"p\"\nvendors = [\"stripe\", \"openai\"]\n[[allow]]\npaths = [\"/**\"]";
    let floor = "name = \"floor\"\nglobal = true\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/v1/**\"]";
    let set = set(&[open, floor]);
    assert_eq!(call("GET", "/v1/x", "").word(&set), "allow");
    assert_eq!(call("GET", "/v2/x", "").word(&set), "policy_denied");
    let mut other = call("GET", "/v1/x", "");
    other.facts.vendor = "openai".into();
    assert_eq!(other.word(&set), "vendor_not_allowed");
    // A key under the global policy itself is bound by it once, and allowed what it allows.
    other = call("GET", "/v1/x", "");
    other.facts.policy = "floor".into();
    assert_eq!(other.word(&set), "allow");
}

#[test]
fn two_allow_rules_are_either_or() {
    let set = set(&["name = \"p\"\nvendors = [\"stripe\"]\n\
        [[allow]]\npaths = [\"/v1/refunds\"]\ntier = \"write-local\"\nparams.amount = { max = 10 }\n\
        [[allow]]\npaths = [\"/v1/refunds\"]\ntier = \"mutation\"\nparams.amount = { max = 1000 }\nparams.note = { required = true }"]);
    for (body, wanted, tier) in [
        ("amount=5", "allow", Some(Tier::WriteLocal)),
        ("amount=500&note=x", "allow", Some(Tier::Mutation)),
        ("amount=500", "param_denied", None),
        ("amount=5000&note=x", "param_denied", None),
    ] {
        let call = call("POST", "/v1/refunds", body);
        assert_eq!(call.word(&set), wanted, "{body}");
        tier.inspect(|tier| assert_eq!(call.permit(&set).tier(), *tier, "{body}"));
    }
    // The first rule that matched gives the reason.
    assert_eq!(call("POST", "/v1/refunds", "amount=500").denial(&set).rule.as_ref(), "p: allow rule 1: amount");
}

#[test]
fn tiers_and_risk_points() {
    let set = set(&["name = \"p\"\nvendors = [\"stripe\"]\nrisk = { write-external = 7 }\n\
        [[allow]]\npaths = [\"/quiet\"]\ntier = \"read-only\"\n[[allow]]\npaths = [\"/**\"]"]);
    let mapped = Some(operation("POST /x", Tier::Execution));
    for (method, target, operation, tier, risk) in [
        ("GET", "/x", None, Tier::ReadOnly, 1),
        ("POST", "/x", None, Tier::WriteExternal, 7),
        ("DELETE", "/x", None, Tier::Mutation, 20),
        ("PROPFIND", "/x", None, Tier::WriteExternal, 7),
        ("POST", "/x", mapped.clone(), Tier::Execution, 50),
        ("POST", "/quiet", mapped, Tier::ReadOnly, 0),
        ("POST", "/quiet", None, Tier::ReadOnly, 1),
    ] {
        let mut call = call(method, target, "");
        call.operation = operation;
        let permit = call.permit(&set);
        assert_eq!((permit.tier(), permit.risk()), (tier, risk), "{method} {target}");
    }
}

#[test]
fn sentences_say_what_happened_and_what_to_do() {
    let set = set(&[REFUNDS]);
    let said = |method, target, body| call(method, target, body).denial(&set).sentence;
    assert_eq!(
        said("POST", "/v1/refunds", "amount=60000"),
        "The parameter `amount` is \"60000\", and it must be a number of at most 50000 (allow rule 1 of the policy `p`). \
         Change it, or ask the operator to change the rule."
    );
    assert_eq!(
        said("POST", "/v1/payouts", ""),
        "POST /v1/payouts at stripe is denied by deny rule 1 (/v1/payouts/**) of the policy `p`. Nothing overrides a deny \
         rule: do not retry; only the operator can change it."
    );
    let other = said("GET", "/v1/files", "");
    assert!(
        other.contains("no allow rule of the policy `p` matches") && other.contains("/v1/transfers; POST /v1/refunds."),
        "{other}"
    );
    let long = said("POST", "/v1/refunds", &format!("amount={}", "9".repeat(400)));
    assert!(long.len() < 250, "{long}");
}

#[test]
fn arguments_are_read_only_where_a_rule_looks() {
    let set = set(&["name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/plain\"]\n\
        [[allow]]\nmethods = [\"POST\"]\npaths = [\"/looked\"]\nparams.a = { max = 1 }\n\
        [[deny]]\npaths = [\"/barred\"]\nparams.a = { min = 1 }"]);
    for (method, target, reads) in [
        ("POST", "/plain", false),
        ("POST", "/looked", true),
        ("GET", "/looked", false),
        ("GET", "/barred/x", true),
        ("GET", "/elsewhere", false),
    ] {
        let path = CanonicalPath::parse(target).expect("canonical").path;
        assert_eq!(set.reads_args("p", "stripe", method, &path, ""), reads, "{method} {target}");
        let mut call = call(method, target, "");
        call.unread = true;
        assert_eq!(call.word(&set) == "unreadable", reads, "{method} {target}");
    }
}

#[test]
fn a_denial_is_not_dodged_by_letter_case() {
    let text = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/**\"]\n\
                [[deny]]\nmethods = [\"POST\"]\npaths = [\"/v1/payouts\", \"/v1/{topups,Transfers}/*\"]\n";
    let set = set(&[text]);
    for (method, path, wanted) in [
        ("POST", "/v1/payouts", "policy_denied"),
        ("POST", "/v1/Payouts/po_1", "policy_denied"),
        ("post", "/v1/payouts", "policy_denied"),
        ("POST", "/V1/TOPUPS/x", "policy_denied"),
        ("POST", "/v1/transfers/x", "policy_denied"),
        ("GET", "/v1/payouts", "allow"),
        ("POST", "/v1/payoutsx", "allow"),
    ] {
        assert_eq!(call(method, path, "").word(&set), wanted, "{method} {path}");
    }
    let kept =
        super::set(&["name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\nmethods = [\"GET\"]\npaths = [\"/v1/a\"]"]);
    assert_eq!(call("GET", "/v1/A", "").word(&kept), "policy_denied");
}

#[test]
fn a_decision_looks_at_the_rules_that_can_match_however_many_there_are() {
    let with = |others: usize, matching: usize| {
        let mut text = "name = \"p\"\nvendors = [\"stripe\"]\n".to_owned();
        for n in 0..others {
            let kind = if n % 4 == 0 { "deny" } else { "allow" };
            text.push_str(&format!("[[{kind}]]\npaths = [\"/v1/things{n}/*\", \"/v1/others{n}/**\"]\n"));
        }
        (0..matching).for_each(|n| {
            text.push_str(&format!("[[allow]]\npaths = [\"/v1/refunds\"]\nparams.n = {{ max = {n} }}\n"))
        });
        set(&[&text])
    };
    let looked_at = |set: &PolicySet| {
        let plan = set.plan("p").expect("loaded");
        plan.allow.candidates("/v1/refunds/x").len() + plan.deny.candidates("/v1/refunds/x").len()
    };
    for (others, matching) in [(20, 1), (199, 1), (800, 1), (180, 20), (0, 200)] {
        let set = with(others, matching);
        assert_eq!(looked_at(&set), matching, "{others} others");
        assert_eq!(call("GET", "/v1/refunds/x?n=0", "").word(&set), "allow");
    }
}

#[test]
fn a_refusal_names_what_is_allowed_nearest_to_it_first() {
    let text = "name = \"p\"\nvendors = [\"stripe\"]\n[[allow]]\npaths = [\"/v1/customers/**\"]\n[[allow]]\npaths = [\"/v1/events\"]\n\
                [[allow]]\npaths = [\"/v1/balance\"]\n[[allow]]\npaths = [\"/v1/prices\"]\n[[allow]]\nmethods = [\"GET\"]\npaths = [\"/v1/refunds/*\"]\n\
                [[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds/*/cancel\"]\n";
    let denial = call("POST", "/v1/refunds", "").denial(&set(&[text]));
    let wanted = ["POST /v1/refunds/*/cancel", "GET /v1/refunds/*", "/v1/customers/**", "/v1/events"];
    assert_eq!(denial.details, [("instead", serde_json::json!(wanted))]);
    assert!(
        denial.sentence.contains("It allows POST /v1/refunds/*/cancel; GET /v1/refunds/*; "),
        "{}",
        denial.sentence
    );
}
