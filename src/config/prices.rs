//! The price book as a server of this configuration has it: what ships, newer exchange rates of `bursar fx update` in the data
//! folder, and the operator's own file above all. Knows no price; `rules::price` does.

use super::checked::Config;
use crate::rules::price::PriceBook;

/// Newer exchange rates, in the data folder.
pub const FX: &str = "fx.toml";

/// All of it, or every mistake in it.
pub fn prices(config: &Config) -> Result<PriceBook, String> {
    let rates = config.server.data.join(FX);
    let mut files = Vec::new();
    for path in rates.exists().then_some(&rates).into_iter().chain(&config.prices.overrides) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
        files.push((name, text));
    }
    let book = PriceBook::layered(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    book.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}
