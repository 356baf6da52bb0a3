//! Conditions on any column of a row: `http_status>=500`, `reason~budget`, `subject.app=shop`. Pure: judges rows that a store
//! has read. Does not know SQL, so that every store answers alike.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::row::{COLUMNS, CallRow};
use crate::rules::books::{CostSource, Outcome, Tier, Verdict};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// One condition, and the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    text: String,
    column: String,
    test: Test,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Is,
    IsNot,
    Less,
    AtMost,
    More,
    AtLeast,
    /// Contains, whatever the letter case.
    Has,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// `run_id=`: there is none.
    Nothing,
    Number(u64),
    Usd(MicroCents),
    Time(Timestamp),
    Text(String),
}

/// Longer spellings first.
const TESTS: [(&str, Test); 7] = [
    ("!=", Test::IsNot),
    ("<=", Test::AtMost),
    (">=", Test::AtLeast),
    ("=", Test::Is),
    ("<", Test::Less),
    (">", Test::More),
    ("~", Test::Has),
];

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['=', '!', '<', '>', '~']);
        let read = at.and_then(|at| {
            let (column, rest) = text.split_at(at);
            let (sign, test) = TESTS.iter().find(|(sign, _)| rest.starts_with(sign))?;
            Some((column.trim(), *test, rest[sign.len()..].trim()))
        });
        let how = || format!("`{text}` is no condition: write a column, one of = != < <= > >= ~, and a value");
        let (column, test, value) = read.ok_or_else(how)?;
        known(column)?;
        let wanted = if test == Test::Has { Wanted::Text(value.to_lowercase()) } else { wanted(column, test, value)? };
        Ok(Self { text: text.to_owned(), column: column.to_owned(), test, wanted })
    }
}

/// A column, or what lies inside the subject: `subject.app`, `subject.dimensions.ticket`.
pub fn known(column: &str) -> Result<(), String> {
    let name = column.split('.').next().unwrap_or_default();
    if COLUMNS.contains(&name) && (name == column || name == "subject") {
        return Ok(());
    }
    Err(format!("there is no column `{column}`; there are {}, and `subject.app` and its like", COLUMNS.join(", ")))
}

fn wanted(column: &str, test: Test, value: &str) -> Result<Wanted, String> {
    let wrong = |what: &str| format!("`{column}` is compared with {what}, not with `{value}`");
    if value.is_empty() {
        return match test {
            Test::Is | Test::IsNot => Ok(Wanted::Nothing),
            _ => Err(wrong("a value")),
        };
    }
    match column {
        "seq" | "http_status" | "tokens_in" | "tokens_out" | "tokens_cached" | "tokens_reasoning" | "latency_ms"
        | "overhead_us" => value.parse().map(Wanted::Number).map_err(|_| wrong("a whole number")),
        "estimate_usd" | "cost_usd" => {
            let bare = value.trim_start_matches('$').trim_end_matches("USD").trim();
            bare.parse().map(Wanted::Usd).map_err(|_| wrong("an amount such as `0.25`"))
        }
        "timestamp_utc" => value.parse().map(Wanted::Time).map_err(|_| wrong("a time in RFC 3339")),
        _ if is_word(column, value) => Ok(Wanted::Text(value.to_owned())),
        _ => Err(wrong("one of its own words")),
    }
}

/// A word that a closed column never holds is a slip of the pen.
fn is_word(column: &str, value: &str) -> bool {
    match column {
        "verdict" => Verdict::parse(value).is_some(),
        "outcome" => Outcome::parse(value).is_some(),
        "tier" => Tier::parse(value).is_some(),
        "cost_source" => CostSource::parse(value).is_some(),
        "enforced" | "flagged" => matches!(value, "true" | "false"),
        _ => true,
    }
}

/// A column's value, or one that lies inside it.
pub fn field<'v>(row: &'v Value, column: &str) -> &'v Value {
    column.split('.').fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// As text: what is not there is empty.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Condition {
    /// The column and the text that it shall be, or not be.
    pub fn names(&self) -> Option<(&str, &str)> {
        match (&self.wanted, self.test) {
            (Wanted::Text(text), Test::Is | Test::IsNot) => Some((&self.column, text)),
            _ => None,
        }
    }

    /// Rows have another name for it.
    pub fn rename(&mut self, name: String) {
        self.wanted = Wanted::Text(name);
    }

    fn holds(&self, row: &Value) -> bool {
        let value = field(row, &self.column);
        if value.is_null() {
            let nothing = self.wanted == Wanted::Nothing;
            return if self.test == Test::IsNot { !nothing } else { self.test == Test::Is && nothing };
        }
        if self.test == Test::Has {
            return matches!(&self.wanted, Wanted::Text(part) if plain(value).to_lowercase().contains(part.as_str()));
        }
        let order = match &self.wanted {
            Wanted::Nothing => return self.test == Test::IsNot,
            Wanted::Number(n) => value.as_u64().map(|v| v.cmp(n)),
            Wanted::Usd(n) => value.as_str().and_then(|v| v.parse::<MicroCents>().ok()).map(|v| v.cmp(n)),
            Wanted::Time(t) => value.as_str().and_then(|v| v.parse::<Timestamp>().ok()).map(|v| v.cmp(t)),
            Wanted::Text(t) => Some(plain(value).cmp(t)),
        };
        order.is_some_and(|order| match self.test {
            Test::Is => order.is_eq(),
            Test::IsNot => order.is_ne(),
            Test::Less => order.is_lt(),
            Test::AtMost => order.is_le(),
            Test::More => order.is_gt(),
            Test::AtLeast => order.is_ge(),
            Test::Has => false, // judged above
        })
    }
}

/// All of them must hold. On the wire one text: a condition, or a JSON list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions(pub Vec<Condition>);

impl Conditions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn hold(&self, row: &CallRow) -> bool {
        // A row is plain data with string keys, which always becomes a value.
        self.is_empty() || serde_json::to_value(row).is_ok_and(|row| self.0.iter().all(|c| c.holds(&row)))
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<_> = self.0.iter().map(|c| c.text.as_str()).collect();
        s.collect_str(&serde_json::json!(texts))
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let texts = match text.starts_with('[') {
            true => serde_json::from_str::<Vec<String>>(&text).map_err(D::Error::custom)?,
            false => vec![text],
        };
        let read: Result<Vec<Condition>, String> = texts.iter().map(|t| t.parse()).collect();
        read.map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let row = serde_json::json!({
            "http_status": 502, "cost_usd": "0.25", "reason": "Budget_spent: 5 USD a day", "run_id": null,
            "verdict": "deny", "timestamp_utc": "2026-10-01T12:00:00Z", "enforced": true,
            "subject": { "tenant": "default", "app": "shop", "dimensions": { "ticket": "t-1" } },
        });
        text.parse::<Condition>().unwrap_or_else(|e| panic!("{e}")).holds(&row)
    }

    #[test]
    fn every_column_can_be_asked_for() {
        for yes in [
            "http_status>=500",
            "http_status != 200",
            "cost_usd<0.3",
            "cost_usd=$0.25",
            "reason~budget",
            "run_id=",
            "run_id!=r",
            "verdict=deny",
            "verdict!=",
            "timestamp_utc>=2026-10-01T14:00:00+02:00",
            "enforced=true",
            "subject.app=shop",
            "subject.dimensions.ticket=t-1",
            "subject.workflow=",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in ["http_status<500", "cost_usd>0.25", "reason~card", "run_id=r", "run_id~r", "run_id>a", "verdict="] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (wrong, word) in [
            ("agent=a", "no column"),
            ("http_status=ok", "whole number"),
            ("cost_usd>cheap", "amount"),
            ("outcome=okay", "own words"),
            ("http_status", "no condition"),
            ("run_id<", "a value"),
            ("reason.x=1", "no column"),
        ] {
            let said = wrong.parse::<Condition>().expect_err(wrong);
            assert!(said.contains(word), "{said}");
        }
        let both: Conditions = serde_json::from_str(r#""[\"run_id=\",\"cost_usd>1\"]""#).expect("a list");
        let one: Conditions = serde_json::from_str(r#""run_id=""#).expect("one");
        assert_eq!((both.0.len(), one.0.len()), (2, 1));
        assert_eq!(serde_json::to_string(&both).expect("text"), r#""[\"run_id=\",\"cost_usd>1\"]""#);
    }
}
