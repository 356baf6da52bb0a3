//! Words that go into a row and come from elsewhere: of a caller, a vendor, a library. Bounded, and without vault keys. A row's own
//! fields are bounded where they are read.

use crate::units::vault_key;

/// Longest reason or error of a row.
const MOST: usize = 1_000;

/// The same words, as far as a row takes them.
pub fn said(words: impl Into<String>) -> String {
    let mut words = vault_key::hidden(words.into());
    if let Some((end, _)) = words.char_indices().nth(MOST) {
        words.truncate(end);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::vault_key::VaultKey;

    #[test]
    fn words_are_bounded_and_hold_no_vault_key() {
        let key = VaultKey::from_random(&[9; 52]).reveal();
        for (words, row) in [
            ("plain".to_owned(), "plain".to_owned()),
            (format!("Bearer {}, {}.", *key, *key), "Bearer vk_…, vk_….".to_owned()),
            (format!("vk_vk_{}", &key[3..]), "vk_vk_…".to_owned()),
            ("vk_ is how keys begin".to_owned(), "vk_ is how keys begin".to_owned()),
            ("é".repeat(MOST + 5), "é".repeat(MOST) + "…"),
            ("é".repeat(MOST), "é".repeat(MOST)),
            (format!("{}{}", "x".repeat(MOST - 9), *key), "x".repeat(MOST - 9) + "vk_…"),
        ] {
            assert_eq!(said(words), row);
        }
    }
}
