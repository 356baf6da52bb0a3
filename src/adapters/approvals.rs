//! Requests for a person's word: calls that a policy asks about, and what was said of them. They survive a restart, and the
//! nodes of a fleet have them in common: what one asks another may hear answered, and a yes is used once over all of them.
//! `asked` is what the gateway wants and gets, `record` one request and how it goes on, `shelf` where requests are kept (`sqlite`, `postgres`), `wire` what operators
//! read. The gateway asks, waits and claims; `control` decides. Writes no event of the books: those two do.

mod asked;
mod postgres;
mod record;
mod shelf;
mod sqlite;
pub mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashSet;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::config::CredentialSource;
use crate::units::ids::{ApprovalId, CallId, Digest32, KeyId};
use crate::units::time::Timestamp;

pub use asked::{Asked, Claimed, Extent, Use, Wanted, use_of};
use postgres::Postgres;
pub use record::{Decision, Record, State, Telling, person};
use shelf::Shelf;
use sqlite::Sqlite;

/// Requests of one key that may wait at once: whoever asks more is not answered sooner.
pub const MOST_PENDING: u64 = 100;
/// What is over stays to be looked at for so long.
const KEPT_SECS: i64 = 31 * 86_400;
/// How often a node looks for what others asked and said: a part of the second within which a call that waits goes on.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So many operations that need no first yes any more are kept in memory.
const REMEMBERED: usize = 100_000;

#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("requests for approval cannot be reached: {0}")]
    Store(String),
    #[error("there is no approval `{0}`; `bursar approval list` has those that wait")]
    Unknown(ApprovalId),
    #[error("{MOST_PENDING} requests of this key wait for a person already")]
    TooMany,
    #[error("{0}")]
    Refused(String),
}

type Result<T> = std::result::Result<T, ApprovalError>;

/// All requests: of this node, or of its fleet.
pub struct Approvals {
    shelf: Mutex<Box<dyn Shelf>>,
    /// What is known to have had its first yes: nobody takes that back.
    used: DashSet<Use>,
    changes: watch::Sender<u64>,
}

impl Approvals {
    /// Opens or makes `dir/approvals.db`.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self::on(Box::new(Sqlite::open(&dir.join("approvals.db"))?)))
    }

    /// Those of a fleet, in its common PostgreSQL. Connects at the first question.
    pub fn join(url: &str, password: Option<&CredentialSource>, fleet: &str) -> Result<Self> {
        Ok(Self::on(Box::new(Postgres::new(url, password, fleet)?)))
    }

    fn on(shelf: Box<dyn Shelf>) -> Self {
        Self { shelf: Mutex::new(shelf), used: DashSet::new(), changes: watch::Sender::new(0) }
    }

    /// Counts what was asked and said, here or elsewhere.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Looks for what other nodes asked and said, for ever; ends at once where there are none. `app` runs it.
    pub async fn follow(self: Arc<Self>) {
        let (mut seen, mut well) = (None, true);
        loop {
            match self.read(|shelf| shelf.moved()).await {
                Ok(None) => return,
                Ok(now) => {
                    if seen != now || !well {
                        self.moved();
                    }
                    (seen, well) = (now, true);
                }
                Err(error) => {
                    if std::mem::take(&mut well) {
                        tracing::error!(%error, "what persons say on other nodes is not heard");
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn moved(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    /// The request that speaks for such calls: one that there is, or a new one, which somebody is to be told of. One about less
    /// is over then.
    pub async fn ask(self: &Arc<Self>, wanted: Wanted, now: Timestamp) -> Result<Asked> {
        let asked = self.change(move |shelf| {
            let mut instead_of = None;
            if let Some(mut there) = shelf.latest(wanted.fingerprint)?.map(|r| r.at(now)).filter(|r| r.speaks(now)) {
                if !there.asks_more(&wanted) {
                    return Ok((Asked { untold: !there.noted, record: there, instead_of }, false));
                }
                there.supersede();
                shelf.write(&there)?;
                instead_of = Some(there.id);
            }
            if shelf.pending_of(&wanted.request.key, now)? >= MOST_PENDING {
                return Err(ApprovalError::TooMany);
            }
            let record = Record::new(new_id()?, wanted, now);
            shelf.write(&record)?;
            Ok((Asked { record, untold: true, instead_of }, true))
        });
        let (asked, fresh) = asked.await?;
        if fresh {
            self.moved();
        }
        Ok(asked)
    }

    /// The books know that it was asked.
    pub async fn noted(self: &Arc<Self>, id: ApprovalId) -> Result<()> {
        self.change(move |shelf| {
            let Some(record) = shelf.find(&id)? else { return Ok(()) };
            shelf.write(&Record { noted: true, ..record })
        })
        .await
    }

    /// Takes a yes for this call, which no other call can take then. `None` if there is none that covers it.
    pub async fn claim(
        self: &Arc<Self>,
        fingerprint: Digest32,
        extent: Extent,
        call: CallId,
        now: Timestamp,
    ) -> Result<Option<Claimed>> {
        self.change(move |shelf| {
            let found = shelf.latest(fingerprint)?.map(|r| r.at(now)).filter(|r| r.covers(&extent));
            let Some(mut record) = found else { return Ok(None) };
            record.claim(call);
            shelf.write(&record)?;
            Ok(Some(Claimed { by: record.approvers(), reason: record.reason(), id: record.id }))
        })
        .await
    }

    /// The call that claimed it did not leave.
    pub async fn give_back(self: &Arc<Self>, id: ApprovalId, call: CallId) -> Result<()> {
        self.change(move |shelf| {
            let Some(mut record) = shelf.find(&id)?.filter(|r| r.used_by == Some(call)) else { return Ok(()) };
            record.give_back();
            shelf.write(&record)
        })
        .await
    }

    /// The request that speaks for such calls, if there is one.
    pub async fn peek(self: &Arc<Self>, fingerprint: Digest32, now: Timestamp) -> Result<Option<Record>> {
        self.read(move |shelf| Ok(shelf.latest(fingerprint)?.map(|r| r.at(now)).filter(|r| r.speaks(now)))).await
    }

    /// Of one key: those that wait, and those that may still be used.
    pub async fn open_of(self: &Arc<Self>, key: KeyId, now: Timestamp) -> Result<Vec<Record>> {
        let open = |record: &Record| matches!(record.state, State::Pending | State::Approved);
        self.read(move |shelf| Ok(shelf.of_key(&key)?.into_iter().map(|r| r.at(now)).filter(open).collect())).await
    }

    /// Has a person ever said yes to this operation of this agent?
    pub async fn has_used(self: &Arc<Self>, of: Use) -> Result<bool> {
        if self.used.contains(&of) {
            return Ok(true);
        }
        let asked = of.clone();
        let used = self.read(move |shelf| shelf.has_used(&asked)).await?;
        if used && self.used.len() < REMEMBERED {
            self.used.insert(of);
        }
        Ok(used)
    }

    /// As it stands now.
    pub async fn find(self: &Arc<Self>, id: ApprovalId, now: Timestamp) -> Result<Record> {
        self.read(move |shelf| {
            let found = shelf.find(&id)?.map(|record| record.at(now));
            found.ok_or(ApprovalError::Unknown(id))
        })
        .await
    }

    /// Newest first; those that wait alone, or all that are remembered.
    pub async fn list(self: &Arc<Self>, all: bool, now: Timestamp) -> Result<Vec<Record>> {
        let records = self.read(move |shelf| shelf.list(all)).await?.into_iter().map(move |record| record.at(now));
        Ok(records.filter(|r| all || r.state == State::Pending).collect())
    }

    /// One person's word, which `Record::may` allowed.
    pub async fn decide(self: &Arc<Self>, id: ApprovalId, decision: Decision) -> Result<Record> {
        let decided = self.change(move |shelf| {
            let mut record = shelf.find(&id)?.ok_or(ApprovalError::Unknown(id))?.at(decision.at);
            // A call may have claimed it since this person was let through, or another node have heard somebody.
            record.may(&decision.actor, decision.yes, &[]).map_err(ApprovalError::Refused)?;
            record.hear(decision);
            shelf.write(&record)?;
            if record.state == State::Approved {
                shelf.note_use(&Use::of(&record.request))?;
            }
            Ok(record)
        });
        let record = decided.await?;
        self.moved();
        Ok(record)
    }

    /// May this node tell an approver of a request, as it was asked at `asked_at`? One node at a time may. `proof` is what
    /// the person's link is known by on other nodes.
    pub async fn begin_telling(
        self: &Arc<Self>,
        (id, asked_at): (ApprovalId, Timestamp),
        who: Arc<str>,
        proof: Digest32,
        now: Timestamp,
    ) -> Result<Telling> {
        self.change(move |shelf| {
            let Some(mut record) = shelf.find(&id)?.filter(|r| r.asked_at == asked_at) else {
                return Ok(Telling::Done);
            };
            let telling = record.begin_telling(&who, proof, now);
            if telling == Telling::Mine {
                shelf.write(&record)?;
            }
            Ok(telling)
        })
        .await
    }

    /// They know it now, or somebody is to try again.
    pub async fn told(
        self: &Arc<Self>,
        (id, asked_at): (ApprovalId, Timestamp),
        who: Arc<str>,
        done: bool,
    ) -> Result<()> {
        self.change(move |shelf| {
            let Some(mut record) = shelf.find(&id)?.filter(|r| r.asked_at == asked_at) else { return Ok(()) };
            record.told(&who, done);
            shelf.write(&record)
        })
        .await
    }

    /// Those that nobody decided in time, each once; what has long been over is forgotten.
    pub async fn expire(self: &Arc<Self>, now: Timestamp) -> Result<Vec<Record>> {
        let look = move |shelf: &mut dyn Shelf| {
            shelf.forget(now.plus_secs(-KEPT_SECS))?;
            shelf.pending_until(now)
        };
        if self.read(look).await?.is_empty() {
            return Ok(Vec::new());
        }
        let over = self.change(move |shelf| {
            let over: Vec<Record> = shelf.pending_until(now)?.into_iter().map(|record| record.at(now)).collect();
            over.iter().try_for_each(|record| shelf.write(record))?;
            Ok(over)
        });
        let over = over.await?;
        self.moved();
        Ok(over)
    }

    /// All that `work` does, or nothing; and nobody does anything in between.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut dyn Shelf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read(move |shelf| {
            shelf.begin()?;
            let done = work(shelf);
            let ended = shelf.end(done.is_ok());
            let done = done?;
            ended.map(|()| done)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut dyn Shelf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut **this.shelf.lock())).await;
        done.unwrap_or_else(|e| Err(ApprovalError::Store(e.to_string())))
    }
}

fn new_id() -> Result<ApprovalId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| ApprovalError::Store(format!("no random bytes: {e}")))?;
    Ok(ApprovalId(format!("ap_{:016x}", u64::from_be_bytes(bytes)).into()))
}
