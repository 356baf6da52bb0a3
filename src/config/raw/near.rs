//! Which known word a mistyped one was meant to be. Knows words alone.

use std::collections::BTreeSet;

/// A known key that differs by a letter or two, or by `-` and `_` or a plural.
pub(super) fn closest<'k>(key: &str, known: &BTreeSet<&'k str>) -> Option<&'k str> {
    let near = |known: &&&str| distance(key, known) <= (known.len() / 4).max(1);
    known.iter().filter(near).min_by_key(|known| distance(key, known)).copied()
}

/// Letters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            let least = changed.min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[b.len()]
}
