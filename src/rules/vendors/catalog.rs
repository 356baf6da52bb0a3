//! The shipped catalogue: one file per vendor, in the form that the operator's own tables have. Reads no disk: the files are
//! part of the program. `check` reads each into a `Vendor`.

#[cfg(test)]
pub(super) mod tests;

use super::raw::RawVendor;

const FILES: [(&str, &str); 38] = [
    ("openai", include_str!("catalog/openai.toml")),
    ("anthropic", include_str!("catalog/anthropic.toml")),
    ("xai", include_str!("catalog/xai.toml")),
    ("groq", include_str!("catalog/groq.toml")),
    ("mistral", include_str!("catalog/mistral.toml")),
    ("deepseek", include_str!("catalog/deepseek.toml")),
    ("perplexity", include_str!("catalog/perplexity.toml")),
    ("openrouter", include_str!("catalog/openrouter.toml")),
    ("together", include_str!("catalog/together.toml")),
    ("fireworks", include_str!("catalog/fireworks.toml")),
    ("azure", include_str!("catalog/azure.toml")),
    ("google", include_str!("catalog/google.toml")),
    ("vertex", include_str!("catalog/vertex.toml")),
    ("cohere", include_str!("catalog/cohere.toml")),
    ("bedrock", include_str!("catalog/bedrock.toml")),
    ("stripe", include_str!("catalog/stripe.toml")),
    ("resend", include_str!("catalog/resend.toml")),
    ("twilio", include_str!("catalog/twilio.toml")),
    ("github", include_str!("catalog/github.toml")),
    ("assemblyai", include_str!("catalog/assemblyai.toml")),
    ("brave", include_str!("catalog/brave.toml")),
    ("cloudflare", include_str!("catalog/cloudflare.toml")),
    ("deepgram", include_str!("catalog/deepgram.toml")),
    ("elevenlabs", include_str!("catalog/elevenlabs.toml")),
    ("exa", include_str!("catalog/exa.toml")),
    ("firecrawl", include_str!("catalog/firecrawl.toml")),
    ("google_maps", include_str!("catalog/google_maps.toml")),
    ("hubspot", include_str!("catalog/hubspot.toml")),
    ("linear", include_str!("catalog/linear.toml")),
    ("notion", include_str!("catalog/notion.toml")),
    ("postmark", include_str!("catalog/postmark.toml")),
    ("sendgrid", include_str!("catalog/sendgrid.toml")),
    ("serpapi", include_str!("catalog/serpapi.toml")),
    ("serper", include_str!("catalog/serper.toml")),
    ("shopify", include_str!("catalog/shopify.toml")),
    ("slack", include_str!("catalog/slack.toml")),
    ("tavily", include_str!("catalog/tavily.toml")),
    ("vercel", include_str!("catalog/vercel.toml")),
];

/// Whole published APIs, operation by operation.
const TABLES: [(&str, &str); 2] = [
    ("github", include_str!("catalog/operations/github.tsv")),
    ("stripe", include_str!("catalog/operations/stripe.tsv")),
];

/// Names of the shipped vendors.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().map(|(name, _)| name)
}

/// A shipped vendor's table, for the operator's to go on top; `None` if none of that name ships. A file that does not parse
/// is a mistake in bursar, which the tests of this module find.
pub fn shipped(name: &str) -> Option<Result<RawVendor, toml::de::Error>> {
    let table = TABLES.into_iter().find(|(own, _)| *own == name).map(|(_, table)| table);
    let (_, text) = FILES.into_iter().find(|(own, _)| *own == name)?;
    Some(toml::from_str(text).map(|raw| RawVendor { table, ..raw }))
}
