//! Exact decimal numbers for comparing a parameter with a limit. No floats: `0.1` is 0.1, and 2^53 + 1 is not 2^53.
//! It only compares; amounts of money are `units::money`.

use std::cmp::Ordering;

/// The most digits that count, and the furthest that an exponent may reach.
const MAX_DIGITS: usize = 38;
const MAX_EXPONENT: i64 = 400;

/// `mantissa * 10^exponent`, with no zero at the mantissa's end, so that equal numbers are equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    exponent: i32,
}

impl Decimal {
    /// Reads a number as JSON writes it. Anything else is None (spaces, `+5`, `05`, `0x10`, `1_000`, `NaN`): vendors
    /// differ on what those mean. None too for more than 38 digits that count, or an exponent beyond 400.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (number, exponent(power)?),
            None => (text, 0),
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return None,
            Some(split) => split,
            None => (number, ""),
        };
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        Self::from_digits(negative, whole, fraction, power)
    }

    fn from_digits(negative: bool, whole: &str, fraction: &str, power: i64) -> Option<Decimal> {
        let digits = || whole.bytes().chain(fraction.bytes());
        if !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count = whole.len() + fraction.len();
        let leading = digits().take_while(|&byte| byte == b'0').count();
        if leading == count {
            return Some(Decimal { mantissa: 0, exponent: 0 });
        }
        let trailing = digits().rev().take_while(|&byte| byte == b'0').count();
        let counting = count - leading - trailing;
        if counting > MAX_DIGITS {
            return None;
        }
        let counted = digits().skip(leading).take(counting);
        let size = counted.fold(0, |sum, byte| sum * 10 + i128::from(byte - b'0'));
        let exponent = power + i64::try_from(trailing).ok()? - i64::try_from(fraction.len()).ok()?;
        let bounded = (-MAX_EXPONENT..=MAX_EXPONENT).contains(&exponent);
        Some(Decimal {
            mantissa: if negative { -size } else { size },
            exponent: bounded.then(|| i32::try_from(exponent).ok())??,
        })
    }

    /// The number times `10^places`, if that is whole and fits: `scaled(2)` of `12.5` is 1250.
    pub fn scaled(self, places: u32) -> Option<i128> {
        if self.mantissa == 0 {
            return Some(0);
        }
        let power = u32::try_from(i64::from(self.exponent) + i64::from(places)).ok()?;
        self.mantissa.checked_mul(10i128.checked_pow(power)?)
    }

    /// How many digits count.
    pub fn digits(self) -> u32 {
        self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |power| power + 1)
    }

    /// The place of the first digit, counted from the point.
    pub fn magnitude(self) -> i64 {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().map_or(0, i64::from);
        digits + i64::from(self.exponent)
    }

    /// Compares the distance from zero of two numbers that are not zero.
    fn compare_size(self, other: Decimal) -> Ordering {
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            // Same first place: the exponents differ by less than 38, and the scaled mantissa keeps within 38 digits.
            let low = self.exponent.min(other.exponent);
            let aligned =
                |number: Decimal| number.mantissa.unsigned_abs() * 10u128.pow((number.exponent - low).unsigned_abs());
            aligned(self).cmp(&aligned(other))
        })
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        let (mut mantissa, mut exponent) = (i128::from(value), 0);
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Decimal { mantissa, exponent }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.mantissa.signum();
        sign.cmp(&other.mantissa.signum()).then_with(|| match sign {
            0 => Ordering::Equal,
            1.. => self.compare_size(*other),
            _ => other.compare_size(*self),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `5`, `+5`, `-05`, as JSON allows behind `e`.
fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Far beyond any that is accepted, and far from overflowing what is added to it.
    let value = match digits.trim_start_matches('0') {
        "" => 0,
        digits if digits.len() > 9 => return None,
        digits => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}
