//! What is particular to SQLite: reopening, versions, the view for people, readers beside the writer, speed of look-ups.

use super::*;
use crate::adapters::ledger::journal::Record;
use crate::rules::books::{Opening, Verdict};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::amount::Amounts;
use crate::units::ids::CallId;

fn denied(seq: Seq) -> Entry {
    let row = Opening {
        call: CallId(uuid::Uuid::from_u128(seq.into())),
        facts: None,
        policy_hash: None,
        method: "GET".into(),
        path: "/x".into(),
        endpoint: None,
        action: None,
        tier: None,
        verdict: Verdict::Deny,
        enforced: true,
        reason: Some("unknown_key".into()),
        estimate: Amounts::ZERO,
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: Some(401),
    };
    Entry { seq, at: Timestamp(1_790_000_000_000_000 + seq as i64), op: Op::Deny { row: Box::new(row) } }
}

fn records<const N: usize>(entries: [Entry; N]) -> Vec<Chained> {
    Chained::after(Place::START, Record::encode_all(entries).expect("plain data")).0
}

#[test]
fn books_are_there_again_after_reopening() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = SqliteBooks::open(dir.path()).expect("new books");
    books.apply(&records([denied(1), denied(2)]), true).expect("written");
    drop(books);
    let books = SqliteBooks::open(dir.path()).expect("the same books");
    assert_eq!(books.place().expect("a place").seq, 2);
    assert_eq!(books.calls(&CallQuery::default()).expect("rows").calls.len(), 2);
}

#[test]
fn books_of_a_newer_program_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(SqliteBooks::open(dir.path()).expect("new books"));
    let db = Connection::open(dir.path().join("books.db")).expect("the file");
    db.execute("INSERT INTO version VALUES (99, 'later')", []).expect("written");
    assert!(matches!(SqliteBooks::open(dir.path()), Err(AuditError::Unreadable(_))));
}

#[test]
fn the_view_shows_the_rows_to_whoever_opens_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = SqliteBooks::open(dir.path()).expect("new books");
    books.apply(&records([denied(1)]), false).expect("written");
    let db = Connection::open(dir.path().join("books.db")).expect("the file");
    let mut view = db.prepare("SELECT * FROM calls").expect("the view");
    let names = view.column_names().collect::<Vec<_>>().join(" ");
    assert!(
        names.starts_with("seq call_id run_id agent_id subject key_id") && names.ends_with("trace_id error"),
        "{names}"
    );
    let row = view.query_row([], |row| {
        Ok((row.get::<_, String>("cost_usd")?, row.get::<_, i64>("http_status")?, row.get::<_, String>("call_id")?))
    });
    assert_eq!(row.expect("one row"), ("0".to_owned(), 401, CallId(uuid::Uuid::from_u128(1)).to_string()));
}

#[test]
fn rows_that_are_written_together_are_all_there_and_a_known_call_keeps_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = SqliteBooks::open(dir.path()).expect("new books");
    books.apply(&records(std::array::from_fn::<_, 70, _>(|i| denied(i as Seq + 1))), false).expect("written");
    let again = std::array::from_fn::<_, 40, _>(|i| Entry { seq: i as Seq + 71, ..denied(i as Seq + 51) });
    books.apply(&records(again), false).expect("written");
    let page = books.calls(&CallQuery { limit: Some(500), ..CallQuery::default() }).expect("rows");
    let expected = (91..=110).rev().chain((1..=70).rev());
    let found: Vec<_> = page.calls.iter().map(|row| (row.seq, row.call_id)).collect();
    let call = |seq: Seq| CallId(uuid::Uuid::from_u128(if seq > 70 { seq - 20 } else { seq }.into()));
    assert_eq!(found, expected.map(|seq| (seq, call(seq))).collect::<Vec<_>>());
}

#[test]
fn a_failed_batch_leaves_no_trace() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = SqliteBooks::open(dir.path()).expect("new books");
    books.apply(&records([denied(1)]), false).expect("written");
    books.writer.lock().forbid_writes(true);
    assert!(books.apply(&records([denied(2)]), false).is_err());
    books.writer.lock().forbid_writes(false);
    assert_eq!((books.place().expect("a place").seq, books.events(0, 9).expect("events").len()), (1, 1));
    books.apply(&records([denied(2)]), false).expect("the same batch, later");
    assert_eq!(books.events(0, 9).expect("events").len(), 2);
}

#[test]
fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("books.db"), "no database at all, but long enough to look at it".repeat(50))
        .expect("written");
    let said = SqliteBooks::open(dir.path()).map(|_| ()).expect_err("no database").to_string();
    assert!(said.contains("books.db") && said.contains("not a database"), "{said}");
}

#[test]
fn books_from_before_prices_were_kept_are_brought_along() {
    let dir = tempfile::tempdir().expect("a folder");
    let books = SqliteBooks::open(dir.path()).expect("new books");
    books.apply(&records([denied(1)]), true).expect("written");
    drop(books);
    let db = Connection::open(dir.path().join("books.db")).expect("the file");
    db.execute_batch("DROP VIEW priced_calls; DROP INDEX events_that_made; DELETE FROM version WHERE number >= 5")
        .expect("as it was before");
    let books = SqliteBooks::open(dir.path()).expect("the same books");
    assert_eq!(books.calls(&CallQuery::default()).expect("rows").calls[0].priced, None);
    let priced = db.query_row("SELECT priced FROM priced_calls", [], |row| row.get::<_, Option<String>>(0));
    assert_eq!(priced.expect("one row"), None);
}
