//! The book in one file, written whole or not at all. A start reads it and the journal behind it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::OpenError;
use crate::rules::ledger::book::Book;

/// Raised when an older bursar could not read it.
const VERSION: u32 = 1;
const NAME: &str = "ledger.snapshot";
/// The old ledger, while it is written anew.
const KEPT: &str = "ledger.kept";

#[derive(Serialize)]
struct Written<'b> {
    version: u32,
    book: &'b Book,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    book: Book,
}

pub fn read(folder: &Path) -> Result<Option<Book>, OpenError> {
    read_from(&folder.join(NAME))
}

/// What `keep` set aside.
pub fn kept(folder: &Path) -> Result<Option<Book>, OpenError> {
    read_from(&folder.join(KEPT))
}

fn read_from(path: &Path) -> Result<Option<Book>, OpenError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::Snapshot(e.to_string())),
    };
    let bad = |e: serde_json::Error| OpenError::Snapshot(e.to_string());
    let head: Head = serde_json::from_slice(&text).map_err(bad)?;
    if head.version != VERSION {
        return Err(OpenError::Snapshot(format!(
            "it has version {}, and this bursar reads version {VERSION}",
            head.version
        )));
    }
    serde_json::from_slice::<Read>(&text).map(|r| Some(r.book)).map_err(bad)
}

pub fn write(folder: &Path, book: &Book) -> std::io::Result<()> {
    write_to(folder, NAME, book)
}

/// Until `drop_kept`.
pub fn keep(folder: &Path, book: &Book) -> std::io::Result<()> {
    write_to(folder, KEPT, book)
}

pub fn drop_kept(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(KEPT)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn write_to(folder: &Path, name: &str, book: &Book) -> std::io::Result<()> {
    let half = folder.join(format!("{name}.new"));
    let bytes = serde_json::to_vec(&Written { version: VERSION, book })?;
    let mut file = File::create(&half)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&half, folder.join(name))?;
    File::open(folder)?.sync_all()
}
