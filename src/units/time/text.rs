//! An instant as RFC 3339 text, as jiff writes it: every row carries several, and this costs a fraction of it.

use super::Timestamp;

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400;
/// A second before jiff's last, near the end of the year 9999.
const LAST: i64 = 253_402_207_199;

impl Timestamp {
    /// Bytes of its longest text: `2026-11-22T02:12:23.123456Z`.
    pub const TEXT: usize = 27;

    /// As it is shown, in the caller's room. `None` before 1970, and where years have more digits.
    pub fn text(self, room: &mut [u8; Self::TEXT]) -> Option<&str> {
        let (secs, micros) = (self.0.div_euclid(MICROS), self.0.rem_euclid(MICROS));
        if !(0..=LAST).contains(&secs) {
            return None;
        }
        let (year, month, day) = civil(secs / DAY);
        let in_day = secs % DAY;
        *room = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut room[..4], year);
        digits(&mut room[5..7], month);
        digits(&mut room[8..10], day);
        digits(&mut room[11..13], in_day / 3600);
        digits(&mut room[14..16], in_day / 60 % 60);
        digits(&mut room[17..19], in_day % 60);
        digits(&mut room[20..26], micros);
        let len = without_zeros(room, micros);
        std::str::from_utf8(&room[..len]).ok()
    }
}

/// Drops the zeros that end the fraction, and a fraction of nothing. Gives the length.
fn without_zeros(room: &mut [u8; Timestamp::TEXT], micros: i64) -> usize {
    let fraction = &room[20..26];
    let zeros = fraction.iter().rev().take_while(|b| **b == b'0').count();
    let end = if micros == 0 { 19 } else { 26 - zeros };
    room[end] = b'Z';
    end + 1
}

fn digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01. Years begin in March here, so that a leap day ends one.
fn civil(day: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01, in eras of 400 years.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_jiff_writes_it() {
        let days = (0..2_932_896).step_by(13).map(|day| day * DAY * MICROS + day * 7_919_000_017 % (DAY * MICROS));
        let edges = [0, 1, 10, 999_999, MICROS, 951_782_400 * MICROS, LAST * MICROS + 999_999, 1_763_777_543_120_000];
        for micros in days.chain(edges) {
            let at = Timestamp(micros);
            let text = at.text(&mut [0; Timestamp::TEXT]).map(str::to_owned);
            assert_eq!(text, Some(at.jiff().to_string()), "{micros}");
        }
        for out in [-1, (LAST + 1) * MICROS] {
            assert_eq!(Timestamp(out).text(&mut [0; Timestamp::TEXT]), None);
        }
    }
}
