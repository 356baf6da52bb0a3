//! The names of parameters: as rules write them (`a.b.0` or `/a/b/0`), and which spellings some reader takes for the same.

use crate::rules::json::unescape;

/// A parameter's name, taken apart once: dotted (`items.0.price`), or a JSON Pointer (`/items/0/price`) where a part
/// itself holds a dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    text: Box<str>,
    parts: Box<[Box<str>]>,
}

impl Name {
    /// Every text is a name.
    pub fn parse(text: &str) -> Name {
        let parts = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|part| unescape(part).into()).collect(),
            None => text.split('.').map(Box::from).collect(),
        };
        Name { text: text.into(), parts }
    }

    /// As the rule spells it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn parts(&self) -> &[Box<str>] {
        &self.parts
    }
}

/// How a name that was sent stands to the one that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    Same,
    /// Some readers take it for the same: another letter case, `_`, `-`, a dot or a space more or less, leading zeros.
    Near,
    /// A name with dots in it, which some readers split.
    Dotted,
    Other,
}

/// Compares a key with the first of the parts that are still to be found (there is at least one).
pub(super) fn likeness(key: &str, parts: &[Box<str>]) -> Likeness {
    match parts.first() {
        Some(part) if **part == *key => Likeness::Same,
        Some(part) if near(key, part) => Likeness::Near,
        _ if splits_into(key, parts) => Likeness::Dotted,
        _ => Likeness::Other,
    }
}

/// Whether a dotted key could mean a place that the parts lead to, or one on the way, or one behind it.
fn splits_into(key: &str, parts: &[Box<str>]) -> bool {
    key.contains('.') && key.split('.').zip(parts).all(|(piece, part)| near(piece, part))
}

fn near(a: &str, b: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if number(a) && number(b) {
        return a.trim_start_matches('0') == b.trim_start_matches('0');
    }
    folded(a).eq(folded(b))
}

/// Through upper case to lower case, so that the long s and the Kelvin sign fold as Go's JSON reader folds them.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}
