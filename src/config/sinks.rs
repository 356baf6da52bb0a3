//! `[[sink]]`: what else gets every event of the books, checked. `adapters::sinks` delivers; nothing here opens a file or a
//! connection, and no address or secret is ever printed whole.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use http::{HeaderName, Uri};

use super::checked::CredentialSource;
use super::raw::{Node, Table};
use super::{size, vendors};

/// Events of one delivery unless said otherwise, and at most.
const USUAL_BATCH: u64 = 500;
const LARGEST_BATCH: u64 = 5_000;
const USUAL_ROTATE: u64 = 100 << 20;
const USUAL_KEEP: u64 = 10;

/// One follower of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its place in the books is kept under this name.
    pub name: String,
    pub target: SinkTarget,
    pub batch: usize,
    pub start: SinkStart,
}

/// Where a sink begins that has no place yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SinkStart {
    #[default]
    First,
    Now,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// JSON lines. Past `rotate` bytes a new file begins, and `keep` old ones stay.
    File {
        path: PathBuf,
        rotate: u64,
        keep: u32,
    },
    Webhook {
        url: SinkUrl,
        secret: CredentialSource,
    },
    Otlp {
        url: SinkUrl,
        headers: Vec<(HeaderName, CredentialSource)>,
    },
}

/// Paths of webhooks are often as good as a password: only scheme and host are shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkUrl(Uri);

impl SinkUrl {
    /// For the client that posts there.
    pub fn expose(&self) -> &Uri {
        &self.0
    }

    pub fn encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub fn is_here(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.0.scheme_str().unwrap_or_default(), self.0.host().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        self.0.port_u16().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) fn read(root: &Table<'_>) -> Vec<Sink> {
    let (mut names, mut files) = (HashSet::new(), HashSet::new());
    let mut sinks = Vec::new();
    for table in root.tables("sink") {
        let Some(sink) = sink(&table) else { continue };
        if !names.insert(sink.name.clone()) {
            table.wrong(format!("two sinks are called `{}`: each has a place in the books of its own", sink.name));
        }
        if let SinkTarget::File { path, .. } = &sink.target
            && !files.insert(path.clone())
        {
            table.wrong(format!("two sinks write `{}`", path.display()));
        }
        sinks.push(sink);
    }
    sinks
}

fn sink(table: &Table<'_>) -> Option<Sink> {
    let name = table.need("name", "a name of letters, digits, `-` or `_`").and_then(|n| n.parsed(name));
    let kinds = [("file", file as Reader), ("webhook", webhook as Reader), ("otlp", otlp as Reader)];
    let kind = table.need("type", "`file`, `webhook` or `otlp`").and_then(|n| n.word(&kinds));
    let batch = table.get("batch").and_then(|n| between(&n, 1, LARGEST_BATCH)).unwrap_or(USUAL_BATCH);
    let words = [("first", SinkStart::First), ("now", SinkStart::Now)];
    let start = table.get("start").and_then(|n| n.word(&words)).unwrap_or_default();
    // Without a type nobody knows which keys belong to it.
    let target = kind?(table);
    table.done();
    Some(Sink { name: name?, target: target?, batch: usize::try_from(batch).ok()?, start })
}

type Reader = fn(&Table<'_>) -> Option<SinkTarget>;

pub(super) fn name(text: &str) -> Result<String, &'static str> {
    // It becomes part of a file's name.
    let fits = !text.is_empty() && text.len() <= 64;
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Ok(text.to_owned());
    }
    Err("a sink's name has 1 to 64 letters, digits, `-` or `_`")
}

fn between(node: &Node<'_>, least: u64, most: u64) -> Option<u64> {
    let count = node.count()?;
    if !(least..=most).contains(&count) {
        node.wrong(format!("it must be {least} to {most}"));
        return None;
    }
    Some(count)
}

fn file(table: &Table<'_>) -> Option<SinkTarget> {
    let path = table.need("path", "the file that is written, such as `/var/log/bursar/events.jsonl`");
    let path = path.and_then(|n| super::file::path(&n));
    let rotate = table.get("rotate").and_then(|n| n.parsed(size::parse)).map_or(USUAL_ROTATE, |n| n as u64);
    let keep = table.get("keep").and_then(|n| between(&n, 1, 10_000)).unwrap_or(USUAL_KEEP);
    if rotate < 1024 {
        table.wrong("`rotate` is below 1KiB, less than one event may need");
    }
    Some(SinkTarget::File { path: path?, rotate, keep: u32::try_from(keep).ok()? })
}

fn webhook(table: &Table<'_>) -> Option<SinkTarget> {
    let url = table.need("url", "where the events are posted").and_then(|n| n.parsed(url));
    let secret = table.need("secret", "what signs each delivery: `env:NAME` or `file:/path`");
    let secret = secret.and_then(|n| n.parsed(vendors::source));
    Some(SinkTarget::Webhook { url: url?, secret: secret? })
}

fn otlp(table: &Table<'_>) -> Option<SinkTarget> {
    let url = table.need("url", "the collector, such as `http://127.0.0.1:4318/v1/logs`").and_then(|n| n.parsed(url));
    let headers = table.get("headers").and_then(|n| n.table());
    let headers = headers.iter().flat_map(Table::entries).filter_map(|(name, node)| {
        let source = node.parsed(vendors::source)?;
        let parsed = HeaderName::try_from(name.to_ascii_lowercase());
        if parsed.is_err() {
            node.wrong("this is no name of a header");
        }
        Some((parsed.ok()?, source))
    });
    let headers = headers.collect();
    Some(SinkTarget::Otlp { url: url?, headers })
}

/// Never repeats the address.
pub(super) fn url(text: &str) -> Result<SinkUrl, &'static str> {
    let how = "it is no address: write `https://host/path`, without a user or password in it";
    let uri: Uri = text.parse().map_err(|_| how)?;
    let plain = uri.authority().is_some_and(|a| !a.as_str().contains('@') && !a.host().is_empty());
    if !plain || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(how);
    }
    Ok(SinkUrl(uri))
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn sinks(text: &str) -> Result<Vec<Sink>, String> {
        read("bursar.toml", text, &|_| None).map(|c| c.sinks).map_err(|m| m.to_string())
    }

    #[test]
    fn sinks_are_read_whole() {
        let text = r#"
            [[sink]]
            name = "lines"
            type = "file"
            path = "/var/log/events.jsonl"
            rotate = "1MiB"
            keep = 3
            [[sink]]
            name = "hook"
            type = "webhook"
            url = "https://hooks.example/T0/secret-path"
            secret = "env:HOOK"
            start = "now"
            [[sink]]
            name = "siem"
            type = "otlp"
            url = "http://127.0.0.1:4318/v1/logs"
            headers = { authorization = "file:/run/secrets/otlp" }
            batch = 100
        "#;
        let found = sinks(text).expect("three sinks");
        assert_eq!(found.iter().map(|s| s.batch).collect::<Vec<_>>(), [500, 500, 100]);
        assert_eq!(
            found[0].target,
            SinkTarget::File { path: "/var/log/events.jsonl".into(), rotate: 1 << 20, keep: 3 }
        );
        assert_eq!(found[1].start, SinkStart::Now);
        let shown = format!("{found:?}");
        assert!(shown.contains("https://hooks.example") && !shown.contains("secret-path"), "{shown}");
    }

    #[test]
    fn each_mistake_is_told_and_no_secret_is() {
        let lines = "[[sink]]\nname = \"a\"\ntype = \"file\"\npath = \"x\"\n";
        let hook = |url: &str, secret: &str| {
            format!("[[sink]]\nname = \"a\"\ntype = \"webhook\"\nurl = {url:?}\nsecret = {secret:?}")
        };
        for (text, word) in [
            (format!("{lines}{lines}"), "two sinks are called"),
            (format!("{lines}{}", lines.replace("\"a\"", "\"b\"")), "two sinks write"),
            (lines.replace("\"a\"", "\"../a\""), "sink[0].name"),
            (lines.replace("file", "kafka"), "`kafka` is none of"),
            (format!("{lines}url = \"https://x\""), "sink[0].url"),
            (format!("{lines}keep = 0"), "1 to 10000"),
            (format!("{lines}rotate = \"1B\""), "1KiB"),
            (hook("ftp://h", "env:A"), "sink[0].url"),
            (hook("https://ann:hunter2@h", "env:A"), "sink[0].url"),
            (hook("https://h", "hunter2"), "sink[0].secret"),
        ] {
            let told = sinks(&text).expect_err(&text);
            assert!(told.contains(word) && !told.contains("hunter2"), "{told}");
        }
    }
}
