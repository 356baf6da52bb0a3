//! A row back in the form of a price file, one JSON object: what an update writes, and what `prices show` prints. `raw` reads it.

use serde_json::{Map, Value, json};

use super::row::Row;
use super::schedule::{Hours, STANDARD, Schedule, Scope, TierRates};
use super::tokens::{Kind, Measure};
use crate::units::time::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MICROS: i64 = 86_400_000_000;

/// `n` times `10^-places`, in plain digits.
pub(super) fn decimal(n: u128, places: u32) -> String {
    let one = 10_u128.pow(places);
    let part = format!("{:0width$}", n % one, width = places as usize);
    let part = part.trim_end_matches('0');
    let whole = n / one;
    if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") }
}

/// A rate as price files write it.
pub(super) fn rate(kind: Kind, pico: u64) -> String {
    match kind.measure() {
        Measure::Tokens | Measure::Characters => decimal(pico.into(), 6),
        Measure::Each => decimal(pico.into(), 12),
        Measure::Time => format!("{}/hour", decimal(pico.into(), 12)),
    }
}

/// Days as days, other instants whole.
pub(super) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    text.strip_suffix("T00:00:00Z").map(str::to_owned).unwrap_or(text)
}

impl Row {
    /// The row under these names.
    pub fn to_json(&self, vendor: &str, names: &[&str]) -> Value {
        let limits = [("context", self.limits.context), ("input", self.limits.input), ("output", self.limits.output)];
        let limits: Map<_, _> = limits.into_iter().filter_map(|(name, n)| Some((name.to_owned(), n?.into()))).collect();
        let factors = self.multipliers.iter().map(|(name, n)| (name.to_string(), decimal((*n).into(), 3).into()));
        let fees = self.fees.iter().map(|(name, fee)| (name.to_string(), decimal(fee.0, 12).into()));
        json!({
            "vendor": vendor,
            "names": names,
            "limits": limits,
            "multipliers": factors.collect::<Map<_, _>>(),
            "fees": fees.collect::<Map<_, _>>(),
            "source": self.source,
            "checked": self.checked,
            "price": self.schedules.iter().map(schedule).collect::<Vec<_>>(),
        })
    }

    /// Which schedule holds at a moment, from 0.
    pub fn schedule_at(&self, at: Timestamp) -> Option<usize> {
        self.schedule(at).map(|(number, _)| number)
    }
}

fn schedule(schedule: &Schedule) -> Value {
    let mut found = Map::new();
    if schedule.from.0 != i64::MIN {
        found.insert("from".to_owned(), instant(schedule.from).into());
    }
    if let Some(until) = schedule.until {
        found.insert("until".to_owned(), instant(until).into());
    }
    if let Some(hours) = &schedule.hours {
        found.insert("hours".to_owned(), week(hours));
    }
    found.insert("rates".to_owned(), schedule.tiers.iter().map(tier).collect::<Vec<_>>().into());
    found.into()
}

fn week(hours: &Hours) -> Value {
    let days: Vec<_> = DAYS.into_iter().zip(hours.days).filter(|(_, on)| *on).map(|(day, _)| day).collect();
    let minute = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
    let spans: Vec<_> =
        hours.spans.iter().map(|(from, until)| format!("{}-{}", minute(*from), minute(*until))).collect();
    let except: Vec<_> = hours.except.iter().map(|day| instant(Timestamp(day * DAY_MICROS))).collect();
    json!({ "days": days.join(","), "utc": spans, "except": except })
}

fn tier(tier: &TierRates) -> Value {
    let mut found = Map::new();
    if *tier.tier != *STANDARD {
        found.insert("tier".to_owned(), (*tier.tier).into());
    }
    if tier.above > 0 {
        found.insert("above".to_owned(), tier.above.into());
    }
    if tier.scope == Scope::Above {
        found.insert("scope".to_owned(), "above".into());
    }
    found.extend(tier.rates.iter().map(|(kind, pico)| (kind.name().to_owned(), rate(*kind, *pico).into())));
    found.into()
}
