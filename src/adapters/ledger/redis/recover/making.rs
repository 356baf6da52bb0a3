//! The makings of a ledger, which their epochs name: whether calls may be admitted in one, how a node goes on in another, and
//! what of the one before is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::Inner;
use super::putting;
use crate::units::ids::Seq;

/// The epoch of a ledger that is being put back ends so.
pub(super) const BEING_PUT_BACK: char = '!';
/// And so that of one in which a node has found something missing.
pub(super) const DOUBTED: char = '?';

/// Is this a making of the ledger in which calls may be admitted?
pub fn is_open(epoch: &str) -> bool {
    !epoch.is_empty() && !epoch.ends_with([BEING_PUT_BACK, DOUBTED])
}

/// Are these one making of the ledger, put back or not?
pub fn same_making(one: &str, other: &str) -> bool {
    one.trim_end_matches(BEING_PUT_BACK) == other.trim_end_matches(BEING_PUT_BACK)
}

impl Inner {
    /// From here on under this epoch, from this entry.
    pub(super) fn begin_anew(&self, epoch: &str, seq: Seq) {
        *self.epoch.lock() = Arc::from(epoch);
        self.seen.store(seq, Ordering::Release);
        if let Some(stream) = self.stream.get() {
            stream.begin_anew(epoch, seq);
        }
    }

    pub(super) fn go_on(&self, epoch: &str, why: &str) {
        *self.epoch.lock() = Arc::from(epoch);
        if let Some(stream) = self.stream.get() {
            stream.reopened(epoch);
        }
        self.arrived();
        self.lost.found();
        tracing::warn!("{why}: calls are admitted");
    }

    /// What the books have is kept no longer. Their number alone does not say that: while this node was cut off the ledger may
    /// have been put back without its part, and other entries bear these numbers now.
    pub(super) async fn let_go(&self, upto: Seq) {
        let Some((seq, redo)) = self.kept.last_up_to(upto) else { return };
        match putting::in_books(&self.books, seq, &redo).await {
            Ok(true) => self.kept.safe_up_to(seq),
            Ok(false) => tracing::debug!(seq, "the books have another entry there, so nothing is let go"),
            Err(error) => tracing::debug!(%error, "what is kept is let go later"),
        }
    }
}
