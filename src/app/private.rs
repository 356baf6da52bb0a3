//! What is kept apart from the books: who is who, bodies that a policy captures, and the key of pseudonyms. Opened at start.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Failure;
use super::parts::source;
use crate::adapters::audit::pseudonyms::Pseudonyms;
use crate::adapters::captures::{self, Captures};
use crate::adapters::keyring::secrets::{BodyHasher, own_key};
use crate::adapters::people::People;
use crate::config::Config;

#[derive(Clone)]
pub struct Private {
    pub people: Arc<People>,
    pub captures: Arc<Captures>,
    pub pseudonyms: Arc<Pseudonyms>,
}

impl Private {
    pub fn open(config: &Config) -> Result<Self, Failure> {
        let data = &config.server.data;
        let people = People::open(data, config.privacy.personal.clone())?;
        let captures = Captures::open(data, &capture_key(config)?)?;
        let pseudonyms = Pseudonyms::new(BodyHasher::for_names(data)?);
        Ok(Self { people: Arc::new(people), captures: Arc::new(captures), pseudonyms: Arc::new(pseudonyms) })
    }
}

/// From where the operator keeps it, or made in the data folder.
fn capture_key(config: &Config) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let Some(from) = &config.privacy.capture_key else {
        return Ok(own_key(&config.server.data, "capture.key")?);
    };
    let text = source(from).read().map_err(|why| format!("[privacy] capture_key: {why}"))?;
    let text = std::str::from_utf8(text.expose()).unwrap_or_default();
    captures::key(text)
        .ok_or_else(|| "[privacy] capture_key: it is no key: 64 hex digits, as of 32 random bytes".into())
}
