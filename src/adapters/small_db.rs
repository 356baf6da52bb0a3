//! A small SQLite file that one store has to itself: opened or made, in WAL mode, with the tables of the one version that this
//! program knows. Knows no table; each store brings its own.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// What survives when a change has returned.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    ProcessDeath,
    PowerLoss,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("it has version {found}; this bursar knows {VERSION}")]
    Newer { found: i64 },
}

/// Forward only. A newer file than this program knows is refused.
const VERSION: i64 = 1;

/// Opens or makes it; `tables` makes them.
pub fn open(path: &Path, survives: Survives, tables: &str) -> Result<Connection, OpenError> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match survives {
        Survives::ProcessDeath => "NORMAL",
        Survives::PowerLoss => "FULL",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    match db.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        0 => {
            let tx = db.transaction()?;
            tx.execute_batch(tables)?;
            tx.pragma_update(None, "user_version", VERSION)?;
            tx.commit()?;
        }
        VERSION => {}
        found => return Err(OpenError::Newer { found }),
    }
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_made_once_and_newer_ones_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("small.db");
        let open = || open(&file, Survives::PowerLoss, "CREATE TABLE t (x INTEGER)");
        open().expect("made").execute("INSERT INTO t VALUES (1)", []).expect("a row");
        let again = open().expect("opened");
        assert_eq!(again.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)), Ok(1));
        again.pragma_update(None, "user_version", 7).expect("a later program's");
        assert!(open().is_err_and(|e| e.to_string() == "it has version 7; this bursar knows 1"));
    }
}
