//! The ledger of a fleet with what a node may do alone: calls from slices that it took before, and, where a policy says so,
//! calls while Redis is away. Such calls are in the node's own journal before they leave, and are told to Redis in batches.
//! `rules::ledger::slices` has the invariant and the state; here are the disk, the clock and the talk. All else is Redis's.
//!
//! * A call with a rate is never admitted here while Redis answers. While it is away, `leased` keeps rates on each node alone:
//!   n nodes may reach n times its pace, and none of them begins with a burst.
//! * While Redis answers, a call is admitted here only if that is what Redis would say too: every enforced limit has room in a
//!   slice for all that is wanted, no other limit is to be looked at, no replay key, and the flags were heard a moment ago.
//! * While it does not: `leased` goes on with what the slices have left, and lowers a call's output limit to that; `open`
//!   admits without looking. Both for as long as the policy says since Redis was heard last, and each such row is flagged.
//! * Time is the server's: its last word and a monotonic clock since. The node's wall clock is not asked.

mod admit;
mod back;
mod home;
mod operations;
mod store;
mod talk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::home::Home;
pub use self::home::HomeError;
use super::journal::{Durability, Record};
use super::redis::Redis;
use super::{LedgerError, Wake};
use crate::rules::ledger::ask::Held;
use crate::rules::ledger::entry::{Entry, Op, Posting};
use crate::rules::ledger::rates::Cells;
use crate::rules::ledger::slices::size::Demand;
use crate::rules::ledger::slices::{SliceKey, Slices};
use crate::rules::subject::Flag;
use crate::units::ids::{CallId, Seq};
use crate::units::time::{Timestamp, Window};

/// So long after flags were asked for a node may admit on its own while Redis is well.
pub const FRESH: Duration = Duration::from_millis(750);
/// How long a caller waits for this node's disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says whether this node may admit without asking now, where that is allowed for so long after a word from the server: whoever
/// revokes counts on the longest. Beside the node's own view.
pub type Right = Box<dyn Fn(Duration) -> bool + Send + Sync>;

/// The ledger of one node.
#[derive(Clone)]
pub struct Leased(Arc<Inner>);

struct Inner {
    redis: Redis,
    home: Home,
    state: Mutex<State>,
    right: Right,
    /// So many entries may be untold.
    backlog: AtomicUsize,
    wake: OnceLock<Arc<Wake>>,
    /// The last message got no answer.
    failing: AtomicBool,
    /// One message after the other.
    talking: tokio::sync::Mutex<()>,
    /// Something is to be said now.
    kick: Arc<Notify>,
    /// Looks that were answered.
    looks: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    slices: Slices,
    demand: Demand,
    windows: HashMap<SliceKey, Window>,
    /// What accounts had spent and held when they were last seen.
    seen: HashMap<SliceKey, (u64, u64)>,
    /// Of this node's journal, what Redis has not confirmed.
    entries: BTreeMap<Seq, Arc<Record>>,
    last: Seq,
    /// Calls that this node admitted, until they end or Redis has them.
    calls: HashMap<CallId, Local>,
    flags: HashSet<Flag>,
    flagged: u64,
    /// Stops that were said here and that Redis may not know.
    own: HashSet<Flag>,
    /// As this node alone keeps them while Redis is away.
    rates: Cells,
    /// When those that have filled up were dropped last.
    swept: Option<Timestamp>,
    number: u64,
    /// The last message whose answer made a slice larger.
    lent_by: u64,
    contact: Option<Contact>,
    life: Life,
    /// The last message was not answered: first of all, what became of it?
    unsure: bool,
    last_look: Option<Instant>,
    /// Redis is known not to have answered since; said once.
    silent: bool,
}

/// How far a node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    /// It has not spoken yet.
    #[default]
    New,
    /// It tells what it did before, then gives back what it was lent.
    Recovering,
    Ready,
    /// It gives everything back.
    Closing,
}

/// A call that this node admitted.
struct Local {
    held: Held,
    postings: Arc<[Posting]>,
    /// Nobody looked at all its limits.
    flagged: bool,
}

/// When Redis was heard last.
#[derive(Clone, Copy)]
struct Contact {
    /// Its time then.
    at: Timestamp,
    asked: Instant,
    heard: Instant,
}

impl Contact {
    /// The server's time now is between these two.
    fn now(&self) -> (Timestamp, Timestamp) {
        let plus = |since: Instant| {
            let micros = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
            Timestamp(self.at.0.saturating_add(micros))
        };
        (plus(self.heard), plus(self.asked))
    }
}

impl Leased {
    /// Opens the node's folder (`folder/slices`), and begins to talk: what an earlier life did alone is told first. `right` is
    /// asked beside the node's own view of the flags.
    ///
    /// # Errors
    /// The folder belongs to another process, or its journal is damaged. Nothing is changed then.
    pub fn open(redis: Redis, folder: &Path, durability: Durability, right: Right) -> Result<Self, HomeError> {
        let (home, entries) = Home::open(&folder.join("slices"), durability)?;
        let last = home.last();
        let entries = entries.into_iter().map(|record| (record.seq, record)).collect();
        let inner = Arc::new(Inner {
            redis,
            home,
            state: Mutex::new(State { entries, last, ..State::default() }),
            right,
            backlog: AtomicUsize::new(usize::MAX),
            wake: OnceLock::new(),
            failing: AtomicBool::new(false),
            talking: tokio::sync::Mutex::default(),
            kick: Arc::default(),
            looks: watch::channel(0).0,
        });
        inner.redis.beside(back::Back::of(&inner));
        tokio::spawn(talk::run(Arc::downgrade(&inner), inner.kick.clone()));
        Ok(Self(inner))
    }

    /// The ledger that all nodes share.
    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// The name under which this node is lent slices; it survives restarts.
    pub fn node(&self) -> &str {
        self.0.home.node()
    }

    /// What this node did and Redis has not confirmed.
    pub fn untold(&self) -> usize {
        self.0.state.lock().slices.untold()
    }
}

impl Inner {
    /// The journal has it when this returns, or will not have it. Under the state's lock, so that entries keep their order.
    fn journal(&self, state: &mut State, op: Op, must: bool) -> Result<Seq, LedgerError> {
        let seq = state.last + 1;
        let at = state.contact.map_or_else(Timestamp::default, |c| c.now().0);
        let record = Record::encode(Entry { seq, at, op }).map_err(|e| LedgerError::Down(e.to_string()))?;
        let record = Arc::new(record);
        self.home.append(&record, must).map_err(LedgerError::Down)?;
        state.last = seq;
        state.entries.insert(seq, record);
        Ok(seq)
    }

    /// Is what this node knows of the flags recent, and may it go by that?
    fn fresh(&self) -> bool {
        let recent = self.state.lock().contact.is_some_and(|c| c.asked.elapsed() <= FRESH);
        recent && (self.right)(FRESH)
    }

    /// Redis was there once, and is not now.
    fn away(&self) -> bool {
        let silent = self.state.lock().contact.is_some_and(|c| c.heard.elapsed() > FRESH);
        silent || (self.failing.load(Ordering::Acquire) && self.state.lock().contact.is_some())
    }

    fn freed(&self, postings: &[Posting]) {
        if let Some(wake) = self.wake.get() {
            wake(postings);
        }
    }

    /// This node is short itself: what is not used of it is given back.
    fn recall(&self, account: &str) {
        let mut state = self.state.lock();
        let keys: Vec<SliceKey> = state.slices.keys().filter(|k| *k.account.0 == *account).cloned().collect();
        keys.iter().for_each(|key| state.demand.recalled(key));
        state.last_look = None;
        drop(state);
        self.kick.notify_one();
    }

    /// Waits until Redis has answered a look that began after now, or for a while.
    async fn next_look(&self) {
        let mut looks = self.looks.subscribe();
        let now = *looks.borrow_and_update();
        let _ = tokio::time::timeout(FRESH, looks.wait_for(|n| *n > now)).await; // late is as good as answered
    }
}
