//! What the nodes of one ledger on Redis say to each other: who is alive and until when it may admit, which changes of flags
//! it has carried out, keys and flags as they change. Decides no call: the script that reserves reads the flags itself, and
//! what is said here ends calls in flight. `link` is the way there, `node` a heartbeat, `answers` who has carried out what, `bell` the channel, `shared` the
//! common keys, `canary` the measure of all this. `control::fleet` drives it.

mod answers;
pub mod bell;
mod canary;
pub mod histogram;
mod link;
mod moment;
pub mod node;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::Script;
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::CredentialSource;
use crate::rules::subject::Flag;

use self::canary::Canary;
pub use self::canary::is_canary;
use self::histogram::Counted;
pub use self::link::FleetError;
use self::link::Link;
use self::moment::Moment;
use self::node::{Beat, Node, number};

/// How often a node says that it is alive.
pub const BEAT_EVERY: Duration = Duration::from_millis(250);
/// So long after its last heartbeat a node may admit from what was lent to it.
pub const RIGHT: Duration = Duration::from_millis(750);
/// A node that was silent for so long is struck off, once its right has ended.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// This node's place among the others.
pub struct Fleet {
    link: Link,
    tag: String,
    scripts: Scripts,
    id: String,
    name: String,
    /// Without Redis for so long, calls in flight end.
    pub max_silence: Duration,
    /// The last change of a flag that was carried out here, and the last change of what is shared that is known.
    obeyed: AtomicU64,
    known: AtomicU64,
    /// The ledger whose flags were fetched last.
    epoch: Mutex<String>,
    heard: Mutex<Contact>,
    /// How long this node may admit from what was lent to it, without a word, in microseconds.
    right: AtomicU64,
    writes_books: AtomicBool,
    beat_now: Notify,
    beaten: Notify,
    canary: Canary,
}

/// The last that was heard of the server.
struct Contact {
    /// When it was asked: what it answered held at that moment at the earliest.
    asked: Moment,
    beat: Beat,
    /// The right that it was told of. Nothing before it was heard at all.
    right: Duration,
    /// The one before.
    last: Beat,
    trouble: Option<String>,
}

struct Scripts {
    beat: Script,
    flags: Script,
    share: Script,
    canary: Script,
}

impl Scripts {
    fn new() -> Self {
        // A server that is out of memory must still hear who is alive and what is switched off.
        let always = |text: &str| Script::new(&format!("#!lua flags=allow-oom\n{text}"));
        Self {
            beat: always(include_str!("beat.lua")),
            flags: always(include_str!("flags.lua")),
            share: always(include_str!("share.lua")),
            canary: always(include_str!("canary.lua")),
        }
    }
}

/// Every flag that is set, and the number of the last change.
pub struct Flags {
    pub epoch: String,
    pub flagged: u64,
    pub set: Vec<Flag>,
}

impl Fleet {
    /// Connects. `ledger` is the ledger's name, `admin` where people find this node.
    pub async fn open(
        url: &[u8],
        password: Option<CredentialSource>,
        ledger: &str,
        admin: &str,
        max_silence: Duration,
    ) -> Result<Arc<Self>, FleetError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|e| FleetError::Redis(format!("no random bytes for a node's id: {e}")))?;
        let contact = Contact {
            asked: Moment::now(),
            beat: Beat::default(),
            right: Duration::ZERO,
            last: Beat::default(),
            trouble: None,
        };
        let tag = format!("{{{ledger}}}");
        Ok(Arc::new(Self {
            link: Link::open(url, password, &format!("{tag}:meta")).await?,
            tag,
            scripts: Scripts::new(),
            id: bytes.iter().map(|b| format!("{b:02x}")).collect(),
            name: format!("{}/{admin}", host()),
            max_silence,
            obeyed: AtomicU64::new(0),
            known: AtomicU64::new(0),
            epoch: Mutex::default(),
            heard: Mutex::new(contact),
            right: AtomicU64::new(micros(RIGHT)),
            writes_books: AtomicBool::new(false),
            beat_now: Notify::new(),
            beaten: Notify::new(),
            canary: Canary::new(),
        }))
    }

    fn key(&self, what: &str) -> String {
        format!("{}:{what}", self.tag)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says that this node is alive and what it has carried out, and hears of the others.
    pub async fn beat(&self) -> Result<Beat, FleetError> {
        let (asked, right) = (Moment::now(), self.right.load(Ordering::Acquire));
        let answered = self.ask_beat(right).await;
        let mut heard = self.heard.lock();
        match &answered {
            Ok(beat) if asked >= heard.asked => {
                let last = std::mem::replace(&mut heard.beat, beat.clone());
                (heard.asked, heard.last, heard.trouble) = (asked, last, None);
                heard.right = Duration::from_micros(right);
            }
            Ok(_) => {}
            Err(why) => heard.trouble = Some(why.to_string()),
        }
        answered
    }

    async fn ask_beat(&self, right: u64) -> Result<Beat, FleetError> {
        let writes = self.writes_books.load(Ordering::Acquire);
        let version = env!("CARGO_PKG_VERSION");
        let said = serde_json::json!({ "id": self.id, "name": self.name, "version": version, "writes_books": writes });
        let rest = said.to_string();
        let (epoch, obeyed) = {
            let epoch = self.epoch.lock();
            (epoch.clone(), self.obeyed())
        };
        let mut call = self.scripts.beat.prepare_invoke();
        for key in ["meta", "nodes", "shared"] {
            call.key(self.key(key));
        }
        call.arg(&self.id).arg(obeyed).arg(right).arg(micros(FORGOTTEN));
        call.arg(rest.strip_prefix('{').unwrap_or(&rest)).arg(epoch);
        Beat::read(&self.link.ask::<Vec<String>>(&call).await?)
    }

    /// The next heartbeat says so.
    pub fn writes_books(&self, writes: bool) {
        self.writes_books.store(writes, Ordering::Release);
    }

    /// The name of the node that writes the books, if one says that it does.
    pub fn writer(&self) -> Option<String> {
        self.heard.lock().beat.writer().map(|node| node.name.clone())
    }

    /// Asks whoever writes the books to sign what stands in them. Nobody answers: the next checkpoint is seen there.
    pub async fn ask_to_sign(&self) -> Result<(), FleetError> {
        self.ring("sign").await
    }

    /// Says that a flag is about to be set, so that calls in flight end while it is written down. Whoever misses it hears of
    /// the flag itself.
    pub async fn stopping(&self, flag: &Flag) -> Result<(), FleetError> {
        self.ring(&format!("stopping {}", serde_json::json!(flag))).await
    }

    async fn ring(&self, words: &str) -> Result<(), FleetError> {
        let mut ring = redis::cmd("PUBLISH");
        ring.arg(self.key("bell")).arg(words);
        self.link.command::<u64>(&ring).await.map(|_| ())
    }

    /// At an orderly end: nobody waits for this node any more.
    pub async fn leave(&self) -> Result<(), FleetError> {
        let mut gone = redis::cmd("HDEL");
        gone.arg(self.key("nodes")).arg(&self.id);
        self.link.command::<u64>(&gone).await.map(|_| ())
    }

    /// The flags as the ledger has them.
    pub async fn flags(&self) -> Result<Flags, FleetError> {
        let mut call = self.scripts.flags.prepare_invoke();
        call.key(self.key("meta")).key(self.key("flags"));
        let answer: Vec<String> = self.link.ask(&call).await?;
        let [epoch, flagged, set @ ..] = &answer[..] else {
            return Err(FleetError::Unreadable("no flags".to_owned()));
        };
        let read = |text: &String| serde_json::from_str(text).map_err(|e| (text.clone(), e));
        let set = set.iter().map(read).filter_map(|flag| {
            // A kind that a newer node knows: the script that reserves stops its calls all the same.
            flag.inspect_err(|(text, why)| tracing::error!("the flag {text} is not understood here: {why}")).ok()
        });
        Ok(Flags { epoch: epoch.clone(), flagged: number(flagged)?, set: set.collect() })
    }

    fn hear(&self) -> crate::adapters::ledger::redis::link::Bell {
        self.link.hear(&self.key("bell"))
    }

    /// The last change of a flag that was carried out here.
    pub fn obeyed(&self) -> u64 {
        self.obeyed.load(Ordering::Acquire)
    }

    /// All changes up to this one are carried out; the others are told at once.
    pub fn obey(&self, number: u64) {
        self.obeyed.store(number, Ordering::Release);
        self.beat_now.notify_one();
    }

    /// As `obey`, for all flags at once, as they were fetched from a ledger.
    pub fn obey_all(&self, flags: &Flags) {
        // Under the lock: a heartbeat must not say the one's number with the other's name.
        let mut epoch = self.epoch.lock();
        epoch.clone_from(&flags.epoch);
        self.obey(flags.flagged);
    }

    /// The last change of what is shared that is known here.
    pub fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    pub fn knows(&self, number: u64) {
        self.known.store(number, Ordering::Release);
    }

    /// Does the last heartbeat show flags that were not heard of, or another ledger than the one they were fetched from?
    pub fn flags_behind(&self) -> bool {
        let heard = self.heard.lock();
        differs(self.obeyed(), heard.beat.flagged, heard.last.flagged) || *self.epoch.lock() != heard.beat.epoch
    }

    /// The same for keys.
    pub fn keys_behind(&self) -> bool {
        let heard = self.heard.lock();
        differs(self.known(), heard.beat.shared, heard.last.shared)
    }

    /// A heartbeat was answered.
    pub fn was_beaten(&self) {
        self.beaten.notify_one();
    }

    pub async fn beaten(&self) {
        self.beaten.notified().await;
    }

    /// The next heartbeat is due.
    pub async fn due(&self) {
        tokio::select! { () = tokio::time::sleep(BEAT_EVERY) => {}, () = self.beat_now.notified() => {} }
    }

    /// How long the server has not been heard.
    pub fn silence(&self) -> Duration {
        self.heard.lock().asked.elapsed()
    }

    /// The longest that any policy lets this node admit without a word from the server: a revocation counts on it. A longer
    /// right begins with the next heartbeat, a shorter one with this moment.
    pub fn may_admit_for(&self, right: Duration) {
        self.right.store(micros(right.max(RIGHT)), Ordering::Release);
    }

    /// May this node admit without asking, where a policy allows it for so long after a word from the server? After its right
    /// has ended the others count on its silence. Time that a machine was suspended counts.
    pub fn may_admit_alone(&self, allowed: Duration) -> bool {
        let heard = self.heard.lock();
        // What the server was told last counts, if it is less than what is wanted now.
        let right = heard.right.min(Duration::from_micros(self.right.load(Ordering::Acquire)));
        heard.asked.elapsed() < right.min(allowed)
    }

    /// Why the other nodes are not heard.
    pub fn trouble(&self) -> Option<String> {
        self.heard.lock().trouble.clone()
    }

    /// The ids of the nodes that live.
    pub fn live(&self) -> Vec<String> {
        let heard = self.heard.lock();
        heard.beat.nodes.iter().filter(|n| n.lives(heard.beat.at)).map(|n| n.id.clone()).collect()
    }

    /// For `status` and the metrics.
    pub fn view(&self) -> FleetView {
        let heard = self.heard.lock();
        let nodes = heard.beat.nodes.iter().map(|n| NodeView { live: n.lives(heard.beat.at), node: n.clone() });
        FleetView {
            node: self.id.clone(),
            nodes: nodes.collect(),
            silent_ms: u64::try_from(heard.asked.elapsed().as_millis()).unwrap_or(u64::MAX),
            revoke_latency: self.canary.histogram.counted(),
            revoke_latency_late: self.canary.late.load(Ordering::Relaxed),
        }
    }
}

/// A number beyond the one that is known was missed. One below it may only be older than what was heard meanwhile; twice
/// below, the server lost it.
fn differs(known: u64, now: u64, before: u64) -> bool {
    now > known || (now < known && before < known)
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}

/// The host's name, for people.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The fleet as this node sees it.
#[derive(Clone, Debug, Serialize)]
pub struct FleetView {
    /// This node's id.
    pub node: String,
    pub nodes: Vec<NodeView>,
    /// Since the server was heard last.
    pub silent_ms: u64,
    /// From a change of a flag until every live node has carried it out, as the canary finds it.
    pub revoke_latency: Counted,
    /// Canaries that some live node did not answer in time.
    pub revoke_latency_late: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct NodeView {
    #[serde(flatten)]
    pub node: Node,
    pub live: bool,
}
