//! The request as it leaves: judged path, catalogue's origin, the caller's headers without keys and hops, the real credential.
//! Nothing of its address comes from the caller but path and query, as they were judged.

use std::borrow::Cow;
use std::time::SystemTime;

use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::headers;
use super::problem::Problem;
use super::sign;
use crate::adapters::upstream::Upload;
use crate::adapters::vault::Credential;
use crate::rules::path::CanonicalPath;
use crate::rules::vendors::credential::{self, Placed};
use crate::rules::vendors::{Base, Placement, Vendor, region};

/// What the pieces of a request are.
pub struct Pieces<'a> {
    pub method: Method,
    pub base: &'a Base,
    pub path: &'a CanonicalPath,
    pub query: Option<&'a str>,
    pub headers: HeaderMap,
    /// The vault key as it was sent.
    pub carried: &'a str,
    pub vendor: &'a Vendor,
    pub credential: &'a Credential,
    /// The body as it leaves, where it is signed.
    pub signed: Option<&'a [u8]>,
}

pub fn build(pieces: Pieces<'_>, body: Upload) -> Result<Request<Upload>, Problem> {
    let Pieces { method, base, path, query, mut headers, carried, vendor, credential, signed } = pieces;
    let region = region::of_signature(&headers).map(str::to_owned);
    headers::towards_vendor(&mut headers);
    // The query lost its keys when the vendor was found, before it was judged.
    credential::strip(&mut headers, None, carried, &vendor.placement);
    headers::one_cookie_line(&mut headers);
    for (name, value) in &vendor.default_headers {
        set_default(&mut headers, name, value);
    }
    // What comes compressed must be decoded here, to be metered and searched for the credential.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Placement::Sigv4(service) = &vendor.placement {
        let mut request = assembled(method, uri(base, path, query)?, headers, body);
        let unsigned = |_| Problem::NoCredential(vendor.name.to_string());
        let body = signed.ok_or(sign::Unsigned).map_err(unsigned)?;
        sign::signed(&mut request, body, credential.secret(), service, region.as_deref(), SystemTime::now())
            .map_err(unsigned)?;
        return Ok(request);
    }
    let query = match credential.ready(&vendor.placement).placed.as_ref() {
        Err(_) => return Err(Problem::NoCredential(vendor.name.to_string())),
        Ok(Placed::Header(name, value)) => {
            headers.insert(name.clone(), value.clone());
            query.map(Cow::Borrowed)
        }
        Ok(Placed::Query(pair)) => Some(query.map_or_else(|| Cow::Borrowed(&**pair), |q| format!("{q}&{pair}").into())),
    };
    Ok(assembled(method, uri(base, path, query.as_deref())?, headers, body))
}

fn assembled(method: Method, uri: Uri, headers: HeaderMap, body: Upload) -> Request<Upload> {
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    request
}

fn set_default(headers: &mut HeaderMap, name: &str, value: &str) {
    // The catalogue's names and values are checked when it is loaded; one that is none is left out.
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value))
        && !headers.contains_key(&name)
    {
        headers.insert(name, value);
    }
}

fn uri(base: &Base, path: &CanonicalPath, query: Option<&str>) -> Result<Uri, Problem> {
    let target = match query {
        Some(query) => [&base.prefix, path.as_str(), "?", query].concat(),
        None => [&base.prefix, path.as_str()].concat(),
    };
    let malformed = |_| Problem::Malformed("its query holds bytes that no request line can carry".to_owned());
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if base.tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::try_from(&*base.authority).ok();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(malformed)?);
    // Without an authority it is no address either.
    Uri::from_parts(parts).map_err(|_| Problem::Malformed("its address cannot be written".to_owned()))
}
