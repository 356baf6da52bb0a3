//! Pictures in a request of OpenAI's shape: how many tokens one can be, by its size and the model's family. Where either is not
//! known, the picture is not counted, and the model's longest prompt stands in for all of it.

use super::super::ask::Ask;
use super::super::dialect::Dialect;
use super::super::llm::image::{Pictures, Size};
use crate::rules::json::NodeRef;

/// The most that a family's tiles of 512 pixels make: 85 and 170 for each of eight; and of the small one.
const TILES: u64 = 85 + 170 * 8;
const TILES_4O_MINI: u64 = 2833 + 5667 * 8;
/// Patches of 32 pixels of the small models, with their largest factor.
const SMALL_PATCHES: u64 = (1536 * 246u64).div_ceil(100);

/// Families whose pictures are cut in tiles, and those that read them in patches.
const TILED: [&str; 6] = ["gpt-4o", "gpt-4.1", "gpt-4-turbo", "gpt-4.5", "o1", "o3"];
const PATCHED: [&str; 3] = ["gpt-5", "gpt-6", "o4"];

/// Who reads the pictures: the vendor's dialect and the model behind the name, without its place and its fine tuning.
pub(super) struct Reader {
    model: Box<str>,
    known: bool,
}

impl Reader {
    pub fn of(ask: &Ask<'_>, model: &str) -> Self {
        let meant = ask.prices.meant(&ask.vendor.prices, model).to_lowercase();
        let name = meant.rsplit('/').next().unwrap_or_default();
        Self {
            model: name.strip_prefix("ft:").unwrap_or(name).into(),
            known: matches!(ask.vendor.dialect, Dialect::OpenAi | Dialect::Azure),
        }
    }

    /// Counts a part that is a picture standing in the body; false if it is none, or not bounded by its size.
    pub fn counts(&self, part: NodeRef<'_>, pictures: &mut Pictures) -> bool {
        let url = part.member("image_url");
        let url = url.and_then(|url| url.member("url").or(Some(url)));
        url.filter(|_| self.known).is_some_and(|url| {
            let there = url.text().is_some_and(|text| text.starts_with("data:image/"));
            there && pictures.add(url, |size| most(size, &self.model))
        })
    }
}

/// The most tokens that a picture is read as: of a family that is not known here, the most of all families.
fn most(size: Size, model: &str) -> u64 {
    let patches = size.squares(32);
    let small = SMALL_PATCHES.max(patches.saturating_mul(246).div_ceil(100));
    let of = |families: &[&str]| families.iter().any(|family| model.starts_with(family));
    match model {
        _ if model.starts_with("gpt-4o-mini") => TILES_4O_MINI,
        _ if !of(&TILED) && !of(&PATCHED) => TILES_4O_MINI.max(small),
        _ if model.contains("mini") || model.contains("nano") => small,
        _ if of(&TILED) => TILES,
        _ => TILES.max(patches.saturating_mul(12).div_ceil(10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_counts_by_its_size_and_family() {
        let size = |width, height| Size { width, height };
        for (model, size, tokens) in [
            ("gpt-4o", size(4000, 3000), 1445),
            ("gpt-4o-mini", size(10, 10), 48_169),
            ("gpt-4.1-mini", size(10, 10), 3779),
            // 125 * 94 patches * 1.2
            ("gpt-6-astra", size(4000, 3000), 14_100),
            // 126 * 95 patches * 1.2, as was measured.
            ("gpt-6-astra", size(4032, 3024), 14_364),
            ("gpt-5.5", size(100, 100), 1445),
            // Nobody knows what it is: as much as any family makes of it.
            ("chat-small", size(10, 10), 48_169),
            ("chat-small", size(8000, 8000), 153_750),
        ] {
            assert_eq!(most(size, model), tokens, "{model}");
        }
    }
}
