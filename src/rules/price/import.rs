//! Price lists of others, read into one shape: genai-prices' `data.json` (v2), LiteLLM's JSON, OpenRouter's models. Numbers
//! stay text until they are whole pico-dollars. Decides nothing; `update` compares them with the book.

mod genai;
mod litellm;
mod openrouter;

use super::tokens::{Kind, Measure};
use crate::rules::args::Decimal;
use crate::rules::json::{Document, NodeRef};

/// Prices that somebody lists for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub vendor: &'static str,
    pub names: Vec<String>,
    /// The day from which they hold; now, if unsaid.
    pub from: Option<String>,
    /// Tier, threshold, kind, and pico-dollars.
    pub rates: Vec<(&'static str, u64, Kind, u64)>,
    pub context: Option<u64>,
    pub input: Option<u64>,
    pub output: Option<u64>,
}

impl Listed {
    fn new(vendor: &'static str, names: Vec<String>) -> Self {
        Self { vendor, names, from: None, rates: Vec::new(), context: None, input: None, output: None }
    }

    fn put(&mut self, tier: &'static str, above: u64, kind: Kind, pico: Option<u64>) {
        self.rates.extend(pico.map(|pico| (tier, above, kind, pico)));
    }
}

/// Whose list a file is, and what it lists; `None` if it is none of these.
pub(super) fn read(text: &str, today: &str) -> Option<(&'static str, Vec<Listed>)> {
    let document = Document::parse(text.as_bytes()).ok()?;
    let root = document.root();
    if root.member("data").is_some_and(|data| data.children().any(|model| model.member("pricing").is_some())) {
        return Some(("OpenRouter", openrouter::models(root)));
    }
    if root.children().any(|provider| provider.member("models").is_some() && provider.member("api_pattern").is_some()) {
        return Some(("genai-prices", genai::providers(root, today)));
    }
    let entry = root.children().any(|entry| entry.member("litellm_provider").is_some());
    entry.then(|| ("LiteLLM", litellm::entries(root)))
}

/// A price per one, or per `10^down`, as whole pico-dollars. What is finer is the noise of a float, and is rounded.
fn pico(node: NodeRef<'_>, down: u32) -> Option<u64> {
    let number = Decimal::parse(node.number().or(node.text())?)?;
    let places = 12_u32.checked_sub(down)?;
    (0..20).find_map(|more| {
        let fine = number.scaled(places + more)?;
        let unit = 10_i128.checked_pow(more)?;
        u64::try_from(fine.checked_add(unit / 2)?.checked_div(unit)?).ok().filter(|_| fine >= 0)
    })
}

fn count(node: Option<NodeRef<'_>>) -> Option<u64> {
    u64::try_from(Decimal::parse(node?.number()?)?.scaled(0)?).ok()
}

/// Prices of time are kept for an hour.
fn per_second(kind: Kind, pico: u64) -> u64 {
    if kind.measure() == Measure::Time { pico.saturating_mul(3600) } else { pico }
}
