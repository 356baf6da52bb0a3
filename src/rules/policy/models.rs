//! `[[models]]`: which models calls to language models may name, and names of the operator's own for them. An alias is put in before
//! anything is judged, so what is judged, priced, held and sent is one and the same body. Where the body does not name the
//! model (in a path, in items of a batch) nothing is rewritten, and an alias is refused with words.

use std::collections::BTreeMap;

use super::model::{Mode, Policy};
use super::param::Target;
use super::set::PolicySet;
use crate::rules::args::{Args, Unreadable, Value};
use crate::rules::books::Tier;
use crate::rules::json::{Document, Edit};
use crate::rules::subject::Name;
use crate::rules::vendors::{Adapter, Operation, Price};

/// One `[[models]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRule {
    /// As a refusal names it: `models 1`.
    pub label: Name,
    /// All of the policy's if empty.
    pub vendors: Vec<Name>,
    /// All models, if there is no list.
    pub allow: Option<Vec<ModelPattern>>,
    pub aliases: BTreeMap<Box<str>, Box<str>>,
    pub mode: Mode,
}

/// A model's name; `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPattern(Box<str>);

/// A body whose model was named by an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    pub body: Vec<u8>,
    pub alias: Box<str>,
    pub model: Box<str>,
}

impl ModelPattern {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, model: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return *self.0 == *model };
        let Some(mut left) = model.strip_prefix(start) else { return false };
        let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in between.split('*').filter(|piece| !piece.is_empty()) {
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(end)
    }
}

impl ModelRule {
    pub fn is_for(&self, vendor: &str) -> bool {
        self.vendors.is_empty() || self.vendors.iter().any(|v| **v == *vendor)
    }

    /// May a model serve such a call that nobody here sees? One of a language model's vendor that is not priced by its model, or that
    /// the catalogue does not list, where the rule is for that vendor by name.
    pub(super) fn is_blind(&self, operation: Option<&Operation>, method: &str) -> bool {
        let Some(operation) = operation else {
            return !self.vendors.is_empty() && !matches!(method, "GET" | "HEAD");
        };
        let priced = matches!(operation.price, Price::Adapter(_) | Price::Free);
        !priced && operation.action.starts_with("llm.") && operation.tier != Tier::ReadOnly
    }

    pub fn allows(&self, model: &str) -> bool {
        self.allow.as_ref().is_none_or(|list| list.iter().any(|pattern| pattern.matches(model)))
    }
}

impl Policy {
    /// Does every list of its own take this model?
    pub fn takes_model(&self, vendor: &str, model: &str) -> bool {
        self.models.iter().filter(|rule| rule.is_for(vendor)).all(|rule| rule.allows(model))
    }

    /// The last one that says so: an heir's own stand behind its base's.
    pub(super) fn alias(&self, vendor: &str, model: &str) -> Option<&str> {
        let rules = self.models.iter().rev().filter(|rule| rule.is_for(vendor));
        rules.filter_map(|rule| rule.aliases.get(model)).map(|model| &**model).next()
    }
}

impl PolicySet {
    /// The body as it is judged and sent, if it names its model by an alias of this policy: all but that name as it came.
    pub fn renamed(&self, policy: &str, vendor: &str, operation: Option<&Operation>, body: &[u8]) -> Option<Renamed> {
        let policy = self.get(policy).filter(|policy| policy.models.iter().any(|rule| !rule.aliases.is_empty()))?;
        adapter(operation).filter(|adapter| in_body(*adapter))?;
        // What cannot be read is refused by whoever reads it.
        let document = Document::parse(body).ok()?;
        let alias = document.root().member("model")?.text()?;
        let model = policy.alias(vendor, alias)?;
        let value = serde_json::Value::from(model).to_string();
        let body = document.splice(&[Edit::Replace { pointer: "/model", value: &value }]).ok()?;
        Some(Renamed { body, alias: alias.into(), model: model.into() })
    }
}

fn adapter(operation: Option<&Operation>) -> Option<Adapter> {
    match operation?.price {
        Price::Adapter(adapter) => Some(adapter),
        _ => None,
    }
}

/// Does the body's own `model` say it, unless the path does?
fn in_body(adapter: Adapter) -> bool {
    use Adapter::{Batch, BatchFile, BatchOutput, BatchStatus, Converse, Gemini, GeminiEmbed, Invoke, MessageBatch};
    use Adapter::{MessageResults, Stripe};
    let elsewhere = matches!(adapter, Converse | Gemini | GeminiEmbed | Invoke | MessageBatch | MessageResults);
    !elsewhere && !matches!(adapter, Batch | BatchFile | BatchOutput | BatchStatus | Stripe(_))
}

/// Every model that a call may be served by; `None` if it is about none. An empty list: it names none.
pub(super) fn named(operation: Option<&Operation>, args: &Args<'_>) -> Result<Option<Vec<String>>, Unreadable> {
    let Some(adapter) = adapter(operation) else { return Ok(None) };
    let in_path = ["model", "deployment"].into_iter().find_map(|name| args.in_path(name));
    Ok(match adapter {
        Adapter::Stripe(_) | Adapter::BatchStatus | Adapter::BatchOutput | Adapter::MessageResults => None,
        // What the file asks for does not stand in the call.
        Adapter::Batch | Adapter::BatchFile => Some(Vec::new()),
        Adapter::MessageBatch => {
            Some(texts(args, &["/requests/*/params/model", "/requests/*/params/fallbacks/*/model"])?)
        }
        _ => {
            let beside = texts(args, &["/models/*", "/fallbacks/*/model", "/preset"])?;
            let model = match in_path {
                Some(model) => vec![model.to_owned()],
                None => texts(args, &["/model"])?,
            };
            Some(if model.is_empty() { model } else { [model, beside].concat() })
        }
    })
}

fn texts(args: &Args<'_>, names: &[&str]) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for name in names {
        // What is no text is no model's name, and matches no pattern but one that takes all.
        let shown = |value: &Value<'_>| value.text().map_or_else(|| format!("{value:?}"), str::to_owned);
        found.extend(Target::parse(name).values(args)?.iter().map(shown));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_say() {
        for (pattern, model, yes) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("gpt-4o*", "gpt-4", false),
            ("*-mini", "gpt-4o-mini", true),
            ("*-mini", "gpt-4o-mini-x", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("a*bb*b", "abb", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("vendor/*", "vendor/a/b", true),
            ("GPT*", "gpt-4o", false),
        ] {
            assert_eq!(ModelPattern::new(pattern).matches(model), yes, "{pattern} {model}");
        }
    }
}
