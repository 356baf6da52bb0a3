//! Reads all changes up to the end of a month: what holds then, and what happened in it. Knows no sums.

use std::collections::BTreeMap;

use super::{AuditError, AuditStore, ChangeLine, KeyLine, PolicyLine};
use crate::adapters::audit::Event;
use crate::adapters::audit::query::MAX_LIMIT;
use crate::rules::books::{Act, Control, Kind};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::{Flag, Name};
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

/// Changes that a report lists; more would be read by nobody.
const LISTED: usize = 10_000;

#[derive(Default)]
pub(super) struct Fold {
    from: Timestamp,
    keys: BTreeMap<KeyId, KeyLine>,
    policies: BTreeMap<Name, PolicyLine>,
    stopped: BTreeMap<Flag, (Timestamp, Act)>,
    lines: Vec<ChangeLine>,
    pub cut: bool,
    pub unchanged: u64,
    pub visits: BTreeMap<(String, Option<String>), u64>,
    pub knocks: BTreeMap<(String, Option<String>), u64>,
}

impl Fold {
    pub(super) fn read(store: &dyn AuditStore, from: Timestamp, until: Timestamp) -> Result<Self, AuditError> {
        let (mut fold, mut next) = (Self { from, ..Self::default() }, 1);
        loop {
            let events = store.changes(next, MAX_LIMIT)?;
            let Some(last) = events.last() else { return Ok(fold) };
            next = last.seq + 1;
            let over = last.at >= until;
            for event in events.iter().filter(|e| e.at < until) {
                fold.see(event)?;
            }
            if over {
                return Ok(fold);
            }
        }
    }

    fn see(&mut self, event: &Event) -> Result<(), AuditError> {
        let entry: Entry = serde_json::from_str(&event.body)
            .map_err(|e| AuditError::Unreadable(format!("event {}: {e}", event.seq)))?;
        let in_month = entry.at >= self.from;
        match &entry.op {
            Op::Control { control } => self.control(&entry, control, in_month),
            Op::Adjust { charge, act, .. } if in_month => {
                let mut line = line(&entry, Kind::Adjusted, act);
                line.cost_usd = Some(charge.usd);
                self.push(line);
            }
            _ => {}
        }
        Ok(())
    }

    fn control(&mut self, entry: &Entry, control: &Control, in_month: bool) {
        let mut line = line(entry, control.kind(), control.act());
        line.about = control.about();
        match control {
            Control::AdminLogin { from, act } if in_month => return count(&mut self.visits, &act.actor, from),
            Control::AdminRefused { from, code, .. } if in_month => return count(&mut self.knocks, code, from),
            Control::AdminLogin { .. } | Control::AdminRefused { .. } => return,
            Control::PolicyLoaded { whole, added, removed, .. } => {
                if self.policy(entry, control) {
                    self.unchanged += u64::from(in_month);
                    return;
                }
                // At a start a file is said whole: what is new of it is not known.
                (line.added, line.removed) = (added.clone(), removed.clone());
                line.about.push_str(if *whole { ", said whole" } else { "" });
            }
            Control::PolicyRemoved { policy, .. } => {
                self.policies.get_mut(policy).into_iter().for_each(|p| p.removed_at = Some(entry.at));
            }
            Control::KeyMinted { .. } => self.key(entry, control),
            Control::Stopped { flag, act } => drop(self.stopped.insert(flag.clone(), (entry.at, act.clone()))),
            Control::Restored { flag, .. } => drop(self.stopped.remove(flag)),
            Control::PricesLoaded { .. } | Control::LedgerRebuilt { .. } | Control::Alerted { .. } => {}
            Control::PersonErased { .. } | Control::BodyRead { .. } => {}
            Control::Escalated { .. } | Control::Approved { .. } | Control::Rejected { .. } => {}
            Control::Pruned { .. } | Control::SigningKeyRotated { .. } => {}
        }
        if in_month {
            self.push(line);
        }
    }

    /// Says whether it is the one that was known.
    fn policy(&mut self, entry: &Entry, control: &Control) -> bool {
        let Control::PolicyLoaded { policy, hash, whole, added, removed, .. } = control else { return false };
        let known = self.policies.get(policy).filter(|p| p.removed_at.is_none());
        if known.is_some_and(|p| p.hash == *hash) {
            return true;
        }
        let mut lines = known.filter(|_| !whole).map(|p| p.lines.clone()).unwrap_or_default();
        for gone in removed {
            if let Some(at) = lines.iter().position(|l| l == gone) {
                lines.remove(at);
            }
        }
        lines.extend(added.iter().cloned());
        let (policy_id, hash) = (policy.clone(), *hash);
        let line = PolicyLine { policy_id, hash, loaded_at: entry.at, removed_at: None, lines };
        self.policies.insert(policy.clone(), line);
        false
    }

    fn key(&mut self, entry: &Entry, control: &Control) {
        let Control::KeyMinted { key, policy, parent, expires_at, minting, act } = control else { return };
        let line = KeyLine {
            key_id: key.clone(),
            policy_id: policy.clone(),
            subject: minting.as_ref().map(|m| m.subject.clone()),
            narrower: minting.as_ref().and_then(|m| m.narrower.clone()),
            parent: parent.clone(),
            minted_at: entry.at,
            minted_by: act.clone(),
            expires_at: *expires_at,
            revoked_at: None,
            revoked_by: None,
        };
        self.keys.insert(key.clone(), line);
    }

    fn push(&mut self, line: ChangeLine) {
        self.cut |= self.lines.len() >= LISTED;
        if !self.cut {
            self.lines.push(line);
        }
    }

    /// Keys that were good at any time of the month, with what ended them.
    pub(super) fn keys(&self) -> Vec<KeyLine> {
        let ended = |line: &KeyLine| {
            let off = self.stopped.get(&Flag::Key { id: line.key_id.clone() });
            let (revoked_at, revoked_by) = off.map(|(at, act)| (*at, act.clone())).unzip();
            KeyLine { revoked_at, revoked_by, ..line.clone() }
        };
        let good = |line: &KeyLine| {
            let ends = [line.expires_at, line.revoked_at];
            ends.into_iter().flatten().all(|end| end > self.from)
        };
        self.keys.values().map(ended).filter(good).collect()
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &PolicyLine> {
        self.policies.values().filter(|p| p.removed_at.is_none_or(|at| at >= self.from))
    }

    pub(super) fn stopped(&self) -> Vec<String> {
        let said = |(flag, (at, act)): (&Flag, &(Timestamp, Act))| {
            format!("{flag}, since {at} by {}: {}", act.actor, act.reason.as_deref().unwrap_or("no reason given"))
        };
        self.stopped.iter().map(said).collect()
    }

    pub(super) fn of(&self, kinds: &[Kind]) -> Vec<ChangeLine> {
        self.lines.iter().filter(|l| kinds.contains(&l.kind)).cloned().collect()
    }

    /// What operators changed; corrections are exceptions, and approvals are listed by themselves.
    pub(super) fn changes(&self) -> Vec<ChangeLine> {
        let elsewhere = [Kind::Adjusted, Kind::Escalated, Kind::Approved, Kind::Rejected];
        self.lines.iter().filter(|l| !elsewhere.contains(&l.kind)).cloned().collect()
    }
}

fn count(counts: &mut BTreeMap<(String, Option<String>), u64>, who: &str, from: &Option<String>) {
    *counts.entry((who.to_owned(), from.clone())).or_default() += 1;
}

fn line(entry: &Entry, kind: Kind, act: &Act) -> ChangeLine {
    let call_id = entry.op.call();
    ChangeLine {
        seq: entry.seq,
        at: entry.at,
        kind,
        about: call_id.map_or_else(String::new, |call| format!("call {call}")),
        call_id,
        cost_usd: None,
        actor: act.actor.clone(),
        reason: act.reason.clone(),
        added: Vec::new(),
        removed: Vec::new(),
    }
}
