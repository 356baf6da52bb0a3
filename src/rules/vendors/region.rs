//! In which of Amazon's regions a call is answered: its host says so, else the signature that the caller sent. The call is
//! signed for that region and priced by it. Signs nothing; the gateway does.

use http::{HeaderMap, header};

use super::ask::Ask;
use super::entry::Family;
use crate::rules::price::is_region;

/// `bedrock-runtime.eu-west-1.amazonaws.com` names its own, wherever in the name it stands.
pub fn of_host(host: &str) -> Option<&str> {
    host.strip_suffix(".amazonaws.com")?.split('.').find(|label| is_region(label))
}

/// The region of a signature that the caller sent: the third part of its scope.
pub fn of_signature(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let scope = text.split_once("Credential=")?.1.split(',').next()?;
    scope.split('/').nth(2).filter(|region| is_region(region))
}

impl Ask<'_> {
    /// The region that this call is priced by; only Bedrock's prices differ by it.
    pub(super) fn region(&self) -> Option<&str> {
        let region = || of_host(self.host).or_else(|| of_signature(self.headers));
        if self.vendor.family == Family::Bedrock { region() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_host_names_its_region() {
        for (host, region) in [
            ("bedrock-runtime.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("vpce-0a1b-2c3d.bedrock-runtime.ap-south-1.vpce.amazonaws.com", Some("ap-south-1")),
            ("bedrock.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(of_host(host), region, "{host}");
        }
    }

    /// Signed for one host and priced by another, a call would cost what it does not.
    #[test]
    fn the_host_that_a_call_goes_to_decides() {
        let mut call = super::super::testkit::call("bedrock", "/model/amazon.nova-pro-v1%3A0/converse");
        let body = r#"{"messages":[],"inferenceConfig":{"maxTokens":9}}"#;
        let mut other = call.vendor.hosts[0].clone();
        other.base.host = "bedrock-runtime.eu-west-2.amazonaws.com".into();
        call.vendor.hosts[0].base.host = "bedrock-runtime.us-east-1.amazonaws.com".into();
        call.vendor.hosts.push(other);
        let region = |at: usize| {
            let host = call.vendor.hosts[at].base.host.clone();
            call.with(body, |ask| Ask { host: &host, ..*ask }.region().map(str::to_owned)).expect("readable")
        };
        assert_eq!((region(0).as_deref(), region(1).as_deref()), (Some("us-east-1"), Some("eu-west-2")));
    }

    #[test]
    fn the_callers_region_stands_in_its_scope() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a value");
            of_signature(&HeaderMap::from_iter([(header::AUTHORIZATION, value)])).map(str::to_owned)
        };
        let scope = "AWS4-HMAC-SHA256 Credential=vk_1/20261121/eu-west-3/bedrock/aws4_request, SignedHeaders=host";
        assert_eq!(of(scope).as_deref(), Some("eu-west-3"));
        for none in ["Bearer x", "AWS4-HMAC-SHA256 Credential=vk_1", "AWS4-HMAC-SHA256 Credential=a/b/c d/e"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
