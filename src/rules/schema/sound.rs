//! Does a schema hold what it seems to hold? Walked once, at load, with its references followed. Compiles nothing.

use serde_json::Value as Json;

use super::Flaw;
use super::kinds::{Kinds, concerned, escaped, in_place, referred};
use crate::rules::policy::Target;

/// Subschemas with all references written out. A body is held against each of them at most once for each of its values.
const MOST: usize = 2000;

/// Every name that the schema says something of, as a parameter's name; or all that is wrong.
pub(super) fn names(root: &Json) -> Result<Vec<Target>, Vec<Flaw>> {
    let mut walk = Walk { root, open: Vec::new(), seen: 0, names: Vec::new(), flaws: Vec::new() };
    walk.schema(root, "", &[], Kinds::ALL);
    walk.names.sort();
    walk.names.dedup();
    walk.flaws.sort_by(|a, b| a.at.cmp(&b.at));
    walk.flaws.dedup();
    match walk.flaws.is_empty() {
        true => Ok(walk.names.iter().map(|name| Target::parse(name)).collect()),
        false => Err(walk.flaws),
    }
}

struct Walk<'s> {
    root: &'s Json,
    /// The references that are being followed.
    open: Vec<String>,
    seen: usize,
    names: Vec<String>,
    flaws: Vec<Flaw>,
}

impl<'s> Walk<'s> {
    fn flaw(&mut self, at: String, what: impl Into<String>) {
        self.flaws.push(Flaw { at, what: what.into() });
    }

    /// `place`: where it stands; `path`: what it is about; `around`: what the value can be, by the schemas around this one.
    fn schema(&mut self, schema: &'s Json, place: &str, path: &[String], around: Kinds) {
        self.seen += 1;
        if self.seen > MOST {
            if self.seen == MOST + 1 {
                self.flaw(String::new(), format!("with its references written out it has more than {MOST} subschemas"));
            }
            return;
        }
        // What is no schema at all is for the compiler to say.
        let Some(members) = schema.as_object() else { return };
        let kinds = Kinds::of(schema).map_or(around, |own| own.and(around));
        for keyword in members.keys() {
            self.keyword(keyword, schema, place, kinds);
        }
        for (key, inner) in in_place(schema) {
            self.schema(inner, &format!("{place}{key}"), path, kinds);
        }
        self.reference(schema, place, path, kinds);
        self.inside(schema, place, path);
    }

    fn keyword(&mut self, keyword: &str, schema: &Json, place: &str, kinds: Kinds) {
        let at = || format!("{place}/{}", escaped(keyword));
        match concerned(keyword) {
            None => self.flaw(at(), format!("`{keyword}` is not known here: see README for what is (draft 2020-12)")),
            Some(concerned) if concerned != Kinds::ALL && kinds == Kinds::ALL => {
                self.flaw(at(), format!("a value of another type would pass `{keyword}`: name `type` beside it"));
            }
            Some(_) => {}
        }
        if keyword == "format" && schema.get("format").is_some_and(|f| f == "regex") {
            self.flaw(at(), "a caller's own patterns are not compiled: leave `regex` out");
        }
    }

    fn reference(&mut self, schema: &'s Json, place: &str, path: &[String], kinds: Kinds) {
        let Some(reference) = schema.get("$ref").and_then(Json::as_str) else { return };
        let at = format!("{place}/$ref");
        let Some((target, inner)) = referred(self.root, reference) else {
            return self
                .flaw(at, format!("`{reference}` is not in this document: write `#/$defs/…`; nothing is fetched"));
        };
        if self.open.contains(&target) || place.starts_with(&format!("{target}/")) {
            return self.flaw(at, "it leads back to itself, so a call would say how much work it is: write it out");
        }
        self.open.push(target.clone());
        self.schema(inner, &target, path, kinds);
        self.open.pop();
    }

    /// What speaks of members and elements of the value.
    fn inside(&mut self, schema: &'s Json, place: &str, path: &[String]) {
        let below = |part: String| [path, &[part]].concat();
        for (name, inner) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let path = below(escaped(name));
            // What stands in a list at the very top has no name of its own.
            if path.first().is_some_and(|part| part != "*") {
                self.names.push(format!("/{}", path.join("/")));
            }
            self.schema(inner, &format!("{place}/properties/{}", escaped(name)), &path, Kinds::ALL);
        }
        for key in ["items", "contains", "unevaluatedItems"] {
            if let Some(inner) = schema.get(key) {
                self.schema(inner, &format!("{place}/{key}"), &below("*".to_owned()), Kinds::ALL);
            }
        }
        let list = schema.get("prefixItems").and_then(Json::as_array).into_iter().flatten();
        for (at, inner) in list.enumerate() {
            self.schema(inner, &format!("{place}/prefixItems/{at}"), &below(at.to_string()), Kinds::ALL);
        }
        // Of names that are not known beforehand.
        for (at, inner) in unnamed(schema) {
            let before = self.names.len();
            self.schema(inner, &format!("{place}{at}"), path, Kinds::ALL);
            self.names.truncate(before);
        }
        if let Some(inner) = schema.get("propertyNames") {
            self.schema(inner, &format!("{place}/propertyNames"), path, Kinds::TEXT);
        }
    }
}

fn unnamed(schema: &Json) -> Vec<(String, &Json)> {
    let by_pattern = schema.get("patternProperties").and_then(Json::as_object).into_iter().flatten();
    let by_pattern = by_pattern.map(|(pattern, inner)| (format!("/patternProperties/{}", escaped(pattern)), inner));
    let others = ["additionalProperties", "unevaluatedProperties"];
    let others = others.into_iter().filter_map(|key| Some((format!("/{key}"), schema.get(key)?)));
    by_pattern.chain(others).collect()
}
