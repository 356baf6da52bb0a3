//! Step 2: from the address to the vendor, the canonical path and the operation. Nothing that the caller sends becomes part
//! of the upstream's address; it only chooses among entries of the catalogue. `admit` comes next.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Uri, Version, header};

use super::Gateway;
use super::identify::Caller;
use super::problem::Problem;
use crate::rules::args::Unreadable;
use crate::rules::path::{CanonicalPath, PathRefusal, Target, query_or_form_overrides_method};
use crate::rules::subject::{Facts, Name};
use crate::rules::vendors::{Family, Operation, Vendor, credential};
use crate::units::vault_key::{LEN, PREFIX};

/// Which vendor, and what of the address is its own.
pub struct Place {
    pub vendor: Arc<Vendor>,
    pub path: CanonicalPath,
    /// Without the vault key.
    pub query: Option<String>,
    /// Where the caller reaches this vendor: what links in answers are rewritten to.
    pub base: Arc<str>,
}

/// A mapped host name; a first segment that names a vendor which the key may use; for a key with one vendor, the bare path.
pub fn place(gateway: &Gateway, caller: &Caller, parts: &Parts) -> Result<Place, Problem> {
    let target = target(parts);
    let Target { path, query } = CanonicalPath::parse(&*target).map_err(Problem::Path)?;
    if query.as_ref().is_some_and(|q| query_or_form_overrides_method(q.as_bytes())) {
        return Err(Problem::Unreadable(Unreadable::MethodOverride));
    }
    // Of the canonical path: what it is made of stands plain there, however it was sent.
    if path.as_str().contains(PREFIX) && holds_a_key(&path) {
        return Err(Problem::Malformed("its path holds a vault key, which must not reach a vendor".to_owned()));
    }
    let host = authority(&parts.uri, parts.headers.get(header::HOST));
    let scheme = if gateway.tls { "https://" } else { "http://" };
    let place = |vendor: Arc<Vendor>, path: CanonicalPath, below: &[&str]| {
        // To any other vendor, an encoded slash may be two things.
        if path.names_a_resource() && vendor.family != Family::Bedrock {
            return Err(Problem::Path(PathRefusal::EncodedSlash));
        }
        let keyless = |query: String| credential::strip_query(&query, &caller.carried, &vendor.placement);
        let base = [scheme, &host].iter().chain(below).copied().collect::<String>().into();
        Ok(Place { path, query: query.and_then(keyless), base, vendor })
    };
    if let Some(vendor) = gateway.vendors.by_host(name_of(&host)) {
        return place(vendor, path, &[]);
    }
    let first = path.segments().next().unwrap_or_default();
    // A vendor that the key may not use is refused by the policy, in that vendor's own envelope.
    if let Some(vendor) = gateway.vendors.get(first) {
        return place(vendor.clone(), path.without_first(), &["/", &vendor.name]);
    }
    let vendors = caller.vendors();
    match only(gateway, &vendors) {
        Some(vendor) => place(vendor, path, &[]),
        None => Err(Problem::NoVendor(vendors.iter().map(ToString::to_string).collect())),
    }
}

fn holds_a_key(path: &CanonicalPath) -> bool {
    path.decoded_segments().any(|segment| segment.contains(PREFIX) && segment.len() >= LEN)
}

fn only(gateway: &Gateway, vendors: &[Name]) -> Option<Arc<Vendor>> {
    match vendors {
        [one] => gateway.vendors.get(one),
        _ => None,
    }
}

/// HTTP/2 always names scheme and authority; in HTTP/1 a target that does is another form, and refused.
pub fn target(parts: &Parts) -> Cow<'_, str> {
    let named = parts.uri.scheme().is_some() || parts.uri.authority().is_some();
    match parts.uri.path_and_query() {
        Some(target) if parts.version == Version::HTTP_2 || !named => Cow::Borrowed(target.as_str()),
        _ => Cow::Owned(parts.uri.to_string()),
    }
}

/// The host that the caller addressed, with its port. HTTP/2 has it in the target.
pub fn authority<'h>(uri: &'h Uri, host: Option<&'h HeaderValue>) -> Cow<'h, str> {
    let header = || host.and_then(|v| v.to_str().ok());
    let named = uri.authority().map(|a| a.as_str()).or_else(header).unwrap_or_default();
    match named.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(named.to_ascii_lowercase()),
        false => Cow::Borrowed(named),
    }
}

/// The host without its port.
pub fn name_of(host: &str) -> &str {
    host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name)
}

/// What accounts, flags and rows are named by.
pub fn facts(
    caller: &Caller,
    vendor: &Vendor,
    operation: Option<&Operation>,
    method: &str,
    path: &CanonicalPath,
) -> Arc<Facts> {
    let operation = operation.map_or_else(|| Arc::from(format!("{method} {}", path.for_rules())), |o| o.name.clone());
    Arc::new(Facts {
        subject: caller.subject.clone(),
        keys: caller.key_chain(),
        policy: caller.policy.name.clone(),
        vendor: vendor.name.clone(),
        operation,
        claimed_run: caller.claimed_run(),
    })
}
