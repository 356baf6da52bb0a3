//! The form of a price file, TOML or JSON lines: the shipped book, what an update brought, or the operator's own on top.
//! `check` makes rows of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A price file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBook {
    #[serde(default)]
    pub checked: String,
    #[serde(default)]
    pub vendor: Vec<RawShelf>,
    #[serde(default)]
    pub model: Vec<RawModel>,
    /// By vendor: a name of the operator's (an Azure deployment, a Bedrock profile) and the model behind it.
    #[serde(default)]
    pub alias: BTreeMap<String, BTreeMap<String, String>>,
    pub as_of: Option<String>,
    pub margin_percent: Option<u32>,
    #[serde(default)]
    pub usd_per_unit: BTreeMap<String, String>,
}

impl RawBook {
    /// TOML; or, of what programs write, JSON: a head in the first line, and then a model in each. Else where it is wrong, and why.
    pub fn read(text: &str) -> Result<Self, (String, String)> {
        if !text.starts_with('{') {
            return toml::from_str(text).map_err(|error| ("the file".to_owned(), error.to_string()));
        }
        let wrong = |line: usize, error: serde_json::Error| (format!("line {line}"), error.to_string());
        let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.is_empty());
        let (number, head) = lines.next().unwrap_or((1, "{}"));
        let mut book: Self = serde_json::from_str(head).map_err(|error| wrong(number, error))?;
        for (number, line) in lines {
            book.model.push(serde_json::from_str(line).map_err(|error| wrong(number, error))?);
        }
        Ok(book)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShelf {
    pub name: String,
    pub fees: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    pub vendor: String,
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub prefixes: Vec<String>,
    #[serde(default)]
    pub suffixes: Vec<String>,
    /// Regular expressions for the whole name.
    #[serde(default)]
    pub patterns: Vec<String>,
    #[serde(default)]
    pub limits: RawLimits,
    #[serde(default)]
    pub multipliers: BTreeMap<String, String>,
    #[serde(default)]
    pub fees: BTreeMap<String, String>,
    #[serde(default)]
    pub source: String,
    /// The day on which the source was looked at; the file's own, if unsaid.
    #[serde(default)]
    pub checked: String,
    pub price: Vec<RawSchedule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub context: Option<u64>,
    pub input: Option<u64>,
    pub output: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    pub from: Option<String>,
    pub until: Option<String>,
    pub hours: Option<RawHours>,
    pub rates: Vec<RawRates>,
}

/// `{ days = "mon-fri", utc = ["01:00-04:00", "06:00-10:00"], except = ["2026-10-01"] }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHours {
    pub days: Option<String>,
    pub utc: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
}

/// `{ tier = "flex", above = 272000, input = "1", output = "5" }`: what is no word of ours is the name of a kind.
#[derive(Debug, Default)]
pub(super) struct RawRates {
    pub tier: Option<String>,
    pub above: Option<u64>,
    /// As `above`, for vendors whose step begins at the threshold itself.
    pub at_least: Option<u64>,
    pub scope: Option<String>,
    pub rates: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for RawRates {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(RatesVisitor)
    }
}

struct RatesVisitor;

impl<'de> Visitor<'de> for RatesVisitor {
    type Value = RawRates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of rates, such as { input = \"2\", output = \"8\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRates, A::Error> {
        let mut raw = RawRates::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tier" => raw.tier = Some(map.next_value()?),
                "above" => raw.above = Some(map.next_value()?),
                "at_least" => raw.at_least = Some(map.next_value()?),
                "scope" => raw.scope = Some(map.next_value()?),
                _ => {
                    let value: String =
                        map.next_value().map_err(|error| A::Error::custom(format!("`{key}`: {error}")))?;
                    raw.rates.push((key, value));
                }
            }
        }
        Ok(raw)
    }
}
