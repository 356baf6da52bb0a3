//! The segment that is appended to. It knows the last good byte: what fails half-way is cut off again, and a retry writes
//! the same bytes to the same place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame;
use super::record::Record;
use super::{JournalError, segment};
use crate::units::ids::Seq;

pub(super) struct Active {
    dir: PathBuf,
    file: File,
    /// Everything before this is whole and counts.
    len: u64,
    /// Several records at once are joined here.
    joined: Vec<u8>,
    /// The file's name may not be on the disk yet.
    unnamed: bool,
    /// Tests fill the disk: a write then stops half-way.
    #[cfg(test)]
    pub(super) full: bool,
}

impl Active {
    pub(super) fn create(dir: &Path, first: Seq) -> Result<Self, JournalError> {
        Self::open(dir, first, 0, File::options().create_new(true))
    }

    pub(super) fn resume(dir: &Path, first: Seq, len: u64) -> Result<Self, JournalError> {
        Self::open(dir, first, len, &File::options())
    }

    fn open(dir: &Path, first: Seq, len: u64, options: &OpenOptions) -> Result<Self, JournalError> {
        let path = segment::path(dir, first);
        let file = options.clone().read(true).write(true).open(&path).map_err(JournalError::io(&path))?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            len,
            joined: Vec::new(),
            unnamed: true,
            #[cfg(test)]
            full: false,
        })
    }

    /// Writes these as one frame. After an error nothing of them counts.
    pub(super) fn write(&mut self, records: &[Arc<Record>]) -> io::Result<()> {
        self.put(records).map(|n| self.len += n)
    }

    /// The same, and the disk has it. A flush that failed may have dropped what was written, so the retry writes it anew.
    pub(super) fn write_and_flush(&mut self, records: &[Arc<Record>]) -> io::Result<()> {
        let n = self.put(records)?;
        if let Err(e) = self.file.sync_data().and_then(|()| self.flush_name()) {
            self.cut_back();
            return Err(e);
        }
        self.len += n;
        Ok(())
    }

    fn flush_name(&mut self) -> io::Result<()> {
        if self.unnamed {
            File::open(&self.dir)?.sync_all()?;
            self.unnamed = false;
        }
        Ok(())
    }

    fn put(&mut self, records: &[Arc<Record>]) -> io::Result<u64> {
        let Some(first) = records.first() else { return Ok(0) };
        if segment::is_full(self.len) {
            self.rotate(first.seq);
        }
        let frame = match records {
            [one] => one.frame(),
            _ => join(&mut self.joined, records),
        };
        let n = frame.len() as u64;
        #[cfg(test)]
        let frame = if self.full { &frame[..frame.len() / 2] } else { frame };
        let written = self.file.write_all_at(frame, self.len);
        #[cfg(test)]
        let written = if self.full { Err(io::ErrorKind::StorageFull.into()) } else { written };
        if let Err(e) = written {
            self.cut_back();
            return Err(e);
        }
        Ok(n)
    }

    /// If even this fails, the next write goes to the same place, and a start cuts the torn tail off.
    fn cut_back(&self) {
        if let Err(e) = self.file.set_len(self.len) {
            tracing::warn!("{}: an unfinished write is not cut off yet: {e}", self.dir.display());
        }
    }

    /// A segment that cannot be made is no reason to stop: the old one grows on.
    pub(super) fn rotate(&mut self, first: Seq) {
        match Self::create(&self.dir, first) {
            Ok(next) => (self.file, self.len, self.unnamed) = (next.file, next.len, true),
            Err(e) => tracing::warn!("no new journal segment: {e}"),
        }
    }

    /// Can anything be written at all? Asked while there is trouble and nothing to write.
    pub(super) fn probe(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let path = self.dir.join("probe");
        let tried = std::fs::write(&path, [0; 64 << 10]).and_then(|()| File::open(&path)?.sync_data());
        let removed = std::fs::remove_file(&path);
        tried.and(removed)
    }
}

fn join<'a>(joined: &'a mut Vec<u8>, records: &[Arc<Record>]) -> &'a [u8] {
    joined.clear();
    joined.extend_from_slice(&[0; frame::HEADER]);
    for (i, record) in records.iter().enumerate() {
        joined.extend_from_slice(if i == 0 { b"" } else { b"\n" });
        joined.extend_from_slice(record.json());
    }
    frame::seal(joined);
    joined
}
