//! The vault key's text form: `vk_<id>_<secret><check>`. Parses and prints it; who holds it stands in the keyring.
//! The id is public. The secret is 160 random bits or more; the check catches typing errors before any look-up.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::ids::{Digest32, KeyId};
use super::secret::Secret;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
pub const PREFIX: &str = "vk_";
const ID_LEN: usize = 12;
const SECRET_LEN: usize = 40;
const CHECK_LEN: usize = 6;
/// Every vault key has this length.
pub const LEN: usize = PREFIX.len() + ID_LEN + 1 + SECRET_LEN + CHECK_LEN;

/// Which bytes stand in `ALPHABET`: asked for each of a key's characters, at every call.
const KNOWN: [bool; 256] = {
    let mut known = [false; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        known[ALPHABET[at] as usize] = true;
        at += 1;
    }
    known
};

/// A well-formed vault key, not yet known to be anybody's.
#[derive(Debug, Clone)]
pub struct VaultKey {
    pub id: KeyId,
    secret: Secret,
}

impl VaultKey {
    /// From random bytes: 12 characters of id, 40 of secret (five bits each).
    pub fn from_random(bytes: &[u8; ID_LEN + SECRET_LEN]) -> Self {
        let text = Zeroizing::new(bytes.iter().map(|b| ALPHABET[usize::from(b & 31)] as char).collect::<String>());
        let (id, secret) = text.split_at(ID_LEN);
        Self { id: KeyId(Arc::from(id)), secret: Secret::new(secret.to_owned()) }
    }

    /// Reads `vk_…`; `None` if the form or the check is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() == LEN && text.is_ascii())?;
        let (id, rest) = rest.split_at(ID_LEN);
        let (secret, check) = rest.strip_prefix('_')?.split_at(SECRET_LEN);
        let known = |s: &str| s.bytes().all(|b| KNOWN[usize::from(b)]);
        if !known(id) || !known(secret) || checksum(id, secret) != check.as_bytes() {
            return None;
        }
        Some(Self { id: KeyId(Arc::from(id)), secret: Secret::new(secret.to_owned()) })
    }

    /// What is stored instead of the secret. One hash suffices: the secret has 200 random bits.
    pub fn hash(&self) -> Digest32 {
        let mut hasher = Sha256::new();
        hasher.update(b"bursar vault key\0");
        hasher.update(self.id.as_str());
        hasher.update(b"\0");
        hasher.update(self.secret.expose());
        Digest32(hasher.finalize().into())
    }

    /// In constant time.
    pub fn matches(&self, stored: &Digest32) -> bool {
        self.hash().0.ct_eq(&stored.0).into()
    }

    /// The whole key, for the one time that it is shown.
    pub fn reveal(&self) -> Zeroizing<String> {
        // The secret was made of ALPHABET, so it is text.
        let secret = std::str::from_utf8(self.secret.expose()).unwrap_or_default();
        let check = checksum(self.id.as_str(), secret);
        Zeroizing::new(format!("{PREFIX}{}_{secret}{}", self.id, std::str::from_utf8(&check).unwrap_or_default()))
    }
}

/// Does this text stand anywhere in these bytes? For a key as it was sent, whose beginning tells it from most texts.
pub fn stands_in(bytes: &[u8], key: &str) -> bool {
    let key = key.as_bytes();
    // A short text is looked for without being prepared first.
    let begun = key.get(..PREFIX.len() + ID_LEN).unwrap_or(key);
    let whole = |at: usize| bytes[at..].starts_with(key);
    !key.is_empty() && bytes.len() >= key.len() && memchr::memmem::find_iter(bytes, begun).any(whole)
}

/// The same text, with no vault key in it.
pub fn hidden(text: String) -> String {
    let key = |at: &usize| text.get(*at..at + LEN).is_some_and(|key| VaultKey::parse(key).is_some());
    let found: Vec<usize> = memchr::memmem::find_iter(text.as_bytes(), PREFIX).filter(key).collect();
    let mut text = text;
    // From behind, so that the places before stay where they are.
    found.into_iter().rev().for_each(|at| text.replace_range(at + PREFIX.len()..at + LEN, "…"));
    text
}

fn checksum(id: &str, secret: &str) -> [u8; CHECK_LEN] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(id.as_bytes());
    crc.update(secret.as_bytes());
    let n = crc.finalize();
    std::array::from_fn(|i| ALPHABET[(n >> (5 * i) & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_a_changed_one_does_not() {
        let bytes = std::array::from_fn(|i| (i as u8).wrapping_mul(7));
        let key = VaultKey::from_random(&bytes);
        let text = key.reveal();
        let read = VaultKey::parse(&text).expect("it was just printed");
        assert_eq!(read.id, key.id);
        assert!(read.matches(&key.hash()));
        for i in 0..text.len() {
            let mut other = text.as_bytes().to_vec();
            other[i] = if other[i] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).expect("ascii");
            assert!(VaultKey::parse(&other).is_none(), "{other}");
        }
        assert!(VaultKey::parse("vk_").is_none() && VaultKey::parse("").is_none());
        assert!(!format!("{key:?}").contains(&text[20..30]));
    }

    #[test]
    fn a_key_is_found_wherever_it_stands() {
        let key = VaultKey::from_random(&[9; 52]).reveal();
        let half = &key[..30];
        for (text, there) in [
            ((*key).to_string(), true),
            (format!("{half}{half}{} more", *key), true),
            (format!("{half}x{}", &key[..LEN - 1]), false),
            (String::new(), false),
        ] {
            assert_eq!(stands_in(text.as_bytes(), &key), there, "{text}");
        }
        assert!(!stands_in(b"vk_", "") && stands_in(b"a vk_1.", "vk_1"));
    }
}
