//! New and old shapes on the embedded ledger: asks the books what a new one starts at, until they know enough.

use std::time::Instant;

use super::{Embedded, PATIENCE, RETRY};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::book::Sums;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

impl Embedded {
    /// Blocks: asks the books what was spent under each new shape.
    pub(super) fn declare_now(&self, shapes: Vec<Shape>) -> Result<Option<Seq>, LedgerError> {
        let _one = self.declaring.lock();
        let (new, gone) = self.book.lock().undeclared(&shapes);
        let mut last = None;
        for shape in gone {
            last = self.entry(|book| book.undeclare(shape))?;
        }
        for shape in new {
            last = Some(self.declare_one(&shape)?);
        }
        Ok(last)
    }

    /// The books may lag behind what the book remembers; then they are asked again, a little later.
    fn declare_one(&self, shape: &Shape) -> Result<Seq, LedgerError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let sums = self.sums(shape)?;
            let mut book = self.book.lock();
            if let Some(op) = book.declare(Timestamp::now(), shape.clone(), sums) {
                let seq = self.write(&mut book, [Some(op), None], false)?;
                return Ok(seq.unwrap_or_default());
            }
            drop(book);
            if Instant::now() > give_up {
                return Err(LedgerError::Down("the books lag too far behind to open a new budget".to_owned()));
            }
            std::thread::sleep(RETRY);
        }
    }

    pub(super) fn sums(&self, shape: &Shape) -> Result<Sums, LedgerError> {
        let start = shape.window.start(Timestamp::now().max(self.book.lock().now()));
        let sums = self.books.sums(shape, start).map_err(|e| LedgerError::Down(e.to_string()))?;
        let spent = sums.accounts.into_iter().map(|(account, sum)| (account, start, sum)).collect();
        Ok(Sums { upto: sums.upto, spent })
    }
}
