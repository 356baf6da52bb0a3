//! Sizes in bytes as people write them: `64KiB`, `10MiB`, or a plain number.

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size: write a whole number and `B`, `KiB`, `MiB` or `GiB`, such as `10MiB`")]
pub struct BadSize(String);

/// At most 16 GiB: what is held in memory is bounded.
const LARGEST: u64 = 16 << 30;

pub fn parse(text: &str) -> Result<usize, BadSize> {
    let bad = || BadSize(text.to_owned());
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim_start() {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(bad()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n <= LARGEST);
    bytes.and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes) in [("0", 0), ("512", 512), ("64KiB", 65_536), ("10 MiB", 10 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "10MB", "1.5MiB", "-1", "99GiB", "99999999999999999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
