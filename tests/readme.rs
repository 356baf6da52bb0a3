//! What README says of tests: every row of its tables of faults, and every test that it names, is one that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Fewer words make a name that may be something else in backticks.
const WORDS: usize = 3;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every function behind `#[test]` or `#[tokio::test]`.
fn tests(root: &Path) -> BTreeSet<String> {
    let mut all = Vec::new();
    ["tests", "src"].iter().for_each(|folder| files(&root.join(folder), &mut all));
    let mut found = BTreeSet::new();
    for file in all {
        let text = fs::read_to_string(file).expect("readable");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in
            lines.windows(2).filter(|pair| pair[0].starts_with("#[test]") || pair[0].starts_with("#[tokio::test"))
        {
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            found.extend(name.map(str::to_owned));
        }
    }
    found
}

/// The parts of a line in backticks that look like the name of a test.
fn named(line: &str) -> Vec<&str> {
    let looks = |word: &&str| {
        word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && word.split('_').count() >= WORDS
    };
    line.split('`').skip(1).step_by(2).filter(looks).collect()
}

#[test]
fn readme_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (readme, tests) = (fs::read_to_string(root.join("README.md")).expect("readable"), tests(root));
    let rows: Vec<&str> = readme.lines().skip_while(|l| !l.starts_with("| fault (test)")).skip(2).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|l| l.starts_with('|')).collect();
    assert!(rows.len() > 10, "the table of faults is there");
    for row in rows {
        let first = row.split('|').nth(1).unwrap_or_default();
        let names = named(first);
        assert!(!names.is_empty(), "a fault without its test: {first}");
        for name in names {
            assert!(tests.contains(name), "README names `{name}`, which is no test");
        }
    }
    for name in readme.lines().filter(|l| l.contains("_although_")).flat_map(named) {
        assert!(tests.contains(name), "README names `{name}`, which is no test");
    }
}
