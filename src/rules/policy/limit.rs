//! Limits as people write them: `500 USD`, `200 calls`, `2M tokens`, `500 risk`, and with a window `50 USD/day`.
//! Knows no accounts; `model` and `overlay` do.

use crate::rules::ledger::account::{Scope, Shape};
use crate::units::amount::Unit;
use crate::units::money::{MAX_AMOUNT, PER_USD};
use crate::units::time::Window;

/// What a budget is per: a scope with an account, or one call, which has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Scope(Scope),
    Call,
}

impl Per {
    pub fn parse(text: &str) -> Option<Self> {
        let scope = || Scope::ALL.into_iter().find(|s| s.as_str() == text).map(Self::Scope);
        if text == "call" { Some(Self::Call) } else { scope() }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scope(scope) => scope.as_str(),
            Self::Call => "call",
        }
    }
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    #[error("`{0}` is no limit: write a number and a unit, such as `500 USD`, `200 calls`, `2M tokens` or `500 risk`")]
    Form(String),
    #[error("`{0}` is finer or larger than can be counted: at most eight decimals in USD, whole numbers otherwise")]
    Range(String),
    #[error("`{0}` names no window: write `/minute`, `/hour`, `/day`, `/month` or `/total`")]
    Window(String),
    #[error("`{0}`: what may be in flight at once is one call or more: write `5 calls at once`")]
    AtOnce(String),
}

/// How a limit on calls in flight ends.
const AT_ONCE: &str = "at once";

/// Reads `500 USD`, in the base units of its unit (micro-cents for money).
pub fn parse_limit(text: &str) -> Result<(Unit, u64), BadLimit> {
    let form = || BadLimit::Form(text.to_owned());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_'))).ok_or_else(form)?;
    let (number, rest) = trimmed.split_at(split);
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(form());
    }
    let (factor, rest) = suffix(rest);
    let unit = unit(rest.trim_start()).ok_or_else(form)?;
    let amount = scaled(number, factor, unit).ok_or_else(|| BadLimit::Range(text.to_owned()))?;
    Ok((unit, amount))
}

/// Reads `50 USD`, or `5 calls at once`, which names its window: as long as calls are in flight.
pub fn parse_amount(text: &str) -> Result<(Unit, u64, Option<Window>), BadLimit> {
    let Some(limit) = text.trim().strip_suffix(AT_ONCE) else {
        return parse_limit(text).map(|(unit, amount)| (unit, amount, None));
    };
    match parse_limit(limit.trim_end())? {
        (Unit::Calls, amount) if amount > 0 => Ok((Unit::Calls, amount, Some(Window::Flight))),
        _ => Err(BadLimit::AtOnce(text.to_owned())),
    }
}

/// Reads `50 USD/day`, or `5 calls at once`; without a window the budget is for good.
pub fn parse_budget(text: &str) -> Result<(Unit, u64, Window), BadLimit> {
    let Some((limit, window)) = text.split_once('/') else {
        return parse_amount(text).map(|(unit, amount, window)| (unit, amount, window.unwrap_or(Window::Total)));
    };
    let known = Window::named().find(|w| w.as_str() == window.trim());
    let (unit, amount) = parse_limit(limit)?;
    Ok((unit, amount, known.ok_or_else(|| BadLimit::Window(text.to_owned()))?))
}

/// An amount in the words that `parse_amount` reads.
pub fn amount_text(shape: &Shape, amount: u64) -> String {
    let shown = shape.unit.show(amount);
    if shape.window.keeps_charges() { shown } else { format!("{shown} {AT_ONCE}") }
}

/// `k` or `M` directly behind the number.
fn suffix(rest: &str) -> (u64, &str) {
    let mut chars = rest.chars();
    let factor = match chars.next() {
        Some('k' | 'K') => 1_000,
        Some('M') => 1_000_000,
        _ => return (1, rest),
    };
    // `2 Money` or `5kilo` is no suffix: a space or the end follows one.
    if chars.clone().next().is_none_or(|c| c == ' ') { (factor, chars.as_str()) } else { (1, rest) }
}

fn unit(text: &str) -> Option<Unit> {
    match text {
        "USD" | "usd" | "$" => Some(Unit::Usd),
        "tokens" | "token" => Some(Unit::Tokens),
        "calls" | "call" => Some(Unit::Calls),
        "risk" | "risk points" | "points" => Some(Unit::Risk),
        _ => None,
    }
}

/// Exact, or nothing: `1.5M tokens` is whole once the factor is in, `1.5 tokens` is not.
fn scaled(number: &str, factor: u64, unit: Unit) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.replace('_', "").parse::<u64>().ok();
    let places = u32::try_from(part.replace('_', "").len()).ok().filter(|n| *n <= 9)?;
    let fine = u128::from(digits(whole)?) * 10u128.pow(places) + u128::from(digits(part)?);
    let base = if unit == Unit::Usd { PER_USD } else { 1 };
    let exact = fine.checked_mul(u128::from(factor) * u128::from(base))?;
    let amount = (exact % 10u128.pow(places) == 0).then_some(exact / 10u128.pow(places))?;
    u64::try_from(amount).ok().filter(|n| *n <= MAX_AMOUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_people_write_them() {
        for (text, unit, amount) in [
            ("500 USD", Unit::Usd, 500 * PER_USD),
            ("0.01 USD", Unit::Usd, PER_USD / 100),
            ("1.5k USD", Unit::Usd, 1_500 * PER_USD),
            ("200 calls", Unit::Calls, 200),
            ("1 call", Unit::Calls, 1),
            ("2M tokens", Unit::Tokens, 2_000_000),
            ("1.5M tokens", Unit::Tokens, 1_500_000),
            ("10_000 tokens", Unit::Tokens, 10_000),
            ("500_000_000 tokens", Unit::Tokens, 500_000_000),
            ("500 risk", Unit::Risk, 500),
            (" 7 USD ", Unit::Usd, 7 * PER_USD),
        ] {
            assert_eq!(parse_limit(text), Ok((unit, amount)), "{text}");
        }
        for bad in [
            "",
            "USD",
            "-5 USD",
            "5",
            "5 EUR",
            "1.5 tokens",
            "5 kUSD",
            "1e3 USD",
            "0.000000001 USD",
            "1.2.3 USD",
            "1. USD",
            "99999999999 USD",
            "18446744073709551615.000000001M USD",
        ] {
            assert!(parse_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_budget_may_name_its_window() {
        assert_eq!(parse_budget("50 USD/day"), Ok((Unit::Usd, 50 * PER_USD, Window::Day)));
        assert_eq!(parse_budget("50 USD / hour"), Ok((Unit::Usd, 50 * PER_USD, Window::Hour)));
        assert_eq!(parse_budget("9 calls"), Ok((Unit::Calls, 9, Window::Total)));
        assert!(parse_budget("50 USD/week").is_err() && parse_budget("50 USD/").is_err());
        assert_eq!(parse_budget("5 calls at once"), Ok((Unit::Calls, 5, Window::Flight)));
        for bad in ["5 USD at once", "0 calls at once", "5 calls at once/day", "5 calls/flight", "at once"] {
            assert!(parse_budget(bad).is_err(), "{bad}");
        }
    }
}
