//! Anchors in a file, one checkpoint a line: appended, forced to the disk, never rewritten. Its last whole line is its own
//! cursor, so that nothing else can say how far it is. Put it where the database's operator has no rights, or make it
//! append-only (`chattr +a`).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Cursor;
use crate::rules::evidence::Signed;
use crate::units::ids::Digest32;

/// Longer than some lines.
const TAIL: u64 = 64 << 10;

#[derive(Clone, Debug)]
pub struct AnchorFile(PathBuf);

impl AnchorFile {
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn said(&self, e: impl std::fmt::Display) -> String {
        format!("{}: {e}", self.0.display())
    }

    pub(super) fn cursor(&self) -> Result<Option<Cursor>, String> {
        let tail = match tail(&self.0) {
            Ok(tail) => tail,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.said(e)),
        };
        let text = String::from_utf8_lossy(&tail);
        // A line that was cut off is no anchor; what it would have said comes again.
        let last = text.lines().rev().find_map(|line| serde_json::from_str::<Signed>(line).ok());
        match last {
            Some(signed) => Ok(Some(Cursor { number: signed.checkpoint.number, hash: signed.checkpoint.hash() })),
            None if text.trim().is_empty() => Ok(None),
            None => Err(self.said("its end is no checkpoint; is it a file of something else?")),
        }
    }

    pub(super) fn append(&self, line: &str) -> Result<(), String> {
        append(&self.0, line).map_err(|e| self.said(e))
    }
}

fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut text = format!("{line}\n");
    if ends_amid_a_line(&mut file)? {
        text.insert(0, '\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn ends_amid_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Where a webhook's cursor stands: number and hash, in a file of the data folder.
#[derive(Clone, Debug)]
pub struct CursorFile(PathBuf);

impl CursorFile {
    /// `data/anchors/NAME`.
    pub fn new(data: &Path, name: &str) -> Self {
        Self(data.join("anchors").join(name))
    }

    pub(super) fn read(&self) -> Result<Option<Cursor>, String> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("{}: {e}", self.0.display())),
        };
        let cursor = text.trim().split_once(' ').and_then(|(number, hash)| {
            Some(Cursor { number: number.parse().ok()?, hash: hash.parse::<Digest32>().ok()? })
        });
        cursor.map(Some).ok_or_else(|| {
            format!("{}: it holds no number and hash; remove it to send everything again", self.0.display())
        })
    }

    /// Whole or not at all.
    pub(super) fn write(&self, cursor: Cursor) -> Result<(), String> {
        self.put(cursor).map_err(|e| format!("{}: {e}", self.0.display()))
    }

    fn put(&self, cursor: Cursor) -> std::io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let half = self.0.with_extension("new");
        let mut file = File::create(&half)?;
        writeln!(file, "{} {}", cursor.number, cursor.hash)?;
        file.sync_all()?;
        std::fs::rename(&half, &self.0)
    }
}
