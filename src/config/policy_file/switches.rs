//! `[[switch]]`: what the policy turns off by itself, and by what sign.

use std::time::Duration;

use super::budgets::operations;
use super::rules::vendor;
use super::{hours, mode, positive};
use crate::config::raw::{Node, Table};
use crate::rules::policy::{Deed, Policy, Switch, Whom, parse_limit};
use crate::rules::watch::scan::{Find, Kinds};
use crate::rules::watch::{Pace, Trigger};
use crate::units::amount::Unit;
use crate::units::money::MicroCents;

/// Each moment of so many is kept in memory.
const MOST: u64 = 1000;
const LONGEST: Duration = Duration::from_secs(86_400);
/// What is usual is known after so many slots with spend, unless said otherwise.
const WARM_UP: u64 = 6;
const SLOT: Duration = Duration::from_secs(600);
const FLOOR: MicroCents = MicroCents(100_000_000);

#[derive(Clone, Copy)]
enum On {
    SpendRate,
    Refusals,
    Loop,
    Retries,
    Secrets,
    PersonalData,
    Hours,
}

const SIGNS: [(&str, On); 7] = [
    ("spend_rate", On::SpendRate),
    ("refusals", On::Refusals),
    ("loop", On::Loop),
    ("retries", On::Retries),
    ("secrets", On::Secrets),
    ("personal_data", On::PersonalData),
    ("hours", On::Hours),
];

pub(super) fn read(root: &Table<'_>, policy: &Policy) -> Vec<Switch> {
    root.tables("switch").iter().filter_map(|table| switch(table, policy)).collect()
}

/// Every key is read before the first one that is wrong ends it, so that all of them are reported.
fn switch(table: &Table<'_>, policy: &Policy) -> Option<Switch> {
    let on = table.need("on", "by what sign, such as `loop`").and_then(|node| node.word(&SIGNS));
    let per = table.need("per", "whose calls it counts and whom it turns off: `key`, `run` or `agent`");
    let per = per.and_then(|n| n.word(&[Whom::Key, Whom::Run, Whom::Agent].map(|whom| (whom.as_str(), whom))));
    let deed = table.need("do", "what is done: `alert`, `suspend` or `kill`");
    let deed = deed.and_then(|n| n.word(&[Deed::Alert, Deed::Suspend, Deed::Kill].map(|deed| (deed.as_str(), deed))));
    let vendor = table.get("vendor").and_then(|node| vendor(&node, policy));
    let operations = table.get("operations").map(|node| operations(&node)).unwrap_or_default();
    let mode = mode(table);
    let trigger = on.map(|on| trigger(on, table));
    if on.is_some() {
        table.done();
    }
    let (per, deed, on) = (per?, deed?, trigger??);
    Some(Switch { rule: "".into(), on, per, deed, vendor, operations, mode }.named(&policy.name))
}

fn trigger(on: On, table: &Table<'_>) -> Option<Trigger> {
    match on {
        On::SpendRate => pace(table).map(Trigger::SpendRate),
        On::Refusals => counted(table, "count").map(|(count, within)| Trigger::Refusals { count, within }),
        On::Loop => counted(table, "same").map(|(same, within)| Trigger::Loop { same, within }),
        On::Retries => counted(table, "same").map(|(again, within)| Trigger::Retries { again, within }),
        On::Secrets => finds(table, &Find::SECRETS, &Find::SECRETS),
        On::PersonalData => finds(table, &Find::PERSONAL, &[Find::Card, Find::Iban]),
        On::Hours => hours::read(table).map(Trigger::Hours),
    }
}

/// `times = 5`, `slot = "10m"`, `floor = "1 USD"`, `warm_up = 6`
fn pace(table: &Table<'_>) -> Option<Pace> {
    let times = table.need("times", "how many times its usual, such as `5`").and_then(|node| {
        let times = positive(&node)?;
        if times < 2 {
            node.wrong("its usual itself is not unusual: write 2 or more");
        }
        Some(times)
    });
    let slot = table.get("slot").map_or(Some(SLOT), |node| time(&node));
    let floor = table.get("floor").map_or(Some(FLOOR.0), |node| money(&node));
    let warm_up = table.get("warm_up").map_or(Some(WARM_UP), |node| positive(&node).filter(|n| *n <= MOST));
    let warm_up = warm_up.and_then(|n| u32::try_from(n).ok());
    if warm_up.is_none() {
        table.wrong(format!("`warm_up` is 1 to {MOST} slots"));
    }
    Some(Pace { times: times?, slot: slot?, floor: floor?, warm_up: warm_up? })
}

fn money(node: &Node<'_>) -> Option<u64> {
    let (unit, amount) = node.parsed(parse_limit)?;
    if unit != Unit::Usd {
        node.wrong("write an amount of money, such as `1 USD`");
    }
    Some(amount)
}

fn counted(table: &Table<'_>, key: &'static str) -> Option<(usize, Duration)> {
    let count = table.need(key, "how often is too often, such as `20`").and_then(|node| count(&node));
    let within = table.need("within", "in which time, such as `10m`").and_then(|node| time(&node));
    Some((count?, within?))
}

fn count(node: &Node<'_>) -> Option<usize> {
    let count = positive(node)?;
    if count > MOST {
        node.wrong(format!("it must be at most {MOST}"));
    }
    usize::try_from(count).ok()
}

fn time(node: &Node<'_>) -> Option<Duration> {
    let time = node.duration()?;
    if !(Duration::from_secs(1)..=LONGEST).contains(&time) {
        node.wrong("it must be a second to a day");
    }
    Some(time)
}

/// `count = 1`, `kinds = ["card"]`
fn finds(table: &Table<'_>, known: &[Find], usual: &[Find]) -> Option<Trigger> {
    let words: Vec<(&str, Find)> = known.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let count = table.get("count").map_or(Some(1), |node| positive(&node));
    let kinds: Vec<Find> = match table.get("kinds") {
        None => usual.to_vec(),
        Some(node) => {
            let named = node.one_or_more();
            if named.is_empty() {
                node.wrong("it names no kind; leave `kinds` out for the usual ones");
            }
            named.iter().filter_map(|node| node.word(&words)).collect()
        }
    };
    Some(Trigger::Finds { count: count?, kinds: Kinds::of(kinds) })
}
