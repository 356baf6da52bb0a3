//! Checks a price file into rows. Names file and field of every mistake, all at once. The form is `raw`'s.

mod hours;

use std::collections::BTreeMap;

use super::book::Mistake;
use super::rates::Limits;
use super::raw::{RawLimits, RawModel, RawRates, RawSchedule};
use super::row::{Row, TIERS, Thousandths};
use super::schedule::{STANDARD, Schedule, Scope, TierRates};
use super::tokens::{Kind, Measure};
use crate::units::money::{PicoUsd, scaled_decimal};
use crate::units::time::Timestamp;

/// What prices are multiplied by, where a call meets it.
pub(super) const MULTIPLIERS: [&str; 7] =
    ["geo.us", "geo.eu", "host.eu", "host.us", "host.regional", "speed.fast", "speed.ultrafast"];

/// Fees by name.
pub(super) type Fees = Vec<(Box<str>, PicoUsd)>;

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

    /// A day, which begins at midnight UTC, or an instant.
    fn day(&mut self, field: impl Fn() -> String, text: &str) -> Option<Timestamp> {
        let instant = format!("{text}T00:00:00Z").parse().or_else(|_| text.parse()).ok();
        if instant.is_none() {
            self.wrong(field(), format!("`{text}` is no day: write 2026-11-19, or 2026-11-19T16:00:00Z"));
        }
        instant
    }

    /// USD each, as pico-dollars.
    pub fn fees(&mut self, at: &str, fees: &BTreeMap<String, String>) -> Fees {
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
        if !raw.rates.iter().any(|r| r.is_base() && r.tier.as_deref().is_none_or(|t| t == STANDARD)) {
            self.wrong(format!("{at}.rates"), "the standard tier is missing");
        }
        let tiers = raw.rates.iter().enumerate().map(|(i, r)| self.tier(&format!("{at}.rates[{i}]"), r)).collect();
        let hours = raw.hours.as_ref().map(|hours| self.hours(&format!("{at}.hours"), hours));
        Schedule { from: from.unwrap_or(Timestamp(i64::MIN)), until, hours, tiers }
    }

    fn tier(&mut self, at: &str, raw: &RawRates) -> TierRates {
        let rates =
            raw.rates.iter().filter_map(|(name, text)| self.rate(&format!("{at}.{name}"), name, text)).collect();
        let tier = raw.tier.as_deref().unwrap_or(STANDARD);
        if !TIERS.contains(&tier) {
            self.wrong(format!("{at}.tier"), format!("`{tier}` is none of {}", TIERS.join(", ")));
        }
        let scope = match raw.scope.as_deref() {
            None | Some("whole") => Scope::Whole,
            Some("above") => Scope::Above,
            Some(other) => {
                self.wrong(format!("{at}.scope"), format!("`{other}` is neither `whole` nor `above`"));
                Scope::Whole
            }
        };
        if raw.above.is_some() && raw.at_least.is_some() {
            self.wrong(format!("{at}.at_least"), "it stands beside `above`: write one of them");
        }
        TierRates { tier: tier.into(), above: raw.threshold(), scope, rates }
    }

    /// USD per million tokens or characters, per second (`0.006/minute`, `0.36/hour`), or for one.
    fn rate(&mut self, at: &str, name: &str, text: &str) -> Option<(Kind, u64)> {
        let Some(kind) = Kind::named(name) else {
            let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            self.wrong(at.to_owned(), format!("nothing is charged by `{name}`; there are {}", kinds.join(", ")));
            return None;
        };
        let field = || at.to_owned();
        let rate = match kind.measure() {
            // So many micro-dollars for one: six places down from there is 1e-12.
            Measure::Tokens | Measure::Characters => self.decimal(field, text, 6),
            Measure::Each => self.decimal(field, text, 12),
            Measure::Time => self.hourly(at, text),
        };
        Some((kind, rate))
    }

    fn hourly(&mut self, at: &str, text: &str) -> u64 {
        let (price, unit) = text.split_once('/').unwrap_or((text, "second"));
        let times = match unit {
            "second" => 3600,
            "minute" => 60,
            "hour" => 1,
            other => {
                self.wrong(at.to_owned(), format!("`{other}` is none of second, minute, hour"));
                return 0;
            }
        };
        self.decimal(|| at.to_owned(), price, 12).saturating_mul(times)
    }
}

impl RawRates {
    pub fn threshold(&self) -> u64 {
        self.at_least.map_or(0, |least| least.saturating_sub(1)).max(self.above.unwrap_or(0))
    }

    fn is_base(&self) -> bool {
        self.threshold() == 0
    }
}

impl RawModel {
    /// The row, with the vendor's fees where it names none of its own.
    pub fn row(&self, at: &str, checked: &str, vendor_fees: &Fees, check: &mut Check<'_>) -> Row {
        let lists = [&self.names, &self.prefixes, &self.suffixes, &self.patterns];
        let id = lists.into_iter().flatten().next().map_or("", String::as_str);
        if id.is_empty() {
            check.wrong(format!("{at}.names"), "a model needs a name, or a prefix, suffix or pattern of its names");
        }
        let schedules =
            self.price.iter().enumerate().map(|(i, s)| check.schedule(&format!("{at}.price[{i}]"), s)).collect();
        let mut fees = check.fees(at, &self.fees);
        fees.extend(vendor_fees.iter().filter(|(name, _)| !self.fees.contains_key(&**name)).cloned());
        let multipliers = check.multipliers(at, &self.multipliers);
        let RawLimits { context, input, output } = self.limits;
        Row {
            id: id.into(),
            limits: Limits { context, input, output },
            source: self.source.as_str().into(),
            checked: if self.checked.is_empty() { checked } else { &self.checked }.into(),
            schedules,
            multipliers,
            fees,
        }
    }
}
