//! What a written rule must be made of, whichever expression it stands in: pointers into JSON, names of headers, codes of
//! currencies, decimals. Each mistake names its field.

use super::PLACES;
use super::raw::{Mistakes, Rates};
use crate::rules::args::Decimal;

/// A JSON Pointer below the root.
pub(super) fn pointer(text: &str, at: &str, mistakes: &mut Mistakes) {
    if !text.starts_with('/') {
        mistakes.push((at.to_owned(), format!("`{text}` is no pointer: write `/{text}`")));
    }
}

pub(super) fn header(text: &str, at: &str, mistakes: &mut Mistakes) {
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        mistakes.push((at.to_owned(), format!("`{text}` is no header name")));
    }
}

/// Three letters; whether the table of exchange rates has it is seen when it is used.
pub(super) fn currency(text: &str, at: &str, mistakes: &mut Mistakes) -> Box<str> {
    if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
        mistakes.push((at.to_owned(), format!("`{text}` is no currency: write its three letters, such as `eur`")));
    }
    text.to_ascii_lowercase().into()
}

pub(super) fn number(text: Option<&str>, at: &str, mistakes: &mut Mistakes) -> Option<u128> {
    let text = text?;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let found = Decimal::parse(text).filter(|_| plain).and_then(|decimal| decimal.scaled(PLACES));
    let found = found.and_then(|scaled| u128::try_from(scaled).ok());
    if found.is_none() {
        mistakes.push((at.to_owned(), format!("`{text}` is no decimal with at most {PLACES} places, or is too large")));
    }
    found
}

/// All rates of a vendor, used or not.
pub fn rates(rates: &Rates) -> Mistakes {
    let mut mistakes = Mistakes::new();
    for (name, rate) in rates {
        number(rate.usd.as_deref(), &format!("{name}.usd"), &mut mistakes);
    }
    mistakes
}

/// Of nothing the sum is nothing, and the call would be free.
pub(super) fn refuse_empty<T>(items: Option<&[T]>, at: &str, mistakes: &mut Mistakes) {
    if items.is_none_or(<[T]>::is_empty) {
        mistakes.push((at.to_owned(), "the list is empty".to_owned()));
    }
}
