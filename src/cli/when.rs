//! Instants as people type them: `2h` (so long ago), `2026-10-01`, or RFC 3339.

use std::str::FromStr;

use crate::units::duration;
use crate::units::time::Timestamp;

/// An instant on the command line.
#[derive(Clone, Copy, Debug)]
pub struct When(pub Timestamp);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = duration::parse(text) {
            let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            return Ok(Self(Timestamp::now().plus_millis(-ago)));
        }
        let day = format!("{text}T00:00:00Z");
        text.parse().or_else(|_| day.parse()).map(Self).map_err(|_| {
            format!("`{text}` is no time: write `2h` or `30m` (ago), `2026-10-01`, or `2026-10-01T12:00:00Z`")
        })
    }
}

/// A length of time on the command line, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Length(pub u64);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length = duration::parse(text).map_err(|e| e.to_string())?;
        match length.as_secs() {
            0 => Err("it must be a second or more".to_owned()),
            seconds => Ok(Self(seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        assert_eq!("2026-10-01".parse::<When>().expect("a day").0.to_string(), "2026-10-01T00:00:00Z");
        assert_eq!(
            "2026-10-01T12:00:00+02:00".parse::<When>().expect("an instant").0.to_string(),
            "2026-10-01T10:00:00Z"
        );
        let hour = Timestamp::now().millis_since("1h".parse::<When>().expect("an hour ago").0);
        assert!((3_599_000..3_660_000).contains(&hour));
        assert!("yesterday".parse::<When>().is_err());
        assert!("500ms".parse::<Length>().is_err() && "1s".parse::<Length>().is_ok_and(|l| l.0 == 1));
    }
}
