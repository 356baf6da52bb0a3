//! genai-prices' `data.json` (v2): providers with models, prices per million tokens with steps, from a day on. Models that are
//! priced by the hour are left out: the book has their hours of the week.

use super::{Listed, count, pico};
use crate::rules::json::{Kind as Json, NodeRef};
use crate::rules::price::tokens::Kind;

const SHELVES: [(&str, &str); 13] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google", "google"),
    ("azure", "azure"),
    ("aws", "bedrock"),
    ("mistral", "mistral"),
    ("groq", "groq"),
    ("cohere", "cohere"),
    ("x-ai", "xai"),
    ("deepseek", "deepseek"),
    ("perplexity", "perplexity"),
    ("openrouter", "openrouter"),
    ("together", "together"),
];
const KINDS: [(&str, Kind); 13] = [
    ("input_mtok", Kind::Input),
    ("cache_read_mtok", Kind::CacheRead),
    ("cache_write_mtok", Kind::CacheWrite),
    ("cache_write_1h_mtok", Kind::CacheWriteLong),
    ("output_mtok", Kind::Output),
    ("output_reasoning_mtok", Kind::Reasoning),
    ("input_audio_mtok", Kind::AudioInput),
    ("cache_audio_read_mtok", Kind::AudioCached),
    ("output_audio_mtok", Kind::AudioOutput),
    ("input_image_mtok", Kind::ImageInput),
    ("output_image_mtok", Kind::ImageOutput),
    ("input_video_mtok", Kind::VideoInput),
    ("output_citation_mtok", Kind::Citation),
];

pub(super) fn providers(root: NodeRef<'_>, today: &str) -> Vec<Listed> {
    root.children().flat_map(|provider| models(provider, today)).collect()
}

fn models(provider: NodeRef<'_>, today: &str) -> Vec<Listed> {
    let id = provider.member("id").and_then(NodeRef::text);
    let Some((_, shelf)) = SHELVES.into_iter().find(|(theirs, _)| id == Some(theirs)) else { return Vec::new() };
    let models = provider.member("models").into_iter().flat_map(NodeRef::children);
    models.flat_map(|model| schedules(shelf, model, today)).collect()
}

/// The price of today, and those of days to come.
fn schedules(shelf: &'static str, model: NodeRef<'_>, today: &str) -> Vec<Listed> {
    let Some(prices) = model.member("prices") else { return Vec::new() };
    if !matches!(prices.kind(), Json::Array) {
        return listed(shelf, model, prices, None).into_iter().collect();
    }
    let conditional = || prices.children().map(|price| (price, price.member("constraint").filter(|c| !c.is_null())));
    if conditional().any(|(_, constraint)| constraint.is_some_and(|c| c.member("start_time").is_some())) {
        return Vec::new();
    }
    let day = |constraint: Option<NodeRef<'_>>| {
        constraint.and_then(|c| Some(c.member("start_date")?.text()?.to_owned())).unwrap_or_default()
    };
    let dated: Vec<(String, NodeRef<'_>)> = conditional().map(|(price, constraint)| (day(constraint), price)).collect();
    let now = dated.iter().filter(|(day, _)| day.as_str() <= today).max_by(|a, b| a.0.cmp(&b.0));
    let later = dated.iter().filter(|(day, _)| day.as_str() > today);
    let all =
        now.map(|(_, price)| (None, *price)).into_iter().chain(later.map(|(day, price)| (Some(day.clone()), *price)));
    all.filter_map(|(from, price)| listed(shelf, model, price.member("prices")?, from)).collect()
}

fn listed(shelf: &'static str, model: NodeRef<'_>, prices: NodeRef<'_>, from: Option<String>) -> Option<Listed> {
    let mut names = vec![model.member("id")?.text()?.to_lowercase()];
    equals(model.member("match")?, &mut names);
    let mut listed = Listed { from, ..Listed::new(shelf, names) };
    for (field, kind) in KINDS {
        let Some(price) = prices.member(field).filter(|price| !price.is_null()) else { continue };
        let base = price.member("base").unwrap_or(price);
        listed.put("standard", 0, kind, pico(base, 6));
        for step in price.member("tiers").into_iter().flat_map(NodeRef::children) {
            listed.put("standard", count(step.member("start"))?, kind, step.member("price").and_then(|p| pico(p, 6)));
        }
    }
    listed.context = count(model.member("context_window"));
    (!listed.rates.is_empty()).then_some(listed)
}

fn equals(clause: NodeRef<'_>, names: &mut Vec<String>) {
    if let Some(name) = clause.member("equals").and_then(NodeRef::text)
        && !names.iter().any(|own| *own == name.to_lowercase())
    {
        names.push(name.to_lowercase());
    }
    clause.member("or").into_iter().flat_map(NodeRef::children).for_each(|inner| equals(inner, names));
}
