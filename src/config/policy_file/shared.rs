//! `lease = true` and `[store_down]`: what a policy allows on a ledger that several nodes share. A ledger of one process
//! has no use for either.

use crate::config::raw::Table;
use crate::rules::ledger::ask::{Down, Manner};

/// Longer than that nobody may go on without the store: what is lent would be locked up as long.
const LONGEST_SECS: u64 = 3600;

pub(super) fn read(root: &Table<'_>, global: bool) -> Manner {
    if global {
        for key in ["lease", "store_down"] {
            root.refuse(key, "this is for the policy that a key lives under: leave it out here");
        }
        return Manner::default();
    }
    let lease = root.get("lease").and_then(|n| n.flag()).unwrap_or(false);
    let down = root.get("store_down").and_then(|n| n.table()).and_then(|t| down(&t)).unwrap_or_default();
    Manner { lease, down }
}

/// `ledger = "leased"`, `for = "60s"`
fn down(table: &Table<'_>) -> Option<Down> {
    let ledger = table.need("ledger", "`closed`, `leased` or `open`");
    let words = [("closed", Way::Closed), ("leased", Way::Leased), ("open", Way::Open)];
    let way = ledger.and_then(|node| node.word(&words));
    let secs = match way {
        Some(Way::Closed) => {
            table.refuse("for", "`closed` refuses from the first moment on: leave it out");
            None
        }
        _ => table.need("for", "how long to go on without the store, such as `60s`").and_then(|node| {
            let secs = node.duration()?.as_secs();
            if !(1..=LONGEST_SECS).contains(&secs) {
                node.wrong("it must be one second to one hour");
            }
            u32::try_from(secs).ok()
        }),
    };
    table.done();
    Some(match way? {
        Way::Closed => Down::Closed,
        Way::Leased => Down::Leased { secs: secs? },
        Way::Open => Down::Open { secs: secs? },
    })
}

#[derive(Clone, Copy)]
enum Way {
    Closed,
    Leased,
    Open,
}
