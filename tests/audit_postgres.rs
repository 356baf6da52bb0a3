//! What is particular to the books on PostgreSQL: a server that dies, is restored or is another's; passwords, TLS, partitions.
//! What every store must do stands in `audit_store.rs`.

mod common;

use std::process::Command;
use std::sync::Arc;

use bursar::adapters::audit::postgres::PostgresBooks;
use bursar::adapters::audit::{AuditError, AuditStore, CallQuery, Chained};
use bursar::adapters::ledger::journal::Record;
use bursar::config::CredentialSource;
use bursar::rules::books::{Opening, Verdict};
use bursar::rules::chain::Place;
use bursar::rules::ledger::entry::{Entry, Op};
use bursar::units::amount::Amounts;
use bursar::units::ids::CallId;
use bursar::units::time::Timestamp;
use common::postgres::Postgres;
use common::{SOON, wait_for};
use uuid::Uuid;

const START: i64 = 1_790_000_000_000_000;
const MONTH: i64 = 31 * 86_400_000_000;

fn denial(seq: u64, at: i64) -> Entry {
    let row = Opening {
        call: CallId(Uuid::from_u128(seq.into())),
        facts: None,
        policy_hash: None,
        method: "POST".into(),
        path: "/v1/ü\u{0}\"refunds".into(),
        endpoint: None,
        action: None,
        tier: None,
        verdict: Verdict::Deny,
        enforced: true,
        reason: Some("no key".into()),
        estimate: Amounts::ZERO,
        request_hash: None,
        trace_id: None,
        claimed: false,
        approved_by: None,
        repeats: None,
        http_status: Some(401),
    };
    Entry { seq, at: Timestamp(at), op: Op::Deny { row: Box::new(row) } }
}

/// So many from `first` on, chained behind `place`.
fn chained(place: Place, first: u64, count: u64) -> Vec<Chained> {
    let entries = (first..first + count).map(|seq| denial(seq, START + seq as i64 * 1000));
    Chained::after(place, entries.map(|e| Arc::new(Record::encode(e).expect("it encodes")))).0
}

fn open(server: &Postgres) -> Result<PostgresBooks, AuditError> {
    PostgresBooks::open(&server.url("postgres"), None)
}

fn refused(opened: Result<PostgresBooks, AuditError>) -> String {
    opened.err().expect("it is refused").to_string()
}

#[test]
fn bytes_and_chain_are_kept_as_they_came() {
    let server = Postgres::start();
    let books = open(&server).expect("new books");
    let events = chained(Place::START, 1, 3);
    books.apply(&events, true).expect("written");
    for event in &events {
        let seq = event.record.seq;
        let stored = server.must(&format!(
            "SELECT encode(convert_to(body, 'UTF8'), 'hex'), encode(head, 'hex') FROM events WHERE seq = {seq}"
        ));
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(stored, format!("{}|{}", hex(event.record.json()), hex(&event.head.0)));
    }
    assert_eq!(books.place().expect("a place").head, events[2].head);
    drop(books);
    let again = wait_for("the writer's lock", SOON, || open(&server).ok());
    assert_eq!(again.place().expect("a place"), Place { seq: 3, head: events[2].head });
    assert_eq!(server.must("SELECT path FROM calls WHERE seq = 1 AND false"), "", "the view can be asked");
    assert_eq!(
        server.must("SELECT path, priced, price_row FROM priced_calls WHERE false"),
        "",
        "so can that of prices"
    );
}

#[test]
fn a_server_that_dies_costs_nothing_but_time() {
    let mut server = Postgres::start();
    let books = open(&server).expect("new books");
    let mut place = Place::START;
    for round in 0..5 {
        let events = chained(place, place.seq + 1, 100);
        books.apply(&events, round % 2 == 0).expect("written");
        let before = place;
        place = Place { seq: place.seq + 100, head: events[99].head };
        server.kill();
        // Its children may answer for a moment.
        wait_for("the server to be gone", SOON, || books.apply(&[], false).is_err().then_some(()));
        let away = books.apply(&chained(place, place.seq + 1, 1), false);
        assert!(matches!(away, Err(AuditError::Store(_))), "{away:?}");
        assert!(books.events(1, 1).is_err(), "a question says so too");
        server.restart();
        // The commit before may be lost if it was not durable: whoever follows asks where to go on.
        let found = wait_for("the books to be written again", SOON, || books.apply(&[], true).ok());
        assert!(found == place.seq || (round % 2 == 1 && found == before.seq), "{found} after {}", place.seq);
        books.apply(&events, true).expect("what was lost is written again, what was not is passed over");
        assert_eq!(books.place().expect("a place"), place);
    }
    let seqs: Vec<u64> = books.events(1, 1000).expect("events").iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=500).collect::<Vec<_>>());
}

#[test]
fn a_server_put_back_from_a_copy_is_noticed_and_filled() {
    let server = Postgres::start();
    let books = open(&server).expect("new books");
    let events = chained(Place::START, 1, 20);
    books.apply(&events, true).expect("written");
    let head = |seq: usize| events[seq - 1].head.0.iter().map(|b| format!("{b:02x}")).collect::<String>();
    server.must("DELETE FROM call_rows WHERE seq > 10");
    server.must("DELETE FROM events WHERE seq > 10");
    server.must(&format!("UPDATE place SET seq = 10, head = decode('{}', 'hex')", head(10)));
    let next = chained(Place { seq: 20, head: events[19].head }, 21, 1);
    let told = books.apply(&next, false).expect_err("a hole would come").to_string();
    assert!(told.contains("went back from entry 20 to 10"), "{told}");
    let place = books.place().expect("a place");
    assert_eq!((place.seq, place.head), (10, events[9].head), "the follower goes on from there");
    books.apply(&events, true).expect("filled");
    assert_eq!(books.apply(&next, true).expect("written"), 21);
    assert_eq!(books.calls(&CallQuery::default()).expect("rows").calls.len(), 21);
    assert!(books.gaps().expect("gaps").is_empty());
}

#[test]
fn one_writer_and_a_schema_that_is_known() {
    let server = Postgres::start();
    let books = open(&server).expect("new books");
    assert!(refused(open(&server)).contains("another bursar writes these books"));
    server.must("CREATE SCHEMA second");
    let second = format!("{}?options=-csearch_path%3Dsecond", server.url("postgres"));
    let beside = PostgresBooks::open(&second, None).expect("books in a schema of their own");
    beside.apply(&chained(Place::START, 1, 2), true).expect("written");
    assert_eq!((books.place().expect("a place").seq, beside.place().expect("a place").seq), (0, 2));
    drop((books, beside));
    server.must("INSERT INTO version VALUES (99, 'later')");
    let told = wait_for("the lock", SOON, || Some(refused(open(&server))).filter(|t| !t.contains("another")));
    assert!(told.contains("version 99") && told.contains("use a newer one"), "{told}");
    server.must("CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0");
    assert!(refused(PostgresBooks::open(&server.url("latin"), None)).contains("make one with UTF8"));
}

#[test]
fn addresses_that_lead_nowhere_are_told_without_the_password() {
    let mut server = Postgres::start();
    server.must("CREATE ROLE clerk LOGIN PASSWORD 'hunter2-of-clerk'");
    server.must("GRANT ALL ON SCHEMA public TO clerk");
    let rules = server.folder().join("pg_hba.conf");
    std::fs::write(&rules, "host all books 127.0.0.1/32 trust\nhost all clerk 127.0.0.1/32 scram-sha-256\n")
        .expect("rules");
    server.restart();
    let url = |user: &str, db: &str| format!("postgres://{user}@127.0.0.1:{}/{db}", server.port);
    for (url, word) in [
        (url("clerk:wrong-hunter2", "postgres"), "password authentication failed"),
        (url("clerk:hunter2-of-clerk", "nowhere"), "does not exist"),
        (url("nobody:hunter2", "postgres"), "nobody"),
        (format!("postgres://clerk:hunter2@127.0.0.1:{}/postgres", common::free_port()), "refused"),
        ("postgres://clerk:hunter2@[::bad/postgres".to_owned(), "no address"),
    ] {
        let told = refused(PostgresBooks::open(&url, None));
        assert!(told.contains(word) && !told.contains("hunter2"), "{told}");
    }
    let file = server.folder().join("password");
    std::fs::write(&file, "hunter2-of-clerk\n").expect("a password");
    let from = CredentialSource::File(file.clone());
    drop(PostgresBooks::open(&url("clerk", "postgres"), Some(&from)).expect("with the password of the file"));
    std::fs::remove_file(&file).expect("removed");
    let told = refused(PostgresBooks::open(&url("clerk", "postgres"), Some(&from)));
    assert!(told.contains("cannot be read from the file"), "{told}");
}

#[test]
fn tls_asks_who_the_server_is() {
    let mut server = Postgres::made(&["ssl=on"]);
    let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let (own, other) = (made("localhost"), made("localhost"));
    let path = |name: &str| server.folder().join(name);
    std::fs::write(path("server.crt"), own.cert.pem()).expect("written");
    std::fs::write(path("server.key"), own.signing_key.serialize_pem()).expect("written");
    std::fs::write(path("other.crt"), other.cert.pem()).expect("written");
    let given = Command::new("sh")
        .args(["-c", "chown --reference=. server.* && chmod 600 server.key"])
        .current_dir(server.folder())
        .status();
    assert!(given.is_ok_and(|s| s.success()));
    server.restart();
    let url = |host: &str, more: &str| format!("postgres://books@{host}:{}/postgres?{more}", server.port);
    let roots = |name: &str| format!("sslmode=verify-full&sslrootcert={}", server.folder().join(name).display());
    let over_tls = |url: &str| {
        let books = wait_for("the writer's lock", SOON, || PostgresBooks::open(url, None).ok());
        let asked = server.must(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'bursar'",
        );
        drop(books);
        asked
    };
    assert_eq!(over_tls(&url("localhost", &roots("server.crt"))), "t");
    assert_eq!(over_tls(&url("127.0.0.1", "sslmode=require")), "t");
    for wrong in [url("localhost", &roots("other.crt")), url("127.0.0.1", &roots("server.crt"))] {
        let told = refused(PostgresBooks::open(&wrong, None));
        assert!(told.contains("certificate"), "{told}");
    }
}

#[test]
fn each_month_has_its_partition_and_nothing_is_without_one() {
    let server = Postgres::start();
    let books = open(&server).expect("new books");
    let entry = |seq: u64, at: i64| Arc::new(Record::encode(denial(seq, at)).expect("it encodes"));
    let (all, _) =
        Chained::after(Place::START, [entry(1, START), entry(2, START + 3 * MONTH), entry(3, START + 90 * MONTH)]);
    books.apply(&all[..2], true).expect("written");
    let months = |sql: &str| server.must(sql);
    assert_eq!(months("SELECT tableoid::regclass FROM events ORDER BY seq"), "events_2026_09\nevents_2026_12");
    books.apply(&all[2..], true).expect("a clock that is years ahead stops nothing");
    assert_eq!(books.events(1, 10).expect("events").len(), 3);
    let plan = months(&format!("EXPLAIN SELECT body FROM events WHERE seq = 1 AND at = {START}"));
    assert!(plan.contains("events_2026_09") && !plan.contains("events_2026_12"), "{plan}");
}

#[test]
fn months_that_are_given_up_go_whole_also_behind_one_that_is_empty() {
    let server = Postgres::start();
    let books = open(&server).expect("new books");
    let entry = |seq: u64, at: i64| Arc::new(Record::encode(denial(seq, at)).expect("it encodes"));
    // September and October; nothing happens in November; then two more months.
    let days = [0, 1, MONTH, MONTH + 1, 3 * MONTH, 3 * MONTH + 1, 4 * MONTH];
    let (all, _) = Chained::after(Place::START, (1..).zip(days).map(|(seq, at)| entry(seq, START + at)));
    books.apply(&all[..4], true).expect("written");
    books.apply(&all[4..], true).expect("written");
    let months = || {
        server.must("SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits WHERE inhparent = 'events'::regclass AND inhrelid::regclass::text LIKE 'events_2%'")
    };
    let left = |first| books.linked(1, 10).expect("events").first().map(|e| e.seq) == Some(first);
    assert!(
        months().starts_with("events_2026_09 events_2026_10 events_2026_11 events_2026_12 events_2027_01"),
        "{}",
        months()
    );
    assert_eq!(books.prune(3).expect("pruned"), 3);
    assert!(months().starts_with("events_2026_10 ") && left(4), "a month that is not all given up stays: {}", months());
    assert_eq!(books.prune(4).expect("pruned"), 1);
    assert_eq!(books.prune(6).expect("pruned"), 2);
    assert!(months().starts_with("events_2027_01") && left(7), "{}", months());
    assert_eq!(books.prune(7).expect("pruned"), 1);
    assert!(months().starts_with("events_2027_01"), "the newest stays: {}", months());
    let later = Chained::after(books.place().expect("a place"), [entry(8, START + 4 * MONTH + 1)]).0;
    books.apply(&later, true).expect("the books go on");
    assert!(left(8));
}

fn join(server: &Postgres) -> PostgresBooks {
    PostgresBooks::join(&server.url("postgres"), None).expect("books that are shared")
}

/// One writes, all read; the turn goes over when the writer is gone, and with its connection goes what it believes.
#[test]
fn shared_books_are_written_by_one_at_a_time() {
    let server = Postgres::start();
    let (one, two) = (join(&server), join(&server));
    assert_eq!(one.identity().expect("a name"), two.identity().expect("the same"));
    assert_eq!((one.lead().expect("told"), two.lead().expect("told")), (true, false));
    one.apply(&chained(Place::START, 1, 3), true).expect("written");
    assert_eq!((two.seen().expect("read").seq, two.place().expect("its own").seq), (3, 0));
    assert!(two.apply(&chained(Place::START, 1, 3), true).is_err_and(|e| e.to_string().contains("another bursar")));
    one.resign();
    assert!(wait_for("the turn of the other", SOON, || two.lead().ok().filter(|leads| *leads)));
    assert_eq!(two.place().expect("where the other was").seq, 3);
    assert!(!one.lead().expect("told"));
    two.apply(&chained(two.place().expect("a place"), 4, 2), true).expect("written");
    // A connection that is cut takes the turn with it, whatever its owner thinks.
    server.must("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    assert!(wait_for("the turn of the first", SOON, || one.lead().ok().filter(|leads| *leads)));
    assert!(two.apply(&chained(two.place().expect("a place"), 6, 1), true).is_err());
    assert_eq!((one.place().expect("a place").seq, two.seen().expect("read").seq), (5, 5));
    drop(one);
    assert!(wait_for("the turn of the last", SOON, || two.lead().ok().filter(|leads| *leads)));
}

#[test]
fn the_place_of_a_sink_stands_in_shared_books() {
    let server = Postgres::start();
    let (one, two) = (join(&server), join(&server));
    assert_eq!(one.sink_place("lines").expect("read"), None);
    one.keep_sink_place("lines", 7).expect("written");
    one.keep_sink_place("lines", 9).expect("written");
    assert_eq!(two.sink_place("lines").expect("read"), Some(9));
    assert!(two.keep_sink_place("lines", 1).is_err(), "whoever writes the books keeps it");
}
