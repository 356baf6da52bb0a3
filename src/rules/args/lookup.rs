//! Finding a name in a tree, whether JSON, a form or path parameters, and what is found there as a `Value`.

use super::name::{Likeness, Name, likeness};
use super::unreadable::Unreadable;
use crate::rules::form::FieldRef;
use crate::rules::json::{Kind, NodeRef};
use std::borrow::Cow;

/// What a parameter is. Forms, queries and paths only know texts.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A JSON number as it stands in the body.
    Number(&'a str),
    /// A text; in a form a number is one too.
    Text(&'a str),
    /// An array, or a form's `a[]`, `a[0]`.
    List(Group<'a>),
    /// An object, or a form's `a[b]`.
    Object(Group<'a>),
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The digits of a number, or of a text that may be one.
    pub fn digits(self) -> Option<&'a str> {
        match self {
            Value::Number(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The exact number, if it is one.
    pub fn decimal(self) -> Option<super::Decimal> {
        super::Decimal::parse(self.digits()?)
    }
}

/// A list or an object.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a>(View<'a>);

impl<'a> Group<'a> {
    /// What is directly inside; lists in order.
    pub fn values(self) -> impl Iterator<Item = Value<'a>> {
        self.members().map(|(_, value)| value)
    }

    /// The same with names, which are empty in JSON arrays.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.0.children().map(|(key, view)| (key, Value::from(view)))
    }

    /// A parameter by its name from here on.
    pub fn get(self, name: &Name) -> Result<Option<Value<'a>>, Unreadable> {
        Ok(self.0.find(name, Spelling::Exact)?.map(Value::from))
    }
}

impl<'a> From<View<'a>> for Value<'a> {
    fn from(view: View<'a>) -> Self {
        match view {
            View::Json(node) => from_json(node),
            View::Form(field) => match field.text() {
                Some(text) => Value::Text(text),
                None if field.is_list() => Value::List(Group(view)),
                None => Value::Object(Group(view)),
            },
            View::Parameter(text) => Value::Text(text),
            View::Path(_) => Value::Object(Group(view)),
        }
    }
}

fn from_json(node: NodeRef<'_>) -> Value<'_> {
    match node.kind() {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Number(text) => Value::Number(text),
        Kind::Text(text) => Value::Text(text),
        Kind::Array => Value::List(Group(View::Json(node))),
        Kind::Object => Value::Object(Group(View::Json(node))),
    }
}

/// Which spellings of a name are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// The one that was asked for; another one beside it or in its place is refused.
    Exact,
    /// Any one.
    Any,
}

/// One place in one of the trees.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'a> {
    Json(NodeRef<'a>),
    Form(FieldRef<'a>),
    /// All path parameters.
    Path(&'a [(&'a str, Cow<'a, str>)]),
    /// One of them.
    Parameter(&'a str),
}

impl<'a> View<'a> {
    /// What stands at this name; None if nothing does, an error if more than one reader's idea of it could.
    pub(super) fn find(self, name: &Name, spelling: Spelling) -> Result<Option<View<'a>>, Unreadable> {
        let ambiguous = || Unreadable::Ambiguous { name: name.as_str().to_owned() };
        let mut here = self;
        for at in 0..name.parts().len() {
            let step = here.step(&name.parts()[at..], spelling);
            match step.map_err(|Unclear| ambiguous())? {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        match here.is_unclear() {
            true => Err(ambiguous()),
            false => Ok(Some(here)),
        }
    }

    /// One part further.
    fn step(self, parts: &[Box<str>], spelling: Spelling) -> Result<Option<View<'a>>, Unclear> {
        if self.clashes() {
            return Err(Unclear);
        }
        if let View::Json(node) = self
            && matches!(node.kind(), Kind::Array)
        {
            return match (node.child(&parts[0]), self.leads_past(&parts[0])) {
                (None, true) => Err(Unclear),
                (child, _) => Ok(child.map(View::Json)),
            };
        }
        if matches!(self, View::Form(field) if field.is_list()) && self.leads_past(&parts[0]) {
            return Err(Unclear);
        }
        let mut found = None;
        for (key, child) in self.children() {
            match (likeness(key, parts), spelling) {
                (Likeness::Other, _) => continue,
                (Likeness::Dotted, _) | (Likeness::Near, Spelling::Exact) => return Err(Unclear),
                (Likeness::Near, Spelling::Any) | (Likeness::Same, _) => {}
            }
            if found.replace(child).is_some() {
                return Err(Unclear);
            }
        }
        Ok(found)
    }

    /// Does a name go on as if this list, which holds something, were one of its elements? Some readers take it so.
    fn leads_past(self, part: &str) -> bool {
        let place = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        !place && self.children().next().is_some()
    }

    fn children(self) -> impl Iterator<Item = (&'a str, View<'a>)> {
        let (json, form, path) = match self {
            View::Json(node) => (Some(node), None, None),
            View::Form(field) => (None, Some(field), None),
            View::Path(parameters) => (None, None, Some(parameters)),
            View::Parameter(_) => (None, None, None),
        };
        let json = json.into_iter().flat_map(NodeRef::children);
        let form = form.into_iter().flat_map(FieldRef::children);
        let path = path.into_iter().flatten();
        json.map(|node| (node.key().unwrap_or_default(), View::Json(node)))
            .chain(form.map(|field| (field.key(), View::Form(field))))
            .chain(path.map(|(key, value)| (*key, View::Parameter(value))))
    }

    /// Are all names directly inside among these?
    pub(super) fn all_in(self, names: &[&str]) -> bool {
        self.children().all(|(key, _)| names.contains(&key))
    }

    fn clashes(self) -> bool {
        matches!(self, View::Form(field) if field.clashes())
    }

    fn is_unclear(self) -> bool {
        matches!(self, View::Form(field) if field.is_unclear())
    }
}

/// This place has more than one reading.
struct Unclear;
