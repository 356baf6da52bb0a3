//! What a call's request does not say, and its vendor knows: questions whose answers bound it. Asked before anything is held, if
//! the policy allows it. Sends nothing; `gateway::look_up` does. `stripe` asks them, and `count`.

use std::cell::RefCell;

use bytes::Bytes;

use crate::rules::json::Document;

/// How many questions one call may ask.
pub const MOST_QUESTIONS: usize = 8;

/// A `GET` below the vendor's address; with a body, a `POST` that changes nothing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub path: String,
    pub query: Option<String>,
    /// JSON.
    pub body: Option<Bytes>,
}

impl Question {
    pub fn get(path: String, query: Option<String>) -> Self {
        Self { path, query, body: None }
    }

    pub fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (method, path) = (self.method(), &self.path);
        match &self.query {
            Some(query) => write!(f, "{method} {path}?{query}"),
            None => write!(f, "{method} {path}"),
        }
    }
}

/// A question that was asked, and its answer, or why there is none.
#[derive(Clone, Debug)]
pub struct Found {
    pub question: Question,
    pub answer: Result<Bytes, String>,
}

/// Looks among the answers, and notes what is still to be asked.
pub(super) struct Seek<'a> {
    found: &'a [Found],
    wanted: RefCell<Vec<Question>>,
    failed: RefCell<Option<String>>,
}

impl<'a> Seek<'a> {
    pub fn new(found: &'a [Found]) -> Self {
        Self { found, wanted: RefCell::default(), failed: RefCell::default() }
    }

    /// The answer, if it is there and is JSON.
    pub fn get(&self, path: String, query: Option<String>) -> Option<Document<'a>> {
        let question = Question::get(path, query);
        let Some(found) = self.found.iter().find(|f| f.question == question) else {
            self.wanted.borrow_mut().push(question);
            return None;
        };
        let parsed = match &found.answer {
            Ok(body) => Document::parse(body).map_err(|e| e.to_string()),
            Err(why) => Err(why.clone()),
        };
        parsed.map_err(|why| self.fail(format!("{}: {why}", found.question))).ok()
    }

    /// Says that what was found does not tell.
    pub fn fail(&self, why: String) {
        self.failed.borrow_mut().get_or_insert(why);
    }

    /// What is still to be asked, or why it is of no use to go on.
    pub fn end(self) -> (Vec<Question>, Option<String>) {
        (self.wanted.into_inner(), self.failed.into_inner())
    }
}

/// A whole number at a pointer.
pub(super) fn integer(document: &Document<'_>, pointer: &str) -> Option<i64> {
    document.pointer(pointer)?.number()?.parse().ok()
}

/// A text at a pointer.
pub(super) fn text<'d>(document: &'d Document<'_>, pointer: &str) -> Option<&'d str> {
    document.pointer(pointer)?.text()
}

/// Is it a plain id, which changes nothing of the path that it stands in?
pub(super) fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}
