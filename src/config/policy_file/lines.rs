//! A policy's file as lines that can be compared: one setting or rule each, in one spelling, without comments and layout.
//! Judges nothing: the file has been read.

use toml::{Table, Value};

/// No policy has more; what lies beyond is counted.
const MOST: usize = 1000;

pub(super) fn of(text: &str) -> Vec<String> {
    // It has been read as TOML before, so this cannot fail.
    let root: Table = text.parse().unwrap_or_default();
    let mut lines: Vec<String> = root.iter().flat_map(|(key, value)| setting(key, value)).collect();
    let rest = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    lines.extend((rest > 0).then(|| format!("and {rest} more lines")));
    lines
}

fn setting(key: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) if list.iter().any(Value::is_table) => {
            list.iter().map(|rule| format!("[[{key}]] {rule}")).collect()
        }
        Value::Table(table) => table.iter().map(|(name, value)| format!("{key}.{name} = {value}")).collect(),
        _ => vec![format!("{key} = {value}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_settings_and_rules() {
        let text = "# why\nname = \"p\"\n[[allow]]\n  methods = [\"GET\"]\npaths = [ \"/v1/a\" ]\n[params]\nid = { one_of = [\"x\"] }\n";
        let lines = of(text);
        let rule = r#"[[allow]] { methods = ["GET"], paths = ["/v1/a"] }"#;
        assert_eq!(lines, [rule, r#"name = "p""#, r#"params.id = { one_of = ["x"] }"#]);
        let many = format!("a = [\n{}]", "{ x = 1 },\n".repeat(MOST + 5));
        assert_eq!(of(&many).last().map(String::as_str), Some("and 5 more lines"));
    }
}
