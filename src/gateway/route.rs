//! Step 2: from the address to the vendor, the canonical path and the operation. Nothing that the caller sends becomes part
//! of the upstream's address; it only chooses among entries of the catalogue. `admit` comes next.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Uri, Version, header};

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
    pub base: String,
}

/// A mapped host name; a first segment that names a vendor which the key may use; for a key with one vendor, the bare path.
pub fn place(gateway: &Gateway, caller: &Caller, parts: &Parts) -> Result<Place, Problem> {
    let Target { path, query } = CanonicalPath::parse(target(parts)).map_err(Problem::Path)?;
    if query.as_ref().is_some_and(|q| query_or_form_overrides_method(q.as_bytes())) {
        return Err(Problem::Unreadable(Unreadable::MethodOverride));
    }
    let host = authority(&parts.uri, &parts.headers);
    let origin = format!("{}://{host}", if gateway.tls { "https" } else { "http" });
    if memchr::memmem::find(target(parts).as_bytes(), PREFIX.as_bytes()).is_some() && holds_a_key(&path) {
        return Err(Problem::Malformed("its path holds a vault key, which must not reach a vendor".to_owned()));
    }
    let place = |vendor: Arc<Vendor>, path: CanonicalPath, base| {
        let query = credential::strip(&mut HeaderMap::new(), query.as_deref(), &caller.carried, &vendor.placement);
        // To any other vendor, an encoded slash may be two things.
        match path.names_a_resource() && vendor.family != Family::Bedrock {
            true => Err(Problem::Path(PathRefusal::EncodedSlash)),
            false => Ok(Place { vendor, path, query, base }),
        }
    };
    if let Some(vendor) = gateway.vendors.by_host(name_of(&host)) {
        return place(vendor, path, origin);
    }
    let first = path.segments().next().unwrap_or_default();
    // A vendor that the key may not use is refused by the policy, in that vendor's own envelope.
    if let Some(vendor) = gateway.vendors.get(first) {
        let base = format!("{origin}/{}", vendor.name);
        return place(vendor, path.without_first(), base);
    }
    let vendors = caller.vendors();
    match only(gateway, &vendors) {
        Some(vendor) => place(vendor, path, origin),
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
pub fn target(parts: &Parts) -> String {
    match parts.version {
        Version::HTTP_2 => parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string),
        _ => parts.uri.to_string(),
    }
}

/// The host that the caller addressed, with its port. HTTP/2 has it in the target.
pub fn authority(uri: &Uri, headers: &HeaderMap) -> String {
    let header = || headers.get(header::HOST).and_then(|v| v.to_str().ok());
    uri.authority().map(|a| a.as_str()).or_else(header).unwrap_or_default().to_ascii_lowercase()
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
