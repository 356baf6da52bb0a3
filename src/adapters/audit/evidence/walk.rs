//! The books of a folder that nobody serves, checked as they stand: the same lines as an export, made and judged at once. Signs
//! nothing and writes nothing.

use super::find;
use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::evidence::Signed;
use crate::rules::evidence::check::Checker;
use crate::rules::evidence::check::Sound;
use crate::rules::evidence::check::fault::Fault;
use crate::rules::evidence::lines::{Line, event};
use crate::units::ids::Seq;

/// Events read at a time.
const PAGE: usize = 1000;

/// Everything in the store that was not given up. Blocks.
pub fn check(store: &dyn AuditStore, mut checker: Checker) -> Result<Result<Sound, Fault>, AuditError> {
    let Some(newest) = store.last_checkpoint()?.map(|l| l.checkpoint) else { return Ok(checker.finish_open()) };
    checker.line(Line::OPENING.write().as_bytes());
    let base = match newest.pruned_to {
        0 => None,
        pruned => find::last(store, newest.number, |c| c.checkpoint.to <= pruned)?,
    };
    let (mut number, mut next) = (1, 1);
    if let Some(base) = base {
        let before = store.checkpoints(1, find::KEYS, true)?;
        before
            .into_iter()
            .filter(|c| c.checkpoint.number < base.checkpoint.number)
            .for_each(|c| say(&mut checker, Line::Key(c)));
        (number, next) = (base.checkpoint.number + 1, base.checkpoint.to + 1);
        say(&mut checker, Line::Base(base));
    }
    loop {
        let page = store.checkpoints(number, PAGE, false)?;
        if page.is_empty() {
            break;
        }
        for checkpoint in page {
            // One that names a number that was here already would be read for ever.
            let again = checkpoint.checkpoint.number < number;
            number = checkpoint.checkpoint.number + 1;
            next = events(store, &mut checker, next, checkpoint.checkpoint.to)?;
            if !say_checkpoint(&mut checker, checkpoint) || again {
                return Ok(checker.finish());
            }
        }
    }
    events(store, &mut checker, next, Seq::MAX)?;
    Ok(checker.finish_open())
}

fn say(checker: &mut Checker, line: Line) {
    checker.line(line.write().as_bytes());
}

fn say_checkpoint(checker: &mut Checker, checkpoint: Signed) -> bool {
    checker.line(Line::Checkpoint(checkpoint).write().as_bytes())
}

/// Events from `next` to `to`. Gives what comes after.
fn events(store: &dyn AuditStore, checker: &mut Checker, next: Seq, to: Seq) -> Result<Seq, AuditError> {
    let mut next = next;
    while next <= to {
        let want = usize::try_from(to - next).unwrap_or(PAGE).saturating_add(1).min(PAGE);
        let page = store.linked(next, want)?;
        for e in page.iter().filter(|e| e.seq <= to) {
            checker.line(event(&e.head, &e.body).as_bytes());
            next = e.seq + 1;
        }
        if page.len() < want || page.last().is_some_and(|e| e.seq >= to) {
            break;
        }
    }
    Ok(if to == Seq::MAX { next } else { next.max(to.saturating_add(1)) })
}
