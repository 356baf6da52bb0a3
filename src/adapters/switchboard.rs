//! Calls in flight, and how they are stopped. A call enters before it reserves; `stop` aborts all that a flag covers.
//! Keeps no flags (the ledger checks those in the step that reserves) and writes no rows. `gateway::forward` looks here last.

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use tokio_util::sync::CancellationToken;

use crate::rules::subject::{Facts, Flag};
use crate::units::ids::CallId;
use crate::units::table::Hashing;

/// All calls between admission and their last byte.
#[derive(Default)]
pub struct Switchboard {
    calls: DashMap<CallId, Arc<Line>, Hashing>,
}

struct Line {
    facts: Arc<Facts>,
    aborted: CancellationToken,
    cause: OnceLock<Cause>,
}

/// Why a call was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A person switched it off.
    Flag(Flag),
    /// This node has not heard the ledger for too long, so nobody could.
    CutOff,
    /// bursar itself ends.
    Closing,
}

/// What happened, for rows and sentences.
impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag} was switched off"),
            Self::CutOff => f.write_str("this node was cut off from its ledger for too long to hear of a revocation"),
            Self::Closing => f.write_str("bursar was stopped, and its patience with calls in flight ended"),
        }
    }
}

impl Switchboard {
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Enters a call. It leaves when its seat is dropped.
    pub fn enter(self: &Arc<Self>, call: CallId, facts: Arc<Facts>) -> Seat {
        let line = Arc::new(Line { facts, aborted: CancellationToken::new(), cause: OnceLock::new() });
        self.calls.insert(call, line.clone());
        Seat { board: self.clone(), call, line }
    }

    /// Aborts every call that the flag covers and that runs on; says how many.
    pub fn stop(&self, flag: &Flag) -> usize {
        let covered = self.calls.iter().filter(|c| flag.stops(&c.value().facts));
        covered.filter(|c| c.value().abort(Cause::Flag(flag.clone()))).count()
    }

    /// Aborts everything still there.
    pub fn stop_all(&self, cause: Cause) -> usize {
        self.calls.iter().filter(|c| c.value().abort(cause.clone())).count()
    }

    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }
}

impl Line {
    /// The first names the reason; a second one changes nothing, and is told so.
    fn abort(&self, cause: Cause) -> bool {
        let first = self.cause.set(cause).is_ok();
        self.aborted.cancel();
        first
    }
}

/// A call's place on the switchboard.
pub struct Seat {
    board: Arc<Switchboard>,
    call: CallId,
    line: Arc<Line>,
}

impl Seat {
    /// What stopped this call, if something did.
    pub fn stopped_by(&self) -> Option<&Cause> {
        self.line.cause.get()
    }

    /// Resolves when the call is stopped.
    pub fn stopped(&self) -> tokio_util::sync::WaitForCancellationFutureOwned {
        self.line.aborted.clone().cancelled_owned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.calls.remove(&self.call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::subject::Subject;
    use crate::units::ids::KeyId;

    fn facts(key: &str) -> Arc<Facts> {
        Arc::new(Facts {
            subject: Subject::default(),
            keys: vec![KeyId(key.into())],
            policy: "p".into(),
            vendor: "openai".into(),
            operation: "POST /v1/x".into(),
            claimed_run: false,
        })
    }

    #[test]
    fn a_flag_stops_what_it_covers_and_nothing_else() {
        let board = Switchboard::new();
        let call = |n| CallId(uuid::Uuid::from_u128(n));
        let (a, b) = (board.enter(call(1), facts("a")), board.enter(call(2), facts("b")));
        assert_eq!(board.stop(&Flag::Key { id: KeyId("a".into()) }), 1);
        assert_eq!(board.stop(&Flag::Key { id: KeyId("a".into()) }), 0, "it is stopped already");
        assert!(a.stopped_by().is_some() && b.stopped_by().is_none());
        drop(a);
        assert_eq!((board.in_flight(), board.stop_all(Cause::Closing)), (1, 1));
    }
}
