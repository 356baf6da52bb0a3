//! A policy's TOML file, read into `rules::policy::Policy` with all its mistakes at once. Holds the grammar of `policies/`,
//! and decides nothing about calls.

mod approval;
mod budgets;
mod capture;
mod hours;
mod lines;
mod models;
mod params;
mod rates;
mod risk;
mod rules;
mod schemas;
mod shared;
mod stripe;
mod switches;
#[cfg(test)]
mod tests;
mod windows;

use sha2::{Digest, Sha256};

use super::mistake::Mistakes;
use super::raw::{self, Node, Table};
use crate::rules::ledger::need::Share;
use crate::rules::policy::{Beside, DEFAULT_FIT, Delegate, Mode, Policy, parse_limit};
use crate::rules::subject::Name;
use crate::rules::vendors::{FitRule, UnknownModel};
use crate::units::amount::Unit;
use crate::units::ids::Digest32;
use crate::units::money::MicroCents;

/// What is planned and not built: naming it is a mistake, so that nobody relies on it.
const NOT_BUILT: [&str; 3] = ["kill", "trigger", "concurrency"];

/// Reads one file. `vendors` are those that are configured; none given, none checked.
pub fn read(file: &str, text: &str, vendors: Option<&[Name]>) -> Result<Policy, Mistakes> {
    read_with(file, text, vendors, &Beside::default())
}

/// And with what stands in files beside it.
pub fn read_with(file: &str, text: &str, vendors: Option<&[Name]>, beside: &Beside) -> Result<Policy, Mistakes> {
    let hash = Digest32(Sha256::digest(text).into());
    let policy = raw::read(file, text, |root| policy(&root, hash, vendors, beside))?;
    Ok(Policy { hash: with_files(&policy), lines: lines::of(text), ..policy })
}

/// A list or a schema that changes makes another policy of each that names it.
fn with_files(policy: &Policy) -> Digest32 {
    let of_rules = policy.allow.iter().chain(&policy.deny).flat_map(|rule| &rule.params);
    let of_approval = policy.approval.iter().flat_map(|approval| &approval.params);
    let mut hashes: Vec<[u8; 32]> = of_rules
        .chain(&policy.params)
        .chain(of_approval)
        .flat_map(|param| param.lists())
        .map(|list| list.hash.0)
        .chain(policy.schemas.iter().map(|rule| rule.schema.hash.0))
        .collect();
    if hashes.is_empty() {
        return policy.hash;
    }
    hashes.sort_unstable();
    let mut hasher = Sha256::new();
    hasher.update(policy.hash.0);
    hashes.iter().for_each(|hash| hasher.update(hash));
    Digest32(hasher.finalize().into())
}

fn policy(root: &Table<'_>, hash: Digest32, vendors: Option<&[Name]>, beside: &Beside) -> Option<Policy> {
    for key in NOT_BUILT {
        root.refuse(key, "this is not built yet, and a policy must not rely on it: leave it out");
    }
    let name = root.need("name", "a name such as `refund-agent`").and_then(|node| name(&node));
    let mut policy = Policy::new(name.clone().unwrap_or_else(|| "?".into()), hash);
    policy.beside = beside.clone();
    policy.global = root.get("global").and_then(|n| n.flag()).unwrap_or(false);
    family(root, &mut policy);
    policy.vendors = vendor_names(root, policy.global || policy.base, vendors);
    policy.mode = mode(root);
    policy.allow = rules::read(root, "allow", &policy);
    policy.deny = rules::read(root, "deny", &policy);
    policy.params =
        root.get("params").map(|n| params::read(&n, params::Side::Policy, &policy.beside.lists)).unwrap_or_default();
    policy.schemas = schemas::read(root, &policy);
    policy.models = models::read(root, &policy);
    (policy.budgets, policy.call_limits) = budgets::read(root, &policy);
    policy.rates = rates::read(root, &policy);
    policy.windows = windows::read(root, &policy);
    policy.switches = switches::read(root, &policy);
    settings(root, &mut policy);
    policy.approval = root.get("approval").and_then(|n| n.table()).map(|t| approval::read(&t, &policy));
    policy.manner = shared::read(root, policy.global);
    ends(root, &mut policy);
    root.done();
    name.map(|_| policy)
}

/// `extends = ["base"]`, and `base = true` for what is only there to be extended.
fn family(root: &Table<'_>, policy: &mut Policy) {
    policy.base = root.get("base").and_then(|n| n.flag()).unwrap_or(false);
    if policy.global && policy.base {
        root.refuse("base", "the global policy holds for every key, and needs no heirs: leave it out");
    }
    let bases = root.get("extends").map(|n| n.one_or_more()).unwrap_or_default();
    policy.extends = bases.iter().filter_map(|node| node.text().map(Name::from)).collect();
    policy.said = root.entries().iter().map(|(key, _)| Box::from(*key)).collect();
}

/// `mode = "observe"`, of a policy or of one rule.
fn mode(table: &Table<'_>) -> Mode {
    let words = [("enforce", Mode::Enforce), ("observe", Mode::Observe)];
    table.get("mode").and_then(|node| node.word(&words)).unwrap_or_default()
}

fn name(node: &Node<'_>) -> Option<Name> {
    let text = node.text()?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= 64 && text.chars().all(plain);
    if !good {
        node.wrong(format!(
            "`{text}` is no name: use at most 64 of `a-z`, `0-9`, `-`, `_`, `.`, beginning with a letter or digit"
        ));
    }
    good.then(|| text.into())
}

fn vendor_names(root: &Table<'_>, any: bool, known: Option<&[Name]>) -> Vec<Name> {
    let list = match (root.get("vendors"), any) {
        (None, true) => return Vec::new(),
        (None, false) => root.need("vendors", "a list such as `[\"stripe\"]`"),
        (list, _) => list,
    };
    let Some((list, nodes)) = list.and_then(|list| Some((list.clone(), list.list()?))) else { return Vec::new() };
    if nodes.is_empty() {
        list.wrong("it names no vendor");
    }
    let mut names: Vec<Name> = Vec::new();
    for (node, text) in nodes.iter().filter_map(|node| Some((node, node.text()?))) {
        if known.is_some_and(|known| !known.iter().any(|k| **k == *text)) {
            node.wrong(format!("`{text}` is no vendor that is configured here"));
        }
        names.push(text.into());
    }
    names
}

/// The single values.
fn settings(root: &Table<'_>, policy: &mut Policy) {
    risk::read(root, policy);
    policy.fit = root.get("fit").and_then(|n| fit(&n)).unwrap_or(DEFAULT_FIT);
    policy.max_output_tokens = root.get("max_output_tokens").and_then(|n| positive(&n));
    policy.ceiling = root.get("ceiling").and_then(|n| ceiling(&n));
    if let Some(wait) = root.get("wait_for_holds").and_then(|n| n.duration()) {
        policy.wait_for_holds = wait;
    }
    policy.trust_headers = root.get("trust_headers").and_then(|n| n.flag()).unwrap_or(false);
    policy.credential = root.get("credential").and_then(|n| n.text()).map(Into::into);
    policy.delegate = root.get("delegate").and_then(|n| delegate(&n)).unwrap_or_default();
    policy.capture = root.get("capture").and_then(|n| n.table()).and_then(|t| capture::read(&t));
    if let Some(node) = root.get("unknown_model") {
        let words = [("refuse", UnknownModel::Refuse), ("dearest", UnknownModel::Dearest)];
        policy.unknown_model = node.word(&words).unwrap_or(policy.unknown_model);
    }
    policy.look_up = root.get("look_up").and_then(|n| n.flag()).unwrap_or(false);
    if let Some(table) = root.get("stripe").and_then(|n| n.table()) {
        policy.stripe = stripe::read(&table);
    }
    if let Some(table) = root.get("accounts").and_then(|n| n.table()) {
        policy.accounts = table.entries().into_iter().filter_map(|(name, node)| account(name, &node)).collect();
    }
}

fn ends(root: &Table<'_>, policy: &mut Policy) {
    let Some(node) = root.get("expires_at") else { return };
    policy.expires_at = node.instant();
    if policy.global {
        node.wrong("the global policy holds for every key and does not expire: leave it out");
    }
}

fn positive(node: &Node<'_>) -> Option<u64> {
    let count = node.count()?;
    if count == 0 {
        node.wrong("it must be at least 1");
    }
    Some(count)
}

fn ceiling(node: &Node<'_>) -> Option<MicroCents> {
    let (unit, amount) = node.parsed(parse_limit)?;
    if unit != Unit::Usd || amount == 0 {
        node.wrong("a ceiling is an amount of money above zero, such as `5 USD`");
    }
    Some(MicroCents(amount))
}

/// `fit = "always"`, or `fit = { always = true, floor = 256, share = 25 }`
fn fit(node: &Node<'_>) -> Option<FitRule> {
    let default = DEFAULT_FIT;
    if node.value().is_str() {
        return node.word(&[("always", FitRule { always: true, ..default }), ("unlimited", default)]);
    }
    let table = node.table()?;
    let rule = FitRule {
        always: table.get("always").and_then(|n| n.flag()).unwrap_or(default.always),
        floor: table.get("floor").and_then(|n| positive(&n)).unwrap_or(default.floor),
        share: table.get("share").and_then(|n| share(&n)).unwrap_or(default.share),
    };
    table.done();
    Some(rule)
}

fn share(node: &Node<'_>) -> Option<Share> {
    let percent = node.count()?;
    let share = u8::try_from(percent).ok().filter(|p| (1..=100).contains(p)).map(Share);
    if share.is_none() {
        node.wrong("a share is in percent, 1 to 100");
    }
    share
}

/// `delegate = true`, or `delegate = { max_ttl = "1h" }`
fn delegate(node: &Node<'_>) -> Option<Delegate> {
    if node.value().is_bool() {
        return Some(Delegate { allowed: node.flag()?, max_ttl: None });
    }
    let table = node.table()?;
    let allowed = table.get("allowed").and_then(|n| n.flag()).unwrap_or(true);
    let max_ttl = table.get("max_ttl").and_then(|n| n.duration());
    table.done();
    Some(Delegate { allowed, max_ttl })
}

/// `Stripe-Account = ["acct_1"]`
fn account(name: &str, node: &Node<'_>) -> Option<(Box<str>, Vec<Box<str>>)> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || !name.bytes().all(token) {
        node.wrong("its key is no header name, such as `Stripe-Account`");
    }
    let values = node.one_or_more();
    let values = values.iter().filter_map(Node::text).map(Into::into).collect();
    Some((name.to_ascii_lowercase().into(), values))
}
