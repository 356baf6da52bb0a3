//! Events as signed webhooks, after the Standard Webhooks specification, so that receivers have a library in every language:
//! `webhook-id` names the delivery and stays the same when it is repeated, `webhook-timestamp` and the body are signed with it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::post::{Poster, secret};
use super::{Failed, Taken};
use crate::adapters::audit::Event;
use crate::config::{CredentialSource, SinkUrl};
use crate::units::time::Timestamp;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// Who signs with less can be guessed.
const LEAST_SECRET: usize = 16;

/// One receiver. Also of what is no event: requests for approval.
pub struct Webhook {
    name: String,
    poster: Poster,
    secret: CredentialSource,
}

impl Webhook {
    pub fn new(name: &str, url: &SinkUrl, source: &CredentialSource) -> Result<Self, String> {
        key(&secret(source)?)?;
        Ok(Self { name: name.to_owned(), poster: Poster::new(url)?, secret: source.clone() })
    }

    pub(super) async fn deliver(&self, events: &[Event]) -> Result<Taken, Failed> {
        let (id, body) = (id(&self.name, events), body(&self.name, events));
        self.signed(id, body).await.map(|()| Taken::default())
    }

    /// One message of our own; `id` stays the same when it is repeated.
    pub async fn tell(&self, id: String, body: String) -> Result<(), String> {
        self.signed(id, body).await.map_err(|failed| failed.why)
    }

    async fn signed(&self, id: String, body: String) -> Result<(), Failed> {
        let key = key(&secret(&self.secret)?)?;
        let seconds = (Timestamp::now().0 / 1_000_000).to_string();
        let signature = sign(&key, &id, &seconds, body.as_bytes())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bursar/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in [(ID, id), (TIMESTAMP, seconds), (SIGNATURE, signature)] {
            headers.insert(name, HeaderValue::try_from(value).map_err(|e| e.to_string())?);
        }
        self.poster.post(headers, Bytes::from(body)).await.map(drop)
    }
}

/// `whsec_` and base64, as the specification has it; any other text is the key itself.
fn key(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let key = match text.strip_prefix("whsec_") {
        Some(coded) => STANDARD.decode(coded).map_err(|_| "its secret is no base64 after `whsec_`".to_owned())?,
        None => text.as_bytes().to_vec(),
    };
    let key = Zeroizing::new(key);
    if key.len() < LEAST_SECRET {
        return Err(format!("its secret is shorter than {LEAST_SECRET} bytes"));
    }
    Ok(key)
}

fn sign(key: &[u8], id: &str, seconds: &str, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| e.to_string())?;
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn ends(events: &[Event]) -> (u64, u64) {
    (events.first().map_or(0, |e| e.seq), events.last().map_or(0, |e| e.seq))
}

fn id(name: &str, events: &[Event]) -> String {
    let (first, last) = ends(events);
    format!("{name}-{first}-{last}")
}

/// The events are JSON already.
fn body(name: &str, events: &[Event]) -> String {
    let (first, last) = ends(events);
    let at = events.last().map_or(Timestamp(0), |e| e.at);
    let mut text = format!(
        r#"{{"type":"bursar.events","timestamp":"{at}","data":{{"sink":"{name}","first":{first},"last":{last},"events":["#
    );
    for (n, event) in events.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{}", if n == 0 { "" } else { "," }, event.body);
    }
    text.push_str("]}}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_specifications_own_example() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signed = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_delivery_is_one_json_object_and_keeps_its_id() {
        let event = |seq: u64| Event {
            seq,
            at: Timestamp(1_790_000_000_000_000),
            kind: None,
            call: None,
            body: format!("{{\"seq\":{seq}}}"),
        };
        let events = [event(3), event(5)];
        assert_eq!(id("hook", &events), "hook-3-5");
        let said: serde_json::Value = serde_json::from_str(&body("hook", &events)).expect("JSON");
        assert_eq!((&said["data"]["events"][1]["seq"], &said["data"]["last"]), (&5.into(), &5.into()));
        assert!(key("hunter2").is_err() && key("whsec_!").is_err());
    }
}
