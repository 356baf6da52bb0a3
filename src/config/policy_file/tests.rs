//! The grammar: every mistake is found, each with its line and field, and every setting is read.

use super::*;
use crate::rules::books::Tier;
use std::time::Duration;

const HEAD: &str = "name = \"p\"\nvendors = [\"stripe\"]\n";

/// `line field` of each mistake.
fn places(text: &str) -> Vec<String> {
    let found = read("p.toml", text, None).expect_err("mistakes").0;
    found.iter().map(|m| format!("{} {}", m.line, m.field)).collect()
}

fn good(text: &str) -> Policy {
    read("p.toml", &format!("{HEAD}{text}"), None).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn one_mistake_each() {
    for (text, field) in [
        ("vendor = \"x\"", "vendor"),
        ("mode = \"watch\"", "mode"),
        ("mode = true", "mode"),
        ("expires_at = \"tomorrow\"", "expires_at"),
        ("expires_at = 2027-01-01T00:00:00", "expires_at"),
        ("expires_at = 2027-01-01", "expires_at"),
        ("wait_for_holds = 2", "wait_for_holds"),
        ("wait_for_holds = \"2 s\"", "wait_for_holds"),
        ("max_output_tokens = 0", "max_output_tokens"),
        ("max_output_tokens = -5", "max_output_tokens"),
        ("ceiling = \"5\"", "ceiling"),
        ("ceiling = \"5 tokens\"", "ceiling"),
        ("ceiling = \"0 USD\"", "ceiling"),
        ("fit = \"never\"", "fit"),
        ("fit = { share = 101 }", "fit.share"),
        ("fit = { floor = 0 }", "fit.floor"),
        ("fit = { flor = 5 }", "fit.flor"),
        ("unknown_model = \"guess\"", "unknown_model"),
        ("capture = {}", "capture.keep"),
        ("capture = { keep = \"0s\" }", "capture.keep"),
        ("capture = { keep = \"1d\", most = \"0\" }", "capture.most"),
        ("capture = { keep = \"1d\", most = \"1GiB\" }", "capture.most"),
        ("capture = { keep = \"1d\", bodies = true }", "capture.bodies"),
        ("capture = { keep = \"1d\", requests = false, answers = false }", "capture"),
        ("trust_headers = \"yes\"", "trust_headers"),
        ("look_up = \"yes\"", "look_up"),
        ("stripe = { movements = [] }", "stripe.movements"),
        ("stripe = { movements = [\"chrage\"] }", "stripe.movements[0]"),
        ("stripe = { test_keys = \"ignore\" }", "stripe.test_keys"),
        ("stripe = { lookup = true }", "stripe.lookup"),
        ("risk = { dangerous = 5 }", "risk.dangerous"),
        ("risk = { mutation = \"5\" }", "risk.mutation"),
        ("[risk.operations]\n\"post /x\" = 5", "risk.operations.post /x"),
        ("[[risk.factor]]\ntest_mode = 0.0001", "risk.factor[0].test_mode"),
        ("[[risk.factor]]\ntest_mode = 1\nutc = \"01:00-02:00\"\ntimes = 2", "risk.factor[0]"),
        ("[[risk.factor]]\nutc = \"02:00-01:00\"\ntimes = 2", "risk.factor[0].utc"),
        ("[[risk.factor]]\ncount = [\"to\"]", "risk.factor[0]"),
        ("[[risk.factor]]\noperations = [\"POST /x\"]\nparam = \"n\"", "risk.factor[0].steps"),
        ("[[window]]\npaths = [\"/x\"]", "window[0]"),
        ("[[window]]\nhours = \"17:00-09:00\"", "window[0]"),
        ("[[window]]\ndays = [\"mon\", \"someday\"]", "window[0]"),
        ("[[window]]\ndays = \"mon\"\nexcept = \"tomorrow\"", "window[0]"),
        ("[[window]]\ndays = \"mon\"\nzone = \"Europe/Nowhere\"", "window[0].zone"),
        ("[[window]]\ndays = \"mon\"\nmethods = [\"GET\"]", "window[0]"),
        ("[[window]]\ndays = \"mon\"\nuntil = 5", "window[0].until"),
        ("[[switch]]\nper = \"key\"\ndo = \"kill\"", "switch[0].on"),
        ("[[switch]]\non = \"whim\"\nper = \"key\"\ndo = \"kill\"", "switch[0].on"),
        ("[[switch]]\non = \"secrets\"\ndo = \"kill\"", "switch[0].per"),
        ("[[switch]]\non = \"secrets\"\nper = \"tenant\"\ndo = \"kill\"", "switch[0].per"),
        ("[[switch]]\non = \"secrets\"\nper = \"key\"\ndo = \"warn\"", "switch[0].do"),
        ("[[switch]]\non = \"secrets\"\nper = \"key\"\ndo = \"kill\"\nkinds = \"card\"", "switch[0].kinds"),
        ("[[switch]]\non = \"secrets\"\nper = \"key\"\ndo = \"kill\"\nwithin = \"1m\"", "switch[0].within"),
        ("[[switch]]\non = \"loop\"\nper = \"key\"\ndo = \"kill\"\nsame = 3", "switch[0].within"),
        ("[[switch]]\non = \"loop\"\nper = \"key\"\ndo = \"kill\"\nsame = 3\nwithin = \"2d\"", "switch[0].within"),
        ("[[switch]]\non = \"refusals\"\nper = \"key\"\ndo = \"kill\"\ncount = 0\nwithin = \"1m\"", "switch[0].count"),
        ("[[switch]]\non = \"spend_rate\"\nper = \"key\"\ndo = \"kill\"\ntimes = 1", "switch[0].times"),
        (
            "[[switch]]\non = \"spend_rate\"\nper = \"key\"\ndo = \"kill\"\ntimes = 3\nfloor = \"5 calls\"",
            "switch[0].floor",
        ),
        ("[[switch]]\non = \"hours\"\nper = \"key\"\ndo = \"kill\"", "switch[0]"),
        ("delegate = \"yes\"", "delegate"),
        ("delegate = { ttl = \"1h\" }", "delegate.ttl"),
        ("accounts = { \"Stripe Account\" = \"x\" }", "accounts.Stripe Account"),
        ("accounts = { Stripe-Account = [5] }", "accounts.Stripe-Account[0]"),
        ("[[budget]]\nper = \"key\"\nlimit = \"5 USD at once\"", "budget[0].limit"),
        ("[[budget]]\nper = \"key\"\nlimit = \"0 calls at once\"", "budget[0].limit"),
        ("[[budget]]\nper = \"key\"\nlimit = \"5 calls at once\"\nwindow = \"day\"", "budget[0].window"),
        ("[[budget]]\nper = \"key\"\nlimit = \"5 calls\"\nwindow = \"flight\"", "budget[0].window"),
        ("[[budget]]\nper = \"call\"\nlimit = \"5 calls at once\"", "budget[0].limit"),
        ("[[rate]]\nper = \"key\"", "rate[0].limit"),
        ("[[rate]]\nlimit = \"10/s\"", "rate[0].per"),
        ("[[rate]]\nper = \"call\"\nlimit = \"10/s\"", "rate[0].per"),
        ("[[rate]]\nper = \"team\"\nlimit = \"10/s\"", "rate[0].per"),
        ("[[rate]]\nper = \"key\"\nlimit = \"10 calls\"", "rate[0].limit"),
        ("[[rate]]\nper = \"key\"\nlimit = \"0/s\"", "rate[0].limit"),
        ("[[rate]]\nper = \"key\"\nlimit = 10", "rate[0].limit"),
        ("[[rate]]\nper = \"key\"\nlimit = \"10/s\"\nburst = 0", "rate[0].burst"),
        ("[[rate]]\nper = \"key\"\nlimit = \"1/day\"\nburst = 32", "rate[0].burst"),
        ("[[rate]]\nper = \"key\"\nlimit = \"10/s\"\nwindow = \"day\"", "rate[0].window"),
        ("[[rate]]\nper = \"key\"\nlimit = \"10/s\"\nvendor = \"x\"", "rate[0].vendor"),
        ("[[rate]]\nper = \"key\"\nlimit = \"10/s\"\noperations = [\"post /x\"]", "rate[0].operations[0]"),
        ("[[loop]]\nper = \"agent\"\nwithin = \"5m\"", "loop[0].same"),
        ("[[loop]]\nper = \"agent\"\nsame = 5\nwithin = \"60d\"", "loop[0].within"),
        ("[[loop]]\nper = \"agent\"\nsame = 101\nwithin = \"5m\"", "loop[0].same"),
        ("[[loop]]\nper = \"call\"\nsame = 5\nwithin = \"5m\"", "loop[0].per"),
        ("[approval]", "approval"),
        ("[approval]\nover = \"5 calls\"", "approval.over"),
        ("[approval]\ntiers = [\"harmless\"]", "approval.tiers[0]"),
        ("[approval]\noperations = []", "approval.operations"),
        ("[approval]\nparams.amount = { over = 5 }", "approval.params.amount.over"),
        ("[approval]\nat = 1.0", "approval.at"),
        ("[approval]\nat = 0.905", "approval.at"),
        ("[approval]\nfirst_use = true\nwait = \"11m\"", "approval.wait"),
        ("[approval]\nfirst_use = true\npeople = 0", "approval.people"),
        ("[store_down]\nfor = \"60s\"", "store_down.ledger"),
        ("[store_down]\nledger = \"open\"", "store_down.for"),
        ("[store_down]\nledger = \"leased\"\nfor = 60", "store_down.for"),
        ("[store_down]\nledger = \"leased\"\nfor = \"2h\"", "store_down.for"),
        ("[store_down]\nledger = \"leased\"\nfor = \"500ms\"", "store_down.for"),
        ("[store_down]\nledger = \"closed\"\nfor = \"60s\"", "store_down.for"),
        ("[store_down]\nledger = \"ajar\"\nfor = \"60s\"", "store_down.ledger"),
        ("lease = \"yes\"", "lease"),
        ("[[models]]", "models[0]"),
        ("[[models]]\nallow = []", "models[0].allow"),
        ("[[models]]\nallow = [\"gpt 4\"]", "models[0].allow[0]"),
        ("[[models]]\nvendor = \"openai\"\nallow = [\"a\"]", "models[0].vendor"),
        ("[[models]]\naliases = { cheap = 5 }", "models[0].aliases.cheap"),
        ("[[models]]\naliases = { cheap = \"gpt-*\" }", "models[0].aliases.cheap"),
        ("[[models]]\naliases = { a = \"b\", b = \"c\" }", "models[0].aliases.a"),
        ("[[models]]\nallow = [\"gpt-4o\"]\naliases = { cheap = \"gpt-4.1\" }", "models[0].aliases.cheap"),
        ("[[schema]]\nschema = { type = \"object\" }", "schema[0].paths"),
        ("[[schema]]\npaths = [\"/**\"]", "schema[0].schema"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = \"nobody\"", "schema[0].schema"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = 5", "schema[0].schema"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = {}\nredact = 1", "schema[0].redact"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = {}\ntier = \"mutation\"", "schema[0].tier"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = {}\nvendor = \"openai\"", "schema[0].vendor"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = { maxium = 5 }", "schema[0].schema.maxium"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = { maximum = 5 }", "schema[0].schema.maximum"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = { type = \"objekt\" }", "schema[0].schema.type"),
        ("[[schema]]\npaths = [\"/**\"]\nschema = { const = 0.1234567890123456 }", "schema[0].schema.const"),
        ("[[kill]]\non = \"loop\"", "kill"),
        ("allow = 5", "allow"),
        ("[[allow]]\nmethods = [\"GET\"]", "allow[0].paths"),
        ("[[allow]]\npaths = []", "allow[0].paths"),
        ("[[allow]]\npaths = [\"v1\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1/{id}\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1/%2e\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1//x\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1/../x\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1?x=1\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1/[\"]", "allow[0].paths[0]"),
        ("[[allow]]\npaths = [\"/v1\"]\nmethods = [\"get\"]", "allow[0].methods[0]"),
        ("[[allow]]\npaths = [\"/v1\"]\nmethods = []", "allow[0].methods"),
        ("[[allow]]\npaths = [\"/v1\"]\ntier = \"high\"", "allow[0].tier"),
        ("[[allow]]\npaths = [\"/v1\"]\nvendor = \"openai\"", "allow[0].vendor"),
        ("[[deny]]\npaths = [\"/v1\"]\ntier = \"mutation\"", "deny[0].tier"),
        ("[[deny]]\npaths = [\"/v1\"]\nparams.a = { optional = true, max = 1 }", "deny[0].params.a"),
        ("[params]\na = { one_of = { list = \"nobody\" } }", "params.a.one_of.list"),
        ("[params]\na = { redact = true }", "params.a"),
        ("[params]\na = 5", "params.a"),
        ("[params]\na = {}", "params.a"),
        ("[params]\na.b = { max = 5 }", "params.a"),
        ("[params]\na = { maximum = 5 }", "params.a.maximum"),
        // Names that no call would ever have.
        ("[params]\n\"items[0][price]\" = { max = 5 }", "params.items[0][price]"),
        ("[params]\n\"*.to\" = { max = 5 }", "params.*.to"),
        ("[params]\n\"/*/to\" = { max = 5 }", "params./*/to"),
        ("[params]\n\"a..b\" = { max = 5 }", "params.a..b"),
        ("[params]\n\"\" = { max = 5 }", "params."),
        ("[params]\na = { max = \"five\" }", "params.a.max"),
        ("[params]\na = { max = inf }", "params.a.max"),
        ("[params]\na = { max = 0x10 }", "params.a.max"),
        ("[params]\na = { one_of = [] }", "params.a.one_of"),
        ("[params]\na = { one_of = [[1]] }", "params.a.one_of[0]"),
        ("[params]\na = { matches = \"(\" }", "params.a.matches"),
        ("[params]\na = { matches = \"a)(b\" }", "params.a.matches"),
        ("[params]\na = { absent = true, max = 5 }", "params.a"),
        ("[params]\na = { absent = true, required = true }", "params.a"),
        ("[[budget]]\nlimit = \"5 USD\"", "budget[0].per"),
        ("[[budget]]\nper = \"team\"\nlimit = \"5 USD\"", "budget[0].per"),
        ("[[budget]]\nper = \"agent\"", "budget[0].limit"),
        ("[[budget]]\nper = \"agent\"\nlimit = 5", "budget[0].limit"),
        ("[[budget]]\nper = \"agent\"\nlimit = \"5 EUR\"", "budget[0].limit"),
        ("[[budget]]\nper = \"agent\"\nlimit = \"5 USD\"\nwindow = \"week\"", "budget[0].window"),
        ("[[budget]]\nper = \"agent\"\nlimit = \"5 USD\"\nvendor = \"x\"", "budget[0].vendor"),
        ("[[budget]]\nper = \"agent\"\nlimit = \"5 USD\"\noperations = [\"post /x\"]", "budget[0].operations[0]"),
        ("[[budget]]\nper = \"call\"\nlimit = \"5 USD\"\nwindow = \"day\"", "budget[0].window"),
        ("[[budget]]\nper = \"call\"\nlimit = \"5 calls\"", "budget[0].limit"),
    ] {
        let found = read("p.toml", &format!("{HEAD}{text}"), None).expect_err(text).0;
        let fields: Vec<&str> = found.iter().map(|m| m.field.as_str()).collect();
        assert_eq!(fields, [field], "{text}");
        assert!(found[0].line >= 3, "{text}: {}", found[0]);
    }
}

#[test]
fn all_mistakes_of_a_file_at_once() {
    let text = "nam = \"p\"\nmode = \"off\"\n\n[[allow]]\npaths = [\"v1\"]\nparams.amount = { max = \"x\", mx = 1 }\n\n\
                [[budget]]\nper = \"agent\"\nlimit = \"lots\"\nwindow = \"year\"\n[[rate]]\n";
    assert_eq!(
        places(text),
        [
            "1 nam",
            "1 name",
            "1 vendors",
            "2 mode",
            "5 allow[0].paths[0]",
            "6 allow[0].params.amount.max",
            "6 allow[0].params.amount.mx",
            "10 budget[0].limit",
            "11 budget[0].window",
            "12 rate[0].limit",
            "12 rate[0].per",
        ]
    );
    let shown = read("policies/p.toml", "name = \"p\"\nvendor = [\"s\"]\n", None).expect_err("mistakes").to_string();
    let below =
        read("p.toml", &format!("{HEAD}[[allow]]\npaths = [\"/x\"]\nceiling = \"1 USD\""), None).expect_err("a stray");
    assert!(below.0[0].what.contains("top of the file"), "{below}");
    assert!(shown.contains("policies/p.toml:2: vendor: no such key; did you mean `vendors`?"), "{shown}");
}

#[test]
fn names_and_vendors() {
    for name in ["", "Refund", "a b", "-a", "../a", &"a".repeat(65)] {
        assert_eq!(places(&format!("name = \"{name}\"\nvendors = [\"s\"]")), ["1 name"], "{name}");
    }
    assert_eq!(places("name = \"p\"\nvendors = []"), ["2 vendors"]);
    assert_eq!(places("name = \"p\"\nglobal = true\nexpires_at = 2027-01-01T00:00:00Z"), ["3 expires_at"]);
    assert!(read("p", "name = \"p\"\nglobal = true", None).is_ok());
    let known = ["openai".into()];
    let found = read("p", HEAD, Some(&known)).expect_err("no such vendor");
    assert_eq!(found.0[0].field, "vendors[0]");
}

#[test]
fn every_setting_is_read() {
    let policy = good(
        "mode = \"observe\"\nexpires_at = 2027-01-01T02:00:00+02:00\nfit = { always = true, floor = 16, share = 100 }\n\
         max_output_tokens = 2_000\nceiling = \"0.5 USD\"\nwait_for_holds = \"500ms\"\ntrust_headers = true\n\
         credential = \"eu\"\nunknown_model = \"dearest\"\nrisk = { read-only = 1 }\ndelegate = { max_ttl = \"1h\" }\n\
         accounts = { Stripe-Account = [\"acct_1\"], STRIPE-CONTEXT = \"x\" }",
    );
    assert_eq!(policy.mode, Mode::Observe);
    assert_eq!(policy.expires_at.map(|t| t.to_string()).as_deref(), Some("2027-01-01T00:00:00Z"));
    assert_eq!(policy.fit, FitRule { always: true, floor: 16, share: Share(100) });
    assert_eq!((policy.max_output_tokens, policy.ceiling), (Some(2000), Some(MicroCents(50_000_000))));
    assert_eq!((policy.wait_for_holds, policy.trust_headers), (Duration::from_millis(500), true));
    assert_eq!((policy.credential.as_deref(), policy.unknown_model), (Some("eu"), UnknownModel::Dearest));
    assert_eq!((policy.risk.get(Tier::ReadOnly), policy.risk.get(Tier::Mutation)), (Some(1), None));
    assert_eq!(policy.delegate, Delegate { allowed: true, max_ttl: Some(Duration::from_secs(3600)) });
    assert_eq!(policy.accounts.keys().map(|k| &**k).collect::<Vec<_>>(), ["stripe-account", "stripe-context"]);
    let plain = good("");
    assert_eq!(
        (plain.delegate.allowed, plain.trust_headers, plain.unknown_model),
        (false, false, UnknownModel::Refuse)
    );
    assert_ne!(plain.hash, policy.hash);
}

#[test]
fn budgets_name_their_rule() {
    let policy = good(
        "[[budget]]\nper = \"agent\"\nwindow = \"day\"\nlimit = \"500 USD\"\n\
         [[budget]]\nper = \"key\"\nlimit = \"2k tokens\"\nvendor = \"stripe\"\noperations = [\"POST /b\", \"/a\"]\n\
         [[budget]]\nper = \"call\"\nlimit = \"1 USD\"\n",
    );
    assert_eq!(&*policy.budgets[0].rule, "p: 500 USD a day per agent");
    assert_eq!(&*policy.budgets[1].rule, "p: 2000 tokens per key on stripe for /a, POST /b");
    assert_eq!(&*policy.call_limits[0].rule, "p: 1 USD per call");
}

#[test]
fn what_counts_at_stripe_and_what_may_be_asked() {
    use crate::rules::vendors::Class;
    let default = good("");
    assert!(!default.look_up && !default.stripe.test_keys_free);
    assert!(
        Class::ALL.into_iter().all(|class| default.stripe.counts(class)),
        "all of them, unless it is said otherwise"
    );
    let some = good("look_up = true\n[stripe]\nmovements = [\"charge\", \"payout\"]\ntest_keys = \"free\"");
    assert!(some.look_up && some.stripe.test_keys_free);
    let counted: Vec<Class> = Class::ALL.into_iter().filter(|class| some.stripe.counts(*class)).collect();
    assert_eq!(counted, [Class::Charge, Class::Payout]);
}

#[test]
fn what_is_allowed_on_a_shared_ledger() {
    use crate::rules::ledger::ask::{Down, Manner};
    let manner = |text: &str| good(text).manner;
    assert_eq!(manner(""), Manner { lease: false, down: Down::Closed });
    assert_eq!(manner("lease = true"), Manner { lease: true, down: Down::Closed });
    assert_eq!(manner("[store_down]\nledger = \"closed\""), Manner::default());
    let leased = Manner { lease: true, down: Down::Leased { secs: 60 } };
    assert_eq!(manner("lease = true\n[store_down]\nledger = \"leased\"\nfor = \"60s\""), leased);
    let open = Manner { lease: false, down: Down::Open { secs: 300 } };
    assert_eq!(manner("store_down = { ledger = \"open\", for = \"5m\" }"), open);
    let global = "name = \"g\"\nglobal = true\nlease = true\n[store_down]\nledger = \"closed\"\n";
    assert_eq!(places(global), ["3 lease", "4 store_down"]);
}
