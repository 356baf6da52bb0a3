//! Keys in a request: where an SDK may have put the vault key, how every trace of it goes, and how the real credential comes
//! in. Pure functions over headers and query; the vault opens credentials, the keyring knows vault keys. `scrub` watches the
//! way back.

mod scrub;
#[cfg(test)]
mod tests;

pub use scrub::{Scrub, Sought};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;
use std::sync::Arc;

use super::entry::Placement;
use crate::units::secret::Secret;
use crate::units::vault_key::{PREFIX, stands_in};

/// Headers whose whole value is a key.
const KEY_HEADERS: [&str; 4] = ["x-api-key", "api-key", "x-goog-api-key", "xi-api-key"];
/// The query parameter that is one.
const KEY_PARAMETER: &str = "key";
/// A signature of Amazon's, and what belongs to it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256";
const SIGNATURE_HEADERS: [&str; 4] = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-region-set"];

/// Two different vault keys in one request: nobody can say whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request carries two different vault keys; send one")]
pub struct TwoKeys;

/// The vault key of a request, wherever an SDK puts it; `None` if none is there. It has the form's beginning and is not
/// checked further.
pub fn find_vault_keys(headers: &HeaderMap, query: Option<&str>) -> Result<Option<String>, TwoKeys> {
    let mut found: Option<String> = None;
    let mut differ = false;
    let mut take = |text: &str| {
        let text = text.trim();
        if text.starts_with(PREFIX) {
            differ |= found.as_deref().is_some_and(|own| own != text);
            found.get_or_insert_with(|| text.to_owned());
        }
    };
    for (name, value) in headers {
        if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
            in_authorization(value, &mut take);
        } else if is_key_header(name) {
            take(value.to_str().unwrap_or_default());
        }
    }
    for (name, value) in query.into_iter().flat_map(pairs) {
        if name == KEY_PARAMETER {
            take(&value);
        }
    }
    if differ { Err(TwoKeys) } else { Ok(found) }
}

fn is_key_header(name: &HeaderName) -> bool {
    KEY_HEADERS.contains(&name.as_str())
}

/// `Bearer K`, `token K`, `Basic base64(user:password)`, the access key id of a signature, or the key alone.
fn in_authorization(value: &HeaderValue, take: &mut impl FnMut(&str)) {
    let text = value.to_str().unwrap_or_default().trim();
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    if scheme == SIGNATURE {
        // The access key id is the beginning of the scope, in clear text; the secret was never sent.
        let scope = rest.split_once("Credential=").map_or("", |(_, scope)| scope);
        return take(scope.split(['/', ',']).next().unwrap_or_default());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return take(rest);
    }
    let decoded = STANDARD.decode(rest.trim()).or_else(|_| STANDARD_NO_PAD.decode(rest.trim()));
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    take(user);
    take(password);
}

/// Names and values of a query, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Removes every place where a key may stand, by name, and whatever else holds this key's text. Gives the query that is left.
pub fn strip(headers: &mut HeaderMap, query: Option<&str>, key: &str, placement: &Placement) -> Option<String> {
    let holds =
        |(name, value): &(&HeaderName, &HeaderValue)| is_place(name, placement) || stands_in(value.as_bytes(), key);
    let holders: Vec<HeaderName> = headers.iter().filter(holds).map(|(name, _)| name.clone()).collect();
    holders.iter().for_each(|name| drop(headers.remove(name)));
    strip_query(query?, key, placement)
}

/// What is left of a query without whatever may be a key.
pub fn strip_query(query: &str, key: &str, placement: &Placement) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| !carries(pair, key, placement)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Is it where a key may stand, the caller's or the vendor's own?
fn is_place(name: &HeaderName, placement: &Placement) -> bool {
    let own = match placement {
        Placement::Header(own) => **own == *name.as_str(),
        Placement::Sigv4(_) => SIGNATURE_HEADERS.contains(&name.as_str()),
        Placement::Bearer | Placement::Token | Placement::Basic | Placement::Query(_) => false,
    };
    own || name == AUTHORIZATION || name == PROXY_AUTHORIZATION || is_key_header(name)
}

fn carries(pair: &str, key: &str, placement: &Placement) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let (name, value) = (decoded(name), decoded(value));
    let placed = matches!(placement, Placement::Query(own) if **own == *name);
    placed
        || (name == KEY_PARAMETER && value.trim().starts_with(PREFIX))
        || stands_in(value.as_bytes(), key)
        || stands_in(name.as_bytes(), key)
}

/// Where the real credential stands in the request that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Marked sensitive, so that it is neither printed nor put into a compression table.
    Header(HeaderName, HeaderValue),
    /// To be added to the query, as it is.
    Query(String),
}

/// What is made of a credential once, for all calls of its vendor.
#[derive(Debug)]
pub struct Ready {
    pub placed: Result<Placed, BadCredential>,
    /// What its answers are searched for.
    pub sought: Arc<Sought>,
}

impl Ready {
    pub fn new(placement: &Placement, credential: &Secret) -> Self {
        Self { placed: place(placement, credential), sought: Arc::new(Sought::new(placement, credential)) }
    }
}

/// A credential that cannot stand where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential has characters that cannot stand in a header")]
pub struct BadCredential;

/// The real credential, in the vendor's own place.
pub fn place(placement: &Placement, credential: &Secret) -> Result<Placed, BadCredential> {
    let bytes = credential.expose();
    if !credential.fits_a_header() {
        return Err(BadCredential);
    }
    let (name, value) = match placement {
        Placement::Bearer => (AUTHORIZATION, [b"Bearer ", bytes].concat()),
        Placement::Token => (AUTHORIZATION, [b"token ", bytes].concat()),
        Placement::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(bytes)).into_bytes()),
        // Made of the whole request, when it is whole: `gateway` signs.
        Placement::Sigv4(_) => return Err(BadCredential),
        Placement::Header(name) => {
            (HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadCredential)?, bytes.to_vec())
        }
        Placement::Query(name) => {
            let text = std::str::from_utf8(bytes).map_err(|_| BadCredential)?;
            return Ok(Placed::Query(format!("{name}={}", utf8_percent_encode(text, NON_ALPHANUMERIC))));
        }
    };
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| BadCredential)?;
    value.set_sensitive(true);
    Ok(Placed::Header(name, value))
}
