//! The way to the server for what nodes say to each other. It is not the ledger's own connection, so that a revocation never
//! queues behind calls.

use redis::{Cmd, FromRedisValue, ScriptInvocation, Value};

use crate::adapters::ledger::redis::link::{self, Bell, LinkError, Options};
use crate::config::CredentialSource;
use crate::config::redis::RedisAddress;

/// Why the other nodes cannot be reached. Never holds the address, which may hold a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FleetError {
    #[error("{0}")]
    Redis(String),
    #[error("redis answered what no heartbeat is answered: {0}")]
    Unreadable(String),
    /// The server was heard, and this node is not as it says.
    #[error("{0}")]
    Undone(String),
}

impl From<LinkError> for FleetError {
    fn from(e: LinkError) -> Self {
        Self::Redis(e.to_string())
    }
}

pub struct Link(link::Link);

impl Link {
    /// `key` is any key of the ledger: it says which server of a cluster is meant.
    pub async fn open(url: &[u8], password: Option<CredentialSource>, key: &str) -> Result<Self, FleetError> {
        let unusable = |why: &str| FleetError::Redis(format!("the address of Redis: {why}"));
        let url = std::str::from_utf8(url).map_err(|_| unusable("it is no text"))?;
        let address = RedisAddress::parse(url).map_err(unusable)?;
        let options = Options { password, ..Options::default() };
        Ok(Self(link::Link::open(address, key, options).await?))
    }

    pub async fn ask<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, FleetError> {
        read(self.0.run(script).await?)
    }

    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, FleetError> {
        read(self.0.ask(command).await?)
    }

    pub fn hear(&self, channel: &str) -> Bell {
        self.0.subscribe(channel)
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, FleetError> {
    redis::from_redis_value(value).map_err(|e| FleetError::Unreadable(e.to_string()))
}
