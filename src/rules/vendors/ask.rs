//! The bound before the call: what it can cost at most, as a need of its accounts, and a plan for metering it. Where neither
//! the request nor the price book bounds it, the policy's ceiling stands in, or the call has no price and is refused.
//! Dispatches to the families; holds nothing.

use std::sync::Arc;

use http::HeaderMap;

use super::batch::{self, Recalled};
use super::count::{self, Encoding};
use super::entry::{Adapter, Operation, Price, Vendor};
use super::llm::Api;
use super::look_up::{Found, Question};
use super::plan::{How, Plan};
use super::stripe::StripeRule;
use super::{anthropic, bedrock, cohere, google, openai, stripe};
use crate::rules::args::{Args, Unreadable};
use crate::rules::ledger::need::{Need, Share};
use crate::rules::price::PriceBook;
use crate::units::money::{MicroCents, PicoUsd};
use crate::units::time::Timestamp;

/// One call, as far as its cost depends on it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub vendor: &'a Vendor,
    pub operation: Option<&'a Operation>,
    /// Where the call goes: prices may differ by it.
    pub host: &'a str,
    /// Of the whole body whenever `Price::reads_request` says so; else it may be read from nothing.
    pub args: &'a Args<'a>,
    pub body: &'a [u8],
    pub headers: &'a HeaderMap,
    pub now: Timestamp,
    pub prices: &'a Arc<PriceBook>,
    /// The policy's output limit for callers who name none.
    pub default_max_output: Option<u64>,
    pub fit: FitRule,
    /// The policy's ceiling, for a cost that nothing bounds.
    pub ceiling: Option<MicroCents>,
    pub unknown_model: UnknownModel,
    /// What counts as spend at Stripe.
    pub stripe: StripeRule,
    /// The credential is one of the vendor's test mode.
    pub test_key: bool,
    /// What was looked up at the vendor.
    pub found: &'a [Found],
    /// What is known of the prompt's length beside its bytes.
    pub counted: Counted,
    /// How many tokens a response of that id, of the model of that row, left behind, as far as it was seen here with this
    /// credential. Of another model's nothing is known: one picture is not as many tokens to each.
    pub remembered: &'a dyn Fn(&str, &str) -> Option<u64>,
    /// What an earlier call made that this one names (`recalls`), if that is known here.
    pub recalled: Option<&'a Recalled>,
    /// It is an item of a batch, which runs within so many seconds.
    pub batch: Option<i64>,
}

/// What is known of a prompt's length beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    #[default]
    Nothing,
    /// Its texts are so many tokens fewer than bytes, counted here.
    Fewer(u64),
    /// All of it is at most so many tokens, as the vendor counts.
    Whole(u64),
}

/// When the output limit of a language model's call may be lowered to what the budget buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitRule {
    /// Also where the caller named a limit.
    pub always: bool,
    /// The smallest limit that is worth an answer.
    pub floor: u64,
    pub share: Share,
}

/// What to do about a model that the price book does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UnknownModel {
    #[default]
    Refuse,
    /// At the dearest rates of the vendor's whole shelf.
    Dearest,
}

/// The bound of a call, and how to meter it.
#[derive(Clone, Debug)]
pub struct Estimate {
    pub need: Need,
    pub plan: Plan,
}

/// Why a call has no bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpriceable {
    #[error("the model `{0}` is not in the price book; name a model that is, or have the operator add its price")]
    UnknownModel(String),
    #[error("nothing bounds what this call can cost (`{field}`: {why}); the policy must name a ceiling for it")]
    Unbounded { field: String, why: &'static str },
    #[error(
        "nothing in the request bounds what this call can cost (`{field}`), and looking it up did not either ({why}); \
             the policy must name a ceiling for it"
    )]
    NotFound { field: String, why: String },
    #[error("nothing here bounds what this call can cost (`{field}`: {why}); the policy must name a ceiling for it")]
    Remembered { field: String, why: String },
    #[error("`{at}`: {why}")]
    Item { at: String, why: String },
    #[error("`{field}` cannot be read: {why}")]
    BadField { field: String, why: &'static str },
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    #[error("the currency `{0}` is not in the table of exchange rates; the policy must name a ceiling for it")]
    UnknownCurrency(String),
    #[error("the price of this call is not known ({0}); until it is, the policy must name a ceiling for it")]
    NotSet(String),
    #[error("the price of this operation is not known; the policy must name a ceiling for it")]
    NoPrice,
}

impl Unpriceable {
    /// Would a ceiling in the policy let the call through?
    pub fn ceiling_helps(&self) -> bool {
        !matches!(self, Self::BadField { .. } | Self::Unreadable(_))
    }

    /// The status of the refusal.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadField { .. } => 400,
            Self::Unreadable(unreadable) => unreadable.status(),
            _ => 403,
        }
    }

    pub(super) fn unbounded(field: impl Into<String>, why: &'static str) -> Self {
        Self::Unbounded { field: field.into(), why }
    }
}

/// A bound, and what the answer is to be read for.
pub(super) struct Bounded {
    /// Why there is no bound: then the ceiling is the need.
    pub need: Result<Need, Unpriceable>,
    pub how: How,
    /// Tokens to hold where the ceiling, which is money alone, stands in.
    pub tokens: u64,
    /// A count of the prompt would bound the call better.
    pub countable: bool,
}

impl Ask<'_> {
    /// The bound of this call, or why it has none.
    pub fn estimate(&self) -> Result<Estimate, Unpriceable> {
        let Bounded { need, how, tokens, .. } = self.bounded()?;
        let need = match (need, self.ceiling) {
            (Err(why), Some(ceiling)) if why.ceiling_helps() => Need::fixed(PicoUsd::from(ceiling), tokens),
            (need, _) => need?,
        };
        Ok(Estimate { need, plan: Plan::new(self, how) })
    }

    /// What to ask the vendor, so that the call has a bound; nothing if it has one, or if nothing helps.
    pub fn questions(&self) -> Vec<Question> {
        match self.vendor.price_of(self.operation) {
            Some(Price::Adapter(Adapter::Stripe(moves))) => stripe::questions(self, *moves),
            _ => Vec::new(),
        }
    }

    /// The tokenizer by which the texts of this prompt can be counted here.
    pub fn encoding(&self) -> Option<Encoding> {
        count::encoding(self)
    }

    /// What to ask the vendor for its own count of this prompt.
    pub fn count_question(&self) -> Option<Question> {
        count::question(self)
    }

    pub(super) fn bounded(&self) -> Result<Bounded, Unpriceable> {
        match self.vendor.price_of(self.operation) {
            None | Some(Price::Ceiling) => {
                Ok(Bounded { need: Err(Unpriceable::NoPrice), how: How::Unknown, tokens: 0, countable: false })
            }
            Some(Price::Free) => {
                Ok(Bounded { need: Ok(Need::fixed(PicoUsd(0), 0)), how: How::Free, tokens: 0, countable: false })
            }
            Some(Price::Rule(rule)) => {
                let bound = rule.bind(self.args)?;
                let hold = bound.hold(&self.prices.fx);
                let need = hold.map(|usd| Need::fixed(usd, 0));
                Ok(Bounded { need, how: How::Rule(Box::new(bound)), tokens: 0, countable: false })
            }
            Some(Price::Adapter(adapter)) => match adapter {
                Adapter::Chat => openai::chat(self),
                Adapter::Responses => openai::responses(self),
                Adapter::Embeddings => openai::embeddings(self),
                Adapter::Completions => openai::completions(self),
                Adapter::Images => openai::images(self),
                Adapter::Speech => openai::speech(self),
                Adapter::Transcription => openai::transcription(self),
                Adapter::Messages => anthropic::messages(self),
                Adapter::Gemini => google::content(self),
                Adapter::GeminiEmbed => google::embed(self),
                Adapter::Cohere => cohere::chat(self),
                Adapter::CohereEmbed => cohere::embed(self),
                Adapter::CohereRerank => cohere::rerank(self),
                Adapter::Converse => bedrock::converse(self),
                Adapter::Invoke => bedrock::invoke(self),
                Adapter::MessageBatch => batch::of_messages(self),
                Adapter::Batch => Ok(batch::of_file(self)),
                Adapter::BatchFile => Ok(batch::upload(self)),
                Adapter::BatchStatus => Ok(batch::status()),
                Adapter::BatchOutput => Ok(batch::results(self, Api::Chat)),
                Adapter::MessageResults => Ok(batch::results(self, Api::Messages)),
                Adapter::Stripe(moves) => stripe::estimate(self, *moves),
            },
        }
    }
}
