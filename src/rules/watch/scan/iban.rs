//! Bank account numbers (ISO 13616): a country's two letters, two check digits, and as many characters as that country has, in one
//! word or in groups of four. The check digits make chance rare: one in ninety-seven.

use super::finds::{Find, Finds};

/// How long each country's are.
const LENGTHS: [(&[u8; 2], usize); 79] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
];

/// What may become one.
#[derive(Debug)]
struct Begun {
    text: Vec<u8>,
    /// Known with the second letter.
    length: usize,
    /// In groups of four with blanks between? Open until the fifth character.
    grouped: Option<bool>,
    /// Characters since the last blank.
    since: usize,
}

enum Step {
    Goes,
    Ends,
    Found,
}

#[derive(Debug, Default)]
pub(super) struct Ibans {
    begun: Vec<Begun>,
    before: u8,
}

impl Ibans {
    pub fn push(&mut self, byte: u8, finds: &mut Finds) {
        if !self.begun.is_empty() {
            self.begun.retain_mut(|begun| match begun.push(byte) {
                Step::Goes => true,
                Step::Ends => false,
                Step::Found => {
                    finds.add(Find::Iban);
                    false
                }
            });
        }
        if byte.is_ascii_uppercase() && !self.before.is_ascii_alphanumeric() {
            self.begun.push(Begun { text: vec![byte], length: usize::MAX, grouped: None, since: 1 });
        }
        self.before = byte;
    }
}

impl Begun {
    fn push(&mut self, byte: u8) -> Step {
        let whole = self.text.len() == self.length;
        match byte {
            b'A'..=b'Z' | b'0'..=b'9' if !whole => self.more(byte),
            _ if whole && !byte.is_ascii_alphanumeric() && self.is_right() => Step::Found,
            b' ' if !whole && self.since == 4 && self.grouped != Some(false) => {
                (self.grouped, self.since) = (Some(true), 0);
                Step::Goes
            }
            _ => Step::Ends,
        }
    }

    fn more(&mut self, byte: u8) -> Step {
        if self.since == 4 && self.grouped.is_none() {
            self.grouped = Some(false);
        }
        self.text.push(byte);
        self.since += 1;
        let good = match self.text.len() {
            2 => {
                let known = LENGTHS.iter().find(|(country, _)| self.text == country[..]);
                self.length = known.map_or(0, |(_, length)| *length);
                known.is_some()
            }
            3 | 4 => byte.is_ascii_digit(),
            _ => self.grouped != Some(true) || self.since <= 4,
        };
        if good { Step::Goes } else { Step::Ends }
    }

    /// The rest by 97 is one, the first four behind the others and letters as numbers from ten.
    fn is_right(&self) -> bool {
        let moved = self.text.iter().skip(4).chain(self.text.iter().take(4));
        let rest = moved.fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        });
        rest == 1
    }
}
