//! What calls made at their vendors and other answers price: remembered here for a while, and in the books as long as those
//! are kept. Replaces the charge of such a call once, whoever brings the true price: a poll, a callback, results that were
//! read. Reads no answers; `rules::vendors` does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::Gateway;
use super::problem::Problem;
use crate::adapters::audit::history::History;
use crate::adapters::audit::made;
use crate::adapters::ledger::LedgerError;
use crate::rules::books::{Act, Made};
use crate::rules::ledger::ask::Correct;
use crate::rules::subject::Name;
use crate::rules::vendors::{Due, Recalled};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::time::Timestamp;

/// The change of a charge that nobody adjusted before.
const STEP: u32 = 1;
/// Things that are remembered here. The books have the others.
const MOST: usize = 10_000;
/// Prices that are asked for at once.
const ASKED_AT_ONCE: usize = 8;
/// For the books to show what was just written.
const SHOWN: Duration = Duration::from_secs(5);
/// A true price that could not be put into the books is tried again after these.
const AGAIN_SECS: [u64; 5] = [1, 5, 30, 120, 600];

/// By vendor, place and name, in the order in which they came.
pub struct Makings {
    recent: Mutex<Recent>,
    /// One at a time, so that nothing is said twice.
    turn: tokio::sync::Mutex<()>,
    /// After a start, many prices may have been missed.
    pub asking: Semaphore,
}

impl Default for Makings {
    fn default() -> Self {
        Self { recent: Mutex::default(), turn: tokio::sync::Mutex::default(), asking: Semaphore::new(ASKED_AT_ONCE) }
    }
}

type Key = (Name, Option<Digest32>, Name);

#[derive(Default)]
struct Recent {
    known: HashMap<Key, Recalled>,
    order: VecDeque<Key>,
}

impl Makings {
    /// A call has ended, and made this.
    pub fn remember(&self, vendor: &Name, made: Made, call: CallId, charge: Amounts, at: Timestamp) {
        let key = (vendor.clone(), made.place, made.object.clone());
        let mut recent = self.recent.lock();
        let known = recent.known.insert(key.clone(), Recalled { made, call, charge, at, settled: false });
        if known.is_none() {
            recent.order.push_back(key);
        }
        if recent.order.len() > MOST
            && let Some(oldest) = recent.order.pop_front()
        {
            recent.known.remove(&oldest);
        }
    }

    fn recall(&self, vendor: &Name, place: Digest32, object: &str) -> Option<Recalled> {
        let recent = self.recent.lock();
        let of = |object: &str| recent.known.get(&(vendor.clone(), Some(place), object.into()));
        let found = of(object)?;
        match &found.made.of {
            None => Some(found.clone()),
            Some(whole) => of(whole).map(|whole| Recalled { made: found.made.clone(), ..whole.clone() }),
        }
    }

    fn settled(&self, vendor: &Name, place: Digest32, object: &Name) {
        if let Some(known) = self.recent.lock().known.get_mut(&(vendor.clone(), Some(place), object.clone())) {
            known.settled = true;
        }
    }
}

impl Gateway {
    /// What an earlier call made, of this name and at this place.
    pub async fn recall(&self, vendor: &Name, place: Digest32, object: &str) -> Result<Option<Recalled>, Problem> {
        if let Some(known) = self.makings.recall(vendor, place, object) {
            return Ok(Some(known));
        }
        let (vendor, object) = (vendor.clone(), object.to_owned());
        let asked = self.books.ask(move |store| made::recall(store, &vendor, place, &object)).await;
        asked.map_err(|error| {
            tracing::error!(%error, "what an earlier call made cannot be looked up");
            Problem::StoreDown
        })
    }

    /// Something that an earlier call made turned out to cost this much: once, whoever says it again.
    pub async fn settle_made(self: Arc<Self>, vendor: Name, place: Digest32, due: Box<Due>, by: CallId) {
        for secs in AGAIN_SECS {
            if self.is_settled(&vendor, place, &due, by).await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(secs)).await;
        }
        if !self.is_settled(&vendor, place, &due, by).await {
            tracing::error!(call = %by, object = &*due.object, "the true price that its results say is not in the books");
        }
    }

    /// False if it may be said again later.
    async fn is_settled(&self, vendor: &Name, place: Digest32, due: &Due, by: CallId) -> bool {
        let found = match self.recall(vendor, place, &due.object).await {
            Ok(Some(found)) if !found.settled => found,
            // What is not to be found is nobody's here; its charge stands where it was made.
            Ok(_) => return true,
            Err(_) => return false,
        };
        let charge = Amounts { usd: due.usd, tokens: due.tokens, ..found.charge };
        let right = self.put_right(found.call, charge, format!("results of {}, read by call {by}", due.object)).await;
        if right {
            self.makings.settled(vendor, place, &due.object);
        }
        right
    }

    /// Replaces the charge of an ended call, unless somebody did before. True if it is in the books now.
    pub async fn put_right(&self, call: CallId, charge: Amounts, reason: String) -> bool {
        let act = Act { actor: "bursar".to_owned(), reason: Some(reason) };
        match self.ledger.adjust(call, STEP, charge, true, act.clone()).await {
            Ok(()) => true,
            // It has forgotten the call, and the books have not.
            Err(LedgerError::Hold(..)) => self.correct(call, charge, act).await,
            Err(error) => {
                tracing::error!(%call, %error, "the true price could not be put into the books");
                false
            }
        }
    }

    /// Was its charge replaced, as far as the books know by now?
    pub async fn is_put_right(&self, call: CallId) -> bool {
        let found = self.books.ask(move |store| History::of(store, call)).await;
        matches!(found, Ok(Some(History { adjusted: Some(_), .. })))
    }

    async fn correct(&self, call: CallId, charge: Amounts, act: Act) -> bool {
        let _one_at_a_time = self.makings.turn.lock().await;
        // Another node may have put it right, and the books not know it yet: it is tried again later.
        if tokio::time::timeout(SHOWN, self.books.level()).await.is_err() {
            tracing::error!(%call, "the books do not follow the journal now, so the true price could not be put into them");
            return false;
        }
        let found = self.books.ask(move |store| History::of(store, call)).await;
        let Ok(Some(found)) = found else { return false };
        if found.adjusted.is_some() {
            return true;
        }
        if found.outcome.is_none() {
            return false;
        }
        let ask = Correct { hold: call, charge, exact: true, act, known: found.known() };
        match self.ledger.correct(ask).await {
            Ok(seq) => {
                // The next one must see it.
                let _ = tokio::time::timeout(SHOWN, self.books.caught_up(seq)).await;
                true
            }
            Err(error) => {
                tracing::error!(%call, %error, "the true price could not be put into the books");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_at_its_own_place_alone() {
        let (makings, vendor): (Makings, Name) = (Makings::default(), "openai".into());
        let (ours, theirs) = (Digest32([1; 32]), Digest32([2; 32]));
        let call = |n: u8| CallId(format!("01900000-0000-7000-8000-00000000000{n}").parse().expect("an id"));
        let remember = |made: Made, n: u8| makings.remember(&vendor, made, call(n), Amounts::ZERO, Timestamp(0));
        remember(Made { place: Some(ours), ..Made::named("batch_1") }, 1);
        remember(Made { place: Some(ours), of: Some("batch_1".into()), ..Made::named("file-out") }, 2);
        let of = |place, name: &str| makings.recall(&vendor, place, name).map(|known| known.call);
        assert_eq!((of(ours, "batch_1"), of(ours, "file-out")), (Some(call(1)), Some(call(1))));
        assert_eq!((of(theirs, "batch_1"), of(theirs, "file-out")), (None, None));
        // Two accounts may have things of one name.
        remember(Made { place: Some(theirs), ..Made::named("batch_1") }, 3);
        makings.settled(&vendor, theirs, &"batch_1".into());
        assert_eq!((of(ours, "batch_1"), of(theirs, "batch_1")), (Some(call(1)), Some(call(3))));
        assert!(makings.recall(&vendor, ours, "batch_1").is_some_and(|known| !known.settled));
    }
}
