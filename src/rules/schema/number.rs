//! Numbers that compare exactly. A schema compares whole numbers of 64 bits as such and all others in binary floating point: decimals
//! of up to 15 digits keep their order there, and none of them falls together with another. So money is exact, and what would not
//! be has no number here.

use crate::rules::args::Decimal;

/// More decimal digits than that could fall together.
const DIGITS: u32 = 15;
/// Far from where such a number would overflow, or sink into zero.
const PLACES: i64 = 280;

/// The number that this text is; `None` if it is none, or none that compares exactly.
pub fn exact(text: &str) -> Option<serde_json::Number> {
    let number = Decimal::parse(text)?;
    let whole = number.scaled(0);
    if let Some(whole) = whole.and_then(|n| u64::try_from(n).ok()) {
        return Some(whole.into());
    }
    if let Some(whole) = whole.and_then(|n| i64::try_from(n).ok()) {
        return Some(whole.into());
    }
    let near = number.digits() <= DIGITS && number.magnitude().abs() <= PLACES;
    near.then(|| serde_json::from_str(text).ok())?
}
