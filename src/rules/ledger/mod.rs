//! The ledger as pure values: accounts and their shapes, what a call needs, what is asked and answered, the journal's
//! entries, and `book`, the whole ledger as one state machine. No IO: `adapters::ledger` drives it.

pub mod account;
pub mod ask;
pub mod book;
pub mod entry;
pub mod need;
