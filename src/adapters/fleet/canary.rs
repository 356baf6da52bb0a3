//! A key that nobody holds, revoked and restored all the time on the way that every revocation takes: what that costs until
//! the last live node has carried it out is the fleet's revoke latency. It leaves no event, no flag and no call behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::histogram::Histogram;
use super::node::Node;
use super::{Fleet, FleetError};
use crate::adapters::switchboard::{Seat, Switchboard};
use crate::rules::subject::{Facts, Flag, Subject};
use crate::units::ids::{CallId, KeyId};

/// No minted key has such an id: they have no dash.
const NAME: &str = "bursar-canary";
/// The whole fleet sees a canary so often: each node flies its own once for every node.
const EVERY: Duration = Duration::from_secs(2);

fn flag() -> Flag {
    Flag::Key { id: KeyId(NAME.into()) }
}

pub fn is_canary(flag: &Flag) -> bool {
    matches!(flag, Flag::Key { id } if id.as_str() == NAME)
}

/// The canary's call in flight, on a board of its own so that nobody counts it.
pub struct Canary {
    board: Arc<Switchboard>,
    seat: Mutex<Seat>,
    pub histogram: Histogram,
    pub late: AtomicU64,
}

impl Canary {
    pub fn new() -> Self {
        let board = Switchboard::new();
        let seat = Mutex::new(enter(&board));
        Self { board, seat, histogram: Histogram::default(), late: AtomicU64::new(0) }
    }
}

/// Up to half of it: so that a fleet does not knock in step.
fn jitter(of: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = getrandom::fill(&mut byte);
    of * u32::from(byte[0]) / 512
}

fn enter(board: &Arc<Switchboard>) -> Seat {
    let facts = Facts {
        subject: Subject::default(),
        keys: vec![KeyId(NAME.into())],
        policy: "".into(),
        vendor: "".into(),
        operation: "".into(),
        claimed_run: false,
    };
    board.enter(CallId(uuid::Uuid::nil()), Arc::new(facts))
}

impl Fleet {
    /// The canary's flag was set or cleared. `true` if its call stands as it should; a node where it does not must not
    /// say that it has obeyed.
    pub fn canary_turned(&self, on: bool) -> bool {
        let mut seat = self.canary.seat.lock();
        if !on {
            // The old seat leaves first: both bear one id.
            let (other, board) = (Switchboard::new(), &self.canary.board);
            drop(std::mem::replace(&mut *seat, enter(&other)));
            *seat = enter(board);
            return true;
        }
        self.canary.board.stop(&flag());
        seat.stopped_by().is_some()
    }

    /// Flies once: sets the flag, waits for every live node, clears it.
    pub async fn fly(&self) -> Result<(), FleetError> {
        let made = Instant::now();
        let number = self.ring_canary("set").await?;
        if number == 0 {
            return Ok(());
        }
        // One that is silent is no measure of the way: it may be dead.
        let answers = self.answered(number, made, Node::lives).await;
        self.ring_canary("clear").await?;
        let answers = answers?;
        if answers.iter().any(|a| a.admits_until.is_some()) {
            self.canary.late.fetch_add(1, Ordering::Relaxed);
            self.canary.histogram.add(made.elapsed());
        } else if let Some(last) = answers.iter().filter_map(|a| a.acknowledged_ms).max() {
            self.canary.histogram.add(Duration::from_millis(last));
        }
        Ok(())
    }

    async fn ring_canary(&self, what: &str) -> Result<u64, FleetError> {
        let flag = serde_json::json!(flag()).to_string();
        let mut call = self.scripts.canary.prepare_invoke();
        call.key(self.key("meta")).arg(what).arg(flag).arg(self.key("bell"));
        self.link.ask(&call).await
    }

    /// Until the next flight. As many nodes, so many times longer: the load on the server stays the same.
    pub async fn rest(&self) {
        let nodes = u32::try_from(self.heard.lock().beat.live().max(1)).unwrap_or(u32::MAX);
        let pause = EVERY.saturating_mul(nodes);
        tokio::time::sleep(pause.saturating_sub(pause / 4) + jitter(pause)).await;
    }
}
