//! A secret that cannot be printed, compared in variable time or left in freed memory. Knows nothing of where it came from.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that must not leave: no `Display`, no `Serialize`, and a `Debug` that says nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }

    /// The bytes themselves. Callers: the hash of a vault key, and the header that carries a credential.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Would this break out of a header line, or is it unreadable there?
    pub fn fits_a_header(&self) -> bool {
        !self.is_empty() && self.0.iter().all(|b| (0x21..=0x7e).contains(b))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let s = Secret::new("sk-live-1234".to_owned());
        assert_eq!(format!("{s:?}"), "Secret(…)");
        assert!(s == Secret::new("sk-live-1234".to_owned()) && s != Secret::new("sk-live-1235".to_owned()));
        assert!(s.fits_a_header() && !Secret::new("a\r\nb".to_owned()).fits_a_header());
    }
}
