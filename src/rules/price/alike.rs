//! Other models of a shelf that could do the work of a given one: by the kinds of unit that they are billed by, and by words in
//! their names. Knows nothing of what a call costs; who suggests one bounds the call first.

use std::cmp::Reverse;

use super::book::PriceBook;
use super::row::Row;
use super::shelf::Shelf;
use super::tokens::Kind;
use crate::rules::subject::Name;
use crate::units::time::Timestamp;

/// Words in the names of models that do not answer a chat, or only by another endpoint. Who calls such a model may be pointed
/// at another of them.
const TRADES: [&str; 17] = [
    "audio",
    "codex",
    "computer",
    "cyber",
    "embed",
    "image",
    "instruct",
    "live",
    "moderation",
    "ocr",
    "pro",
    "realtime",
    "research",
    "search",
    "transcribe",
    "translate",
    "tts",
];

/// What a model that reads and writes text alone is billed by.
const TEXT: [Kind; 6] =
    [Kind::Input, Kind::CacheRead, Kind::CacheWrite, Kind::CacheWriteLong, Kind::Output, Kind::Reasoning];

impl PriceBook {
    /// Names of other models of that vendor that have a price now and do the same kind of work; those whose names begin most
    /// like this one's first. Only those that `keep` takes.
    pub fn alike(&self, vendor: &str, model: &str, now: Timestamp, keep: impl Fn(&str) -> bool) -> Vec<Name> {
        let Some(shelf) = self.shelf(vendor) else { return Vec::new() };
        let own = shelf.find(model).map(|row| row.id.clone());
        let model = model.to_lowercase();
        let same_work = |row: &Row| trades(&row.id) == trades(&model) && speaks(row, now);
        let wanted = |row: &&Row| own.as_ref() != Some(&row.id) && same_work(row) && keep(&row.id);
        let mut names: Vec<Name> = shelf.named().filter(wanted).map(|row| row.id.clone()).collect();
        names.sort_unstable_by_key(|name| (Reverse(common(name, &model)), name.clone()));
        names.dedup();
        names
    }
}

impl Shelf {
    /// The rows whose first name is a whole one. A fine-tuned model's is not: what follows it is its owner's.
    fn named(&self) -> impl Iterator<Item = &Row> {
        self.by_name().filter(|(name, row)| **name == *row.id && !name.starts_with("ft:")).map(|(_, row)| row)
    }
}

/// Is it billed now for text, and for nothing else?
fn speaks(row: &Row, now: Timestamp) -> bool {
    let Some(rates) = row.rates(now, None, 0) else { return false };
    let kinds: Vec<Kind> = rates.listed().map(|(kind, _)| kind).collect();
    [Kind::Input, Kind::Output].iter().all(|kind| kinds.contains(kind)) && kinds.iter().all(|kind| TEXT.contains(kind))
}

fn trades(name: &str) -> Vec<&'static str> {
    let words: Vec<&str> = name.split(['-', '_', '/', '.', ':']).collect();
    TRADES
        .into_iter()
        .filter(|trade| {
            words.iter().any(|word| word == trade || *word == format!("{trade}s") || *word == format!("{trade}ding"))
        })
        .collect()
}

/// So many bytes at the beginning are the same.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(vendor: &str, model: &str, keep: &str) -> Vec<Name> {
        let book = PriceBook::load(None).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let now = "2026-11-20T12:00:00Z".parse().expect("a day");
        book.alike(vendor, model, now, |name| name.contains(keep))
    }

    #[test]
    fn others_that_do_the_same_work_are_named_the_likest_first() {
        let found = names("openai", "gpt-4o", "");
        assert_eq!(found.first().map(|name| &**name), Some("gpt-4o-2024-05-13"));
        for (name, there) in [
            ("gpt-4o-mini", true),
            ("gpt-4.1-nano", true),
            ("gpt-4o", false),
            ("gpt-4o-transcribe", false),
            ("gpt-image-1", false),
            ("text-embedding-3-small", false),
            ("o3-pro", false),
            ("whisper-1", false),
            ("claude-haiku-4-5", false),
        ] {
            assert_eq!(found.iter().any(|found| **found == *name), there, "{name}");
        }
        assert!(!found.iter().any(|name| name.starts_with("ft:")), "{found:?}");
        assert_eq!(names("openai", "gpt-5.5", "nano").len(), names("openai", "o3", "nano").len());
        assert!(names("openai", "o3-pro", "").iter().all(|name| name.ends_with("-pro")));
        assert!(names("nobody", "gpt-4o", "").is_empty());
    }
}
