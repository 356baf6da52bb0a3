//! The ledger as pure values: accounts and their shapes, what a call needs, what is asked and answered, the journal's
//! entries, `book`, the whole ledger as one state machine, `rates`, how fast calls may come, and `slices`, what one node of a
//! fleet may spend alone. No IO: `adapters::ledger` drives it.

pub mod account;
pub mod ask;
pub mod book;
pub mod entry;
pub mod need;
pub mod rates;
pub mod slices;
