//! `bursar.toml`: the default file means the defaults, mistakes come all at once, and who stands above whom.

use super::*;
use std::io::Write;
use std::path::PathBuf;

fn none(_: &str) -> Option<String> {
    None
}

fn good(text: &str) -> Config {
    read("bursar.toml", text, &none).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Node, uvicorn and Apache close a connection that was idle for 5 s.
#[test]
fn a_connection_is_given_up_before_its_server_closes_it() {
    assert!(Server::default().timeouts.pool < std::time::Duration::from_secs(5));
    let own = good("[server.timeouts]\npool = \"1m\"\nupload = \"7s\"").server.timeouts;
    assert_eq!((own.pool.as_secs(), own.upload.as_secs()), (60, 7));
}

#[test]
fn the_default_file_means_the_defaults() {
    let (file, nothing) = (good(DEFAULT), good(""));
    assert_eq!(file.server, Server::default());
    assert_eq!(file.ledger, Ledger::default());
    assert_eq!((&file.audit, &file.prices), (&Audit::default(), &Prices::default()));
    assert_eq!((&nothing.server, &nothing.ledger), (&file.server, &file.ledger));
    assert!(file.credentials.is_empty() && nothing.vendors.len() == file.vendors.len());
    // What stands in comments is no mistake either.
    let uncommented: String = DEFAULT
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| l.starts_with('[') || l.contains(" = ")).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    let full = good(&uncommented);
    assert!(full.server.tls.is_some() && full.prices.overrides.is_some());
    assert_eq!(full.credentials.len(), 3);
}

#[test]
fn one_mistake_each() {
    for (text, field) in [
        ("[servr]\n", "servr"),
        ("[server]\nlisten = \"here\"", "server.listen"),
        ("[server]\nlisten = 8787", "server.listen"),
        ("[server]\nlisten = \"127.0.0.1:8788\"", "server"),
        ("[server]\ndata = \"\"", "server.data"),
        ("[server]\ntls = { cert = \"a.pem\" }", "server.tls.key"),
        ("[server.timeouts]\nidle = \"soon\"", "server.timeouts.idle"),
        ("[server.timeouts]\nidle = \"0s\"", "server.timeouts.idle"),
        ("[server.limits]\nbody = \"10MB\"", "server.limits.body"),
        ("[server.limits]\nheaders = 0", "server.limits.headers"),
        ("[server.limits]\nheader_bytes = \"1KiB\"", "server.limits"),
        ("[ledger]\nstore = \"mysql\"", "ledger.store"),
        ("[ledger]\nstore = \"redis://\"", "ledger.store"),
        ("[ledger]\nstore = \"redistribute://h\"", "ledger.store"),
        ("[ledger]\npassword = \"env:REDIS\"", "ledger.password"),
        ("[ledger]\nstore = \"redis://h\"\npassword = \"hunter2\"", "ledger.password"),
        ("[ledger]\nstore = \"redis://h\"\npatience = \"1m\"", "ledger.patience"),
        ("[ledger]\nwait_replicas = 1", "ledger.wait_replicas"),
        ("[ledger]\nmax_silence = \"5s\"", "ledger.max_silence"),
        ("[ledger]\nstore = \"redis://h\"\nmax_silence = \"500ms\"", "ledger.max_silence"),
        ("[ledger]\nstore = \"redis://h\"\nwait_replicas = 9", "ledger.wait_replicas"),
        ("[ledger]\ndurability = \"disk\"", "ledger.durability"),
        ("[ledger]\nname = \"a{b\"", "ledger.name"),
        ("[audit]\nstore = \"mysql://h/db\"", "audit.store"),
        ("[audit]\nstore = \"postgres://h/db\"\npassword = \"hunter2\"", "audit.password"),
        ("[audit]\npassword = \"env:PG\"", "audit.password"),
        ("[audit]\nbacklog = 10", "audit.backlog"),
        ("[prices]\noverride = \"x\"", "prices.override"),
        ("[vendors.openai]\nbaseurl = \"https://x\"", "vendors.openai.baseurl"),
        ("[vendors.openai]\nbase_url = 5", "vendors.openai.base_url"),
        ("[vendors.openai]\nbase_url = \"ftp://x\"", "vendors.openai.base_url"),
        ("[vendors.openai]\ncredential = \"sk-123\"", "vendors.openai.credential"),
        ("[vendors.openai]\ncredential = \"env:A B\"", "vendors.openai.credential"),
        ("[vendors.stripe.credentials]\neu = \"file:\"", "vendors.stripe.credentials.eu"),
        ("[vendors.bursar]\nbase_url = \"https://x\"\nfamily = \"declared\"", "vendors.bursar.name"),
        ("[vendors.openai]\nhosts = [\"a.internal\"]\n[vendors.stripe]\nhosts = [\"a.internal\"]", ""),
    ] {
        let found = read("bursar.toml", text, &none).expect_err(text).0;
        let fields: Vec<&str> = found.iter().map(|m| m.field.as_str()).collect();
        assert_eq!(fields, [field], "{text}: {found:?}");
    }
}

#[test]
fn all_mistakes_at_once_and_none_shows_a_secret() {
    let text = "[server]\nlisten = 1\nfoo = 2\n[ledger]\nstore = \"redis:/:hunter2@h\"\n[vendors.openai]\n\
                credential = \"sk-hunter2\"\nprivate_network = \"no\"\nplacement = \"everywhere\"\n";
    let found = read("bursar.toml", text, &none).expect_err("mistakes");
    let places: Vec<String> = found.0.iter().map(|m| format!("{} {}", m.line, m.field)).collect();
    assert_eq!(
        places,
        [
            "2 server.listen",
            "3 server.foo",
            "5 ledger.store",
            "8 vendors.openai.private_network",
            "9 vendors.openai.placement",
        ]
    );
    assert!(!found.to_string().contains("hunter2"));
    let secret = read("bursar.toml", "[vendors.openai]\ncredential = \"sk-hunter2\"", &none).expect_err("a secret");
    assert!(!secret.to_string().contains("hunter2"), "{secret}");
    let redis = good("[ledger]\nstore = \"redis://:hunter2@h:6379/0\"");
    assert!(!format!("{redis:?}").contains("hunter2"));
    for form in ["rediss://h", "redis+unix:///run/redis.sock", "redis+sentinel://a,b/bursar", "rediss+cluster://a,b"] {
        let config = good(&format!("[ledger]\nstore = {form:?}\npassword = \"env:P\"\nwait_replicas = 1"));
        assert_eq!(config.ledger.wait_replicas, 1, "{form}");
    }
}

fn credentials(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let config = read("bursar.toml", text, env).unwrap_or_else(|e| panic!("{e}"));
    let shown = |c: &Credential| match &c.source {
        CredentialSource::Env(name) => format!("{}/{} env:{name}", c.vendor, c.name),
        CredentialSource::File(path) => format!("{}/{} file:{}", c.vendor, c.name, path.display()),
    };
    config.credentials.iter().map(shown).collect()
}

#[test]
fn credentials_come_from_the_file_or_the_usual_variables() {
    let env = |name: &str| match name {
        "OPENAI_API_KEY" | "STRIPE_API_KEY" => Some("x".to_owned()),
        "ANTHROPIC_API_KEY" => Some(String::new()),
        _ => None,
    };
    assert_eq!(credentials("", &env), ["openai/default env:OPENAI_API_KEY", "stripe/default env:STRIPE_API_KEY"]);
    let file = "[vendors.openai]\ncredential = \"file:/run/k\"\n[vendors.stripe.credentials]\neu = \"env:EU\"\n";
    assert_eq!(credentials(file, &env), ["openai/default file:/run/k", "stripe/eu env:EU", "stripe/default env:EU"]);
    let two = "[vendors.stripe.credentials]\neu = \"env:EU\"\nus = \"env:US\"\n";
    assert_eq!(credentials(two, &none), ["stripe/eu env:EU", "stripe/us env:US"]);
}

#[test]
fn a_vendor_can_be_adjusted_and_added() {
    let config = good(
        "[vendors.openai]\nbase_url = \"http://127.0.0.1:9\"\nprivate_network = true\n\
         [vendors.mine]\nbase_url = \"https://api.mine.example/v2\"\nfamily = \"declared\"\nplacement = { header = \"x-key\" }\n",
    );
    let find = |name: &str| config.vendors.iter().find(|v| &*v.name == name).expect("configured");
    assert!(find("openai").private_network && &*find("openai").hosts[0].base.authority == "127.0.0.1:9");
    assert_eq!(&*find("mine").hosts[0].base.host, "api.mine.example");
    let moved = vendors::moved("stripe", "http://127.0.0.1:7".to_owned()).expect("it ships");
    assert_eq!((moved.hosts.len(), moved.private_network), (1, true));
    assert!(vendors::moved("nobody", "http://127.0.0.1:7".to_owned()).is_err());
}

#[test]
fn flags_stand_above_the_environment_and_that_above_the_file() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    write!(file, "[server]\nlisten = \"127.0.0.1:1000\"\ndata = \"from-file\"\npolicies = \"from-file\"\n")
        .expect("written");
    let path = file.path().to_owned();
    let env = {
        let path = path.display().to_string();
        move |name: &str| match name {
            "BURSAR_CONFIG" => Some(path.clone()),
            "BURSAR_DATA" => Some("from-env".to_owned()),
            _ => None,
        }
    };
    let config = load(&Flags::default(), &env).expect("sound");
    assert_eq!((config.server.data, config.server.policies), (PathBuf::from("from-env"), PathBuf::from("from-file")));
    assert_eq!((config.server.listen.port(), config.file), (1000, Some(path.clone())));
    let flags = Flags {
        data: Some("from-flag".into()),
        listen: Some("localhost:2000".into()),
        admin: Some(":2001".into()),
        ..Flags::default()
    };
    let config = load(&flags, &env).expect("sound");
    assert_eq!(config.server.data, PathBuf::from("from-flag"));
    assert_eq!((config.server.listen.to_string(), config.server.admin.port()), ("127.0.0.1:2000".to_owned(), 2001));
    let bad = Flags { listen: Some("x".into()), admin: Some("y".into()), ..Flags::default() };
    assert_eq!(load(&bad, &env).expect_err("mistakes").0.len(), 2);
    let gone = Flags { config: Some("/nowhere/bursar.toml".into()), ..Flags::default() };
    assert!(
        load(&gone, &none).expect_err("no file").to_string().starts_with("/nowhere/bursar.toml: it cannot be read")
    );
}

#[test]
fn evidence_is_configured_whole_and_never_prints_an_address() {
    let config = good(
        "[audit]\nkeep = \"90d\"\n[audit.checkpoints]\nevents = 50\ntime = \"10s\"\nkey = \"/k\"\n\
         [[audit.anchor]]\nname = \"a\"\nfile = \"/worm/a\"\n\
         [[audit.anchor]]\nname = \"b\"\nurl = \"https://x.example/T0KEN\"\ntoken = \"env:T\"\n",
    );
    let evidence = config.audit.evidence;
    assert_eq!(
        (evidence.events, evidence.time.as_secs(), evidence.keep.map(|k| k.as_secs())),
        (50, 10, Some(7_776_000))
    );
    assert!(evidence.anchors.len() == 2 && !format!("{evidence:?}").contains("T0KEN"));
    assert_eq!(good("").audit.evidence, evidence::Evidence::default());
    for (text, word) in [
        ("[audit]\nkeep = \"1h\"\n", "a day"),
        ("[audit.checkpoints]\nevents = 0\n", "1 to 100000"),
        ("[audit.checkpoints]\ntime = \"5ms\"\n", "a second"),
        ("[[audit.anchor]]\nname = \"a\"\n", "a `file` or a `url`"),
        ("[[audit.anchor]]\nname = \"a\"\nfile = \"f\"\nurl = \"https://x\"\n", "a `file` or a `url`"),
        ("[[audit.anchor]]\nname = \"a\"\nurl = \"ftp://x/T0KEN\"\n", "https://"),
        ("[[audit.anchor]]\nname = \"../a\"\nfile = \"f\"\n", "letters"),
        ("[[audit.anchor]]\nname = \"a\"\nfile = \"f\"\n[[audit.anchor]]\nname = \"a\"\nfile = \"g\"\n", "two anchors"),
        ("[[audit.anchor]]\nname = \"a\"\nfile = \"f\"\ntoken = \"env:T\"\n", "goes with"),
    ] {
        let said = read("b.toml", text, &none).expect_err(text).to_string();
        assert!(said.contains(word) && !said.contains("T0KEN"), "{text}: {said}");
    }
}
