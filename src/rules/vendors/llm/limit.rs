//! Where a request's output limit stands, and the change of it to what was granted. All else of the body stays as it came.

use super::super::plan::OwnedEdit;
use super::LlmPlan;

/// Where the output limit stands, and what it was.
#[derive(Debug)]
pub(in super::super) struct LimitField {
    /// Fields that are there, by pointer; the limit is written into each.
    pub there: Vec<&'static str>,
    /// The field to add if none is there.
    pub add: Add,
    /// What the caller asked for; the model's own most if nothing.
    pub before: u64,
}

/// Where a limit is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Add {
    /// The object, by pointer, whose member it becomes.
    pub object: &'static str,
    pub name: &'static str,
    /// In an object of its own: this is the name inside of it.
    pub inner: Option<&'static str>,
}

impl Add {
    pub const NONE: Self = Self::root("");

    pub const fn root(name: &'static str) -> Self {
        Self { object: "", name, inner: None }
    }

    fn edit(self, value: String) -> OwnedEdit {
        let value = self.inner.map_or(value.clone(), |inner| format!("{{\"{inner}\":{value}}}"));
        OwnedEdit::Insert { object: self.object, name: self.name, value }
    }
}

impl LlmPlan {
    /// The limit is written where it is lower than what stands in the request, or would stand there unsaid.
    pub fn edits(&self, granted: Option<u64>) -> Vec<OwnedEdit> {
        let mut edits = self.edits.clone();
        let lowered = granted.zip(self.limit.as_ref()).filter(|(granted, limit)| *granted < limit.before);
        if let Some((granted, limit)) = lowered {
            let value = granted.to_string();
            edits.extend(limit.there.iter().map(|pointer| OwnedEdit::Replace { pointer, value: value.clone() }));
            if limit.there.is_empty() {
                edits.push(limit.add.edit(value));
            }
        }
        edits
    }
}
