//! The operations of the trait on the embedded ledger: each decides under the lock, and answers once its entry is written.

use super::Embedded;
use crate::adapters::ledger::{Answer, Ledger, LedgerError, Wake};
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::Shape;
use crate::rules::ledger::ask::{AccountState, Checked, Correct, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::entry::Op;
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

impl Ledger for Embedded {
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation> {
        Box::pin(self.reserve_durably(ask))
    }

    fn resize(&self, hold: CallId, step: u32, amounts: Amounts) -> Answer<'_, Reservation> {
        Box::pin(async move {
            let (answer, seq) = self.step(hold, |book| {
                let (answer, op) = book.resize(Timestamp::now(), hold, step, amounts)?;
                Ok((answer, [op, None]))
            })?;
            self.durably(seq).await.map(|()| answer)
        })
    }

    fn renew(&self, hold: CallId) -> Answer<'_, ()> {
        let renewed = self.book.lock().renew(Timestamp::now(), hold).map_err(|e| LedgerError::Hold(hold, e));
        Box::pin(std::future::ready(renewed))
    }

    fn settle(&self, settle: Settle) -> Answer<'_, Settled> {
        Box::pin(async move {
            let (settled, seq) = self.settle_now(settle)?;
            self.durably(seq).await.map(|()| settled)
        })
    }

    fn adjust(&self, hold: CallId, step: u32, charge: Amounts, exact: bool, act: Act) -> Answer<'_, ()> {
        Box::pin(async move {
            let now = Timestamp::now();
            let ((), seq) = self.step(hold, |book| Ok(((), book.adjust(now, hold, step, charge, exact, act)?)))?;
            self.durably(seq).await
        })
    }

    fn correct(&self, ask: Correct) -> Answer<'_, Seq> {
        Box::pin(async move {
            let ((), seq) = self.step(ask.hold, |book| Ok(((), book.correct(Timestamp::now(), ask)?)))?;
            self.durably(seq).await?;
            Ok(seq.unwrap_or_default())
        })
    }

    fn check(&self) -> Answer<'_, Checked> {
        Box::pin(async move { self.off_thread(Self::check_now).await? })
    }

    fn deny(&self, row: Opening) -> Answer<'_, Seq> {
        self.plain(Op::Deny { row: Box::new(row) }, false)
    }

    fn control(&self, control: Control) -> Answer<'_, Seq> {
        self.plain(Op::Control { control }, true)
    }

    fn declare(&self, shapes: Vec<Shape>) -> Answer<'_, ()> {
        Box::pin(async move {
            let seq = self.off_thread(|ledger| ledger.declare_now(shapes)).await??;
            self.durably(seq).await
        })
    }

    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        let states = self.book.lock().accounts(Timestamp::now(), &names);
        Box::pin(std::future::ready(Ok(states)))
    }

    fn settle_later(&self, settle: Settle) {
        let hold = settle.hold;
        match self.settle_now(settle) {
            Ok(_) => {}
            // The hold was never taken, or has ended: nothing is owed.
            Err(LedgerError::Hold(..)) => tracing::debug!(call = %hold, "there was no hold to end"),
            Err(error) => {
                tracing::error!(call = %hold, %error, "a hold could not be ended; its lease will charge it in full")
            }
        }
    }

    fn on_freed(&self, wake: Wake) {
        // One listener; a second one would be a mistake in the wiring, and the first stays.
        let _ = self.wake.set(wake);
    }

    fn trouble(&self) -> Option<String> {
        self.journal.trouble().or_else(|| self.backlog.full(self.journal.durable()))
    }

    fn refused_behind(&self) -> u64 {
        self.backlog.refused()
    }

    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let seq = self.book.lock().seq();
            self.durably(Some(seq)).await?;
            self.off_thread(|ledger| ledger.take_snapshot()).await
        })
    }
}
