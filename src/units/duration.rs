//! Lengths of time as people write them: `500ms`, `2s`, `15m`, `1h`, `30d`. One number and one unit.

use std::time::Duration;

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no length of time: write a whole number and `ms`, `s`, `m`, `h` or `d`, such as `30s`; ten years at most"
)]
pub struct BadDuration(String);

/// At most ten years, so that no sum of times can overflow.
const LONGEST: Duration = Duration::from_secs(3653 * 86_400);

pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(BadDuration(text.to_owned())),
    };
    let length = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).map(Duration::from_millis);
    length.filter(|length| *length <= LONGEST).ok_or_else(|| BadDuration(text.to_owned()))
}

/// As one would write it.
pub fn show(length: Duration) -> String {
    let millis = length.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{millis}ms"), |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_number_and_one_unit() {
        for (text, millis) in
            [("500ms", 500), ("2s", 2_000), ("15m", 900_000), ("1h", 3_600_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        for bad in ["", "5", "s", "-1s", "1.5s", "1h30m", "99999999999999999999s", "4000d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
