//! The house rules that the compiler does not hold: floors, what a floor may use, sizes, and words that must explain
//! themselves. Reads the sources as text; comments and literals are blanked first, and tests are left out where it says so.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 350;
const FUNCTION_LINES: usize = 70;

/// Modules from the ground up. Imports go down, or stay within a module.
const FLOORS: [(&str, u8); 9] = [
    ("units", 0),
    ("rules", 1),
    ("config", 1),
    ("adapters", 2),
    ("gateway", 3),
    ("control", 4),
    ("cli", 4),
    ("app", 5),
    ("main", 5),
];
const UNITS_CRATES: &[&str] =
    &["serde", "uuid", "jiff", "zeroize", "subtle", "sha2", "crc32fast", "memchr", "thiserror", "foldhash"];
/// Beside those of the units. `ring` for checking signatures: what signs, and needs randomness, stands above.
const RULES_CRATES: &[&str] = &[
    "ring",
    "serde_json",
    "jsonschema",
    "toml",
    "bytes",
    "http",
    "memchr",
    "base64",
    "regex",
    "globset",
    "percent_encoding",
    "tiktoken_rs",
];
/// Units and rules are given what they judge: no IO, no clock, no randomness, no lock.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::process",
    "std::thread",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::",
    "Instant::",
    "Timestamp::now",
    "Zoned::now",
    "Uuid::now_v7",
    "Uuid::new_v4",
];
/// No address of a package registry belongs into what ships.
const REGISTRIES: &[&str] =
    &["crates.io", "pypi.org", "pythonhosted.org", "npmjs.", "proxy.golang.org", "rubygems.org", "deb.debian"];

// ---- the rules

#[test]
fn imports_go_downward_only() {
    report("an import goes upward or across (see the layout in src/lib.rs)", |source, bad| {
        for path in source.paths() {
            let Some(to) = source.top_module_of(&path.text) else { continue };
            if !may_import(&source.module, to) {
                bad.at(path.line, &format!("`{}` is not for `{}`", path.text, source.module));
            }
        }
    });
}

#[test]
fn units_and_rules_use_only_their_crates() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 20 && dependencies.iter().any(|d| d == "tokio"), "Cargo.toml was misread");
    report("a crate that this floor may not use", |source, bad| {
        let floor: &[&[&str]] = match &*source.module {
            "units" => &[UNITS_CRATES],
            "rules" => &[UNITS_CRATES, RULES_CRATES],
            _ => return,
        };
        for path in source.paths() {
            let root = path.text.split("::").next().unwrap_or_default();
            if dependencies.iter().any(|d| d == root) && !floor.iter().any(|crates| crates.contains(&root)) {
                bad.at(path.line, &path.text);
            }
        }
    });
}

#[test]
fn units_and_rules_are_pure() {
    report("units and rules have no IO, no clock, no randomness and no lock", |source, bad| {
        let the_clock = source.name == "units/time.rs";
        if !matches!(&*source.module, "units" | "rules") {
            return;
        }
        for path in source.paths() {
            let impure = |i: &&&str| path.text.starts_with(**i) || path.text.contains(&format!("::{i}"));
            match IMPURE.iter().find(impure) {
                Some(&"Timestamp::now") if the_clock => {}
                Some(_) => bad.at(path.line, &path.text),
                None => {}
            }
        }
    });
}

#[test]
fn money_is_never_floating_point() {
    report("floating point where money is counted", |source, bad| {
        let counts = matches!(&*source.module, "units" | "rules") || source.name.starts_with("adapters/ledger");
        if !counts {
            return;
        }
        for word in words(&source.code) {
            let text = &source.code[word.clone()];
            if matches!(text, "f32" | "f64")
                || text.ends_with("_f64") && !text.starts_with("is_")
                || is_float(&source.code, &word)
            {
                bad.at(source.line(word.start), text);
            }
        }
    });
}

#[test]
fn every_file_says_what_it_is() {
    let mut all = sources("src");
    all.extend(sources("tests"));
    all.extend(sources("benches"));
    let missing: Vec<_> = all.iter().filter(|s| !s.raw.starts_with("//! ")).map(|s| s.path.display()).collect();
    assert!(missing.is_empty(), "these files do not open with `//!` and what they are: {missing:#?}");
}

#[test]
fn files_stay_short() {
    report("a file over 350 lines without its tests: split it by what it knows", |source, bad| {
        let lines = source.raw.lines().count() - source.test_lines;
        if lines > FILE_LINES {
            bad.at(1, &format!("{lines} lines"));
        }
    });
}

#[test]
fn functions_stay_short() {
    report("a function over 70 lines", |source, bad| {
        for (name, body) in source.functions() {
            let (from, to) = (source.line(body.start), source.line(body.end - 1));
            if to - from + 1 > FUNCTION_LINES {
                bad.at(from, &format!("`{name}` has {} lines", to - from + 1));
            }
        }
    });
}

#[test]
fn unwraps_say_why_they_cannot_fail() {
    report("an `unwrap` or `expect` without a comment on its line or the two above", |source, bad| {
        for needle in [".unwrap()", ".expect("] {
            for (at, _) in source.code.match_indices(needle) {
                let line = source.line(at);
                // A parser's own `self.expect(byte)` is no unwrapping.
                let own = source.code[..at].ends_with("self");
                let explained = (line.saturating_sub(2)..=line).any(|n| source.comments.contains(&n));
                if !own && !explained {
                    bad.at(line, needle);
                }
            }
        }
    });
}

#[test]
fn nothing_is_left_to_do_or_printed_for_debugging() {
    report("a leftover", |source, bad| {
        let speaks = matches!(&*source.module, "cli" | "main");
        for word in words(&source.code) {
            let text = &source.code[word.clone()];
            let leftover = matches!(text, "todo" | "unimplemented" | "dbg");
            let printed = matches!(text, "println" | "print" | "eprintln" | "eprint") && !speaks;
            if (leftover || printed) && source.code[word.end..].starts_with('!') {
                bad.at(source.line(word.start), &format!("{text}!"));
            }
        }
    });
}

#[test]
fn no_file_names_a_registry() {
    let mut bad = Bad::default();
    for source in sources("src").iter().chain(&sources("benches")) {
        bad.file.clone_from(&source.path);
        for (n, line) in source.raw.lines().enumerate() {
            if let Some(host) = REGISTRIES.iter().find(|h| line.contains(**h)) {
                bad.at(n + 1, host);
            }
        }
    }
    bad.none("the address of a package registry");
}

fn may_import(from: &str, to: &str) -> bool {
    let floor = |module: &str| FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor);
    let (Some(here), Some(there)) = (floor(from), floor(to)) else { return from == "lib" };
    // Operators and the request path meet in `app` alone.
    let apart = matches!(from, "control" | "cli") && to == "gateway";
    from == to || (there < here && !apart) || matches!((from, to), ("config", "rules") | ("main", "app"))
}

// ---- what a rule found

#[derive(Default)]
struct Bad {
    file: PathBuf,
    found: String,
}

impl Bad {
    fn at(&mut self, line: usize, what: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.found, "  {}:{line}: {what}", self.file.display());
    }

    fn none(&self, rule: &str) {
        assert!(self.found.is_empty(), "{rule}:\n{}", self.found);
    }
}

/// Runs one rule over every source that is no test.
fn report(rule: &str, check: impl Fn(&Source, &mut Bad)) {
    let sources = sources("src");
    assert!(sources.len() > 10, "the sources were not found");
    let mut bad = Bad::default();
    for source in sources.iter().filter(|s| !s.is_test) {
        bad.file.clone_from(&source.path);
        check(source, &mut bad);
    }
    bad.none(rule);
}

// ---- reading sources

/// One file. `code` has comments, literals and tests blanked, byte for byte, so that places in it are places in `raw`.
struct Source {
    path: PathBuf,
    /// Below its folder, with `/`.
    name: String,
    /// The top module that it belongs to.
    module: String,
    raw: String,
    code: String,
    /// Lines that hold a comment, from 1.
    comments: Vec<usize>,
    test_lines: usize,
    /// Modules that it declares for tests alone: their files, without `.rs`.
    test_modules: Vec<String>,
    is_test: bool,
}

/// A path as code names it, with `use` groups taken apart.
struct Named {
    line: usize,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut all: Vec<_> = files.into_iter().map(|file| Source::read(&root, Path::new(folder), &file)).collect();
    let declared: Vec<String> = all.iter_mut().flat_map(|s| std::mem::take(&mut s.test_modules)).collect();
    for source in &mut all {
        let module = source.name.trim_end_matches(".rs");
        let below =
            |test: &String| module.strip_prefix(&**test).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        source.is_test |= declared.iter().any(below);
    }
    all
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|e| e.expect("a readable folder").path()) {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

impl Source {
    fn read(root: &Path, folder: &Path, file: &Path) -> Self {
        let raw = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let below = file.strip_prefix(root).expect("a file of this folder");
        Self::new(folder.join(below), below.to_string_lossy().replace('\\', "/"), raw)
    }

    fn new(path: PathBuf, name: String, raw: String) -> Self {
        let (code, comments) = blank(&raw);
        let tests = test_items(&code);
        let test_lines = tests.iter().map(|span| code[span.clone()].matches('\n').count() + 1).sum();
        let home = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let declared = |span: &Range<usize>| {
            code[span.clone()].strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name.trim())
        };
        let test_modules = tests.iter().filter_map(declared).map(|name| format!("{home}/{name}")).collect();
        let mut code = code.into_bytes();
        tests.into_iter().for_each(|span| erase(&mut code, span));
        let code = String::from_utf8(code).expect("whole characters were blanked");
        let module = name.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        let file = name.rsplit('/').next().unwrap_or_default();
        let is_test = name.split('/').any(|part| part == "tests") || matches!(file, "tests.rs" | "simulation.rs");
        Self { path, name, module, raw, code, comments, test_lines, test_modules, is_test }
    }

    /// From 1.
    fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    fn paths(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut seen_to = 0;
        for word in words(&self.code) {
            if word.start < seen_to {
                continue;
            }
            let line = self.line(word.start);
            let rest = &self.code[word.end..];
            if &self.code[word.clone()] == "use" && rest.starts_with(char::is_whitespace) {
                let end = rest.find(';').unwrap_or(rest.len());
                expand("", &rest[..end], &mut |text| found.push(Named { line, text }));
                seen_to = word.end + end;
            } else if rest.starts_with("::") && !self.code[..word.start].ends_with("::") {
                let end = rest.find(|c: char| !(c == ':' || is_word(c))).unwrap_or(rest.len());
                seen_to = word.end + end;
                found.push(Named { line, text: self.code[word.start..seen_to].to_owned() });
            }
        }
        found
    }

    /// The module below the crate's root that a path leads to: by `crate::`, or by enough `super::`.
    fn top_module_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let up = path.split("::").take_while(|s| *s == "super").count();
        let depth = self.name.split('/').filter(|part| !matches!(*part, "mod.rs" | "lib.rs")).count();
        let mut segments = path.split("::").skip(up);
        match up {
            0 if segments.next() == Some("crate") => segments.next(),
            1.. if up >= depth => segments.next(),
            _ => None,
        }
    }

    /// Each function's name, and where it stands from `fn` to its last brace.
    fn functions(&self) -> Vec<(&str, Range<usize>)> {
        let all: Vec<_> = words(&self.code).collect();
        let named = all.windows(2).filter(|pair| {
            let between = &self.code[pair[0].end..pair[1].start];
            &self.code[pair[0].clone()] == "fn" && between.trim().is_empty()
        });
        let whole = |pair: &[Range<usize>]| {
            let body = body_start(&self.code, pair[1].end)?;
            Some((&self.code[pair[1].clone()], pair[0].start..closing(&self.code, body) + 1))
        };
        named.filter_map(whole).collect()
    }
}

/// The first `{` outside parentheses, if it comes before a `;`.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    code.len() - 1
}

/// Items under `#[cfg(test)]` and its like, attribute included. Statements and fields are left alone.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(any(test"] {
        for (at, _) in code.match_indices(attribute) {
            let Some(item) = item_after(code, at) else { continue };
            let end = match body_start(code, item) {
                Some(open) if !code[item..].starts_with("use") => closing(code, open),
                _ => code[item..].find(';').map_or(code.len() - 1, |n| item + n),
            };
            spans.push(at..end + 1);
        }
    }
    spans.sort_by_key(|s| s.start);
    spans.dedup_by(|next, kept| next.start < kept.end);
    spans
}

/// Where the item stands that the attributes from `at` belong to, if it is one.
fn item_after(code: &str, mut at: usize) -> Option<usize> {
    const ITEMS: &[&str] =
        &["mod", "pub", "fn", "impl", "use", "struct", "enum", "trait", "const", "static", "type", "async", "unsafe"];
    while code[at..].starts_with("#[") {
        let after = at + code[at..].find(']')? + 1;
        at = after + code[after..].find(|c: char| !c.is_whitespace())?;
    }
    let word = words(&code[at..]).next()?;
    (word.start == 0 && ITEMS.contains(&&code[at..][word])).then_some(at)
}

/// `a::{b, c::{d, e as f}}` becomes `a::b`, `a::c::d`, `a::c::e`.
fn expand(prefix: &str, tree: &str, each: &mut dyn FnMut(String)) {
    let tree = tree.trim().trim_start_matches("::");
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split_whitespace().next().unwrap_or_default();
        // Behind a last comma there is nothing.
        if !path.is_empty() {
            each(format!("{prefix}{path}"));
        }
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut from) = (0, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                expand(&prefix, &group[from..at], each);
                from = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &group[from..], each);
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every identifier, keyword and number.
fn words(code: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + code[from..].find(is_word)?;
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |n| start + n);
        from = end;
        Some(start..end)
    })
}

/// Is this word the whole part of a number such as `1.5`? `pair.0.1` is none.
fn is_float(code: &str, word: &Range<usize>) -> bool {
    let digits = code[word.clone()].bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut after = code[word.end..].bytes();
    digits
        && !code[..word.start].ends_with('.')
        && after.next() == Some(b'.')
        && after.next().is_some_and(|b| b.is_ascii_digit())
}

/// Blanks comments and literals. Says also which lines hold a comment.
fn blank(raw: &str) -> (String, Vec<usize>) {
    let (mut code, mut comments) = (raw.to_owned().into_bytes(), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < raw.len() {
        let rest = &raw[at..];
        let said = comment(rest);
        let blanked = said.or_else(|| literal(rest, raw[..at].ends_with(is_word)));
        let length = blanked.unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
        let last = line + rest[..length].matches('\n').count();
        if said.is_some() {
            comments.extend(line..=last);
        }
        if blanked.is_some() {
            erase(&mut code, at..at + length);
        }
        (at, line) = (at + length, last);
    }
    (String::from_utf8(code).expect("whole characters were blanked"), comments)
}

/// Lines stay where they are.
fn erase(code: &mut [u8], span: Range<usize>) {
    code[span].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
}

/// The length of the comment that starts here.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let mut depth = 0;
    for (at, pair) in rest.as_bytes().windows(2).enumerate() {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ if depth == 0 => return None,
            _ => continue,
        }
        if depth == 0 {
            return Some(at + 2);
        }
    }
    None
}

/// The length of the string or character that starts here.
fn literal(rest: &str, after_word: bool) -> Option<usize> {
    let raw = rest.trim_start_matches('b').strip_prefix('r').filter(|_| !after_word);
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(text) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return Some(rest.len() - text.len() + text.find(&end).map_or(text.len(), |n| n + end.len()));
        }
    }
    match rest.as_bytes()[0] {
        b'"' => Some(1 + until(&rest[1..], b'"')),
        // `'a'` and `'\n'`; a lifetime has no quote behind its first character.
        b'\'' if rest[1..].starts_with('\\') => Some(1 + until(&rest[1..], b'\'')),
        b'\'' => {
            let inside = rest[1..].chars().next()?.len_utf8();
            rest[1 + inside..].starts_with('\'').then_some(inside + 2)
        }
        _ => None,
    }
}

/// Up to and with the first such quote that no backslash escapes.
fn until(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b if b == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The names under `[dependencies]`, as code writes them.
fn dependencies() -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap_or_else(|e| panic!("{}: {e}", manifest.display()));
    let ours = text.lines().skip_while(|l| *l != "[dependencies]").skip(1).take_while(|l| !l.starts_with('['));
    ours.filter_map(|l| l.split_once('=')).map(|(name, _)| name.trim().replace('-', "_")).collect()
}

// ---- the reader itself

fn source(name: &str, text: &str) -> Source {
    Source::new(PathBuf::from(name), name.to_owned(), text.to_owned())
}

#[test]
fn the_reader_sees_code_alone() {
    let text = r##"
// use crate::gateway::a;
/* use /* crate::b */ crate::c */ const A: &str = "crate::d \" crate::e"; // why
const B: &str = r#"crate::f " crate::g"#; const C: u8 = b'"'; fn f<'a>(x: &'a str) -> char { '\'' }
use crate::{units::{ids, money as m}, rules::path};
fn g() { crate::config::h(); super::super::app::i() }
#[cfg(test)]
mod tests {
    use crate::cli::j;
}
"##;
    let s = source("gateway/x.rs", text);
    let named: Vec<_> = s.paths().iter().map(|p| p.text.clone()).collect();
    let expected =
        ["crate::units::ids", "crate::units::money", "crate::rules::path", "crate::config::h", "super::super::app::i"];
    assert_eq!(named, expected);
    assert_eq!(named.iter().filter_map(|n| s.top_module_of(n)).next_back(), Some("app"));
    assert_eq!((s.comments.as_slice(), s.test_lines), (&[2, 3, 3][..], 4));
    assert_eq!(source("a/mod.rs", "#[cfg(test)]\nmod rig;").test_modules, ["a/rig"]);
    assert_eq!(s.functions().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["f", "g"]);
}

#[test]
fn floors_are_as_the_layout_says() {
    for (from, to, yes) in [
        ("gateway", "rules", true),
        ("gateway", "gateway", true),
        ("config", "rules", true),
        ("rules", "config", false),
        ("rules", "adapters", false),
        ("control", "gateway", false),
        ("cli", "adapters", true),
        ("cli", "control", false),
        ("gateway", "control", false),
        ("app", "gateway", true),
        ("main", "app", true),
        ("units", "no_such_module", false),
    ] {
        assert_eq!(may_import(from, to), yes, "{from} -> {to}");
    }
}
