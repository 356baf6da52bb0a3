//! Events as JSON lines in a file, which is followed by a new one when it is full: `events.jsonl.1` is then the one before.
//! Every delivery is on the disk before it counts. Knows nothing of what the lines say.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failed, Taken};
use crate::adapters::audit::Event;

#[derive(Clone)]
pub(super) struct Lines {
    path: PathBuf,
    rotate: u64,
    keep: u32,
}

impl Lines {
    pub(super) fn new(path: PathBuf, rotate: u64, keep: u32) -> Self {
        Self { path, rotate, keep }
    }

    pub(super) async fn deliver(&self, events: Arc<[Event]>) -> Result<Taken, Failed> {
        let (this, path) = (self.clone(), self.path.clone());
        let written = tokio::task::spawn_blocking(move || this.write(&events)).await;
        let written = written.unwrap_or_else(|e| Err(io::Error::other(e)));
        written.map(|()| Taken::default()).map_err(|e| format!("{}: {e}", path.display()).into())
    }

    /// Opened anew each time: whoever moved or removed the file gets a new one.
    fn write(&self, events: &[Event]) -> io::Result<()> {
        let mut at = 0;
        while at < events.len() {
            let mut file = open(&self.path)?;
            let len = file.seek(SeekFrom::End(0))?;
            let (text, fits) = self.fitting(&events[at..], len);
            if fits == 0 {
                self.turn()?;
                continue;
            }
            if let Err(e) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
                // Half a line would spoil the next one. If this fails too, the next opening cuts it off.
                let _ = file.set_len(len);
                return Err(e);
            }
            at += fits;
        }
        Ok(())
    }

    /// The lines that this file still takes, and how many; a file that is empty takes one line whatever its size.
    fn fitting(&self, events: &[Event], len: u64) -> (String, usize) {
        let (mut text, mut count) = (String::new(), 0);
        for event in events {
            let size = len + (text.len() + event.body.len() + 1) as u64;
            if size > self.rotate && !(len == 0 && count == 0) {
                break;
            }
            text.push_str(&event.body);
            text.push('\n');
            count += 1;
        }
        (text, count)
    }

    /// `x.jsonl` becomes `x.jsonl.1`, that `.2`, and the oldest goes.
    fn turn(&self) -> io::Result<()> {
        let old = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..self.keep).rev() {
            moved(&old(n), &old(n + 1))?;
        }
        moved(&self.path, &old(1))?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// At its end, behind a whole line: what a crash tore is cut off, and comes again whole.
fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let len = file.seek(SeekFrom::End(0))?;
    if len == 0 {
        return Ok(file);
    }
    file.seek(SeekFrom::Start(len - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        let whole = whole_lines(&mut file)?;
        file.set_len(whole)?;
    }
    Ok(file)
}

/// Read from its start: it happens after a crash alone.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let (mut reader, mut whole, mut line) = (BufReader::new(file), 0, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
        }
        line.clear();
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::time::Timestamp;

    fn event(seq: u64) -> Event {
        Event { seq, at: Timestamp(0), kind: None, call: None, body: format!("{{\"seq\":{seq:04}}}") }
    }

    fn read(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[test]
    fn full_files_are_kept_so_many_and_no_line_is_torn() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("e.jsonl");
        // Three lines of 13 bytes fit.
        let lines = Lines::new(path.clone(), 39, 2);
        let events: Vec<Event> = (1..=7).map(event).collect();
        lines.write(&events).expect("written");
        let old = |n: u32| read(&dir.path().join(format!("e.jsonl.{n}"))).len();
        assert_eq!((read(&path).len(), old(1), old(2)), (1, 3, 3));
        File::options().append(true).open(&path).and_then(|mut f| f.write_all(b"{\"seq\":00")).expect("torn");
        lines.write(&[event(8)]).expect("written");
        assert_eq!(read(&path), ["{\"seq\":0007}", "{\"seq\":0008}"]);
        lines.write(&(9..=13).map(event).collect::<Vec<_>>()).expect("written");
        assert_eq!((read(&path).len(), old(1), old(2), old(3)), (1, 3, 3, 0), "the oldest went");
        let long = Event { body: "x".repeat(100), ..event(14) };
        lines.write(&[long]).expect("one that fits nowhere has a file of its own");
        assert_eq!(read(&path)[0].len(), 100);
    }
}
