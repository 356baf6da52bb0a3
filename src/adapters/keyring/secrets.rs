//! The files of the data folder that hold one secret each, and the folder itself: made at first start, readable by their
//! owner alone. The admin token is kept as a hash once it was read; the key of body hashes never leaves this module.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::units::ids::Digest32;
use crate::units::secret::Secret;

/// Why a secret file is unusable.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error(
        "the admin token is {0}: set a random one of at least {MIN_TOKEN} characters, or none and bursar makes one"
    )]
    WeakToken(&'static str),
}

pub(in crate::adapters) fn file_error(path: &Path, why: impl std::fmt::Display) -> SecretError {
    SecretError::File { path: path.display().to_string(), why: why.to_string() }
}

/// The data folder: made if missing, and closed to everybody but its owner. A folder that others use is left as it is.
pub fn data_folder(dir: &Path) -> Result<(), SecretError> {
    let said = |e: std::io::Error| file_error(dir, format!("this data folder cannot be used: {e}"));
    if foreign(dir).map_err(said)? {
        let why =
            "it holds other files and is open to others; a data folder is bursar's alone: name a new or an empty one";
        return Err(file_error(dir, why));
    }
    closed_folder(dir).map_err(said)
}

pub(in crate::adapters) fn closed_folder(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// Closing `/tmp`, or somebody's home, would break more than bursar.
fn foreign(dir: &Path) -> std::io::Result<bool> {
    let ours = ["keys.db", "books.db"].iter().any(|file| dir.join(file).exists());
    let open = match dir.metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        found => found?.permissions().mode() & 0o077 != 0,
    };
    if ours || !open {
        return Ok(false);
    }
    // A fresh file system has the one folder.
    let names = std::fs::read_dir(dir)?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().any(|name| name != "lost+found"))
}

/// Reads a secret file, or makes it with `make`. `true` if it was made now.
pub(in crate::adapters) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Zeroizing<String>,
) -> Result<(Zeroizing<String>, bool), SecretError> {
    match File::open(path) {
        Ok(mut file) => {
            let mut text = Zeroizing::new(String::new());
            file.read_to_string(&mut text).map_err(|e| file_error(path, e))?;
            Ok((Zeroizing::new(text.trim().to_owned()), false))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let text = make();
            write_private(path, text.as_bytes()).map_err(|e| file_error(path, e))?;
            Ok((text, true))
        }
        Err(e) => Err(file_error(path, e)),
    }
}

/// Whole or not at all: a crash in between leaves no half secret behind.
pub(in crate::adapters) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let half = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

pub(in crate::adapters) fn random_hex() -> Result<Zeroizing<String>, SecretError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|e| file_error(Path::new("random"), e))?;
    Ok(Zeroizing::new(Digest32(*bytes).to_string()))
}

/// Reads or makes a key in `dir/secrets`.
pub fn own_key(dir: &Path, file: &str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let folder = dir.join("secrets");
    closed_folder(&folder).map_err(|e| file_error(&folder, e))?;
    let path = folder.join(file);
    let fresh = random_hex()?;
    let (text, _) = read_or_make(&path, || fresh)?;
    let key = text.parse::<Digest32>().map_err(|e| file_error(&path, e))?;
    Ok(Zeroizing::new(key.0))
}

/// A name of this data folder among others, the same after every start. No secret.
pub fn own_name(dir: &Path) -> Result<String, SecretError> {
    let random = random_hex()?;
    let fresh = Zeroizing::new(random.get(..16).unwrap_or_default().to_owned());
    let (name, _) = read_or_make(&dir.join("node-name"), || fresh)?;
    Ok((*name).clone())
}

/// Hashes request bodies with a key of this installation, so that a row proves a body without revealing a guessable one.
#[derive(Clone)]
pub struct BodyHasher(Hmac<Sha256>);

impl BodyHasher {
    /// For pseudonyms in the place of names, which must tell nothing about bodies: `dir/secrets/pseudonym.key`.
    pub fn for_names(dir: &Path) -> Result<Self, SecretError> {
        let key = own_key(dir, "pseudonym.key")?;
        Self::with_key(key.as_ref()).ok_or_else(|| file_error(&dir.join("secrets/pseudonym.key"), "is no key"))
    }

    /// `None` never happens with HMAC, which takes a key of any length; said so instead of a panic.
    pub fn with_key(key: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(key).ok().map(Self)
    }

    /// The hash of a whole body.
    pub fn hash(&self, body: &[u8]) -> Digest32 {
        let mut running = self.start();
        running.update(body);
        running.finish()
    }

    /// For a body that streams by.
    pub fn start(&self) -> RunningHash {
        RunningHash(self.0.clone())
    }
}

/// A body hash that is fed chunk by chunk.
pub struct RunningHash(Hmac<Sha256>);

impl RunningHash {
    pub fn update(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    pub fn finish(self) -> Digest32 {
        Digest32(self.0.finalize().into_bytes().into())
    }
}

/// An operator's token has at least so many characters.
pub const MIN_TOKEN: usize = 20;
/// Words that stand in tutorials and default files. Whatever begins with one is refused when it is short, too.
const WELL_KNOWN: [&str; 8] = ["admin", "bursar", "changeme", "change-me", "password", "secret", "sk-1234", "token"];

/// What the admin API's bearer is compared with.
#[derive(Clone, Copy)]
pub struct AdminToken(Digest32);

impl AdminToken {
    /// The operator's own token, or the one in `dir/admin-token`, made now if there is none. `Some(text)` only when it was
    /// made: to be printed once.
    pub fn open(dir: &Path, set: Option<&Secret>) -> Result<(Self, Option<Zeroizing<String>>), SecretError> {
        if let Some(set) = set {
            return Ok((Self::checked(set.expose())?, None));
        }
        let fresh = random_hex()?;
        let (text, made) =
            read_or_make(&dir.join("admin-token"), || Zeroizing::new(format!("bat_{}", fresh.as_str())))?;
        Ok((Self::checked(text.as_bytes())?, made.then_some(text)))
    }

    /// The same token?
    pub fn is(&self, other: &Self) -> bool {
        self.0.0.ct_eq(&other.0.0).into()
    }

    /// Without the line's end that a file or a variable may bring along: no header could carry it.
    fn checked(token: &[u8]) -> Result<Self, SecretError> {
        let token = token.trim_ascii();
        let lower = token.to_ascii_lowercase();
        match () {
            () if token.is_empty() => Err(SecretError::WeakToken("empty")),
            () if WELL_KNOWN.iter().any(|w| repeats(&lower, w.as_bytes())) => Err(SecretError::WeakToken("well known")),
            () if token.len() < MIN_TOKEN => Err(SecretError::WeakToken("too short")),
            () if !token.iter().all(u8::is_ascii_graphic) => {
                Err(SecretError::WeakToken("nothing that a header can carry"))
            }
            () if token.iter().all(|b| b == &token[0]) => Err(SecretError::WeakToken("one character repeated")),
            () => Ok(Self(fingerprint(token))),
        }
    }

    /// In constant time: hashes are compared, so neither length nor prefix shows.
    pub fn matches(&self, offered: &[u8]) -> bool {
        fingerprint(offered).0.ct_eq(&self.0.0).into()
    }
}

/// `secret`, `secretsecretsecret`: a word, however often.
fn repeats(token: &[u8], word: &[u8]) -> bool {
    !token.is_empty() && token.chunks(word.len()).all(|c| c == word)
}

fn fingerprint(token: &[u8]) -> Digest32 {
    Digest32(Sha256::new().chain_update(b"bursar admin token\0").chain_update(token).finalize().into())
}
