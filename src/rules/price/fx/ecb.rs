//! The European Central Bank's reference rates as it publishes them: a CSV with units of each currency for one euro, of one day
//! or of its whole history. Read into USD per unit as the quotient of what it quotes. `fx` holds the table; `cli::fx` reads the file.

use std::collections::BTreeMap;

use super::Rate;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Fixed to the euro by treaty or law: the file does not quote them, and they move with it.
const PEGGED: [(&str, &str); 4] =
    [("bgn", "1.95583"), ("xaf", "655.957"), ("xof", "655.957"), ("xpf", "119.3317422434")];

/// One day's rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// `2026-10-30`
    pub date: String,
    /// By lower-case code, as price files write a rate: `1.1172/175.68`.
    pub rates: BTreeMap<String, String>,
}

/// The newest day of a file, or what is wrong with it.
pub fn newest(text: &str) -> Result<Day, String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let codes: Vec<String> = cells(lines.next().unwrap_or_default()).map(str::to_ascii_lowercase).collect();
    if codes.first().map(String::as_str) != Some("date") || !codes.iter().any(|code| code == "usd") {
        return Err("its first line is not that of the bank's CSV: `Date, USD, JPY, …`".to_owned());
    }
    let mut newest: Option<(String, &str)> = None;
    for (at, line) in lines.enumerate() {
        let first = cells(line).next().unwrap_or_default();
        let date = iso(first).ok_or_else(|| format!("line {}: `{first}` is no day", at + 2))?;
        if newest.as_ref().is_none_or(|(known, _)| *known < date) {
            newest = Some((date, line));
        }
    }
    let (date, line) = newest.ok_or("it has no rates")?;
    let rates = in_dollars(&codes, line).map_err(|why| format!("{date}: {why}"))?;
    Ok(Day { date, rates })
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| cell.trim().trim_start_matches('\u{feff}').trim_matches('"'))
}

/// `2026-10-30`, or `30 October 2026`.
fn iso(text: &str) -> Option<String> {
    let number = |part: &str, digits: usize| {
        (part.len() <= digits && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())?
    };
    let (year, month, day) = match text.split(['-', ' ']).collect::<Vec<_>>().as_slice() {
        [year, month, day] if text.contains('-') => (number(year, 4)?, number(month, 2)?, number(day, 2)?),
        [day, month, year] => {
            let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
            (number(year, 4)?, u32::try_from(month).ok()? + 1, number(day, 2)?)
        }
        _ => return None,
    };
    let real = (1990..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    real.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn in_dollars(codes: &[String], line: &str) -> Result<BTreeMap<String, String>, String> {
    let quoted = codes.iter().map(String::as_str).zip(cells(line)).skip(1);
    let quoted =
        quoted.filter(|(code, text)| !code.is_empty() && !text.is_empty() && !text.eq_ignore_ascii_case("n/a"));
    let per_euro: BTreeMap<&str, &str> = quoted.collect();
    let dollar = *per_euro.get("usd").ok_or("it has no rate of the dollar")?;
    let mut rates = BTreeMap::new();
    for (code, text) in PEGGED.into_iter().chain(per_euro).chain([("eur", "1")]) {
        let code_is_plain = code.len() == 3 && code.bytes().all(|b| b.is_ascii_lowercase());
        let quotient = format!("{dollar}/{text}");
        if !code_is_plain || text.contains('/') || Rate::parse(&quotient).is_none() {
            return Err(format!("`{text}` is no rate of `{code}`"));
        }
        rates.insert(code.to_owned(), if code == "usd" { "1".to_owned() } else { quotient });
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_day_of_either_file_is_read() {
        let daily = "Date, USD, JPY, ISK, \n30 October 2026, 1.1172, 175.68, 136.0, \n";
        let history = "Date,USD,JPY,ISK,CYP,\n2026-10-29,1.2,170,1,N/A,\n2026-10-30,1.1172,175.68,136.0,N/A,\n2026-10-28,1,1,1,N/A,\n";
        for text in [daily, history] {
            let day = newest(text).expect("read");
            assert_eq!(day.date, "2026-10-30");
            assert_eq!(
                (&*day.rates["jpy"], &*day.rates["eur"], &*day.rates["usd"]),
                ("1.1172/175.68", "1.1172/1", "1")
            );
            assert_eq!((day.rates.get("cyp"), &*day.rates["xof"]), (None, "1.1172/655.957"));
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        for text in [
            "",
            "Date\n",
            "a,b\n1,2\n",
            "Date,USD\n",
            "Date,USD\nyesterday,1.1\n",
            "Date,USD,JPY\n2026-10-30,1.1,-5\n",
            "Date,USD,JPY\n2026-10-30,1.1,0\n",
            "Date,USD,JPY\n2026-10-30,N/A,100\n",
            "Date,USD,JPY\n2026-10-30,1.1/2,100\n",
            "Date,USD,JPY\n2026-10-30,1.1,1/2\n",
            "Date,USD,J?\n2026-10-30,1.1,2\n",
            "Date,USD,JPY\n2026-13-30,1,100\n",
        ] {
            assert!(newest(text).is_err(), "{text}");
        }
    }
}
