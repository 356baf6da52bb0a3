//! Reads a damaged journal: every whole frame, also behind the damage, and where the damage is. Changes nothing.

use std::path::Path;

use super::frame::{self, Next};
use super::record::Record;
use super::{JournalError, segment};
use crate::units::ids::Seq;

/// Hands over every entry after `from` that is still whole, in rising order. Gives the places that are damaged, in words.
pub fn salvage<E: From<JournalError>>(
    dir: &Path,
    from: Seq,
    each: &mut dyn FnMut(Record) -> Result<(), E>,
) -> Result<Vec<String>, E> {
    let (mut last, mut damaged) = (from, Vec::new());
    if !dir.exists() {
        return Ok(damaged);
    }
    for first in segment::list(dir)? {
        let path = segment::path(dir, first);
        let bytes = std::fs::read(&path).map_err(JournalError::io(&path))?;
        let mut offset = 0;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let body = match frame::next(&mut &*rest).map_err(JournalError::io(&path))? {
                Next::End => break,
                Next::Body(body) => body,
                Next::Bad(what) => {
                    damaged.push(format!("{} at byte {offset}: {what}", path.display()));
                    let Some(skip) = frame::first_whole(rest) else { break };
                    offset += skip;
                    continue;
                }
            };
            offset += frame::HEADER + body.len();
            for line in segment::lines(&body) {
                // A line that is no entry is damage of another kind: its checksum is right, so it was written so.
                let Ok(record) = Record::decode(line) else {
                    damaged.push(format!("{} before byte {offset}: no entry", path.display()));
                    continue;
                };
                if record.seq > last {
                    last = record.seq;
                    each(record)?;
                }
            }
        }
    }
    Ok(damaged)
}
