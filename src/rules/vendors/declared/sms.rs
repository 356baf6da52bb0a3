//! How many segments a text message takes: GSM-7 where every character has a place in it, else UCS-2. Knows no prices.

/// The GSM 03.38 basic alphabet, and what stands behind the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const ESCAPED: &str = "\u{c}^{}\\[~]|€";

/// Segments of a text; an empty one is still a message.
pub(super) fn segments(text: &str) -> usize {
    match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(septets) => packed(&septets, 160, 153),
        None => packed(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if ESCAPED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// One segment of `alone` units, or as many of `joined` units as it takes; a character is never split.
fn packed(units: &[usize], alone: usize, joined: usize) -> usize {
    if units.iter().sum::<usize>() <= alone {
        return 1;
    }
    let (mut segments, mut used) = (1, 0);
    for unit in units {
        if used + unit > joined {
            segments += 1;
            used = 0;
        }
        used += unit;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn segments_follow_the_two_alphabets() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            // 76 pairs of septets to a segment of 153, as none is split.
            ("€".repeat(153), 3),
            ("é".repeat(160), 1),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("ж".repeat(135), 3),
            // Two units each; 33 to a segment of 67.
            ("😀".repeat(35), 1),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(segments(&text), expected, "{} characters of {:?}", text.chars().count(), text.chars().next());
        }
    }
}
