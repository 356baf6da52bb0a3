//! Signed lines of an export: does each continue the one before, by a key that counts, and does it say what its events say?

use super::super::{End, Signed, VERSION};
use super::fault::{Fault, Row, What};
use super::{Checker, Sound, Wrong};
use crate::rules::chain::Place;

impl Checker {
    /// A change of the signing key, before the first event of the file or behind its last.
    pub(super) fn key(&mut self, signed: &Signed) -> Result<(), Wrong> {
        let number = signed.checkpoint.number;
        let row = Row::Checkpoint(number);
        if self.tree.size() > 0 || number <= self.key_row.max(self.number()) {
            let why = "changes of the key outside of the file's events stand before or behind them all, in order";
            return Err(Wrong::At(row, What::Extra, why.to_owned()));
        }
        self.by_a_key_that_counts(signed)?;
        self.key_row = number;
        Ok(())
    }

    /// The checkpoint that the file begins behind.
    pub(super) fn begin(&mut self, signed: Signed) -> Result<(), Wrong> {
        let at = &signed.checkpoint;
        if self.last.is_some() || self.place != Place::START || at.number <= self.key_row {
            return Err(Wrong::At(Row::Checkpoint(at.number), What::Extra, "the file has begun already".to_owned()));
        }
        self.by_a_key_that_counts(&signed)?;
        self.place = Place { seq: at.to, head: at.head };
        self.base = Some(signed.clone());
        self.last = Some(signed);
        Ok(())
    }

    fn by_a_key_that_counts(&mut self, signed: &Signed) -> Result<(), Wrong> {
        let row = Row::Checkpoint(signed.checkpoint.number);
        if !self.trust.admits(&signed.checkpoint.key) {
            let why = format!("no key that counts has named {} as its successor", signed.checkpoint.key);
            return Err(Wrong::At(row, What::UnknownKey, why));
        }
        if !signed.is_genuine() {
            return Err(bad_signature(signed));
        }
        if signed.checkpoint.version != VERSION {
            return Err(Wrong::At(row, What::Changed, "it is of a version that this program does not know".to_owned()));
        }
        self.first_signer = self.first_signer.or(Some(self.line));
        self.trust.follow(signed);
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, signed: Signed) -> Result<(), Wrong> {
        self.by_a_key_that_counts(&signed)?;
        let at = &signed.checkpoint;
        let next = self.number() + 1;
        let (previous, from) = match &self.last {
            Some(last) => (last.checkpoint.hash(), last.checkpoint.to + 1),
            None => (Default::default(), 1),
        };
        if at.number < next || at.number <= self.key_row {
            return Err(Wrong::At(Row::Checkpoint(at.number), What::Extra, "it stood before".to_owned()));
        }
        if at.number > next {
            let why = format!("checkpoint {} follows on {}", at.number, next - 1);
            return Err(Wrong::At(Row::Checkpoint(next), What::Missing, why));
        }
        if at.previous != previous || at.from != from {
            return Err(Wrong::At(Row::Checkpoint(next), What::Changed, "it continues another checkpoint".to_owned()));
        }
        if self.place.seq < at.to {
            return Err(Wrong::Event(None));
        }
        self.covers(&signed)?;
        self.checkpoints += 1;
        self.tree = Default::default();
        self.last = Some(signed);
        Ok(())
    }

    /// The events before it are those that it was signed for.
    fn covers(&self, signed: &Signed) -> Result<(), Wrong> {
        let at = &signed.checkpoint;
        if self.place.seq > at.to {
            let row = Row::Event(at.to + 1);
            return Err(Wrong::At(row, What::Extra, format!("checkpoint {} ends before it", at.number)));
        }
        if at.events == self.tree.size() && at.root == self.tree.root() && at.head == self.place.head {
            return Ok(());
        }
        let why = format!("it, or one up to {}, is not what was signed, and the heads were made to fit", at.to);
        Err(Wrong::At(Row::Event(at.from), What::Changed, why))
    }

    pub(super) fn ends(&mut self, end: End) -> Result<(), Wrong> {
        let Some(last) = &self.last else {
            return Err(Wrong::At(Row::Checkpoint(1), What::Missing, "nothing in this file is signed".to_owned()));
        };
        // The key that signs now: a change of the key may be the last checkpoint.
        let signer = self.trust.current().unwrap_or(last.checkpoint.key);
        if !end.is_by(&signer) {
            return Err(Wrong::file(What::BadSignature, "its end is not signed by the key that signs its rows"));
        }
        let at = &last.checkpoint;
        if end.number > at.number && end.to > self.place.seq {
            return Err(Wrong::Event(None));
        }
        if end.number > at.number {
            let why = "the end of the file names it".to_owned();
            return Err(Wrong::At(Row::Checkpoint(at.number + 1), What::Missing, why));
        }
        if self.place.seq > at.to {
            return Err(Wrong::At(Row::Event(at.to + 1), What::Extra, "no checkpoint stands behind it".to_owned()));
        }
        if end.last != at.hash() || end.to != at.to {
            return Err(Wrong::file(What::Changed, "its end belongs to another file"));
        }
        self.end = Some(end);
        Ok(())
    }

    /// Nothing was wrong with any line; is the whole?
    pub(super) fn whole(self) -> Result<Sound, Fault> {
        let fault = |line, row, what, why: &str| Err(Fault { line, row, what, why: why.to_owned() });
        let (Some(end), Some(last)) = (&self.end, &self.last) else {
            return fault(self.line, Row::Event(self.place.seq + 1), What::Truncated, "the file ends before its end");
        };
        let last = &last.checkpoint;
        let from = self.base.as_ref().map_or(1, |b| b.checkpoint.to + 1);
        if from > end.from && from > last.pruned_to + 1 {
            let why = "it was asked for, is not here, and no checkpoint says that it was given up";
            return fault(1, Row::Event(end.from.max(last.pruned_to + 1)), What::Missing, why);
        }
        if !self.trust.is_vouched() {
            let number = self.base.as_ref().map_or(1, |b| b.checkpoint.number);
            let why = "its key is none of yours, and none of yours has signed anything here";
            return fault(self.first_signer.unwrap_or(1), Row::Checkpoint(number), What::UnknownKey, why);
        }
        Ok(Sound {
            from,
            to: last.to,
            events: self.events,
            checkpoints: self.checkpoints,
            signed_at: last.at,
            last_checkpoint: last.number,
            key: last.signs_next(),
            confirmed: self.trust.is_confirmed(),
            pruned_to: last.pruned_to,
            gaps: self.gaps,
            first_gap: self.first_gap,
        })
    }
}

fn bad_signature(signed: &Signed) -> Wrong {
    let why = "its words are not those that were signed".to_owned();
    Wrong::At(Row::Checkpoint(signed.checkpoint.number), What::BadSignature, why)
}
