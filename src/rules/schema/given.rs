//! The value that a schema is asked about: query and body as one object. A form knows only texts: where the schema wants a number, a
//! boolean or `null`, the text is read as one if it plainly is one. Where it wants a text as well, both readings have to fit.

use serde_json::{Map, Value as Json};

use super::kinds::{Kinds, in_place, referred};
use super::number::exact;
use super::{Misfit, short};
use crate::rules::args::{Carried, Unreadable, Whole};
use crate::rules::form::FieldRef;
use crate::rules::json::{Kind, NodeRef};

/// Values of one call; more are refused rather than judged at length.
const MOST: usize = 20_000;

/// Each reading of the call; a second one only where a text could be meant.
pub(super) fn read(whole: &Whole<'_>, root: &Json) -> Result<Result<Vec<Json>, Misfit>, Unreadable> {
    let (first, doubtful) = match reading(whole, root, false)? {
        Ok(read) => read,
        Err(misfit) => return Ok(Err(misfit)),
    };
    if !doubtful {
        return Ok(Ok(vec![first]));
    }
    Ok(reading(whole, root, true)?.map(|(second, _)| vec![first, second]))
}

type Read = Result<(Json, bool), Misfit>;

fn reading(whole: &Whole<'_>, root: &Json, texts: bool) -> Result<Read, Unreadable> {
    let mut reader = Reader { root, texts, doubtful: false, count: 0 };
    let applying = reader.applying(vec![root]);
    let query = match reader.members(whole.query, &applying, "") {
        Ok(query) => query,
        Err(misfit) => return Ok(Err(misfit)),
    };
    let body = match whole.body {
        Carried::Nothing => Ok(Json::Object(Map::new())),
        Carried::Json(node) => reader.json(node, ""),
        Carried::Form(field) => reader.members(field, &applying, "").map(Json::Object),
    };
    Ok(match body {
        Ok(Json::Object(body)) => Ok((Json::Object(joined(query, body)?), reader.doubtful)),
        Ok(body) if query.is_empty() => Ok((body, reader.doubtful)),
        Ok(_) => Err(wrong("", "type", "is no object, and the query has parameters beside it")),
        Err(misfit) => Err(misfit),
    })
}

/// A name in both has no single reading.
fn joined(query: Map<String, Json>, mut body: Map<String, Json>) -> Result<Map<String, Json>, Unreadable> {
    for (name, value) in query {
        if body.contains_key(&name) {
            return Err(Unreadable::Twice { name: short(&name) });
        }
        body.insert(name, value);
    }
    Ok(body)
}

fn wrong(at: &str, keyword: &str, wanted: &str) -> Misfit {
    Misfit { at: short(at), keyword: keyword.to_owned(), wanted: wanted.to_owned() }
}

struct Reader<'s> {
    root: &'s Json,
    /// A text that could be a text is one.
    texts: bool,
    /// Some text could have been read otherwise.
    doubtful: bool,
    count: usize,
}

impl<'s> Reader<'s> {
    fn counted(&mut self, at: &str) -> Result<(), Misfit> {
        self.count += 1;
        match self.count > MOST {
            true => Err(wrong(at, "size", &format!("is one of more than {MOST} values, and no more are judged"))),
            false => Ok(()),
        }
    }

    fn json(&mut self, node: NodeRef<'_>, at: &str) -> Result<Json, Misfit> {
        self.counted(at)?;
        Ok(match node.kind() {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(*value),
            Kind::Number(text) => Json::Number(exact(text).ok_or_else(|| inexact(at))?),
            Kind::Text(text) => Json::String(text.to_string()),
            Kind::Array => {
                let each = node.children().enumerate().map(|(n, child)| self.json(child, &format!("{at}/{n}")));
                Json::Array(each.collect::<Result<_, _>>()?)
            }
            Kind::Object => {
                let member = |child: NodeRef<'_>| {
                    let name = child.key().unwrap_or_default();
                    Ok((name.to_owned(), self.json(child, &format!("{at}/{}", super::kinds::escaped(name)))?))
                };
                Json::Object(node.children().map(member).collect::<Result<_, _>>()?)
            }
        })
    }

    fn members(&mut self, group: FieldRef<'_>, by: &[&'s Json], at: &str) -> Result<Map<String, Json>, Misfit> {
        let mut members = Map::new();
        for field in group.children() {
            let name = field.key();
            let value = self.field(field, &by_name(by, name), &format!("{at}/{}", super::kinds::escaped(name)))?;
            members.insert(name.to_owned(), value);
        }
        Ok(members)
    }

    fn field(&mut self, field: FieldRef<'_>, by: &[&'s Json], at: &str) -> Result<Json, Misfit> {
        self.counted(at)?;
        let by = self.applying(by.to_vec());
        let wanted = by.iter().filter_map(|schema| Kinds::of(schema)).fold(Kinds::NONE, Kinds::or);
        if let Some(text) = field.text() {
            return self.text(text, wanted, at);
        }
        if field.is_list() && (wanted.has(Kinds::LIST) || !wanted.has(Kinds::OBJECT)) {
            let each = field.children().enumerate();
            let each = each.map(|(n, child)| self.field(child, &by_place(&by, n), &format!("{at}/{n}")));
            return Ok(Json::Array(each.collect::<Result<_, _>>()?));
        }
        self.members(field, &by, at).map(Json::Object)
    }

    fn text(&mut self, text: &str, wanted: Kinds, at: &str) -> Result<Json, Misfit> {
        let other = match text {
            "true" | "false" if wanted.has(Kinds::BOOL) => Some(Json::Bool(text == "true")),
            "" if wanted.has(Kinds::NULL) => Some(Json::Null),
            _ if wanted.has(Kinds::NUMBER) => number(text, at)?,
            _ => None,
        };
        let may_be_text = wanted.has(Kinds::TEXT);
        self.doubtful |= other.is_some() && may_be_text;
        Ok(match other {
            Some(other) if !(may_be_text && self.texts) => other,
            _ => Json::String(text.to_owned()),
        })
    }

    /// These and all that speak of the same value.
    fn applying(&self, mut schemas: Vec<&'s Json>) -> Vec<&'s Json> {
        let mut at = 0;
        while let Some(schema) = schemas.get(at).copied() {
            schemas.extend(in_place(schema).into_iter().map(|(_, inner)| inner));
            let reference = schema.get("$ref").and_then(Json::as_str);
            schemas.extend(reference.and_then(|r| referred(self.root, r)).map(|(_, inner)| inner));
            at += 1;
        }
        schemas
    }
}

/// A text that is no number stays one, and does not fit; a number that does not compare exactly is none.
fn number(text: &str, at: &str) -> Result<Option<Json>, Misfit> {
    match (exact(text), crate::rules::args::Decimal::parse(text)) {
        (Some(number), _) => Ok(Some(Json::Number(number))),
        (None, Some(_)) => Err(inexact(at)),
        (None, None) => Ok(None),
    }
}

fn inexact(at: &str) -> Misfit {
    wrong(at, "type", "is a number with more digits than compare exactly: send a 64-bit integer or at most 15 digits")
}

/// What speaks of a member.
fn by_name<'s>(schemas: &[&'s Json], name: &str) -> Vec<&'s Json> {
    let mut found = Vec::new();
    for schema in schemas {
        let named = schema.get("properties").and_then(|members| members.get(name));
        let by_pattern = schema.get("patternProperties").and_then(Json::as_object).into_iter().flatten();
        let others = ["additionalProperties", "unevaluatedProperties"].into_iter().filter_map(|key| schema.get(key));
        match named {
            Some(named) => found.push(named),
            // Which pattern meets the name is for the validator: here they only say which types may be wanted.
            None => found.extend(by_pattern.map(|(_, inner)| inner).chain(others)),
        }
    }
    found
}

/// What speaks of an element.
fn by_place<'s>(schemas: &[&'s Json], place: usize) -> Vec<&'s Json> {
    let of = |schema: &&'s Json| {
        let listed = schema.get("prefixItems").and_then(|list| list.get(place));
        let rest = ["items", "unevaluatedItems"].into_iter().filter_map(|key| schema.get(key));
        let rest = rest.filter(|_| listed.is_none());
        listed.into_iter().chain(rest).chain(schema.get("contains")).collect::<Vec<_>>()
    };
    schemas.iter().flat_map(of).collect()
}
