//! Rows under conditions that no index knows: walks what the store finds by its own filters, newest first, and keeps what
//! matches. One answer takes bounded time; a page that ends early says where the next one begins.

use std::time::{Duration, Instant};

use super::query::MAX_LIMIT;
use super::{AuditError, AuditStore, CallPage, CallQuery, CallRow};

/// How long one answer may look.
const LOOK: Duration = Duration::from_secs(2);

impl CallQuery {
    /// Is there more to it than stores filter by themselves?
    pub(super) fn has_more(&self) -> bool {
        self.call.is_some() || !self.wheres.is_empty()
    }

    /// What a store may have passed over, if it does not know the filter.
    pub(super) fn takes(&self, row: &CallRow) -> bool {
        self.call.is_none_or(|call| call == row.call_id) && self.wheres.hold(row)
    }
}

/// One page of rows that match. It may have fewer rows than asked for, or none, and still a `next`.
pub fn find(store: &dyn AuditStore, query: &CallQuery) -> Result<CallPage, AuditError> {
    if !query.has_more() {
        return store.calls(query);
    }
    let (want, end) = (query.rows(), Instant::now() + LOOK);
    let mut plain = CallQuery { limit: Some(MAX_LIMIT), ..query.clone() };
    let mut calls = Vec::new();
    loop {
        let page = store.calls(&plain)?;
        for row in page.calls.into_iter().filter(|row| query.takes(row)) {
            let seq = row.seq;
            calls.push(row);
            if calls.len() == want {
                return Ok(CallPage { calls, next: Some(seq) });
            }
        }
        plain.before = page.next;
        if page.next.is_none() || Instant::now() > end {
            return Ok(CallPage { calls, next: page.next });
        }
    }
}
