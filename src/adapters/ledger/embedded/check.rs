//! The embedded ledger beside the books, shape by shape. Blocks: the books are asked for sums.

use std::time::Instant;

use super::{Embedded, PATIENCE, RETRY};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::Checked;
use crate::units::time::Timestamp;

/// Calls that are named at most.
const MOST: usize = 10_000;

impl Embedded {
    pub(super) fn check_now(&self) -> Result<Checked, LedgerError> {
        let shapes = self.book.lock().shapes().to_vec();
        let mut found = Checked::default();
        for shape in shapes {
            self.check_shape(&shape, &mut found)?;
        }
        let book = self.book.lock();
        found.upto = book.seq();
        if !found.differences.is_empty() {
            book.remembered_on(&mut found, MOST);
        }
        Ok(found)
    }

    /// The books may lag behind what the book remembers; then they are asked again, a little later.
    fn check_shape(&self, shape: &Shape, found: &mut Checked) -> Result<(), LedgerError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let sums = self.sums(shape)?;
            if self.book.lock().check(Timestamp::now(), shape, sums, found).is_some() {
                return Ok(());
            }
            if Instant::now() > give_up {
                return Err(LedgerError::Down("the books lag too far behind to be compared".to_owned()));
            }
            std::thread::sleep(RETRY);
        }
    }
}
