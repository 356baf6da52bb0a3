//! The types of JSON Schema as a set, and which keyword says something of which type.

use serde_json::Value as Json;

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

const NAMES: [(&str, Kinds); 7] = [
    ("null", Kinds::NULL),
    ("boolean", Kinds::BOOL),
    ("number", Kinds::NUMBER),
    ("integer", Kinds::NUMBER),
    ("string", Kinds::TEXT),
    ("array", Kinds::LIST),
    ("object", Kinds::OBJECT),
];

impl Kinds {
    pub const NONE: Self = Self(0);
    pub const NULL: Self = Self(1);
    pub const BOOL: Self = Self(2);
    pub const NUMBER: Self = Self(4);
    pub const TEXT: Self = Self(8);
    pub const LIST: Self = Self(16);
    pub const OBJECT: Self = Self(32);
    pub const ALL: Self = Self(63);

    /// Those that `type` names here; `None` if it names none.
    pub fn of(schema: &Json) -> Option<Self> {
        let named = |name: &Json| NAMES.iter().find(|(n, _)| name == n).map(|(_, kinds)| *kinds);
        match schema.get("type")? {
            Json::Array(list) => Some(list.iter().filter_map(named).fold(Self::NONE, Self::or)),
            one => named(one),
        }
    }

    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn has(self, one: Self) -> bool {
        self.0 & one.0 == one.0
    }
}

/// What a keyword says something of: values of these types alone, or all. `None` if it is not known here.
pub(super) fn concerned(keyword: &str) -> Option<Kinds> {
    Some(match keyword {
        "title" | "description" | "default" | "examples" | "$comment" | "$schema" | "$defs" | "readOnly"
        | "writeOnly" | "deprecated" => Kinds::ALL,
        "type" | "enum" | "const" | "$ref" | "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" => Kinds::ALL,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Kinds::NUMBER,
        "minLength" | "maxLength" | "pattern" | "format" => Kinds::TEXT,
        "items" | "prefixItems" | "contains" | "minContains" | "maxContains" | "minItems" | "maxItems"
        | "uniqueItems" | "unevaluatedItems" => Kinds::LIST,
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "required"
        | "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedProperties" => Kinds::OBJECT,
        _ => return None,
    })
}

/// The subschemas that speak of the same value: key, and place within this one.
pub(super) fn in_place(schema: &Json) -> Vec<(String, &Json)> {
    let mut found = Vec::new();
    for key in ["not", "if", "then", "else"] {
        found.extend(schema.get(key).map(|inner| (format!("/{key}"), inner)));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let list = schema.get(key).and_then(Json::as_array).into_iter().flatten();
        found.extend(list.enumerate().map(|(at, inner)| (format!("/{key}/{at}"), inner)));
    }
    let dependent = schema.get("dependentSchemas").and_then(Json::as_object).into_iter().flatten();
    found.extend(dependent.map(|(name, inner)| (format!("/dependentSchemas/{}", escaped(name)), inner)));
    found
}

/// As a part of a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What `$ref` leads to within the document, and where that is.
pub(super) fn referred<'s>(root: &'s Json, reference: &str) -> Option<(String, &'s Json)> {
    let pointer = reference.strip_prefix('#')?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    Some((pointer.to_string(), root.pointer(&pointer)?))
}
