//! The talk with Redis, one message after the other and off every caller's path: hello, what this node did alone, and what its
//! slices shall be. After a message without an answer the next one first asks what became of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Contact, Inner, Life, State};
use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::journal::Record;
use crate::adapters::ledger::redis::lent::{Hello, Look, Seen, Telling, Wanted};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::ledger::slices::size::LOOK_MILLIS;
use crate::rules::ledger::slices::{Batch, Item, SliceKey, Slices};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Window;

/// Entries of one batch: the script must not hold up the others.
pub(super) const BATCH: usize = 200;
/// Between two looks at what there is to say.
const PAUSE: Duration = Duration::from_millis(25);
const LOOK: Duration = Duration::from_millis(LOOK_MILLIS);
/// After a failure.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Until the ledger is gone.
pub(super) async fn run(ledger: Weak<Inner>, kick: Arc<Notify>) {
    loop {
        let Some(me) = ledger.upgrade() else { return };
        let pause = match me.turn().await {
            Ok(()) => me.well(),
            Err(e) => me.ill(&e),
        };
        drop(me);
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = kick.notified() => tokio::task::yield_now().await }
    }
}

impl Inner {
    /// All that is to be said now. What was done comes before what is wanted.
    pub(super) async fn turn(&self) -> Result<(), LedgerError> {
        let _one = self.talking.lock().await;
        if self.state.lock().life == Life::New {
            self.meet().await?;
        }
        if self.state.lock().unsure {
            self.look(true).await?;
        }
        while self.tell().await? {
            self.look_if_due().await?;
        }
        self.look_if_due().await
    }

    fn well(&self) -> Duration {
        self.failing.store(false, Ordering::Release);
        let mut state = self.state.lock();
        if std::mem::take(&mut state.silent) {
            tracing::info!("redis answers again; what this node did alone is told");
        }
        PAUSE
    }

    fn ill(&self, error: &LedgerError) -> Duration {
        self.failing.store(true, Ordering::Release);
        let mut state = self.state.lock();
        state.unsure = state.life != Life::New;
        if !std::mem::replace(&mut state.silent, true) {
            tracing::error!(%error, untold = state.slices.untold(), "redis does not answer this node; policies say who goes on");
        }
        BACK_OFF
    }

    /// A ledger that was put back does not know this node: what of the journal's rest it knows all the same, the books say. They
    /// are asked each time: that the ledger greets this node may be the work of a greeting whose answer was lost.
    pub(super) async fn meet(&self) -> Result<(), LedgerError> {
        let hello = self.redis.hello(self.home.node(), self.home.noted()).await?;
        let untold = |state: &State| -> Vec<CallId> {
            state.entries.range(hello.mark + 1..).filter_map(|(_, record)| record.op.call()).collect()
        };
        let asked = untold(&self.state.lock());
        let found = self.redis.in_books(asked).await?;
        self.begin(hello, &found)
    }

    /// A new life: what Redis has not heard is told, calls that nobody ended in full; what was lent is given back.
    fn begin(&self, hello: Hello, found: &HashMap<CallId, bool>) -> Result<(), LedgerError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if hello.mark > state.last {
            let why = "redis knows later entries of this node than its own journal has: was its folder put back from a copy, or \
                did the power fail? Move `slices` in the data folder aside, and start anew";
            return Err(LedgerError::Down(why.to_owned()));
        }
        state.number = hello.number;
        state.slices = Slices::begin(hello.mark);
        state.entries = state.entries.split_off(&(hello.mark + 1));
        for record in state.entries.values() {
            match &record.op {
                Op::Reserve { row, .. } => drop(state.slices.admit(record.seq, row.call, Vec::new())),
                op => op.call().into_iter().for_each(|call| state.slices.end(record.seq, call, |_| 0)),
            }
        }
        state.slices.put_back(|call| found.get(&call).copied());
        for call in state.slices.orphans() {
            let charge = state.entries.values().find_map(|r| held_by(r, call)).unwrap_or_default();
            let seq = self.journal(state, Op::Expire { hold: call, charge, exact: false }, true)?;
            state.slices.end(seq, call, |_| 0);
            tracing::warn!(%call, "a call that this node began before it stopped is charged in full");
        }
        for (key, lent) in &hello.lent {
            state.slices.lent(key, *lent);
        }
        state.life = Life::Recovering;
        Ok(())
    }

    /// Tells one batch. Says whether there may be more.
    pub(super) async fn tell(&self) -> Result<bool, LedgerError> {
        let Some(speech) = self.state.lock().speech() else { return Ok(false) };
        let tellings: Vec<Telling<'_>> = speech.batch.items.iter().map(|item| speech.telling(item)).collect();
        let (upto, keys) = (speech.batch.upto, &speech.keys);
        let told = self.redis.ship(self.home.node(), speech.number, upto, &tellings, keys).await?;
        let mut state = self.state.lock();
        state.slices.answered(told.mark);
        keys.iter().zip(told.lent).for_each(|(key, lent)| state.slices.lent(key, lent));
        state.forget(told.mark);
        let more = state.slices.untold() > 0;
        drop(state);
        self.home.told(told.mark, false);
        Ok(more)
    }

    async fn look_if_due(&self) -> Result<(), LedgerError> {
        let due = self.state.lock().last_look.is_none_or(|at| at.elapsed() >= LOOK);
        if due { self.look(false).await } else { Ok(()) }
    }

    /// `only_ask`: nothing more is wanted, and the answer says what became of the last message. Every slice
    /// is named as it is: should the ledger have lost what it lent, this node must not go by it.
    async fn look(&self, only_ask: bool) -> Result<(), LedgerError> {
        let asked = Instant::now();
        let (number, told, flagged, wanted) = {
            let mut state = self.state.lock();
            state.number += 1;
            let wanted = if only_ask { state.as_they_are() } else { state.wanted() };
            (state.number, state.slices.mark(), state.flagged, wanted)
        };
        let look = self.redis.look(self.home.node(), number, told, flagged, &wanted).await?;
        let mark = look.mark;
        let mut state = self.state.lock();
        let grew = |(w, seen): (&Wanted, &Seen)| seen.lent > state.slices.state(&w.key).0;
        if wanted.iter().zip(&look.slices).any(grew) {
            state.lent_by = number;
        }
        state.saw_all(&wanted, look, asked, only_ask);
        drop(state);
        self.home.told(mark, false);
        self.looks.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Tells and gives back everything, then takes no more.
    pub(super) async fn close(&self) -> Result<(), LedgerError> {
        self.state.lock().life = Life::Closing;
        for _ in 0..CLOSING_LOOKS {
            self.recall_all();
            self.next_look().await;
            let state = self.state.lock();
            if state.slices.untold() == 0 && state.slices.keys().next().is_none() {
                let mark = state.slices.mark();
                drop(state);
                self.home.told(mark, true);
                return Ok(());
            }
        }
        let untold = self.state.lock().slices.untold();
        Err(LedgerError::Down(format!("{untold} entries of this node are not told; its next start tells them")))
    }

    fn recall_all(&self) {
        self.state.lock().last_look = None;
        self.kick.notify_one();
    }
}

/// At a shutdown.
const CLOSING_LOOKS: usize = 8;

fn held_by(record: &Record, call: CallId) -> Option<crate::units::amount::Amounts> {
    match &record.op {
        Op::Reserve { amounts, row, .. } if row.call == call => Some(*amounts),
        _ => None,
    }
}

/// One batch with the entries that say it.
struct Speech {
    number: u64,
    batch: Batch,
    entries: Vec<(Seq, Arc<Record>)>,
    keys: Vec<SliceKey>,
}

impl Speech {
    fn entry(&self, seq: Seq) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&seq, |(s, _)| *s).ok()?;
        self.entries.get(at).map(|(_, record)| record.entry())
    }

    fn telling<'a>(&'a self, item: &'a Item) -> Telling<'a> {
        let (begun, ended) = places(item);
        let entry = |seq: Option<Seq>| seq.and_then(|seq| self.entry(seq));
        Telling { item, begun: entry(begun), ended: entry(ended) }
    }
}

fn places(item: &Item) -> (Option<Seq>, Option<Seq>) {
    match item {
        Item::Whole { begun, ended, .. } => (Some(*begun), Some(*ended)),
        Item::Open { begun, .. } => (Some(*begun), None),
        Item::End { ended, .. } => (None, Some(*ended)),
    }
}

impl State {
    fn speech(&mut self) -> Option<Speech> {
        let batch = self.slices.batch(BATCH)?;
        self.number += 1;
        let seqs: BTreeSet<Seq> = batch.items.iter().map(places).flat_map(|(a, b)| [a, b]).flatten().collect();
        let entries = seqs.iter().filter_map(|seq| Some((*seq, self.entries.get(seq)?.clone()))).collect();
        let takes = batch.items.iter().flat_map(|item| match item {
            Item::Whole { takes, .. } | Item::Open { takes, .. } => takes.as_slice(),
            Item::End { .. } => &[],
        });
        let keys: BTreeSet<SliceKey> = takes.map(|part| part.slice.clone()).collect();
        Some(Speech { number: self.number, batch, entries, keys: keys.into_iter().collect() })
    }

    /// Redis has everything up to here.
    pub(super) fn forget(&mut self, mark: Seq) {
        self.entries = self.entries.split_off(&(mark + 1));
        let slices = &self.slices;
        self.calls.retain(|call, _| slices.knows(*call));
    }

    /// What slices shall be.
    fn wanted(&mut self) -> Vec<Wanted> {
        self.last_look = Some(Instant::now());
        let targets: Vec<(SliceKey, u64)> = match (self.life, self.contact) {
            (Life::Ready, Some(contact)) => {
                let (now, windows) = (contact.now().1, &self.windows);
                let over = |key: &SliceKey| windows.get(key).is_none_or(|w| w.start(now) != key.start);
                self.demand.targets(&self.slices, over)
            }
            // What is not told yet is counted beside the slices, so these go only once all is.
            (Life::Recovering, _) if self.slices.untold() > 0 => Vec::new(),
            _ => self.slices.keys().cloned().map(|key| (key, 0)).collect(),
        };
        let mut wanted = Vec::with_capacity(targets.len());
        for (key, target) in targets {
            let (lent, _) = self.slices.state(&key);
            if lent == 0 && target == 0 {
                continue;
            }
            let target = if target < lent { self.slices.lower(&key, target) } else { target };
            let window = self.windows.get(&key).copied().unwrap_or(Window::Total);
            wanted.push(Wanted { key, window, target });
        }
        let known: HashSet<&SliceKey> = wanted.iter().map(|w| &w.key).collect();
        self.windows.retain(|key, _| known.contains(key));
        self.seen.retain(|key, _| known.contains(key));
        wanted
    }

    fn as_they_are(&mut self) -> Vec<Wanted> {
        let keys: Vec<SliceKey> = match self.life {
            Life::Ready | Life::Closing => self.slices.keys().cloned().collect(),
            Life::New | Life::Recovering => Vec::new(),
        };
        let lowered = |key: SliceKey| {
            let (target, _) = self.slices.state(&key);
            let window = self.windows.get(&key).copied().unwrap_or(Window::Total);
            Wanted { key, window, target }
        };
        keys.into_iter().map(lowered).collect()
    }

    fn saw_all(&mut self, wanted: &[Wanted], look: Look, asked: Instant, only_asked: bool) {
        self.unsure = false;
        self.contact = Some(Contact { at: look.at, asked, heard: Instant::now() });
        self.slices.answered(look.mark);
        self.forget(look.mark);
        for (Wanted { key, .. }, seen) in wanted.iter().zip(&look.slices) {
            self.slices.lent(key, seen.lent);
            self.saw(key, seen);
        }
        self.flagged = look.flagged;
        if let Some(flags) = look.flags {
            self.flags = flags.into_iter().collect();
        }
        let recovered = self.life == Life::Recovering && !only_asked && self.slices.untold() == 0;
        if recovered && self.slices.keys().next().is_none() {
            self.life = Life::Ready;
        }
    }

    fn saw(&mut self, key: &SliceKey, seen: &Seen) {
        self.seen.insert(key.clone(), (seen.spent, seen.held));
        if seen.recalled {
            self.demand.recalled(key);
            if self.slices.room(key) > 0 {
                self.last_look = None;
            }
        }
    }
}
