//! Configuration: files to checked values, with all mistakes at once, each with file, line and field. Floor 1, beside `rules`;
//! the stores and the gateway only ever see what came out of here.
//!
//! `raw` is a TOML tree that knows its lines, `file` reads `bursar.toml` from it, `ledger` and `vendors` its larger tables, `evidence`
//! how the books are signed, `sinks` what follows them, `approvers` who is asked, `egress` where vendors may be, `redis` the address of one, `checked` is what the rest sees. `load`
//! puts flags, environment, file and defaults in their order. `policy_file` reads one policy, `policy_tests` a table of requests beside it,
//! `schema_file` a JSON Schema.

mod approvers;
mod checked;
mod egress;
pub mod evidence;
mod file;
mod ledger;
mod load;
mod mistake;
pub mod policy_file;
pub mod policy_tests;
mod privacy;
mod raw;
pub mod redis;
pub mod schema_file;
pub mod sinks;
pub mod size;
pub mod vendors;

pub use approvers::{Approver, Approvers};
pub use checked::{
    Audit, AuditStore, Config, Credential, CredentialSource, Durability, Ledger, LedgerStore, Limits, Prices, RedisUrl,
    Server, Timeouts, Tls,
};
pub use egress::Egress;
pub use file::{parse_address, read};
pub use load::{Flags, load};
pub use mistake::{Mistake, Mistakes};
pub use privacy::Privacy;
pub use sinks::{Sink, SinkStart, SinkTarget, SinkUrl};

/// What `bursar config default` prints.
pub const DEFAULT: &str = include_str!("default.toml");

#[cfg(test)]
mod tests;
