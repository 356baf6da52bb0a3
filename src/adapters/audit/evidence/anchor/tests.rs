//! Places that fail, come back, and hold what the books do not.

use super::file::CursorFile;
use super::*;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::rules::evidence::{Checkpoint, PublicKey, Signature};
use crate::units::time::Timestamp;

fn signed(number: u64) -> Signed {
    let checkpoint = Checkpoint {
        version: 1,
        number,
        from: number,
        to: number,
        events: 1,
        head: Digest32([1; 32]),
        root: Digest32([2; 32]),
        at: Timestamp(1_790_000_000_000_000),
        key: PublicKey(Digest32([3; 32])),
        previous: Digest32::default(),
        next_key: None,
        pruned_to: 0,
    };
    Signed { checkpoint, signature: Signature([4; 64]) }
}

fn line(number: u64) -> String {
    serde_json::to_string(&signed(number)).expect("plain data")
}

#[test]
fn a_file_is_its_own_cursor_and_a_torn_line_is_no_anchor() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("anchors.jsonl");
    let file = AnchorFile::new(&path);
    assert_eq!(file.cursor(), Ok(None));
    file.append(&line(1)).expect("written");
    let whole = std::fs::read_to_string(&path).expect("there");
    std::fs::write(&path, format!("{whole}{}", &line(2)[..100])).expect("torn");
    let first = Cursor { number: 1, hash: signed(1).checkpoint.hash() };
    assert_eq!(file.cursor(), Ok(Some(first)));
    file.append(&line(2)).expect("written");
    assert_eq!(file.cursor().expect("read").map(|c| c.number), Some(2));
    let text = std::fs::read_to_string(&path).expect("there");
    assert!(text.starts_with(&whole) && text.ends_with(&format!("\n{}\n", line(2))), "{text}");
    std::fs::write(&path, "dear diary\n").expect("written");
    assert!(file.cursor().expect_err("a file of something else").contains("is no checkpoint"));
}

#[test]
fn a_cursor_is_kept_whole_and_what_is_no_cursor_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = CursorFile::new(dir.path(), "there");
    assert_eq!(at.read(), Ok(None));
    let cursor = Cursor { number: 7, hash: Digest32([7; 32]) };
    at.write(cursor).expect("written");
    assert_eq!(at.read(), Ok(Some(cursor)));
    std::fs::write(dir.path().join("anchors/there"), "7").expect("written");
    assert!(at.read().is_err());
}

#[test]
fn books_that_lack_what_was_anchored_are_not_those_that_were() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = SqliteBooks::open(dir.path()).expect("books");
    (1..=3).for_each(|n| store.seal(&signed(n)).expect("written"));
    let at = |number, hash| known(&store, Cursor { number, hash });
    assert_eq!(at(2, signed(2).checkpoint.hash()), Ok(2));
    assert!(at(2, Digest32([9; 32])).expect_err("rewritten").contains("another one of this number"));
    assert!(at(4, signed(4).checkpoint.hash()).expect_err("cut").contains("do not have it"));
}
