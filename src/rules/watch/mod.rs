//! What switches count on: the spend of a while against its usual, refusals, the same request again, tries that fail again, and
//! what answers hold (`scan`). Pure states: given a sign and a moment, each says whether it is too much, and how much that was.
//! Holds no table of them, and turns nothing off: the gateway does the one, `control` the other.

mod recent;
mod same;
pub mod scan;
mod state;
mod usual;

pub use recent::Recent;
pub use same::{Retries, Same};
pub use state::{Sign, State, Trigger};
pub use usual::{Pace, Usual};
