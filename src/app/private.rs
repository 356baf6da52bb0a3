//! What is kept apart from the books: who is who, bodies that a policy captures, requests for approval, the keys of hashes and
//! pseudonyms. Opened at start.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::parts::source;
use super::{Failure, fleet};
use crate::adapters::approvals::Approvals;
use crate::adapters::audit::pseudonyms::Pseudonyms;
use crate::adapters::captures::{self, Captures};
use crate::adapters::keyring::secrets::{AdminToken, BodyHasher, own_key};
use crate::adapters::people::People;
use crate::config::{Config, CredentialSource};
use crate::control::Approvers;

#[derive(Clone)]
pub struct Private {
    pub people: Arc<People>,
    pub captures: Arc<Captures>,
    pub approvals: Arc<Approvals>,
    pub approvers: Approvers,
    pub pseudonyms: Arc<Pseudonyms>,
}

impl Private {
    pub fn open(config: &Config) -> Result<Self, Failure> {
        let data = &config.server.data;
        let people = People::open(data, config.privacy.personal.clone())?;
        let sealing = key(config, "capture_key", config.privacy.capture_key.as_ref(), "capture.key")?;
        let captures = Captures::open(data, &sealing)?;
        let pseudonyms = Pseudonyms::new(BodyHasher::for_names(data)?);
        let approvals = Arc::new(match fleet::common(config) {
            Some(c) => Approvals::join(c.url, c.password, c.name)?,
            None => Approvals::open(data)?,
        });
        let read = |from: &CredentialSource| source(from).read().map_err(|why| why.to_string());
        let approvers = Approvers::open(&config.approvers, data, read)?;
        Ok(Self {
            people: Arc::new(people),
            captures: Arc::new(captures),
            approvals,
            approvers,
            pseudonyms: Arc::new(pseudonyms),
        })
    }
}

impl Private {
    /// No approver has what opens everything.
    pub fn is_apart_from(&self, token: &AdminToken) -> Result<(), Failure> {
        let Some(name) = self.approvers.with_token(token) else { return Ok(()) };
        let why = "has the operators' token, which opens everything; give them one of their own";
        Err(format!("[[approver]] {name} {why}").into())
    }
}

/// What bodies are hashed with: without it a row's hash says nothing, also to who has the books.
pub fn body_hasher(config: &Config) -> Result<BodyHasher, Failure> {
    let key = key(config, "hash_key", config.privacy.hash_key.as_ref(), "body-hash.key")?;
    BodyHasher::with_key(key.as_ref()).ok_or_else(|| "[privacy] hash_key: it is no key".into())
}

/// From where the operator keeps it, or made in the data folder.
fn key(
    config: &Config,
    name: &str,
    from: Option<&CredentialSource>,
    file: &str,
) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let Some(from) = from else { return Ok(own_key(&config.server.data, file)?) };
    let text = source(from).read().map_err(|why| format!("[privacy] {name}: {why}"))?;
    let text = std::str::from_utf8(text.expose()).unwrap_or_default();
    captures::key(text).ok_or_else(|| format!("[privacy] {name}: it is no key: write 64 hex digits").into())
}
