//! The postings of calls that ask for the very same lines: made once, and shared by all their holds while no window begins
//! anew. A memory alone: nothing that is decided or replayed depends on it.

use std::sync::Arc;

use super::fit::View;
use crate::rules::ledger::ask::Line;
use crate::rules::ledger::entry::Posting;
use crate::units::table::Table;

/// How many are kept.
const MOST: usize = 1024;

/// By the place of the lines, which are kept with them, so that no others can lie there.
#[derive(Clone, Debug, Default)]
pub(super) struct Posted(Table<usize, Kept>);

#[derive(Clone, Debug)]
struct Kept {
    _lines: Arc<[Line]>,
    postings: Arc<[Posting]>,
}

impl Posted {
    /// What was posted for these lines, if it is one posting for each and all windows are still the same.
    pub(super) fn get(&self, lines: &Arc<[Line]>, views: &[View<'_>]) -> Option<Arc<[Posting]>> {
        let Kept { postings, .. } = self.0.get(&place(lines))?;
        let same = |(posting, view): (&Posting, &View<'_>)| posting.start == view.cell.start;
        let fits = postings.len() == views.len() && postings.iter().zip(views).all(same);
        fits.then(|| postings.clone())
    }

    pub(super) fn keep(&mut self, lines: &Arc<[Line]>, postings: &Arc<[Posting]>) {
        let known = self.0.get(&place(lines)).is_some_and(|kept| Arc::ptr_eq(&kept.postings, postings));
        if known || postings.len() != lines.len() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(place(lines), Kept { _lines: lines.clone(), postings: postings.clone() });
    }
}

fn place(lines: &Arc<[Line]>) -> usize {
    lines.as_ptr().addr()
}
