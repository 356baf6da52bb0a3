//! A sink's durable place in the books: one small file in the data folder, replaced whole; or in the books themselves, where
//! several processes have them. It is written after a delivery, so a crash in between repeats that delivery and never skips one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::audit::AuditStore;
use crate::config::{Sink, SinkStart};
use crate::units::ids::Seq;

pub(super) struct Cursor {
    at: At,
    seq: Seq,
}

enum At {
    File(PathBuf),
    Books(Arc<dyn AuditStore>, String),
}

impl Cursor {
    /// Where these books have it: in themselves if they are shared, or else in a folder.
    pub(super) fn of(books: &Arc<dyn AuditStore>, folder: &Path, sink: &Sink) -> Result<Self, String> {
        let end = books.seen().map_err(|e| e.to_string())?.seq;
        if !books.is_shared() {
            return Self::open(folder, sink, end);
        }
        let at = At::Books(books.clone(), sink.name.clone());
        match books.sink_place(&sink.name).map_err(|e| e.to_string())? {
            Some(seq) => Ok(Self { at, seq: seq.min(end) }),
            None => Self::first(at, sink.start, end),
        }
    }

    /// `end` is how far the books go.
    fn open(folder: &Path, sink: &Sink, end: Seq) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = folder.join(format!("{}.place", sink.name));
        let seq: Seq = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                format!("{} holds no sequence number: write one, or remove the file to begin again", path.display())
            })?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Self::first(At::File(path), sink.start, end),
            Err(e) => return Err(format!("{}: {e}", path.display())),
        };
        if seq > end {
            tracing::warn!(sink = %sink.name, at = seq, books = end, "the books were put back from a copy: the sink goes back with them");
        }
        Ok(Self { at: At::File(path), seq: seq.min(end) })
    }

    /// Written at once: `now` means the first start, also if nothing was delivered before the second.
    fn first(at: At, start: SinkStart, end: Seq) -> Result<Self, String> {
        let mut cursor = Self { at, seq: 0 };
        let seq = if start == SinkStart::Now { end } else { 0 };
        cursor.save(seq)?;
        Ok(cursor)
    }

    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    /// Further, without a word to the disk: nothing was delivered in between.
    pub(super) fn pass(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
    }

    /// Blocks on the disk, or the books.
    pub(super) fn save(&mut self, seq: Seq) -> Result<(), String> {
        match &self.at {
            At::File(path) => replace(path, seq).map_err(|e| format!("its place, {}: {e}", path.display()))?,
            At::Books(books, name) => books.keep_sink_place(name, seq).map_err(|e| format!("its place: {e}"))?,
        }
        self.seq = seq;
        Ok(())
    }
}

fn replace(path: &Path, seq: Seq) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{seq}")?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SinkTarget;

    fn sink(start: SinkStart) -> Sink {
        let target = SinkTarget::File { path: "x".into(), rotate: 1024, keep: 1 };
        Sink { name: "lines".to_owned(), target, batch: 1, start }
    }

    #[test]
    fn a_place_is_kept_and_never_beyond_the_books() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = |start, end| Cursor::open(dir.path(), &sink(start), end);
        let mut first = open(SinkStart::First, 40).expect("a new place");
        assert_eq!(first.seq(), 0);
        first.save(30).expect("written");
        assert_eq!(open(SinkStart::Now, 40).expect("the old place").seq(), 30);
        assert_eq!(open(SinkStart::First, 20).expect("books from a copy").seq(), 20);
        fs::remove_file(dir.path().join("lines.place")).expect("removed");
        assert_eq!(open(SinkStart::Now, 40).expect("now").seq(), 40);
        assert_eq!(open(SinkStart::Now, 90).expect("still the first now").seq(), 40);
        fs::write(dir.path().join("lines.place"), "x").expect("damaged");
        assert!(open(SinkStart::First, 90).is_err_and(|why| why.contains("lines.place")));
    }
}
