//! A whole admin API in a folder of its own: real keyring, books, policies and listeners; a ledger that only keeps its journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::*;
use crate::adapters::approvals::Approvals;
use crate::adapters::audit::evidence::Every;
use crate::adapters::audit::evidence::key::KeyFile;
use crate::adapters::audit::pseudonyms::Pseudonyms;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::tail::Feed;
use crate::adapters::captures::Captures;
use crate::adapters::keyring::secrets;
use crate::adapters::ledger::journal::Record;
use crate::adapters::ledger::{Answer, LedgerError, Wake};
use crate::adapters::people::People;
use crate::adapters::policy_store::{Declare, Options, Sandbox};
use crate::adapters::switchboard::Seat;
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::{Facts, Subject};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, KeyId, Seq};

/// A ledger of control events alone.
pub struct Paper {
    entries: Mutex<Vec<Entry>>,
    grown: watch::Sender<Seq>,
    down: AtomicBool,
    /// Keeps the flags on a Redis as well, as a fleet's ledger does.
    bell: Option<redis::Client>,
}

/// What a fleet's ledger does about a flag.
const TURN: &str = "redis.call(ARGV[1], KEYS[2], ARGV[3]) local n = redis.call('HINCRBY', KEYS[1], 'flagged', 1)
    redis.call('PUBLISH', '{bursar}:bell', 'flag ' .. n .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]) return n";

impl Paper {
    async fn turn(&self, control: &Control) -> Result<(), LedgerError> {
        let (bell, flag, words) = match (&self.bell, control) {
            (Some(bell), Control::Stopped { flag, .. }) => (bell, flag, ["SADD", "set"]),
            (Some(bell), Control::Restored { flag, .. }) => (bell, flag, ["SREM", "clear"]),
            _ => return Ok(()),
        };
        let down = |e: redis::RedisError| LedgerError::Down(e.to_string());
        let mut connection = bell.get_multiplexed_async_connection().await.map_err(down)?;
        let mut call = redis::cmd("EVAL");
        call.arg(TURN)
            .arg(2)
            .arg("{bursar}:meta")
            .arg("{bursar}:flags")
            .arg(&words)
            .arg(serde_json::json!(flag).to_string());
        call.query_async::<u64>(&mut connection).await.map(|_| ()).map_err(down)
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Release);
    }

    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    fn write(&self, control: Control) -> Result<Seq, LedgerError> {
        if self.down.load(Ordering::Acquire) {
            return Err(LedgerError::Down("the disk is full".to_owned()));
        }
        let mut entries = self.entries.lock();
        let seq = entries.len() as Seq + 1;
        entries.push(Entry { seq, at: Timestamp::now(), op: Op::Control { control } });
        self.grown.send_replace(seq);
        Ok(seq)
    }
}

fn unasked<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(std::future::ready(Err(LedgerError::Unsupported("anything but control events"))))
}

impl Ledger for Paper {
    fn reserve(&self, _: Reserve) -> Answer<'_, Reservation> {
        unasked()
    }
    fn resize(&self, _: CallId, _: u32, _: Amounts) -> Answer<'_, Reservation> {
        unasked()
    }
    fn renew(&self, _: CallId) -> Answer<'_, ()> {
        unasked()
    }
    fn settle(&self, _: Settle) -> Answer<'_, Settled> {
        unasked()
    }
    fn adjust(&self, _: CallId, _: u32, _: Amounts, _: bool, _: Act) -> Answer<'_, ()> {
        unasked()
    }
    fn deny(&self, _: Opening) -> Answer<'_, Seq> {
        unasked()
    }
    fn control(&self, control: Control) -> Answer<'_, Seq> {
        Box::pin(async move {
            self.turn(&control).await?;
            self.write(control)
        })
    }
    fn declare(&self, _: Vec<Shape>) -> Answer<'_, ()> {
        unasked()
    }
    fn accounts(&self, _: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        unasked()
    }
    fn settle_later(&self, _: Settle) {}
    fn on_freed(&self, _: Wake) {}
    fn trouble(&self) -> Option<String> {
        self.down.load(Ordering::Acquire).then(|| "the disk is full".to_owned())
    }
    fn flush(&self) -> Answer<'_, ()> {
        unasked()
    }
}

impl Feed for Paper {
    fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, String> {
        let entries: Vec<_> = self.entries.lock().iter().filter(|e| e.seq >= seq).take(max).cloned().collect();
        Record::encode_all(entries).map_err(|e| e.to_string())
    }
    fn safe_up_to(&self, _: Seq) {}
}

pub struct Rig {
    pub state: Arc<ControlState>,
    pub ledger: Arc<Paper>,
    pub token: String,
    admin: std::net::SocketAddr,
    dir: tempfile::TempDir,
}

const POLICY: &str =
    "name = \"refunds\"\nvendors = [\"stripe\"]\n[[allow]]\nmethods = [\"POST\"]\npaths = [\"/v1/refunds\"]\n";

impl Rig {
    pub async fn new() -> Self {
        Self::with(Door::silent()).await
    }

    /// A node of a fleet whose ledger's flags are on this Redis.
    pub async fn on_redis(url: &str, name: &str, max_silence: Duration) -> Self {
        let fleet = crate::adapters::fleet::Fleet::open(url.as_bytes(), None, "bursar", name, max_silence);
        let fleet = fleet.await.expect("a server");
        let rig = Self::made(Door::silent(), Some(url), Others::new(None, Some(fleet))).await;
        let others = rig.state.others.clone().expect("others");
        tokio::spawn(follow(rig.state.clone(), others, rig.state.stop.clone()));
        tokio::spawn(keep_telling(rig.state.clone()));
        rig
    }

    pub async fn with(door: Door) -> Self {
        Self::made(door, None, None).await
    }

    async fn made(door: Door, url: Option<&str>, others: Option<Arc<Others>>) -> Self {
        let bell = url.map(|url| redis::Client::open(url).expect("an address"));
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = Arc::new(Paper {
            entries: Mutex::default(),
            grown: watch::Sender::new(0),
            down: AtomicBool::new(false),
            bell,
        });
        let stop = CancellationToken::new();
        let store = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
        let followed = Books::follow(store, ledger.clone(), ledger.grown.subscribe(), CancellationToken::new());
        let (token, made) = secrets::AdminToken::open(dir.path(), None).expect("a token");
        let (tcp, socket) = listen("127.0.0.1:0".parse().expect("an address"), dir.path()).await.expect("listeners");
        let books = followed.expect("a follower").0;
        let every = Every { events: 4, time: Duration::from_secs(3600) };
        let state = Arc::new(ControlState {
            evidence: Evidence::new(books.clone(), KeyFile::new(dir.path(), None), every),
            anchors: Vec::new(),
            keyring: Arc::new(Keyring::open(dir.path()).expect("a keyring")),
            approvals: Arc::new(Approvals::open(dir.path()).expect("approvals")),
            approvers: Approvers::none(dir.path()),
            captures: Arc::new(Captures::open(dir.path(), &Default::default()).expect("captures")),
            pseudonyms: Arc::new(Pseudonyms::new(secrets::BodyHasher::for_names(dir.path()).expect("a key"))),
            people: Arc::new(People::open(dir.path(), vec!["user".into()]).expect("people")),
            others,
            ledger: ledger.clone(),
            sinks: Arc::default(),
            books,
            policies: Arc::new(policies(&dir).await),
            switchboard: Switchboard::new(),
            vault: Arc::new(Vault::default()),
            vendors: vec!["stripe".into()],
            token,
            names: Names::default(),
            about: about(),
            stop,
            trips: crate::control::Trips::default(),
            turns: Turns::default(),
            door,
        });
        let admin = tcp.local_addr().expect("an address");
        tokio::spawn(serve_tcp(state.clone(), tcp));
        tokio::spawn(serve_socket(state.clone(), socket));
        Self { state, ledger, token: made.expect("made now").to_string(), admin, dir }
    }

    pub fn keys_db(&self) -> std::path::PathBuf {
        self.dir.path().join("keys.db")
    }

    /// A call in flight under this key.
    pub fn enter(&self, key: &str) -> Seat {
        self.enter_as(1, key)
    }

    pub fn enter_as(&self, call: u128, key: &str) -> Seat {
        let facts = Facts {
            subject: Subject::default(),
            keys: vec![KeyId(key.into())],
            policy: "refunds".into(),
            vendor: "stripe".into(),
            operation: "POST /v1/refunds".into(),
            claimed_run: false,
        };
        self.state.switchboard.enter(CallId(uuid::Uuid::from_u128(call)), Arc::new(facts))
    }

    pub async fn open(&self, target: &str, headers: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.dir.path().join("admin.sock")).await.expect("the socket");
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        stream
    }

    /// The body alone.
    pub async fn text(&self, target: &str, headers: &str) -> String {
        body_of(&read_all(self.open(target, headers).await).await)
    }

    pub async fn get(&self, target: &str) -> (u16, Value) {
        parse(&read_all(self.open(target, "").await).await)
    }

    pub async fn post(&self, target: &str, body: Value) -> (u16, Value) {
        let stream = UnixStream::connect(self.dir.path().join("admin.sock")).await.expect("the socket");
        parse(&exchange(stream, "POST", target, "Host: localhost\r\nx-bursar-actor: ann\r\n", &body.to_string()).await)
    }

    pub async fn tcp(&self, method: &str, target: &str, headers: &str, host: &str) -> (u16, Value) {
        let stream = TcpStream::connect(self.admin).await.expect("a connection");
        parse(&exchange(stream, method, target, &format!("Host: {host}\r\n{headers}"), "").await)
    }

    pub async fn caught_up(&self) {
        let end = *self.ledger.grown.borrow();
        tokio::time::timeout(Duration::from_secs(20), self.state.books.caught_up(end)).await.expect("in time");
    }

    /// The kinds of all events so far.
    pub async fn kinds(&self) -> Vec<&'static str> {
        self.caught_up().await;
        let events = self.state.books.ask(|store| store.events(0, 200)).await.expect("events");
        events.iter().filter_map(|e| Some(e.kind?.as_str())).collect()
    }

    pub async fn wait_for(&self, done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time");
    }
}

async fn policies(dir: &tempfile::TempDir) -> PolicyStore {
    let folder = dir.path().join("policies");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("refunds.toml"), POLICY).expect("written");
    let declare: Declare = Box::new(|_| Box::pin(std::future::ready(Ok(()))));
    let options = Options { folder, vendors: vec!["stripe".into()], sandbox: Sandbox::Closed };
    PolicyStore::open(options, Vec::new(), declare).await.expect("a sound policy").0
}

fn about() -> About {
    About {
        version: "0",
        started_at: Timestamp::now(),
        listen: String::new(),
        admin: String::new(),
        data: String::new(),
        sandbox: false,
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    method: &str,
    target: &str,
    headers: &str,
    body: &str,
) -> String {
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    // A server that refuses a large body may close before it has read all of it.
    let _ = stream.write_all(body.as_bytes()).await;
    read_all(stream).await
}

pub async fn read_all<S: AsyncRead + Unpin>(mut stream: S) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("in time");
    assert!(read.is_ok() || !answer.is_empty());
    String::from_utf8(answer).expect("text")
}

fn body_of(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&after[..size]);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}

fn parse(answer: &str) -> (u16, Value) {
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, serde_json::from_str(&body_of(answer)).unwrap_or_else(|e| panic!("{e}: {answer}")))
}
