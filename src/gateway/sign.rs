//! The signature of a request to Amazon (SigV4): the caller's own, whose secret is nobody's, has been dropped; this is the real
//! one, over the path, the query and the body as they leave. `request` calls it last. Knows no vendor but by its placement.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};

use crate::units::secret::Secret;

/// Where nothing else says which region it is.
const REGION: &str = "us-east-1";

/// The credential is not `access:secret` or `access:secret:session`, or the request cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsigned;

/// The region of a signature that the caller sent: the third part of its scope.
pub fn region_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let scope = text.split_once("Credential=")?.1.split(',').next()?;
    scope.split('/').nth(2).filter(|region| is_region(region)).map(str::to_owned)
}

fn is_region(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.len() <= 32 && text.bytes().all(plain)
}

/// `bedrock-runtime.eu-west-1.amazonaws.com` names its own.
fn of_host(host: &str) -> Option<&str> {
    let region = host.strip_suffix(".amazonaws.com")?.split('.').nth(1)?;
    is_region(region).then_some(region)
}

/// Signs a request that is whole but for this. `asked`: the region that the caller signed for.
pub fn signed<B>(
    request: &mut Request<B>,
    body: &[u8],
    credential: &Secret,
    service: &str,
    asked: Option<&str>,
    now: SystemTime,
) -> Result<(), Unsigned> {
    let text = std::str::from_utf8(credential.expose()).map_err(|_| Unsigned)?;
    let mut parts = text.splitn(3, ':').map(|part| part.trim().to_owned());
    let (access, secret) = (parts.next().ok_or(Unsigned)?, parts.next().ok_or(Unsigned)?);
    if access.is_empty() || secret.is_empty() {
        return Err(Unsigned);
    }
    let region = of_host(request.uri().host().unwrap_or_default()).or(asked).unwrap_or(REGION).to_owned();
    let identity = Credentials::new(access, secret, parts.next(), None, "the vault").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| Unsigned)?
        .into();
    let uri = request.uri().to_string();
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let headers = kind.map(|kind| ("content-type", kind)).into_iter();
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(body));
    let (instructions, _) = sign(signable.map_err(|_| Unsigned)?, &params).map_err(|_| Unsigned)?.into_parts();
    let (added, _) = instructions.into_parts();
    for line in added {
        let name = HeaderName::from_bytes(line.name().as_bytes()).map_err(|_| Unsigned)?;
        let mut value = HeaderValue::from_str(line.value()).map_err(|_| Unsigned)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn made(uri: &str, credential: &str, asked: Option<&str>) -> Result<HeaderMap, Unsigned> {
        let mut request = Request::post(uri).header("content-type", "application/json").body(()).expect("a request");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        signed(&mut request, b"{}", &Secret::new(credential.to_owned()), "bedrock", asked, now)?;
        Ok(request.headers().clone())
    }

    fn scope(headers: &HeaderMap) -> String {
        let text = headers["authorization"].to_str().expect("text");
        text.split_once("Credential=").expect("a scope").1.split(',').next().expect("a scope").to_owned()
    }

    #[test]
    fn a_request_is_signed_for_its_own_region() {
        let home = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse";
        let headers = made(home, "AKID:secret", Some("us-west-2")).expect("signed");
        assert_eq!(scope(&headers), "AKID/20261118/eu-west-1/bedrock/aws4_request");
        assert!(headers["authorization"].is_sensitive() && headers.contains_key("x-amz-date"));
        assert!(!headers.contains_key("x-amz-security-token"));
        let elsewhere = "http://127.0.0.1:9/model/a%3A0/converse";
        let session = made(elsewhere, "AKID:secret:tok:en", Some("us-west-2")).expect("signed");
        assert_eq!(scope(&session), "AKID/20261118/us-west-2/bedrock/aws4_request");
        assert_eq!(session["x-amz-security-token"], "tok:en");
        assert_eq!(scope(&made(elsewhere, "AKID:secret", None).expect("signed")).split('/').nth(2), Some(REGION));
        for wrong in ["", "AKID", "AKID:", ":secret"] {
            assert_eq!(made(home, wrong, None), Err(Unsigned), "{wrong}");
        }
    }

    #[test]
    fn the_callers_region_stands_in_its_scope() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a value");
            region_of(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        let scope = "AWS4-HMAC-SHA256 Credential=vk_1/20261121/eu-west-3/bedrock/aws4_request, SignedHeaders=host";
        assert_eq!(of(scope).as_deref(), Some("eu-west-3"));
        for none in ["Bearer x", "AWS4-HMAC-SHA256 Credential=vk_1", "AWS4-HMAC-SHA256 Credential=a/b/c d/e"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
