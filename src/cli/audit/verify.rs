//! `bursar audit verify`: an export, a proof, or the books themselves, against public keys and anchors. An export and a proof
//! need no server and nothing of the house that they came from.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use http_body_util::BodyExt;
use serde::Serialize;

use super::super::client::{Client, books_of, data_folder};
use super::super::output::{BOLD, GOOD, WARN, json, line, note};
use super::super::{Failure, Global};
use super::against;
use crate::adapters::audit::evidence::index::{self, Compared};
use crate::adapters::audit::evidence::walk;
use crate::adapters::ledger::embedded::FolderLock;
use crate::config;
use crate::config::evidence::AnchorTo;
use crate::rules::evidence::PublicKey;
use crate::rules::evidence::anchors::Anchors;
use crate::rules::evidence::check::fault::Fault;
use crate::rules::evidence::check::{Checker, Reading, Sound};
use crate::rules::evidence::proof::Proof;

#[derive(Debug, Args)]
pub struct Verify {
    /// An export (`-` for standard input); without it, the books of the data folder as they stand
    file: Option<PathBuf>,
    /// A public key that you trust, or a file with one; `bursar audit key show` prints it. May be repeated
    #[arg(long = "key", value_name = "PUBLIC_KEY", value_parser = key)]
    keys: Vec<PublicKey>,
    /// Anchored checkpoints, one JSON object a line. May be repeated
    #[arg(long, value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// Check a proof that `bursar audit prove` made
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "against"])]
    proof: Option<PathBuf>,
    /// Compare the books with an independent count: a file or URL with ids of requests or calls
    #[arg(long, value_name = "FILE|URL", conflicts_with = "file")]
    against: Option<String>,
    #[command(flatten)]
    count: against::Count,
}

/// 64 hex digits, or a file that holds them.
fn key(text: &str) -> Result<PublicKey, String> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let held = std::fs::read_to_string(text)
        .map_err(|e| format!("it is no public key (64 hex digits), and as a file: {e}"))?;
    held.trim().parse()
}

pub async fn run(global: &Global, asked: Verify) -> Result<(), Failure> {
    if let Some(log) = &asked.against {
        return against::run(global, log, &asked.count).await;
    }
    if asked.count.is_set() {
        return Err(Failure::usage("--field, --vendor, --since, --until and --distinct go with --against"));
    }
    let mut anchors = Anchors::default();
    for path in &asked.anchors {
        add_anchors(&mut anchors, path)?;
    }
    if let Some(path) = &asked.proof {
        return proof(global, &asked.keys, &anchors, path);
    }
    let Some(path) = &asked.file else {
        own_anchors(global, &mut anchors)?;
        return books(global, Checker::new(asked.keys).against(anchors)).await;
    };
    tell(global, &path.display().to_string(), file(path, Checker::new(asked.keys).against(anchors))?, None)
}

fn unreadable(path: &Path, e: impl std::fmt::Display) -> Failure {
    Failure::refused(format!("{}: {e}", path.display()))
}

fn add_anchors(anchors: &mut Anchors, path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, e))?;
    let before = anchors.unreadable;
    anchors.read(&text).map_err(|why| unreadable(path, why))?;
    if anchors.unreadable > before {
        note(format!(
            "{WARN}note{WARN:#}: {}: {} lines are no checkpoints",
            path.display(),
            anchors.unreadable - before
        ));
    }
    Ok(())
}

/// Files that this configuration anchors to.
fn own_anchors(global: &Global, anchors: &mut Anchors) -> Result<(), Failure> {
    let flags = config::Flags { config: global.config.clone(), ..Default::default() };
    let config = match config::load(&flags, &|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(mistakes) => {
            note(format!(
                "{WARN}note{WARN:#}: the configuration has mistakes, so its anchors are not looked at: {mistakes}"
            ));
            return Ok(());
        }
    };
    for anchor in config.audit.evidence.anchors {
        match anchor.to {
            AnchorTo::File(path) if path.exists() => add_anchors(anchors, &path)?,
            AnchorTo::File(path) => note(format!(
                "{WARN}note{WARN:#}: anchor `{}`: {} is not there, and says nothing about these books",
                anchor.name,
                path.display()
            )),
            AnchorTo::Url { .. } => {}
        }
    }
    Ok(())
}

fn file(path: &Path, checker: Checker) -> Result<Result<Sound, Fault>, Failure> {
    let mut file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(stdin().lock()),
        _ => Box::new(File::open(path).map_err(|e| unreadable(path, e))?),
    };
    let (mut reading, mut piece) = (Reading::new(checker), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(reading.finish()),
            Ok(n) if reading.push(piece.get(..n).unwrap_or_default()) => {}
            Ok(_) => return Ok(reading.finish()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, e)),
        }
    }
}

/// Of a running server as an export; of a folder that nobody serves as they stand.
async fn books(global: &Global, checker: Checker) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let mut body = match client.stream("/v1/audit/export", &()).await {
        Ok(body) => body,
        Err(e) if e.code == 3 && global.server.is_none() => return at_rest(global, &data_folder(global)?, checker, e),
        Err(e) => return Err(e),
    };
    let mut reading = Reading::new(checker);
    while let Some(frame) = body.frame().await {
        // The server says why in its log; what is missing shows here.
        let Ok(frame) = frame else { break };
        if let Ok(data) = frame.into_data()
            && !reading.push(&data)
        {
            break;
        }
    }
    let verdict = reading.finish();
    let rows = if verdict.is_ok() { Some(client.get("/v1/audit/check", &()).await?) } else { None };
    tell(global, BOOKS, verdict, rows)
}

const BOOKS: &str = "the books";

fn at_rest(global: &Global, data: &Path, checker: Checker, unreachable: Failure) -> Result<(), Failure> {
    if !data.join("lock").exists() {
        return Err(unreachable);
    }
    // Held until the end, so that nobody writes meanwhile.
    let _lock = FolderLock::take(data).map_err(Failure::refused)?;
    let store = books_of(global, data)?;
    let verdict = walk::check(&*store, checker).map_err(Failure::refused)?;
    let rows = verdict.is_ok().then(|| index::check(&*store)).transpose().map_err(Failure::refused)?;
    tell(global, BOOKS, verdict, rows)
}

#[derive(Serialize)]
struct Verdict<T> {
    ok: bool,
    #[serde(flatten)]
    what: T,
}

/// `rows`: how the rows of calls compare with the events, if they were looked at.
fn tell(global: &Global, what: &str, verdict: Result<Sound, Fault>, rows: Option<Compared>) -> Result<(), Failure> {
    match (verdict, rows.and_then(|r| r.lie)) {
        (Ok(sound), None) if global.json => json(&Verdict { ok: true, what: sound }),
        (Ok(sound), None) => good(what, &sound),
        (Ok(_), Some(lie)) => {
            if global.json {
                json(&Verdict { ok: false, what: &lie })?;
            }
            let call = lie.call_id.map_or(String::new(), |id| format!(" of call {id}"));
            Err(Failure::refused(format!("{what}: event {}{call}: {}", lie.event, lie.what)))
        }
        (Err(fault), _) => {
            if global.json {
                json(&Verdict { ok: false, what: &fault })?;
            }
            Err(Failure::refused(format!("{what}: {fault}")))
        }
    }
}

fn good(what: &str, s: &Sound) -> Result<(), Failure> {
    line(format!(
        "{GOOD}good{GOOD:#}  {what}: events {} to {} ({}), {} checkpoints, the last one ({}) signed at {}",
        s.from, s.to, s.events, s.checkpoints, s.last_checkpoint, s.signed_at
    ))?;
    if s.unsigned > 0 {
        line(format!("      the last {} events are chained, and no checkpoint covers them yet", s.unsigned))?;
    }
    if s.pruned_to > 0 {
        let under = s.pruned_under.map_or(String::new(), |n| format!(", under checkpoint {n}"));
        line(format!("      events 1 to {} were given up by retention{under}", s.pruned_to))?;
    }
    if let Some(seq) = s.asked_to {
        line(format!("      it was asked for up to event {seq}; the books went on"))?;
    }
    if let Some(first) = s.first_gap {
        line(format!(
            "{WARN}      {} entries of the journal never reached the books, the first is {first}{WARN:#}",
            s.gaps
        ))?;
    }
    match s.anchored_to {
        Some(to) => {
            line(format!("      {} checkpoints are confirmed by anchors, which reach to event {to}", s.anchored))?
        }
        None => {
            note("Without --anchors nothing shows that rows, and the checkpoints over them, were cut from the end.")
        }
    }
    if !s.confirmed {
        note(format!(
            "{WARN}note{WARN:#}: signed with {BOLD}{}{BOLD:#}. Whose key is that? Name it with --key.",
            s.key
        ));
    }
    Ok(())
}

#[derive(Serialize)]
struct Proven<'a> {
    call_id: crate::units::ids::CallId,
    events: u64,
    checkpoints: Vec<u64>,
    anchored: u64,
    key: &'a PublicKey,
    confirmed: bool,
}

fn proof(global: &Global, keys: &[PublicKey], anchors: &Anchors, path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, e))?;
    let proof: Proof = serde_json::from_str(&text).map_err(|e| unreadable(path, format!("it is no proof: {e}")))?;
    let anchored = proof.check(keys, anchors).map_err(|why| unreadable(path, why))?;
    let proven = Proven {
        call_id: proof.call_id,
        events: proof.events.len() as u64,
        checkpoints: proof.checkpoints.iter().map(|c| c.checkpoint.number).collect(),
        anchored,
        key: &proof.key,
        confirmed: !keys.is_empty(),
    };
    if global.json {
        return json(&Verdict { ok: true, what: proven });
    }
    line(format!("{GOOD}good{GOOD:#}  {} events of call {} stand in the books:", proven.events, proven.call_id))?;
    proof.events.iter().try_for_each(|m| line(super::super::output::plain(m.event.get())))?;
    if keys.is_empty() {
        note(format!(
            "{WARN}note{WARN:#}: signed with {BOLD}{}{BOLD:#}. Whose key is that? Name it with --key.",
            proof.key
        ));
    }
    Ok(())
}
