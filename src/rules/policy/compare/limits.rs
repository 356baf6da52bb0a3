//! Limits and settings of one policy in two versions.

use super::Found;
use crate::rules::policy::model::{Budget, CallLimit, Mode, Policy};
use crate::rules::policy::rates::RateRule;
use crate::rules::vendors::UnknownModel;

pub(super) fn compare(old: &Policy, new: &Policy, found: &mut Found) {
    budgets(old, new, found);
    call_limits(old, new, found);
    rates(old, new, found);
    settings(old, new, found);
}

fn budgets(old: &Policy, new: &Policy, found: &mut Found) {
    let same = |a: &Budget, b: &Budget| a.shape == b.shape;
    for budget in &old.budgets {
        match new.budgets.iter().filter(|b| same(b, budget)).min_by_key(|b| b.amount) {
            None => found.widens(format!("a budget is gone: {}", budget.rule)),
            Some(now) => changed(&budget.rule, &now.rule, (budget.amount, now.amount), (budget.mode, now.mode), found),
        }
    }
    let added = new.budgets.iter().filter(|b| !old.budgets.iter().any(|o| same(o, b)));
    added.for_each(|budget| found.narrows(format!("a new budget: {}", budget.rule)));
}

fn call_limits(old: &Policy, new: &Policy, found: &mut Found) {
    let same = |a: &CallLimit, b: &CallLimit| a.unit == b.unit && a.vendor == b.vendor && a.operations == b.operations;
    for limit in &old.call_limits {
        match new.call_limits.iter().filter(|b| same(b, limit)).min_by_key(|b| b.amount) {
            None => found.widens(format!("a limit per call is gone: {}", limit.rule)),
            Some(now) => changed(&limit.rule, &now.rule, (limit.amount, now.amount), (limit.mode, now.mode), found),
        }
    }
    let added = new.call_limits.iter().filter(|b| !old.call_limits.iter().any(|o| same(o, b)));
    added.for_each(|limit| found.narrows(format!("a new limit per call: {}", limit.rule)));
}

fn rates(old: &Policy, new: &Policy, found: &mut Found) {
    let same = |a: &RateRule, b: &RateRule| {
        a.scope == b.scope && a.vendor == b.vendor && a.operations == b.operations && a.same == b.same
    };
    for rate in &old.rates {
        let now = new.rates.iter().filter(|b| same(b, rate)).max_by_key(|b| b.interval);
        let Some(now) = now else {
            found.widens(format!("a rate is gone: {}", rate.rule));
            continue;
        };
        // A longer interval is a slower pace.
        let pace = (u64::MAX - rate.interval, u64::MAX - now.interval);
        changed(&rate.rule, &now.rule, pace, (rate.mode, now.mode), found);
        if rate.burst != now.burst {
            found
                .say(now.burst > rate.burst, format!("the burst of {} is {}, not {}", now.rule, now.burst, rate.burst));
        }
    }
    let added = new.rates.iter().filter(|b| !old.rates.iter().any(|o| same(o, b)));
    added.for_each(|rate| found.narrows(format!("a new rate: {}", rate.rule)));
}

fn changed(old: &str, new: &str, (before, now): (u64, u64), modes: (Mode, Mode), found: &mut Found) {
    if before != now {
        let word = if now > before { "raised" } else { "lowered" };
        found.say(now > before, format!("{word}: `{old}` is now `{new}`"));
    }
    if modes.0 != modes.1 {
        let word = if modes.1.enforces() { "enforced" } else { "only observed" };
        found.say(!modes.1.enforces(), format!("now {word}: {new}"));
    }
}

fn settings(old: &Policy, new: &Policy, found: &mut Found) {
    if old.mode != new.mode {
        let word = if new.mode.enforces() { "it is enforced now" } else { "it only observes now, and refuses nothing" };
        found.say(!new.mode.enforces(), word.to_owned());
    }
    if old.global != new.global {
        let word = if new.global { "it is the global policy now" } else { "it is no longer the global policy" };
        found.say(!new.global, word.to_owned());
    }
    // No end is the latest end, no ceiling refuses.
    let end = |policy: &Policy| policy.expires_at.map_or(i64::MAX, |at| at.0);
    if end(old) != end(new) {
        let shown = |p: &Policy| p.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        found.say(end(new) > end(old), format!("it ends {}, not {}", shown(new), shown(old)));
    }
    if old.ceiling != new.ceiling {
        let shown = |p: &Policy| p.ceiling.map_or_else(|| "none".to_owned(), |usd| format!("{usd} USD"));
        found.say(new.ceiling > old.ceiling, format!("the ceiling is {}, not {}", shown(new), shown(old)));
    }
    if old.unknown_model != new.unknown_model {
        let dearest = new.unknown_model == UnknownModel::Dearest;
        found.say(dearest, format!("models without a price are {}", if dearest { "allowed" } else { "refused" }));
    }
    if old.approval.is_some() && new.approval.is_none() {
        found.widens("no person is asked any more".to_owned());
    } else if format!("{:?}", old.approval) != format!("{:?}", new.approval) {
        // In doubt it asks less.
        found.say(old.approval.is_some(), "a person is asked about other calls, or on other terms".to_owned());
    }
    for (flag, before, now) in [
        ("trust_headers", old.trust_headers, new.trust_headers),
        ("delegate", old.delegate.allowed, new.delegate.allowed),
        ("look_up", old.look_up, new.look_up),
        ("stripe.test_keys = \"free\"", old.stripe.test_keys_free, new.stripe.test_keys_free),
    ] {
        if before != now {
            found.say(now, format!("`{flag}` is {now}, not {before}"));
        }
    }
    for header in new.accounts.iter().filter(|(name, values)| old.accounts.get(*name) != Some(values)).map(|(n, _)| n) {
        found.widens(format!("the accounts that `{header}` may select are others"));
    }
    for tier in crate::rules::books::Tier::ALL {
        let points = |p: &Policy| p.risk.get(*tier).unwrap_or_else(|| tier.points());
        if points(old) != points(new) {
            let what = format!("{tier} is {} risk points, not {}", points(new), points(old));
            found.say(points(new) < points(old), what);
        }
    }
}
