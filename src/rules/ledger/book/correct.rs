//! A person's word on what an ended call cost, also long after the book has forgotten it: then the books say where it was
//! charged and how much, and the running windows among those accounts move.

use super::holds::{Ended, How};
use super::shapes::missing;
use super::{Book, Fault, Ops};
use crate::rules::ledger::ask::{Correct, Known};
use crate::rules::ledger::entry::{Op, Past, Posting};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

impl Book {
    /// Decides a correction. Each is one step further. A call that was forgotten is remembered again from the first one on, so
    /// that the next, which may know the books of before, replaces that charge and not the old one once more.
    pub fn correct(&self, at: Timestamp, ask: Correct) -> Result<Ops, Fault> {
        let Correct { hold, charge, exact, act, known } = ask;
        if self.open.contains_key(&hold) {
            return Err("it is still open");
        }
        let remembered = self.past(at, hold);
        if known.repeats && remembered.is_none_or(|ended| ended.first().is_some()) {
            return Err("it repeats another call, which bears the money of both: correct that one");
        }
        let step = remembered.map_or(known.step, |ended| ended.step).max(known.step) + 1;
        let past = remembered.is_none().then(|| Box::new(self.known_past(at, &known)));
        Ok([None, Some(Op::Adjust { hold, step, charge, exact, heard: None, passed: None, row: None, past, act })])
    }

    /// The accounts that it was held on, and those of shapes that came later: the books told these what it had cost.
    fn known_past(&self, at: Timestamp, known: &Known) -> Past {
        let mut postings: Vec<Posting> = known.postings.to_vec();
        let starts = self.starts(at);
        for shape in &self.shapes {
            let start = starts.of(shape.window);
            postings.extend(missing(shape, start, known.taken, known.facts.as_deref(), &postings));
        }
        let (taken, facts) = (known.taken, known.facts.clone());
        Past { charge: known.charge, postings: postings.into(), taken, facts }
    }

    /// A forgotten call, as it was before its charge is replaced.
    pub(super) fn recall(&mut self, hold: CallId, past: &Past) {
        let as_it_was = || Ended {
            how: How::Late,
            at: self.clock.now(),
            seq: 0,
            taken: past.taken,
            charge: past.charge,
            exact: false,
            bound: past.charge,
            postings: past.postings.clone(),
            fitted: None,
            step: 0,
            facts: past.facts.clone(),
            sharing: None,
            changes: Vec::new(),
        };
        self.ended.entry(hold).or_insert_with(as_it_was);
    }
}
