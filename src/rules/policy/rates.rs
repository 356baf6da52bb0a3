//! Rates as policies state them (`10/s` per agent, at most 20 at once), and those of one call. Counts nothing: the ledger
//! does, on the cells that are named here.

use super::lines::Uncountable;
use super::model::{Mode, Policy, covers};
use crate::rules::ledger::account::{AccountName, Scope};
use crate::rules::ledger::rates::{LOOP, MOST_FILL_MICROS, Rate, add};
use crate::rules::pattern::OperationPattern;
use crate::rules::subject::{Facts, Name};

/// How fast calls may come, for each value of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateRule {
    pub scope: Scope,
    /// Microseconds from one call to the next at the full pace, rounded up: never faster than the policy says.
    pub interval: u64,
    pub burst: u64,
    /// Counts this vendor's calls alone.
    pub vendor: Option<Name>,
    /// Counts these operations alone; all if empty. Sorted.
    pub operations: Vec<OperationPattern>,
    /// As the policy writes it: `600/min`.
    pub limit: Name,
    /// As a refusal names it: `refund-agent: 600/min per agent`.
    pub rule: Name,
    pub mode: Mode,
    /// Counts each request by itself: the same operation, address and body again.
    pub same: bool,
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    #[error("`{0}` is no rate: write calls and a time, such as `10/s`, `600/min`, `100/hour` or `50/day`")]
    Form(String),
    #[error("`{0}` cannot be kept: write one call a day at least, and a million a second at most")]
    Range(String),
}

/// Reads `600/min`: how many, in how many microseconds.
pub fn parse_rate(text: &str) -> Result<(u64, u64), BadRate> {
    let form = || BadRate::Form(text.to_owned());
    let (count, per) = text.split_once('/').ok_or_else(form)?;
    let secs = match per.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 24 * 3600,
        _ => return Err(form()),
    };
    let digits = count.trim().replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(form());
    }
    let micros = secs * 1_000_000;
    let count = digits.parse().ok().filter(|n| (1..=micros).contains(n));
    Ok((count.ok_or_else(|| BadRate::Range(text.to_owned()))?, micros))
}

impl RateRule {
    /// `None` if its burst is nothing, or takes longer than a month to fill.
    pub fn new(
        owner: &str,
        limit: &str,
        (count, micros): (u64, u64),
        burst: Option<u64>,
        scope: Scope,
        vendor: Option<Name>,
        operations: Vec<OperationPattern>,
    ) -> Option<Self> {
        let interval = micros.div_ceil(count.max(1));
        let burst = burst.unwrap_or(count);
        let good = burst > 0 && interval.checked_mul(burst).is_some_and(|fill| fill <= MOST_FILL_MICROS);
        let rule = format!(
            "{owner}: {limit} per {}{}",
            scope.as_str(),
            only(vendor.as_deref(), &operations, " on ", " for ", ", ")
        );
        let (limit, rule) = (limit.into(), rule.into());
        good.then_some(Self {
            scope,
            interval,
            burst,
            vendor,
            operations,
            limit,
            rule,
            mode: Mode::Enforce,
            same: false,
        })
    }

    /// Of calls that are the same in everything: at most so many in any stretch of this time.
    pub fn of_loops(
        owner: &str,
        (most, micros): (u64, u64),
        within: &str,
        scope: Scope,
        vendor: Option<Name>,
        operations: Vec<OperationPattern>,
    ) -> Option<Self> {
        let limit = format!("{most} times the same in {within}");
        let rate = Self::new(owner, &limit, (most, micros), None, scope, vendor, operations)?;
        Some(Self { same: true, ..rate })
    }

    /// The cell of one value of the scope: `agent:default/a rate 100000us vendor=stripe`.
    fn cell(&self, value: &str) -> AccountName {
        let colon = if self.scope.has_values() { ":" } else { "" };
        let only = only(self.vendor.as_deref(), &self.operations, " vendor=", " op=", " op=");
        let pace = match self.same {
            true => format!("{LOOP} {}x{}us", self.burst, self.interval * self.burst),
            false => format!("rate {}us", self.interval),
        };
        AccountName(format!("{}{colon}{value} {pace}{only}", self.scope.as_str()).into())
    }

    /// Does it concern such a call?
    pub fn covers(&self, facts: &Facts) -> bool {
        covers(self.vendor.as_ref(), &self.operations, &facts.vendor, &facts.operation)
    }
}

/// What it is kept to, as text.
pub(super) fn only(vendor: Option<&str>, operations: &[OperationPattern], on: &str, first: &str, next: &str) -> String {
    let vendor = vendor.map(|v| format!("{on}{v}")).unwrap_or_default();
    let before = |at| if at == 0 { first } else { next };
    operations.iter().enumerate().fold(vendor, |text, (at, o)| format!("{text}{}{}", before(at), o.as_str()))
}

/// One rate of a policy, and whether its owner enforces it.
#[derive(Clone, Debug)]
pub(super) struct RatePlan {
    rule: RateRule,
    enforce: bool,
}

impl RatePlan {
    pub fn of(owner: &Policy) -> Vec<Self> {
        let enforce = |rule: &RateRule| rule.mode.under(owner.mode).enforces();
        owner.rates.iter().map(|rule| Self { enforce: enforce(rule), rule: rule.clone() }).collect()
    }

    fn rate(&self, value: &str) -> Rate {
        let RateRule { interval, burst, same, ref rule, .. } = self.rule;
        // Of the same call exactly so many in that time: as many cells.
        let (interval, burst, slots) = if same { (interval * burst, 1, burst) } else { (interval, burst, 1) };
        Rate { cell: self.rule.cell(value), interval, burst, cost: 1, slots, rule: rule.clone(), enforce: self.enforce }
    }
}

/// The rates of a call, each on a cell of its own, and the first that it cannot be counted on.
pub(super) fn of(plans: &[RatePlan], facts: &Facts) -> (Vec<Rate>, Option<Uncountable>) {
    let (mut rates, mut missing) = (Vec::new(), None);
    for plan in plans.iter().filter(|plan| plan.rule.covers(facts)) {
        let values = plan.rule.scope.values(facts);
        if values.is_empty() && missing.is_none() {
            let (scope, rule) = (plan.rule.scope, plan.rule.rule.clone());
            missing = Some(Uncountable { scope, rule, enforce: plan.enforce });
        }
        values.iter().for_each(|value| add(&mut rates, plan.rate(value)));
    }
    (rates, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        for (text, expected) in [
            ("10/s", (10, 1_000_000)),
            ("600/min", (600, 60_000_000)),
            ("60/minute", (60, 60_000_000)),
            ("1_000 / hour", (1_000, 3_600_000_000)),
            ("1/day", (1, 86_400_000_000)),
        ] {
            assert_eq!(parse_rate(text), Ok(expected), "{text}");
        }
        for bad in
            ["", "10", "/s", "10/", "10/week", "-1/s", "1.5/s", "ten/s", "0/s", "1000001/s", "99999999999999999999/s"]
        {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_is_never_faster_than_it_says_and_names_what_it_counts() {
        let rule = |burst, vendor: Option<&str>| {
            RateRule::new("p", "7/s", (7, 1_000_000), burst, Scope::Agent, vendor.map(Into::into), vec![])
        };
        let seven = rule(None, Some("stripe")).expect("it can be kept");
        assert_eq!((seven.interval, seven.burst), (142_858, 7));
        assert_eq!(&*seven.rule, "p: 7/s per agent on stripe");
        assert_eq!(&*seven.cell("default/a").0, "agent:default/a rate 142858us vendor=stripe");
        assert_eq!(rule(Some(0), None), None);
        assert_eq!(rule(Some(MOST_FILL_MICROS / 142_858 + 1), None), None);
    }
}
