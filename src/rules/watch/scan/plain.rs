//! Undoes what JSON and addresses do to a text: `\n`, `\/`, `\u0041`, `%2B`, in any mixture, also where one lies in another
//! (JSON in JSON doubles its backslashes). Byte by byte, so it does not matter where a piece ends.

/// Stands for a character beyond ASCII.
const OTHER: u8 = 0x1a;

/// Where it is within an escape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Plain {
    #[default]
    Text,
    /// After one backslash or several.
    Slash,
    /// After `\u`: how many digits, and what they say.
    Unicode(u8, u16),
    Percent,
    /// After a percent sign and this digit.
    Digit(u8),
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl Plain {
    pub fn push(&mut self, byte: u8, out: &mut impl FnMut(u8)) {
        *self = match *self {
            Self::Text => Self::text(byte, out),
            Self::Slash => Self::escaped(byte, out),
            Self::Unicode(3, said) => match hex(byte) {
                Some(digit) => {
                    let code = said << 4 | u16::from(digit);
                    out(u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(OTHER));
                    Self::Text
                }
                None => Self::broken(byte, out),
            },
            Self::Unicode(digits, said) => match hex(byte) {
                Some(digit) => Self::Unicode(digits + 1, said << 4 | u16::from(digit)),
                None => Self::broken(byte, out),
            },
            Self::Percent if hex(byte).is_some() => Self::Digit(byte),
            Self::Percent => {
                out(b'%');
                Self::text(byte, out)
            }
            Self::Digit(first) => Self::second(first, byte, out),
        }
    }

    /// What was begun is no escape.
    pub fn finish(&mut self, out: &mut impl FnMut(u8)) {
        match std::mem::take(self) {
            Self::Text | Self::Unicode(..) => {}
            Self::Slash => out(b'\\'),
            Self::Percent => out(b'%'),
            Self::Digit(first) => [b'%', first].into_iter().for_each(out),
        }
    }

    fn text(byte: u8, out: &mut impl FnMut(u8)) -> Self {
        match byte {
            b'\\' => return Self::Slash,
            b'%' => return Self::Percent,
            _ => out(byte),
        }
        Self::Text
    }

    fn escaped(byte: u8, out: &mut impl FnMut(u8)) -> Self {
        match byte {
            b'\\' => return Self::Slash,
            b'u' => return Self::Unicode(0, 0),
            b'n' | b't' | b'r' | b'b' | b'f' => out(b'\n'),
            b'"' | b'/' | b'\'' => out(byte),
            _ => {
                out(b'\\');
                return Self::text(byte, out);
            }
        }
        Self::Text
    }

    fn broken(byte: u8, out: &mut impl FnMut(u8)) -> Self {
        out(OTHER);
        Self::text(byte, out)
    }

    fn second(first: u8, byte: u8, out: &mut impl FnMut(u8)) -> Self {
        if let (Some(high), Some(low)) = (hex(first), hex(byte)) {
            out(high << 4 | low);
            return Self::Text;
        }
        out(b'%');
        out(first);
        Self::text(byte, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (text, expected) in [
            (r"a\nb", "a\nb"),
            (r#"\"x\\\"y\/"#, "\"x\"y/"),
            (r"\\\\nsk", "\nsk"),
            (r"sk\u002d1\u00e9\u12", "sk-1\u{1a}"),
            (r"\u12zz", "\u{1a}zz"),
            ("a%2Bb%2bc%", "a+b+c%"),
            ("100%, 5%x 7%4z %4", "100%, 5%x 7%4z %4"),
            (r"C:\sk", r"C:\sk"),
            (r"\%41", r"\A"),
        ] {
            let (mut plain, mut out) = (Plain::default(), Vec::new());
            text.bytes().for_each(|byte| plain.push(byte, &mut |b| out.push(b)));
            plain.finish(&mut |b| out.push(b));
            assert_eq!(String::from_utf8_lossy(&out), expected, "{text}");
        }
    }
}
