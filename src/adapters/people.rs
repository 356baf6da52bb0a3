//! Who a person is. Values of personal dimensions never reach journal, ledger or books: each has an alias there, drawn at
//! random, and `people.db` alone knows whose it is. To erase a person is to delete that one row: the chain of events stays
//! whole, and nobody can say any more whom its rows speak of. Not for agents, runs and keys, which are no persons.
//! `gateway::identify` and `control` ask it.

mod store;
pub mod wire;

use std::path::Path;
use std::sync::Arc;

use dashmap::DashMap;
use parking_lot::Mutex;

use self::store::Store;
use crate::rules::subject::{Name, Subject};

/// Why a person has no alias: the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("people.db: {0}")]
pub struct PeopleError(String);

/// One value of one personal dimension, such as `user` and `ann`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    pub dimension: Name,
    pub value: Name,
}

/// So many are kept in memory; more are looked up in the file.
const REMEMBERED: usize = 100_000;

/// Aliases, both ways.
pub struct People {
    personal: Vec<Name>,
    known: DashMap<Person, Name>,
    store: Mutex<Store>,
}

impl People {
    /// Opens or makes `dir/people.db`. `personal` names the dimensions whose values are persons.
    pub fn open(dir: &Path, personal: Vec<Name>) -> Result<Self, PeopleError> {
        let store = Mutex::new(Store::open(&dir.join("people.db"))?);
        Ok(Self { personal, known: DashMap::new(), store })
    }

    pub fn is_personal(&self, dimension: &str) -> bool {
        self.personal.iter().any(|p| **p == *dimension)
    }

    /// The alias of a person, drawn and made durable at first sight.
    pub async fn alias(self: &Arc<Self>, person: Person) -> Result<Name, PeopleError> {
        if let Some(alias) = self.known.get(&person) {
            return Ok(alias.clone());
        }
        let people = self.clone();
        let drawn = tokio::task::spawn_blocking(move || people.find_or_draw(person)).await;
        drawn.map_err(|e| PeopleError(e.to_string()))?
    }

    fn find_or_draw(&self, person: Person) -> Result<Name, PeopleError> {
        // Under the lock, so that an erasure that ran meanwhile is not undone by what was read before it.
        let store = self.store.lock();
        let alias = store.find_or_draw(&person)?;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(person, alias.clone());
        Ok(alias)
    }

    /// The alias of a person who has one.
    pub fn find(&self, person: &Person) -> Result<Option<Name>, PeopleError> {
        self.store.lock().find(person)
    }

    /// Whose alias this is, unless that was erased.
    pub fn whose(&self, alias: &str) -> Result<Option<Person>, PeopleError> {
        self.store.lock().whose(alias)
    }

    /// From now on nobody can say whom the alias means. A later call of the same person draws another one.
    pub fn erase(&self, person: &Person) -> Result<bool, PeopleError> {
        let store = self.store.lock();
        self.known.remove(person);
        store.erase(person)
    }

    /// Takes from the file's log what an erasure that was cut short left there.
    pub fn scrub(&self) -> Result<(), PeopleError> {
        self.store.lock().scrub()
    }

    /// Puts aliases in the place of persons.
    pub async fn veil(self: &Arc<Self>, subject: &mut Subject) -> Result<(), PeopleError> {
        for (dimension, value) in &mut subject.dimensions {
            if self.is_personal(dimension) {
                *value = self.alias(Person { dimension: dimension.clone(), value: value.clone() }).await?;
            }
        }
        Ok(())
    }

    /// Puts persons in the place of aliases, for an operator to read. Reads the disk.
    pub fn unveil(&self, subject: &mut Subject) -> Result<(), PeopleError> {
        for (dimension, value) in &mut subject.dimensions {
            if self.is_personal(dimension)
                && let Some(person) = self.whose(value)?
            {
                *value = person.value;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Arc<People> {
        Arc::new(People::open(dir, vec!["user".into()]).expect("opens"))
    }

    fn ann() -> Person {
        Person { dimension: "user".into(), value: "ann@example.com".into() }
    }

    fn held(dir: &Path) -> Vec<u8> {
        let files = std::fs::read_dir(dir).expect("a folder").map(|f| f.expect("a file").path());
        files.flat_map(|f| std::fs::read(f).expect("read")).collect()
    }

    fn contains(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }

    #[tokio::test]
    async fn an_alias_stays_until_its_person_is_erased() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = open(dir.path()).alias(ann()).await.expect("drawn");
        let people = open(dir.path());
        assert_eq!(people.alias(ann()).await.expect("found"), first, "also after a restart");
        assert_eq!(people.whose(&first).expect("read"), Some(ann()));
        assert!(contains(&held(dir.path()), "ann@example.com"));
        assert!(people.erase(&ann()).expect("erased"));
        assert_eq!(people.whose(&first).expect("read"), None);
        assert!(!contains(&held(dir.path()), "ann@example.com"), "no page and no log has the name any more");
        assert!(!people.erase(&ann()).expect("nobody is left"));
        assert_ne!(people.alias(ann()).await.expect("drawn"), first);
    }

    #[tokio::test]
    async fn an_erasure_that_a_reader_kept_from_the_log_is_done_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let people = open(dir.path());
        people.alias(ann()).await.expect("drawn");
        let reader = rusqlite::Connection::open(dir.path().join("people.db")).expect("opens");
        reader.execute_batch("BEGIN; SELECT count(*) FROM people;").expect("it reads on");
        assert!(people.erase(&ann()).is_err(), "the log still has the name");
        assert!(contains(&held(dir.path()), "ann@example.com"));
        reader.execute_batch("COMMIT").expect("it is done");
        assert_eq!(people.find(&ann()).expect("read"), None);
        people.scrub().expect("again");
        assert!(!contains(&held(dir.path()), "ann@example.com"));
    }

    #[tokio::test]
    async fn only_personal_dimensions_are_veiled() {
        let dir = tempfile::tempdir().expect("a folder");
        let people = open(dir.path());
        let dimensions = [("user", "ann"), ("ticket", "7")].map(|(k, v)| (k.into(), v.into())).into();
        let mut subject = Subject { dimensions, ..Subject::default() };
        let clear = subject.clone();
        people.veil(&mut subject).await.expect("veiled");
        assert_eq!(&*subject.dimensions["ticket"], "7");
        assert_ne!(subject.dimensions["user"], clear.dimensions["user"]);
        people.unveil(&mut subject).expect("unveiled");
        assert_eq!(subject, clear);
    }
}
