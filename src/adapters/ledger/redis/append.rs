//! What is only written down: refused calls, and changes that people make, with the flag that they set or clear. Also how both
//! are put back, each once.

use super::answer::Parts;
use super::kept::Redo;
use super::{Inner, json};
use crate::adapters::ledger::LedgerError;
use crate::rules::books::{Control, Opening};
use crate::rules::subject::Flag;
use crate::units::ids::Seq;

impl Inner {
    pub(super) async fn deny(&self, row: Opening) -> Result<Seq, LedgerError> {
        let seq = self.append("deny", json(&row), None, "").await?.unwrap_or_default();
        self.kept.keep(seq, Redo::Deny(Box::new(row)));
        Ok(seq)
    }

    /// As `deny`, unless it was put back before.
    pub(super) async fn deny_again(&self, row: &Opening) -> Result<(), LedgerError> {
        let seq = self.append("deny", json(row), None, &row.call.to_string()).await?;
        seq.into_iter().for_each(|seq| self.kept.keep(seq, Redo::Deny(Box::new(row.clone()))));
        Ok(())
    }

    pub(super) async fn control(&self, control: Control) -> Result<Seq, LedgerError> {
        let seq = self.append("control", json(&control), switched(&control), "").await?.unwrap_or_default();
        self.kept.keep(seq, Redo::Control(control));
        Ok(seq)
    }

    /// As `control`, unless it was put back before. Two changes are alike only if somebody made the same one twice in between.
    pub(super) async fn control_again(&self, control: &Control, was: Seq) -> Result<(), LedgerError> {
        let (row, mark) = (json(control), format!("{was} {}", json(control)));
        let seq = self.append("control", row, switched(control), &mark).await?;
        seq.into_iter().for_each(|seq| self.kept.keep(seq, Redo::Control(control.clone())));
        Ok(())
    }

    /// `None` if it was there: what has a mark is appended once.
    async fn append(
        &self,
        op: &str,
        row: String,
        flag: Option<(&Flag, bool)>,
        mark: &str,
    ) -> Result<Option<Seq>, LedgerError> {
        let script = if op == "control" { &self.scripts.control } else { &self.scripts.deny };
        let mut call = self.prepare(script);
        let what = flag.map_or("", |(_, set)| if set { "set" } else { "clear" });
        call.arg(op).arg(row).arg(what).arg(flag.map(|(f, _)| json(f)).unwrap_or_default()).arg(self.keys.bell());
        call.arg(mark);
        let answer = self.call(&call).await?;
        let parts = Parts::new(&answer)?;
        Ok((parts.what == "done").then_some(parts.seq))
    }
}

/// The flag that a change sets or clears.
fn switched(control: &Control) -> Option<(&Flag, bool)> {
    match control {
        Control::Stopped { flag, .. } => Some((flag, true)),
        Control::Restored { flag, .. } => Some((flag, false)),
        _ => None,
    }
}
