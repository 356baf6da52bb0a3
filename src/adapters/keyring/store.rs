//! The keyring's disk: two tables in `keys.db`, each change forced to the disk before it returns. Knows no rule about keys.

use std::path::Path;

use rusqlite::{Connection, params};

use super::KeyringError;
use super::record::{FlagRecord, KeyRecord};
use crate::adapters::small_db::{self, OpenError, Survives};
use crate::rules::books::Act;
use crate::rules::subject::Flag;
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE keys (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE flags (
        flag TEXT PRIMARY KEY, is_set INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT,
        at INTEGER NOT NULL, told INTEGER NOT NULL
    ) WITHOUT ROWID;
";

pub(super) struct Store(Connection);

impl From<OpenError> for KeyringError {
    fn from(e: OpenError) -> Self {
        Self::Store(e.to_string())
    }
}

impl From<rusqlite::Error> for KeyringError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Store(e.to_string())
    }
}

fn unreadable(what: &str, e: impl std::fmt::Display) -> KeyringError {
    KeyringError::Store(format!("{what} cannot be read: {e}"))
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, KeyringError> {
        Self::connect(path).map_err(|e| match e {
            KeyringError::Store(why) => KeyringError::Store(format!("{}: {why}", path.display())),
            other => other,
        })
    }

    fn connect(path: &Path) -> Result<Self, KeyringError> {
        // A revocation that was answered must survive power loss.
        let db = small_db::open(path, Survives::PowerLoss, SCHEMA)?;
        Ok(Self(db))
    }

    /// For tests: a disk that takes nothing.
    #[cfg(test)]
    pub(super) fn forbid_writes(&self, yes: bool) {
        self.0.pragma_update(None, "query_only", yes).expect("a pragma");
    }

    pub(super) fn keys(&self) -> Result<Vec<KeyRecord>, KeyringError> {
        let mut query = self.0.prepare("SELECT id, record FROM keys")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(KeyringError::from).and_then(|(id, json)| read_key(&id, &json))).collect()
    }

    pub(super) fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>, KeyringError> {
        let mut query = self.0.prepare_cached("SELECT record FROM keys WHERE id = ?1")?;
        let json = query.query_map([id.as_str()], |row| row.get::<_, String>(0))?.next().transpose()?;
        json.map(|json| read_key(id.as_str(), &json)).transpose()
    }

    pub(super) fn flags(&self) -> Result<Vec<FlagRecord>, KeyringError> {
        let mut query = self.0.prepare("SELECT flag, is_set, actor, reason, at, told FROM flags")?;
        let rows = query.query_map([], |row| {
            let act = Act { actor: row.get(2)?, reason: row.get(3)? };
            Ok((row.get::<_, String>(0)?, row.get(1)?, act, Timestamp(row.get(4)?), row.get(5)?))
        })?;
        rows.map(|row| {
            let (flag, on, act, at, told) = row?;
            let flag: Flag = serde_json::from_str(&flag).map_err(|e| unreadable(&format!("flag {flag}"), e))?;
            Ok(FlagRecord { flag, on, act, at, told })
        })
        .collect()
    }

    pub(super) fn insert(&self, key: &KeyRecord) -> Result<(), KeyringError> {
        let json = serde_json::to_string(key).map_err(|e| KeyringError::Store(e.to_string()))?;
        let sql = "INSERT INTO keys (id, created_at, record) VALUES (?1, ?2, ?3)";
        self.0.prepare_cached(sql)?.execute(params![key.id.as_str(), key.created_at.0, json])?;
        Ok(())
    }

    pub(super) fn forget(&self, id: &KeyId) -> Result<(), KeyringError> {
        self.0.execute("DELETE FROM keys WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    pub(super) fn put_flag(&self, f: &FlagRecord) -> Result<(), KeyringError> {
        let json = serde_json::to_string(&f.flag).map_err(|e| KeyringError::Store(e.to_string()))?;
        let sql =
            "INSERT OR REPLACE INTO flags (flag, is_set, actor, reason, at, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.0.prepare_cached(sql)?.execute(params![json, f.on, f.act.actor, f.act.reason, f.at.0, f.told])?;
        Ok(())
    }
}

fn read_key(id: &str, json: &str) -> Result<KeyRecord, KeyringError> {
    serde_json::from_str(json).map_err(|e| unreadable(&format!("key {id}"), e))
}
