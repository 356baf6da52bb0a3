//! A bounded replay of what the fuzzer is fed: the seeds of `tests/fuzz/corpus`, the vendors' fixtures, the shipped files, and
//! variants of each, on the targets that `tests/fuzz` has for the fuzzer. Nothing may panic, and no answer may depend on how
//! its bytes were cut.

mod common;

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::dice::Dice;
use common::repo;

/// How long one target is played with variants. Every seed itself is always played.
const PLAY: Duration = Duration::from_secs(4);

/// What a folder holds, without its folders and the code beside it.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_seed = |path: &PathBuf| path.is_file() && path.extension().is_none_or(|kind| kind != "rs");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).filter(is_seed).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// Requests and answers of the vendors' fixtures, each as a seed of its own.
fn fixtures() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for text in files(&repo().join("src/rules/vendors/fixtures")) {
        let file: toml::Value = toml::from_str(&String::from_utf8_lossy(&text)).expect("a fixture");
        for case in file.get("case").and_then(toml::Value::as_array).into_iter().flatten() {
            let fields = ["request", "answer"].into_iter().filter_map(|name| case.get(name)?.as_str());
            seeds.extend(fields.map(|text| text.as_bytes().to_vec()));
        }
    }
    assert!(seeds.len() > 100, "the fixtures were not found");
    seeds
}

/// In front of a seed, the byte that chooses the call, and for an answer those that choose its kind and its cuts.
fn chosen(seeds: &[Vec<u8>], calls: usize, answers: bool) -> Vec<Vec<u8>> {
    let with = |(at, seed): (usize, &Vec<u8>)| {
        let call = u8::try_from(at % calls).unwrap_or(0);
        let cuts = [u8::try_from(at / calls % 3).unwrap_or(0), 1, 7, 64, 2];
        [&[call][..], if answers { &cuts } else { &[] }, seed].concat()
    };
    seeds.iter().enumerate().map(with).collect()
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let shipped = || files(&repo().join("src/rules/vendors/catalog"));
    let mut seeds = files(&repo().join("tests/fuzz/corpus").join(target));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    let calls = targets::calls::CALLS.len();
    seeds.extend(match target {
        "rules" => shipped(),
        "files" => [files(&repo().join("policies")), shipped()].concat(),
        // Every seventh pair of an answer and a call: what is no answer to it must do no harm either.
        "meters" => {
            let all = fixtures();
            (0..calls).flat_map(|from| chosen(&all[from..], calls, true)).step_by(7).collect()
        }
        "requests" => chosen(&fixtures(), calls, false),
        _ => fixtures(),
    });
    seeds
}

/// From nothing up to, and with, `end`.
fn place(dice: &mut Dice, end: usize) -> usize {
    usize::try_from(dice.between(0, end as u64 + 1)).expect("a place")
}

/// A seed with bytes missing, doubled, turned, or taken from another.
fn variant(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.between(0, 3) {
        let at = place(dice, bytes.len());
        match dice.between(0, 5) {
            0 => bytes.truncate(at),
            1 => {
                let from = place(dice, other.len());
                bytes.splice(at..at, other[from..].iter().copied().take(64));
            }
            2 => drop(bytes.drain(at..(at + 8).min(bytes.len()))),
            3 => bytes.splice(at..at, *b"\"}],{[\r\n\r\n").for_each(drop),
            _ if at < bytes.len() => bytes[at] ^= 1 << dice.between(0, 8),
            _ => {}
        }
    }
    bytes
}

fn play(name: &str) {
    let (_, target) = targets::ALL.into_iter().find(|(own, _)| *own == name).expect("a target");
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    let (end, mut dice) = (Instant::now() + PLAY, Dice(7));
    for seed in seeds.iter().cycle() {
        if Instant::now() > end {
            break;
        }
        let other = dice.pick(&seeds);
        let bytes = variant(seed, other, &mut dice);
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            panic!("{name} fails on {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn streams() {
    play("streams");
}

#[test]
fn meters() {
    play("meters");
}

#[test]
fn documents() {
    play("documents");
}

#[test]
fn forms() {
    play("forms");
}

#[test]
fn rules() {
    play("rules");
}

#[test]
fn operators_files() {
    play("files");
}

#[test]
fn requests() {
    play("requests");
}
