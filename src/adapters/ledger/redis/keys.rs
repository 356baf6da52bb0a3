//! The keys of one ledger: few, always the same, all in one hash slot. Every script is given all of them, in this order; what
//! each holds stands in DESIGN and at the top of the Lua files.

/// In the order in which `lua/lib.lua` names them.
const NAMES: [&str; 16] = [
    "meta", "flags", "shapes", "accounts", "holds", "leases", "ended", "replays", "paid", "events", "rates", "slices",
    "nodes", "left", "again", "lent",
];

/// Names of the keys. All carry the ledger's name as their hash tag.
pub struct Keys {
    name: String,
    all: [String; NAMES.len()],
    bell: String,
}

impl Keys {
    pub fn new(ledger: &str) -> Self {
        let tag = format!("{{{ledger}}}");
        let all = NAMES.map(|name| format!("{tag}:{name}"));
        Self { name: ledger.to_owned(), all, bell: format!("{tag}:bell") }
    }

    /// The ledger's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that a script may touch.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    pub fn meta(&self) -> &str {
        &self.all[0]
    }

    pub fn flags(&self) -> &str {
        &self.all[1]
    }

    /// The stream of events.
    pub fn events(&self) -> &str {
        &self.all[9]
    }

    /// The stream as it was when a rebuild began, until that has come to its end.
    pub fn left(&self) -> &str {
        &self.all[13]
    }

    /// The channel on which changes are told.
    pub fn bell(&self) -> &str {
        &self.bell
    }

    /// Any other key of this ledger.
    pub fn named(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.name)
    }
}
