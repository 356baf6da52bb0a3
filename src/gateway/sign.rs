//! The signature of a request to Amazon (SigV4): the caller's own, whose secret is nobody's, has been dropped; this is the real
//! one, over the path, the query and the body as they leave. `request` calls it last. Knows no vendor but by its placement.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderName, HeaderValue, Request, header};

use crate::rules::vendors::region;
use crate::units::secret::Secret;

/// Where nothing else says which region it is.
const REGION: &str = "us-east-1";

/// The credential is not `access:secret` or `access:secret:session`, or the request cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsigned;

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
    let region = region::of_host(request.uri().host().unwrap_or_default()).or(asked).unwrap_or(REGION).to_owned();
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

    use http::HeaderMap;

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
}
