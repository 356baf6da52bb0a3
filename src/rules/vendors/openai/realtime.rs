//! The events of a realtime session, as a vendor of OpenAI's shape sends them over a socket: what they cost together. Unlike a
//! stream's, these usages do not grow: each response tells its own, and they are added up; so are transcripts of what was heard,
//! which another model makes. A message may come in many parts. Carries no bytes; whoever holds the socket does.

mod event;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::BytesMut;

use self::event::Event;
use super::super::ask::UnknownModel;
use super::super::entry::host_factor;
use super::super::llm::{Part, row};
use super::super::usage::{Charge, Usage};
use crate::rules::books::{CostSource, TokenCounts};
use crate::rules::price::{PriceBook, Served};
use crate::rules::subject::Name;
use crate::units::money::ExactUsd;
use crate::units::time::Timestamp;

/// The longest message that is read.
const LONGEST: usize = 8 * 1024 * 1024;
/// Responses that may be open at once; a session has one, and some beside it.
const MOST_OPEN: usize = 1000;

/// By what a session is priced.
#[derive(Clone, Debug)]
pub struct Terms {
    pub prices: Arc<PriceBook>,
    /// The vendor's own models.
    pub shelf: Name,
    pub unknown_model: UnknownModel,
    /// Where the socket leads: prices may differ by it.
    pub host: Box<str>,
}

/// What one session has used so far.
#[derive(Debug)]
pub struct Session {
    terms: Terms,
    model: String,
    /// The model that writes down what was heard, if the session says.
    scribe: Option<String>,
    message: BytesMut,
    /// The message that is coming is too long to be read.
    skipping: bool,
    open: HashSet<String>,
    spent: ExactUsd,
    tokens: TokenCounts,
    /// Something was used that is not known.
    lost: bool,
}

impl Session {
    /// A session with this model.
    pub fn new(terms: Terms, model: &str) -> Self {
        Self {
            terms,
            model: model.to_owned(),
            scribe: None,
            message: BytesMut::new(),
            skipping: false,
            open: HashSet::new(),
            spent: ExactUsd::ZERO,
            tokens: TokenCounts::default(),
            lost: false,
        }
    }

    /// A part of a message; `last` ends it. Says whether more is spent now.
    pub fn push(&mut self, part: &[u8], last: bool, now: Timestamp) -> bool {
        if self.message.len() + part.len() > LONGEST {
            (self.skipping, self.lost) = (true, true);
            self.message.clear();
        }
        if !self.skipping {
            self.message.extend_from_slice(part);
        }
        if !last {
            return false;
        }
        let (message, skipped) = (self.message.split(), std::mem::take(&mut self.skipping));
        !skipped && self.message(&message, now)
    }

    fn message(&mut self, data: &[u8], now: Timestamp) -> bool {
        match event::read(data) {
            None => false,
            Some(Event::Session { model, scribe }) => {
                self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                self.scribe = scribe.or(self.scribe.take());
                false
            }
            Some(Event::Begun(id)) => {
                self.lost |= self.open.len() >= MOST_OPEN;
                if self.open.len() < MOST_OPEN {
                    self.open.insert(id);
                }
                false
            }
            Some(Event::Done { id, model, tier, used }) => {
                self.open.remove(&id);
                let model = model.unwrap_or_else(|| self.model.clone());
                self.add(Some(&model), tier.as_deref(), used, now)
            }
            Some(Event::Heard(used)) => {
                let scribe = self.scribe.clone();
                self.add(scribe.as_deref(), None, used, now)
            }
        }
    }

    fn add(&mut self, model: Option<&str>, tier: Option<&str>, used: Option<Part>, now: Timestamp) -> bool {
        let Some(used) = used else {
            self.lost = true;
            return false;
        };
        let counts = used.tokens.counts(used.reasoning);
        self.tokens.input = self.tokens.input.saturating_add(counts.input);
        self.tokens.output = self.tokens.output.saturating_add(counts.output);
        self.tokens.cached = self.tokens.cached.saturating_add(counts.cached);
        self.tokens.reasoning = self.tokens.reasoning.saturating_add(counts.reasoning);
        let Terms { prices, shelf, unknown_model, host } = &self.terms;
        let factors: Vec<&str> = host_factor(host).into_iter().collect();
        let served = Served { tier, factors: &factors, fees: &[] };
        let row = model.and_then(|model| row(prices, shelf, model, *unknown_model));
        let Some(priced) = row.and_then(|row| row.cost(now, &used.tokens, served)) else {
            self.lost = true;
            return false;
        };
        self.spent = self.spent.plus(priced.usd);
        true
    }

    /// What the session has cost: exactly, if nothing that ran is still to tell its usage.
    pub fn usage(&self) -> Usage {
        let charge = Charge { usd: self.spent.ceil(), tokens: Some(self.tokens), source: CostSource::Usage };
        let sure = !self.lost && self.open.is_empty() && self.message.is_empty();
        if sure { Usage::Exact(charge) } else { Usage::AtLeast(charge) }
    }
}
