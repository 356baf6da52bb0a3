//! `capture = { keep = "30d" }`: bodies that are kept word for word, because a policy says so.

use super::super::raw::Table;
use super::super::size;
use crate::rules::policy::Capture;

/// Bytes of one body, unless the policy says otherwise, and at most.
const USUAL: usize = 1 << 20;
const MOST: usize = 64 << 20;

pub(super) fn read(table: &Table<'_>) -> Option<Capture> {
    let flag = |key| table.get(key).and_then(|n| n.flag()).unwrap_or(true);
    let (requests, answers) = (flag("requests"), flag("answers"));
    if !requests && !answers {
        table.wrong("neither `requests` nor `answers` is left to be kept: leave `capture` out");
    }
    let most = table.get("most").map(|node| {
        let most = node.parsed(size::parse).unwrap_or(USUAL);
        if !(1..=MOST).contains(&most) {
            node.wrong("it must be 1 byte to 64MiB");
        }
        most
    });
    let node = table.need("keep", "how long bodies are kept, such as `30d`");
    let keep = node.as_ref().and_then(|node| node.duration());
    if let (Some(node), true) = (&node, keep.is_some_and(|k| k.as_secs() == 0)) {
        node.wrong("bodies that are kept for less than a second are not kept");
    }
    table.done();
    Some(Capture { keep: keep?, requests, answers, most: most.unwrap_or(USUAL) })
}
