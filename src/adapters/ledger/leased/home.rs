//! A node's own folder: its name, which survives restarts, and its journal. Knows the disk, and not what the entries mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::embedded::{FolderLock, OpenError};
use crate::adapters::ledger::journal::{Durability, Journal, JournalError, Record};
use crate::units::ids::Seq;

/// The note is written anew so often, if there is something new.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Why a node's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error(transparent)]
    Taken(#[from] OpenError),
    #[error(
        "the node's own journal cannot be used: {0}. It has what this node did without Redis: put it back from a copy. If it is lost, \
         move the folder aside: calls that Redis was not told of are then not charged, and what was lent stays held"
    )]
    Journal(#[from] JournalError),
    #[error("{path}: {why}. Put it back from a copy: without it what this node did could be counted twice")]
    Note { path: PathBuf, why: String },
}

/// What is written beside the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    node: String,
    /// Redis has everything up to here.
    told: Seq,
}

pub(super) struct Home {
    path: PathBuf,
    node: String,
    note: Mutex<Note>,
    noted: Mutex<Instant>,
    journal: Journal,
    _lock: FolderLock,
}

impl Home {
    /// Gives the entries that Redis may not have.
    pub(super) fn open(folder: &Path, durability: Durability) -> Result<(Self, Vec<Arc<Record>>), HomeError> {
        let lock = FolderLock::take(folder)?;
        let path = folder.join("node.json");
        let journal = folder.join("journal");
        let note = read(&path, journal.exists())?;
        let mut found = Vec::new();
        let journal = Journal::open(&journal, durability, note.told, |entry| found.push(entry))?;
        let wrong = |e: serde_json::Error| HomeError::Note { path: path.clone(), why: e.to_string() };
        let records = Record::encode_all(found).map_err(wrong)?;
        Ok((
            Self {
                path,
                node: note.node.clone(),
                note: Mutex::new(note),
                noted: Mutex::new(Instant::now()),
                journal,
                _lock: lock,
            },
            records,
        ))
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Redis has at least so much.
    pub(super) fn noted(&self) -> Seq {
        self.note.lock().told
    }

    pub(super) fn last(&self) -> Seq {
        self.journal.durable()
    }

    pub(super) fn append(&self, record: &Arc<Record>, must: bool) -> Result<(), String> {
        self.journal.append(std::slice::from_ref(record), must)
    }

    pub(super) async fn durably(&self, seq: Seq, patience: Duration) -> Result<(), LedgerError> {
        if self.journal.durable() >= seq {
            return Ok(());
        }
        let mut durable = self.journal.watch();
        if tokio::time::timeout(patience, durable.wait_for(|at| *at >= seq)).await.is_ok() {
            return Ok(());
        }
        let why = self.journal.trouble().unwrap_or_else(|| "the node's disk is too slow".to_owned());
        Err(LedgerError::Down(why))
    }

    /// Redis has everything up to here: now and then that is written down, and what is older goes.
    pub(super) fn told(&self, upto: Seq, now: bool) {
        self.journal.release(upto);
        let mut note = self.note.lock();
        if upto <= note.told || !(now || self.noted.lock().elapsed() >= NOTE_EVERY) {
            return;
        }
        *self.noted.lock() = Instant::now();
        let next = Note { told: upto, ..note.clone() };
        match write(&self.path, &next) {
            Ok(()) => {
                *note = next;
                if let Err(error) = self.journal.trim(upto) {
                    tracing::warn!(%error, "old files of the node's own journal could not be removed");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "{} could not be written; the next start reads more", self.path.display())
            }
        }
    }
}

fn read(path: &Path, has_journal: bool) -> Result<Note, HomeError> {
    let wrong = |why: String| HomeError::Note { path: path.to_owned(), why };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !has_journal => {
            let note = Note { node: Uuid::now_v7().simple().to_string(), told: 0 };
            write(path, &note).map_err(|e| wrong(e.to_string()))?;
            Ok(note)
        }
        Err(e) => Err(wrong(e.to_string())),
    }
}

/// Whole or not at all.
fn write(path: &Path, note: &Note) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let bytes = serde_json::to_vec(note)?;
    std::fs::write(&beside, bytes)?;
    std::fs::File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, path)
}
