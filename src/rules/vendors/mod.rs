//! Vendors: a closed set of families, each entry of the catalogue belonging to one. An entry says where its hosts are, how a
//! credential is placed, which operations it has and how they are priced. Pure: it estimates and meters values that it is
//! given. `price` holds the rates; `gateway` moves the bytes.
//!
//! In the order of a call: `catalog` and `check` make a `Vendor`; `route` finds the operation; `ask` bounds the cost and
//! makes a `Plan`; `plan` says what to change in the request; `meter` reads the answer; `credential` swaps the keys.

pub mod ask;
pub mod batch;
mod callback;
pub mod catalog;
pub mod count;
pub mod credential;
pub mod declared;
pub mod frames;
pub mod meter;
pub mod objects;
pub mod plan;
pub mod raw;
pub mod region;
pub mod sse;
pub mod usage;

mod anthropic;
mod base;
mod bedrock;
#[cfg(test)]
mod bounds;
mod check;
mod cohere;
mod dialect;
mod entry;
#[cfg(test)]
mod fixtures;
mod google;
mod llm;
pub mod look_up;
mod openai;
mod route;
mod stripe;
mod table;
#[cfg(test)]
mod testkit;

pub use ask::{Ask, Counted, Estimate, FitRule, UnknownModel, Unpriceable};
pub use batch::{Due, Recalled};
pub use callback::{Callback, Signed};
pub use check::Mistake;
pub use dialect::Dialect;
pub use entry::{Adapter, Base, BodyKind, Envelope, Family, Host, Operation, Placement, Price, Vendor};
pub use llm::Running;
pub use meter::{End, Meter};
pub use openai::realtime;
pub use plan::{OwnedEdit, Plan};
pub use raw::RawVendor;
pub use route::Routed;
pub use stripe::{Class, Move, StripeRule, is_test_key};
pub use usage::{Charge, Left, Metered, Usage};
