//! Rates: how fast calls may come (the generic cell rate algorithm). A cell is one instant, the theoretical arrival time: when
//! all that was admitted would be through at the rate's own pace. Pure arithmetic in integers; `book` keeps the cells.
//!
//! A cell is named by what it counts and its pace (`agent:default/a rate 100000us vendor=stripe`), so two policies with one
//! rate share it, and two rates on one agent do not disturb each other. The burst is no part of the name: a changed burst
//! forgets nothing. A refused call moves no cell, nor does one that is only observed and would have been refused.
//!
//! So many times in any stretch of time, exactly, is as many cells: each is taken for that time, and a call takes the one that
//! is free longest. That is how loops are counted.
//!
//! Every reserve journals where its cells stand after it, so a replay has the same cells, and a restart opens no new burst.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::account::AccountName;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;
use crate::units::time::Timestamp;

/// The longest that an empty cell may take to fill: a pace and a burst beyond it are a budget, and integers stay far below 2^53.
pub const MOST_FILL_MICROS: u64 = 31 * 24 * 3600 * 1_000_000;

/// What stands in the name of a cell that counts one request by itself. Names of scopes have no blanks.
pub const LOOP: &str = "loop";

fn is_loop(cell: &AccountName) -> bool {
    cell.0.split(' ').nth(1) == Some(LOOP)
}

/// The rates of one request: what counts it by itself is told which one it is.
pub fn of_request(rates: &Arc<[Rate]>, which: impl FnOnce() -> String) -> Arc<[Rate]> {
    if !rates.iter().any(|rate| is_loop(&rate.cell)) {
        return rates.clone();
    }
    let which = which();
    let one = |rate: &Rate| match is_loop(&rate.cell) {
        true => Rate { cell: AccountName(format!("{} same={which}", rate.cell).into()), ..rate.clone() },
        false => rate.clone(),
    };
    rates.iter().map(one).collect()
}

/// The same for every request that is the same, and for no other.
pub fn which(address: &[&str], body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in address.iter().map(|part| part.as_bytes()).chain([body]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut text = Digest32(hash.finalize().into()).to_string();
    // Half of it: no two requests of one agent share that by chance.
    text.truncate(32);
    text
}

/// One rate of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    pub cell: AccountName,
    /// Microseconds from one call to the next at the full pace.
    pub interval: u64,
    /// So many may come at once.
    pub burst: u64,
    /// What this call counts; 1.
    pub cost: u64,
    /// 1, or so many cells, of which this call takes one.
    pub slots: u64,
    /// Policy and rate, as a refusal names it: `refund-agent: 10/s per agent`.
    pub rule: Name,
    /// False in `observe` mode: noted, not refused.
    pub enforce: bool,
}

/// A call that came too early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    pub cell: AccountName,
    pub rule: Name,
    /// In so many microseconds it would be admitted, if nobody else comes first; `None` if no wait helps.
    pub wait: Option<u64>,
}

/// Where a cell stands after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved(pub AccountName, pub Timestamp);

/// Short in the journal: `["agent:default/a rate 100000us",1767225600000000]`.
impl Serialize for Moved {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (&self.0, self.1.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Moved {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (cell, stands) = Deserialize::deserialize(d)?;
        Ok(Self(cell, Timestamp(stands)))
    }
}

/// What the rates of one call say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    pub limited: Option<Limited>,
    /// The first rate in `observe` mode that would have refused.
    pub would_limit: Option<Limited>,
    /// What to write if the call is admitted.
    pub moved: Vec<Moved>,
}

impl Limited {
    /// The same request again and again: no wait helps, as it would be the same.
    pub fn is_loop(&self) -> bool {
        is_loop(&self.cell)
    }

    /// As a row gives it.
    pub fn reason(&self) -> String {
        format!("rate_limited: {}", self.rule)
    }
}

impl Rate {
    /// Its cells, from the first on.
    fn cells(&self) -> impl Iterator<Item = AccountName> {
        let named = |n| AccountName(format!("{} #{n}", self.cell).into());
        (1..=self.slots).map(move |n| if self.slots == 1 { self.cell.clone() } else { named(n) })
    }

    /// How many may come at once.
    pub fn most(&self) -> u64 {
        self.burst.max(self.slots)
    }

    /// Where its cell stands after this call.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, stands: Timestamp, at: Timestamp) -> Result<Timestamp, Option<u64>> {
        let micros = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let more = micros(self.interval.saturating_mul(self.cost));
        let room = micros(self.interval.saturating_mul(self.burst));
        let next = stands.max(at).0.saturating_add(more);
        let early = next.saturating_sub(at.0).saturating_sub(room);
        if early <= 0 { Ok(Timestamp(next)) } else { Err((self.cost <= self.burst).then_some(early.unsigned_abs())) }
    }

    fn limited(&self, wait: Option<u64>) -> Limited {
        Limited { cell: self.cell.clone(), rule: self.rule.clone(), wait }
    }
}

/// Of two rates on one cell the tighter: one that observes must not stand in front of one that refuses.
pub fn add(rates: &mut Vec<Rate>, rate: Rate) {
    match rates.iter_mut().find(|r| r.cell == rate.cell) {
        None => rates.push(rate),
        Some(known) if (rate.enforce, known.burst) > (known.enforce, rate.burst) => *known = rate,
        Some(_) => {}
    }
}

/// Cells by name. One that is not there has its whole burst.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cells(HashMap<AccountName, Timestamp>);

impl Cells {
    /// Looks at every rate of a call, whose cells are all different. Of several refusals the one that waits longest is told.
    pub fn judge(&self, rates: &[Rate], at: Timestamp) -> Ruling {
        let mut ruling = Ruling::default();
        for rate in rates {
            let (cell, stands) = self.earliest(rate, at);
            match rate.take(stands, at) {
                Ok(next) => ruling.moved.push(Moved(cell, next)),
                Err(wait) if rate.enforce => longer(&mut ruling.limited, rate.limited(wait)),
                Err(wait) => drop(ruling.would_limit.get_or_insert_with(|| rate.limited(wait))),
            }
        }
        ruling
    }

    /// The cell that a call takes, and where it stands. All that have filled up are alike, swept or not.
    fn earliest(&self, rate: &Rate, at: Timestamp) -> (AccountName, Timestamp) {
        let stands = |cell: AccountName| {
            let stands = self.0.get(&cell).copied().unwrap_or_default();
            (cell, stands.max(at))
        };
        // `min_by_key` keeps the first of several; no rate is without a cell.
        let found = rate.cells().map(stands).min_by_key(|(_, stands)| *stands);
        found.unwrap_or_else(|| (rate.cell.clone(), Timestamp::default()))
    }

    pub fn write(&mut self, moved: &[Moved]) {
        for Moved(cell, stands) in moved {
            self.0.insert(cell.clone(), *stands);
        }
    }

    /// What was let through elsewhere up to then is not known here: each cell stands as if that had been its whole burst; of
    /// several, one is free after the other.
    pub fn emptied(&mut self, rates: &[Rate], since: Timestamp) {
        for rate in rates {
            let full = rate.interval.saturating_mul(rate.burst);
            for (n, cell) in (1..).zip(rate.cells()) {
                let part = i64::try_from(full.saturating_mul(n) / rate.slots).unwrap_or(i64::MAX);
                let least = Timestamp(since.0.saturating_add(part));
                let stands = self.0.entry(cell).or_default();
                *stands = (*stands).max(least);
            }
        }
    }

    /// Cells that have filled up again are as good as none.
    pub fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, stands| *stands > now);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A wait that never ends is the longest.
fn longer(kept: &mut Option<Limited>, found: Limited) {
    let long = |l: &Limited| l.wait.unwrap_or(u64::MAX);
    if kept.as_ref().is_none_or(|k| long(k) < long(&found)) {
        *kept = Some(found);
    }
}

/// As the journal has them with a hold.
pub type Moves = Arc<[Moved]>;

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_773_144_000_000_000);

    fn rate(interval: u64, burst: u64, cost: u64) -> Rate {
        Rate { cell: AccountName("c".into()), interval, burst, cost, slots: 1, rule: "r".into(), enforce: true }
    }

    #[test]
    fn a_cell_fills_at_its_pace_and_up_to_its_burst() {
        // Interval, burst, cost, where the cell stands after now, then where it stands next or how long to wait.
        for (interval, burst, cost, stands, expected) in [
            (100, 1, 1, -5_000, Ok(100)),
            (100, 1, 1, 0, Ok(100)),
            (100, 1, 1, 1, Err(Some(1))),
            (100, 1, 1, 100, Err(Some(100))),
            (100, 3, 1, 200, Ok(300)),
            (100, 3, 1, 201, Err(Some(1))),
            (100, 3, 3, 0, Ok(300)),
            (100, 3, 3, 50, Err(Some(50))),
            (100, 3, 4, -9_000, Err(None)),
            (u64::MAX, u64::MAX, 1, 0, Ok(i64::MAX - AT.0)),
        ] {
            let answer = rate(interval, burst, cost).take(Timestamp(AT.0 + stands), AT);
            let expected = expected.map(|next| Timestamp(AT.0 + next));
            assert_eq!(answer, expected, "{interval} {burst} {cost} {stands}");
        }
    }

    #[test]
    fn a_cell_of_which_nothing_is_known_begins_without_a_burst() {
        let of = [rate(100, 3, 1)];
        let said = |since: i64, before: i64| {
            let mut cells = Cells::default();
            cells.write(&[Moved(of[0].cell.clone(), Timestamp(AT.0 + before))]);
            cells.emptied(&of, Timestamp(AT.0 + since));
            cells.judge(&of, AT).limited.map(|l| l.wait)
        };
        for (since, before, wait) in
            [(0, 0, Some(100)), (-40, 0, Some(60)), (-100, 0, None), (-900, 0, None), (-100, 250, Some(50))]
        {
            assert_eq!(said(since, before), wait.map(Some), "{since} {before}");
        }
    }

    /// Beside a log of all that came.
    #[test]
    fn so_many_in_any_stretch_of_time_and_never_one_less() {
        let mut seed = 7_u64;
        let mut roll = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let (most, time) = (1 + roll(6), 1 + roll(1000));
            let of = [Rate { slots: most, ..rate(time, 1, 1) }];
            let (mut cells, mut now, mut log) = (Cells::default(), AT, Vec::new());
            for _ in 0..80 {
                now = Timestamp(now.0 + roll(time) as i64);
                let within = log.iter().filter(|at: &&Timestamp| at.0 > now.0 - time as i64).count() as u64;
                let ruling = cells.judge(&of, now);
                assert_eq!(ruling.limited.is_none(), within < most, "{most} in {time}");
                if ruling.limited.is_none() {
                    log.push(now);
                    cells.write(&ruling.moved);
                }
                if roll(5) == 0 {
                    cells.sweep(now);
                }
            }
        }
    }

    #[test]
    fn of_two_rates_on_one_cell_the_tighter_counts() {
        let of = |burst, enforce| Rate { enforce, ..rate(100, burst, 1) };
        for (first, second, kept) in [
            (of(5, true), of(3, true), of(3, true)),
            (of(3, true), of(5, true), of(3, true)),
            (of(3, false), of(5, true), of(5, true)),
            (of(5, true), of(3, false), of(5, true)),
        ] {
            let mut rates = vec![first];
            add(&mut rates, second);
            assert_eq!(rates, [kept]);
        }
    }
}
