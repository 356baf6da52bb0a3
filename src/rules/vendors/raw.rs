//! A vendor as a file writes it: the shipped catalogue and the operator's `[vendors.NAME]` have the same form, and the
//! operator's goes on top, field by field. Knows no meaning; `check` reads it into a `Vendor`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::callback::Callback;
use super::declared::{RawRate, RawRule};

/// One vendor's table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawVendor {
    /// `openai`, `anthropic`, `google`, `cohere`, `bedrock`, `stripe` or `declared`.
    pub family: Option<String>,
    /// How it differs from OpenAI's shapes: `azure`, `xai`, `groq`, `mistral`, `deepseek`, `perplexity`, `openrouter`,
    /// `together` or `fireworks`.
    pub dialect: Option<String>,
    /// The shape of error bodies; the family's own if unsaid.
    pub envelope: Option<String>,
    /// Scheme, host, port and prefix of the default host.
    pub base_url: Option<String>,
    /// Host names that lead here.
    pub hosts: Option<Vec<String>>,
    /// Other origins of the vendor, and what goes there.
    pub other_hosts: Option<Vec<RawHost>>,
    /// Where the credential comes from, and several by name: `config` reads these, `check` does not.
    pub credential: Option<String>,
    pub credentials: BTreeMap<String, String>,
    pub placement: Option<RawPlacement>,
    pub default_headers: Option<BTreeMap<String, String>>,
    pub account_headers: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub version: Option<String>,
    pub failures_free: Option<bool>,
    pub repeats_unsaid: Option<bool>,
    pub prices: Option<String>,
    pub auto_tier: Option<String>,
    pub currency: Option<String>,
    pub idempotency_header: Option<String>,
    pub request_id_header: Option<String>,
    /// Price of what no operation lists.
    pub otherwise: Option<RawPrice>,
    pub private_network: Option<bool>,
    /// `twilio`: its signed callbacks are heard.
    pub callback: Option<Callback>,
    pub operations: Vec<RawOperations>,
    pub rules: BTreeMap<String, RawRule>,
    /// What one of something costs; rules name these.
    pub rates: BTreeMap<String, RawRate>,
    /// The whole published API, of vendors that ship with it.
    #[serde(skip)]
    pub table: Option<&'static str>,
    /// So many groups of operations are the operator's.
    #[serde(skip)]
    pub own: usize,
}

/// Another origin of a vendor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHost {
    pub base_url: String,
    pub serves: Vec<String>,
}

/// `"bearer"`, `"token"`, `"basic"`, `{ header = "x-api-key" }`, `{ query = "key" }` or
/// `{ sigv4 = "bedrock" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawPlacement {
    Bearer,
    Token,
    Basic,
    Header(String),
    Query(String),
    Sigv4(String),
}

/// `"free"`, `"ceiling"`, the name of an adapter, or `{ rule = "email" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RawPrice {
    Word(String),
    Rule { rule: String },
}

/// Operations that share everything but their paths.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOperations {
    /// `POST /v1/refunds`, one each.
    pub on: Vec<String>,
    pub action: String,
    pub tier: String,
    /// `json`, `form`, `multipart`, `opaque`; none if they take no body.
    #[serde(default)]
    pub bodies: Vec<String>,
    pub price: RawPrice,
}

impl RawVendor {
    /// The operator's table on top of the catalogue's: a named field replaces, operations and rules are added in front.
    pub fn merge(self, over: Self) -> Self {
        let own = self.own + over.operations.len();
        let mut operations = over.operations;
        operations.extend(self.operations);
        let mut rules = self.rules;
        rules.extend(over.rules);
        let mut rates = self.rates;
        rates.extend(over.rates);
        Self {
            family: over.family.or(self.family),
            dialect: over.dialect.or(self.dialect),
            envelope: over.envelope.or(self.envelope),
            base_url: over.base_url.clone().or(self.base_url),
            hosts: over.hosts.or(self.hosts),
            // Whoever moves the vendor elsewhere moves all of it.
            other_hosts: over.other_hosts.or(if over.base_url.is_some() { None } else { self.other_hosts }),
            credential: over.credential.or(self.credential),
            credentials: if over.credentials.is_empty() { self.credentials } else { over.credentials },
            placement: over.placement.or(self.placement),
            default_headers: over.default_headers.or(self.default_headers),
            account_headers: over.account_headers.or(self.account_headers),
            env: over.env.or(self.env),
            version: over.version.or(self.version),
            failures_free: over.failures_free.or(self.failures_free),
            repeats_unsaid: over.repeats_unsaid.or(self.repeats_unsaid),
            prices: over.prices.or(self.prices),
            auto_tier: over.auto_tier.or(self.auto_tier),
            currency: over.currency.or(self.currency),
            idempotency_header: over.idempotency_header.or(self.idempotency_header),
            request_id_header: over.request_id_header.or(self.request_id_header),
            otherwise: over.otherwise.or(self.otherwise),
            private_network: over.private_network.or(self.private_network),
            callback: over.callback.or(self.callback),
            operations,
            rules,
            rates,
            table: self.table,
            own,
        }
    }
}
