//! Instants and budget windows, in UTC. Reads no clock: `Timestamp::now` is for the floors above the rules.

mod text;

use std::fmt;

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock. Rules never call this: they are given the time.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    pub fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    pub fn plus_secs(self, s: i64) -> Self {
        self.plus_millis(s.saturating_mul(1000))
    }

    /// Whole milliseconds from `earlier` to here; zero if the clock went back.
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(0)
    }

    fn jiff(self) -> jiff::Timestamp {
        // Out of jiff's range (year 9999) only if a caller made it so; the ends of time then stand for it.
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    fn utc(self) -> Zoned {
        self.jiff().to_zoned(TimeZone::UTC)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text(&mut [0; Self::TEXT]) {
            Some(text) => f.write_str(text),
            None => write!(f, "{}", self.jiff()),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(s: &str) -> Result<Self, jiff::Error> {
        s.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How long an account counts before it starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Minute,
    Hour,
    Day,
    Month,
    Total,
    /// No time at all: the account counts what is held as long as it is held, and keeps nothing of what was charged.
    Flight,
}

impl Window {
    pub const ALL: [Self; 6] = [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Total, Self::Flight];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
            Self::Flight => "flight",
        }
    }

    /// Those that a budget may name: all that keep what was charged.
    pub fn named() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|window| window.keeps_charges())
    }

    /// Does what was charged stay on the account?
    pub fn keeps_charges(self) -> bool {
        self != Self::Flight
    }

    /// When the window that holds `at` began. `total` and `flight` began with time.
    pub fn start(self, at: Timestamp) -> Timestamp {
        let even = |micros: i64| Timestamp(at.0.div_euclid(micros) * micros);
        match self {
            Self::Minute => even(60_000_000),
            Self::Hour => even(3_600_000_000),
            Self::Day => even(86_400_000_000),
            Self::Month => month_start(&at.utc()),
            Self::Total | Self::Flight => Timestamp(0),
        }
    }

    /// When that window ends; never, for `total` and `flight`.
    pub fn end(self, at: Timestamp) -> Option<Timestamp> {
        let next = |micros: i64| Some(Timestamp(self.start(at).0 + micros));
        match self {
            Self::Minute => next(60_000_000),
            Self::Hour => next(3_600_000_000),
            Self::Day => next(86_400_000_000),
            Self::Month => at.utc().last_of_month().and_then(|z| z.tomorrow()).ok().map(|z| month_start(&z)),
            Self::Total | Self::Flight => None,
        }
    }
}

fn month_start(z: &Zoned) -> Timestamp {
    let first = z.first_of_month().and_then(|z| z.start_of_day());
    // UTC has neither gaps nor folds, so both steps succeed inside jiff's range.
    first.map_or(Timestamp(0), |z| Timestamp(z.timestamp().as_microsecond()))
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Timestamp {
        s.parse().expect("a valid instant")
    }

    #[test]
    fn windows_begin_and_end_at_utc_boundaries() {
        let t = at("2026-02-28T23:59:59.999999Z");
        for (w, start, end) in [
            (Window::Minute, "2026-02-28T23:59:00Z", "2026-03-01T00:00:00Z"),
            (Window::Hour, "2026-02-28T23:00:00Z", "2026-03-01T00:00:00Z"),
            (Window::Day, "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
            (Window::Month, "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            assert_eq!((w.start(t), w.end(t)), (at(start), Some(at(end))), "{w}");
        }
        assert_eq!(Window::Total.end(t), None);
        let feb = at("2028-02-29T12:00:00Z");
        assert_eq!(Window::Month.end(feb), Some(at("2028-03-01T00:00:00Z")));
    }
}
