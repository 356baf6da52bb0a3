//! OpenRouter's `GET /api/v1/models`: prices per token as decimal texts. A price below zero says that it varies: such a model is
//! left out.

use super::{Listed, count, pico};
use crate::rules::json::NodeRef;
use crate::rules::price::tokens::Kind;

const KINDS: [(&str, Kind); 7] = [
    ("prompt", Kind::Input),
    ("completion", Kind::Output),
    ("internal_reasoning", Kind::Reasoning),
    ("input_cache_read", Kind::CacheRead),
    ("input_cache_write", Kind::CacheWrite),
    ("audio", Kind::AudioInput),
    ("request", Kind::Requests),
];

pub(super) fn models(root: NodeRef<'_>) -> Vec<Listed> {
    root.member("data").into_iter().flat_map(NodeRef::children).filter_map(model).collect()
}

fn model(node: NodeRef<'_>) -> Option<Listed> {
    let id = node.member("id")?.text()?.to_lowercase();
    let pricing = node.member("pricing")?;
    let mut listed = Listed::new("openrouter", vec![id]);
    for (field, kind) in KINDS {
        let Some(price) = pricing.member(field) else { continue };
        if price.text().or(price.number()).is_some_and(|text| text.starts_with('-')) {
            return None;
        }
        listed.put("standard", 0, kind, pico(price, 0));
    }
    listed.context = count(node.member("context_length"));
    listed.output = node.member("top_provider").and_then(|top| count(top.member("max_completion_tokens")));
    (!listed.rates.is_empty()).then_some(listed)
}
