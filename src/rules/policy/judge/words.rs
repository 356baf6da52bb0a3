//! The sentences of the judge: what happened, to what, which rule, what to do next.

use super::{Code, Denial, Overlay, Policy, Question, Rule, Scope, Uncountable};
use crate::rules::policy::models::ModelRule;
use crate::rules::policy::param::{Fault, Param};
use crate::rules::policy::schema::SchemaRule;
use crate::rules::policy::windows::Window;
use crate::rules::schema::Misfit;
use crate::rules::subject::Name;
use crate::units::ids::KeyId;
use crate::units::time::Timestamp;

/// The longest path that a sentence repeats.
const SHOWN: usize = 120;

pub(super) fn no_policy(name: &Name) -> Denial {
    let sentence = format!(
        "This key lives under the policy `{name}`, which is not loaded. Ask the operator to restore it or to mint another key."
    );
    Denial::new(Code::PolicyMissing, name.clone(), sentence)
}

pub(super) fn expired(policy: &Policy, end: Timestamp) -> Denial {
    let name = &policy.name;
    let sentence = format!("The policy `{name}` expired at {end}. Ask the operator to extend it.");
    Denial::new(Code::PolicyExpired, format!("{name}: expires_at"), sentence)
}

pub(super) fn overlay_expired(key: &KeyId, end: Timestamp) -> Denial {
    let sentence = format!("What the key `{key}` may do expired at {end}. Ask for a new key.");
    Denial::new(Code::PolicyExpired, format!("key {key}: expires_at"), sentence)
}

pub(super) fn foreign_vendor(policy: &Policy, vendor: &str) -> Denial {
    let (name, vendors) = (&policy.name, policy.vendors.join(", "));
    let sentence = format!(
        "The policy `{name}` does not name the vendor `{vendor}`; it names {vendors}. Call one of those, or ask the operator to add it."
    );
    Denial::new(Code::VendorNotAllowed, format!("{name}: vendors"), sentence)
}

pub(super) fn overlay_vendor(key: &KeyId, overlay: &Overlay, vendor: &str) -> Denial {
    let vendors = overlay.vendors.as_deref().unwrap_or_default().join(", ");
    let sentence = format!("The key `{key}` is kept to {vendors} and may not call `{vendor}`. Use a key that may.");
    Denial::new(Code::VendorNotAllowed, format!("key {key}: vendors"), sentence)
}

pub(super) fn denied(policy: &Policy, rule: &Rule, q: &Question<'_>) -> Denial {
    let (name, label, paths) = (&policy.name, &rule.label, patterns(rule));
    let when = if rule.params.is_empty() { "" } else { " with these parameters" };
    let sentence = format!(
        "{} is denied{when} by {label} ({paths}) of the policy `{name}`. Nothing overrides a deny rule: do not retry; only the \
         operator can change it.",
        call(q)
    );
    Denial::new(Code::PolicyDenied, format!("{name}: {label}"), sentence)
}

pub(super) fn closed(policy: &Policy, window: &Window, q: &Question<'_>) -> Denial {
    let (name, label, open) = (&policy.name, &window.rule.label, &window.open);
    let next = open.next(q.now);
    let then = match next {
        Some(at) => format!("It opens next at {at}; do not retry before then"),
        None => "It does not open within a year; do not retry".to_owned(),
    };
    let sentence = format!(
        "{} is allowed at given times only: {} ({label} of the policy `{name}`). {then}. Only the operator can change it.",
        call(q),
        open.as_str()
    );
    Denial { resets_at: next, ..Denial::new(Code::WindowClosed, format!("{name}: {label}"), sentence) }
}

pub(super) fn not_allowed(policy: &Policy, q: &Question<'_>) -> Denial {
    let name = &policy.name;
    let rules = nearest(policy, q);
    let sentence =
        format!("{} is not allowed: no allow rule of the policy `{name}` matches it. {}", call(q), instead(&rules));
    let denial = Denial::new(Code::PolicyDenied, format!("{name}: allow"), sentence);
    denial.with("instead", rules.iter().take(LISTED).map(|rule| shown(rule)).collect::<Vec<_>>())
}

/// Rules of a policy that a refusal lists.
const LISTED: usize = 4;

/// What would be allowed at that vendor: what begins like the call's path first, and of those what has its method.
fn nearest<'p>(policy: &'p Policy, q: &Question<'_>) -> Vec<&'p Rule> {
    let path = q.path.as_str();
    let alike = |one: &str| one.split('/').zip(path.split('/')).take_while(|(a, b)| a == b).count();
    let far = |rule: &&Rule| {
        let alike = rule.paths.iter().map(|path| alike(path.plain())).max().unwrap_or(0);
        (std::cmp::Reverse(alike), !rule.methods.contains(q.method))
    };
    let mut rules: Vec<&Rule> = policy.allow.iter().filter(|rule| rule.is_for(&q.facts.vendor)).collect();
    // Stable: rules that are as near stay in the order of the file.
    rules.sort_by_key(far);
    rules
}

/// A rule as it is written.
fn shown(rule: &Rule) -> String {
    match rule.methods.names() {
        Some(names) => format!("{} {}", names.join("/"), patterns(rule)),
        None => patterns(rule),
    }
}

/// What would be allowed, in words.
fn instead(rules: &[&Rule]) -> String {
    let listed: Vec<String> = rules.iter().take(LISTED).map(|rule| shown(rule)).collect();
    match (listed.is_empty(), rules.len().saturating_sub(LISTED)) {
        (true, _) => "It allows nothing at this vendor.".to_owned(),
        (false, 0) => format!("It allows {}.", listed.join("; ")),
        (false, more) => format!("It allows {}; and {more} more.", listed.join("; ")),
    }
}

pub(super) fn overlay_denied(key: &KeyId, overlay: &Overlay, q: &Question<'_>) -> Denial {
    let paths: Vec<&str> = overlay.allow.iter().flat_map(|r| &r.paths).map(|p| p.as_str()).take(4).collect();
    let kept = if paths.is_empty() { "other methods".to_owned() } else { paths.join(", ") };
    let sentence = format!("{} is not allowed: the key `{key}` is kept to {kept}. Use a key that may.", call(q));
    Denial::new(Code::PolicyDenied, format!("key {key}: allow"), sentence)
}

pub(super) fn bad_param(policy: &Policy, label: &str, param: &Param, fault: &Fault) -> Denial {
    let (name, param) = (&policy.name, param.name.as_str());
    let sentence = format!(
        "The parameter `{param}` {fault} ({label} of the policy `{name}`). Change it, or ask the operator to change the rule."
    );
    Denial::new(Code::ParamDenied, format!("{name}: {label}: {param}"), sentence)
}

pub(super) fn misfit(policy: &Policy, shape: &SchemaRule, misfit: &Misfit) -> Denial {
    let (name, label) = (&policy.name, &shape.rule.label);
    let Misfit { at, keyword, wanted } = misfit;
    let place =
        if at.is_empty() { "The arguments as a whole do".to_owned() } else { format!("What stands at `{at}` does") };
    let why = if shape.redact { String::new() } else { format!(" ({wanted})") };
    let sentence = format!(
        "{place} not fit `{keyword}` of {label} of the policy `{name}`{why}. Change it, or ask the operator to change the schema."
    );
    let denial = Denial::new(Code::SchemaDenied, format!("{name}: {label}"), sentence);
    denial.with("at", &**at).with("keyword", &**keyword)
}

pub(super) fn bad_model(policy: &Policy, rule: &ModelRule, model: Option<&str>, real: Option<&str>) -> Denial {
    let (name, label) = (&policy.name, &rule.label);
    let shown: String = model.unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    let allowed: Vec<&str> = rule.allow.iter().flatten().map(|pattern| pattern.as_str()).collect();
    let sentence = match (model, real) {
        (Some(_), Some(real)) => {
            format!(
                "`{shown}` is an alias, which can only stand in the body's `model`. Write `{real}` here ({label} of `{name}`)."
            )
        }
        (Some(_), None) => format!(
            "The model `{shown}` is not allowed by {label} of the policy `{name}`, which allows {}. Name one of those.",
            allowed.join(", ")
        ),
        (None, _) => format!(
            "This call names no model that can be read here, and {label} of the policy `{name}` allows {} alone. Name one of those.",
            allowed.join(", ")
        ),
    };
    let denial = Denial::new(Code::ModelDenied, format!("{name}: {label}"), sentence);
    let denial = denial.with("instead", real.map_or(allowed, |real| vec![real]));
    if model.is_none() { denial } else { denial.with("model", shown) }
}

pub(super) fn bad_account(policy: &Policy, header: &str, value: &str) -> Denial {
    let name = &policy.name;
    let known = policy.accounts.contains_key(header);
    let value: String = value.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    let why = if known { format!("with the value `{value}`") } else { "at all".to_owned() };
    let sentence = format!(
        "The header `{header}` selects an account of the vendor, and `[accounts]` of the policy `{name}` does not allow it \
         {why}. Leave it out, or ask the operator to name it."
    );
    Denial::new(Code::AccountHeaderDenied, format!("{name}: accounts.{header}"), sentence)
}

pub(super) fn uncountable(missing: &Uncountable, claimed: bool, trusted: bool) -> Denial {
    let rule = &missing.rule;
    let scope = missing.scope.as_str();
    let (code, next) = match (missing.scope, claimed, trusted) {
        (Scope::Run, true, _) => (
            Code::RunRequired,
            "The run in `x-bursar-run` is only claimed, and the policy does not trust headers: ask for a key that names its run.",
        ),
        (Scope::Run, false, true) => {
            (Code::RunRequired, "Name the run in `x-bursar-run`, or ask for a key that names it.")
        }
        (Scope::Run, false, false) => (Code::RunRequired, "Ask for a key that names its run."),
        _ => (Code::LevelRequired, "Ask for a key that names it."),
    };
    let sentence = format!("`{rule}` is counted per {scope}, and this call belongs to no {scope}. {next}");
    Denial::new(code, rule.clone(), sentence)
}

fn patterns(rule: &Rule) -> String {
    rule.paths.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ")
}

/// `POST /v1/payouts at stripe`
fn call(q: &Question<'_>) -> String {
    let path = q.path.as_str();
    // A canonical path is ASCII, so any byte is a boundary.
    let shown = path.get(..SHOWN).map_or_else(|| path.to_owned(), |start| format!("{start}…"));
    format!("{} {shown} at {}", q.method, q.facts.vendor)
}
