//! Places and kinds of mistakes.

use super::*;

#[test]
fn every_mistake_of_a_file_is_found_with_its_line() {
    let text = "a = 1\nb = \"x\"\nlist = [1, \"two\"]\n[t]\nthre = 3\n";
    let found = read("f.toml", text, |root| {
        root.get("a")?.text();
        root.get("b")?.count();
        root.get("list")?.list()?.iter().for_each(|n| assert_eq!(n.text().is_some(), n.value().is_str()));
        let t = root.get("t")?.table()?;
        t.need("three", "a number");
        t.done();
        root.done();
        Some(())
    });
    let lines: Vec<String> = found.expect_err("mistakes").0.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f.toml:1: a: it is a whole number, and must be a text",
            "f.toml:2: b: it is a text, and must be a whole number, not below zero",
            "f.toml:3: list[0]: it is a whole number, and must be a text",
            "f.toml:4: t.three: it is missing: a number",
            "f.toml:5: t.thre: no such key; did you mean `three`?",
        ]
    );
}

#[test]
fn several_syntax_errors_are_several_mistakes() {
    let found = read("f.toml", "a = \nb = ]\nc = 1\n", |_| Some(())).expect_err("mistakes");
    assert!(found.0.len() >= 2, "{found}");
    assert_eq!((found.0[0].line, found.0[1].line), (1, 2));
}
