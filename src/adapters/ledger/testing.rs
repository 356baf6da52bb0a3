//! For tests of this folder: an embedded ledger in a folder of its own, and a permit as the policy rules make them.

use std::sync::Arc;

use tempfile::TempDir;

use super::embedded::Embedded;
use super::journal::Durability;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::config::policy_file;
use crate::rules::ledger::book::rig;
use crate::rules::path::CanonicalPath;
use crate::rules::policy::{Decision, Permit, PolicySet, Question};
use crate::units::time::Timestamp;

pub struct House {
    pub dir: TempDir,
    pub ledger: Arc<Embedded>,
}

pub fn house() -> House {
    let dir = TempDir::new().expect("a folder");
    let ledger = open(&dir, Durability::Process);
    House { dir, ledger }
}

pub fn open(dir: &TempDir, durability: Durability) -> Arc<Embedded> {
    let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    Embedded::open(dir.path(), durability, books).expect("it opens")
}

/// What the rules say of a call that they allow.
pub fn permit() -> Permit {
    let text = "name = \"p\"\nvendors = [\"v\"]\n[[allow]]\npaths = [\"/v1/x\"]\ntier = \"read-only\"\n";
    let policy = policy_file::read("p.toml", text, None).unwrap_or_else(|e| panic!("{e}"));
    let set = PolicySet::new(vec![policy], Vec::new()).expect("a sound set");
    let path = CanonicalPath::parse("/v1/x").expect("canonical").path;
    let facts = rig::facts("a");
    let question = Question {
        now: Timestamp::now(),
        facts: &facts,
        lines: None,
        overlays: &[],
        operation: None,
        method: "GET",
        path: &path,
        args: None,
        account_headers: &[],
        test_mode: false,
    };
    match set.decide(&question) {
        Decision::Permit(permit) => permit,
        _ => panic!("the policy allows it"),
    }
}
