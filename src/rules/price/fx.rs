//! Currencies: how many minor units make one, and what one is worth in USD by a dated table. Integers only, rounded up.
//! A currency that the table does not have has no worth here; the caller refuses it or takes the policy's ceiling.

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
    /// Pico-dollars for one unit, by lower-case code.
    rates: HashMap<Box<str>, u64>,
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
            let rate = check.decimal(|| format!("usd_per_unit.{currency}"), text, 12);
            self.rates.insert(currency.to_ascii_lowercase().into(), rate);
        }
    }

    /// An amount in minor units, in USD; `None` for an unknown currency.
    pub fn usd(&self, minor: u64, currency: &str) -> Option<PicoUsd> {
        let rate = *self.rates.get(currency.to_ascii_lowercase().as_str())?;
        let pico = u128::from(minor) * u128::from(rate);
        Some(PicoUsd(pico.div_ceil(10u128.pow(decimals(currency)))))
    }

    /// The same with the margin, for a hold. USD needs none.
    pub fn bound(&self, minor: u64, currency: &str) -> Option<PicoUsd> {
        let mid = self.usd(minor, currency)?;
        let percent = if currency.eq_ignore_ascii_case("usd") { 100 } else { 100 + u128::from(self.margin_percent) };
        Some(PicoUsd((mid.0 * percent).div_ceil(100)))
    }

    /// An amount of 1e-12 units of a currency, in USD.
    pub fn convert(&self, amount: u128, currency: &str, with_margin: bool) -> Option<PicoUsd> {
        let rate = u128::from(*self.rates.get(currency)?);
        let percent = if currency == "usd" || !with_margin { 100 } else { 100 + u128::from(self.margin_percent) };
        let scaled = amount.saturating_mul(rate).div_ceil(ONE);
        Some(PicoUsd(scaled.saturating_mul(percent).div_ceil(100)))
    }

    /// The same for an amount whose currency is not known: the dearest minor unit of the table.
    pub fn dearest(&self, minor: u64) -> Option<PicoUsd> {
        self.rates.keys().filter_map(|currency| self.bound(minor, currency)).max()
    }
}
