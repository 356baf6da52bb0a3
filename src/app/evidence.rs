//! Wires what signs the books, and what takes checkpoints elsewhere, from the configuration.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::{Failure, Task, until};
use crate::adapters::audit::evidence::anchor::{Anchor, AnchorFile, Place, Token, Webhook};
use crate::adapters::audit::evidence::key::KeyFile;
use crate::adapters::audit::evidence::{Every, Evidence};
use crate::adapters::audit::tail::Books;
use crate::config::evidence::AnchorTo;
use crate::config::{AuditStore, Config, CredentialSource, LedgerStore};
use crate::control::{self, ControlState};

pub fn open(config: &Config, books: &Arc<Books>) -> Result<(Arc<Evidence>, Vec<Arc<Anchor>>), Failure> {
    let (data, asked) = (&config.server.data, &config.audit.evidence);
    if signs_alone(config) {
        tracing::warn!(
            "no `[audit.checkpoints] key` is configured: this node signs the books with a key of its own. When another node \
             goes on writing them, whoever verifies them needs both public keys. Let it name one file on all nodes"
        );
    }
    let every = Every { events: asked.events, time: asked.time };
    let evidence = Evidence::new(books.clone(), KeyFile::new(data, asked.key.as_deref()), every);
    let anchor = |a: &crate::config::evidence::Anchor| -> Result<_, Failure> {
        let place = match &a.to {
            AnchorTo::File(path) => Place::File(AnchorFile::new(path)),
            AnchorTo::Url { url, token } => {
                Place::Webhook(Box::new(Webhook::new(url.clone(), token.as_ref().map(self::token), data, &a.name)?))
            }
        };
        Ok(Anchor::new(&a.name, place))
    };
    let anchors = asked.anchors.iter().map(anchor).collect::<Result<_, _>>()?;
    Ok((evidence, anchors))
}

/// Nodes that take turns in writing the books, each with a key of its own.
fn signs_alone(config: &Config) -> bool {
    let shared = matches!(config.audit.store, AuditStore::Postgres { .. });
    shared && matches!(config.ledger.store, LedgerStore::Redis { .. }) && config.audit.evidence.key.is_none()
}

fn token(source: &CredentialSource) -> Token {
    match source {
        CredentialSource::Env(name) => Token::Env(name.clone()),
        CredentialSource::File(path) => Token::File(path.clone()),
    }
}

/// What goes on beside the calls, where the books are written: checkpoints, anchors, retention.
pub fn background(parts: &Parts, state: &Arc<ControlState>, stop: &CancellationToken) -> Vec<Task> {
    let (evidence, ended) = (parts.evidence.clone(), stop.clone());
    let mut tasks = vec![in_turn(parts, stop, move || evidence.clone().run(ended.clone()))];
    for anchor in &parts.anchors {
        let (anchor, evidence, ended) = (anchor.clone(), parts.evidence.clone(), stop.clone());
        tasks.push(in_turn(parts, stop, move || anchor.clone().follow(evidence.clone(), ended.clone())));
    }
    if let Some(keep) = parts.config.audit.evidence.keep {
        let (state, ended) = (state.clone(), stop.clone());
        tasks.push(in_turn(parts, stop, move || until(ended.clone(), control::keep_retention(state.clone(), keep))));
    }
    tasks
}

/// Done by that one of the processes which writes the books.
fn in_turn<F>(parts: &Parts, stop: &CancellationToken, work: impl FnMut() -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let (books, stop) = (parts.books.clone(), stop.clone());
    tokio::spawn(async move { books.while_leading(&stop, work).await })
}
