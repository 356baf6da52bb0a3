//! Hours of the week as a price file writes them: `days = "mon-fri"`, `utc = ["01:00-04:00"]`, `except` days.

use super::super::raw::RawHours;
use super::super::schedule::Hours;
use super::Check;
use crate::units::time::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MICROS: i64 = 86_400_000_000;

impl Check<'_> {
    pub(super) fn hours(&mut self, at: &str, raw: &RawHours) -> Hours {
        let days = raw.days.as_deref().map_or(Some([true; 7]), days);
        if days.is_none() {
            self.wrong(format!("{at}.days"), "write days as `mon-fri`, or `sat,sun`");
        }
        let mut hours = Hours { days: days.unwrap_or_default(), ..Hours::default() };
        let spans: Option<_> = raw.utc.iter().map(|text| span(text)).collect();
        match spans {
            Some(spans) => hours.spans = spans,
            None => self.wrong(format!("{at}.utc"), "write hours of the day as `01:00-04:00`, the earlier first"),
        }
        let day = |text: &String| self.day(|| format!("{at}.except"), text).map(|day| day.0.div_euclid(DAY_MICROS));
        hours.except = raw.except.iter().filter_map(day).collect();
        hours
    }
}

impl Hours {
    /// As a policy writes them; the whole day if `utc` is empty. `None` if one of them is none.
    pub fn of_week(days: Option<&str>, utc: &[&str]) -> Option<Self> {
        let days = days.map_or(Some([true; 7]), self::days)?;
        let spans: Vec<(u16, u16)> = utc.iter().map(|text| span(text)).collect::<Option<_>>()?;
        let spans = if spans.is_empty() { vec![(0, 24 * 60)] } else { spans };
        Some(Self { days, spans: spans.into(), ..Self::default() })
    }

    /// But not on these dates (`2026-12-25`). `None` if one of them is none.
    pub fn but_on(self, dates: &[&str]) -> Option<Self> {
        let day = |date: &&str| format!("{date}T00:00:00Z").parse::<Timestamp>().ok();
        let days: Option<Vec<i64>> = dates.iter().map(|d| Some(day(d)?.0.div_euclid(DAY_MICROS))).collect();
        Some(Self { except: days?.into(), ..self })
    }
}

fn days(text: &str) -> Option<[bool; 7]> {
    let number = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    let mut found = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        found.get_mut(first..=last)?.fill(true);
    }
    Some(found)
}

/// Minutes of the day; `24:00` is its end.
fn span(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < until && until <= 24 * 60).then_some((from, until))
}
