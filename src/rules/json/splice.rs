//! Changing a body without rewriting it: each edit replaces or adds one value, and all other bytes stay as they came.

use super::{Document, Kind, NodeRef};
use std::ops::Range;

/// One change, named by JSON Pointer. Values are JSON text that the caller of this answers for.
#[derive(Debug, Clone, Copy)]
pub enum Edit<'e> {
    /// Puts other bytes in the place of a value that is there.
    Replace {
        /// The value's pointer.
        pointer: &'e str,
        /// What stands there afterwards.
        value: &'e str,
    },
    /// Adds a member to an object, in front of the others.
    Insert {
        /// The object's pointer; empty for the root.
        object: &'e str,
        /// The member's name, plain (it is escaped here). The object must not have it yet.
        name: &'e str,
        /// The member's value.
        value: &'e str,
    },
}

/// Why nothing was changed. It means a mistake of ours, not of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// There is nothing at this pointer.
    #[error("no value at `{0}`")]
    Missing(String),
    /// What should take a member is no object.
    #[error("the value at `{0}` is not an object")]
    NotAnObject(String),
    /// The member is there already, or is added twice.
    #[error("`{0}` is there already")]
    Exists(String),
    /// Two edits touch the same bytes.
    #[error("two edits overlap")]
    Overlap,
}

/// Which bytes give way to which.
struct Cut {
    range: Range<usize>,
    bytes: String,
    /// A member was put in front of others.
    comma: bool,
}

pub(super) fn splice(doc: &Document<'_>, edits: &[Edit<'_>]) -> Result<Vec<u8>, SpliceError> {
    refuse_same_name(edits)?;
    let cuts = edits.iter().map(|edit| cut(doc, edit));
    let mut cuts = cuts.collect::<Result<Vec<_>, _>>()?;
    // Stable: members that are inserted into one object keep the order in which they were asked for.
    cuts.sort_by_key(|cut| (cut.range.start, cut.range.end));
    let mut out = Vec::with_capacity(doc.body().len() + 64 * edits.len());
    let mut done = 0;
    for (index, cut) in cuts.iter().enumerate() {
        if cut.range.start < done {
            return Err(SpliceError::Overlap);
        }
        out.extend_from_slice(&doc.body()[done..cut.range.start]);
        out.extend_from_slice(cut.bytes.as_bytes());
        let joined = cuts.get(index + 1).is_some_and(|next| next.range == cut.range);
        if cut.comma || (joined && cut.range.is_empty()) {
            out.push(b',');
        }
        done = cut.range.end;
    }
    out.extend_from_slice(&doc.body()[done..]);
    Ok(out)
}

fn cut(doc: &Document<'_>, edit: &Edit<'_>) -> Result<Cut, SpliceError> {
    let find = |pointer: &str| {
        let missing = || SpliceError::Missing(pointer.to_owned());
        doc.pointer(pointer).ok_or_else(missing)
    };
    match *edit {
        Edit::Replace { pointer, value } => {
            Ok(Cut { range: find(pointer)?.span(), bytes: value.to_owned(), comma: false })
        }
        Edit::Insert { object, name, value } => {
            let bytes = format!("{}:{value}", quoted(name));
            insertion(find(object)?, object, name, bytes)
        }
    }
}

fn insertion(object: NodeRef<'_>, pointer: &str, name: &str, bytes: String) -> Result<Cut, SpliceError> {
    if !matches!(object.kind(), Kind::Object) {
        return Err(SpliceError::NotAnObject(pointer.to_owned()));
    }
    if object.member(name).is_some() {
        return Err(SpliceError::Exists(name.to_owned()));
    }
    let inside = object.span().start + 1;
    Ok(Cut { range: inside..inside, bytes, comma: object.children().next().is_some() })
}

/// Two new members of one name would make the very duplicate that the reader refuses.
fn refuse_same_name(edits: &[Edit<'_>]) -> Result<(), SpliceError> {
    let target = |edit: &Edit<'_>| match *edit {
        Edit::Insert { object, name, .. } => Some((object.to_owned(), name.to_owned())),
        Edit::Replace { .. } => None,
    };
    let mut targets: Vec<_> = edits.iter().filter_map(target).collect();
    targets.sort_unstable();
    match targets.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(SpliceError::Exists(pair[1].1.clone())),
        None => Ok(()),
    }
}

/// A name as a JSON string.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
