//! An export, piece by piece: whole intervals between checkpoints, so that everything in it can be checked. Holds one page, and
//! signs its end once all of it was handed out.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Evidence, find};
use crate::adapters::audit::AuditError;
use crate::rules::evidence::lines::{Line, event};
use crate::rules::evidence::{End, Ending, Signed};
use crate::units::ids::{Digest32, Seq};
use crate::units::time::Timestamp;

/// Events of one piece.
const PAGE: u64 = 500;

pub struct Export {
    evidence: Arc<Evidence>,
    /// It begins behind this one.
    base: Option<Signed>,
    end: Ending,
    /// Of all lines so far.
    lines: Sha256,
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
    /// What `from` to `to` takes: the intervals that they lie in, without what retention gave up. `newest` covers everything.
    pub(super) fn plan(
        evidence: Arc<Evidence>,
        newest: Signed,
        from: Seq,
        to: Option<Seq>,
    ) -> Result<Self, AuditError> {
        let (store, at) = (evidence.store().clone(), newest.checkpoint.clone());
        let begin = from.max(at.pruned_to + 1).min(at.to + 1);
        let base = find::last(&*store, at.number, |c| c.checkpoint.to < begin)?;
        let asked_to = to.filter(|to| *to < at.to).map(|to| to.max(begin));
        let covering = asked_to.map(|to| find::covering(&*store, at.number, to)).transpose()?.flatten();
        let last = covering.unwrap_or(newest).checkpoint;
        let end = Ending {
            from: from.max(1),
            asked_to,
            to: last.to,
            number: last.number,
            last: last.hash(),
            pruned_to: at.pruned_to,
            lines: Digest32::default(),
            at: Timestamp::now(),
        };
        let (next, number) = base.as_ref().map_or((1, 1), |b| (b.checkpoint.to + 1, b.checkpoint.number + 1));
        let lines = Sha256::new();
        Ok(Self { evidence, base, end, lines, next, number, current: None, stage: Stage::Begin })
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
        self.lines.update(&text);
        Ok(Some(text))
    }

    fn begin(&mut self, text: &mut String) -> Result<(), AuditError> {
        put(text, &Line::OPENING.write());
        if let Some(base) = &self.base {
            let before = self.evidence.store().checkpoints(1, find::KEYS, true)?;
            let before = before.into_iter().filter(|c| c.checkpoint.number < base.checkpoint.number);
            before.for_each(|c| put(text, &Line::Key(c).write()));
            put(text, &Line::Base(base.clone()).write());
        }
        self.stage = Stage::Rows;
        Ok(())
    }

    fn rows(&mut self, text: &mut String) -> Result<(), AuditError> {
        let Some(checkpoint) = self.current.take().map_or_else(|| self.checkpoint(), |c| Ok(Some(c)))? else {
            self.stage = Stage::End;
            return Ok(());
        };
        let to = checkpoint.checkpoint.to;
        let want = (to + 1).saturating_sub(self.next).min(PAGE);
        let events = if want == 0 { Vec::new() } else { self.evidence.store().linked(self.next, want as usize)? };
        self.is_still_there()?;
        events.iter().filter(|e| e.seq <= to).for_each(|e| put(text, &event(&e.head, &e.body)));
        let last = events.last().map_or(to, |e| e.seq);
        if (events.len() as u64) < want || last >= to {
            self.next = to + 1;
            self.number = checkpoint.checkpoint.number + 1;
            put(text, &Line::Checkpoint(checkpoint).write());
        } else {
            self.next = last + 1;
            self.current = Some(checkpoint);
        }
        Ok(())
    }

    /// Asked behind a page: retention says what goes before it deletes. A file that misses it would look like a forgery.
    fn is_still_there(&self) -> Result<(), AuditError> {
        let given_up = self.evidence.store().last_checkpoint()?.map_or(0, |l| l.checkpoint.pruned_to);
        if given_up < self.next {
            return Ok(());
        }
        let why = format!("retention gave up events up to {given_up} while they were exported: export again");
        Err(AuditError::Store(why))
    }

    /// The next one, up to the last that was asked for.
    fn checkpoint(&self) -> Result<Option<Signed>, AuditError> {
        let next = self.evidence.store().checkpoints(self.number, 1, false)?.pop();
        Ok(next.filter(|c| c.checkpoint.number <= self.end.number))
    }

    /// The key that signs now may have come after the last checkpoint that is here.
    fn finish(&mut self, text: &mut String) -> Result<(), AuditError> {
        let evidence = self.evidence.clone();
        evidence.with_key(|key| {
            let later = evidence.store().checkpoints(self.end.number + 1, find::KEYS, true)?;
            later.into_iter().for_each(|c| put(text, &Line::Key(c).write()));
            let lines = Digest32(self.lines.clone().chain_update(&*text).finalize().into());
            let said = Ending { lines, ..self.end.clone() };
            let signature = key.sign(&said.text());
            put(text, &Line::End(End { said, signature }).write());
            Ok(())
        })?;
        self.stage = Stage::Over;
        Ok(())
    }
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
