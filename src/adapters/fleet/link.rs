//! The way to the server for what nodes say to each other: short questions that never wait long, and a subscription. It is
//! not the ledger's own connection, so that a revocation never queues behind calls.

use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSubStream};
use redis::{Client, FromRedisValue, RedisError, ScriptInvocation};

/// A question that takes longer is given up. A heartbeat must fail well before the node's right to admit ends.
pub const PATIENCE: Duration = Duration::from_millis(500);
/// Between two attempts to connect; the client adds jitter.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Why the other nodes cannot be reached. Never holds the address, which may hold a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FleetError {
    #[error("redis: {0}")]
    Redis(String),
    #[error("redis did not answer in {} ms", PATIENCE.as_millis())]
    Late,
    #[error("redis answered what no heartbeat is answered: {0}")]
    Unreadable(String),
}

impl From<RedisError> for FleetError {
    fn from(e: RedisError) -> Self {
        Self::Redis(e.to_string())
    }
}

pub struct Link {
    client: Client,
    connection: ConnectionManager,
}

impl Link {
    /// Connects at the first question, and anew by itself.
    pub fn new(url: &[u8]) -> Result<Self, FleetError> {
        let url = std::str::from_utf8(url).map_err(|_| FleetError::Redis("the address is no text".to_owned()))?;
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_max_delay(LONGEST_PAUSE);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, connection })
    }

    pub async fn ask<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, FleetError> {
        timed(script.invoke_async(&mut self.connection.clone())).await
    }

    pub async fn command<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, FleetError> {
        timed(command.query_async(&mut self.connection.clone())).await
    }

    /// A connection of its own that hears what is said on a channel.
    pub async fn hear(&self, channel: &str) -> Result<Ear, FleetError> {
        timed(async {
            let mut hearing = self.client.get_async_pubsub().await?;
            hearing.subscribe(channel).await?;
            Ok(Ear(hearing.into_on_message()))
        })
        .await
    }
}

/// An open subscription.
pub struct Ear(PubSubStream);

impl Ear {
    /// What was said next; `None` once the connection is gone.
    pub async fn next(&mut self) -> Option<String> {
        let said = self.0.next().await?;
        // Whatever is no text is nothing that nodes say.
        Some(said.get_payload().unwrap_or_default())
    }
}

async fn timed<T>(work: impl Future<Output = Result<T, RedisError>>) -> Result<T, FleetError> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| FleetError::Late)?.map_err(Into::into)
}
