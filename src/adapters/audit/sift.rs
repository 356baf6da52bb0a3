//! Which events a tail wants: by kind, and by whose call they are about. Later events of a call name only its id, so who
//! opened it is remembered, or read from its row. Writes nothing.

use std::collections::{HashMap, VecDeque};

use super::{AuditError, AuditStore, CallQuery, CallRow, Event};
use crate::rules::books::{Control, Kind};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::{Flag, Name};
use crate::units::ids::{CallId, Seq};

/// Calls that are remembered at once.
const REMEMBERED: usize = 10_000;
/// Events read at a time, and how far back the last ones are looked for.
const PAGE: usize = 1000;
const FAR: u64 = 200_000;

#[derive(Debug, Default)]
pub struct Sift {
    kinds: Vec<Kind>,
    who: CallQuery,
    calls: HashMap<CallId, bool>,
    order: VecDeque<CallId>,
}

impl Sift {
    /// All kinds if none is named. Of `who`, the names and the verdict count.
    pub fn new(kinds: Vec<Kind>, who: CallQuery) -> Self {
        Self { kinds, who, ..Self::default() }
    }

    /// Does it let everything through?
    pub fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.anyone()
    }

    fn anyone(&self) -> bool {
        self.who.names().is_empty() && self.who.verdict.is_none()
    }

    pub fn takes(&mut self, event: &Event, store: &dyn AuditStore) -> Result<bool, AuditError> {
        let kind = self.kinds.is_empty() || event.kind.is_some_and(|k| self.kinds.contains(&k));
        if self.anyone() || (!kind && !matches!(event.kind, Some(Kind::Admitted))) {
            return Ok(kind);
        }
        let Some(call) = event.call else { return Ok(kind && self.concerns(&entry(event)?)) };
        Ok(self.of_call(call, event, store)? && kind)
    }

    fn of_call(&mut self, call: CallId, event: &Event, store: &dyn AuditStore) -> Result<bool, AuditError> {
        if let Some(known) = self.calls.get(&call) {
            return Ok(*known);
        }
        let row = match event.kind {
            Some(Kind::Admitted | Kind::Denied) => CallRow::opened(entry(event)?),
            _ => store.calls(&CallQuery { call: Some(call), ..CallQuery::default() })?.calls.pop(),
        };
        let wanted = row.is_some_and(|row| row.call_id == call && self.wants(&row));
        self.remember(call, wanted);
        Ok(wanted)
    }

    fn wants(&self, row: &CallRow) -> bool {
        let tenant = row.subject.as_ref().map(|s| &*s.tenant);
        let is = |column: &str| match column {
            "agent" => row.agent_id.as_deref(),
            "run" => row.run_id.as_deref(),
            "tenant" => tenant,
            "key" => row.key_id.as_ref().map(|k| k.as_str()),
            "policy" => row.policy_id.as_deref(),
            "vendor" => row.vendor.as_deref(),
            _ => row.endpoint.as_deref(),
        };
        self.who.names().iter().all(|(column, wanted)| is(column) == Some(*wanted))
            && self.who.verdict.is_none_or(|v| v == row.verdict)
    }

    /// A control change is about somebody too.
    fn concerns(&self, entry: &Entry) -> bool {
        let Op::Control { control } = &entry.op else { return false };
        // A name is one within its tenant: another's run of the same name is another run.
        if matches!((self.who.tenant.as_deref(), tenant(control)), (Some(asked), Some(is)) if asked != &**is) {
            return false;
        }
        let about = about(control);
        self.who.names().iter().any(|wanted| about.iter().any(|(column, name)| (*column, name.as_str()) == *wanted))
    }

    fn remember(&mut self, call: CallId, wanted: bool) {
        self.calls.insert(call, wanted);
        self.order.push_back(call);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.calls.remove(&oldest);
        }
    }

    /// Where to begin so that `last` events that it takes come before the end.
    pub fn back(&mut self, store: &dyn AuditStore, end: Seq, last: u64) -> Result<Seq, AuditError> {
        let mut back = last.saturating_mul(2).saturating_add(20);
        loop {
            let from = end.saturating_sub(back) + 1;
            let taken = self.between(store, from, end)?;
            let want = usize::try_from(last).unwrap_or(usize::MAX);
            if taken.len() >= want {
                // The very last one is behind the end if none is wanted.
                return Ok(taken.get(taken.len() - want).copied().unwrap_or(end + 1));
            }
            if from == 1 || back >= FAR {
                return Ok(from);
            }
            back = back.saturating_mul(4).min(FAR);
        }
    }

    fn between(&mut self, store: &dyn AuditStore, mut from: Seq, end: Seq) -> Result<Vec<Seq>, AuditError> {
        let mut taken = Vec::new();
        while from <= end {
            let events = store.events(from, PAGE)?;
            let Some(last) = events.last() else { break };
            from = last.seq + 1;
            for event in events.iter().filter(|e| e.seq <= end) {
                if self.takes(event, store)? {
                    taken.push(event.seq);
                }
            }
        }
        Ok(taken)
    }
}

fn entry(event: &Event) -> Result<Entry, AuditError> {
    serde_json::from_str(&event.body).map_err(|e| AuditError::Unreadable(format!("event {}: {e}", event.seq)))
}

/// Whose names it uses.
fn tenant(control: &Control) -> Option<&Name> {
    match control {
        Control::Stopped { flag: Flag::Agent { tenant, .. } | Flag::Run { tenant, .. }, .. }
        | Control::Restored { flag: Flag::Agent { tenant, .. } | Flag::Run { tenant, .. }, .. } => Some(tenant),
        _ => None,
    }
}

/// What a control change names, by the column that holds such names.
fn about(control: &Control) -> Vec<(&'static str, String)> {
    match control {
        Control::KeyMinted { key, policy, parent, .. } => {
            let parent = parent.iter().map(|p| ("key", p.to_string()));
            parent.chain([("key", key.to_string()), ("policy", policy.to_string())]).collect()
        }
        Control::Stopped { flag, .. } | Control::Restored { flag, .. } => match flag {
            Flag::Key { id } => vec![("key", id.to_string())],
            Flag::Agent { name, .. } => vec![("agent", name.to_string())],
            Flag::Run { name, .. } => vec![("run", name.to_string())],
            Flag::Tenant { name } => vec![("tenant", name.to_string())],
            Flag::Policy { name } => vec![("policy", name.to_string())],
            Flag::Vendor { name } => vec![("vendor", name.to_string())],
            Flag::Everyone => Vec::new(),
        },
        Control::PolicyLoaded { policy, .. } | Control::PolicyRemoved { policy, .. } => {
            vec![("policy", policy.to_string())]
        }
        _ => Vec::new(),
    }
}
