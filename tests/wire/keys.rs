//! Keys and credentials on the wire: the vault key is taken from wherever an SDK puts it and goes no further, the real
//! credential reaches the vendor alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::common::client::{Answer, Ask};
use crate::common::house::{House, REAL_GITHUB, REAL_OPENAI};
use crate::common::vendor::Received;
use crate::house;

/// No part of the request that left holds a vault key or a word to bursar.
fn is_clean(seen: &Received) {
    let headers = format!("{:?}", seen.headers);
    let all = format!("{} {headers} {}", seen.target, String::from_utf8_lossy(&seen.body));
    assert!(!all.contains("vk_") && !headers.contains("x-bursar"), "{all}");
    let basic = seen.header("authorization").and_then(|a| a.strip_prefix("Basic "));
    assert_eq!(basic, None, "the credential stands in the vendor's own place");
}

#[test]
fn the_key_is_found_wherever_an_sdk_puts_it() {
    let (house, key) = house();
    let key = key.key;
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    let places = [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
        ("authorization", format!("token {key}")),
        ("authorization", basic(format!("{key}:"))),
        ("authorization", basic(format!("user:{key}"))),
        ("x-api-key", key.clone()),
        ("api-key", key.clone()),
        ("x-goog-api-key", key.clone()),
        ("xi-api-key", key.clone()),
    ];
    for (name, value) in places {
        let answer = house.call(&Ask::get("/openai/v1/models/m?a=1&b=%20x").header(name, &value));
        assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
        let seen = house.vendor.last();
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {REAL_OPENAI}")));
        assert_eq!(seen.target, "/v1/models/m?a=1&b=%20x");
        is_clean(&seen);
    }
    for (query, left) in [(format!("?key={key}"), ""), (format!("?a=1&key={key}&b=2"), "?a=1&b=2")] {
        let answer = house.call(&Ask::get(format!("/openai/v1/models/m{query}")));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(house.vendor.last().target, format!("/v1/models/m{left}"));
        is_clean(&house.vendor.last());
    }
}

#[test]
fn every_copy_of_the_key_is_taken_out() {
    let (house, key) = house();
    let ask = Ask::get(format!("/github/a?token={}&x=1", key.key));
    let ask = ask.key(&key).header("x-api-key", &key.key).header("x-my-own", &format!("copy of {}", key.key));
    let ask = ask.header("cookie", &format!("session={}", key.key)).header("x-kept", "yes");
    assert_eq!(house.call(&ask).status, 200);
    let seen = house.vendor.last();
    is_clean(&seen);
    assert_eq!((seen.target.as_str(), seen.header("x-kept")), ("/a?x=1", Some("yes")));
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {REAL_GITHUB}")));
}

#[test]
fn keys_that_are_none_are_refused_before_anything_else() {
    let (house, key) = house();
    let other = house.mint("free", "other");
    let two = house.call(&Ask::get("/github/a").key(&key).header("x-api-key", &other.key));
    assert_eq!(two.said(), (401, "key_ambiguous".to_owned()));
    assert_eq!(house.call(&Ask::get("/github/a")).said(), (401, "key_missing".to_owned()));
    let real = house.call(&Ask::get("/github/a").header("authorization", &format!("Bearer {REAL_GITHUB}")));
    assert_eq!(real.said(), (401, "key_missing".to_owned()), "a vendor's own credential is no vault key");
    let mut wrong = key.key.clone();
    let last = wrong.pop().expect("a key has an end");
    wrong.push(if last == 'a' { 'b' } else { 'a' });
    for bad in [wrong.as_str(), "vk_", "vk_x_y", &key.key[..key.key.len() - 5]] {
        let answer = house.call(&Ask::get("/github/a").header("authorization", &format!("Bearer {bad}")));
        assert_eq!(answer.said(), (401, "key_unknown".to_owned()), "{bad}");
        assert!(!answer.text().contains(bad) || bad.len() < 5, "the key is not repeated");
    }
    house.vendor.got_nothing();
}

fn lines_without_credential(house: &House, answer: &Answer, real: &str) {
    let text = answer.text();
    assert_eq!(answer.status, 200);
    assert!(
        answer.headers.values().all(|v| !String::from_utf8_lossy(v.as_bytes()).contains(real)),
        "{:?}",
        answer.headers
    );
    assert!(answer.header("x-echo-credential").is_some_and(|v| v.bytes().all(|b| b == b'*')), "{:?}", answer.headers);
    assert!(!text.contains(real), "{text}");
    let stars = "*".repeat(real.len());
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(&stars)).collect();
    assert_eq!(lines.len(), real.len(), "one whole, and one for every place to break it: {text}");
    assert_eq!(lines[0], format!("whole: {stars}"));
    assert_eq!(house.vendor.last().header("authorization"), Some(&*format!("Bearer {real}")));
}

#[test]
fn a_credential_that_the_vendor_says_back_is_covered() {
    let (house, key) = house();
    let whole = house.call(&Ask::get("/github/a").key(&key).mock("echo"));
    lines_without_credential(&house, &whole, REAL_GITHUB);
    let split = house.call(&Ask::get("/github/a").key(&key).mock("echo pause=5"));
    lines_without_credential(&house, &split, REAL_GITHUB);
    let metered = house.call(&Ask::chat(Some(100)).key(&key).mock("echo pause=5"));
    lines_without_credential(&house, &metered, REAL_OPENAI);
    let long = house.call(&Ask::get("/github/a").key(&key).mock("echo pause=5 pad=300000"));
    lines_without_credential(&house, &long, REAL_GITHUB);
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let coded = house.call(&Ask::get("/github/a").key(&key).mock(&format!("echo coding={coding} pad=300000")));
        lines_without_credential(&house, &coded, REAL_GITHUB);
        assert_eq!(coded.header("content-encoding"), None, "it was asked for plain, and comes plain");
    }
}
