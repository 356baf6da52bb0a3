//! What the books say, as the command line prints it: rows of calls, sums, and their comparison with what a vendor saw.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::bursar::Bursar;
use super::vendor::Received;
use super::wait_for;

/// Longer than a lease, so that every hold has ended by then.
pub const LEASES: Duration = Duration::from_secs(60);

/// Rows of calls, newest first.
pub fn rows(bursar: &Bursar, filter: &[&str]) -> Vec<Value> {
    bursar.json(&[&["audit", "query", "--limit", "100000"], filter].concat())
}

/// Rows of calls that were let through.
pub fn admitted_rows(bursar: &Bursar, filter: &[&str]) -> Vec<Value> {
    let of = |verdict| rows(bursar, &[filter, &["--verdict", verdict]].concat());
    ["allow", "allow_with_caps"].into_iter().flat_map(of).collect()
}

/// Sums over the rows that match.
pub fn spend(bursar: &Bursar, filter: &[&str]) -> Value {
    bursar.json(&[&["spend"], filter].concat()).swap_remove(0)
}

/// An amount in USD, such as `"0.0003132"`, in micro-cents.
pub fn micro(amount: &Value) -> u64 {
    let text = amount.as_str().unwrap_or_else(|| panic!("{amount} is no amount"));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<8}").parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub fn text<'r>(row: &'r Value, field: &str) -> &'r str {
    row[field].as_str().unwrap_or_default()
}

/// Was the call let through?
pub fn admitted(row: &Value) -> bool {
    text(row, "verdict").starts_with("allow")
}

/// Is the charge a bound, and not what the vendor said?
pub fn flagged(row: &Value) -> bool {
    text(row, "outcome") == "expired" || text(row, "cost_source") == "estimated"
}

/// Waits until `count` calls are in the books and none of them is open; then its rows.
pub fn settled(bursar: &Bursar, filter: &[&str], count: usize, limit: Duration) -> Vec<Value> {
    wait_for(&format!("{count} settled calls of {filter:?}"), limit, || {
        let sums = spend(bursar, filter);
        let seen = number(&sums, "calls") + number(&sums, "refused");
        assert!(seen <= count as u64, "{count} calls were expected in the books, and there are {seen}: {sums}");
        (seen == count as u64 && number(&sums, "open") == 0).then_some(())
    });
    rows(bursar, filter)
}

/// Waits until the books have what was done, and no call is open; then the sums.
pub fn all_closed(bursar: &Bursar, filter: &[&str], limit: Duration) -> Value {
    wait_for(&format!("all calls of {filter:?} to be closed"), limit, || {
        let whole = number(&bursar.admin("/v1/status"), "books_behind") == 0;
        Some(spend(bursar, filter)).filter(|sums| whole && number(sums, "open") == 0)
    })
}

/// Waits for the row of one call that has ended.
pub fn row_of(bursar: &Bursar, trace: &str, limit: Duration) -> Value {
    wait_for(&format!("the row of {trace}"), limit, || {
        let found = rows(bursar, &[]).into_iter().find(|row| text(row, "trace_id") == trace)?;
        found["outcome"].is_string().then_some(found)
    })
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {value}"))
}

/// Rows by their trace id.
pub fn by_trace(rows: &[Value]) -> HashMap<String, Vec<&Value>> {
    let mut map: HashMap<String, Vec<&Value>> = HashMap::new();
    for row in rows {
        map.entry(text(row, "trace_id").to_owned()).or_default().push(row);
    }
    map
}

/// Each request that the vendor received is one admitted call, charged at least what the vendor bills, and exactly that
/// unless it is flagged. Rows must be closed. Says how many were flagged.
pub fn agree(received: &[Received], rows: &[Value]) -> usize {
    let by_trace = by_trace(rows);
    let mut count = 0;
    for request in received {
        let found = by_trace.get(&request.trace()).map(Vec::as_slice).unwrap_or_default();
        let [row] = found else { panic!("{} rows of {} {}: {found:#?}", found.len(), request.method, request.target) };
        assert!(admitted(row), "it reached the vendor: {row:#}");
        let charged = micro(&row["cost_usd"]);
        assert!(charged >= request.billed, "the vendor bills {}: {row:#}", request.billed);
        assert!(flagged(row) || charged == request.billed, "the vendor bills {}: {row:#}", request.billed);
        count += usize::from(flagged(row));
    }
    count
}
