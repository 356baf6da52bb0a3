//! From a vendor as a file writes it to a `Vendor`: every field read once, defaults filled in, and every mistake named with
//! its field, all at once. Opens nothing; `config` finds the files.

use super::declared::{Rule, check_rates};
use super::dialect::Dialect;
use super::entry::{Adapter, Base, BodyKind, Envelope, Family, Host, Operation, Placement, Price, Vendor};
use super::raw::{RawHost, RawOperations, RawPlacement, RawPrice, RawVendor};
use super::route::Routes;
use super::table;
use crate::rules::books::Tier;
use crate::rules::pattern::OperationPattern;
use crate::rules::subject::Name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong in a vendor's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Below the vendor's table: `operations[2].tier`.
    pub field: String,
    pub problem: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Collects mistakes while it reads.
#[derive(Default)]
struct Reader {
    mistakes: Vec<Mistake>,
    /// Nothing in the place of one that has mistakes.
    rules: BTreeMap<String, Option<Arc<Rule>>>,
}

impl RawVendor {
    /// The vendor that this table describes.
    pub fn check(&self, name: &str) -> Result<Vendor, Vec<Mistake>> {
        let mut reader = Reader::default();
        let vendor = reader.vendor(name, self);
        match vendor {
            Some(vendor) if reader.mistakes.is_empty() => Ok(vendor),
            _ => Err(reader.mistakes),
        }
    }
}

impl Reader {
    fn wrong(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.mistakes.push(Mistake { field: field.into(), problem: problem.into() });
    }

    fn vendor(&mut self, name: &str, raw: &RawVendor) -> Option<Vendor> {
        if !is_vendor_name(name) {
            self.wrong(
                "name",
                format!("`{name}` is no vendor name: write small letters, digits, `-` and `_`, and no reserved word"),
            );
        }
        let family = self.family(raw);
        self.read_rules(raw);
        let otherwise = raw.otherwise.as_ref().and_then(|price| self.price("otherwise", price));
        let operations = self.all_operations(raw, otherwise.as_ref());
        let hosts = self.hosts(raw);
        Some(Vendor {
            name: name.into(),
            family,
            dialect: self.dialect(raw),
            envelope: self.envelope(raw, family),
            placement: self.placement(raw.placement.as_ref()),
            default_headers: self.headers(raw),
            account_headers: lower(raw.account_headers.as_deref().unwrap_or_default()),
            env: raw.env.iter().flatten().map(|s| s.as_str().into()).collect(),
            version: raw.version.as_deref().filter(|v| !v.is_empty()).map(Into::into),
            failures_free: raw.failures_free.unwrap_or(false),
            repeats_unsaid: raw.repeats_unsaid.unwrap_or(false),
            prices: raw.prices.as_deref().unwrap_or(name).into(),
            auto_tier_is_standard: self.auto_tier(raw),
            currency: raw.currency.as_deref().filter(|c| *c != "any").map(|c| c.to_ascii_lowercase().into()),
            idempotency_header: raw.idempotency_header.as_deref().map(|h| h.to_ascii_lowercase().into()),
            request_id_header: raw.request_id_header.as_deref().map(|h| h.to_ascii_lowercase().into()),
            routes: Routes::new(&operations),
            operations,
            otherwise,
            private_network: raw.private_network.unwrap_or(false),
            callback: raw.callback,
            host_names: lower(raw.hosts.as_deref().unwrap_or_default()),
            hosts: hosts?,
        })
    }

    fn family(&mut self, raw: &RawVendor) -> Family {
        match raw.family.as_deref() {
            Some("openai") => Family::OpenAi,
            Some("anthropic") => Family::Anthropic,
            Some("google") => Family::Google,
            Some("cohere") => Family::Cohere,
            Some("bedrock") => Family::Bedrock,
            Some("stripe") => Family::Stripe,
            Some("declared") | None => Family::Declared,
            Some(other) => {
                self.wrong(
                    "family",
                    format!("`{other}` is none of openai, anthropic, google, cohere, bedrock, stripe, declared"),
                );
                Family::Declared
            }
        }
    }

    fn dialect(&mut self, raw: &RawVendor) -> Dialect {
        let Some(word) = raw.dialect.as_deref() else { return Dialect::default() };
        Dialect::parse(word).unwrap_or_else(|| {
            self.wrong("dialect", format!("`{word}` is no way of OpenAI's shapes that bursar knows"));
            Dialect::default()
        })
    }

    fn envelope(&mut self, raw: &RawVendor, family: Family) -> Envelope {
        let Some(word) = raw.envelope.as_deref() else {
            return match family {
                Family::OpenAi => Envelope::OpenAi,
                Family::Anthropic => Envelope::Anthropic,
                Family::Google => Envelope::Google,
                Family::Bedrock => Envelope::Bedrock,
                Family::Stripe => Envelope::Stripe,
                Family::Cohere | Family::Declared => Envelope::Message,
            };
        };
        Envelope::parse(word).unwrap_or_else(|| {
            self.wrong("envelope", format!("`{word}` is no shape of error bodies that bursar knows"));
            Envelope::Message
        })
    }

    fn auto_tier(&mut self, raw: &RawVendor) -> bool {
        match raw.auto_tier.as_deref() {
            None | Some("dearest") => false,
            Some("standard") => true,
            Some(other) => {
                self.wrong("auto_tier", format!("`{other}` is neither `standard` nor `dearest`"));
                false
            }
        }
    }

    fn placement(&mut self, raw: Option<&RawPlacement>) -> Placement {
        match raw {
            None | Some(RawPlacement::Bearer) => Placement::Bearer,
            Some(RawPlacement::Token) => Placement::Token,
            Some(RawPlacement::Basic) => Placement::Basic,
            Some(RawPlacement::Header(name)) => {
                self.header_name("placement.header", name);
                Placement::Header(name.to_ascii_lowercase().into())
            }
            Some(RawPlacement::Sigv4(service)) => Placement::Sigv4(service.as_str().into()),
            Some(RawPlacement::Query(name)) => Placement::Query(name.as_str().into()),
        }
    }

    fn header_name(&mut self, field: &str, name: &str) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            self.wrong(field, format!("`{name}` is no header name"));
        }
    }

    fn headers(&mut self, raw: &RawVendor) -> Vec<(Box<str>, Box<str>)> {
        let mut headers = Vec::new();
        for (name, value) in raw.default_headers.iter().flatten() {
            self.header_name("default_headers", name);
            if http::HeaderValue::from_str(value).is_err() {
                self.wrong(format!("default_headers.{name}"), "this value cannot stand in a header");
            }
            headers.push((name.to_ascii_lowercase().into(), value.as_str().into()));
        }
        headers
    }

    fn hosts(&mut self, raw: &RawVendor) -> Option<Vec<Host>> {
        let Some(url) = &raw.base_url else {
            self.wrong("base_url", "it is missing: write the vendor's address, such as `https://api.example.com`");
            return None;
        };
        let mut hosts = vec![Host { base: self.base("base_url", url)?, serves: Vec::new() }];
        for (i, other) in raw.other_hosts.iter().flatten().enumerate() {
            hosts.extend(self.other_host(&format!("other_hosts[{i}]"), other));
        }
        Some(hosts)
    }

    fn other_host(&mut self, at: &str, raw: &RawHost) -> Option<Host> {
        let base = self.base(&format!("{at}.base_url"), &raw.base_url)?;
        let mut serves = Vec::new();
        for pattern in &raw.serves {
            match OperationPattern::parse(pattern) {
                Ok(pattern) => serves.push(pattern),
                Err(error) => self.wrong(format!("{at}.serves"), error.to_string()),
            }
        }
        Some(Host { base, serves })
    }

    fn base(&mut self, field: &str, url: &str) -> Option<Base> {
        Base::parse(url).map_err(|problem| self.wrong(field, problem)).ok()
    }

    fn read_rules(&mut self, raw: &RawVendor) {
        for (field, problem) in check_rates(&raw.rates) {
            self.wrong(format!("rates.{field}"), problem);
        }
        for (name, rule) in &raw.rules {
            let checked = rule.check(&raw.rates).map(Arc::new);
            for (field, problem) in checked.as_ref().err().into_iter().flatten() {
                self.wrong(format!("rules.{name}.{field}"), problem);
            }
            self.rules.insert(name.clone(), checked.ok());
        }
    }

    fn all_operations(&mut self, raw: &RawVendor, otherwise: Option<&Price>) -> Vec<Operation> {
        let groups: Vec<Vec<Operation>> =
            raw.operations.iter().enumerate().map(|(i, group)| self.operations(i, group)).collect();
        let own = groups.iter().take(raw.own).map(Vec::len).sum();
        let listed = groups.into_iter().flatten().collect();
        match raw.table {
            Some(table) => table::mapped(listed, own, table, otherwise),
            None => listed,
        }
    }

    fn operations(&mut self, group: usize, raw: &RawOperations) -> Vec<Operation> {
        let at = format!("operations[{group}]");
        let tier = Tier::parse(&raw.tier);
        if tier.is_none() {
            self.wrong(format!("{at}.tier"), format!("`{}` is no risk tier", raw.tier));
        }
        let price = self.price(&format!("{at}.price"), &raw.price);
        let bodies: Vec<BodyKind> = raw.bodies.iter().filter_map(|word| self.body(&at, word)).collect();
        let action: Name = raw.action.as_str().into();
        let make = |on: &String| {
            let (method, template) = self.template(&at, on)?;
            let (name, action, bodies) = (Name::from(on.as_str()), action.clone(), bodies.clone());
            Some(Operation { name, method, template, action, tier: tier?, bodies, price: price.clone()? })
        };
        raw.on.iter().filter_map(make).collect()
    }

    fn body(&mut self, at: &str, word: &str) -> Option<BodyKind> {
        match word {
            "json" => Some(BodyKind::Json),
            "form" => Some(BodyKind::Form),
            "multipart" => Some(BodyKind::Multipart),
            "opaque" => Some(BodyKind::Opaque),
            _ => {
                self.wrong(format!("{at}.bodies"), format!("`{word}` is none of json, form, multipart, opaque"));
                None
            }
        }
    }

    fn template(&mut self, at: &str, on: &str) -> Option<(Box<str>, Vec<Box<str>>)> {
        let parts = on.split_once(' ').and_then(|(method, path)| Some((method, path.strip_prefix('/')?)));
        let good = |method: &str, path: &str| {
            let plain = |s: &str| !s.contains(['{', '}']);
            let bare = |s: &str| s.strip_prefix('{').and_then(|s| s.strip_suffix('}')).unwrap_or(s).to_owned();
            // `{model}:generateContent`
            let inner = |s: &str| match s.split_once("}:") {
                Some((name, verb)) if !verb.is_empty() => format!("{}{verb}", bare(&format!("{name}}}"))),
                _ => bare(s),
            };
            let rest_is_last = path.split('/').rev().skip(1).all(|s| !s.ends_with("+}"));
            let method = method.bytes().all(|b| b.is_ascii_uppercase()) && !method.is_empty();
            method && rest_is_last && path.split('/').all(|s| plain(&inner(s)))
        };
        match parts.filter(|(method, path)| good(method, path)) {
            Some((method, path)) => {
                Some((method.into(), path.split('/').filter(|s| !s.is_empty()).map(Into::into).collect()))
            }
            None => {
                self.wrong(format!("{at}.on"), format!("`{on}` is no operation: write `POST /v1/refunds/{{refund}}`"));
                None
            }
        }
    }

    fn price(&mut self, field: &str, raw: &RawPrice) -> Option<Price> {
        let found = match raw {
            RawPrice::Word(word) => match word.as_str() {
                "free" => Ok(Price::Free),
                "ceiling" => Ok(Price::Ceiling),
                name => Adapter::parse(name)
                    .map(Price::Adapter)
                    .ok_or_else(|| format!("`{name}` is neither `free`, `ceiling` nor an adapter")),
            },
            RawPrice::Rule { rule } => match self.rules.get(rule) {
                // What is wrong with it is said there.
                Some(rule) => return rule.clone().map(Price::Rule),
                None => Err(format!("this vendor has no rule `{rule}`")),
            },
        };
        found.map_err(|problem| self.wrong(field, problem)).ok()
    }
}

fn lower(list: &[String]) -> Vec<Box<str>> {
    list.iter().map(|s| s.to_ascii_lowercase().into()).collect()
}

/// Names that a path may begin with, apart from the gateway's own.
fn is_vendor_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    name.bytes().all(plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name != "bursar"
}
