//! Card numbers and social security numbers: digits in groups, as people write them. A card begins as its network's do, has the
//! length that goes with it, and its last digit is right (Luhn).

use super::finds::{Find, Finds};

/// A card is written in at most so many groups.
const GROUPS: usize = 4;
const LONGEST: usize = 19;

#[derive(Debug, Default)]
struct Group {
    digits: Vec<u8>,
    /// It has more digits than any number that is looked for.
    long: bool,
    /// It is part of a word, or of a number with a point.
    glued: bool,
    /// What stands between it and the group before; nothing for the first.
    after: Option<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Ended groups with one blank or dash behind each.
    groups: Vec<Group>,
    current: Option<Group>,
    before: u8,
}

fn glues(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+')
}

impl Numbers {
    pub fn push(&mut self, byte: u8, finds: &mut Finds) {
        if byte.is_ascii_digit() {
            self.digit(byte);
        } else if let Some(current) = self.current.take() {
            self.ended(current, byte, finds);
        } else {
            self.groups.clear();
        }
        self.before = byte;
    }

    fn digit(&mut self, byte: u8) {
        let (before, follows) = (self.before, !self.groups.is_empty());
        let begin = || Group {
            glued: glues(before) || (before == b'-' && !follows),
            after: follows.then_some(before),
            ..Group::default()
        };
        let current = self.current.get_or_insert_with(begin);
        current.long |= current.digits.len() >= LONGEST;
        if !current.long {
            current.digits.push(byte - b'0');
        }
    }

    fn ended(&mut self, current: Group, by: u8, finds: &mut Finds) {
        let whole = !(by.is_ascii_alphanumeric() || by == b'_');
        self.groups.push(current);
        let found = if whole { self.found() } else { None };
        if let Some(kind) = found {
            finds.add(kind);
        }
        if found.is_some() || !matches!(by, b' ' | b'-') {
            self.groups.clear();
        }
        if self.groups.len() >= GROUPS {
            self.groups.remove(0);
        }
    }

    /// What the last groups are together.
    fn found(&self) -> Option<Find> {
        let last = |count: usize| {
            let groups = &self.groups[self.groups.len().checked_sub(count)?..];
            let between = groups.get(1).and_then(|group| group.after);
            let one = groups.iter().all(|g| !g.long && !g.glued) && groups.iter().skip(1).all(|g| g.after == between);
            one.then(|| (groups.iter().map(|g| g.digits.len()).collect::<Vec<_>>(), between, groups))
        };
        let digits = |groups: &[Group]| groups.iter().flat_map(|g| g.digits.iter().copied()).collect::<Vec<u8>>();
        if let Some((lengths, Some(b'-'), groups)) = last(3)
            && lengths == [3, 2, 4]
            && is_ssn(&digits(groups))
        {
            return Some(Find::Ssn);
        }
        let layouts: [&[usize]; 3] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];
        let laid = |layout: &&[usize]| {
            last(layout.len()).is_some_and(|(lengths, _, groups)| lengths == *layout && is_card(&digits(groups)))
        };
        let alone = last(1).is_some_and(|(_, _, groups)| is_card(&digits(groups)));
        (alone || layouts.iter().any(laid)).then_some(Find::Card)
    }
}

fn is_ssn(digits: &[u8]) -> bool {
    let number = digits.iter().fold(0_u32, |n, digit| n * 10 + u32::from(*digit));
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    (1..900).contains(&area) && area != 666 && group > 0 && serial > 0
}

fn is_card(digits: &[u8]) -> bool {
    let Some(beginning) = digits.get(..6) else { return false };
    let beginning = beginning.iter().fold(0_u32, |n, digit| n * 10 + u32::from(*digit));
    let lengths: &[usize] = match (beginning / 100_000, beginning / 10_000, beginning / 1_000, beginning / 100) {
        (4, ..) => &[13, 16, 19],
        (_, 51..=55, ..) | (.., 2221..=2720) => &[16],
        (_, 34 | 37, ..) => &[15],
        (_, 65, ..) | (_, _, 644..=649, _) | (.., 6011) => &[16, 19],
        (.., 3528..=3589) => &[16, 19],
        (_, 36 | 38, ..) | (_, _, 300..=305, _) => &[14],
        (_, 62, ..) => &[16, 17, 18, 19],
        _ => &[],
    };
    lengths.contains(&digits.len()) && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let weigh = |(at, digit): (usize, &u8)| match (at % 2, u32::from(*digit) * 2) {
        (0, _) => u32::from(*digit),
        (_, doubled) if doubled > 9 => doubled - 9,
        (_, doubled) => doubled,
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}
