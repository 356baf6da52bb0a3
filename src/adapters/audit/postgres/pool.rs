//! A few connections for questions, each asked at one moment of the books. Writes nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_postgres::Client;

use super::super::AuditError;
use super::connect::{Address, Link};
use super::late;

/// Questions at once; those that come while all are asked wait.
const READERS: usize = 4;
/// An answer that takes longer is given up.
const READ_TIME: Duration = Duration::from_secs(60);

/// The server gives up too: a question whose asker is gone would go on there.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'";

pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, AuditError>> + Send + 'a>>;

pub(super) struct Readers {
    address: Arc<Address>,
    idle: Mutex<Vec<Link>>,
    turns: Semaphore,
}

impl Readers {
    pub(super) fn new(address: Arc<Address>) -> Self {
        Self { address, idle: Mutex::default(), turns: Semaphore::new(READERS) }
    }

    pub(super) async fn ask<T>(
        &self,
        ask: impl for<'a> Fn(&'a Client) -> Answer<'a, T> + Send + Sync,
    ) -> Result<T, AuditError> {
        let asked = async {
            // It is never closed; without a turn the question would only go ahead.
            let _turn = self.turns.acquire().await;
            while let Some(link) = self.idle() {
                match self.once(link, &ask).await {
                    // The server went away while this connection was idle: the next one, or a new one.
                    Err((_, true)) => {}
                    other => return other.map_err(|(e, _)| e),
                }
            }
            let link = self.address.connect().await?;
            self.once(link, &ask).await.map_err(|(e, _)| e)
        };
        tokio::time::timeout(READ_TIME, asked).await.unwrap_or_else(|_| Err(late()))
    }

    fn idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock();
        idle.retain(|link| !link.client.is_closed());
        idle.pop()
    }

    /// The error says also whether the connection is gone. One that failed is not used again.
    async fn once<T>(
        &self,
        link: Link,
        ask: &(impl for<'a> Fn(&'a Client) -> Answer<'a, T> + Sync),
    ) -> Result<T, (AuditError, bool)> {
        let asked = async {
            link.client.batch_execute(BEGIN).await?;
            let answer = ask(&link.client).await?;
            link.client.batch_execute("COMMIT").await?;
            Ok(answer)
        };
        let answer = asked.await.map_err(|e| (e, link.client.is_closed()))?;
        self.idle.lock().push(link);
        Ok(answer)
    }
}
