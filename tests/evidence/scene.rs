//! Books with events, and what signs them, without a server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bursar::adapters::audit::evidence::key::KeyFile;
use bursar::adapters::audit::evidence::{Every, Evidence};
use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::audit::tail::{Books, Feed};
use bursar::adapters::audit::{AuditStore, Chained};
use bursar::adapters::ledger::journal::Record;
use bursar::rules::books::{Act, Control, Opening, Verdict};
use bursar::rules::evidence::PublicKey;
use bursar::rules::evidence::anchors::Anchors;
use bursar::rules::evidence::check::fault::Fault;
use bursar::rules::evidence::check::{Checker, Reading, Sound};
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::rules::subject::Flag;
use bursar::units::amount::Amounts;
use bursar::units::ids::{CallId, Seq};
use bursar::units::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events of one checkpoint, at most.
pub const EVERY: u64 = 7;

pub struct Scene {
    pub store: Arc<SqliteBooks>,
    pub evidence: Arc<Evidence>,
    every: Every,
    seq: Seq,
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// A journal that has nothing more.
struct Silent;

impl Feed for Silent {
    fn read_from(&self, _: Seq, _: usize) -> Result<Vec<Arc<Record>>, String> {
        Ok(Vec::new())
    }
    fn safe_up_to(&self, _: Seq) {}
}

impl Scene {
    pub fn new() -> Self {
        Self::every(EVERY)
    }

    pub fn every(events: u64) -> Self {
        Self::with(Every { events, time: Duration::from_secs(3600) })
    }

    pub fn with(every: Every) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let (store, evidence) = open(&runtime, dir.path(), every);
        Self { store, evidence, every, seq: 0, dir, runtime }
    }

    /// The same books, opened anew.
    pub fn reopen(&mut self) {
        (self.store, self.evidence) = open(&self.runtime, self.dir.path(), self.every);
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// So many more events.
    pub fn grow(&mut self, count: u64) {
        for _ in 0..count {
            self.seq += 1;
            self.append(self.seq);
        }
    }

    /// So many more, in batches as the books take them in a busy hour.
    pub fn grow_at_once(&mut self, count: u64) {
        for first in (0..count).step_by(1000) {
            let seqs = self.seq + first + 1..self.seq + (first + 1000).min(count) + 1;
            let records = Record::encode_all(seqs.map(entry)).expect("plain data");
            let chained = Chained::after(self.store.place().expect("a place"), records).0;
            self.store.apply(&chained, false).expect("written");
        }
        self.seq += count;
    }

    /// Entries that never reach the books.
    pub fn lose(&mut self, count: u64) {
        self.seq += count;
    }

    fn append(&self, seq: Seq) {
        let records = Record::encode_all([entry(seq)]).expect("plain data");
        let chained = Chained::after(self.store.place().expect("a place"), records).0;
        self.store.apply(&chained, false).expect("written");
    }

    pub fn seal(&self) {
        self.wait(self.evidence.seal_rest()).expect("sealed");
    }

    /// Makes checkpoints on its own from here on.
    pub fn run(&self) {
        self.runtime.spawn(self.evidence.clone().run(CancellationToken::new()));
    }

    pub fn rotate(&self) -> PublicKey {
        self.wait(self.evidence.rotate()).expect("rotated").to
    }

    pub fn key(&self) -> PublicKey {
        self.wait(self.evidence.keys()).expect("a key").key
    }

    pub fn export(&self, from: Seq, to: Option<Seq>) -> Vec<u8> {
        let mut export = self.wait(self.evidence.export(from, to)).expect("planned").expect("events");
        let mut text = String::new();
        while let Some(piece) = export.piece().expect("a piece") {
            text.push_str(&piece);
        }
        text.into_bytes()
    }

    /// Every checkpoint so far, as an anchor has them.
    pub fn anchors(&self) -> Anchors {
        anchored(&self.checkpoints())
    }

    pub fn checkpoints(&self) -> String {
        let all = self.store.checkpoints(1, 10_000, false).expect("checkpoints");
        all.iter().map(|c| serde_json::to_string(c).expect("plain data") + "\n").collect()
    }
}

pub fn anchored(lines: &str) -> Anchors {
    let mut anchors = Anchors::default();
    anchors.read(lines).expect("anchors");
    anchors
}

pub fn verify(file: &[u8], keys: &[PublicKey], anchors: Anchors) -> Result<Sound, Fault> {
    let mut reading = Reading::new(Checker::new(keys.to_vec()).against(anchors));
    // In pieces that end where they like.
    for piece in file.chunks(1009) {
        if !reading.push(piece) {
            break;
        }
    }
    reading.finish()
}

fn open(runtime: &tokio::runtime::Runtime, dir: &Path, every: Every) -> (Arc<SqliteBooks>, Arc<Evidence>) {
    let store = Arc::new(SqliteBooks::open(dir).expect("books"));
    let _inside = runtime.enter();
    let end = watch::Sender::new(Seq::MAX).subscribe();
    let (books, _) = Books::follow(store.clone(), Arc::new(Silent), end, CancellationToken::new()).expect("a follower");
    (store, Evidence::new(books, KeyFile::new(dir, None), every))
}

fn entry(seq: Seq) -> Entry {
    let at = Timestamp(1_790_000_000_000_000 + i64::try_from(seq).expect("small") * 1_000_000);
    Entry { seq, at, op: if seq.is_multiple_of(3) { stopped() } else { denied(seq) } }
}

pub fn call(seq: Seq) -> CallId {
    CallId(Uuid::from_u128(u128::from(seq)))
}

fn denied(seq: Seq) -> Op {
    let row = Opening {
        call: call(seq),
        facts: None,
        policy_hash: None,
        method: "POST".into(),
        path: format!("/v1/refunds/{seq}").as_str().into(),
        endpoint: None,
        action: None,
        tier: None,
        verdict: Verdict::Deny,
        enforced: true,
        reason: Some("unknown_key: \"nobody\" knows it".to_owned()),
        estimate: Amounts::ZERO,
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: Some(401),
    };
    Op::Deny { row: Box::new(row) }
}

fn stopped() -> Op {
    let act = Act { actor: "socket:ann".to_owned(), reason: Some("a test".to_owned()) };
    Op::Control { control: Control::Stopped { flag: Flag::Everyone, act } }
}
