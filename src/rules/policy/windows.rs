//! `[[window]]`: operations that are allowed at given times only. A call that several windows are about must find all of them open,
//! so that one more window only ever narrows.

use super::decide::Question;
use super::rule::Rule;
use crate::rules::hours::OpenHours;
use crate::rules::pattern::OperationPattern;

/// One change window.
#[derive(Clone, Debug)]
pub struct Window {
    /// Label, vendors, methods, paths and mode.
    pub rule: Rule,
    /// All calls, if no path and no operation is named.
    operations: Vec<OperationPattern>,
    /// In small letters.
    folded: Vec<OperationPattern>,
    pub open: OpenHours,
}

impl Window {
    pub fn new(rule: Rule, operations: Vec<OperationPattern>, open: OpenHours) -> Self {
        let fold = |operation: &OperationPattern| {
            let text = operation.as_str();
            let (method, path) = text.split_at(text.find('/').unwrap_or_default());
            // It was a pattern before, and its method stays as it is.
            OperationPattern::parse(&format!("{method}{}", path.to_ascii_lowercase())).ok()
        };
        Self { folded: operations.iter().filter_map(fold).collect(), rule, operations, open }
    }

    /// The same for whom another rule names.
    pub(super) fn of(rule: Rule, window: &Self) -> Self {
        Self { rule, ..window.clone() }
    }

    /// In any letter case, as a denial.
    pub(super) fn concerns(&self, q: &Question<'_>, path: &str) -> bool {
        let (vendor, operation) = (&*q.facts.vendor, &*q.facts.operation);
        let every = self.rule.paths.is_empty() && self.operations.is_empty();
        self.rule.is_for(vendor) && (every || self.rule.catches(vendor, q.method, path) || self.names(operation))
    }

    fn names(&self, operation: &str) -> bool {
        let (method, path) = operation.split_once(' ').unwrap_or(("", operation));
        let (method, path) = (method.to_ascii_uppercase(), path.to_ascii_lowercase());
        // Whoever may not read may not peek.
        let method = if method == "HEAD" { "GET" } else { &*method };
        let one = |o: &OperationPattern| o.matches_parts(method, &path);
        self.operations.iter().any(|o| o.matches(operation)) || self.folded.iter().any(one)
    }

    /// All that it says, so that two can be compared.
    pub fn words(&self) -> String {
        let paths = self.rule.paths.iter().map(|path| path.as_str());
        let about: Vec<&str> = paths.chain(self.operations.iter().map(|o| o.as_str())).collect();
        let methods = self.rule.methods.names().map(|names| format!("{} ", names.join("/"))).unwrap_or_default();
        let about = if about.is_empty() { "all calls".to_owned() } else { about.join(", ") };
        let vendors =
            if self.rule.vendors.is_empty() { String::new() } else { format!(" at {}", self.rule.vendors.join(", ")) };
        let mode = if self.rule.mode.enforces() { "" } else { ", only observed" };
        format!("{methods}{about}{vendors}: {}{mode}", self.open.as_str())
    }
}
