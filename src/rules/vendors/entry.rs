//! One vendor as the rest of bursar sees it: checked, with defaults filled in. `check` makes it from the shipped catalogue
//! and the operator's file. Does not route or price; `route` and `ask` do.

use std::sync::Arc;

use crate::rules::books::Tier;
use crate::rules::pattern::OperationPattern;
use crate::rules::subject::Name;

use super::callback::Callback;
use super::dialect::Dialect;
use super::route::Routes;
use super::stripe::Move;

/// Which code estimates and meters. Adding one makes the compiler list every place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    OpenAi,
    Anthropic,
    /// Gemini and Vertex.
    Google,
    Cohere,
    Bedrock,
    Stripe,
    /// Catalogue rules alone.
    Declared,
}

/// The shape of error bodies that this vendor's SDK understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    OpenAi,
    Anthropic,
    Stripe,
    Twilio,
    Resend,
    Google,
    Bedrock,
    /// `{"message"}`: Cohere, Mistral, and whoever names none.
    Message,
    ElevenLabs,
    SendGrid,
    Slack,
    GitHub,
}

/// Where the real credential goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: Bearer C`
    Bearer,
    /// `Authorization: token C`
    Token,
    /// `name: C`
    Header(Box<str>),
    /// `Authorization: Basic base64(C)`; the credential is `user:password`.
    Basic,
    /// `?name=C`
    Query(Box<str>),
    /// A signature of the whole request (SigV4) for this service; the credential is `access:secret` or
    /// `access:secret:session`.
    Sigv4(Box<str>),
}

/// One vendor of the catalogue, adjusted by the operator.
#[derive(Clone, Debug)]
pub struct Vendor {
    pub name: Name,
    pub family: Family,
    /// Its way of OpenAI's shapes.
    pub dialect: Dialect,
    pub envelope: Envelope,
    /// The first is the default; another is chosen by method and path.
    pub hosts: Vec<Host>,
    pub placement: Placement,
    /// Sent with every call, e.g. `anthropic-version`, unless the caller sends its own.
    pub default_headers: Vec<(Box<str>, Box<str>)>,
    /// Headers that select an account (lower case); refused unless the policy names them.
    pub account_headers: Vec<Box<str>>,
    /// Usual environment variables of the credential.
    pub env: Vec<Box<str>>,
    /// A first path segment that some SDKs leave out: `v1`. It is put back before judging and sending.
    pub version: Option<Box<str>>,
    /// A 5xx status costs nothing.
    pub failures_free: bool,
    /// A call under an idempotency key that was charged before is a repeat, though no header of the answer says so.
    pub repeats_unsaid: bool,
    /// Which shelf of the price book its models stand on.
    pub prices: Name,
    /// Is a request that names no service tier served in the standard one? Else the account may have set a dearer one.
    pub auto_tier_is_standard: bool,
    /// The currency of amounts whose currency the request does not name; `None` if it may be any.
    pub currency: Option<Box<str>>,
    /// Header by which the vendor knows a repeat (lower case).
    pub idempotency_header: Option<Box<str>>,
    /// Response header with the vendor's own request id (lower case).
    pub request_id_header: Option<Box<str>>,
    pub operations: Vec<Operation>,
    /// Finds an operation by method and path.
    pub(super) routes: Routes,
    /// Price of an operation that is not listed; `None` refuses it unless the policy names a ceiling.
    pub otherwise: Option<Price>,
    /// May its address be private or loopback?
    pub private_network: bool,
    /// How it tells by itself that a call is over; `None` if it is not heard.
    pub callback: Option<Callback>,
    /// Host names that lead to this vendor.
    pub host_names: Vec<Box<str>>,
}

/// An upstream origin, and what goes there.
#[derive(Clone, Debug)]
pub struct Host {
    pub base: Base,
    /// Empty for the default host.
    pub serves: Vec<OperationPattern>,
}

/// `scheme://authority/prefix`, from the operator or the catalogue alone; nothing that a caller sends is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub tls: bool,
    /// Host and port as they stand in the `Host` header.
    pub authority: Box<str>,
    pub host: Box<str>,
    pub port: u16,
    /// `/prefix` without a slash at the end; empty if there is none.
    pub prefix: Box<str>,
}

/// How a request body may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    Json,
    Form,
    Multipart,
    /// Never read by a rule.
    Opaque,
}

/// A method and path template, with its risk and its price.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `POST /v1/refunds/{refund}`
    pub name: Name,
    pub method: Box<str>,
    /// Segments; `{x}` matches any one, a last `{x+}` any number.
    pub template: Vec<Box<str>>,
    pub action: Name,
    pub tier: Tier,
    pub bodies: Vec<BodyKind>,
    pub price: Price,
}

/// How an operation is estimated and metered.
#[derive(Clone, Debug)]
pub enum Price {
    /// Costs nothing, whatever comes back.
    Free,
    /// Costs what neither the request nor the answer names: refused unless the policy names a ceiling.
    Ceiling,
    /// The family's own code.
    Adapter(Adapter),
    /// Rules of the catalogue.
    Rule(Arc<super::declared::Rule>),
}

/// Operations that need code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// OpenAI chat completions.
    Chat,
    /// The older completions, of a bare text.
    Completions,
    /// OpenAI responses.
    Responses,
    /// OpenAI embeddings.
    Embeddings,
    /// Pictures of OpenAI's shape.
    Images,
    Speech,
    Transcription,
    /// Anthropic messages; the model may stand in the path.
    Messages,
    /// Gemini's `generateContent`, plain or as a stream.
    Gemini,
    GeminiEmbed,
    /// Cohere v2.
    Cohere,
    CohereEmbed,
    CohereRerank,
    /// Bedrock, for every model alike, or by the model's own body.
    Converse,
    Invoke,
    /// A batch of messages, and its results.
    MessageBatch,
    MessageResults,
    /// A file, which a batch may run; the batch, how far it is, and a file that may be its results.
    BatchFile,
    Batch,
    BatchStatus,
    BatchOutput,
    /// Stripe, by what moves.
    Stripe(Move),
}

impl Adapter {
    /// By the name that the catalogue uses.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "chat" => Some(Self::Chat),
            "completions" => Some(Self::Completions),
            "responses" => Some(Self::Responses),
            "embeddings" => Some(Self::Embeddings),
            "images" => Some(Self::Images),
            "speech" => Some(Self::Speech),
            "transcription" => Some(Self::Transcription),
            "messages" => Some(Self::Messages),
            "gemini" => Some(Self::Gemini),
            "gemini-embed" => Some(Self::GeminiEmbed),
            "cohere" => Some(Self::Cohere),
            "cohere-embed" => Some(Self::CohereEmbed),
            "cohere-rerank" => Some(Self::CohereRerank),
            "converse" => Some(Self::Converse),
            "invoke" => Some(Self::Invoke),
            "message-batch" => Some(Self::MessageBatch),
            "message-results" => Some(Self::MessageResults),
            "batch-file" => Some(Self::BatchFile),
            "batch" => Some(Self::Batch),
            "batch-status" => Some(Self::BatchStatus),
            "batch-output" => Some(Self::BatchOutput),
            _ => Move::parse(name).map(Self::Stripe),
        }
    }

    /// Is it a plain call of a language model: one that may be repeated without harm?
    pub fn is_llm(self) -> bool {
        !matches!(self, Self::Stripe(_) | Self::MessageBatch | Self::Batch | Self::BatchFile)
    }
}

impl Price {
    /// Does the estimate read query and body, so that they must have one reading?
    pub fn reads_request(&self) -> bool {
        matches!(self, Self::Adapter(_) | Self::Rule(_))
    }

    /// Can a count of its prompt bound such a call better than its bytes?
    pub fn may_be_counted(&self) -> bool {
        use Adapter::{Chat, Converse, Gemini, Invoke, Messages, Responses};
        matches!(self, Self::Adapter(Chat | Responses | Messages | Gemini | Converse | Invoke))
    }

    /// May a body that is too long to be read go out unread? A file costs nothing until something runs it, and what was not
    /// read has no bound then.
    pub fn takes_unread(&self) -> bool {
        matches!(self, Self::Adapter(Adapter::BatchFile))
    }
}

impl Vendor {
    /// How a call is priced; `None` if the vendor's entry does not know such calls.
    pub fn price_of<'v>(&'v self, operation: Option<&'v Operation>) -> Option<&'v Price> {
        operation.map_or(self.otherwise.as_ref(), |operation| Some(&operation.price))
    }
}

/// The multiplier of prices that follows from where a host stands: `host.eu`.
pub(super) fn host_factor(host: &str) -> Option<&'static str> {
    let places = [("eu.", "host.eu"), ("us.", "host.us")];
    places.into_iter().find(|(prefix, _)| host.starts_with(prefix)).map(|(_, factor)| factor)
}

impl Envelope {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "openai" => Self::OpenAi,
            "anthropic" => Self::Anthropic,
            "stripe" => Self::Stripe,
            "twilio" => Self::Twilio,
            "resend" => Self::Resend,
            "google" => Self::Google,
            "bedrock" => Self::Bedrock,
            "message" => Self::Message,
            "elevenlabs" => Self::ElevenLabs,
            "sendgrid" => Self::SendGrid,
            "slack" => Self::Slack,
            "github" => Self::GitHub,
            _ => return None,
        })
    }
}
