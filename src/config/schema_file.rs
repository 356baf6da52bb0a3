//! JSON Schemas as operators write them: a file of JSON, or a table of a policy. Every mistake has its line. What a schema may say
//! is in `rules::schema`.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use toml::de::DeValue;

use super::mistake::{Mistake, Mistakes};
use super::raw::Node;
use crate::rules::json::{Document, Kind, NodeRef};
use crate::rules::schema::{Flaw, Schema, exact};
use crate::units::ids::Digest32;

const NO_NUMBER: &str = "this number does not compare exactly: write a 64-bit integer, or at most 15 digits";

/// Reads `schemas/NAME.json`.
pub fn read(file: &str, name: &str, text: &str) -> Result<Schema, Mistakes> {
    let whole = |what: String, offset: usize| Mistakes(vec![at(file, text, offset, "", what)]);
    let document = Document::parse(text.as_bytes()).map_err(|e| whole(e.problem.to_string(), e.offset))?;
    let root = of_json(document.root()).map_err(|offset| whole(NO_NUMBER.to_owned(), offset))?;
    Schema::compile(name, Digest32(Sha256::digest(text).into()), root).map_err(|flaws| {
        let mistake = |flaw: &Flaw| at(file, text, offset(&document, &flaw.at), &dotted(&flaw.at), flaw.what.clone());
        Mistakes(flaws.iter().map(mistake).collect())
    })
}

/// A schema that stands in the policy itself. Its text is the policy's, so it needs no hash of its own.
pub(super) fn inline(node: &Node<'_>, name: &str) -> Option<Schema> {
    let root = of_toml(node)?;
    let compiled = Schema::compile(name, Digest32(Sha256::digest(root.to_string()).into()), root);
    let noted = |flaws: Vec<Flaw>| flaws.iter().for_each(|flaw| node.wrong_at(&dotted(&flaw.at), flaw.what.clone()));
    compiled.map_err(noted).ok()
}

fn at(file: &str, text: &str, offset: usize, field: &str, what: String) -> Mistake {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Mistake { file: file.to_owned(), line, field: field.to_owned(), what }
}

/// `/properties/amount` as fields are written.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// Where a place begins, or the nearest part of it that is there.
fn offset(document: &Document<'_>, pointer: &str) -> usize {
    let mut pointer = pointer;
    loop {
        if let Some(node) = document.pointer(pointer) {
            return node.span().start;
        }
        pointer = pointer.rsplit_once('/').map_or("", |(before, _)| before);
    }
}

/// Or where a number stands that is not exact.
fn of_json(node: NodeRef<'_>) -> Result<Json, usize> {
    Ok(match node.kind() {
        Kind::Null => Json::Null,
        Kind::Bool(value) => Json::Bool(*value),
        Kind::Number(text) => Json::Number(exact(text).ok_or(node.span().start)?),
        Kind::Text(text) => Json::String(text.to_string()),
        Kind::Array => Json::Array(node.children().map(of_json).collect::<Result<_, _>>()?),
        Kind::Object => {
            let mut members = Map::new();
            for child in node.children() {
                members.insert(child.key().unwrap_or_default().to_owned(), of_json(child)?);
            }
            Json::Object(members)
        }
    })
}

fn of_toml(node: &Node<'_>) -> Option<Json> {
    let number = |text: &str| exact(&text.replace('_', "")).map(Json::Number);
    let read = match node.value() {
        DeValue::String(text) => Some(Json::String(text.to_string())),
        DeValue::Boolean(value) => Some(Json::Bool(*value)),
        DeValue::Integer(digits) if digits.radix() == 10 => number(digits.as_str()),
        DeValue::Float(digits) => number(digits.as_str()),
        DeValue::Array(_) => return node.list()?.iter().map(of_toml).collect::<Option<_>>().map(Json::Array),
        DeValue::Table(_) => {
            let entries = node.table()?.entries().into_iter();
            let read = entries.map(|(key, value)| Some((key.to_owned(), of_toml(&value)?)));
            return read.collect::<Option<Map<_, _>>>().map(Json::Object);
        }
        DeValue::Datetime(_) => {
            node.wrong("JSON has no dates: write a text");
            return None;
        }
        DeValue::Integer(_) => None,
    };
    if read.is_none() {
        node.wrong(NO_NUMBER);
    }
    read
}
