//! A strict JSON reader that keeps every value's place in the body, so that one field can be changed and the rest goes
//! out byte for byte.
//!
//! It accepts only what all readers read alike: no duplicate members, no comments, no lone surrogates. It gives no
//! meaning to a value: `args` looks up what a rule asks for, and the vendors' files know the fields. `read` does the
//! parsing, `splice` the changing.

mod problem;
mod read;
mod splice;
#[cfg(test)]
mod tests;

pub use problem::{JsonError, Problem};
pub use read::MAX_DEPTH;
pub use splice::{Edit, SpliceError};

use std::borrow::Cow;
use std::ops::Range;

/// A parsed body. The nodes lie in the order of the text, each followed by all that is inside it.
#[derive(Debug)]
pub struct Document<'a> {
    body: &'a str,
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
struct Node<'a> {
    /// The member's name, unescaped, if the node is a member of an object.
    key: Option<Cow<'a, str>>,
    kind: Kind<'a>,
    start: u32,
    end: u32,
    /// The first node that is not inside this one.
    next: u32,
}

/// What a value is. Numbers keep their text, because an amount must never pass through a float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number as it stands in the body.
    Number(&'a str),
    /// A string, unescaped; borrowed if it held no escape.
    Text(Cow<'a, str>),
    /// `[...]`
    Array,
    /// `{...}`
    Object,
}

impl<'a> Document<'a> {
    /// Parses a whole body. One pass, nothing kept but the nodes.
    pub fn parse(body: &'a [u8]) -> Result<Document<'a>, JsonError> {
        let (body, nodes) = read::read(body)?;
        Ok(Document { body, nodes })
    }

    /// The outermost value.
    pub fn root(&self) -> NodeRef<'_> {
        // A document that parsed has at least one node.
        NodeRef { nodes: &self.nodes, at: 0 }
    }

    /// The value at a JSON Pointer (RFC 6901): `/a/b/0`; the empty pointer is the root.
    pub fn pointer(&self, pointer: &str) -> Option<NodeRef<'_>> {
        if pointer.is_empty() {
            return Some(self.root());
        }
        let mut parts = pointer.strip_prefix('/')?.split('/');
        parts.try_fold(self.root(), |node, part| node.child(&unescape(part)))
    }

    /// The value at a dotted name: `a.b.0.c`.
    pub fn dotted(&self, name: &str) -> Option<NodeRef<'_>> {
        let mut parts = name.split('.');
        parts.try_fold(self.root(), |node, part| node.child(part))
    }

    /// The body that was parsed.
    pub fn body(&self) -> &'a [u8] {
        self.body.as_bytes()
    }

    /// The body with these edits made and every other byte as it was.
    pub fn splice(&self, edits: &[Edit<'_>]) -> Result<Vec<u8>, SpliceError> {
        splice::splice(self, edits)
    }
}

/// `~1` and `~0` in a JSON Pointer.
pub(in crate::rules) fn unescape(part: &str) -> Cow<'_, str> {
    match part.contains('~') {
        true => Cow::Owned(part.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(part),
    }
}

/// One value of a document. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct NodeRef<'d> {
    nodes: &'d [Node<'d>],
    at: usize,
}

impl<'d> NodeRef<'d> {
    fn node(self) -> &'d Node<'d> {
        &self.nodes[self.at]
    }

    /// What it is.
    pub fn kind(self) -> &'d Kind<'d> {
        &self.node().kind
    }

    /// Its name, if it is a member of an object.
    pub fn key(self) -> Option<&'d str> {
        self.node().key.as_deref()
    }

    /// Where it stands in the body, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// What lies directly inside an array or an object, in the order of the text.
    pub fn children(self) -> impl Iterator<Item = NodeRef<'d>> {
        let (nodes, end) = (self.nodes, self.node().next as usize);
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let child = (at < end).then_some(NodeRef { nodes, at })?;
            at = child.node().next as usize;
            Some(child)
        })
    }

    /// A member by its exact name, or an array's element by its index in plain digits.
    pub fn child(self, part: &str) -> Option<NodeRef<'d>> {
        match self.kind() {
            Kind::Object => self.children().find(|child| child.key() == Some(part)),
            Kind::Array => self.children().nth(array_index(part)?),
            _ => None,
        }
    }

    /// A member of an object by its exact name.
    pub fn member(self, name: &str) -> Option<NodeRef<'d>> {
        matches!(self.kind(), Kind::Object).then(|| self.child(name))?
    }

    /// The string, if it is one.
    pub fn text(self) -> Option<&'d str> {
        match self.kind() {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number's text, if it is one.
    pub fn number(self) -> Option<&'d str> {
        match self.kind() {
            Kind::Number(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.kind(), Kind::Null)
    }
}

/// `0`, `1`, `10`, but not `01`, `+1` or `-`.
fn array_index(part: &str) -> Option<usize> {
    let plain = part.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (part == "0" || !part.starts_with('0'));
    canonical.then(|| part.parse().ok())?
}
