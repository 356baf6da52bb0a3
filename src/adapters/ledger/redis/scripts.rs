//! The scripts, each put together from its parts. A script is known by the hash of its text, so old and new nodes can run side
//! by side; what they write is versioned by `meta.format`, and a script refuses a format that it does not know.

use redis::Script;

/// What the scripts of this version write.
pub const FORMAT: &str = "1";

const TIME: &str = include_str!("lua/time.lua");
const LIB: &str = include_str!("lua/lib.lua");
const HOLDS: &str = include_str!("lua/holds.lua");
const LIMITS: &str = include_str!("lua/limits.lua");
const WALK: &str = include_str!("lua/walk.lua");
const ENDS: &str = include_str!("lua/ends.lua");
const ONCE: &str = include_str!("lua/once.lua");
const RATES: &str = include_str!("lua/rates.lua");
const LENT: &str = include_str!("lua/lent.lua");

/// What must run also when memory is out: ends of holds and changes by people take little, and free more; questions take none.
const ALWAYS: &str = "#!lua flags=allow-oom\n";
const WITH_ROOM: &str = "#!lua\n";

pub struct Scripts {
    pub init: Script,
    pub reserve: Script,
    pub resize: Script,
    pub settle: Script,
    pub expire: Script,
    pub renew: Script,
    pub adjust: Script,
    pub correct: Script,
    pub deny: Script,
    pub control: Script,
    pub accounts: Script,
    pub shapes: Script,
    pub want: Script,
    pub declare: Script,
    pub check: Script,
    pub remembered: Script,
    pub slice: Script,
    pub ship: Script,
    pub rebuild: Script,
    pub load: Script,
    pub restore: Script,
    pub reopen: Script,
    pub doubt: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self::told_apart("")
    }

    /// Under hashes of their own, as another version has them: with these words on top.
    pub(super) fn told_apart(words: &str) -> Self {
        let script = |head: &str, parts: &[&str]| Script::new(&format!("{head}{words}{}", parts.concat()));
        let append = include_str!("lua/append.lua");
        let base = |head, rest: &[&str]| script(head, &[&[TIME, LIB], rest].concat());
        let ends = |rest| base(ALWAYS, &[HOLDS, ENDS, rest]);
        Self {
            init: script(WITH_ROOM, &[include_str!("lua/init.lua")]),
            reserve: base(WITH_ROOM, &[HOLDS, LIMITS, RATES, include_str!("lua/reserve.lua")]),
            resize: base(ALWAYS, &[HOLDS, LIMITS, include_str!("lua/resize.lua")]),
            settle: ends(include_str!("lua/settle.lua")),
            expire: ends(include_str!("lua/expire.lua")),
            renew: base(ALWAYS, &[HOLDS, include_str!("lua/renew.lua")]),
            adjust: ends(include_str!("lua/adjust.lua")),
            correct: ends(include_str!("lua/correct.lua")),
            deny: base(WITH_ROOM, &[ONCE, append]),
            control: base(ALWAYS, &[ONCE, append]),
            accounts: base(ALWAYS, &[include_str!("lua/accounts.lua")]),
            shapes: base(ALWAYS, &[include_str!("lua/shapes.lua")]),
            want: base(WITH_ROOM, &[include_str!("lua/want.lua")]),
            declare: base(WITH_ROOM, &[HOLDS, WALK, include_str!("lua/declare.lua")]),
            check: base(ALWAYS, &[HOLDS, WALK, include_str!("lua/check.lua")]),
            slice: base(ALWAYS, &[HOLDS, LENT, include_str!("lua/slice.lua")]),
            ship: ends(&[LENT, include_str!("lua/ship.lua")].concat()),
            rebuild: script(ALWAYS, &[include_str!("lua/rebuild.lua")]),
            doubt: script(ALWAYS, &[include_str!("lua/doubt.lua")]),
            load: base(ALWAYS, &[include_str!("lua/load.lua")]),
            restore: base(ALWAYS, &[HOLDS, ONCE, include_str!("lua/restore.lua")]),
            reopen: base(ALWAYS, &[include_str!("lua/reopen.lua")]),
            remembered: base(ALWAYS, &[HOLDS, include_str!("lua/remembered.lua")]),
        }
    }
}
