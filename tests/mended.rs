//! The ledger beside the books: corrections of what calls cost, differences that are found with their calls, and a ledger that
//! is written anew from the books after its journal was damaged.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::books::{LEASES, all_closed, by_trace, micro, number, rows, text};
use common::bursar::Key;
use common::client::Ask;
use common::house::House;
use common::postgres::Postgres;
use common::{SOON, wait_for};
use serde_json::Value;

const SHOP: &str = r#"
name = "shop"
vendors = ["stripe"]
[[allow]]
methods = ["POST"]
paths = ["/v1/charges"]
[[budget]]
per = "agent"
window = "total"
limit = "1000 USD"
[[budget]]
per = "agent"
window = "day"
limit = "1000 USD"
"#;

fn check(house: &House) -> (bool, Value) {
    let done = house.bursar.cli(&["ledger", "check", "--json"]);
    let found = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
    (done.status.success(), found)
}

/// Ends it in order, so that a snapshot is written.
fn stop(house: &mut House) {
    house.bursar.server.terminate();
    house.bursar.server.wait(SOON);
}

fn charges(house: &House, key: &Key, count: u64) {
    for cents in 1..=count {
        assert_eq!(house.call(&Ask::charge(cents * 100).key(key)).status, 200);
    }
}

#[test]
fn a_call_of_unknown_outcome_is_corrected_once_and_its_accounts_move() {
    let mut house = House::new(&[SHOP]);
    let key = house.mint("shop", "till");
    charges(&house, &key, 2);
    house.call(&Ask::charge(50_000).key(&key).mock("cut"));
    all_closed(&house.bursar, &["--agent", "till"], LEASES);
    let odd = rows(&house.bursar, &["--flagged"]);
    let [odd] = odd.as_slice() else { panic!("one call to look at: {odd:#?}") };
    let (call, cost) = (text(odd, "call_id"), micro(&odd["cost_usd"]));
    assert!(cost >= 500 * 100_000_000, "the bound: {odd}");
    let adjust = |more: &[&str]| {
        let done = house.bursar.cli(&[&["adjust", call, "--json"], more].concat());
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    assert_eq!(adjust(&["--cost", "0"]).0, Some(2), "a correction has a reason");
    let (code, said) = adjust(&["--cost", "0", "--reason", "Stripe has no such charge"]);
    assert_eq!(code, Some(0), "{said}");
    let spent = || micro(&common::books::spend(&house.bursar, &["--agent", "till"])["cost_usd"]);
    let three = 3 * 100_000_000;
    assert_eq!(spent(), three);
    let (code, said) = adjust(&["--cost", "500", "--reason", "it has"]);
    assert!(code == Some(1) && said.contains("adjusted before") && said.contains("no such charge"), "{said}");
    let (code, said) = adjust(&["--cost", "500", "--reason", "it has", "--again"]);
    assert_eq!((code, spent()), (Some(0), three + 500 * 100_000_000), "{said}");
    let exact = rows(&house.bursar, &["--outcome", "ok"]);
    let done = house.bursar.cli(&["adjust", text(&exact[0], "call_id"), "--cost", "0", "--reason", "why not"]);
    assert!(done.status.code() == Some(1) && String::from_utf8_lossy(&done.stderr).contains("exact"));
    let (whole, found) = check(&house);
    assert!(whole && number(&found, "accounts") >= 2, "{found:#}");
    // 503 USD are spent: 500 more do not fit, before and after a crash.
    assert_eq!(house.call(&Ask::charge(50_000).key(&key)).said(), (403, "budget_spent".to_owned()));
    house.crash();
    assert_eq!(house.call(&Ask::charge(50_000).key(&key)).said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.call(&Ask::charge(40_000).key(&key)).status, 200);
    assert!(check(&house).0);
    let kinds = house.bursar.json(&["audit", "tail", "--from", "1", "--kind", "adjusted"]);
    assert!(kinds.len() == 2 && text(&kinds[0]["act"], "reason").contains("no such charge"), "{kinds:#?}");
}

#[test]
fn a_difference_is_found_with_its_call_and_a_rebuild_mends_the_ledger() {
    let mut house = House::new(&[SHOP]);
    let key = house.mint("shop", "till");
    charges(&house, &key, 5);
    assert!(check(&house).0);
    stop(&mut house);
    // Somebody takes 7 USD off the books' row, and 3 off the snapshot's account.
    let books = rusqlite::Connection::open(house.bursar.data.join("books.db")).expect("the books");
    let changed =
        books.execute("UPDATE call_rows SET usd = usd - 100000000 WHERE usd = 400000000", []).expect("changed");
    drop(books);
    house.bursar.restart();
    let (whole, found) = check(&house);
    assert!(!whole && changed == 1 && found["differences"].as_array().is_some_and(|d| d.len() == 2), "{found:#}");
    let causes = found["causes"].as_array().expect("causes");
    assert!(causes.iter().all(|c| c["events_usd"] == "4" && c["row_usd"] == "3") && causes.len() == 1, "{found:#}");
    stop(&mut house);
    let books = rusqlite::Connection::open(house.bursar.data.join("books.db")).expect("the books");
    books.execute("UPDATE call_rows SET usd = 400000000 WHERE usd = 300000000 AND seq = (SELECT max(seq) FROM call_rows WHERE usd = 300000000)", []).expect("changed back");
    drop(books);
    let snapshot = house.bursar.data.join("ledger.snapshot");
    let text = fs::read_to_string(&snapshot).expect("a snapshot");
    // 15 USD, and 3 less.
    let odd = text.replace("\"spent\":1500000000", "\"spent\":1200000000");
    assert_ne!(text, odd);
    fs::write(&snapshot, odd).expect("written");
    house.bursar.restart();
    let (whole, found) = check(&house);
    assert!(!whole && found["causes"].as_array().is_some_and(Vec::is_empty), "{found:#}");
    let refused = house.bursar.cli(&["ledger", "rebuild"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("another bursar"));
    stop(&mut house);
    let done = house.bursar.json(&["ledger", "rebuild", "--reason", "the check said so"]).swap_remove(0);
    assert!(done["lost"].as_array().is_some_and(Vec::is_empty), "{done:#}");
    assert!(Path::new(done["kept"].as_str().expect("a folder")).join("journal").exists());
    house.bursar.restart();
    let (whole, found) = check(&house);
    assert!(whole, "{found:#}");
    let events = house.bursar.json(&["audit", "tail", "--from", "1", "--kind", "ledger_rebuilt"]);
    assert!(events.len() == 1 && events[0]["control"]["act"]["reason"] == "the check said so", "{events:#?}");
}

/// The books answer, and do not follow: then they cannot say whether somebody has corrected the call already.
#[test]
fn nothing_is_corrected_twice_unsaid_while_the_books_lag() {
    let server = Postgres::start();
    let url = server.url("postgres");
    let house = House::with(&[SHOP], |_| format!("[audit]\nstore = \"{url}\"\n"));
    let key = house.mint("shop", "till");
    house.call(&Ask::charge(50_000).key(&key).mock("cut"));
    let row = &wait_for("the row to look at", LEASES, || rows(&house.bursar, &["--flagged"]).pop());
    let adjust =
        |cost: &str| house.bursar.cli(&["adjust", text(row, "call_id"), "--cost", cost, "--reason", "as Stripe says"]);
    std::thread::scope(|scope| {
        let locked = "BEGIN; LOCK TABLE place IN EXCLUSIVE MODE; SELECT pg_sleep(60)";
        scope.spawn(|| server.ask("postgres", locked));
        let held =
            "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'place'::regclass AND granted";
        wait_for("the lock", SOON, || (server.must(held) == "1").then_some(()));
        assert!(adjust("0").status.success(), "the journal has it");
        let second = adjust("7");
        server.must("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'place'::regclass");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(!second.status.success() && said.contains("nothing was corrected"), "{said}");
    });
    let third = wait_for("the books to follow", SOON, || {
        Some(adjust("7")).filter(|d| !String::from_utf8_lossy(&d.stderr).contains("do not follow"))
    });
    assert!(String::from_utf8_lossy(&third.stderr).contains("adjusted before"), "{third:?}");
}

/// The disk of the ledger is lost, the books on PostgreSQL are not: all that was spent comes back from there.
#[test]
fn a_lost_ledger_is_written_anew_from_books_on_postgresql() {
    let server = Postgres::start();
    let url = server.url("postgres");
    let mut house = House::with(&[SHOP], |_| format!("[audit]\nstore = \"{url}\"\n"));
    let key = house.mint("shop", "till");
    charges(&house, &key, 5);
    house.call(&Ask::charge(50_000).key(&key).mock("cut"));
    let row = &wait_for("the row to look at", LEASES, || rows(&house.bursar, &["--flagged"]).pop());
    house.bursar.ok(&["adjust", text(row, "call_id"), "--cost", "500", "--reason", "Stripe has it"]);
    assert!(check(&house).0);
    stop(&mut house);
    fs::remove_dir_all(house.bursar.data.join("journal")).expect("removed");
    fs::remove_file(house.bursar.data.join("ledger.snapshot")).expect("removed");
    let unnamed = house.bursar.cli(&["ledger", "rebuild"]);
    assert!(String::from_utf8_lossy(&unnamed.stderr).contains("name the configuration"), "{unnamed:?}");
    let config = house.dir.path().join("bursar.toml");
    let config = config.to_str().expect("a path");
    let done = house.bursar.json(&["ledger", "rebuild", "--reason", "a new disk", "--config", config]).swap_remove(0);
    assert!(done["lost"].as_array().is_some_and(Vec::is_empty) && number(&done, "salvaged") == 0, "{done:#}");
    house.bursar.restart();
    let (whole, found) = check(&house);
    assert!(whole, "{found:#}");
    // 515 USD are spent: 500 more do not fit.
    assert_eq!(house.call(&Ask::charge(50_000).key(&key)).said(), (403, "budget_spent".to_owned()));
    assert_eq!(house.call(&Ask::charge(40_000).key(&key)).status, 200);
    all_closed(&house.bursar, &["--agent", "till"], LEASES);
    house.bursar.ok(&["audit", "verify"]);
    house.crash();
    assert!(check(&house).0);
}

#[test]
fn a_hole_in_the_journal_is_cured_from_the_books() {
    let mut house = House::new(&[SHOP]);
    let key = house.mint("shop", "till");
    charges(&house, &key, 5);
    all_closed(&house.bursar, &["--agent", "till"], LEASES);
    house.bursar.server.kill();
    let kept = house.dir.path().join("kept");
    copy_books(&house.bursar.data, &kept);
    house.bursar.restart();
    charges(&house, &key, 20);
    house.bursar.server.kill();
    // As after a loss of power: the books are older than the journal, and the journal has a hole.
    copy_books(&kept, &house.bursar.data);
    let journal = last_segment(&house.bursar.data);
    let mut bytes = fs::read(&journal).expect("the journal");
    let from = bytes.len() * 3 / 4;
    bytes[from..from + 300].fill(0);
    fs::write(&journal, bytes).expect("written");
    let said = refuses_to_start(&mut house);
    assert!(said.contains("damaged") && said.contains("ledger rebuild"), "{said}");
    let done = house.bursar.json(&["ledger", "rebuild"]).swap_remove(0);
    let lost: u64 =
        done["lost"].as_array().expect("holes").iter().map(|h| number(h, "to") - number(h, "from") + 1).sum();
    assert!((1..=4).contains(&lost) && number(&done, "salvaged") > 20, "{done:#}");
    house.bursar.restart();
    all_closed(&house.bursar, &["--agent", "till"], LEASES);
    let (books, received) = (rows(&house.bursar, &["--agent", "till"]), house.vendor.received());
    let by_trace = by_trace(&books);
    let missing = received.iter().filter(|r| !by_trace.contains_key(&r.trace())).count();
    assert!(missing <= 2, "{missing} of {} calls are not in the books", received.len());
    for request in &received {
        let found = by_trace.get(&request.trace()).and_then(|rows| rows.first());
        assert!(found.is_none_or(|row| micro(&row["cost_usd"]) >= request.billed), "never below the true cost");
    }
    let (whole, found) = check(&house);
    assert!(whole && found["gaps"].as_array().is_some_and(|g| g.len() == 1), "{found:#}");
    assert_eq!(house.call(&Ask::charge(100).key(&key)).status, 200);
    house.crash();
    assert_eq!(house.call(&Ask::charge(100).key(&key)).status, 200);
}

fn copy_books(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for name in ["books.db", "books.db-wal", "books.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
}

fn last_segment(data: &Path) -> PathBuf {
    let mut all: Vec<_> = fs::read_dir(data.join("journal")).expect("a journal").flatten().map(|f| f.path()).collect();
    all.sort();
    all.pop().expect("a segment")
}

fn refuses_to_start(house: &mut House) -> String {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| house.bursar.restart()));
    assert!(done.is_err(), "it must refuse");
    wait_for("what it said", SOON, || Some(house.bursar.server.output()).filter(|said| said.contains("error")))
}

#[test]
fn a_run_is_one_page_and_a_month_is_one_report() {
    let house = House::new(&[SHOP]);
    let key = house.bursar.mint("shop", "till", &["--run", "r-7"]);
    charges(&house, &key, 3);
    assert_eq!(house.call(&Ask::get("/stripe/v1/balance").key(&key)).status, 403);
    all_closed(&house.bursar, &["--agent", "till"], LEASES);
    house.bursar.ok(&["kill", "--run", "r-7", "--tenant", "other", "--reason", "not this one"]);
    house.bursar.ok(&["kill", "--run", "r-7", "--reason", "enough"]);
    let page = wait_for("the kill in the page", SOON, || {
        let page = house.bursar.json(&["runs", "show", "r-7"]).swap_remove(0);
        page["changes"].as_array().is_some_and(|c| c.len() == 1).then_some(page)
    });
    assert!(page["changes"][0].to_string().contains("enough"), "another tenant's run is another: {page:#}");
    assert_eq!((number(&page, "calls"), number(&page, "refused"), &page["cost_usd"]), (3, 1, &"6".into()));
    assert_eq!(page["timeline"].as_array().map(Vec::len), Some(4));
    assert!(house.bursar.ok(&["runs"]).contains("r-7") && house.bursar.ok(&["runs", "show", "r-7"]).contains("enough"));
    assert_eq!(house.bursar.cli(&["runs", "show", "r-8"]).status.code(), Some(1));
    let now = &rows(&house.bursar, &[])[0]["timestamp_utc"];
    let month = now.as_str().and_then(|t| t.get(..7)).expect("a month");
    let report = house.bursar.ok(&["report", "--soc2", "--month", month]);
    for part in [&key.id, "shop", "run default/r-7", "enough", "1000 USD", "key_minted", "## Exceptions"] {
        assert!(report.contains(part), "{part} in {report}");
    }
    assert!(!report.contains(&key.key));
    let json = house.bursar.json(&["report", "--soc2", "--month", month]).swap_remove(0);
    assert_eq!((number(&json["sums"], "calls"), json["month"].as_str()), (3, Some(month)));
    assert_eq!(house.bursar.cli(&["report", "--soc2", "--month", "2026-13"]).status.code(), Some(1));
}

const PER_RUN: &str = r#"
name = "runs"
vendors = ["stripe"]
trust_headers = true
[[allow]]
methods = ["POST"]
paths = ["/v1/charges"]
[[budget]]
per = "run"
window = "total"
limit = "1000 USD"
"#;

const LATER: &str = r#"
name = "later"
vendors = ["stripe"]
[[budget]]
per = "run"
window = "day"
limit = "1000 USD"
"#;

/// Nobody may spend another run's budget by naming it. Where the header is trusted, the same account counts.
#[test]
fn a_claimed_run_counts_nowhere_neither_at_once_nor_for_a_budget_that_comes_later() {
    let house = House::new(&[SHOP, PER_RUN]);
    let (distrusted, trusted) = (house.mint("shop", "a"), house.mint("runs", "b"));
    for key in [&distrusted, &distrusted, &trusted] {
        let ask = Ask::charge(10_000).key(key).header("x-bursar-run", "nightly");
        assert_eq!(house.call(&ask).status, 200);
    }
    all_closed(&house.bursar, &[], LEASES);
    assert_eq!(rows(&house.bursar, &["--run", "nightly"]).len(), 3, "rows are found by the run in any case");
    let (whole, found) = check(&house);
    assert!(whole, "{found:#}");
    house.write_policy(LATER);
    wait_for("the later budget", SOON, || {
        house.bursar.admin("/v1/policies").to_string().contains("\"later\"").then_some(())
    });
    let (whole, found) = check(&house);
    assert!(whole, "{found:#}");
    let left = house.call(&Ask::charge(100).key(&trusted).header("x-bursar-run", "nightly"));
    assert_eq!(left.header("x-bursar-remaining-usd"), Some("899"), "one call of 100 USD counted before");
}
