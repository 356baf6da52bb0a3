//! Thousands of seeded tamperings with an export: bits flipped, lines dropped, swapped, doubled, moved and put in, files cut,
//! every field edited, heads made to fit. Each must be found, at the first line that differs or before the end.

use serde_json::Value;

use super::common::dice::Dice;
use super::scene::{Scene, verify};
use bursar::rules::chain::Place;
use bursar::rules::evidence::PublicKey;
use bursar::rules::evidence::anchors::Anchors;

const ROUNDS: usize = 8_000;

/// A file with rotations of the key, a hole in the journal, and events behind a pruned stretch; and keys that vouch for it.
fn subjects() -> Vec<(Vec<u8>, Vec<PublicKey>)> {
    let mut scene = Scene::new();
    let first = scene.key();
    scene.grow(17);
    scene.rotate();
    scene.grow(9);
    scene.lose(2);
    scene.grow(6);
    let second = scene.rotate();
    scene.grow(5);
    let whole = scene.export(1, None);
    let part = scene.export(20, Some(30));
    scene.wait(scene.evidence.prune(15)).expect("pruned");
    scene.grow(4);
    let pruned = scene.export(1, None);
    vec![
        (whole.clone(), vec![first]),
        (whole, vec![first, second]),
        (part, vec![first]),
        (pruned.clone(), vec![second]),
        (pruned, Vec::new()),
    ]
}

#[test]
fn every_tampering_is_found() {
    let subjects = subjects();
    for (file, keys) in &subjects {
        let sound = verify(file, keys, Anchors::default()).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(sound.confirmed, !keys.is_empty());
    }
    let mut dice = Dice(0x0b_00c5);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let mut round = 0;
    while counts.values().sum::<usize>() < ROUNDS {
        round += 1;
        let (file, keys) = dice.pick(&subjects);
        let foreign = &dice.pick(&subjects).0;
        let (how, bad) = tamper(&mut dice, file, foreign);
        // A swap of a line with itself changes nothing.
        if bad == *file || subjects.iter().any(|(other, _)| *other == bad) {
            continue;
        }
        *counts.entry(how).or_default() += 1;
        match verify(&bad, keys, Anchors::default()) {
            Ok(sound) => panic!("round {round}: {how} was not found: {sound:?}\n{}", difference(file, &bad)),
            Err(fault) => {
                let first = first_difference(file, &bad);
                let named = usize::try_from(fault.line).expect("a line");
                let an_event = lines(file).get(first - 1).is_some_and(|line| event(line).is_some());
                let exact = an_event && matches!(how, "bit" | "drop" | "field" | "double");
                assert!(
                    if exact { named == first } else { named >= first || how == "rechained" },
                    "round {round}: {how} in line {first}, and it says {fault}\n{}",
                    difference(file, &bad)
                );
            }
        }
    }
    let total: usize = counts.values().sum();
    println!("{total} tamperings, all of them found: {counts:?}");
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// From 1.
fn first_difference(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (lines(a), lines(b));
    1 + a.iter().zip(&b).take_while(|(a, b)| a == b).count()
}

fn difference(a: &[u8], b: &[u8]) -> String {
    let at = first_difference(a, b) - 1;
    let show = |file: &[u8]| lines(file).get(at).map(|l| String::from_utf8_lossy(l).into_owned());
    format!("line {}: {:?}\n     now: {:?}", at + 1, show(a), show(b))
}

fn tamper(dice: &mut Dice, file: &[u8], foreign: &[u8]) -> (&'static str, Vec<u8>) {
    let mut rows = lines(file);
    let any = |dice: &mut Dice, n: usize| usize::try_from(dice.between(0, n as u64)).expect("an index");
    let (at, to) = (any(dice, rows.len()), any(dice, rows.len()));
    match dice.between(0, 12) {
        0 | 1 => {
            let mut bad = file.to_vec();
            let byte = any(dice, bad.len());
            bad[byte] ^= 1 << dice.between(0, 8);
            ("bit", bad)
        }
        2 => {
            rows.remove(at);
            ("drop", rows.concat())
        }
        3 => {
            rows.swap(at, to);
            ("swap", rows.concat())
        }
        4 => {
            let line = rows[at].clone();
            rows.insert(at, line);
            ("double", rows.concat())
        }
        5 => {
            let line = rows.remove(at);
            rows.insert(to.min(rows.len()), line);
            ("move", rows.concat())
        }
        6 => ("truncate", file[..any(dice, file.len())].to_vec()),
        7 => {
            rows.truncate(at);
            ("truncate at a line", rows.concat())
        }
        8 => {
            let line = dice.pick(&lines(foreign)).clone();
            rows.insert(at, line);
            ("insert", rows.concat())
        }
        9 => {
            rows[at] = edited(dice, &rows[at]);
            ("field", rows.concat())
        }
        10 => {
            let Some(line) = refitted(&rows, at) else { return ("nothing", file.to_vec()) };
            rows[at] = line;
            ("event and its head", rows.concat())
        }
        _ => rechained(dice, rows, at),
    }
}

/// One field of a line, whichever, is another; the line is written as lines are.
fn edited(dice: &mut Dice, line: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(line).expect("text");
    let mut value: Value = serde_json::from_str(text).expect("JSON");
    let mut places = Vec::new();
    leaves(&value, &mut String::new(), &mut places);
    let place = dice.pick(&places).clone();
    let leaf = value.pointer_mut(&place).expect("there");
    let old = leaf.to_string();
    let new = another(dice, leaf).to_string();
    // Edited in the text, so that the order of fields stays. The first such value may be another field's; so be it.
    format!("{}\n", text.trim_end().replacen(&old, &new, 1)).into_bytes()
}

fn leaves(value: &Value, at: &mut String, into: &mut Vec<String>) {
    let mut below = |name: String, inner: &Value| {
        let length = at.len();
        at.push('/');
        at.push_str(&name);
        leaves(inner, at, into);
        at.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, inner)| below(name.clone(), inner)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, inner)| below(n.to_string(), inner)),
        _ => into.push(at.clone()),
    }
}

fn another(dice: &mut Dice, leaf: &Value) -> Value {
    match leaf {
        Value::Number(n) => Value::from(n.as_u64().unwrap_or(0) + dice.between(1, 5)),
        Value::Bool(b) => Value::Bool(!b),
        Value::String(s) => {
            // A digit for another, so that hashes, times and ids stay well-formed.
            let at = s.find(|c: char| c.is_ascii_digit());
            let digit = |c: u8| char::from(b'0' + (c - b'0' + 1) % 10).to_string();
            Value::String(at.map_or_else(
                || format!("{s}x"),
                |at| format!("{}{}{}", &s[..at], digit(s.as_bytes()[at]), &s[at + 1..]),
            ))
        }
        _ => Value::Bool(true),
    }
}

/// The event's number, its head, and its bytes.
fn event(line: &[u8]) -> Option<(u64, String)> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let body =
        text.strip_prefix("{\"type\":\"event\",\"head\":\"")?.get(64 + "\",\"event\":".len()..)?.strip_suffix('}')?;
    let value: Value = serde_json::from_str(body).ok()?;
    Some((value["seq"].as_u64()?, body.to_owned()))
}

fn place(rows: &[Vec<u8>], at: usize) -> Option<Place> {
    let before: Value = serde_json::from_slice(rows.get(at.checked_sub(1)?)?).ok()?;
    let head = before["head"].as_str()?.parse().ok()?;
    let seq = before["event"]["seq"].as_u64().or_else(|| before["to"].as_u64())?;
    Some(Place { seq, head })
}

/// A changed event with the head that fits it; the next line does not fit any more.
fn refitted(rows: &[Vec<u8>], at: usize) -> Option<Vec<u8>> {
    let ((seq, body), before) = (event(&rows[at])?, place(rows, at)?);
    let body = body.replacen("\"seq\":", "\"seq\": ", 1);
    let head = before.next(seq, body.as_bytes()).head;
    Some(format!("{{\"type\":\"event\",\"head\":\"{head}\",\"event\":{body}}}\n").into_bytes())
}

/// A changed or dropped event, and all heads behind it made to fit, as far as no signature stands in the way: what somebody
/// can do who has the database and no key. Roots and heads of checkpoints are made to fit too, without a signature.
fn rechained(dice: &mut Dice, mut rows: Vec<Vec<u8>>, at: usize) -> (&'static str, Vec<u8>) {
    let (Some((_, body)), Some(mut before)) = (event(&rows[at]), place(&rows, at)) else {
        return ("nothing", rows.concat());
    };
    let forged = body.replacen("\"at\":\"2", "\"at\":\"3", 1);
    let drop = dice.between(0, 2) == 0;
    if drop {
        rows.remove(at);
    }
    for (n, row) in rows.iter_mut().enumerate().skip(at) {
        let Some((seq, own)) = event(row) else { continue };
        let body = if n == at && !drop { &forged } else { &own };
        before = before.next(seq, body.as_bytes());
        *row = format!("{{\"type\":\"event\",\"head\":\"{}\",\"event\":{body}}}\n", before.head).into_bytes();
    }
    if dice.between(0, 2) == 0 {
        let heads = before.head.to_string();
        let last = rows.iter().rposition(|row| row.starts_with(b"{\"type\":\"checkpoint\"")).expect("a checkpoint");
        let text = String::from_utf8(rows[last].clone()).expect("text");
        let from = text.find("\"head\":\"").expect("a head") + 8;
        rows[last] = format!("{}{heads}{}", &text[..from], &text[from + 64..]).into_bytes();
    }
    ("rechained", rows.concat())
}
