//! Agents as their kits make them, the OpenAI Agents SDK and LangChain, through bursar to a pretended model and card
//! processor: what is allowed, capped, approved by a person and denied. The scenes stand in `tests/sdk/agents`.

mod common;

use std::fs;
use std::time::Duration;

use common::bursar::{Bursar, Key, Setup, binary};
use common::child::{Proc, leashed};
use common::house::{PRICES, REAL_OPENAI, REAL_STRIPE, write_policy};
use common::{free_port, repo, test_env};

const LIMIT: Duration = Duration::from_secs(180);

fn policy(name: &str, money: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"openai\", \"stripe\"]\nfit = {{ floor = 100 }}\n[[allow]]\nmethods = [\"POST\"]\n\
         paths = [\"/v1/responses\", \"/v1/chat/completions\", \"/v1/charges\"]\n[[budget]]\nper = \"agent\"\nlimit = \"{money}\"\n\
         {more}\n"
    )
}

#[test]
fn openai_agents() {
    play("openai_agents.py");
}

#[test]
fn langchain() {
    play("langchain_agent.py");
}

fn play(script: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let model = free_port();
    let bursar = start(dir.path(), model);
    let mint = |policy: &str| -> Key { bursar.mint(policy, policy, &["--dimension", "user=bob"]) };
    let mut suite = leashed(test_env().join("agents/bin/python"));
    suite.arg(repo().join("tests/sdk/agents").join(script));
    for (name, key) in [
        ("KEY_AGENT", mint("agent")),
        ("KEY_WAITS", mint("waits")),
        ("KEY_POOR", mint("poor")),
        ("KEY_SPENT", mint("spent")),
    ] {
        suite.env(name, key.key);
    }
    suite.env("BURSAR_URL", bursar.url()).env("BURSAR_BIN", binary()).env("BURSAR_DATA", &bursar.data);
    suite.env("MODEL_PORT", model.to_string()).env("PYTHONDONTWRITEBYTECODE", "1").env("LANGSMITH_TRACING", "false");
    suite.env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    let mut suite = Proc::start("suite", suite, dir.path());
    let status = suite.wait(LIMIT);
    println!("{}", suite.output());
    assert!(status.success(), "scenes failed");
}

fn start(dir: &std::path::Path, model: u16) -> Bursar {
    let policies = dir.join("policies");
    fs::create_dir(&policies).expect("a folder for policies");
    let asks = "[approval]\nover = \"5 USD\"";
    for text in [
        policy("agent", "100 USD", asks),
        policy("waits", "100 USD", &format!("{asks}\nwait = \"30s\"")),
        policy("poor", "0.1 USD", ""),
        policy("spent", "0.001 USD", ""),
    ] {
        write_policy(&policies, &text);
    }
    let prices = dir.join("prices.toml");
    fs::write(&prices, PRICES).expect("a price file");
    let vendor = |name: &str| {
        format!(
            "[vendors.{name}]\nbase_url = \"http://127.0.0.1:{model}\"\ncredential = \"env:TEST_{}\"\nprivate_network = true\n",
            name.to_uppercase()
        )
    };
    let config = dir.join("bursar.toml");
    let text = format!("{}{}[prices]\noverrides = {prices:?}\n", vendor("openai"), vendor("stripe"));
    fs::write(&config, text).expect("a configuration");
    let env = [("TEST_OPENAI", REAL_OPENAI), ("TEST_STRIPE", REAL_STRIPE)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Bursar::start(dir, Setup { config: Some(config), policies, env, args: Vec::new() })
}
