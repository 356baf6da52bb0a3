//! Makes checkpoints: reads events as they were chained, recomputes the chain, and signs. It never signs what does not follow
//! from what it signed last. Blocks; whoever calls it stands on a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::{KeyFile, SigningKey};
use crate::adapters::audit::{AuditError, AuditStore};
use crate::rules::chain::{self, Place};
use crate::rules::evidence::{Checkpoint, PublicKey, Signed, VERSION};
use crate::rules::merkle::Tree;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// Events read at a time.
const PAGE: u64 = 1000;

pub(super) struct Sealing {
    store: Arc<dyn AuditStore>,
    file: KeyFile,
    key: SigningKey,
    last: Option<Signed>,
    /// What this key, or the one that named it, has said was given up. Another's word is not repeated under its signature.
    given_up: Seq,
    /// The chain up to what was read, and the tree since the last checkpoint.
    place: Place,
    tree: Tree,
    /// When it was opened, or sealed last.
    since: Instant,
}

/// What a checkpoint says beside its events.
#[derive(Default)]
pub(super) struct Also {
    pub next_key: Option<PublicKey>,
    pub pruned_to: Option<Seq>,
}

impl Sealing {
    pub(super) fn open(store: Arc<dyn AuditStore>, file: KeyFile) -> Result<Self, AuditError> {
        let last = store.last_checkpoint()?;
        // The next one would vouch for it.
        let bad = |l: &&Signed| !l.is_genuine() || !l.checkpoint.is_possible();
        if let Some(bad) = last.as_ref().filter(bad) {
            let why = format!("checkpoint {} is not signed as it stands: somebody changed it", bad.checkpoint.number);
            return Err(AuditError::Unreadable(why));
        }
        let expected = last.as_ref().map(|l| l.checkpoint.signs_next());
        let key = file.open(expected).map_err(|e| AuditError::Unreadable(e.to_string()))?;
        let given_up = given_up(&*store, last.as_ref(), key.public())?;
        let place = last.as_ref().map_or(Place::START, |l| Place { seq: l.checkpoint.to, head: l.checkpoint.head });
        Ok(Self { store, file, key, last, given_up, place, tree: Tree::default(), since: Instant::now() })
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(super) fn last(&self) -> Option<&Signed> {
        self.last.as_ref()
    }

    /// How long no checkpoint was made: by the clock, which knows of earlier runs, or by our own, which is never set back.
    pub(super) fn waited(&self) -> Duration {
        let at = self.last.as_ref().map_or(Timestamp(0), |l| l.checkpoint.at);
        self.since.elapsed().max(Duration::from_millis(Timestamp::now().millis_since(at)))
    }

    /// Events that no checkpoint covers yet, as far as they were read.
    pub(super) fn unsealed(&self) -> u64 {
        self.tree.size()
    }

    /// Reads on until `full` events stand since the last checkpoint. `false` if there were not so many.
    pub(super) fn read_until(&mut self, full: u64) -> Result<bool, AuditError> {
        while self.tree.size() < full {
            let want = (full - self.tree.size()).min(PAGE) as usize;
            let events = self.store.linked(self.place.seq + 1, want)?;
            for event in &events {
                let leaf = chain::leaf(event.body.as_bytes());
                let head = chain::link(&self.place.head, event.seq, &leaf);
                if head != event.head {
                    let why = format!("event {} does not follow on event {}", event.seq, self.place.seq);
                    return Err(AuditError::Unreadable(format!("{why}: the books were changed, and are not signed")));
                }
                self.place = Place { seq: event.seq, head };
                self.tree.push(leaf);
            }
            if events.len() < want {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Covers everything that is there, in checkpoints of at most `every` events. The last of them is what it gives; `None`
    /// only for books without events.
    pub(super) fn catch_up(&mut self, every: u64) -> Result<Option<Signed>, AuditError> {
        while self.read_until(every)? {
            self.seal(Also::default())?;
        }
        if self.unsealed() > 0 {
            self.seal(Also::default())?;
        }
        Ok(self.last.clone())
    }

    /// Signs what was read, and writes it.
    pub(super) fn seal(&mut self, also: Also) -> Result<Signed, AuditError> {
        let checkpoint = self.next(also);
        let signature = self.key.sign(&checkpoint.text());
        let signed = Signed { checkpoint, signature };
        self.store.seal(&signed)?;
        self.given_up = signed.checkpoint.pruned_to;
        self.last = Some(signed.clone());
        (self.tree, self.since) = (Tree::default(), Instant::now());
        Ok(signed)
    }

    fn next(&self, also: Also) -> Checkpoint {
        let last = self.last.as_ref().map(|l| &l.checkpoint);
        let now = Timestamp::now();
        Checkpoint {
            version: VERSION,
            number: last.map_or(0, |l| l.number) + 1,
            from: last.map_or(0, |l| l.to) + 1,
            to: self.place.seq,
            events: self.tree.size(),
            head: self.place.head,
            root: self.tree.root(),
            // Never backward, so that the last one before an instant can be found by halving.
            at: last.map_or(now, |l| l.at.max(now)),
            key: self.key.public(),
            previous: last.map(Checkpoint::hash).unwrap_or_default(),
            next_key: also.next_key,
            pruned_to: also.pruned_to.unwrap_or(self.given_up),
        }
    }

    /// A new key signs from here on. The old one says so, in a checkpoint over what is there.
    pub(super) fn rotate(&mut self, every: u64) -> Result<Signed, AuditError> {
        let unwritten = |e: crate::adapters::keyring::secrets::SecretError| AuditError::Store(e.to_string());
        self.catch_up(every)?;
        let next = self.file.prepare().map_err(unwritten)?;
        let signed = self.seal(Also { next_key: Some(next.public()), ..Also::default() })?;
        // From here on only the new key counts, whatever happens to the file: `open` looks for it.
        self.key = next;
        self.file.promote().map_err(unwritten)?;
        Ok(signed)
    }

    /// Says that events up to `to`, where a checkpoint ends, are given up. Gives up to where: never less than before.
    pub(super) fn give_up(&mut self, to: Seq) -> Result<Seq, AuditError> {
        let before = self.given_up;
        if to > before {
            self.seal(Also { pruned_to: Some(to), ..Also::default() })?;
        }
        Ok(to.max(before))
    }
}

/// Checkpoints looked through at a time.
const LOOK: u64 = 1000;

/// How far events were given up, by the newest checkpoint that `key` answers for.
fn given_up(store: &dyn AuditStore, last: Option<&Signed>, key: PublicKey) -> Result<Seq, AuditError> {
    let answers = |l: &&Signed| l.checkpoint.key == key || l.checkpoint.next_key == Some(key);
    let Some(last) = last else { return Ok(0) };
    if answers(&last) {
        return Ok(last.checkpoint.pruned_to);
    }
    let mut end = last.checkpoint.number;
    while end > 1 {
        let from = end.saturating_sub(LOOK).max(1);
        let page = store.checkpoints(from, (end - from) as usize, false)?;
        if let Some(own) = page.iter().rev().filter(|l| l.checkpoint.number < end && l.is_genuine()).find(answers) {
            return Ok(own.checkpoint.pruned_to);
        }
        end = from;
    }
    Ok(0)
}
