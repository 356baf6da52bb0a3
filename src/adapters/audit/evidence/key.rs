//! The key that signs checkpoints: one file, made at first start, its owner's alone. It cannot be printed. A rotation writes the next key beside it first, and moves it into place once the old one has named it.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::adapters::keyring::secrets::{
    SecretError, closed_folder, file_error, random_hex, read_or_make, write_private,
};
use crate::rules::evidence::{PublicKey, Signature};
use crate::units::ids::Digest32;

/// Signs. What it prints is its public half.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public)
    }
}

impl SigningKey {
    /// From 32 bytes that are as good as random.
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = PublicKey(Digest32(pair.public_key().as_ref().try_into().ok()?));
        Some(Self { pair, public })
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub fn sign(&self, text: &str) -> Signature {
        let mut bytes = [0; 64];
        // Ed25519 signatures have 64 bytes.
        bytes.copy_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        Signature(bytes)
    }
}

/// Where the key lies.
#[derive(Clone, Debug)]
pub struct KeyFile {
    now: PathBuf,
    next: PathBuf,
}

impl KeyFile {
    /// Where the operator says, or `data/secrets/checkpoint.key`.
    pub fn new(data: &Path, own: Option<&Path>) -> Self {
        let now = own.map_or_else(|| data.join("secrets/checkpoint.key"), Path::to_owned);
        Self { next: now.with_extension("next-key"), now }
    }

    /// Reads the key, or makes it. `expected` is who signs by the last checkpoint: a rotation that was cut off behind it is
    /// finished here.
    pub fn open(&self, expected: Option<PublicKey>) -> Result<SigningKey, SecretError> {
        let folder = self.now.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists());
        folder.map_or(Ok(()), |f| closed_folder(f).map_err(|e| file_error(f, e)))?;
        let fresh = random_hex()?;
        let (text, made) = read_or_make(&self.now, || fresh)?;
        let key = parse(&self.now, &text)?;
        self.is_private();
        let Some(expected) = expected.filter(|e| *e != key.public()) else { return Ok(key) };
        if let Some(next) = self.waiting()?.filter(|next| next.public() == expected) {
            self.promote()?;
            return Ok(next);
        }
        let what = if made { "is gone, and a new one was made" } else { "is another one" };
        tracing::error!(
            was = %expected, now = %key.public(),
            "the key that signed the last checkpoint {what}: whoever verifies the books must be given both public keys"
        );
        Ok(key)
    }

    /// The key that signs by the last checkpoint, if it lies here. Nothing is made or moved: another process may be about to.
    pub fn find(&self, signs: PublicKey) -> Result<Option<SigningKey>, SecretError> {
        let now = match std::fs::read_to_string(&self.now).map(Zeroizing::new) {
            Ok(text) => Some(parse(&self.now, text.trim())?),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(file_error(&self.now, e)),
        };
        let ours = |key: &SigningKey| key.public() == signs;
        Ok(now.filter(ours).map_or_else(|| self.waiting(), |key| Ok(Some(key)))?.filter(ours))
    }

    /// A key that others may read is used all the same: without one nothing would be signed at all.
    fn is_private(&self) {
        let mode = self.now.metadata().map(|m| m.permissions().mode() & 0o077);
        if mode.is_ok_and(|others| others != 0) {
            let path = self.now.display();
            tracing::warn!(%path, "others may read the key that signs checkpoints: `chmod 600` it, then `bursar audit key rotate`");
        }
    }

    fn waiting(&self) -> Result<Option<SigningKey>, SecretError> {
        match std::fs::read_to_string(&self.next).map(Zeroizing::new) {
            Ok(text) => parse(&self.next, text.trim()).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(file_error(&self.next, e)),
        }
    }

    /// Makes the next key, durable on the disk.
    pub(super) fn prepare(&self) -> Result<SigningKey, SecretError> {
        let text = random_hex()?;
        write_private(&self.next, text.as_bytes()).map_err(|e| file_error(&self.next, e))?;
        parse(&self.next, &text)
    }

    /// The next key is the key now.
    pub(super) fn promote(&self) -> Result<(), SecretError> {
        std::fs::rename(&self.next, &self.now).map_err(|e| file_error(&self.now, e))
    }
}

fn parse(path: &Path, text: &str) -> Result<SigningKey, SecretError> {
    let seed: Digest32 = text.parse().map_err(|_| file_error(path, "it is no key: 64 hex digits"))?;
    let seed = Zeroizing::new(seed.0);
    SigningKey::from_seed(&seed).ok_or_else(|| file_error(path, "it is no key"))
}
