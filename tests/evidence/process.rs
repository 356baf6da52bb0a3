//! A real server, its command line, places that anchors go to, and a database that is changed by hand.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::common::books::{rows, text};
use super::common::bursar::{Bursar, Key, Setup, binary};
use super::common::client::Ask;
use super::common::{SOON, wait_for};

struct Rig {
    bursar: Bursar,
    key: Key,
    hook: Hook,
    config: PathBuf,
    made: Cell<usize>,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (policies, hook) = (dir.path().join("policies"), Hook::start());
        fs::create_dir(&policies).expect("a folder");
        let config = dir.path().join("bursar.toml");
        let anchors = dir.path().join("anchors.jsonl");
        let text = format!(
            "[audit.checkpoints]\nevents = 8\ntime = \"1s\"\n[[audit.anchor]]\nname = \"here\"\nfile = {anchors:?}\n\
             [[audit.anchor]]\nname = \"there\"\nurl = \"http://127.0.0.1:{}/hook\"\ntoken = \"env:ANCHOR_TOKEN\"\n",
            hook.port
        );
        fs::write(&config, text).expect("a configuration");
        let env = vec![("ANCHOR_TOKEN".to_owned(), "tok-123".to_owned())];
        let setup = Setup { config: Some(config.clone()), policies, env, args: vec!["--sandbox".to_owned()] };
        let bursar = Bursar::start(dir.path(), setup);
        let key = bursar.mint("sandbox", "clerk", &[]);
        Self { bursar, key, hook, config, made: Cell::new(0), dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().expect("text").to_owned()
    }

    fn calls(&self, count: usize) {
        for _ in 0..count {
            let body =
                json!({"model": "gpt-4o-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
            let answer = Ask::json("/openai/v1/chat/completions", &body).key(&self.key).now(self.bursar.gateway);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        self.made.set(self.made.get() + count);
        self.settled(self.made.get());
    }

    fn settled(&self, at_least: usize) {
        wait_for("settled calls", SOON, || {
            let rows = rows(&self.bursar, &["--agent", "clerk"]);
            (rows.len() >= at_least && rows.iter().all(|row| row["outcome"].is_string())).then_some(())
        });
    }

    fn export(&self, name: &str) -> String {
        let path = self.path(name);
        fs::write(&path, self.bursar.ok(&["audit", "export"])).expect("written");
        path
    }

    fn public_key(&self) -> String {
        text(&self.bursar.json(&["audit", "key", "show"])[0], "key").to_owned()
    }

    /// Stops it, changes its books by hand, and starts it again.
    fn with_the_books(&mut self, change: impl FnOnce(&rusqlite::Connection)) {
        self.stop();
        change(&rusqlite::Connection::open(self.bursar.data.join("books.db")).expect("the books"));
    }

    fn stop(&mut self) {
        self.bursar.server.terminate();
        assert!(self.bursar.server.wait(SOON).success(), "{}", self.bursar.server.output());
    }
}

/// Without a server, and without anything of the house.
fn offline(dir: &Path, args: &[&str]) -> Output {
    Command::new(binary()).args(args).env_clear().current_dir(dir).output().expect("bursar runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A vendor's own log on the web: these answers, one after the other. Gives its address.
fn web(answers: &[(u16, String)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (port, answers) = (listener.local_addr().expect("an address").port(), answers.to_vec());
    std::thread::spawn(move || {
        for ((status, body), stream) in answers.into_iter().zip(listener.incoming()) {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).expect("a request");
            let length = body.len();
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                .expect("it is read");
        }
    });
    format!("http://127.0.0.1:{port}/log.csv?token=s3cret")
}

/// Takes checkpoints, except while it is told to fail.
struct Hook {
    port: u16,
    got: Arc<Mutex<Vec<Value>>>,
    fails: Arc<Mutex<bool>>,
}

impl Hook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (got, fails) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(true)));
        let (into, failing) = (got.clone(), fails.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let fail = *failing.lock().expect("a lock");
                if let Some(body) = answer(stream, fail).filter(|_| !fail) {
                    into.lock().expect("a lock").push(body);
                }
            }
        });
        Self { port, got, fails }
    }

    fn numbers(&self) -> Vec<u64> {
        self.got.lock().expect("a lock").iter().filter_map(|c| c["number"].as_u64()).collect()
    }
}

fn answer(mut stream: std::net::TcpStream, fail: bool) -> Option<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    let body = loop {
        let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.to_ascii_lowercase().contains("authorization: bearer tok-123"), "{head}");
        let length =
            head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok());
        if body.len() >= length.expect("a length") {
            break body.to_owned();
        }
    };
    let status = if fail { "503 Service Unavailable" } else { "204 No Content" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    serde_json::from_str(&body).ok()
}

#[test]
fn calls_are_exported_proven_and_verified_by_the_public_key_alone() {
    let rig = Rig::new();
    rig.calls(12);
    let (key, file) = (rig.public_key(), rig.export("books.jsonl"));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let good = offline(elsewhere.path(), &["audit", "verify", &file, "--key", &key, "--json"]);
    assert!(good.status.success(), "{}", said(&good));
    let sound: Value = serde_json::from_slice(&good.stdout).expect("JSON");
    assert!(sound["events"].as_u64().is_some_and(|n| n >= 24) && sound["confirmed"] == true, "{sound}");
    assert!(sound["checkpoints"].as_u64().is_some_and(|n| n >= 3), "{sound}");
    let call = text(&rows(&rig.bursar, &["--agent", "clerk"])[3], "call_id").to_owned();
    let proof = rig.path("proof.json");
    fs::write(&proof, rig.bursar.ok(&["audit", "prove", &call])).expect("written");
    let proven = offline(elsewhere.path(), &["audit", "verify", "--proof", &proof, "--key", &key, "--json"]);
    assert!(proven.status.success(), "{}", said(&proven));
    let other = "7".repeat(64);
    assert_eq!(offline(elsewhere.path(), &["audit", "verify", &file, "--key", &other]).status.code(), Some(1));
    assert_eq!(
        offline(elsewhere.path(), &["audit", "verify", "--proof", &proof, "--key", &other]).status.code(),
        Some(1)
    );
    one_changed_digit_is_named(&file, &key);
    rotation_is_followed(&rig, &key);
    rig.bursar.ok(&["audit", "verify"]);
    let secret = fs::read_to_string(rig.bursar.data.join("secrets/checkpoint.key")).expect("a key");
    let everything = format!("{}{}", rig.bursar.server.output(), fs::read_to_string(&file).expect("the export"));
    assert!(!everything.contains(secret.trim()), "the signing key stays where it is");
}

fn one_changed_digit_is_named(file: &str, key: &str) {
    let text = fs::read_to_string(file).expect("the export");
    let line = text.lines().position(|l| l.contains("\"op\":\"commit\"")).expect("a commit");
    let row = text.lines().nth(line).expect("it");
    let seq: Value = serde_json::from_str(row).expect("JSON");
    let forged = text.replacen(row, &row.replacen("\"outcome\":\"ok\"", "\"outcome\":\"no\"", 1), 1);
    let path = format!("{file}.forged");
    fs::write(&path, forged).expect("written");
    let bad = offline(Path::new("/"), &["audit", "verify", &path, "--key", key]);
    let expected = format!("line {}, event {}: changed", line + 1, seq["event"]["seq"]);
    assert!(bad.status.code() == Some(1) && said(&bad).contains(&expected), "{expected}: {}", said(&bad));
}

fn rotation_is_followed(rig: &Rig, first: &str) {
    let second = text(&rig.bursar.json(&["audit", "key", "rotate"])[0], "to").to_owned();
    assert!(second != first && rig.public_key() == second);
    rig.calls(2);
    let file = rig.export("later.jsonl");
    for key in [first, &second] {
        let good = offline(Path::new("/"), &["audit", "verify", &file, "--key", key]);
        assert!(good.status.success(), "{}", said(&good));
    }
    let rotated = rig.bursar.ok(&["audit", "tail", "--json"]);
    assert!(rotated.contains("signing_key_rotated"), "{rotated}");
}

#[test]
fn a_row_that_is_changed_by_hand_is_named() {
    let mut rig = Rig::new();
    rig.calls(12);
    let key = rig.public_key();
    rig.stop();
    let data = rig.bursar.data.to_str().expect("text").to_owned();
    let at_rest = |rig: &Rig| offline(rig.dir.path(), &["audit", "verify", "--data", &data, "--key", &key]);
    let good = at_rest(&rig);
    assert!(good.status.success(), "{}", said(&good));
    what_no_chain_covers_is_compared(&rig, &|| at_rest(&rig));
    let books = rusqlite::Connection::open(rig.bursar.data.join("books.db")).expect("the books");
    let seq: i64 =
        books.query_row("SELECT max(seq) FROM events WHERE kind = 'settled'", [], |row| row.get(0)).expect("a row");
    let changed = books.execute(
        "UPDATE events SET body = replace(body, '\"outcome\":\"ok\"', '\"outcome\":\"refused\"') WHERE seq = ?1",
        [seq],
    );
    assert_eq!(changed.expect("changed"), 1);
    drop(books);
    let named = format!("event {seq}: changed");
    let bad = at_rest(&rig);
    assert!(bad.status.code() == Some(1) && said(&bad).contains(&named), "{named}: {}", said(&bad));
    // It serves all the same: calls do not hang on the books' past.
    rig.bursar.restart();
    rig.calls(1);
    let bad = rig.bursar.cli(&["audit", "verify", "--key", &key]);
    assert!(bad.status.code() == Some(1) && said(&bad).contains(&named), "{named}: {}", said(&bad));
}

/// The tables that questions are answered from: each change by hand is found, and said.
fn what_no_chain_covers_is_compared(rig: &Rig, verify: &dyn Fn() -> Output) {
    let (path, copy) = (rig.bursar.data.join("books.db"), rig.dir.path().join("copy.db"));
    fs::copy(&path, &copy).expect("copied");
    let last = "(SELECT max(seq) FROM call_rows)";
    for (change, word) in [
        (format!("UPDATE call_rows SET usd = usd - 1 WHERE seq = {last}"), "another charge"),
        (format!("UPDATE call_rows SET outcome = 'aborted' WHERE seq = {last}"), "another outcome"),
        (format!("UPDATE call_rows SET verdict = 'allow_with_caps' WHERE seq = {last}"), "another verdict"),
        (format!("UPDATE call_rows SET at = at + 1 WHERE seq = {last}"), "another time"),
        (format!("UPDATE call_rows SET closed = NULL WHERE seq = {last}"), "an end that no event gives it"),
        (format!("UPDATE call_rows SET closed = closed - 2 WHERE seq = {last}"), "an event of another call"),
        (format!("UPDATE call_rows SET adjusted = closed WHERE seq = {last}"), "for an adjustment"),
        (format!("DELETE FROM call_rows WHERE seq = {last}"), "has no row"),
        ("UPDATE facts SET agent = 'somebody'".to_owned(), "names somebody else"),
        ("UPDATE events SET kind = 'denied' WHERE kind = 'settled'".to_owned(), "another kind"),
        ("UPDATE events SET at = at - 1 WHERE seq = 3".to_owned(), "another time"),
        (
            "INSERT INTO call_rows (seq, call_id, at, admitted, verdict) VALUES (2, zeroblob(16), 0, 1, 'allow')"
                .to_owned(),
            "that no event opens",
        ),
    ] {
        fs::copy(&copy, &path).expect("put back");
        let db = rusqlite::Connection::open(&path).expect("the books");
        assert!(db.execute(&change, []).unwrap_or_else(|e| panic!("{change}: {e}")) > 0);
        drop(db);
        let lie = verify();
        assert!(lie.status.code() == Some(1) && said(&lie).contains(word), "{change}: {}", said(&lie));
    }
    fs::copy(&copy, &path).expect("put back");
}

#[test]
fn anchors_are_brought_up_to_date_and_show_a_tail_that_is_gone() {
    let mut rig = Rig::new();
    rig.calls(6);
    let anchors = rig.path("anchors.jsonl");
    let anchored = || fs::read_to_string(&anchors).unwrap_or_default().lines().count();
    wait_for("anchors in the file, though the webhook fails", SOON, || (anchored() >= 2).then_some(()));
    let status = || rig.bursar.admin("/v1/status");
    wait_for("trouble with the webhook", SOON, || status()["anchors"][1]["trouble"].as_str().map(|_| ()));
    assert!(rig.hook.numbers().is_empty());
    *rig.hook.fails.lock().expect("a lock") = false;
    rig.calls(10);
    wait_for("every checkpoint at the webhook", Duration::from_secs(120), || {
        let (numbers, last) = (rig.hook.numbers(), status()["checkpoint"].as_u64()?);
        (numbers.last() == Some(&last) && status()["trouble"] == json!([])).then_some(())
    });
    let numbers = rig.hook.numbers();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once, in order");
    let key = rig.public_key();
    let older = rig.export("older.jsonl");
    rig.calls(20);
    let newest = rig.export("whole.jsonl");
    let through = wait_for("the last checkpoint in the file", SOON, || {
        let last = status()["checkpoint"].as_u64()?;
        (anchored() as u64 >= last).then_some(anchored())
    });
    let with = |file: &str| offline(Path::new("/"), &["audit", "verify", file, "--key", &key, "--anchors", &anchors]);
    let cut = with(&older);
    assert!(cut.status.code() == Some(1) && said(&cut).contains("truncated"), "{through}: {}", said(&cut));
    let whole = with(&newest);
    assert!(whole.status.success() && said(&whole).contains("confirmed by anchors"), "{}", said(&whole));
    // The books lose their last checkpoints by hand: the anchor's own task notices, and says so.
    let config = rig.config.to_str().expect("text").to_owned();
    rig.with_the_books(|db| {
        db.execute("DELETE FROM checkpoints WHERE number > 2", []).expect("deleted");
    });
    let data = rig.bursar.data.to_str().expect("text").to_owned();
    let own = offline(rig.dir.path(), &["audit", "verify", "--data", &data, "--config", &config]);
    assert!(own.status.code() == Some(1) && said(&own).contains("truncated"), "{}", said(&own));
    let (there, away) = (rig.path("anchors.jsonl"), rig.path("away.jsonl"));
    fs::rename(&there, &away).expect("moved");
    let blind = offline(rig.dir.path(), &["audit", "verify", "--data", &data, "--config", &config]);
    assert!(said(&blind).contains("anchors.jsonl is not there"), "{}", said(&blind));
    fs::rename(&away, &there).expect("moved back");
    rig.bursar.restart();
    wait_for("the anchor to miss its checkpoint", SOON, || {
        let said = rig.bursar.admin("/v1/status")["anchors"][0]["trouble"].as_str()?.to_owned();
        said.contains("was anchored, and the books").then_some(())
    });
}

#[test]
fn a_prune_is_an_event_and_the_rest_is_proven() {
    let mut rig = Rig::new();
    rig.calls(12);
    let early = rig.path("early.jsonl");
    fs::copy(rig.export("whole.jsonl"), &early).expect("copied");
    let before = wait_for("two signed intervals", SOON, || {
        let lines = fs::read_to_string(rig.path("anchors.jsonl")).ok()?;
        let all: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        all.get(2).map(|c| text(c, "at").to_owned())
    });
    let done = rig.bursar.json(&["audit", "prune", "--before", &before, "--reason", "a test"]).swap_remove(0);
    let to = done["to"].as_u64().expect("a number");
    assert!(to > 0 && done["events"].as_u64() == Some(to), "{done}");
    let nothing = rig.bursar.json(&["audit", "prune", "--before", &before]).swap_remove(0);
    assert_eq!(nothing["events"], 0, "{nothing}");
    let (key, file) = (rig.public_key(), rig.export("rest.jsonl"));
    let anchors = rig.path("anchors.jsonl");
    let good = offline(Path::new("/"), &["audit", "verify", &file, "--key", &key, "--anchors", &anchors]);
    let expected = format!("events 1 to {to} were given up by retention, under checkpoint {}", done["checkpoint"]);
    assert!(good.status.success() && said(&good).contains(&expected), "{expected}: {}", said(&good));
    assert!(rig.bursar.ok(&["audit", "tail", "--json"]).contains("\"kind\":\"pruned\""));
    let sums = rig.bursar.json(&["spend", "--agent", "clerk"]).swap_remove(0);
    assert_eq!(sums["calls"], 12, "sums know what was charged: {sums}");
    let left = rows(&rig.bursar, &["--agent", "clerk"]).len();
    assert!(left < 12, "the rows themselves are gone");
    rig.made.set(left);
    rig.stop();
    rig.bursar.restart();
    rig.calls(1);
    rig.bursar.ok(&["audit", "verify", "--key", &key]);
}

#[test]
fn the_books_are_compared_with_an_independent_count() {
    let rig = Rig::new();
    rig.calls(5);
    let ids: Vec<String> =
        rows(&rig.bursar, &["--agent", "clerk"]).iter().map(|r| text(r, "vendor_request_id").to_owned()).collect();
    assert!(ids.iter().all(|id| !id.is_empty()), "{ids:?}");
    let log = rig.path("vendor.csv");
    let csv = |ids: &[String]| ids.iter().fold("time,request_id\n".to_owned(), |text, id| format!("{text}1,{id}\n"));
    fs::write(&log, csv(&ids)).expect("written");
    assert!(rig.bursar.ok(&["audit", "verify", "--against", &log, "--vendor", "openai"]).contains("5 in both"));
    let url = web(&[(200, csv(&ids)), (500, String::new()), (200, csv(&ids[1..]))]);
    let over = || rig.bursar.cli(&["audit", "verify", "--against", &url, "--field", "request_id"]);
    let (same, down, less) = (over(), over(), over());
    assert!(same.status.success() && said(&same).contains("5 in both"), "{}", said(&same));
    assert!(!down.status.success() && said(&down).contains("answered 500"), "{}", said(&down));
    assert!([&same, &down, &less].iter().all(|done| !said(done).contains("s3cret")), "{}", said(&less));
    assert!(less.status.code() == Some(1) && said(&less).contains(&format!("not in the log    {}", ids[0])));

    let mut other = ids.clone();
    other[2] = "req_that_nobody_made".to_owned();
    fs::write(&log, csv(&other)).expect("written");
    let differs = rig.bursar.cli(&["audit", "verify", "--against", &log]);
    let (status, said) = (differs.status.code(), said(&differs));
    assert!(status == Some(1) && said.contains("not in the books  req_that_nobody_made"), "{said}");
    assert!(said.contains(&format!("not in the log    {}", ids[2])), "{said}");
}
