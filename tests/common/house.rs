//! A bursar before the mock vendor, with everything in a folder of its own: price file, policies, configuration, data.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::bursar::{Bursar, Key, Setup};
use super::client::{Answer, Ask};
use super::vendor::Vendor;

/// The real credentials, which only the vendor may see.
pub const REAL_OPENAI: &str = "sk-real-openai-5c0ffee5c0ffee5c0ffee5c0ffee";
pub const REAL_STRIPE: &str = "sk_live_stripe_0badcafe0badcafe0badcafe";
pub const REAL_GITHUB: &str = "ghp_realgithub0decade0decade0decade0decade";

macro_rules! model {
    ($vendor:literal, $name:literal, $input:literal) => {
        concat!(
            "\n[[model]]\nvendor = \"",
            $vendor,
            "\"\nnames = [\"",
            $name,
            "\"]\n",
            "limits = { context = 1_000_000, output = 100_000 }\n[[model.price]]\n[[model.price.rates]]\n",
            "input = \"",
            $input,
            "\"\noutput = \"100\"\n"
        )
    };
}

/// A hundred tokens of output cost one cent, and the prompt nothing: so bounds can be exact.
pub const PRICES: &str = concat!(
    "\nchecked = \"2026-01-01\"\n",
    model!("openai", "penny-1", "0"),
    model!("openai", "nickel-1", "100"),
    model!("anthropic", "nickel-a", "100"),
);

/// A policy for calls of one cent each: no answer is worth less than a hundred tokens, and that is a cent, too. `more` stands
/// before its tables, or is one.
pub fn pennies(name: &str, limit: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\nvendors = [\"openai\"]\nfit = {{ floor = 100 }}\n{more}\n\n[[allow]]\nmethods = [\"POST\"]\n\
         paths = [\"/v1/chat/completions\"]\n\n[[budget]]\nper = \"agent\"\nlimit = \"{limit}\"\n"
    )
}

/// A hundred calls for each agent.
pub fn a_dollar() -> String {
    pennies("capped", "1 USD", "")
}

/// Everything that a test runs against. The folder goes last.
pub struct House {
    pub bursar: Bursar,
    pub vendor: Vendor,
    pub policies: PathBuf,
    pub dir: TempDir,
}

impl House {
    /// With these policies.
    pub fn new(policies: &[&str]) -> Self {
        Self::with(policies, |_| String::new())
    }

    /// With these policies, and more configuration, which may name the vendor's port.
    pub fn with(policies: &[&str], more: impl FnOnce(u16) -> String) -> Self {
        Self::with_env(policies, more, &[])
    }

    /// And more variables of its environment.
    pub fn with_env(policies: &[&str], more: impl FnOnce(u16) -> String, more_env: &[(&str, &str)]) -> Self {
        let (dir, vendor) = (tempfile::tempdir().expect("a folder"), Vendor::start());
        let folder = dir.path().join("policies");
        fs::create_dir(&folder).expect("a folder for policies");
        policies.iter().for_each(|text| write_policy(&folder, text));
        let prices = dir.path().join("prices.toml");
        fs::write(&prices, PRICES).expect("a price file");
        let config = dir.path().join("bursar.toml");
        let text = format!("{}\n[prices]\noverrides = {prices:?}\n{}", vendors(vendor.port), more(vendor.port));
        fs::write(&config, text).expect("a configuration");
        let env = [("TEST_OPENAI", REAL_OPENAI), ("TEST_STRIPE", REAL_STRIPE), ("TEST_GITHUB", REAL_GITHUB)];
        let env = env.iter().chain(more_env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let setup = Setup { config: Some(config), policies: folder.clone(), env, args: Vec::new() };
        let bursar = Bursar::start(dir.path(), setup);
        Self { bursar, vendor, policies: folder, dir }
    }

    pub fn port(&self) -> u16 {
        self.bursar.gateway
    }

    pub fn mint(&self, policy: &str, agent: &str) -> Key {
        self.bursar.mint(policy, agent, &[])
    }

    /// Makes one call.
    pub fn call(&self, ask: &Ask) -> Answer {
        ask.now(self.port())
    }

    /// Writes a policy's file, under the name that stands in it.
    pub fn write_policy(&self, text: &str) {
        write_policy(&self.policies, text);
    }

    /// Ends bursar at once, and starts it again on the same data.
    pub fn crash(&mut self) {
        self.bursar.server.kill();
        self.bursar.restart();
    }

    /// What a key may do, and what is left.
    pub fn myself(&self, key: &Key) -> Value {
        let answer = self.call(&Ask::get("/bursar/v1/self").key(key));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

pub fn vendors(port: u16) -> String {
    let one = |name: &str| {
        let variable = name.to_uppercase();
        format!(
            "[vendors.{name}]\nbase_url = \"http://127.0.0.1:{port}\"\ncredential = \"env:TEST_{variable}\"\nprivate_network = true\n"
        )
    };
    ["openai", "stripe", "github"].map(one).join("\n")
}

pub fn write_policy(folder: &std::path::Path, text: &str) {
    let name =
        text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).expect("a policy's name");
    fs::write(folder.join(format!("{name}.toml")), text).expect("a policy file");
}
