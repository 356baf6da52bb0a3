//! Signed lines of an export: does each continue the one before, by a key that counts, and does it say what its events say?

use sha2::Digest;

use super::super::{End, Ending, Signed, VERSION};
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
        if !signed.checkpoint.is_possible() {
            let why = "it gives up events that stand behind it, which bursar never signs".to_owned();
            return Err(Wrong::At(row, What::Changed, why));
        }
        if signed.checkpoint.version != VERSION {
            return Err(Wrong::At(row, What::Changed, "it is of a version that this program does not know".to_owned()));
        }
        self.is_as_anchored(signed)?;
        self.first_signer = self.first_signer.or(Some(self.line));
        self.trust.follow(signed);
        Ok(())
    }

    fn is_as_anchored(&mut self, signed: &Signed) -> Result<(), Wrong> {
        let number = signed.checkpoint.number;
        let Some(anchor) = self.anchors.get(number) else { return Ok(()) };
        if anchor.hash != signed.checkpoint.hash() {
            let why =
                format!("an anchor holds another checkpoint {number}: the books were rewritten after it was made");
            return Err(Wrong::At(Row::Checkpoint(number), What::Changed, why));
        }
        self.anchored += 1;
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
        let (at, said) = (&last.checkpoint, &end.said);
        if said.number > at.number && said.to > self.place.seq {
            return Err(Wrong::Event(None));
        }
        if said.number > at.number {
            let why = "the end of the file names it".to_owned();
            return Err(Wrong::At(Row::Checkpoint(at.number + 1), What::Missing, why));
        }
        if self.place.seq > at.to {
            return Err(Wrong::At(Row::Event(at.to + 1), What::Extra, "no checkpoint stands behind it".to_owned()));
        }
        if said.last != at.hash() || said.to != at.to {
            return Err(Wrong::file(What::Changed, "its end belongs to another file"));
        }
        if said.lines.0[..] != self.lines.clone().finalize()[..] {
            return Err(Wrong::file(What::Changed, "its lines are not those that its end was signed for"));
        }
        self.end = Some(end);
        Ok(())
    }

    /// Nothing was wrong with any line; is the whole?
    pub(super) fn whole(mut self) -> Result<Sound, Fault> {
        match self.end.take() {
            Some(end) => self.sound(Some(&end.said)),
            None => {
                let row = Row::Event(self.place.seq + 1);
                let why = "the file ends before its end".to_owned();
                Err(Fault { line: self.line, row, what: What::Truncated, why })
            }
        }
    }

    /// `end` is missing for books as they stand.
    pub(super) fn sound(self, end: Option<&Ending>) -> Result<Sound, Fault> {
        let fault = |line, row, what, why: &str| Err(Fault { line, row, what, why: why.to_owned() });
        let Some(last) = self.last.as_ref().map(|l| &l.checkpoint) else {
            return fault(self.line, Row::Checkpoint(1), What::Missing, "nothing here is signed");
        };
        let base = self.base.as_ref().map(|b| &b.checkpoint);
        let from = base.map_or(1, |b| b.to + 1);
        let pruned_to = end.map_or(last.pruned_to, |e| e.pruned_to);
        let asked = end.map_or(1, |e| e.from);
        if from > asked && from > pruned_to + 1 {
            let why = "it was asked for, is not here, and no checkpoint says that it was given up";
            return fault(1, Row::Event(asked.max(pruned_to + 1)), What::Missing, why);
        }
        if !self.trust.is_vouched() {
            let number = base.map_or(1, |b| b.number);
            let why = "its key is none of yours, and none of yours has signed anything here";
            return fault(self.first_signer.unwrap_or(1), Row::Checkpoint(number), What::UnknownKey, why);
        }
        let (asked_to, anchor) = (end.and_then(|e| e.asked_to), self.anchors.last());
        if let Some(further) = anchor.filter(|a| a.number > last.number && asked_to.is_none()) {
            let why = format!("an anchor holds checkpoint {}, up to event {}", further.number, further.to);
            return fault(self.line, Row::Event(last.to + 1), What::Truncated, &why);
        }
        Ok(Sound {
            from,
            to: self.place.seq,
            events: self.events,
            checkpoints: self.checkpoints,
            signed_at: last.at,
            last_checkpoint: last.number,
            key: last.signs_next(),
            confirmed: self.trust.is_confirmed(),
            unsigned: self.tree.size(),
            pruned_to,
            pruned_under: base.filter(|b| pruned_to > 0 && b.to == pruned_to).map(|b| b.number),
            asked_to,
            anchored: self.anchored,
            anchored_to: anchor.map(|a| a.to),
            gaps: self.gaps,
            first_gap: self.first_gap,
        })
    }
}

fn bad_signature(signed: &Signed) -> Wrong {
    let why = "its words are not those that were signed".to_owned();
    Wrong::At(Row::Checkpoint(signed.checkpoint.number), What::BadSignature, why)
}
