//! `[audit]`: how often the books are signed, with which key, how long events are kept, and where checkpoints are anchored.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::checked::CredentialSource;
use super::raw::{Node, Table};
use super::vendors::source;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A checkpoint after so many events, and after so much time if there is any.
    pub events: u64,
    pub time: Duration,
    /// The signing key's file; in the data folder if unsaid.
    pub key: Option<PathBuf>,
    /// Events older than this are given up; for ever if unsaid.
    pub keep: Option<Duration>,
    pub anchors: Vec<Anchor>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub name: String,
    pub to: AnchorTo,
}

#[derive(Clone, PartialEq, Eq)]
pub enum AnchorTo {
    File(PathBuf),
    /// The address may hold a token of its own.
    Url {
        url: Uri,
        token: Option<CredentialSource>,
    },
}

impl fmt::Debug for AnchorTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Url { url, .. } => write!(f, "Url({}…)", url.host().unwrap_or_default()),
        }
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self { events: 10_000, time: Duration::from_secs(60), key: None, keep: None, anchors: Vec::new() }
    }
}

/// A proof reads one whole interval.
const MOST_EVENTS: u64 = 100_000;
/// A call may be open for hours, and its first event must stand as long.
const LEAST_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The keys of `[audit]` that are about evidence.
pub(super) fn read(audit: &Table<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    if let Some(table) = audit.get("checkpoints").and_then(|n| n.table()) {
        checkpoints(&table, &mut evidence);
    }
    evidence.keep = audit.get("keep").and_then(|node| {
        let keep = node.duration()?;
        if keep < LEAST_KEPT {
            node.wrong("events are kept for a day (`1d`) at least: a call may be open that long");
        }
        Some(keep)
    });
    evidence.anchors = audit.tables("anchor").iter().filter_map(anchor).collect();
    let mut names = BTreeSet::new();
    if let Some(twice) = evidence.anchors.iter().find(|a| !names.insert(&a.name)) {
        audit.wrong(format!("two anchors are named `{}`: each has a cursor under its own name", twice.name));
    }
    evidence
}

fn checkpoints(table: &Table<'_>, evidence: &mut Evidence) {
    if let Some(node) = table.get("events") {
        match node.count() {
            Some(count) if (1..=MOST_EVENTS).contains(&count) => evidence.events = count,
            Some(_) => node.wrong(format!("it must be 1 to {MOST_EVENTS}")),
            None => {}
        }
    }
    if let Some(node) = table.get("time") {
        match node.duration() {
            Some(time) if time >= Duration::from_secs(1) => evidence.time = time,
            Some(_) => node.wrong("it must be a second or more"),
            None => {}
        }
    }
    evidence.key = table.get("key").and_then(|n| path(&n));
    table.done();
}

fn anchor(table: &Table<'_>) -> Option<Anchor> {
    let name = table.need("name", "its cursor bears it").and_then(|n| named(&n));
    let file = table.get("file").and_then(|n| path(&n));
    let url = table.get("url").and_then(|n| n.parsed(url));
    let token = table.get("token").and_then(|n| n.parsed(source));
    let said = (table.get("file").is_some(), table.get("url").is_some());
    table.done();
    let to = match said {
        (true, false) if token.is_some() => return table.none("`token` goes with `url`"),
        (true, false) => AnchorTo::File(file?),
        (false, true) => AnchorTo::Url { url: url?, token },
        _ => return table.none("an anchor has a `file` or a `url`"),
    };
    Some(Anchor { name: name?, to })
}

fn path(node: &Node<'_>) -> Option<PathBuf> {
    let text = node.text()?;
    if text.is_empty() {
        node.wrong("the path is empty");
    }
    Some(text.into())
}

/// It becomes the name of a file.
fn named(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        node.wrong("a name has 1 to 64 letters, digits, `-` or `_`");
    }
    Some(text.to_owned())
}

/// Never repeats the address: it may hold a token.
fn url(text: &str) -> Result<Uri, &'static str> {
    let url: Option<Uri> = text.parse().ok();
    let good = |u: &Uri| matches!(u.scheme_str(), Some("http" | "https")) && u.host().is_some_and(|h| !h.is_empty());
    url.filter(good).ok_or("it must be an address such as `https://auditor.example/bursar`")
}
