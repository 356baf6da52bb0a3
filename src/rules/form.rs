//! Forms and query strings as a tree: `items[0][price]=x` stands at `items`, `0`, `price`.
//!
//! Every pair is kept. Where two readers could differ on which pair wins, or on what a bracket means, the tree says that
//! the place clashes, and `args` refuses a look-up there; a clash that nobody asks about does no harm. `tree` builds the
//! tree, this file reads the text. Whether a rule is met is `policy`'s business.

#[cfg(test)]
mod tests;
mod tree;

pub use tree::{FieldRef, Form};

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::ops::Range;

/// How many brackets a name may have.
pub const MAX_DEPTH: usize = 32;

/// Why a text is not a form that every reader reads alike, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct FormError {
    /// What is wrong.
    pub problem: FormProblem,
    /// Where the wrong name or value begins, counted in bytes from 0.
    pub offset: usize,
}

/// The ways in which a form can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormProblem {
    /// Bytes that are not UTF-8, plain or decoded.
    #[error("text that is not UTF-8")]
    NotUtf8,
    /// `%` without two hex digits.
    #[error("a `%` without two hex digits")]
    BadPercent,
    /// A plain `;`: some readers split pairs there.
    #[error("a plain `;` (send `%3B`)")]
    Semicolon,
    /// A plain control byte, or any control character in a name.
    #[error("a control byte")]
    Control,
    /// White space around a name or a part of it: some readers cut it off.
    #[error("a name that begins or ends in white space")]
    Space,
    /// Brackets that do not pair, or something behind them.
    #[error("a name whose brackets do not pair")]
    Brackets,
    /// More than `MAX_DEPTH` brackets.
    #[error("a name with too many brackets")]
    TooDeep,
}

impl<'a> Form<'a> {
    /// Reads a query string or a form body.
    pub fn read(body: &'a [u8]) -> Result<Form<'a>, FormError> {
        let text = std::str::from_utf8(body)
            .map_err(|error| FormError { problem: FormProblem::NotUtf8, offset: error.valid_up_to() })?;
        let mut pairs = Pairs::default();
        let mut offset = 0;
        for pair in text.split('&') {
            if !pair.is_empty() {
                pairs.add(pair, offset)?;
            }
            offset += pair.len() + 1;
        }
        Ok(tree::build(pairs))
    }
}

/// One step of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part<'a> {
    text: Cow<'a, str>,
    /// `[]`: the next element of a list.
    append: bool,
}

/// All pairs, in the order of the text; the names' parts lie in one list.
#[derive(Debug, Default)]
struct Pairs<'a> {
    parts: Vec<Part<'a>>,
    pairs: Vec<(Range<usize>, Cow<'a, str>)>,
}

impl<'a> Pairs<'a> {
    fn add(&mut self, pair: &'a str, offset: usize) -> Result<(), FormError> {
        let at = |offset| move |problem| FormError { problem, offset };
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let first = self.parts.len();
        match decoded(name).map_err(at(offset))? {
            Cow::Borrowed(name) => self.split(name, Cow::Borrowed),
            Cow::Owned(name) => self.split(&name, |part| Cow::Owned(part.to_owned())),
        }
        .map_err(at(offset))?;
        let value = decoded(value).map_err(at(offset + name.len() + 1))?;
        self.pairs.push((first..self.parts.len(), value));
        Ok(())
    }

    /// Splits `a[b][]` into its parts.
    fn split<'n>(&mut self, name: &'n str, keep: impl Fn(&'n str) -> Cow<'a, str>) -> Result<(), FormProblem> {
        let (head, mut rest) = name.split_at(name.find(['[', ']']).unwrap_or(name.len()));
        // `[a]=1` has no name before its bracket, and every reader invents another one.
        if head.is_empty() && !rest.is_empty() {
            return Err(FormProblem::Brackets);
        }
        self.push(keep(checked(head)?), false);
        for depth in 0.. {
            if rest.is_empty() {
                break;
            }
            if depth == MAX_DEPTH {
                return Err(FormProblem::TooDeep);
            }
            let (inner, behind) = bracketed(rest)?;
            self.push(keep(checked(inner)?), inner.is_empty());
            rest = behind;
        }
        Ok(())
    }

    fn push(&mut self, text: Cow<'a, str>, append: bool) {
        self.parts.push(Part { text, append });
    }
}

/// What is in the first pair of brackets, and what stands behind it.
fn bracketed(rest: &str) -> Result<(&str, &str), FormProblem> {
    let inside = rest.strip_prefix('[').ok_or(FormProblem::Brackets)?;
    let (inner, behind) = inside.split_once(']').ok_or(FormProblem::Brackets)?;
    match inner.contains('[') {
        true => Err(FormProblem::Brackets),
        false => Ok((inner, behind)),
    }
}

/// A part of a name that no reader trims or cuts short.
fn checked(part: &str) -> Result<&str, FormProblem> {
    if part.contains(char::is_control) {
        return Err(FormProblem::Control);
    }
    match part.trim() == part {
        true => Ok(part),
        false => Err(FormProblem::Space),
    }
}

/// `+` and `%XX` undone, once; borrowed where there are none.
fn decoded(raw: &str) -> Result<Cow<'_, str>, FormProblem> {
    let (mut plus, mut percent) = (false, false);
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            b'+' => plus = true,
            b'%' if !is_triplet(&raw.as_bytes()[at + 1..]) => return Err(FormProblem::BadPercent),
            b'%' => percent = true,
            b';' => return Err(FormProblem::Semicolon),
            0..=0x1f | 0x7f => return Err(FormProblem::Control),
            _ => {}
        }
    }
    match (plus, percent) {
        (false, false) => Ok(Cow::Borrowed(raw)),
        (false, true) => percent_decoded(raw),
        (true, _) => Ok(Cow::Owned(percent_decoded(&raw.replace('+', " "))?.into_owned())),
    }
}

fn percent_decoded(raw: &str) -> Result<Cow<'_, str>, FormProblem> {
    percent_decode_str(raw).decode_utf8().map_err(|_| FormProblem::NotUtf8)
}

fn is_triplet(rest: &[u8]) -> bool {
    matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}
