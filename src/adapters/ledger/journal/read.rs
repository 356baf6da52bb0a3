//! Reading what is written: from memory if it is recent, else from the segments. Readers follow by sequence number.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::sync::Arc;

use super::frame::{self, Next};
use super::record::Record;
use super::{Core, JournalError, segment};
use crate::units::ids::Seq;

/// Where an entry's frame stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    seq: Seq,
    segment: Seq,
    offset: u64,
}

impl Core {
    pub(super) fn read_from(&self, seq: Seq, max: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        let seq = seq.max(1);
        let durable = *self.durable.borrow();
        if seq > durable {
            return Ok(Vec::new());
        }
        if let Some(found) = self.recent(seq, durable, max) {
            return Ok(found);
        }
        self.read_files(seq, durable, max)
    }

    /// `None` if the first of them is not in memory any more.
    fn recent(&self, seq: Seq, durable: Seq, max: usize) -> Option<Vec<Arc<Record>>> {
        let inner = self.inner.lock();
        let oldest = inner.recent.front()?.seq;
        let skip = usize::try_from(seq.checked_sub(oldest)?).ok()?;
        Some(inner.recent.iter().skip(skip).take_while(|r| r.seq <= durable).take(max).cloned().collect())
    }

    fn read_files(&self, seq: Seq, durable: Seq, max: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        let mut place = match self.place.lock().filter(|p| p.seq == seq) {
            Some(place) => place,
            None => {
                let segment = segment::holding(&self.dir, seq)?;
                Place { seq: segment, segment, offset: 0 }
            }
        };
        let mut found = Vec::new();
        while found.len() < max && place.seq <= durable {
            let before = place;
            self.read_segment(&mut place, seq, durable, max, &mut found)?;
            if place.seq > durable || found.len() >= max {
                break;
            }
            // The segment is read to its end. The next one begins with the entry that is wanted now.
            let next = segment::holding(&self.dir, place.seq)?;
            if next == before.segment {
                break;
            }
            place = Place { seq: place.seq, segment: next, offset: 0 };
        }
        *self.place.lock() = Some(place);
        Ok(found)
    }

    fn read_segment(
        &self,
        place: &mut Place,
        seq: Seq,
        durable: Seq,
        max: usize,
        found: &mut Vec<Arc<Record>>,
    ) -> Result<(), JournalError> {
        let path = segment::path(&self.dir, place.segment);
        let mut file = BufReader::new(File::open(&path).map_err(JournalError::io(&path))?);
        file.seek(SeekFrom::Start(place.offset)).map_err(JournalError::io(&path))?;
        while found.len() < max && place.seq <= durable {
            let body = match frame::next(&mut file).map_err(JournalError::io(&path))? {
                Next::End => return Ok(()),
                Next::Bad(what) => {
                    return Err(JournalError::Damaged { path, offset: place.offset, what: what.to_owned() });
                }
                Next::Body(body) => body,
            };
            let records = segment::records(&path, place.offset, &body)?;
            place.seq += records.len() as Seq;
            place.offset += (frame::HEADER + body.len()) as u64;
            found.extend(records.into_iter().filter(|r| r.seq >= seq).map(Arc::new));
        }
        Ok(())
    }
}
