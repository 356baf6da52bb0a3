//! Where requests are kept: a file of this node's own (`sqlite`), or the PostgreSQL that the nodes of a fleet have in common
//! (`postgres`). One contract suite holds both (`tests/approval_contract.rs`). Blocks; decides nothing.

use super::{Record, Result, Use};
use crate::units::ids::{ApprovalId, Digest32, KeyId};
use crate::units::time::Timestamp;

pub(super) trait Shelf: Send {
    /// Begins a change: until `end` no other one is made, on no node. Every change is made in between.
    fn begin(&mut self) -> Result<()>;

    /// All of it, and it survives a loss of power; or nothing.
    fn end(&mut self, keep: bool) -> Result<()>;

    /// A number that every change of a request moves, whoever made it. `None` where nobody else can.
    fn moved(&mut self) -> Result<Option<i64>>;

    fn write(&mut self, record: &Record) -> Result<()>;

    fn find(&mut self, id: &ApprovalId) -> Result<Option<Record>>;

    fn latest(&mut self, fingerprint: Digest32) -> Result<Option<Record>>;

    /// Newest first.
    fn list(&mut self, all: bool) -> Result<Vec<Record>>;

    /// Of those that wait, the ones whose time is over.
    fn pending_until(&mut self, now: Timestamp) -> Result<Vec<Record>>;

    fn of_key(&mut self, key: &KeyId) -> Result<Vec<Record>>;

    fn pending_of(&mut self, key: &KeyId, now: Timestamp) -> Result<u64>;

    fn has_used(&mut self, of: &Use) -> Result<bool>;

    fn note_use(&mut self, of: &Use) -> Result<()>;

    /// What may still pass is kept, however old it is.
    fn forget(&mut self, before: Timestamp) -> Result<()>;
}
