//! Bodies that a policy asks to keep word for word: encrypted under a key that lies apart from them, each with an end of its
//! own. The books know nothing of them, and lose nothing with them. `store` is their file, `taking` gathers an answer as it
//! flows by, `wire` is what an operator reads.

mod store;
mod taking;
pub mod wire;

use std::path::Path;

use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::store::Store;
use crate::units::ids::{CallId, Digest32};
use crate::units::time::Timestamp;

pub use taking::Taking;

/// Why a body cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("captures.db: {0}")]
pub struct CaptureError(String);

/// Which body of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// As the caller sent it.
    Request,
    /// As the caller got it: without the credential.
    Answer,
}

impl Part {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }
}

/// One body.
#[derive(Clone, PartialEq, Eq)]
pub struct Captured {
    pub call: CallId,
    pub part: Part,
    pub at: Timestamp,
    /// Then it is deleted.
    pub until: Timestamp,
    pub bytes: Vec<u8>,
    /// Is this all of it?
    pub whole: bool,
}

/// Says nothing of the content.
impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Captured({} of {}, {} bytes)", self.part.as_str(), self.call, self.bytes.len())
    }
}

pub struct Captures {
    key: LessSafeKey,
    store: Mutex<Store>,
}

impl Captures {
    /// Opens or makes `dir/captures.db`.
    pub fn open(dir: &Path, key: &Zeroizing<[u8; 32]>) -> Result<Self, CaptureError> {
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| said("its key is no key"))?;
        Ok(Self { key: LessSafeKey::new(key), store: Mutex::new(Store::open(&dir.join("captures.db"))?) })
    }

    /// Blocks on the disk.
    pub fn keep(&self, captured: Captured) -> Result<(), CaptureError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| said(format!("no random bytes: {e}")))?;
        let Captured { call, part, at, until, mut bytes, whole } = captured;
        let sealed = Nonce::assume_unique_for_key(nonce);
        let bound = aad(call, part, whole);
        self.key
            .seal_in_place_append_tag(sealed, Aad::from(&bound), &mut bytes)
            .map_err(|_| said("too long to seal"))?;
        self.store.lock().insert(call, part, at, until, whole, &nonce, &bytes)
    }

    /// What has ended is read no more, also where it could not be deleted yet.
    pub fn read(&self, call: CallId, part: Part, now: Timestamp) -> Result<Option<Captured>, CaptureError> {
        let row = self.store.lock().find(call, part)?;
        let Some(row) = row.filter(|row| row.until > now) else { return Ok(None) };
        let nonce = Nonce::try_assume_unique_for_key(&row.nonce).map_err(|_| said("a row has no nonce"))?;
        let (mut bytes, bound) = (row.sealed, aad(call, part, row.whole));
        let opened = self.key.open_in_place(nonce, Aad::from(&bound), &mut bytes);
        let length = opened.map_err(|_| said("a body was changed, or sealed with another key"))?.len();
        bytes.truncate(length);
        Ok(Some(Captured { call, part, at: row.at, until: row.until, bytes, whole: row.whole }))
    }

    /// Deletes what has ended; says how many bodies.
    pub fn forget(&self, now: Timestamp) -> Result<usize, CaptureError> {
        self.store.lock().forget(now)
    }
}

fn said(what: impl Into<String>) -> CaptureError {
    CaptureError(what.into())
}

/// A body belongs to its call, and cannot be shown as another's.
fn aad(call: CallId, part: Part, whole: bool) -> Vec<u8> {
    [&call.0.as_bytes()[..], part.as_str().as_bytes(), &[u8::from(whole)]].concat()
}

/// As a hex key stands in a file or a variable.
pub fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    text.trim().parse::<Digest32>().ok().map(|d| Zeroizing::new(d.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, key: u8) -> Captures {
        Captures::open(dir, &Zeroizing::new([key; 32])).expect("opens")
    }

    fn captured(n: u128, until: i64) -> Captured {
        let (at, until) = (Timestamp(1), Timestamp(until));
        let bytes = b"charge the card of Ann".to_vec();
        Captured { call: CallId(uuid::Uuid::from_u128(n)), part: Part::Request, at, until, bytes, whole: true }
    }

    #[test]
    fn a_body_is_read_with_its_key_alone_until_its_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let captures = open(dir.path(), 1);
        let (short, long) = (captured(1, 10), captured(2, 20));
        captures.keep(short.clone()).expect("kept");
        captures.keep(long.clone()).expect("kept");
        let read = |call, part, now| captures.read(call, part, Timestamp(now)).expect("read");
        assert_eq!(read(short.call, Part::Request, 9), Some(short.clone()));
        assert_eq!(read(short.call, Part::Answer, 9), None);
        assert!(open(dir.path(), 2).read(short.call, Part::Request, Timestamp(9)).is_err(), "another key");
        assert_eq!(read(short.call, Part::Request, 10), None, "also before it is deleted");
        assert_eq!(captures.forget(Timestamp(10)).expect("deleted"), 1);
        assert_eq!(read(short.call, Part::Request, 9), None);
        assert_eq!(read(long.call, Part::Request, 10), Some(long));
    }

    #[test]
    fn what_a_reader_kept_in_the_log_goes_the_next_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let captures = open(dir.path(), 1);
        captures.keep(captured(1, 10)).expect("kept");
        let reader = rusqlite::Connection::open(dir.path().join("captures.db")).expect("opens");
        reader.execute_batch("BEGIN; SELECT count(*) FROM bodies;").expect("it reads on");
        assert_eq!(captures.forget(Timestamp(10)).expect("deleted"), 1);
        let log = || std::fs::metadata(dir.path().join("captures.db-wal")).expect("a log").len();
        assert!(log() > 0, "it still has the body");
        reader.execute_batch("COMMIT").expect("it is done");
        assert_eq!(captures.forget(Timestamp(10)).expect("nothing new"), 0);
        assert_eq!(log(), 0);
    }

    #[test]
    fn nothing_readable_reaches_the_disk_and_nothing_changed_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let captures = open(dir.path(), 1);
        captures.keep(captured(1, 10)).expect("kept");
        for file in std::fs::read_dir(dir.path()).expect("a folder") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("read");
            assert!(!bytes.windows(3).any(|w| w == b"Ann"));
        }
        let db = rusqlite::Connection::open(dir.path().join("captures.db")).expect("opens");
        db.execute("UPDATE bodies SET call = zeroblob(16)", []).expect("moved to another call");
        assert!(captures.read(CallId(uuid::Uuid::nil()), Part::Request, Timestamp(9)).is_err());
    }
}
