//! What a request asks of a model, as far as it bounds the cost: how long its prompt can be, and its answer. Bounds nothing; `llm`
//! does.

use super::Add;

/// How long a prompt can be.
pub(in super::super) enum Prompt {
    Tokens(u64),
    /// Several prompts together, each of which may be as long as the model takes.
    Several(u64),
    /// The model's longest, as this field does not say.
    Most(String),
    /// The same, and it grows while the vendor's tools run: no count of what is sent bounds it.
    Grows(String),
}

/// The output limit of a request.
pub(in super::super) struct Output {
    /// Named by the caller; the largest, if twice.
    pub asked: Option<u64>,
    /// Answers asked for.
    pub answers: u64,
    /// No answer is worth less: a thinking budget.
    pub floor: u64,
    pub there: Vec<&'static str>,
    pub add: Add,
    /// The model gives no tokens at all.
    pub none: bool,
    /// The model's own most can be lifted (a beta header), so that it is no bound of what the caller asks for.
    pub lifted: bool,
    /// Nothing in the request can lower it.
    pub fixed: bool,
}

impl Output {
    /// No answer in tokens.
    pub const SILENT: Self = Self {
        asked: None,
        answers: 1,
        floor: 0,
        there: Vec::new(),
        add: Add::NONE,
        none: true,
        lifted: false,
        fixed: false,
    };
}
