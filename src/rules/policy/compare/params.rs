//! Parameters of one policy in two versions: tests that are gone, limits that are higher, lists that are longer.

use super::Found;
use crate::rules::policy::model::Policy;
use crate::rules::policy::param::{Param, Presence, Test};
use crate::rules::policy::rule::Rule;
use crate::rules::policy::schema::SchemaRule;

pub(super) fn compare(old: &Policy, new: &Policy, found: &mut Found) {
    loosened("params", &old.params, &new.params, found);
    for rule in &old.allow {
        let same = |other: &&Rule| about(other) == about(rule);
        // Rules that were moved or rewritten show as operations that are newly allowed, or not.
        if let Some(now) = new.allow.iter().find(same) {
            loosened(&now.label, &rule.params, &now.params, found);
            if rule.mode.enforces() && !now.mode.enforces() {
                found.widens(format!("{}: it only observes", now.label));
            }
        }
    }
    for (at, rule) in new.allow.iter().enumerate().filter(|(_, rule)| !rule.params.is_empty()) {
        let of_old = |known: fn(&[Param], &[Param]) -> bool| {
            old.allow.iter().any(|other| about(other) == about(rule) && known(&other.params, &rule.params))
        };
        // The first one of its kind was compared above.
        let later = new.allow[..at].iter().any(|other| about(other) == about(rule));
        if later && of_old(|_, _| true) && !of_old(|old, new| shown(old) == shown(new)) {
            found.widens(format!("{}: one more rule for the same calls lets other parameters pass", rule.label));
        }
    }
    schemas(old, new, found);
    models(old, new, found);
    for rule in old.deny.iter().filter(|rule| !rule.params.is_empty()) {
        let same = |other: &&Rule| {
            let looks_alike = about(other) == about(rule) && shown(&other.params) == shown(&rule.params);
            looks_alike && (other.mode.enforces() || !rule.mode.enforces())
        };
        if !new.deny.iter().any(|other| same(&other)) {
            let paths: Vec<&str> = rule.paths.iter().map(|p| p.as_str()).collect();
            found.widens(format!("{} ({}) is gone or asks for other parameters", rule.label, paths.join(", ")));
        }
    }
}

/// In doubt a schema that changed takes less away.
fn schemas(old: &Policy, new: &Policy, found: &mut Found) {
    let alike = |a: &SchemaRule, b: &SchemaRule| {
        about(&a.rule) == about(&b.rule) && a.schema.hash == b.schema.hash && a.rule.mode == b.rule.mode
    };
    let of = |shape: &SchemaRule, others: &[SchemaRule]| others.iter().any(|other| alike(other, shape));
    for shape in old.schemas.iter().filter(|shape| !of(shape, &new.schemas)) {
        found.widens(format!("{} is gone, or is another one or for other calls", shape.rule.label));
    }
    for shape in new.schemas.iter().filter(|shape| !of(shape, &old.schemas)) {
        found.narrows(format!("{} is new, or is another one or for other calls", shape.rule.label));
    }
}

/// The same of models: which of two lists lets more pass, nobody weighs.
fn models(old: &Policy, new: &Policy, found: &mut Found) {
    for rule in old.models.iter().filter(|rule| !new.models.contains(rule)) {
        found.widens(format!("{} is gone, or another one", rule.label));
    }
    for rule in new.models.iter().filter(|rule| !old.models.contains(rule)) {
        // An alias lets a name pass that did not.
        found.say(!rule.aliases.is_empty(), format!("{} is new, or another one", rule.label));
    }
}

/// Vendors, methods and paths.
fn about(rule: &Rule) -> [Vec<&str>; 3] {
    let methods = rule.methods.names().unwrap_or_default();
    [
        rule.vendors.iter().map(|v| &**v).collect(),
        methods.iter().map(|m| &**m).collect(),
        rule.paths.iter().map(|p| p.as_str()).collect(),
    ]
}

fn loosened(of: &str, old: &[Param], new: &[Param], found: &mut Found) {
    for param in old {
        let name = param.name.as_str();
        match new.iter().find(|p| p.name.as_str() == name) {
            None => found.widens(format!("{of}: `{name}` is no longer looked at")),
            Some(now) if shown(std::slice::from_ref(now)) == shown(std::slice::from_ref(param)) => {}
            Some(now) => {
                let widens = is_wider(param, now);
                let what = format!("{of}: `{name}` must be {}, not {}", words(now), words(param));
                found.say(widens, what);
            }
        }
    }
    let added = new.iter().filter(|p| !old.iter().any(|o| o.name.as_str() == p.name.as_str()));
    added.for_each(|p| found.narrows(format!("{of}: `{}` must be {}", p.name.as_str(), words(p))));
}

/// In doubt it is.
fn is_wider(old: &Param, new: &Param) -> bool {
    let looser = (old.presence != Presence::Optional && new.presence == Presence::Optional)
        || (old.presence == Presence::Absent && new.presence != Presence::Absent)
        || (old.mode.enforces() && !new.mode.enforces());
    looser || !old.tests.iter().all(|test| new.tests.iter().any(|now| is_as_strict(test, now)))
}

fn is_as_strict(old: &Test, new: &Test) -> bool {
    match (old, new) {
        (Test::Max(before), Test::Max(now)) => now.value() <= before.value(),
        (Test::Min(before), Test::Min(now)) => now.value() >= before.value(),
        (Test::OneOf(before), Test::OneOf(now)) => now.iter().all(|value| before.contains(value)),
        (Test::NotOneOf(before), Test::NotOneOf(now)) => before.iter().all(|value| now.contains(value)),
        (Test::InList(before), Test::InList(now)) => now.is_within(before),
        (Test::NotInList(before), Test::NotInList(now)) => before.is_within(now),
        _ => old.to_string() == new.to_string(),
    }
}

fn words(param: &Param) -> String {
    let presence = match param.presence {
        Presence::Required => "there",
        Presence::Optional => "",
        Presence::Absent => "absent",
    };
    let tests = param.tests.iter().map(ToString::to_string);
    let all: Vec<String> = Some(presence.to_owned()).filter(|p| !p.is_empty()).into_iter().chain(tests).collect();
    if all.is_empty() { "anything".to_owned() } else { all.join(" and ") }
}

fn shown(params: &[Param]) -> Vec<String> {
    let lists = |p: &Param| p.lists().map(|list| list.hash.to_string()).collect::<String>();
    let one = |p: &Param| format!("{} {} {:?} {:?} {}", p.name.as_str(), words(p), p.presence, p.mode, lists(p));
    params.iter().map(one).collect()
}
