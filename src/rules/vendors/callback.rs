//! What vendors send by themselves when a call is over, and what their signature is over. Checks no signature: that takes the
//! credential, which only the vault has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use serde::Deserialize;

use crate::rules::form::Form;

/// Whose way of calling back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Callback {
    /// `X-Twilio-Signature`: HMAC-SHA1 by the auth token over the address and the form's fields, sorted by name.
    Twilio,
}

/// A callback that is to be believed if its signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What the signature is over.
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// The thing that it speaks of, as the vendor names it.
    pub object: String,
}

/// Fields that name it.
const OBJECTS: [&str; 3] = ["MessageSid", "CallSid", "SmsSid"];

impl Callback {
    /// The header with the signature.
    pub fn header(self) -> &'static str {
        match self {
            Self::Twilio => "x-twilio-signature",
        }
    }

    /// `None` if it is no such callback, whatever signed it.
    pub fn signed(self, url: &str, kind: Option<&str>, form: &[u8], signature: Option<&str>) -> Option<Signed> {
        let kind = kind?.split(';').next()?.trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        let form = Form::read(form).ok()?;
        let mut fields = Vec::new();
        for field in form.root().children() {
            // A field that is given twice, or has parts, has more than one reading.
            fields.push((field.key(), field.text().filter(|_| !field.is_unclear() && !field.clashes())?));
        }
        fields.sort_unstable();
        let named = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let object = OBJECTS.into_iter().find_map(named).filter(|id| super::look_up::is_plain_id(id))?.to_owned();
        let mut message = url.as_bytes().to_vec();
        fields.iter().for_each(|(key, value)| message.extend([key.as_bytes(), value.as_bytes()].concat()));
        Some(Signed { message, signature: STANDARD.decode(signature?.trim()).ok()?, object })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's own example: the address and then each field, without anything between.
    #[test]
    fn the_signature_is_over_the_address_and_the_sorted_fields() {
        let form = b"Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B14158675310&From=%2B14158675310";
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        let kind = Some("application/x-www-form-urlencoded; charset=UTF-8");
        let told = Callback::Twilio.signed(url, kind, form, Some("L/OH5YylLD5NRKLltdqwSvS0BnU=")).expect("a callback");
        let message = "https://example.com/myapp.php?foo=1&bar=2CallSidCA1234567890ABCDECaller+14158675310Digits1234From+14158675310To+18005551212";
        assert_eq!((told.object.as_str(), told.message.as_slice()), ("CA1234567890ABCDE", message.as_bytes()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"12345");
        ring::hmac::verify(&key, &told.message, &told.signature).expect("the vendor's example");
        for (kind, form, signature) in [
            (None, form.as_slice(), Some("AAAA")),
            (Some("application/json"), form, Some("AAAA")),
            (kind, form, None),
            (kind, form, Some("no base64!")),
            (kind, b"CallSid=CA1&CallSid=CA2", Some("AAAA")),
            (kind, b"CallSid[x]=CA1", Some("AAAA")),
            (kind, b"CallSid=..%2Fother", Some("AAAA")),
            (kind, b"Digits=1", Some("AAAA")),
        ] {
            assert_eq!(
                Callback::Twilio.signed(url, kind, form, signature),
                None,
                "{:?}",
                String::from_utf8_lossy(form)
            );
        }
    }
}
