//! An independent count as vendors and proxies write it: JSON lines or one JSON list, CSV with a header, or one id a line.

use serde_json::Value;

/// Where logs usually have the id that a vendor gave a request, or our own. The first that is there counts.
const USUAL: [&str; 10] = [
    "vendor_request_id",
    "request_id",
    "request-id",
    "x-request-id",
    "requestId",
    "request.id",
    "x-bursar-call",
    "call_id",
    "id",
    "request",
];

/// The id of every entry.
///
/// # Errors
/// An entry without one.
pub(super) fn ids(text: &str, field: Option<&str>) -> Result<Vec<String>, String> {
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().chars().next() {
        Some('{' | '[') => json(text, field),
        Some(_) if is_csv(text, field) => csv(text, field),
        _ => Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()),
    }
}

fn json(text: &str, field: Option<&str>) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    for (at, value) in (1..).zip(serde_json::Deserializer::from_str(text).into_iter::<Value>()) {
        let value = value.map_err(|e| format!("value {at} is no JSON: {e}"))?;
        // Lists of vendors stand alone, or in `data`.
        let list = value.as_array().or_else(|| value.get("data").and_then(Value::as_array));
        let entries = list.map_or(std::slice::from_ref(&value), Vec::as_slice);
        for entry in entries {
            ids.push(id_of(entry, field).ok_or_else(|| format!("entry {} has no id{}", ids.len() + 1, wanted(field)))?);
        }
    }
    Ok(ids)
}

fn wanted(field: Option<&str>) -> String {
    let usual = || format!("; looked for {}; name its field with --field", USUAL.join(", "));
    field.map_or_else(usual, |f| format!(" in `{f}`"))
}

fn id_of(entry: &Value, field: Option<&str>) -> Option<String> {
    let text = |v: &Value| {
        v.as_str().filter(|s| !s.is_empty()).map(str::to_owned).or_else(|| v.as_u64().map(|n| n.to_string()))
    };
    if let Some(plain) = entry.as_str() {
        return Some(plain.to_owned());
    }
    let at = |name: &str| {
        let whole = entry.get(name);
        let nested = || name.split('.').try_fold(entry, |v, part| v.get(part));
        whole.or_else(nested).and_then(text)
    };
    match field {
        Some(name) => at(name),
        None => USUAL.iter().find_map(|name| at(name)),
    }
}

fn header(text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(first.as_bytes());
    let record = reader.records().next().and_then(Result::ok);
    record.map(|r| r.iter().map(|name| name.trim().to_owned()).collect()).unwrap_or_default()
}

fn column(names: &[String], field: Option<&str>) -> Option<usize> {
    let at = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    field.map_or_else(|| USUAL.iter().find_map(|usual| at(usual)), at)
}

/// More columns than one, or one whose name says what it holds.
fn is_csv(text: &str, field: Option<&str>) -> bool {
    let names = header(text);
    names.len() > 1 || column(&names, field).is_some()
}

fn csv(text: &str, field: Option<&str>) -> Result<Vec<String>, String> {
    let names = header(text);
    let column = column(&names, field).ok_or_else(|| format!("no column holds an id{}", wanted(field)))?;
    let mut ids = Vec::new();
    for record in csv::ReaderBuilder::new().from_reader(text.as_bytes()).records() {
        let record = record.map_err(|e| e.to_string())?;
        let id = record.get(column).map(str::trim).filter(|id| !id.is_empty());
        ids.push(id.ok_or_else(|| format!("row {} has no id", ids.len() + 1))?.to_owned());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_come_in_four_forms() {
        for text in [
            "req_1\nreq_2\n",
            "{\"request_id\":\"req_1\",\"n\":1}\n{\"request_id\":\"req_2\"}\n",
            "[{\"id\":\"req_1\"},{\"id\":\"req_2\"}]",
            "{\"object\":\"list\",\"data\":[{\"id\":\"x\",\"request\":{\"id\":\"req_1\"}},{\"request_id\":\"req_2\"}]}",
            "time,Request-Id,path\n1,req_1,\"/a,b\"\n2,req_2,/c\n",
            "\u{feff}request_id\r\nreq_1\r\nreq_2\r\n",
            "\"req_1\" \"req_2\"".replace(' ', "\n").replace('"', "").as_str(),
        ] {
            assert_eq!(ids(text, None).expect(text), ["req_1", "req_2"], "{text}");
        }
        let nested = "{\"meta\":{\"rid\":7}}";
        assert_eq!(ids(nested, Some("meta.rid")).expect("there"), ["7"]);
        for bad in ["{\"a\":1}", "a,b\n1,2\n", "{\"id\":\"req_1\"}\n{"] {
            assert!(ids(bad, None).is_err(), "{bad}");
        }
        assert!(ids("", None).expect("nothing").is_empty());
    }
}
