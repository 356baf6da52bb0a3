//! The tables of `books.db` and how older files become newer ones: forward only, one transaction a step, checked at start.
//! `events` is the whole truth. `call_rows` and `facts` are its index: narrow, so that a call costs little to write, and the
//! rest of a row is read from its events. The view `calls` shows whole rows to whoever opens the file with `sqlite3`.

use rusqlite::{Connection, Transaction, params};

use super::super::AuditError;
use crate::units::time::Timestamp;

/// Each step leads one version further. Never change one that has shipped: add the next.
const STEPS: &[&str] = &[FIRST, QUESTIONS, CHECKPOINTS, IDENTITY, PRICED, PLAIN_WORDS, MADE, APPROVED];

const FIRST: &str = "
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT, call_id BLOB, body TEXT NOT NULL, head BLOB NOT NULL
);
-- Who and where, once for all calls that share it.
CREATE TABLE facts (
    id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, agent TEXT, run TEXT, key TEXT,
    policy TEXT NOT NULL, vendor TEXT NOT NULL, operation TEXT NOT NULL
);
CREATE INDEX facts_by_agent ON facts (agent);
CREATE INDEX facts_by_run ON facts (run);
CREATE INDEX facts_by_key ON facts (key);
-- `seq` is the event that opened the call; `closed` and `adjusted` are later ones. Amounts are what was charged.
CREATE TABLE call_rows (
    seq INTEGER PRIMARY KEY, call_id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, facts INTEGER REFERENCES facts (id),
    admitted INTEGER NOT NULL, verdict TEXT NOT NULL, outcome TEXT, closed INTEGER, adjusted INTEGER,
    flagged INTEGER NOT NULL DEFAULT 0, usd INTEGER NOT NULL DEFAULT 0, tokens INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0, risk INTEGER NOT NULL DEFAULT 0
);
-- With the row's own `seq` behind it, this finds the newest calls of anybody.
CREATE INDEX call_rows_by_facts ON call_rows (facts);
CREATE TABLE place (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seq INTEGER NOT NULL, head BLOB NOT NULL);
INSERT INTO place VALUES (1, 0, zeroblob(32));
CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, noticed_at INTEGER NOT NULL);
CREATE VIEW calls AS SELECT
    r.seq, o.body ->> '$.row.call' AS call_id, f.run AS run_id, f.agent AS agent_id, o.body -> '$.row.facts.subject' AS subject,
    f.key AS key_id, f.policy AS policy_id, o.body ->> '$.row.policy_hash' AS policy_hash, o.body ->> '$.at' AS timestamp_utc,
    f.vendor, o.body ->> '$.row.endpoint' AS endpoint, o.body ->> '$.row.method' AS method, o.body ->> '$.row.path' AS path,
    o.body ->> '$.row.action' AS action, o.body ->> '$.row.tier' AS tier, r.verdict, o.body ->> '$.row.enforced' AS enforced,
    o.body ->> '$.row.reason' AS reason, coalesce(c.body ->> '$.row.http_status', o.body ->> '$.row.http_status') AS http_status,
    c.body ->> '$.row.vendor_request_id' AS vendor_request_id, o.body ->> '$.row.estimate.usd' AS estimate_usd,
    CASE WHEN r.outcome IS NOT NULL
        THEN rtrim(rtrim(printf('%d.%08d', r.usd / 100000000, r.usd % 100000000), '0'), '.') END AS cost_usd,
    CASE WHEN r.admitted = 0 THEN 'none' WHEN r.outcome = 'expired' THEN 'estimated'
        ELSE c.body ->> '$.row.cost_source' END AS cost_source,
    c.body ->> '$.row.tokens.input' AS tokens_in, c.body ->> '$.row.tokens.output' AS tokens_out,
    c.body ->> '$.row.tokens.cached' AS tokens_cached, c.body ->> '$.row.tokens.reasoning' AS tokens_reasoning,
    r.outcome, NULL AS approved_by, c.body ->> '$.row.latency_ms' AS latency_ms,
    c.body ->> '$.row.overhead_us' AS overhead_us, o.body ->> '$.row.request_hash' AS request_hash,
    o.body ->> '$.row.trace_id' AS trace_id, c.body ->> '$.row.error' AS error
FROM call_rows r JOIN events o ON o.seq = r.seq LEFT JOIN events c ON c.seq = r.closed LEFT JOIN facts f ON f.id = r.facts;
";

/// Indexes that hold only what is rare, so that a usual call does not pay for them.
const QUESTIONS: &str = "
CREATE INDEX changes ON events (seq) WHERE kind NOT IN ('admitted', 'settled', 'denied');
CREATE INDEX call_rows_by_verdict ON call_rows (verdict, seq) WHERE verdict <> 'allow';
CREATE INDEX call_rows_by_outcome ON call_rows (outcome, seq) WHERE outcome <> 'ok';
CREATE INDEX call_rows_flagged ON call_rows (seq) WHERE flagged = 1;
";

/// `last` is the event that a checkpoint ends with; `body` its JSON, with the signature.
const CHECKPOINTS: &str = "
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY, last INTEGER NOT NULL, names_key INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX checkpoints_that_name_a_key ON checkpoints (number) WHERE names_key = 1;
";

/// Names these very books, so that a ledger elsewhere knows whose it is.
const IDENTITY: &str = "
CREATE TABLE identity (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), id TEXT NOT NULL);
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
";

pub(super) fn identity(db: &Connection) -> Result<String, AuditError> {
    Ok(db.query_row("SELECT id FROM identity", [], |row| row.get(0))?)
}

/// What each call was priced by, beside the columns that there were: of an older call, nothing.
const PRICED: &str = "
CREATE VIEW priced_calls AS SELECT
    v.*, c.body -> '$.row.priced' AS priced, c.body ->> '$.row.priced.book' AS price_book,
    c.body ->> '$.row.priced.runs[0].row' AS price_row
FROM calls v JOIN call_rows r ON r.seq = v.seq LEFT JOIN events c ON c.seq = r.closed;
";

/// The same index in plain comparisons: for `NOT IN` SQLite makes a table of the words anew for each event, which cost more
/// than the event itself. Older books are read once for it.
const PLAIN_WORDS: &str = "
DROP INDEX changes;
CREATE INDEX changes ON events (seq) WHERE kind <> 'admitted' AND kind <> 'settled' AND kind <> 'denied';
";

/// What calls made at their vendors, by its name: few do.
const MADE: &str = "
CREATE INDEX events_that_made ON events (body ->> '$.row.made.object')
    WHERE (kind = 'settled' OR kind = 'adjusted') AND instr(body, '\"made\":{\"object\":') > 0;
";

/// Who approved each call: a view cannot be changed, so both are made anew.
const APPROVED: &str = "
DROP VIEW priced_calls;
DROP VIEW calls;
CREATE VIEW calls AS SELECT
    r.seq, o.body ->> '$.row.call' AS call_id, f.run AS run_id, f.agent AS agent_id, o.body -> '$.row.facts.subject' AS subject,
    f.key AS key_id, f.policy AS policy_id, o.body ->> '$.row.policy_hash' AS policy_hash, o.body ->> '$.at' AS timestamp_utc,
    f.vendor, o.body ->> '$.row.endpoint' AS endpoint, o.body ->> '$.row.method' AS method, o.body ->> '$.row.path' AS path,
    o.body ->> '$.row.action' AS action, o.body ->> '$.row.tier' AS tier, r.verdict, o.body ->> '$.row.enforced' AS enforced,
    o.body ->> '$.row.reason' AS reason, coalesce(c.body ->> '$.row.http_status', o.body ->> '$.row.http_status') AS http_status,
    c.body ->> '$.row.vendor_request_id' AS vendor_request_id, o.body ->> '$.row.estimate.usd' AS estimate_usd,
    CASE WHEN r.outcome IS NOT NULL
        THEN rtrim(rtrim(printf('%d.%08d', r.usd / 100000000, r.usd % 100000000), '0'), '.') END AS cost_usd,
    CASE WHEN r.admitted = 0 THEN 'none' WHEN r.outcome = 'expired' THEN 'estimated'
        ELSE c.body ->> '$.row.cost_source' END AS cost_source,
    c.body ->> '$.row.tokens.input' AS tokens_in, c.body ->> '$.row.tokens.output' AS tokens_out,
    c.body ->> '$.row.tokens.cached' AS tokens_cached, c.body ->> '$.row.tokens.reasoning' AS tokens_reasoning,
    r.outcome, o.body ->> '$.row.approved_by' AS approved_by, c.body ->> '$.row.latency_ms' AS latency_ms,
    c.body ->> '$.row.overhead_us' AS overhead_us, o.body ->> '$.row.request_hash' AS request_hash,
    o.body ->> '$.row.trace_id' AS trace_id, c.body ->> '$.row.error' AS error
FROM call_rows r JOIN events o ON o.seq = r.seq LEFT JOIN events c ON c.seq = r.closed LEFT JOIN facts f ON f.id = r.facts;
CREATE VIEW priced_calls AS SELECT
    v.*, c.body -> '$.row.priced' AS priced, c.body ->> '$.row.priced.book' AS price_book,
    c.body ->> '$.row.priced.runs[0].row' AS price_row
FROM calls v JOIN call_rows r ON r.seq = v.seq LEFT JOIN events c ON c.seq = r.closed;
";

pub(super) fn migrate(db: &mut Connection) -> Result<(), AuditError> {
    db.execute_batch("CREATE TABLE IF NOT EXISTS version (number INTEGER PRIMARY KEY, made_at TEXT NOT NULL)")?;
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = tx.query_row("SELECT coalesce(max(number), 0) FROM version", [], |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > STEPS.len() {
        let known = STEPS.len();
        return Err(AuditError::Unreadable(format!(
            "books.db has version {found}, and this bursar knows {known}: use a newer one"
        )));
    }
    for (number, step) in (1_i64..).zip(STEPS).skip(found) {
        take(&tx, number, step)?;
    }
    Ok(tx.commit()?)
}

fn take(tx: &Transaction<'_>, number: i64, step: &str) -> Result<(), AuditError> {
    tx.execute_batch(step)?;
    tx.execute("INSERT INTO version VALUES (?1, ?2)", params![number, Timestamp::now().to_string()])?;
    Ok(())
}
