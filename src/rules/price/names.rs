//! The names that a model may be listed under, from the name that a request or an answer spells: without the path of a cloud's
//! resource, a region, a version, a day. Knows no prices; `shelf` looks each of them up, the first one first.

use std::convert::Infallible;
use std::ops::ControlFlow;

/// Endings that lead to the same model.
const ENDINGS: [&str; 5] = ["-latest", "@latest", "@default", "-preview", "-exp"];
/// Behind a model of OpenRouter's: what makes none of its tokens dearer.
const WAYS: [&str; 7] = ["free", "floor", "nitro", "exacto", "beta", "batch", "online"];
/// Before a model of Bedrock's: where it may run.
const REGIONS: [&str; 10] = ["us.", "eu.", "apac.", "au.", "jp.", "ca.", "sa.", "us-gov.", "global.", "in."];
/// Before the model in the name of a cloud's resource. What follows an application's profile is no model's name.
const FOLDERS: [&str; 4] = ["foundation-model/", "inference-profile/", "models/", "endpoints/"];

/// What `known` says of the first spelling that it has; or else all of them, the most exact one first, none twice.
/// `eu-west-2/qwen.qwen3` is what a model is called in one region: that region's own price comes before the general one, and
/// the price of a profile over several regions before both.
pub(super) fn look<T>(model: &str, known: impl Fn(&str) -> Option<T>) -> ControlFlow<T, Vec<String>> {
    let model = model.to_lowercase();
    let Some((place, rest)) = placed(&model) else { return plain(&model, known) };
    // In a region the order is another one, so first there must be all.
    let ControlFlow::Continue(names) = plain(rest, |_| None::<Infallible>);
    let profile = names.iter().find_map(|name| REGIONS.into_iter().find(|region| name.starts_with(region)));
    let own = |name: &&String| profile.is_some_and(|profile| name.starts_with(profile));
    let mut found = Found { names: Vec::new(), known };
    found.add(model.clone())?;
    names.iter().filter(own).try_for_each(|name| found.add(name.clone()))?;
    names.iter().try_for_each(|name| found.add(format!("{place}/{name}")))?;
    names.iter().try_for_each(|name| found.add(name.clone()))?;
    ControlFlow::Continue(found.names)
}

/// Spellings of a name without a region.
fn plain<T>(model: &str, known: impl Fn(&str) -> Option<T>) -> ControlFlow<T, Vec<String>> {
    let mut found = Found { names: Vec::new(), known };
    found.add(model.to_owned())?;
    // Most names have neither, and to search them for words costs more than all that follows.
    if model.contains('/') {
        if model.contains("application-inference-profile/") {
            return ControlFlow::Continue(found.names);
        }
        found.all(|name| FOLDERS.into_iter().find_map(|folder| Some(name.split_once(folder)?.1)))?;
    }
    if model.contains(':') {
        found.all(fine_tuned_base)?;
        found.all(without_window)?;
    }
    found.all(undated)?;
    // A day before an ending, or an ending before a day: both ways round.
    found.all(without_ending)?;
    found.all(undated)?;
    found.all(without_version)?;
    found.all(undated)?;
    for name in found.names.clone() {
        if let Some(base) = REGIONS.into_iter().find_map(|region| name.strip_prefix(region)) {
            // A new region is no cheaper than those that are known.
            found.add(format!("us.{base}"))?;
            found.add(base.to_owned())?;
        }
    }
    ControlFlow::Continue(found.names)
}

/// Spellings so far, none of which is known.
struct Found<K> {
    names: Vec<String>,
    known: K,
}

impl<T, K: Fn(&str) -> Option<T>> Found<K> {
    /// Adds what a step makes of each name so far.
    fn all(&mut self, step: impl Fn(&str) -> Option<&str>) -> ControlFlow<T> {
        (0..self.names.len()).try_for_each(|at| {
            let shorter = step(&self.names[at]).filter(|shorter| !shorter.is_empty()).map(str::to_owned);
            shorter.map_or(ControlFlow::Continue(()), |shorter| self.add(shorter))
        })
    }

    fn add(&mut self, name: String) -> ControlFlow<T> {
        if !self.names.contains(&name) {
            if let Some(known) = (self.known)(&name) {
                return ControlFlow::Break(known);
            }
            self.names.push(name);
        }
        ControlFlow::Continue(())
    }
}

/// Region and name of `eu-west-2/qwen.qwen3`.
pub(super) fn placed(name: &str) -> Option<(&str, &str)> {
    name.split_once('/').filter(|(place, _)| is_region(place))
}

/// Is it how Amazon calls its regions: `us-gov-west-1`?
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let plain = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let Some((number, words)) = parts.split_last() else { return false };
    let counted = !number.is_empty() && number.len() < 3 && number.bytes().all(|b| b.is_ascii_digit());
    (2..=3).contains(&words.len()) && words[0].len() == 2 && words.iter().all(plain) && counted
}

/// `ft:gpt-4o-2024-08-06:org::id` is priced as `ft:gpt-4o-2024-08-06`.
fn fine_tuned_base(model: &str) -> Option<&str> {
    let at = model.strip_prefix("ft:")?.find(':')?;
    Some(&model[..at + "ft:".len()])
}

/// Bedrock's `…-v1:0:200k` is `…-v1:0`.
fn without_window(model: &str) -> Option<&str> {
    let (name, window) = model.rsplit_once(':')?;
    let number = window.strip_suffix('k').or(window.strip_suffix('m'))?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

/// Bedrock's `…-v1:0`, `…:0` and `…-v1`; OpenRouter's `…:free`, whose own row is looked for first.
fn without_version(model: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match model.rsplit_once(':') {
        Some((name, _)) if name.starts_with("ft") => None,
        Some((name, number)) if digits(number) => {
            Some(name.rsplit_once("-v").filter(|(_, version)| digits(version)).map_or(name, |(name, _)| name))
        }
        // Ways to be served at the same price, or at a lower one that has a row of its own.
        Some((name, way)) if WAYS.contains(&way) => Some(name),
        Some(_) => None,
        None => model.strip_suffix("-v1"),
    }
}

fn without_ending(model: &str) -> Option<&str> {
    ENDINGS.into_iter().find_map(|ending| model.strip_suffix(ending))
}

/// Without `-2026-04-23`, `-20260423`, `@20260423`, `@001`, `-001`, or `-05-20` behind a preview.
fn undated(model: &str) -> Option<&str> {
    let bytes = model.as_bytes();
    let ends_as = |form: &[u8]| {
        let at = bytes.len().checked_sub(form.len()).filter(|at| *at > 0)?;
        let fits = |(byte, form): (&u8, &u8)| if *form == b'#' { byte.is_ascii_digit() } else { byte == form };
        bytes[at..].iter().zip(form).all(fits).then(|| &model[..at])
    };
    let dated = [b"-####-##-##".as_slice(), b"-########", b"@########", b"@00#", b"-00#"];
    let preview = || ends_as(b"-##-##").filter(|name| name.ends_with("-preview"));
    dated.into_iter().find_map(ends_as).or_else(preview)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(model: &str) -> Vec<String> {
        let ControlFlow::Continue(all) = look(model, |_| None::<Infallible>);
        all
    }

    #[test]
    fn the_first_one_that_is_known_ends_the_search() {
        for name in ["gpt-5.5-2026-04-23", "eu-west-2/qwen.qwen3-v1:0", "us.anthropic.claude-opus-4-5-20251101-v1:0"] {
            for (at, spelling) in spellings(name).iter().enumerate() {
                let known =
                    |own: &str| spellings(name).iter().skip(at).any(|later| later == own).then(|| own.to_owned());
                assert_eq!(look(name, known), ControlFlow::Break(spelling.clone()), "{name}");
            }
        }
    }

    #[test]
    fn every_cloud_spells_a_model_in_its_own_way() {
        for (name, is) in [
            ("gpt-5.5-2026-04-23", "gpt-5.5"),
            ("GPT-5.5", "gpt-5.5"),
            ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
            ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
            ("claude-opus-4@20250514", "claude-opus-4"),
            ("claude-sonnet-5@default", "claude-sonnet-5"),
            ("mistral-medium-3@001", "mistral-medium-3"),
            ("gemini-2.0-flash-001", "gemini-2.0-flash"),
            ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash-preview"),
            ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("publishers/anthropic/models/claude-opus-4-5@20251101", "claude-opus-4-5"),
            ("projects/p/locations/us-east5/publishers/google/models/gemini-3-flash-preview", "gemini-3-flash-preview"),
            ("us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0"),
            ("us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-opus-4-5"),
            ("ap-south-1/anthropic.claude-v2:1:200k", "anthropic.claude-v2:1"),
            ("ap-south-1/anthropic.claude-v2:1:200k", "ap-south-1/anthropic.claude-v2:1"),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
                "us.anthropic.claude-3-haiku-20240307-v1:0",
            ),
            ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
            ("in.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
            ("ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini-2024-07-18"),
            ("ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini"),
            ("deepseek/deepseek-v4:free", "deepseek/deepseek-v4"),
            ("openai/gpt-4o:online", "openai/gpt-4o"),
            ("accounts/fireworks/models/kimi-k3", "kimi-k3"),
        ] {
            let found = spellings(name);
            assert!(found.iter().any(|own| own == is), "{name} is {is}: {found:?}");
        }
    }

    #[test]
    fn a_region_comes_before_all_regions_and_a_profile_before_it() {
        let first = |name: &str, of: [&str; 2]| {
            let found = spellings(name);
            of.map(|one| found.iter().position(|own| own == one)).map(|at| at.unwrap_or_else(|| panic!("{found:?}")))
        };
        for (name, order) in [
            ("eu-west-2/qwen.qwen3-v1:0", ["eu-west-2/qwen.qwen3", "qwen.qwen3-v1:0"]),
            ("eu-west-2/eu.qwen.qwen3", ["eu.qwen.qwen3", "eu-west-2/qwen.qwen3"]),
            ("us-gov-west-1/us-gov.amazon.nova", ["us-gov-west-1/amazon.nova", "us.amazon.nova"]),
            (
                "eu-west-2/arn:aws:bedrock:eu-west-2:1:inference-profile/eu.qwen.qwen3",
                ["eu.qwen.qwen3", "eu-west-2/qwen.qwen3"],
            ),
        ] {
            let [a, b] = first(name, order);
            assert!(a < b, "{name}: {order:?}");
        }
        for (text, is) in
            [("eu-west-2", true), ("us-gov-east-1", true), ("us", false), ("a-b-1", false), ("vpce-1a-2", false)]
        {
            assert_eq!(is_region(text), is, "{text}");
        }
    }

    #[test]
    fn what_is_no_models_name_stays_what_it_is() {
        let opaque = "arn:aws:bedrock:us-east-1:1:application-inference-profile/claude-opus-4-5";
        assert_eq!(spellings(opaque), [opaque]);
        for name in ["", "-", ":", "ft:", "ft::", "é-2026-01-01", "@001", "-latest", "-v1:0", "\u{0}"] {
            // Nothing but no panic, and no empty name where there was one.
            assert!(spellings(name).iter().skip(1).all(|name| !name.is_empty()), "{name}");
        }
        assert!(!spellings("ft:gpt-6:x").contains(&"gpt-6".to_owned()), "a fine-tuned model has its own price");
    }
}
