//! What a rule or an estimate may read of a call: query, path parameters and body, as one look-up by name.
//!
//! A name has one reading or none: what is given twice, in two places or in two spellings is refused (invariant 7). It
//! does not compare anything with a limit; `policy` and `price` do. `path`, `form` and `json` do the reading.

mod content;
mod decimal;
mod lookup;
mod name;
#[cfg(test)]
mod tests;
mod unreadable;

pub use decimal::Decimal;
pub use lookup::{Group, Value};
pub use name::Name;
pub use unreadable::{ContentProblem, Place, Unreadable};

use crate::rules::form::{FieldRef, Form, FormProblem};
use crate::rules::json::{Document, NodeRef, Problem};
use crate::rules::path::query_or_form_overrides_method;
use crate::rules::vendors::BodyKind;
use lookup::{Spelling, View};
use std::borrow::Cow;

/// The parts of a request that parameters can come from.
#[derive(Debug, Default)]
pub struct Sent<'a> {
    /// The raw query, without its `?`.
    pub query: Option<&'a str>,
    /// The parameters of the operation's path template, decoded.
    pub path: Vec<(&'a str, Cow<'a, str>)>,
    /// `Content-Type`; several lines are joined with a comma, and then refused.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`, joined in the same way.
    pub content_encoding: Option<&'a str>,
    /// The body.
    pub body: Body<'a>,
}

/// A request body as far as it is there to be read.
#[derive(Debug, Clone, Copy, Default)]
pub enum Body<'a> {
    /// No body, or an empty one.
    #[default]
    None,
    /// All of it.
    Whole(&'a [u8]),
    /// There is one, and it is passed on without being looked at.
    Unread,
}

/// The parameters of one call.
#[derive(Debug)]
pub struct Args<'a> {
    query: Form<'a>,
    path: Vec<(&'a str, Cow<'a, str>)>,
    body: Parsed<'a>,
}

/// All that a call carries beside its path.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    pub query: FieldRef<'a>,
    pub body: Carried<'a>,
}

/// A body that can be read as a whole.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'a> {
    Nothing,
    Json(NodeRef<'a>),
    Form(FieldRef<'a>),
}

#[derive(Debug)]
enum Parsed<'a> {
    Nothing,
    Json(Document<'a>),
    Form(Form<'a>),
    /// Every look-up fails: what cannot be read may hold any name.
    Opaque,
}

impl<'a> Args<'a> {
    /// Reads a call whose query or body a rule or the estimate needs. `declared` are the operation's kinds of body.
    pub fn read(sent: Sent<'a>, declared: &[BodyKind]) -> Result<Args<'a>, Unreadable> {
        let query = sent.query.unwrap_or_default().as_bytes();
        refuse_override(query)?;
        Ok(Args { query: read_form(query, Place::Query)?, body: read_body(&sent, declared)?, path: sent.path })
    }

    /// The parameter of this dotted name or JSON Pointer, wherever it is carried; None if it is nowhere.
    pub fn get(&self, name: &str) -> Result<Option<Value<'_>>, Unreadable> {
        self.get_named(&Name::parse(name))
    }

    /// As `get`, for a name that was parsed before.
    pub fn get_named(&self, name: &Name) -> Result<Option<Value<'_>>, Unreadable> {
        self.find(name, Spelling::Exact)
    }

    /// As `get`, for vendors that read `maxOutputTokens` and `max_output_tokens` alike: any one spelling is found, two
    /// are refused.
    pub fn get_any_spelling(&self, name: &Name) -> Result<Option<Value<'_>>, Unreadable> {
        self.find(name, Spelling::Any)
    }

    /// A parameter of the path alone.
    pub fn in_path(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(own, _)| *own == name).map(|(_, value)| &**value)
    }

    /// Are all names at the top of query and body among these? Of what cannot be read, none is.
    pub fn all_in(&self, names: &[&str]) -> bool {
        let in_body = match &self.body {
            Parsed::Nothing => true,
            Parsed::Json(document) => View::Json(document.root()).all_in(names),
            Parsed::Form(form) => View::Form(form.root()).all_in(names),
            Parsed::Opaque => false,
        };
        in_body && View::Form(self.query.root()).all_in(names)
    }

    /// The body, if it is JSON; for adapters that change one field of it.
    pub fn document(&self) -> Option<&Document<'a>> {
        match &self.body {
            Parsed::Json(document) => Some(document),
            _ => None,
        }
    }

    /// Query and body as a whole, for what judges all of them at once; path parameters are no part of it. Where anything in a
    /// form has more than one reading, nothing has.
    pub fn whole(&self) -> Result<Whole<'_>, Unreadable> {
        let form = |form: &'_ Form<'a>| match form.root().is_unclear() {
            true => Err(Unreadable::Ambiguous { name: "*".to_owned() }),
            false => Ok(()),
        };
        form(&self.query)?;
        let body = match &self.body {
            Parsed::Nothing => Carried::Nothing,
            Parsed::Json(document) => Carried::Json(document.root()),
            Parsed::Form(body) => {
                form(body)?;
                Carried::Form(body.root())
            }
            Parsed::Opaque => return Err(Unreadable::OpaqueWhole),
        };
        Ok(Whole { query: self.query.root(), body })
    }

    fn find(&self, name: &Name, spelling: Spelling) -> Result<Option<Value<'_>>, Unreadable> {
        let twice = || Unreadable::Twice { name: name.as_str().to_owned() };
        let in_query = View::Form(self.query.root()).find(name, spelling)?;
        let in_path = View::Path(&self.path).find(name, spelling)?;
        let in_body = self.in_body(name, spelling)?;
        let mut found = [in_query, in_path, in_body].into_iter().flatten();
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(twice()),
            (found, None) => Ok(found.map(Value::from)),
        }
    }

    fn in_body(&self, name: &Name, spelling: Spelling) -> Result<Option<View<'_>>, Unreadable> {
        match &self.body {
            Parsed::Nothing => Ok(None),
            Parsed::Json(document) => View::Json(document.root()).find(name, spelling),
            Parsed::Form(form) => View::Form(form.root()).find(name, spelling),
            Parsed::Opaque => Err(Unreadable::Opaque { name: name.as_str().to_owned() }),
        }
    }
}

fn read_body<'a>(sent: &Sent<'a>, declared: &[BodyKind]) -> Result<Parsed<'a>, Unreadable> {
    let bytes = match sent.body {
        Body::None | Body::Whole([]) => return Ok(Parsed::Nothing),
        Body::Whole(bytes) => Some(bytes),
        Body::Unread => None,
    };
    content::refuse_encoded(sent.content_encoding)?;
    let kind = content::kind(sent.content_type, declared)?;
    match (kind, bytes) {
        (BodyKind::Json, Some(bytes)) => read_json(bytes).map(Parsed::Json),
        (BodyKind::Form, Some(bytes)) => {
            refuse_override(bytes)?;
            read_form(bytes, Place::Body).map(Parsed::Form)
        }
        _ => Ok(Parsed::Opaque),
    }
}

fn refuse_override(raw: &[u8]) -> Result<(), Unreadable> {
    match query_or_form_overrides_method(raw) {
        true => Err(Unreadable::MethodOverride),
        false => Ok(()),
    }
}

fn read_json(body: &[u8]) -> Result<Document<'_>, Unreadable> {
    let place = Place::Body;
    Document::parse(body).map_err(|error| match error.problem {
        Problem::Duplicate => Unreadable::Duplicate { offset: error.offset },
        Problem::TooDeep => Unreadable::TooDeep { place, offset: error.offset },
        _ => Unreadable::Syntax { place, problem: error.to_string() },
    })
}

fn read_form(raw: &[u8], place: Place) -> Result<Form<'_>, Unreadable> {
    Form::read(raw).map_err(|error| match error.problem {
        FormProblem::TooDeep => Unreadable::TooDeep { place, offset: error.offset },
        _ => Unreadable::Syntax { place, problem: error.to_string() },
    })
}
