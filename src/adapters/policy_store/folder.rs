//! The folder itself: which files count, when they changed, and what they hold. Keeps nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Options, Sandbox};
use crate::config::{Mistake, Mistakes, policy_file, policy_tests};
use crate::rules::ledger::account::Shape;
use crate::rules::policy::{BadSet, Policy, PolicySet};

/// Each file's name, time and size, by which a change is seen.
pub(super) type Stamps = Vec<(PathBuf, Option<SystemTime>, u64)>;
/// A policy and where it came from.
type Loaded = Vec<(String, Policy)>;

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 20;
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

/// `*.toml`, not below, not hidden, no tests; sorted. A folder that is not there has none.
fn list(folder: &Path) -> std::io::Result<Stamps> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Stamps::new()),
        entries => entries?,
    };
    let mut found = Stamps::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let passed_over = name.is_empty() || name.starts_with('.') || name.ends_with(policy_tests::ENDING);
        if passed_over || path.extension().is_none_or(|e| e != "toml") {
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
    for (path, _, size) in stamps {
        let file = path.display().to_string();
        match text(path, *size).and_then(|text| policy_file::read(&file, &text, Some(vendors))) {
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

fn text(path: &Path, size: u64) -> Result<String, Mistakes> {
    let wrong = |what: String| Mistakes(vec![Mistake::of_file(path.display().to_string(), what)]);
    if size > MAX_FILE {
        return Err(wrong("it is larger than 1MiB, and no policy is".to_owned()));
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
