//! A captured body as the admin API gives it. Values alone.

use serde::{Deserialize, Serialize};

use super::{Captured, Part};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyRequest {
    pub call: CallId,
    pub part: Part,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Text where it is text, hex where it is none.
#[derive(Clone, Serialize, Deserialize)]
pub struct BodyView {
    pub call_id: CallId,
    pub part: Part,
    pub timestamp_utc: Timestamp,
    pub kept_until: Timestamp,
    pub whole: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

impl From<Captured> for BodyView {
    fn from(c: Captured) -> Self {
        let (text, hex) = match String::from_utf8(c.bytes) {
            Ok(text) => (Some(text), None),
            Err(e) => (None, Some(e.as_bytes().iter().map(|b| format!("{b:02x}")).collect())),
        };
        Self { call_id: c.call, part: c.part, timestamp_utc: c.at, kept_until: c.until, whole: c.whole, text, hex }
    }
}

impl BodyView {
    /// The bytes as they were; `None` if the hex is none.
    pub fn bytes(self) -> Option<Vec<u8>> {
        let Some(hex) = self.hex else { return self.text.map(String::into_bytes) };
        let pair = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(pair).collect()
    }
}
