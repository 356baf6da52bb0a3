//! `bursar audit verify --against`: the books beside an independent count, by the ids that a vendor gave its requests, or by
//! the ids of calls. Differences are said both ways. `log` reads the count.

mod log;

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::client::{self, Client};
use super::super::output::{BAD, GOOD, json, line, note, plain};
use super::super::when::When;
use super::super::{Failure, Global};
use crate::rules::books::{Outcome, Verdict};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// What is counted, and where an entry of the log has its id.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With --against")]
pub struct Count {
    /// The field or column of the log that holds the id (dotted for nested JSON); a usual one if unsaid
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Only calls of this vendor
    #[arg(long)]
    vendor: Option<String>,
    /// Only calls since: `2h`, `2026-10-01`, or RFC 3339
    #[arg(long)]
    since: Option<When>,
    /// Only calls before this
    #[arg(long)]
    until: Option<When>,
    /// The log may name a request more than once
    #[arg(long)]
    distinct: bool,
}

impl Count {
    pub fn is_set(&self) -> bool {
        self.field.is_some() || self.vendor.is_some() || self.since.is_some() || self.until.is_some() || self.distinct
    }
}

#[derive(Serialize)]
struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Seq>,
}

#[derive(Deserialize)]
struct Page {
    calls: Vec<Row>,
    next: Option<Seq>,
}

/// As much of a row as is compared.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    call_id: CallId,
    verdict: Verdict,
    enforced: bool,
    outcome: Option<Outcome>,
    vendor_request_id: Option<String>,
}

impl Row {
    /// May the vendor have received it?
    fn left(&self) -> bool {
        // What was only observed left, whatever the rules would have said.
        let admitted = !self.enforced
            || matches!(self.verdict, Verdict::Allow | Verdict::AllowWithCaps)
            || self.vendor_request_id.is_some();
        admitted && !matches!(self.outcome, Some(Outcome::Refused | Outcome::Unreachable))
    }

    /// Did it, for certain?
    fn arrived(&self) -> bool {
        self.left() && matches!(self.outcome, Some(Outcome::Ok | Outcome::VendorError))
    }
}

/// Rows that the server gives at a time.
const PAGE: usize = 1000;

pub async fn run(global: &Global, log: &str, count: &Count) -> Result<(), Failure> {
    let (log, text) = match log.starts_with("http://") || log.starts_with("https://") {
        true => (client::host_of(log), client::fetch(log).await?),
        false => (log, std::fs::read_to_string(log).map_err(|e| Failure::refused(format!("{log}: {e}")))?),
    };
    let ids = log::ids(&text, count.field.as_deref()).map_err(|why| Failure::refused(format!("{log}: {why}")))?;
    let rows = rows(&Client::new(global)?, count).await?;
    let found = compare(&rows, ids, count.distinct);
    if global.json {
        json(&found)?
    } else {
        tell(&found)?
    }
    match found.differences.len() {
        0 => Ok(()),
        n => Err(Failure::refused(format!("the books and {log} differ in {n} places"))),
    }
}

async fn rows(client: &Client, count: &Count) -> Result<Vec<Row>, Failure> {
    let (since, until) = (count.since.map(|w| w.0), count.until.map(|w| w.0));
    let mut asked = Asked { vendor: count.vendor.as_deref(), since, until, limit: PAGE, before: None };
    let mut rows = Vec::new();
    loop {
        let page: Page = client.get("/v1/audit/calls", &asked).await?;
        rows.extend(page.calls.into_iter().filter(Row::left));
        asked.before = page.next;
        if page.next.is_none() {
            return Ok(rows);
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Found {
    ok: bool,
    /// Entries of the log, and calls that may have left.
    log: usize,
    calls: usize,
    /// In both.
    matched: usize,
    /// Calls to which the vendor gave no id, and that the log does not name by their own: they cannot be compared.
    without_id: usize,
    differences: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
enum Difference {
    /// The vendor saw what the books do not have.
    NotInBooks { id: String, times: usize },
    /// The books have what the log does not name.
    NotInLog { id: String, call_id: CallId },
}

/// An entry of the log may name a request by either id. Each takes one row.
fn compare(rows: &[Row], ids: Vec<String>, distinct: bool) -> Found {
    let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        by_id.entry(row.call_id.to_string()).or_default().push(at);
        if let Some(id) = &row.vendor_request_id {
            by_id.entry(id.clone()).or_default().push(at);
        }
    }
    let (total, mut taken, mut matched) = (ids.len(), vec![false; rows.len()], 0);
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids {
        let known = by_id.get(&id).map(Vec::as_slice).unwrap_or_default();
        match known.iter().find(|at| !taken.get(**at).is_some_and(|t| *t)) {
            Some(at) => {
                taken.iter_mut().skip(*at).take(1).for_each(|t| *t = true);
                matched += 1;
            }
            None if distinct && !known.is_empty() => {}
            None => *unknown.entry(id).or_default() += 1,
        }
    }
    let mut differences: Vec<_> = unknown.into_iter().map(|(id, times)| Difference::NotInBooks { id, times }).collect();
    let left = || rows.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(row, _)| row);
    let named = left().filter(|r| r.arrived()).filter_map(|r| Some((r.vendor_request_id.clone()?, r.call_id)));
    differences.extend(named.map(|(id, call_id)| Difference::NotInLog { id, call_id }));
    let without_id = left().filter(|r| r.vendor_request_id.is_none()).count();
    Found { ok: differences.is_empty(), log: total, calls: rows.len(), matched, without_id, differences }
}

fn tell(found: &Found) -> Result<(), Failure> {
    for difference in &found.differences {
        match difference {
            Difference::NotInBooks { id, times } => {
                let times = if *times > 1 { format!(", {times} times") } else { String::new() };
                line(format!("{BAD}not in the books{BAD:#}  {}{times}", plain(id)))?;
            }
            Difference::NotInLog { id, call_id } => {
                line(format!("{BAD}not in the log{BAD:#}    {}  call {call_id}", plain(id)))?;
            }
        }
    }
    let Found { ok, log, calls, matched, without_id, .. } = found;
    let word = if *ok { format!("{GOOD}good{GOOD:#}  ") } else { String::new() };
    line(format!("{word}{matched} in both; the log names {log}, and the books have {calls} calls that may have left"))?;
    if *without_id > 0 {
        note(format!("{without_id} calls have no id of the vendor's: nothing can be said of them."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u128, id: Option<&str>, outcome: Outcome) -> Row {
        let call_id = CallId(uuid::Uuid::from_u128(n));
        let vendor_request_id = id.map(str::to_owned);
        Row { call_id, verdict: Verdict::Allow, enforced: true, outcome: Some(outcome), vendor_request_id }
    }

    #[test]
    fn differences_show_both_ways() {
        let rows = [
            row(1, Some("req_1"), Outcome::Ok),
            row(2, Some("req_2"), Outcome::VendorError),
            row(3, None, Outcome::Unknown),
            row(4, Some("req_2"), Outcome::Ok),
            row(5, None, Outcome::Ok),
        ];
        let ids = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let call = rows[4].call_id.to_string();
        let same = compare(&rows, ids(&format!("req_2 req_1 req_2 {call}")), false);
        assert!(same.ok && same.matched == 4 && same.without_id == 1, "{same:?}");
        let found = compare(&rows, ids("req_1 req_1 req_9"), false);
        let missing = |id: &str, row: usize| Difference::NotInLog { id: id.to_owned(), call_id: rows[row].call_id };
        let extra = |id: &str| Difference::NotInBooks { id: id.to_owned(), times: 1 };
        assert_eq!(found.differences, [extra("req_1"), extra("req_9"), missing("req_2", 1), missing("req_2", 3)]);
        assert!(!compare(&rows, ids("req_1 req_1"), true).differences.contains(&extra("req_1")));
    }
}
