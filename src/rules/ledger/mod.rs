//! The ledger as pure values: accounts and their shapes, what a call needs, what is asked and answered, the journal's
//! entries, `book`, the whole ledger as one state machine, and `slices`, what one node of a fleet may spend alone. No IO: `adapters::ledger` drives it.

pub mod account;
pub mod ask;
pub mod book;
pub mod entry;
pub mod need;
pub mod slices;
