//! The form of a price file, and its check into rows. Names file and field of every mistake, all at once.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::book::Mistake;
use super::row::{Limits, Rates, Row, STANDARD, Schedule, TIERS, Thousandths, TierRates};
use super::tokens::Kind;
use crate::units::money::{PicoUsd, scaled_decimal};
use crate::units::time::Timestamp;

/// A price file: the shipped book, the shipped currencies, or the operator's own on top.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBook {
    #[serde(default)]
    pub checked: String,
    #[serde(default)]
    pub vendor: Vec<RawShelf>,
    #[serde(default)]
    pub model: Vec<RawModel>,
    pub as_of: Option<String>,
    pub margin_percent: Option<u32>,
    #[serde(default)]
    pub usd_per_unit: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShelf {
    pub name: String,
    pub fees: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    pub vendor: String,
    #[serde(default)]
    pub names: Vec<String>,
    #[serde(default)]
    pub prefixes: Vec<String>,
    #[serde(default)]
    pub limits: RawLimits,
    #[serde(default)]
    pub multipliers: BTreeMap<String, String>,
    #[serde(default)]
    pub fees: BTreeMap<String, String>,
    #[serde(default)]
    pub source: String,
    pub price: Vec<RawSchedule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    context: Option<u64>,
    input: Option<u64>,
    output: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    from: Option<String>,
    until: Option<String>,
    rates: Vec<RawRates>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRates {
    tier: Option<String>,
    #[serde(default)]
    above: u64,
    input: String,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_long: Option<String>,
    output: Option<String>,
    audio_input: Option<String>,
    audio_cached: Option<String>,
    audio_output: Option<String>,
    image_input: Option<String>,
    image_cached: Option<String>,
    image_output: Option<String>,
}

/// What prices are multiplied by, where a call meets it.
const MULTIPLIERS: [&str; 4] = ["geo.us", "host.eu", "host.us", "speed.fast"];

/// Collects mistakes of one file.
pub(super) struct Check<'a> {
    pub file: &'a str,
    pub mistakes: &'a mut Vec<Mistake>,
}

impl Check<'_> {
    pub fn wrong(&mut self, field: String, problem: impl Into<String>) {
        self.mistakes.push(Mistake { file: self.file.to_owned(), field, problem: problem.into() });
    }

    /// A decimal as an integer of `10^-places`; zero, and a mistake, if it is none.
    pub fn decimal(&mut self, field: impl Fn() -> String, text: &str, places: usize) -> u64 {
        scaled_decimal(text, places).unwrap_or_else(|| {
            self.wrong(field(), format!("`{text}` is no decimal with at most {places} places"));
            0
        })
    }

    fn day(&mut self, field: impl Fn() -> String, text: &str) -> Option<Timestamp> {
        let instant = format!("{text}T00:00:00Z").parse().ok();
        if instant.is_none() {
            self.wrong(field(), format!("`{text}` is no day: write 2026-11-19"));
        }
        instant
    }

    /// USD each, as pico-dollars.
    pub fn fees(&mut self, at: &str, fees: &BTreeMap<String, String>) -> Vec<(Box<str>, PicoUsd)> {
        let fee = |(name, text): (&String, &String)| {
            let pico = self.decimal(|| format!("{at}.fees.{name}"), text, 12);
            (name.as_str().into(), PicoUsd(u128::from(pico)))
        };
        fees.iter().map(fee).collect()
    }

    fn multipliers(&mut self, at: &str, raw: &BTreeMap<String, String>) -> Vec<(Box<str>, Thousandths)> {
        let one = |(name, text): (&String, &String)| {
            if !MULTIPLIERS.contains(&name.as_str()) {
                self.wrong(
                    format!("{at}.multipliers.{name}"),
                    format!("no such factor; there are {}", MULTIPLIERS.join(", ")),
                );
            }
            let thousandths = self.decimal(|| format!("{at}.multipliers.{name}"), text, 3);
            (name.as_str().into(), Thousandths::try_from(thousandths).unwrap_or(Thousandths::MAX))
        };
        raw.iter().map(one).collect()
    }

    fn schedule(&mut self, at: &str, raw: &RawSchedule) -> Schedule {
        let from = raw.from.as_deref().and_then(|day| self.day(|| format!("{at}.from"), day));
        let until = raw.until.as_deref().and_then(|day| self.day(|| format!("{at}.until"), day));
        if !raw.rates.iter().any(|r| r.above == 0 && r.tier.as_deref().is_none_or(|t| t == STANDARD)) {
            self.wrong(format!("{at}.rates"), "the standard tier is missing");
        }
        let tiers = raw.rates.iter().enumerate().map(|(i, r)| self.tier(&format!("{at}.rates[{i}]"), r)).collect();
        Schedule { from: from.unwrap_or(Timestamp(i64::MIN)), until, tiers }
    }

    fn tier(&mut self, at: &str, raw: &RawRates) -> TierRates {
        let mut rates = Rates::default();
        for (kind, name, text) in raw.by_kind() {
            // USD per million tokens is micro-dollars per token: six places down from there is 1e-12.
            rates.set(kind, text.map(|text| self.decimal(|| format!("{at}.{name}"), text, 6)));
        }
        let tier = raw.tier.as_deref().unwrap_or(STANDARD);
        if !TIERS.contains(&tier) {
            self.wrong(format!("{at}.tier"), format!("`{tier}` is none of {}", TIERS.join(", ")));
        }
        TierRates { tier: tier.into(), above: raw.above, rates }
    }
}

impl RawRates {
    fn by_kind(&self) -> [(Kind, &'static str, Option<&str>); 11] {
        [
            (Kind::Input, "input", Some(&self.input)),
            (Kind::CacheRead, "cache_read", self.cache_read.as_deref()),
            (Kind::CacheWrite, "cache_write", self.cache_write.as_deref()),
            (Kind::CacheWriteLong, "cache_write_long", self.cache_write_long.as_deref()),
            (Kind::Output, "output", self.output.as_deref()),
            (Kind::AudioInput, "audio_input", self.audio_input.as_deref()),
            (Kind::AudioCached, "audio_cached", self.audio_cached.as_deref()),
            (Kind::AudioOutput, "audio_output", self.audio_output.as_deref()),
            (Kind::ImageInput, "image_input", self.image_input.as_deref()),
            (Kind::ImageCached, "image_cached", self.image_cached.as_deref()),
            (Kind::ImageOutput, "image_output", self.image_output.as_deref()),
        ]
    }
}

impl RawModel {
    /// The row, with the vendor's fees where it names none of its own.
    pub fn row(&self, at: &str, checked: &str, vendor_fees: &[(Box<str>, PicoUsd)], check: &mut Check<'_>) -> Row {
        let Some(id) = self.names.first().or(self.prefixes.first()) else {
            check.wrong(format!("{at}.names"), "a model needs a name or a prefix");
            return self.named("", checked, Vec::new(), Vec::new(), Vec::new());
        };
        let schedules =
            self.price.iter().enumerate().map(|(i, s)| check.schedule(&format!("{at}.price[{i}]"), s)).collect();
        let mut fees = check.fees(at, &self.fees);
        fees.extend(vendor_fees.iter().filter(|(name, _)| !self.fees.contains_key(&**name)).cloned());
        let multipliers = check.multipliers(at, &self.multipliers);
        self.named(id, checked, schedules, multipliers, fees)
    }

    fn named(
        &self,
        id: &str,
        checked: &str,
        schedules: Vec<Schedule>,
        multipliers: Vec<(Box<str>, Thousandths)>,
        fees: Vec<(Box<str>, PicoUsd)>,
    ) -> Row {
        let RawLimits { context, input, output } = self.limits;
        let limits = Limits { context, input, output };
        Row {
            id: id.into(),
            limits,
            source: self.source.as_str().into(),
            checked: checked.into(),
            schedules,
            multipliers,
            fees,
        }
    }
}
