//! Large bodies both ways: they stream through, and bursar's memory does not grow with them.

use std::fs;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::books::{row_of, text};
use crate::common::bursar::Key;
use crate::common::client::Ask;
use crate::common::house::House;
use crate::common::raw::Raw;
use crate::common::{SOON, wait_for};
use crate::{FREE, house};

const MIB: u64 = 1 << 20;
const LARGE: u64 = 50 * MIB;
const ROOM: u64 = 15 * MIB;

/// Bytes of memory that a process has now (`VmRSS`), or had at most since it was last asked (`VmHWM`).
fn memory(house: &House, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", house.bursar.server.id())).expect("bursar runs");
    let found = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':')).expect("a line of memory");
    found.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// What `work` adds to bursar's memory at most.
fn growth(house: &House, key: &Key, work: impl FnOnce()) -> u64 {
    for n in 0..20 {
        house.call(&Ask::get(format!("/github/warm/{n}")).key(key));
    }
    let before = memory(house, "VmRSS");
    fs::write(format!("/proc/{}/clear_refs", house.bursar.server.id()), "5").expect("the peak can be set back");
    work();
    memory(house, "VmHWM").saturating_sub(before)
}

fn upload(house: &House, key: &Key, script: &str) -> Vec<u8> {
    let port = house.port();
    let head = format!(
        "POST /github/repos/a/b/releases/1/assets HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/octet-stream\r\nX-Mock: {script}\r\nContent-Length: {LARGE}\r\n\r\n",
        key.key
    );
    head.into_bytes()
}

/// Writes a large request piece by piece, and reads the status.
fn write_large(port: u16, head: &[u8]) -> Option<u16> {
    let mut raw = Raw::connect(port);
    raw.send(head);
    let piece: Vec<u8> = (0..MIB).map(|n| (n % 251) as u8).collect();
    for _ in 0..LARGE / MIB {
        if !raw.send(&piece) {
            break;
        }
    }
    raw.answer().map(|answer| answer.status)
}

fn expected_crc() -> u32 {
    let piece: Vec<u8> = (0..MIB).map(|n| (n % 251) as u8).collect();
    let mut sum = crc32fast::Hasher::new();
    (0..LARGE / MIB).for_each(|_| sum.update(&piece));
    sum.finalize()
}

#[test]
fn a_large_upload_streams_through() {
    let (house, key) = house();
    let grown = growth(&house, &key, || {
        let (port, head) = (house.port(), upload(&house, &key, "x"));
        assert_eq!(write_large(port, &head), Some(200));
    });
    let seen = house.vendor.last();
    assert_eq!((seen.length, seen.crc, seen.whole), (LARGE, expected_crc(), true));
    assert!(grown < ROOM, "bursar grew by {} KiB", grown / 1024);
}

#[test]
fn an_upload_waits_for_a_slow_vendor() {
    let (house, key) = house();
    let grown = growth(&house, &key, || {
        let (port, head) = (house.port(), upload(&house, &key, "gate-first"));
        let before = house.vendor.count();
        let writing = thread::spawn(move || write_large(port, &head));
        house.vendor.wait_for_count(before + 1, SOON);
        stands_still("the writing to stop", || memory(&house, "VmRSS"));
        house.vendor.open_gate();
        assert_eq!(writing.join().expect("the writer"), Some(200));
    });
    assert_eq!(house.vendor.last().crc, expected_crc());
    assert!(grown < ROOM, "bursar grew by {} KiB", grown / 1024);
}

/// A head whose body is to come, in ten pieces of one byte.
fn slow_upload(house: &House, key: &Key) -> Raw {
    let mut raw = Raw::connect(house.port());
    raw.send(format!(
        "POST /github/repos/a/b/releases/1/assets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\n",
        key.key
    ));
    raw
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the vendor may take for its answer counts from the last byte.
#[test]
fn an_upload_may_take_as_long_as_it_moves() {
    let more = |_| "[server.timeouts]\nheader = \"1s\"\nupload = \"1s\"\n".to_owned();
    let house = House::with(&[FREE], more);
    let key = house.mint("free", "agent");
    let mut raw = slow_upload(&house, &key);
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(250));
        assert!(raw.send("x"), "it was cut");
    }
    assert_eq!(raw.answer().map(|answer| answer.status), Some(200));
    assert_eq!((house.vendor.last().length, house.vendor.last().whole), (10, true));
}

#[test]
fn an_upload_that_stands_still_is_cut() {
    let house = House::with(&[FREE], |_| "[server.timeouts]\nupload = \"500ms\"\n".to_owned());
    let key = house.mint("free", "agent");
    let mut raw = slow_upload(&house, &key);
    raw.send("half");
    let got = raw.answer().expect("an answer to half an upload");
    assert_eq!((got.status, got.code()), (422, "outcome_unknown".to_owned()));
    let row = row_of(&house.bursar, TRACE, SOON);
    assert_eq!(text(&row, "outcome"), "unknown");
    assert!(text(&row, "error").contains("no progress"), "{row:#}");
    assert!(!house.vendor.last().whole, "half an upload never looks complete");
}

#[test]
fn an_upload_that_its_caller_breaks_off_is_not_laid_to_the_vendor() {
    let (house, key) = house();
    let mut raw = slow_upload(&house, &key);
    raw.send("half");
    house.vendor.wait_for_count(1, SOON);
    raw.end();
    drop(raw);
    let row = row_of(&house.bursar, TRACE, SOON);
    assert_eq!(
        (text(&row, "outcome"), text(&row, "error")),
        ("unknown", "the caller broke off its upload before the end")
    );
}

/// What was a few bytes on the wire is not held in memory at its full size.
#[test]
fn a_compressed_answer_flows_through() {
    let (house, key) = house();
    let grown = growth(&house, &key, || {
        let answer = house.call(&Ask::get("/github/a").key(&key).mock(&format!("bytes={LARGE} coding=gzip")));
        assert_eq!((answer.body.len() as u64, answer.whole), (LARGE, true));
    });
    assert!(grown < ROOM, "bursar grew by {} KiB", grown / 1024);
}

#[test]
fn a_caller_who_does_not_read_stops_the_vendor() {
    let (house, key) = house();
    let mut raw = Raw::connect(house.port());
    let grown = growth(&house, &key, || {
        let port = house.port();
        raw.send(format!(
            "GET /github/a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {}\r\nX-Mock: bytes={LARGE}\r\n\r\n",
            key.key
        ));
        assert!(raw.head().is_some_and(|head| head.starts_with("HTTP/1.1 200")));
        stands_still("the vendor to be stopped", || house.vendor.written());
    });
    assert!(house.vendor.written() < LARGE, "the vendor was read to its end, and nobody read on this side");
    assert!(grown < ROOM, "bursar grew by {} KiB", grown / 1024);
    let mut rest = 0;
    let mut piece = vec![0; 1 << 20];
    rest += raw.already_read() as u64;
    while rest < LARGE {
        let n = raw.socket().read(&mut piece).expect("the rest of the answer");
        assert!(n > 0, "the answer broke off after {rest} bytes");
        rest += n as u64;
    }
}

/// Waits until a number has not changed for a while.
fn stands_still(what: &str, number: impl Fn() -> u64) {
    let mut last = (number(), Instant::now());
    wait_for(what, SOON, || {
        let now = number();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(300)).then_some(())
    });
}

#[test]
fn a_body_that_must_be_read_is_bounded() {
    let house = House::with(&[FREE], |_| "[server.limits]\nbody = \"64KiB\"\n".to_owned());
    let key = house.mint("free", "agent");
    let long = |n: usize| {
        format!(r#"{{"model":"penny-1","max_tokens":9,"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(n))
    };
    let chat = |body: String| Ask::new("POST", "/openai/v1/chat/completions").key(&key).body("application/json", body);
    assert_eq!(house.call(&chat(long(60_000))).status, 200);
    assert_eq!(house.call(&chat(long(70_000))).said(), (413, "request_too_large".to_owned()));
    let mut raw = Raw::connect(house.port());
    raw.send(format!(
        "POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        key.key
    ));
    for _ in 0..5 {
        raw.send(format!("4000\r\n{}\r\n", " ".repeat(0x4000)));
    }
    let got = raw.answer().expect("an answer before the body has ended");
    assert_eq!((got.status, got.code()), (413, "request_too_large".to_owned()));
    assert_eq!(house.vendor.count(), 1);
}

/// Nothing reads such a body, and it is searched as it passes: the vendor never has the whole request.
#[test]
fn a_vault_key_in_an_unread_body_does_not_arrive() {
    let (house, key) = house();
    let path = "/github/repos/a/b/issues";
    let leak = format!("{}export OPENAI_API_KEY={}\n", "x".repeat(300_000), key.key);
    let ask = Ask::new("POST", path).body("text/plain", leak.clone()).key(&key);
    let refused = house.call(&ask);
    assert_eq!(refused.said(), (400, "request_malformed".to_owned()));
    assert!(refused.text().contains("holds the vault key"), "{}", refused.text());
    let row = row_of(&house.bursar, &ask.trace, SOON);
    assert!(text(&row, "error").contains("vault key"), "{row:#}");
    let clean = Ask::new("POST", path).body("text/plain", leak.replace(&key.key, &key.key[..60])).key(&key);
    assert_eq!(house.call(&clean).status, 200);
    assert!(house.vendor.received().iter().all(|r| !String::from_utf8_lossy(&r.body).contains(&key.key)));
}
