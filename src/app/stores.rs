//! Where the books are kept, and who follows them, from the configuration.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::adapters::audit::AuditStore;
use crate::adapters::audit::postgres::PostgresBooks;
use crate::adapters::audit::sqlite::SqliteBooks;
use crate::adapters::audit::tail::Books;
use crate::adapters::sinks::Sinks;
use crate::config::{self, Config};

/// May wait some seconds for PostgreSQL: nothing is served yet.
pub fn books(config: &Config) -> Result<Arc<dyn AuditStore>, Failure> {
    match &config.audit.store {
        config::AuditStore::Sqlite => Ok(Arc::new(SqliteBooks::open(&config.server.data)?)),
        config::AuditStore::Postgres { url, password } => {
            Ok(Arc::new(PostgresBooks::open(url.expose(), password.as_ref())?))
        }
    }
}

/// The sinks, their tasks, and what ends them after the projection.
pub struct Sinking {
    pub all: Arc<Sinks>,
    pub tasks: Vec<JoinHandle<()>>,
    pub stop: CancellationToken,
}

impl Sinking {
    pub fn start(config: &Config, books: &Arc<Books>) -> Result<Self, Failure> {
        let stop = CancellationToken::new();
        let (sinks, tasks) = Sinks::start(&config.sinks, &config.server.data, books, &stop)?;
        Ok(Self { all: Arc::new(sinks), tasks, stop })
    }
}
