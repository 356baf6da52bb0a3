//! Floor 1: pure decisions. Values in, values out: no IO, no clock, no randomness, no lock. `adapters` come next.

pub mod args;
pub mod books;
pub mod chain;
pub mod evidence;
pub mod form;
pub mod hours;
pub mod json;
pub mod ledger;
pub mod merkle;
pub mod multipart;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod price;
pub mod rehearsal;
pub mod schema;
pub mod subject;
pub mod vendors;
pub mod watch;
