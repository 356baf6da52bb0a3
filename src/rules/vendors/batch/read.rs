//! What the answers around a batch say: the name of what was made, where its results lie, and in the results what each item
//! used. Items that failed, expired or were cancelled cost nothing. A line that cannot be read leaves the bound standing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::dialect::Dialect;
use super::super::llm::{self, Api, LlmPlan, Reported};
use super::super::look_up::is_plain_id;
use super::super::objects::Objects;
use super::super::plan::Inner;
use super::super::{anthropic, openai};
use super::{Batch, FileBound};
use crate::rules::books::{Made, TokenCounts};
use crate::rules::subject::Name;
use crate::units::money::{ExactUsd, MicroCents};

/// No result is longer.
const LONGEST_LINE: usize = 16 * 1024 * 1024;
/// What the tier is called at which results are charged, whatever their lines say.
pub(in super::super) const TIER: &str = "batch";
/// States in which nothing runs any more.
const OVER: [&str; 4] = ["completed", "failed", "expired", "cancelled"];

/// What something that an earlier call made turned out to cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub object: Name,
    pub usd: MicroCents,
    pub tokens: u64,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Something that was made, if its name is one that can be looked for.
fn made(id: &str) -> Option<Made> {
    is_plain_id(id).then(|| Made::named(id))
}

#[derive(Deserialize)]
struct Status {
    id: String,
    status: Option<String>,
    output_file_id: Option<String>,
    request_counts: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    completed: u64,
}

/// What a plain answer says.
pub(in super::super) fn plain(batch: &Batch, body: &[u8]) -> (Option<Made>, Option<Due>) {
    match batch {
        Batch::Upload(bound) => (uploaded(body, bound.as_ref()), None),
        Batch::Making { geo } => {
            let made = serde_json::from_slice::<Named>(body).ok().and_then(|named| made(&named.id));
            (made.map(|made| Made { geo: geo.clone(), ..made }), None)
        }
        Batch::Status => status(body),
        Batch::Results { .. } => (None, None),
    }
}

fn uploaded(body: &[u8], bound: Option<&Result<FileBound, String>>) -> Option<Made> {
    let made = made(&serde_json::from_slice::<Named>(body).ok()?.id)?;
    Some(match bound? {
        Ok(file) => Made { bound: Some(file.bound), endpoint: Some(file.endpoint.clone()), ..made },
        Err(why) => Made { unbounded: Some(why.clone()), ..made },
    })
}

/// The name of the results, by which they are known later; or that there are none, and nothing ran.
fn status(body: &[u8]) -> (Option<Made>, Option<Due>) {
    let told = serde_json::from_slice::<Status>(body).ok().filter(|told| is_plain_id(&told.id));
    let Some(told) = told else { return (None, None) };
    let object: Name = told.id.as_str().into();
    if let Some(file) = told.output_file_id {
        return (made(&file).map(|made| Made { of: Some(object), ..made }), None);
    }
    let over = told.status.as_deref().is_some_and(|status| OVER.contains(&status));
    let nothing = told.request_counts.is_some_and(|counts| counts.completed == 0);
    (None, (over && nothing).then_some(Due { object, usd: MicroCents::ZERO, tokens: 0 }))
}

/// Results as they flow by.
#[derive(Debug)]
pub(in super::super) struct Reading {
    objects: Objects,
    sum: ExactUsd,
    tokens: u64,
    lines: u64,
    /// Some line does not say what it cost.
    unknown: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self { objects: Objects::new(LONGEST_LINE), sum: ExactUsd::ZERO, tokens: 0, lines: 0, unknown: false }
    }
}

impl Reading {
    pub fn push(&mut self, bytes: &[u8], inner: &Inner, plan: &LlmPlan) {
        let Self { objects, sum, tokens, lines, unknown } = self;
        let read = objects.push(bytes, &mut |line| match item(line, inner, plan) {
            Some((usd, used)) => {
                *lines += 1;
                *sum = sum.plus(usd);
                *tokens = tokens.saturating_add(used.total());
            }
            None => *unknown = true,
        });
        *unknown |= read.is_err();
    }

    /// What all of them cost; `None` if that is not known, and then nothing is replaced. No lines are no results.
    pub fn finish(self, of: &Name) -> Option<Due> {
        let known = self.lines > 0 && !self.unknown && self.objects.is_whole();
        known.then(|| Due { object: of.clone(), usd: self.sum.ceil(), tokens: self.tokens })
    }
}

/// A line of OpenAI's, or of Anthropic's.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    response: Option<Response<'a>>,
    error: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    result: Option<Outcome<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

const NOTHING: (ExactUsd, TokenCounts) = (ExactUsd::ZERO, TokenCounts { input: 0, output: 0, cached: 0, reasoning: 0 });

/// What one item cost; `None` if its line does not say.
fn item(line: &[u8], inner: &Inner, plan: &LlmPlan) -> Option<(ExactUsd, TokenCounts)> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let reported = match (line.response, line.result) {
        (Some(response), None) if response.status_code == 200 => of_response(response.body?.get().as_bytes(), plan)?,
        (Some(_), None) => return Some(NOTHING),
        (None, Some(outcome)) if outcome.kind == "succeeded" => {
            let message = outcome.message?.get().as_bytes();
            // What the vendor's own containers cost stands in no usage.
            let contained = ["code_execution_tool_result", "\"container\":{"].iter();
            if contained.into_iter().any(|mark| memchr::memmem::find(message, mark.as_bytes()).is_some()) {
                return None;
            }
            anthropic::answer::message(message, plan.long_cache)?
        }
        (None, Some(outcome)) if matches!(outcome.kind.as_str(), "errored" | "canceled" | "expired") => {
            return Some(NOTHING);
        }
        (None, None) if line.error.is_some() => return Some(NOTHING),
        _ => return None,
    };
    llm::exact(inner, plan, &Reported { tier: Some(TIER.to_owned()), ..reported })
}

#[derive(Deserialize)]
struct Object {
    object: Option<String>,
}

fn of_response(body: &[u8], plan: &LlmPlan) -> Option<Reported> {
    // Such lines are not Anthropic's, whatever they say.
    if plan.api != Api::Chat {
        return None;
    }
    match serde_json::from_slice::<Object>(body).ok()?.object.as_deref() {
        Some("response") => openai::answer::response(body),
        Some("list") => openai::answer::embedding(body, Dialect::OpenAi),
        Some("chat.completion" | "text_completion") => openai::answer::chat(body, Dialect::OpenAi),
        // Moderations cost nothing, and say so by having neither a kind nor a usage.
        None if body_is_moderation(body) => Some(Reported { seen: llm::Seen::All, ..Reported::default() }),
        _ => None,
    }
}

fn body_is_moderation(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Moderation {
        model: String,
        results: Vec<serde::de::IgnoredAny>,
        usage: Option<serde::de::IgnoredAny>,
    }
    let read = serde_json::from_slice::<Moderation>(body);
    read.is_ok_and(|told| told.usage.is_none() && !told.results.is_empty() && told.model.contains("moderation"))
}
