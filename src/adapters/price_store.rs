//! The price files: what ships, what `prices update` and `fx update` brought (`prices.jsonl`, `fx.toml` in the data folder), and the operator's own file on
//! top. Keeps each book that was in force under its hash, so that what it priced can be computed again. `live` has the one that
//! is in force while bursar serves. Judges no price.

mod live;

use std::fs;
use std::path::{Path, PathBuf};

use super::keyring::secrets::write_private;
use crate::rules::price::{PriceBook, SHIPPED};
use crate::units::ids::Digest32;

pub use live::Prices;

/// What updates brought.
const UPDATES: &str = "prices.jsonl";
/// Newer exchange rates, as `fx update` brought them.
pub const FX: &str = "fx.toml";
/// The books that were in force, each a JSON list of file names and texts.
const KEPT: &str = "prices";

/// Where the files lie.
#[derive(Clone, Debug)]
pub struct PriceFiles {
    data: PathBuf,
    overrides: Option<PathBuf>,
}

/// Which files make up a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upto {
    Updates,
    Overrides,
}

type Layers = Vec<(String, String)>;

impl PriceFiles {
    pub fn new(data: &Path, overrides: Option<&Path>) -> Self {
        Self { data: data.to_owned(), overrides: overrides.map(Path::to_owned) }
    }

    /// The files that may change while bursar serves, there or not.
    fn watched(&self) -> Vec<PathBuf> {
        let own = self.overrides.iter().cloned();
        [self.data.join(UPDATES), self.data.join(FX)].into_iter().chain(own).collect()
    }

    /// The book of today; every mistake of its files in one text.
    pub fn load(&self, upto: Upto) -> Result<PriceBook, String> {
        book(&self.layers(upto)?)
    }

    fn layers(&self, upto: Upto) -> Result<Layers, String> {
        let mut layers: Layers = SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        for path in [self.data.join(UPDATES), self.data.join(FX)].iter().filter(|path| path.exists()) {
            layers.push(read(path)?);
        }
        if let (Upto::Overrides, Some(path)) = (upto, &self.overrides) {
            layers.push(read(path)?);
        }
        Ok(layers)
    }

    /// Loads the book of today, and keeps it for later.
    pub fn load_and_keep(&self) -> Result<PriceBook, String> {
        let layers = self.layers(Upto::Overrides)?;
        let book = book(&layers)?;
        let path = self.kept(book.hash());
        if !path.exists() {
            let text = serde_json::to_vec(&layers).map_err(|e| e.to_string())?;
            let made = fs::create_dir_all(self.data.join(KEPT)).and_then(|()| write_private(&path, &text));
            made.map_err(|e| format!("{}: the price book cannot be kept: {e}", path.display()))?;
        }
        Ok(book)
    }

    fn kept(&self, hash: Digest32) -> PathBuf {
        self.data.join(KEPT).join(format!("{hash}.json"))
    }

    /// The book with this hash, if it was in force here.
    pub fn with_hash(&self, hash: Digest32) -> Result<Option<PriceBook>, String> {
        let path = self.kept(hash);
        if !path.exists() {
            return Ok(None);
        }
        let (name, text) = read(&path)?;
        let layers: Layers = serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))?;
        let book = book(&layers)?;
        if book.hash() == hash { Ok(Some(book)) } else { Err(format!("{name}: it was changed, and is not that book")) }
    }

    /// Adds models to what updates brought, whole or not at all.
    pub fn add(&self, lines: &[String]) -> Result<PathBuf, String> {
        let path = self.data.join(UPDATES);
        let mut text = if path.exists() { read(&path)?.1 } else { "{}\n".to_owned() };
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        PriceBook::of(&[(UPDATES, &text)]).map_err(|list| listed(&list))?;
        let written = fs::create_dir_all(&self.data).and_then(|()| write_private(&path, text.trim_end().as_bytes()));
        written.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }
}

fn book(layers: &Layers) -> Result<PriceBook, String> {
    let layers: Vec<(&str, &str)> = layers.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    PriceBook::of(&layers).map_err(|list| listed(&list))
}

fn read(path: &Path) -> Result<(String, String), String> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    Ok((name, text))
}

fn listed(list: &[impl ToString]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
