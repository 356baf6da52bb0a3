//! The pieces of a line: members, texts, numbers, lists. Knows no entry.

use serde::Serialize;
use serde_json::Error;

use super::memo::Memo;
use crate::units::ids::{CallId, Digest32};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

pub(super) type Written = Result<(), Error>;

/// Where a line is put together. Members bring their own commas, all but the first of an object.
pub(super) struct Line<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) memo: &'o mut Memo,
}

impl Line<'_> {
    pub(super) fn list<T>(&mut self, all: &[T], each: impl Fn(&mut Self, &T) -> Written) -> Written {
        self.raw("[");
        for (i, one) in all.iter().enumerate() {
            self.raw(if i == 0 { "" } else { "," });
            each(self, one)?;
        }
        self.raw("]");
        Ok(())
    }

    pub(super) fn member(&mut self, name: &str) -> &mut Self {
        self.raw(",\"").raw(name).raw("\":")
    }

    /// A member that most entries do not have.
    pub(super) fn rare(&mut self, name: &str, value: Option<&impl Serialize>) -> Written {
        value.map_or(Ok(()), |value| self.member(name).serde(value))
    }

    pub(super) fn name(&mut self, name: &str, value: Option<&str>) -> Written {
        value.map_or(Ok(()), |value| self.member(name).text(value))
    }

    pub(super) fn hash(&mut self, name: &str, value: Option<&Digest32>) {
        if let Some(value) = value {
            self.member(name).raw("\"").bytes(&value.hex()).raw("\"");
        }
    }

    pub(super) fn call(&mut self, call: CallId) {
        self.word(call.text(&mut [0; CallId::TEXT]));
    }

    pub(super) fn time(&mut self, at: Timestamp) {
        match at.text(&mut [0; Timestamp::TEXT]) {
            Some(text) => self.word(text),
            None => self.word(&at.to_string()),
        }
    }

    pub(super) fn money(&mut self, money: MicroCents) {
        self.word(money.text(&mut [0; MicroCents::TEXT]));
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.raw(if flag { "true" } else { "false" });
    }

    pub(super) fn number(&mut self, number: u64) -> Written {
        self.serde(&number)
    }

    /// A text that needs no escapes.
    pub(super) fn word(&mut self, word: &str) {
        self.raw("\"").raw(word).raw("\"");
    }

    pub(super) fn text(&mut self, text: &str) -> Written {
        if is_plain(text) {
            self.word(text);
            return Ok(());
        }
        self.serde(text)
    }

    pub(super) fn serde(&mut self, value: &(impl Serialize + ?Sized)) -> Written {
        serde_json::to_writer(&mut *self.out, value)
    }

    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }
}

/// Without a branch for each byte, so that several are looked at together.
fn is_plain(text: &str) -> bool {
    let odd = |b: u8| u8::from(b < b' ') | u8::from(b == b'"') | u8::from(b == b'\\');
    text.bytes().fold(0, |found, b| found | odd(b)) == 0
}
