//! Currencies: how many minor units make one, and what one is worth in USD by a dated table. Quotients of integers, rounded up
//! once. A currency that the table does not have has no worth here; the caller refuses it or takes the policy's ceiling.

pub mod ecb;
mod rate;

pub use rate::Rate;

use std::collections::HashMap;

use super::check::Check;
use super::raw::RawBook;
use crate::units::money::PicoUsd;

/// One unit, in the scale of a rate.
const ONE: u128 = 1_000_000_000_000;

/// The dated table.
#[derive(Debug, Default)]
pub struct Fx {
    pub as_of: String,
    /// Added to a hold in another currency than USD, because rates move before the vendor's own conversion.
    margin_percent: u32,
    /// By lower-case code.
    rates: HashMap<Box<str>, Rate>,
    /// Of which day each of them is, where its file says so.
    days: HashMap<Box<str>, Box<str>>,
}

/// How many decimals an amount in minor units has, as Stripe's API counts them.
pub fn decimals(currency: &str) -> u32 {
    match currency.to_ascii_lowercase().as_str() {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv" | "xaf"
        | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        // ISK and UGX have no minor unit any more, but the API still writes them with two decimals.
        _ => 2,
    }
}

impl Fx {
    pub(super) fn add(&mut self, raw: &RawBook, check: &mut Check<'_>) {
        if let Some(as_of) = &raw.as_of {
            self.as_of.clone_from(as_of);
        }
        self.margin_percent = raw.margin_percent.unwrap_or(self.margin_percent);
        for (currency, text) in &raw.usd_per_unit {
            let Some(rate) = Rate::parse(text) else {
                let why =
                    format!("`{text}` is no rate above zero: write `0.0063`, or dollars and units: `1.1172/175.68`");
                check.wrong(format!("usd_per_unit.{currency}"), why);
                continue;
            };
            let code: Box<str> = currency.to_ascii_lowercase().into();
            self.days.insert(code.clone(), raw.as_of.as_deref().unwrap_or_default().into());
            self.rates.insert(code, rate);
        }
    }

    /// All currencies, by their codes.
    pub fn rates(&self) -> impl Iterator<Item = (&str, Rate)> {
        let mut rates: Vec<_> = self.rates.iter().map(|(code, rate)| (&**code, *rate)).collect();
        rates.sort_unstable_by_key(|(code, _)| *code);
        rates.into_iter()
    }

    /// The day of a currency's rate; empty if its file says none.
    pub fn day(&self, currency: &str) -> &str {
        self.days.get(currency.to_ascii_lowercase().as_str()).map_or("", |day| &**day)
    }

    pub fn knows(&self, currency: &str) -> bool {
        self.rate(currency).is_some()
    }

    fn rate(&self, currency: &str) -> Option<Rate> {
        self.rates.get(currency.to_ascii_lowercase().as_str()).copied()
    }

    pub fn margin_percent(&self) -> u32 {
        self.margin_percent
    }

    /// An amount in minor units, in USD; `None` for an unknown currency.
    pub fn usd(&self, minor: u64, currency: &str) -> Option<PicoUsd> {
        Some(self.rate(currency)?.of(minor.into(), minor_units(currency), 100))
    }

    /// The same with the margin, for a hold. USD needs none.
    pub fn bound(&self, minor: u64, currency: &str) -> Option<PicoUsd> {
        Some(self.rate(currency)?.of(minor.into(), minor_units(currency), self.percent(currency)))
    }

    /// An amount of 1e-12 units of a currency, in USD.
    pub fn convert(&self, amount: u128, currency: &str, with_margin: bool) -> Option<PicoUsd> {
        let percent = if with_margin { self.percent(currency) } else { 100 };
        Some(self.rate(currency)?.of(amount, ONE, percent))
    }

    fn percent(&self, currency: &str) -> u128 {
        if currency.eq_ignore_ascii_case("usd") { 100 } else { 100 + u128::from(self.margin_percent) }
    }

    /// The same for an amount whose currency is not known: the dearest minor unit of the table.
    pub fn dearest(&self, minor: u64) -> Option<PicoUsd> {
        self.rates.keys().filter_map(|currency| self.bound(minor, currency)).max()
    }
}

fn minor_units(currency: &str) -> u128 {
    10u128.pow(decimals(currency))
}
