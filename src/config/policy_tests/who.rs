//! `who`: whose key a case is sent with.

use crate::config::raw::Table;
use crate::rules::rehearsal::Actor;
use crate::rules::subject::Name;

/// What is not named stays as it is.
pub(super) fn read(table: &Table<'_>, actor: &mut Actor) {
    let name = |key| table.get(key).and_then(|node| node.text()).map(Name::from);
    let flag = |key| table.get(key).and_then(|node| node.flag());
    let subject = &mut actor.subject;
    if let Some(tenant) = name("tenant") {
        subject.tenant = tenant;
    }
    for (key, level) in [
        ("workspace", &mut subject.workspace),
        ("app", &mut subject.app),
        ("workflow", &mut subject.workflow),
        ("agent", &mut subject.agent),
        ("toolset", &mut subject.toolset),
        ("run", &mut subject.run),
    ] {
        // An empty text takes away what the table said for all cases.
        *level = name(key).or(level.take()).filter(|name| !name.is_empty());
    }
    actor.claimed_run = flag("claims_run").unwrap_or(actor.claimed_run);
    actor.test_key = flag("test_key").unwrap_or(actor.test_key);
    table.done();
}
