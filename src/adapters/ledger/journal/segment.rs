//! Segment files: named by their first entry, found, read at start, cut and deleted. Does not append; `active` does.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::active::Active;
use super::frame::{self, Next};
use super::record::Record;
use super::{JournalError, SEGMENT_BYTES};
use crate::rules::ledger::entry::Entry;
use crate::units::ids::Seq;

pub(super) fn path(dir: &Path, first: Seq) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

/// The first entries of all segments, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<Seq>, JournalError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io(dir))? {
        let name = entry.map_err(JournalError::io(dir))?.file_name();
        let first = name.to_str().and_then(|n| n.strip_suffix(".log")).filter(|n| n.len() == 20);
        found.extend(first.and_then(|n| n.parse::<Seq>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The segment where an entry stands, if it is not trimmed.
pub(super) fn holding(dir: &Path, seq: Seq) -> Result<Seq, JournalError> {
    let all = list(dir)?;
    let has = || all.first().map_or("is empty".to_owned(), |first| format!("begins at {first}"));
    all.iter().rev().find(|first| **first <= seq).copied().ok_or_else(|| JournalError::Missing {
        dir: dir.to_owned(),
        wanted: seq,
        has: has(),
    })
}

/// Reads what comes after `from`, cuts a torn tail off, and opens the last segment for appending.
pub(super) fn recover(dir: &Path, from: Seq, each: &mut dyn FnMut(Entry)) -> Result<(Active, Seq), JournalError> {
    let all = list(dir)?;
    if all.is_empty() && from == 0 {
        return Ok((Active::create(dir, 1)?, 0));
    }
    let begin = holding(dir, from + 1)?;
    let mut last = begin - 1;
    let mut end = 0;
    let chosen: Vec<Seq> = all.into_iter().filter(|first| *first >= begin).collect();
    for (i, first) in chosen.iter().enumerate() {
        let path = path(dir, *first);
        let mut scan = Scan::open(&path, *first, last)?;
        let torn = scan.run(from, each)?;
        if let Some(what) = torn {
            cut(&path, scan.offset, what, i + 1 == chosen.len())?;
        }
        (last, end) = (scan.last, scan.offset);
    }
    if last < from {
        let has = format!("ends at {last}, and the snapshot covers {from}");
        return Err(JournalError::Missing { dir: dir.to_owned(), wanted: from, has });
    }
    let first = chosen.last().copied().unwrap_or(begin);
    Ok((Active::resume(dir, first, end)?, last))
}

/// One pass over a segment.
struct Scan<'a> {
    path: &'a Path,
    file: BufReader<File>,
    offset: u64,
    last: Seq,
}

impl<'a> Scan<'a> {
    fn open(path: &'a Path, first: Seq, last: Seq) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(JournalError::io(path))?;
        if first != last + 1 {
            let what = format!("the segment before it ends at entry {last}");
            return Err(JournalError::Damaged { path: path.to_owned(), offset: 0, what });
        }
        Ok(Self { path, file: BufReader::new(file), offset: 0, last })
    }

    /// Up to the end, or to what is no whole frame: then it says what is wrong there.
    fn run(&mut self, from: Seq, each: &mut dyn FnMut(Entry)) -> Result<Option<&'static str>, JournalError> {
        loop {
            match frame::next(&mut self.file).map_err(JournalError::io(self.path))? {
                Next::End => return Ok(None),
                Next::Bad(what) => return Ok(Some(what)),
                Next::Body(body) => {
                    self.entries(&body, from, each)?;
                    self.offset += (frame::HEADER + body.len()) as u64;
                }
            }
        }
    }

    fn entries(&mut self, body: &[u8], from: Seq, each: &mut dyn FnMut(Entry)) -> Result<(), JournalError> {
        let (path, offset) = (self.path, self.offset);
        let damaged = |what: String| JournalError::Damaged { path: path.to_owned(), offset, what };
        for line in lines(body) {
            let entry: Entry = serde_json::from_slice(line).map_err(|e| damaged(e.to_string()))?;
            if entry.seq != self.last + 1 {
                return Err(damaged(format!("entry {} follows entry {}", entry.seq, self.last)));
            }
            self.last = entry.seq;
            if entry.seq > from {
                each(entry);
            }
        }
        Ok(())
    }
}

/// JSON has no bare line breaks, so each line is one entry.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|b| *b == b'\n')
}

/// The records of one frame.
pub(super) fn records(path: &Path, offset: u64, body: &[u8]) -> Result<Vec<Record>, JournalError> {
    let damaged = |e: serde_json::Error| JournalError::Damaged { path: path.to_owned(), offset, what: e.to_string() };
    lines(body).map(|line| Record::decode(line).map_err(damaged)).collect()
}

/// A write that a crash cut short ends the last segment, and nothing whole stands after it. Anything else is damage.
fn cut(path: &Path, offset: u64, what: &'static str, last: bool) -> Result<(), JournalError> {
    let io = |e| JournalError::io(path)(e);
    let mut file = File::options().read(true).write(true).open(path).map_err(io)?;
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    file.read_to_end(&mut rest).map_err(io)?;
    if !last || frame::any_whole(&rest) {
        return Err(JournalError::Damaged { path: path.to_owned(), offset, what: what.to_owned() });
    }
    tracing::warn!("{}: {} bytes of an unfinished write cut off at byte {offset}", path.display(), rest.len());
    file.set_len(offset).map_err(io)
}

pub(super) fn trim(dir: &Path, upto: Seq) -> Result<(), JournalError> {
    let all = list(dir)?;
    for pair in all.windows(2).filter(|pair| pair[1] <= upto + 1) {
        let path = path(dir, pair[0]);
        std::fs::remove_file(&path).map_err(JournalError::io(&path))?;
    }
    Ok(())
}

/// A new descriptor flushes the same file.
pub(super) fn sync_all(dir: &Path) -> Result<(), JournalError> {
    for first in list(dir)? {
        let path = path(dir, first);
        match File::open(&path).and_then(|f| f.sync_data()) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {} // trimmed meanwhile
            done => done.map_err(JournalError::io(&path))?,
        }
    }
    File::open(dir).and_then(|f| f.sync_all()).map_err(JournalError::io(dir))
}

/// Is it time for the next segment?
pub(super) fn is_full(len: u64) -> bool {
    len >= SEGMENT_BYTES
}
