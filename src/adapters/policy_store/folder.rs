//! The folder itself: which files count, when they changed, and what they hold. Keeps nothing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Options, Sandbox};
use crate::config::{Mistake, Mistakes, policy_file, policy_tests, schema_file};
use crate::rules::ledger::account::Shape;
use crate::rules::policy::{BadSet, Beside, List, Policy, PolicySet};

/// Each file's name, time and size, by which a change is seen.
pub(super) type Stamps = Vec<(PathBuf, Option<SystemTime>, u64)>;
/// A policy and where it came from.
type Loaded = Vec<(String, Policy)>;

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 20;
const MAX_LIST: u64 = 32 << 20;
/// Below the policies: `lists/customers.txt` is the list `customers`.
const LISTS: &str = "lists";
/// And `schemas/refund.json` is the schema `refund`.
const SCHEMAS: &str = "schemas";
const SANDBOX: &str = include_str!("../../../policies/sandbox.toml");

pub(super) async fn stamps(folder: &Path) -> Stamps {
    let folder = folder.to_owned();
    let listed = tokio::task::spawn_blocking(move || list(&folder).unwrap_or_default());
    // A panic in there would be a bug; an empty list then reads as a change, and the load says what is wrong.
    listed.await.unwrap_or_default()
}

/// The stamps are taken before the files are read: a change in between shows at the next look.
pub(super) async fn read(options: &Options) -> (Stamps, Result<Loaded, Mistakes>) {
    let (folder, vendors, sandbox) = (options.folder.clone(), options.vendors.clone(), options.sandbox);
    let work = move || match list(&folder) {
        Ok(stamps) => {
            let policies = read_all(&stamps, &vendors, sandbox);
            (stamps, policies)
        }
        Err(e) => (Stamps::new(), Err(whole(&folder, format!("the folder cannot be read: {e}")))),
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| (Stamps::new(), Err(whole(&options.folder, format!("reading it failed: {e}")))))
}

fn whole(folder: &Path, what: String) -> Mistakes {
    Mistakes(vec![Mistake::of_file(folder.display().to_string(), what)])
}

/// The policies, and the lists and schemas below them; sorted.
fn list(folder: &Path) -> std::io::Result<Stamps> {
    let mut found = files_of(folder, "toml")?;
    found.extend(below(folder)?);
    Ok(found)
}

fn below(folder: &Path) -> std::io::Result<Stamps> {
    let mut found = files_of(&folder.join(LISTS), "txt")?;
    found.extend(files_of(&folder.join(SCHEMAS), "json")?);
    Ok(found)
}

/// By their ending; not below, not hidden, no tests; sorted. A folder that is not there has none.
fn files_of(folder: &Path, ending: &str) -> std::io::Result<Stamps> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Stamps::new()),
        entries => entries?,
    };
    let mut found = Stamps::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let passed_over = name.is_empty() || name.starts_with('.') || name.ends_with(policy_tests::ENDING);
        if passed_over || path.extension().is_none_or(|e| e != ending) {
            continue;
        }
        // A file that vanished meanwhile is not there; one that cannot be looked at is, and reading it says why.
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(_) => found.push((path, None, 0)),
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) => found.push((path, meta.modified().ok(), meta.len())),
        }
    }
    found.sort();
    Ok(found)
}

fn read_all(stamps: &Stamps, vendors: &[crate::rules::subject::Name], sandbox: Sandbox) -> Result<Loaded, Mistakes> {
    let (mut loaded, mut mistakes) = (Loaded::new(), Vec::new());
    let is_policy = |path: &Path| path.extension().is_some_and(|e| e == "toml");
    let (policies, others): (Vec<_>, Vec<_>) = stamps.iter().partition(|(path, ..)| is_policy(path));
    let beside = read_beside(&others, &mut mistakes);
    for (path, _, size) in policies {
        let file = path.display().to_string();
        let read = |text: String| policy_file::read_with(&file, &text, Some(vendors), &beside);
        match text(path, *size, MAX_FILE).and_then(read) {
            Ok(policy) if sandbox == Sandbox::Closed && &*policy.name == "sandbox" => {}
            Ok(policy) => loaded.push((file, policy)),
            Err(Mistakes(list)) => mistakes.extend(list),
        }
    }
    if sandbox == Sandbox::Served && !loaded.iter().any(|(_, policy)| &*policy.name == "sandbox") {
        match policy_file::read("(shipped) sandbox.toml", SANDBOX, Some(vendors)) {
            Ok(policy) => loaded.push(("(shipped) sandbox.toml".to_owned(), policy)),
            Err(Mistakes(list)) => mistakes.extend(list),
        }
    }
    if mistakes.is_empty() { Ok(loaded) } else { Err(Mistakes(mistakes)) }
}

fn read_beside(stamps: &[&(PathBuf, Option<SystemTime>, u64)], mistakes: &mut Vec<Mistake>) -> Beside {
    let (mut lists, mut schemas) = (BTreeMap::new(), BTreeMap::new());
    for (path, _, size) in stamps {
        let name = path.file_stem().map(|name| name.to_string_lossy()).unwrap_or_default();
        let is_list = path.extension().is_some_and(|e| e == "txt");
        let read = match is_list {
            true => text(path, *size, MAX_LIST)
                .map(|text| drop(lists.insert(Box::from(&*name), Arc::new(List::parse(&name, &text))))),
            false => text(path, *size, MAX_FILE)
                .and_then(|text| schema_file::read(&path.display().to_string(), &name, &text))
                .map(|schema| drop(schemas.insert(Box::from(&*name), Arc::new(schema)))),
        };
        mistakes.extend(read.err().into_iter().flat_map(|Mistakes(more)| more));
    }
    Beside { lists: lists.into(), schemas: schemas.into() }
}

/// The lists and schemas of a folder of policies, for a policy's file that is read alone.
pub fn beside(folder: &Path) -> Result<Beside, Mistakes> {
    let found = below(folder).map_err(|e| whole(folder, e.to_string()))?;
    let mut mistakes = Vec::new();
    let beside = read_beside(&found.iter().collect::<Vec<_>>(), &mut mistakes);
    if mistakes.is_empty() { Ok(beside) } else { Err(Mistakes(mistakes)) }
}

fn text(path: &Path, size: u64, most: u64) -> Result<String, Mistakes> {
    let wrong = |what: String| Mistakes(vec![Mistake::of_file(path.display().to_string(), what)]);
    if size > most {
        return Err(wrong(format!("it is larger than {} MiB, and no such file is", most >> 20)));
    }
    std::fs::read_to_string(path).map_err(|e| wrong(format!("it cannot be read: {e}")))
}

/// All policies together, or which files do not go together.
pub(super) fn set(loaded: Loaded, extra: Vec<Shape>, folder: &Path) -> Result<PolicySet, Mistakes> {
    let names: Vec<(String, String)> = loaded.iter().map(|(file, p)| (p.name.to_string(), file.clone())).collect();
    let policies = loaded.into_iter().map(|(_, policy)| policy).collect();
    PolicySet::new(policies, extra).map_err(|bad| {
        let folder = folder.display().to_string();
        Mistakes(bad.iter().map(|b| Mistake::of_file(&folder, format!("{b} ({})", files(b, &names)))).collect())
    })
}

fn files(bad: &BadSet, names: &[(String, String)]) -> String {
    let concerns = |name: &str| match bad {
        BadSet::TwoOfAName(one) | BadSet::Circle(one) => **one == *name,
        BadSet::TwoGlobals(one, other) | BadSet::NoBase(one, other) => **one == *name || **other == *name,
    };
    let files = names.iter().filter(|(name, _)| concerns(name)).map(|(_, file)| file.as_str());
    files.collect::<Vec<_>>().join(", ")
}
