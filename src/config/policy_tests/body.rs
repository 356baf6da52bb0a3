//! A case's body: `form`, `json`, or `body` as it is; and its `headers`.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::config::raw::Table;
use crate::rules::rehearsal::Request;

/// As forms are written: everything but unreserved characters is encoded.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn read(table: &Table<'_>, mut request: Request) -> Option<Request> {
    for (name, node) in table.get("headers").and_then(|n| n.table()).map(|t| t.entries()).unwrap_or_default() {
        match request.clone().header(name, node.text()?) {
            Ok(with) => request = with,
            Err(why) => node.wrong(why.to_string()),
        }
    }
    let form = table.get("form");
    let json = table.get("json");
    let body = table.get("body");
    if [&form, &json, &body].into_iter().flatten().count() > 1 {
        table.wrong("a request has one body: `form`, `json` or `body`");
        return None;
    }
    if let Some(node) = form {
        let fields = node.serde::<BTreeMap<String, Value>>()?;
        let Some(text) = encoded(&fields) else {
            node.wrong("a field of a form is a text, a number or `true`: write lists as `items[0]`");
            return None;
        };
        return Some(request.body("application/x-www-form-urlencoded", text.into_bytes()));
    }
    if let Some(node) = json {
        return Some(request.body("application/json", node.serde::<Value>()?.to_string().into_bytes()));
    }
    match body {
        Some(node) => Some(request.body("application/json", node.text()?.as_bytes().to_vec())),
        None => Some(request),
    }
}

/// `a=1&b=x%26y`
pub fn encoded(fields: &BTreeMap<String, Value>) -> Option<String> {
    let field = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(format!("{}={}", utf8_percent_encode(name, FORM), utf8_percent_encode(&text, FORM)))
    };
    Some(fields.iter().map(field).collect::<Option<Vec<_>>>()?.join("&"))
}
