//! Hours of the week in a zone: is a moment within them, and when do they begin next? Reads no clock and no table of zones:
//! the zone is given, as `config` found it. Change windows and the switch on hours ask.

use jiff::tz::TimeZone;

use super::price::Hours;
use super::subject::Name;
use crate::units::time::Timestamp;

const DAY_MICROS: i64 = 86_400_000_000;
const MINUTE_MICROS: i64 = 60_000_000;
/// A year with its holidays: what does not begin by then is not waited for.
const HORIZON_DAYS: i64 = 400;

/// Hours as a policy names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHours {
    hours: Hours,
    zone: TimeZone,
    /// `mon-fri 09:00-17:00 Europe/Berlin`
    text: Name,
}

impl OpenHours {
    pub fn new(hours: Hours, zone: TimeZone, text: impl Into<Name>) -> Self {
        Self { hours, zone, text: text.into() }
    }

    /// As a person would write them.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn cover(&self, at: Timestamp) -> bool {
        self.hours.cover(self.local(at))
    }

    /// When they begin next after a moment; `None` if that is more than a year away.
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.local(at).0.div_euclid(DAY_MICROS);
        let begins = (today..=today.saturating_add(HORIZON_DAYS)).flat_map(|day| {
            let of_day = move |minute: u16| day * DAY_MICROS + i64::from(minute) * MINUTE_MICROS;
            self.hours.begin(day).into_iter().map(of_day)
        });
        // An hour that a clock change leaves out begins after it, if at all.
        let mut moments = begins.filter_map(|local| self.instant(local));
        moments.find(|moment| *moment > at && self.cover(*moment))
    }

    /// What the clocks of the zone show, as if they stood in UTC.
    fn local(&self, at: Timestamp) -> Timestamp {
        let Ok(instant) = jiff::Timestamp::from_microsecond(at.0) else { return at };
        Timestamp(at.0.saturating_add(i64::from(self.zone.to_offset(instant).seconds()) * 1_000_000))
    }

    fn instant(&self, local: i64) -> Option<Timestamp> {
        let shown = jiff::Timestamp::from_microsecond(local).ok()?.to_zoned(TimeZone::UTC).datetime();
        self.zone.to_timestamp(shown).ok().map(|instant| Timestamp(instant.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn hours(days: Option<&str>, spans: &[&str], zone: &str, except: &[&str]) -> OpenHours {
        let zone = jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(zone).expect("a zone");
        let hours = Hours::of_week(days, spans).and_then(|h| h.but_on(except)).expect("hours");
        OpenHours::new(hours, zone, "t")
    }

    #[test]
    fn they_are_open_by_the_clocks_of_their_zone() {
        let utc = hours(Some("mon-fri"), &["09:00-12:00", "13:00-17:00"], "UTC", &["2026-12-25"]);
        for (moment, open) in [
            ("2026-11-23T09:00:00Z", true),
            ("2026-11-23T11:59:59.999999Z", true),
            ("2026-11-23T12:00:00Z", false),
            ("2026-11-23T08:59:59Z", false),
            ("2026-11-22T10:00:00Z", false),
            ("2026-12-25T10:00:00Z", false),
        ] {
            assert_eq!(utc.cover(at(moment)), open, "{moment}");
        }
        let east = hours(Some("mon"), &["00:00-06:00"], "+09:00", &[]);
        assert!(east.cover(at("2026-11-22T15:00:00Z")) && !east.cover(at("2026-11-23T00:00:00Z")));
    }

    #[test]
    fn they_say_when_they_begin_next() {
        let utc = hours(Some("mon-fri"), &["13:00-17:00", "09:00-12:00"], "UTC", &["2026-11-23"]);
        for (moment, next) in [
            ("2026-11-20T12:30:00Z", "2026-11-20T13:00:00Z"),
            ("2026-11-20T17:00:00Z", "2026-11-24T09:00:00Z"),
            ("2026-11-24T09:00:00Z", "2026-11-24T13:00:00Z"),
        ] {
            assert_eq!(utc.next(at(moment)), Some(at(next)), "{moment}");
        }
        let monday = |week: i64| at("2026-11-23T00:00:00Z").plus_secs(week * 7 * 86_400).to_string();
        let mondays: Vec<String> = (0..60).map(|week| monday(week)[..10].to_owned()).collect();
        let mondays: Vec<&str> = mondays.iter().map(String::as_str).collect();
        let never = hours(Some("mon"), &["00:00-00:01"], "UTC", &mondays);
        assert_eq!(never.next(at("2026-11-20T12:30:00Z")), None);
    }

    /// Berlin's clocks go from 02:00 to 03:00 on 2027-03-28, and back on 2026-10-25.
    #[test]
    fn they_follow_a_clock_change() {
        let rules = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("rules of a zone");
        let of = |span: &str| OpenHours::new(Hours::of_week(None, &[span]).expect("hours"), rules.clone(), "t");
        let office = of("09:00-17:00");
        assert_eq!(office.next(at("2026-10-24T20:00:00Z")), Some(at("2026-10-25T08:00:00Z")), "winter");
        assert_eq!(office.next(at("2026-10-23T20:00:00Z")), Some(at("2026-10-24T07:00:00Z")), "summer");
        assert_eq!(of("02:15-02:45").next(at("2027-03-28T00:00:00Z")), Some(at("2027-03-29T00:15:00Z")), "left out");
        assert_eq!(of("02:15-04:00").next(at("2027-03-28T00:00:00Z")), Some(at("2027-03-28T01:15:00Z")), "begins late");
    }
}
