//! A body that is gathered piece by piece, up to a size, and kept at its end.

use std::sync::Arc;

use super::{CaptureError, Captured, Captures, Part};
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

pub struct Taking {
    captures: Arc<Captures>,
    captured: Captured,
    most: usize,
}

impl Taking {
    /// Of one call: at most so many bytes, kept until then.
    pub fn new(captures: Arc<Captures>, call: CallId, part: Part, until: Timestamp, most: usize) -> Self {
        let captured = Captured { call, part, at: Timestamp::now(), until, bytes: Vec::new(), whole: true };
        Self { captures, captured, most }
    }

    pub fn push(&mut self, piece: &[u8]) {
        let room = self.most.saturating_sub(self.captured.bytes.len());
        self.captured.whole &= piece.len() <= room;
        self.captured.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// It broke off.
    pub fn cut(&mut self) {
        self.captured.whole = false;
    }

    /// Nothing is kept of a body that is empty.
    pub async fn keep(self) -> Result<(), CaptureError> {
        let Self { captures, captured, .. } = self;
        if captured.bytes.is_empty() {
            return Ok(());
        }
        let kept = tokio::task::spawn_blocking(move || captures.keep(captured)).await;
        kept.map_err(|e| super::said(e.to_string()))?
    }
}
