//! Requests for a person's word: calls that a policy asks about, and what was said of them. One node's alone, in
//! `approvals.db`, so that they survive a restart. `record` is one request and how it goes on, `store` the file, `wire` what
//! operators read. The gateway asks, waits and claims; `control` decides. Writes no event of the books: those two do.

mod record;
mod store;
pub mod wire;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::rules::books::Request;
use crate::rules::policy::Terms;
use crate::rules::subject::Name;
use crate::units::ids::{ApprovalId, CallId, Digest32, KeyId};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub use record::{Decision, Record, State, person};
use store::Store;

/// Requests of one key that may wait at once: whoever asks more is not answered sooner.
pub const MOST_PENDING: u64 = 100;
/// What is over stays to be looked at for so long.
const KEPT_SECS: i64 = 31 * 86_400;

#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("approvals.db: {0}")]
    Store(String),
    #[error("there is no approval `{0}`; `bursar approval list` has those that wait")]
    Unknown(ApprovalId),
    #[error("{MOST_PENDING} requests of this key wait for a person already")]
    TooMany,
    #[error("{0}")]
    Refused(String),
}

/// A call that needs a person's word.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The same for every repeat of the request, and for nothing else.
    pub fingerprint: Digest32,
    pub request: Request,
    pub terms: Terms,
}

/// A yes that one call has taken for itself.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: ApprovalId,
    /// Who said yes, as the books name them.
    pub by: String,
    pub reason: Option<String>,
}

/// An agent and an operation; the key in the place of an agent where it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub tenant: Name,
    pub agent: Name,
    pub vendor: Name,
    pub operation: Name,
}

impl Use {
    fn of(request: &Request) -> Self {
        Self {
            tenant: request.subject.tenant.clone(),
            agent: request.subject.agent.clone().unwrap_or_else(|| format!("key {}", request.key).into()),
            vendor: request.vendor.clone(),
            operation: request.operation.clone(),
        }
    }
}

type Result<T> = std::result::Result<T, ApprovalError>;

/// All requests of this node.
pub struct Approvals {
    store: Mutex<Store>,
    changes: watch::Sender<u64>,
}

impl Approvals {
    /// Opens or makes `dir/approvals.db`.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self { store: Mutex::new(Store::open(&dir.join("approvals.db"))?), changes: watch::Sender::new(0) })
    }

    /// Counts what was asked and said.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The request that speaks for such calls: one that there is, or a new one (`true`), which somebody is to be told of.
    pub async fn ask(self: &Arc<Self>, wanted: Wanted, now: Timestamp) -> Result<(Record, bool)> {
        let asked = self.on_disk(move |store| {
            if let Some(mut there) = store.latest(wanted.fingerprint)?.map(|r| r.at(now)).filter(|r| r.speaks(now)) {
                let more = there.asks_more(&wanted);
                if more {
                    there.ask_again(&wanted, now);
                    store.write(&there)?;
                }
                return Ok((there, more));
            }
            if store.pending_of(&wanted.request.key, now)? >= MOST_PENDING {
                return Err(ApprovalError::TooMany);
            }
            let record = Record::new(new_id()?, wanted, now);
            store.write(&record)?;
            Ok((record, true))
        });
        let (record, fresh) = asked.await?;
        if fresh {
            self.changes.send_modify(|n| *n += 1);
        }
        Ok((record, fresh))
    }

    /// Takes a yes for this call, which no other call can take then. `None` if there is none that covers it.
    pub async fn claim(
        self: &Arc<Self>,
        fingerprint: Digest32,
        (amount, people): (MicroCents, u32),
        call: CallId,
        now: Timestamp,
    ) -> Result<Option<Claimed>> {
        self.on_disk(move |store| {
            let found = store.latest(fingerprint)?.map(|r| r.at(now)).filter(|r| r.covers(amount, people));
            let Some(mut record) = found else { return Ok(None) };
            record.claim(call);
            store.write(&record)?;
            Ok(Some(Claimed { by: record.approvers(), reason: record.reason(), id: record.id }))
        })
        .await
    }

    /// The call that claimed it did not leave.
    pub async fn give_back(self: &Arc<Self>, id: ApprovalId, call: CallId) -> Result<()> {
        self.on_disk(move |store| {
            let Some(mut record) = store.find(&id)?.filter(|r| r.used_by == Some(call)) else { return Ok(()) };
            record.give_back();
            store.write(&record)
        })
        .await
    }

    /// The request that speaks for such calls, if there is one.
    pub async fn peek(self: &Arc<Self>, fingerprint: Digest32, now: Timestamp) -> Result<Option<Record>> {
        self.on_disk(move |store| Ok(store.latest(fingerprint)?.map(|r| r.at(now)).filter(|r| r.speaks(now)))).await
    }

    /// Of one key: those that wait, and those that may still be used.
    pub async fn open_of(self: &Arc<Self>, key: KeyId, now: Timestamp) -> Result<Vec<Record>> {
        let open = |record: &Record| matches!(record.state, State::Pending | State::Approved);
        self.on_disk(move |store| Ok(store.of_key(&key)?.into_iter().map(|r| r.at(now)).filter(open).collect())).await
    }

    /// Has a person ever said yes to this operation of this agent?
    pub async fn has_used(self: &Arc<Self>, of: Use) -> Result<bool> {
        self.on_disk(move |store| store.has_used(&of)).await
    }

    /// As it stands now. Blocks on the disk, as all that follow.
    pub fn find(&self, id: &ApprovalId, now: Timestamp) -> Result<Record> {
        let found = self.store.lock().find(id)?.map(|record| record.at(now));
        found.ok_or_else(|| ApprovalError::Unknown(id.clone()))
    }

    /// Newest first; those that wait alone, or all that are remembered.
    pub fn list(&self, all: bool, now: Timestamp) -> Result<Vec<Record>> {
        let records = self.store.lock().list()?.into_iter().map(|record| record.at(now));
        Ok(records.filter(|r| all || r.state == State::Pending).collect())
    }

    /// One person's word, which `Record::may` allowed.
    pub fn decide(&self, id: &ApprovalId, decision: Decision) -> Result<Record> {
        let store = self.store.lock();
        let found = store.find(id)?.ok_or_else(|| ApprovalError::Unknown(id.clone()))?;
        let mut record = found.at(decision.at);
        // A call may have claimed it since this person was let through.
        record.may(&decision.actor, decision.yes, &[]).map_err(ApprovalError::Refused)?;
        record.hear(decision);
        store.write(&record)?;
        if record.state == State::Approved {
            store.note_use(&Use::of(&record.request))?;
        }
        drop(store);
        self.changes.send_modify(|n| *n += 1);
        Ok(record)
    }

    /// Those that nobody decided in time, each once; what has long been over is forgotten.
    pub fn expire(&self, now: Timestamp) -> Result<Vec<Record>> {
        let store = self.store.lock();
        let over: Vec<Record> = store.pending_until(now)?.into_iter().map(|record| record.at(now)).collect();
        over.iter().try_for_each(|record| store.write(record))?;
        store.forget(now.plus_secs(-KEPT_SECS))?;
        drop(store);
        if !over.is_empty() {
            self.changes.send_modify(|n| *n += 1);
        }
        Ok(over)
    }

    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this.store.lock())).await;
        done.unwrap_or_else(|e| Err(ApprovalError::Store(e.to_string())))
    }
}

/// Whom a request is counted under.
pub fn use_of(request: &Request) -> Use {
    Use::of(request)
}

fn new_id() -> Result<ApprovalId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| ApprovalError::Store(format!("no random bytes: {e}")))?;
    Ok(ApprovalId(format!("ap_{:016x}", u64::from_be_bytes(bytes)).into()))
}
