//! An export, piece by piece: whole intervals between checkpoints, so that everything in it can be checked. Holds one page.

use std::sync::Arc;

use super::find;
use super::key::SigningKey;
use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::evidence::lines::{Line, event};
use crate::rules::evidence::{End, Signed};
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// Events of one piece.
const PAGE: u64 = 500;
/// Keys change seldom.
const KEYS: usize = 10_000;

pub struct Export {
    store: Arc<dyn AuditStore>,
    /// It begins behind this one.
    base: Option<Signed>,
    end: End,
    /// The next event, and the next checkpoint.
    next: Seq,
    number: u64,
    current: Option<Signed>,
    stage: Stage,
}

enum Stage {
    Begin,
    Rows,
    End,
    Over,
}

impl Export {
    /// What `from` to `to` takes: the intervals that they lie in, without what retention gave up. `last` covers everything.
    pub(super) fn plan(
        store: Arc<dyn AuditStore>,
        key: &SigningKey,
        last: Option<Signed>,
        from: Seq,
        to: Option<Seq>,
    ) -> Result<Self, AuditError> {
        let last = last.ok_or_else(|| AuditError::Unreadable("there is no event yet".to_owned()))?;
        let newest = last.checkpoint.clone();
        let begin = from.max(newest.pruned_to + 1).min(newest.to + 1);
        let base = find(&*store, newest.number, |c| c.checkpoint.to < begin)?;
        let last = match to.filter(|to| *to < newest.to) {
            Some(to) => covering(&*store, newest.number, to.max(begin))?.unwrap_or(last),
            None => last,
        };
        let (from, to, number, hash) =
            (from.max(1), last.checkpoint.to, last.checkpoint.number, last.checkpoint.hash());
        let at = Timestamp::now();
        let signature = key.sign(&End::text(from, to, number, &hash, at));
        let end = End { from, to, number, last: hash, at, signature };
        let next = base.as_ref().map_or(1, |b| b.checkpoint.to + 1);
        let number = base.as_ref().map_or(1, |b| b.checkpoint.number + 1);
        Ok(Self { store, base, end, next, number, current: None, stage: Stage::Begin })
    }

    /// The next lines; `None` behind the last. Blocks.
    pub fn piece(&mut self) -> Result<Option<String>, AuditError> {
        let mut text = String::new();
        match self.stage {
            Stage::Begin => self.begin(&mut text)?,
            Stage::Rows => self.rows(&mut text)?,
            Stage::End => self.finish(&mut text)?,
            Stage::Over => return Ok(None),
        }
        Ok(Some(text))
    }

    fn begin(&mut self, text: &mut String) -> Result<(), AuditError> {
        put(text, &Line::OPENING.write());
        if let Some(base) = &self.base {
            let before = self.store.checkpoints(1, KEYS, true)?;
            let before = before.into_iter().filter(|c| c.checkpoint.number < base.checkpoint.number);
            before.for_each(|c| put(text, &Line::Key(c).write()));
            put(text, &Line::Base(base.clone()).write());
        }
        self.stage = Stage::Rows;
        Ok(())
    }

    fn rows(&mut self, text: &mut String) -> Result<(), AuditError> {
        let checkpoint = match self.current.take() {
            Some(checkpoint) => checkpoint,
            None => match self.store.checkpoints(self.number, 1, false)?.pop() {
                Some(c) if c.checkpoint.number <= self.end.number => c,
                _ => {
                    self.stage = Stage::End;
                    return Ok(());
                }
            },
        };
        let to = checkpoint.checkpoint.to;
        let want = (to + 1).saturating_sub(self.next).min(PAGE);
        let events = if want == 0 { Vec::new() } else { self.store.linked(self.next, want as usize)? };
        events.iter().filter(|e| e.seq <= to).for_each(|e| put(text, &event(&e.head, &e.body)));
        let last = events.last().map_or(to, |e| e.seq);
        self.next = last.min(to) + 1;
        if (events.len() as u64) < want || last >= to {
            self.next = to + 1;
            self.number = checkpoint.checkpoint.number + 1;
            put(text, &Line::Checkpoint(checkpoint).write());
        } else {
            self.current = Some(checkpoint);
        }
        Ok(())
    }

    /// The key that signs the end may have come after the last checkpoint that is here.
    fn finish(&mut self, text: &mut String) -> Result<(), AuditError> {
        let later = self.store.checkpoints(self.end.number + 1, KEYS, true)?;
        later.into_iter().for_each(|c| put(text, &Line::Key(c).write()));
        put(text, &Line::End(self.end.clone()).write());
        self.stage = Stage::Over;
        Ok(())
    }
}

/// The first checkpoint that covers an event.
pub(super) fn covering(store: &dyn AuditStore, last: u64, seq: Seq) -> Result<Option<Signed>, AuditError> {
    let before = find(store, last, |c| c.checkpoint.to < seq)?;
    Ok(store.checkpoints(before.map_or(1, |c| c.checkpoint.number + 1), 1, false)?.pop())
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
