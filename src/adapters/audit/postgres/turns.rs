//! Whose turn it is to write: a lock of the server that lives as long as the connection which writes. So two can never write at
//! once, whatever they believe, and a process that dies gives its turn up by that. One that hangs has it taken. Writes nothing.

use tokio_postgres::Client;

use super::super::AuditError;

/// The lock's two numbers: the first only has to differ from those of other programs on the same database, the second is the
/// schema, so that each has a writer of its own.
const OURS: &str = "1652912755";
const SCHEMA: &str = "hashtext(current_schema())";

/// Takes the lock, if nobody has it.
pub(super) async fn take(db: &Client) -> Result<bool, AuditError> {
    Ok(db.query_one(&format!("SELECT pg_try_advisory_lock({OURS}, {SCHEMA})"), &[]).await?.try_get(0)?)
}

/// The same, where there should be nobody else.
pub(super) async fn insist(db: &Client) -> Result<(), AuditError> {
    if take(db).await? { Ok(()) } else { Err(AuditError::Store("another bursar writes these books".to_owned())) }
}

/// Whoever has the lock says something every second. One that has said nothing for several hangs, or its machine is gone and
/// nobody told the server: its connection is ended, and with it the lock and what was half written. A long statement is work.
pub(super) async fn free_from_the_silent(db: &Client) -> Result<(), AuditError> {
    let sql = format!(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {OURS}
        AND l.objid::bigint = ({SCHEMA}::bigint & 4294967295) AND a.datname = current_database()
        AND clock_timestamp() - a.state_change > CASE a.state WHEN 'active' THEN interval '30s' ELSE interval '5s' END"
    );
    if !db.query(&sql, &[]).await?.is_empty() {
        tracing::warn!("whoever wrote the books was silent for too long: its connection to PostgreSQL was ended");
    }
    Ok(())
}
