//! `people.db`: one row a person. What is deleted is overwritten, in the file and in its log. Knows nothing of subjects.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{PeopleError, Person};
use crate::adapters::small_db::{self, OpenError, Survives};
use crate::rules::subject::Name;

const SCHEMA: &str = "
    CREATE TABLE people (alias TEXT PRIMARY KEY, dimension TEXT NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE UNIQUE INDEX whose ON people (dimension, value);
";

pub(super) struct Store(Connection);

impl From<OpenError> for PeopleError {
    fn from(e: OpenError) -> Self {
        Self(e.to_string())
    }
}

impl From<rusqlite::Error> for PeopleError {
    fn from(e: rusqlite::Error) -> Self {
        Self(e.to_string())
    }
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, PeopleError> {
        // An alias is in the journal right after, so it must not be lost before that is.
        let db = small_db::open(path, Survives::PowerLoss, SCHEMA)?;
        db.pragma_update(None, "secure_delete", "ON")?;
        let store = Self(db);
        if let Err(why) = store.scrub() {
            tracing::warn!("{why}");
        }
        Ok(store)
    }

    pub(super) fn find(&self, person: &Person) -> Result<Option<Name>, PeopleError> {
        let mut query = self.0.prepare_cached("SELECT alias FROM people WHERE dimension = ?1 AND value = ?2")?;
        let alias = query.query_row([&*person.dimension, &*person.value], |row| row.get::<_, String>(0));
        Ok(alias.optional()?.map(Name::from))
    }

    pub(super) fn find_or_draw(&self, person: &Person) -> Result<Name, PeopleError> {
        if let Some(alias) = self.find(person)? {
            return Ok(alias);
        }
        let alias = draw()?;
        let sql = "INSERT INTO people (alias, dimension, value) VALUES (?1, ?2, ?3)";
        self.0.prepare_cached(sql)?.execute(params![&*alias, &*person.dimension, &*person.value])?;
        Ok(alias)
    }

    pub(super) fn whose(&self, alias: &str) -> Result<Option<Person>, PeopleError> {
        let mut query = self.0.prepare_cached("SELECT dimension, value FROM people WHERE alias = ?1")?;
        let person = query.query_row([alias], |row| {
            Ok(Person { dimension: row.get::<_, String>(0)?.into(), value: row.get::<_, String>(1)?.into() })
        });
        Ok(person.optional()?)
    }

    pub(super) fn erase(&self, person: &Person) -> Result<bool, PeopleError> {
        let sql = "DELETE FROM people WHERE dimension = ?1 AND value = ?2";
        let gone = self.0.execute(sql, [&*person.dimension, &*person.value])?;
        self.scrub()?;
        Ok(gone > 0)
    }

    /// The log has the old page until it is written back and cut. Asked again where a reader was in the way.
    pub(super) fn scrub(&self) -> Result<(), PeopleError> {
        let busy: i64 = self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        match busy {
            0 => Ok(()),
            _ => Err(PeopleError("a reader keeps names that were erased in the file's log: erase again".into())),
        }
    }
}

/// Says nothing about whom it stands for.
fn draw() -> Result<Name, PeopleError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| PeopleError(format!("no random bytes: {e}")))?;
    Ok(format!("person-{:016x}", u64::from_be_bytes(bytes)).into())
}
