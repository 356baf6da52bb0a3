//! Floor 2: each module knows one outside thing (a disk, a store, a socket, a clock). `gateway` comes next.

pub mod approvals;
pub mod audit;
pub mod bridge;
pub mod captures;
pub mod fleet;
pub mod keyring;
pub mod ledger;
pub mod people;
pub mod policy_store;
pub mod price_store;
pub mod remembered;
pub mod sandbox;
pub mod sinks;
pub mod small_db;
pub mod switchboard;
pub mod upstream;
pub mod vault;
