//! LiteLLM's `model_prices_and_context_window.json`: one entry a name, a field for each rate, tier and step. Entries with hours of
//! the day are left out: the book has them apart.

use super::{Listed, count, per_second, pico};
use crate::rules::json::NodeRef;
use crate::rules::price::tokens::Kind;

/// Their provider, our shelf, and what their keys begin with.
const SHELVES: [(&str, &str, &str); 17] = [
    ("openai", "openai", ""),
    ("anthropic", "anthropic", ""),
    ("gemini", "google", "gemini/"),
    ("azure", "azure", "azure/"),
    ("azure_ai", "azure", "azure_ai/"),
    ("bedrock", "bedrock", "bedrock/"),
    ("bedrock_converse", "bedrock", "bedrock/"),
    ("mistral", "mistral", "mistral/"),
    ("groq", "groq", "groq/"),
    ("cohere", "cohere", "cohere/"),
    ("cohere_chat", "cohere", "cohere/"),
    ("xai", "xai", "xai/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("perplexity", "perplexity", "perplexity/"),
    ("openrouter", "openrouter", "openrouter/"),
    ("together_ai", "together", "together_ai/"),
    ("fireworks_ai", "fireworks", "fireworks_ai/"),
];
const KINDS: [(&str, Kind); 18] = [
    ("input_cost_per_token", Kind::Input),
    ("cache_read_input_token_cost", Kind::CacheRead),
    ("cache_creation_input_token_cost", Kind::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Kind::CacheWriteLong),
    ("cache_creation_input_token_cost_above_12hr", Kind::CacheWriteLong),
    ("output_cost_per_token", Kind::Output),
    ("input_cost_per_audio_token", Kind::AudioInput),
    ("cache_read_input_audio_token_cost", Kind::AudioCached),
    ("output_cost_per_audio_token", Kind::AudioOutput),
    ("input_cost_per_image_token", Kind::ImageInput),
    ("cache_read_input_image_token_cost", Kind::ImageCached),
    ("output_cost_per_image_token", Kind::ImageOutput),
    ("input_cost_per_video_token", Kind::VideoInput),
    ("citation_cost_per_token", Kind::Citation),
    ("input_cost_per_character", Kind::CharactersIn),
    ("ocr_cost_per_page", Kind::Pages),
    ("input_cost_per_query", Kind::SearchUnits),
    ("input_cost_per_audio_per_second", Kind::AudioTimeIn),
];
const TIERS: [(&str, &str); 6] = [
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_ultrafast", "ultrafast"),
    ("_balanced", "balanced"),
    ("_batches", "batch"),
    ("", "standard"),
];

pub(super) fn entries(root: NodeRef<'_>) -> Vec<Listed> {
    root.children().filter_map(entry).collect()
}

fn entry(node: NodeRef<'_>) -> Option<Listed> {
    let provider = node.member("litellm_provider")?.text()?;
    let vertex = provider.strip_prefix("vertex_ai").map(|_| ("", "vertex", "vertex_ai/"));
    let (_, shelf, head) = SHELVES.into_iter().find(|(theirs, ..)| *theirs == provider).or(vertex)?;
    let key = node.key()?;
    if node.member("off_peak_pricing").is_some() || key.contains("month-commitment") || key.contains("-x-") {
        return None;
    }
    let mut listed = Listed::new(shelf, vec![key.strip_prefix(head).unwrap_or(key).to_lowercase()]);
    for field in node.children() {
        let Some((kind, tier, above)) = field.key().and_then(|name| meaning(shelf, name)) else { continue };
        listed.put(tier, above, kind, pico(field, 0).map(|pico| per_second(kind, pico)));
    }
    listed.input = count(node.member("max_input_tokens"));
    listed.output = count(node.member("max_output_tokens"));
    (!listed.rates.is_empty()).then_some(listed)
}

/// `input_cost_per_token_above_272k_tokens_flex` is the input's, of the tier flex, above 272,000 tokens.
fn meaning(shelf: &str, name: &str) -> Option<(Kind, &'static str, u64)> {
    let (rest, tier) = TIERS.into_iter().find_map(|(end, tier)| Some((name.strip_suffix(end)?, tier)))?;
    let exact = |name: &str| KINDS.into_iter().find(|(theirs, _)| *theirs == name).map(|(_, kind)| kind);
    if let Some(kind) = exact(rest) {
        return Some((kind, tier, 0));
    }
    let (base, step) = rest.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
    let above = step.parse::<u64>().ok()?.checked_mul(1000)?;
    // xAI's steps begin at the threshold itself.
    Some((exact(base)?, tier, if shelf == "xai" { above - 1 } else { above }))
}
