//! The journal on a real folder: what comes back, what is cut off, what is refused, and a disk that fills up.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Durability, Journal, JournalError, Record, segment};
use crate::rules::books::{Act, Control};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::Flag;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

fn entry(seq: Seq) -> Entry {
    let act = Act { actor: "test".to_owned(), reason: Some("r".repeat(50)) };
    Entry {
        seq,
        at: Timestamp(seq as i64),
        op: Op::Control { control: Control::Stopped { flag: Flag::Everyone, act } },
    }
}

fn record(seq: Seq) -> Arc<Record> {
    Arc::new(Record::encode(entry(seq)).expect("plain data"))
}

fn open(dir: &Path, durability: Durability, from: Seq) -> (Journal, Vec<Seq>) {
    let mut seen = Vec::new();
    let journal = Journal::open(dir, durability, from, |e| seen.push(e.seq)).expect("it opens");
    (journal, seen)
}

fn fill(journal: &Journal, seqs: std::ops::RangeInclusive<Seq>) {
    for seq in seqs {
        journal.append(&[record(seq)], true).expect("it is accepted");
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(10), "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn seqs(records: &[Arc<Record>]) -> Vec<Seq> {
    records.iter().map(|r| r.seq).collect()
}

#[test]
fn what_is_written_comes_back() {
    for durability in [Durability::Process, Durability::Power] {
        let dir = TempDir::new().expect("a folder");
        let (journal, seen) = open(dir.path(), durability, 0);
        assert_eq!((seen, journal.durable()), (vec![], 0));
        fill(&journal, 1..=5);
        journal.append(&[record(6), record(7)], false).expect("a step of two");
        wait_for(|| journal.durable() == 7);
        assert_eq!(seqs(&journal.read_from(3, 3).expect("readable")), [3, 4, 5]);
        assert!(journal.read_from(8, 3).expect("readable").is_empty());
        drop(journal);
        let (journal, seen) = open(dir.path(), durability, 4);
        assert_eq!((seen, journal.durable()), (vec![5, 6, 7], 7));
        let from_files = journal.read_from(1, 100).expect("readable");
        assert_eq!(seqs(&from_files), (1..=7).collect::<Vec<_>>());
        assert_eq!((from_files[6].entry(), from_files[6].json()), (&entry(7), record(7).json()));
        fill(&journal, 8..=8);
        wait_for(|| journal.durable() == 8);
        assert_eq!(seqs(&journal.read_from(7, 9).expect("readable")), [7, 8], "from the file on into memory");
    }
}

/// Where the last of three frames is cut -> what is left of it.
#[test]
fn a_torn_tail_is_cut_off_wherever_it_tears() {
    let whole = {
        let dir = TempDir::new().expect("a folder");
        fill(&open(dir.path(), Durability::Process, 0).0, 1..=3);
        std::fs::read(segment::path(dir.path(), 1)).expect("one segment")
    };
    let frame = whole.len() / 3;
    for cut in (0..=whole.len()).chain([whole.len() + 1, whole.len() + 4096]) {
        let dir = TempDir::new().expect("a folder");
        let mut torn = whole.clone();
        torn.resize(cut, 0); // beyond the end: zeros, as a crash of the machine leaves them
        std::fs::write(segment::path(dir.path(), 1), &torn).expect("written");
        let (journal, seen) = open(dir.path(), Durability::Process, 0);
        let left = (cut / frame).min(3) as Seq;
        assert_eq!(seen, (1..=left).collect::<Vec<_>>(), "cut at {cut}");
        fill(&journal, left + 1..=left + 1);
        drop(journal);
        assert_eq!(open(dir.path(), Durability::Process, 0).1.len() as Seq, left + 1, "cut at {cut}");
    }
}

#[test]
fn damage_in_the_middle_is_an_error_that_names_file_and_offset() {
    let dir = TempDir::new().expect("a folder");
    fill(&open(dir.path(), Durability::Process, 0).0, 1..=3);
    let path = segment::path(dir.path(), 1);
    let whole = std::fs::read(&path).expect("one segment");
    let frame = whole.len() / 3;
    for at in frame..2 * frame {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).expect("written");
        let error = Journal::open(dir.path(), Durability::Process, 0, |_| {}).err().expect("it is damaged");
        assert!(
            matches!(&error, JournalError::Damaged { offset, .. } if *offset == frame as u64),
            "byte {at}: {error}"
        );
        assert!(error.to_string().contains("00000000000000000001.log"));
        assert_eq!(std::fs::read(&path).expect("still there"), bytes, "nothing was cut off");
    }
}

#[test]
fn segments_follow_each_other_and_are_trimmed_whole() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(dir.path(), Durability::Process, 0);
    for seq in 1..=30 {
        journal.append(&[record(seq)], true).expect("accepted");
        if seq % 10 == 0 {
            journal.core.active.lock().rotate(seq + 1);
        }
    }
    assert_eq!(segment::list(dir.path()).expect("listed"), [1, 11, 21, 31]);
    drop(journal);
    let (journal, seen) = open(dir.path(), Durability::Process, 15);
    assert_eq!(seen, (16..=30).collect::<Vec<_>>());
    let mut all = Vec::new();
    while let Some(last) = Some(all.len() as Seq).filter(|n| *n < 30) {
        all.extend(seqs(&journal.read_from(last + 1, 7).expect("readable")));
    }
    assert_eq!(all, (1..=30).collect::<Vec<_>>(), "over segment borders, in pieces");
    journal.trim(19).expect("trimmed");
    assert_eq!(segment::list(dir.path()).expect("listed"), [11, 21, 31]);
    assert!(matches!(journal.read_from(10, 1), Err(JournalError::Missing { wanted: 10, .. })));
    journal.trim(30).expect("trimmed");
    fill(&journal, 31..=31);
    drop(journal);
    assert_eq!(open(dir.path(), Durability::Process, 30).1, [31]);
    assert!(matches!(Journal::open(dir.path(), Durability::Process, 29, |_| {}), Err(JournalError::Missing { .. })));
    assert!(matches!(Journal::open(dir.path(), Durability::Process, 32, |_| {}), Err(JournalError::Missing { .. })));
}

#[test]
fn a_full_disk_keeps_what_must_be_kept_and_heals() {
    for durability in [Durability::Process, Durability::Power] {
        let dir = TempDir::new().expect("a folder");
        let (journal, _) = open(dir.path(), durability, 0);
        fill(&journal, 1..=2);
        wait_for(|| journal.durable() == 2);
        journal.core.active.lock().full = true;
        fill(&journal, 3..=4);
        wait_for(|| journal.trouble().is_some());
        assert!(journal.append(&[record(5)], false).is_err(), "nothing new while there is trouble");
        fill(&journal, 5..=5);
        assert_eq!(journal.durable(), 2, "nothing is called written that is not");
        assert_eq!(seqs(&journal.read_from(1, 9).expect("readable")), [1, 2]);
        journal.core.active.lock().full = false;
        wait_for(|| journal.durable() == 5 && journal.trouble().is_none());
        journal.append(&[record(6)], false).expect("it has healed");
        drop(journal);
        assert_eq!(open(dir.path(), durability, 0).1, [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn a_disk_that_refuses_one_reserve_heals_by_itself() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(dir.path(), Durability::Process, 0);
    journal.core.active.lock().full = true;
    assert!(journal.append(&[record(1)], false).is_err());
    assert!(journal.trouble().is_some());
    journal.core.active.lock().full = false;
    wait_for(|| journal.trouble().is_none());
    fill(&journal, 1..=1);
    assert_eq!(journal.durable(), 1);
}

#[test]
fn many_threads_share_the_flushes_and_no_entry_is_lost() {
    let dir = TempDir::new().expect("a folder");
    let (journal, _) = open(dir.path(), Durability::Power, 0);
    let next = parking_lot::Mutex::new(1);
    std::thread::scope(|s| {
        for _ in 0..8 {
            s.spawn(|| {
                for _ in 0..50 {
                    let mut next = next.lock();
                    let seq = *next;
                    journal.append(&[record(seq)], true).expect("accepted");
                    *next += 1;
                    drop(next);
                    wait_for(|| journal.durable() >= seq);
                }
            });
        }
    });
    drop(journal);
    assert_eq!(open(dir.path(), Durability::Power, 0).1, (1..=400).collect::<Vec<_>>());
}
