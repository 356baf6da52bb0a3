//! bursar: a reverse proxy in front of vendor APIs for AI agents. It holds the real credentials, decides every call before it
//! leaves, reserves its worst-case cost on an atomic ledger, forwards it, meters what it really cost, and writes the books.
//!
//! # One request
//!
//! ```text
//! caller    = identify(request)    vault key -> caller: subject, policies as they stand         401
//! routed    = route(caller)        vendor, canonical path, operation                             404 / 400
//! admitted  = admit(routed)        policy -> permit; estimate; hold on all accounts, with a row  403 429 503
//! in_flight = forward(admitted)    strip, swap the credential, send once                         502 504 422
//! usage     = meter(in_flight)     bytes flow to the caller while the meter reads them
//! settled   = settle(usage)        commit or release, with its row, in a task the caller cannot cancel
//!             record(settled)      counters, log
//! ```
//!
//! The list stands as one function, `gateway::serve`; each step takes the value that the step before made.
//!
//! # Invariants
//!
//! 1. No byte reaches a vendor without a hold, and no credential is opened without a hold.
//! 2. `spent + held <= limit` at admission for every account of the call, decided in one atomic step over all of them.
//! 3. A hold is an upper bound of what the call can cost wherever the vendor makes that knowable; where it does not, the
//!    policy names a ceiling or the call is refused. Unknown never means zero.
//! 4. Every hold ends exactly once: committed, released, or expired (charged in full and flagged for a person).
//! 5. After dispatch nothing is handed back unless the usage is exact; a hold in flight may shrink only to a smaller bound
//!    that still is one. A commit never fails for lack of money: the overrun is recorded, and the next reserve is refused.
//! 6. Every admitted call has a durable row in the journal before its first byte leaves, and a settled row after; also
//!    across `kill -9`.
//! 7. What was judged is what is sent. The path: byte for byte. Where a rule or the estimate reads the query or the body,
//!    only one reading is possible: a content encoding, a content type that the operation does not declare, a field given
//!    twice in any spelling or place, or invalid syntax is refused (400, 415).
//! 8. A revoked key, and every key minted from it, admits nothing from the moment that the revoke call returns; its calls in
//!    flight end for the caller within one second.
//! 9. No credential leaves bursar except to its vendor: not in a log, an error, a dump, an audit row or a response body. No
//!    vault key reaches a vendor.
//! 10. No client ever reads an internal error, and no denial is silent: each says what rule, what limit, what is left, when
//!     it resets, and whether to retry.
//!
//! From 1 to 5 follows the promise: for every account, at every moment, under any interleaving and any crash, money spent is
//! at most the limit plus the overrun of calls whose vendor charged more than its own bound.
//!
//! # Floors
//!
//! Imports go downward only; `tests/tidy.rs` holds it. In reading order:

pub mod units;

pub mod config;
pub mod rules;

pub mod adapters;

pub mod gateway;

pub mod cli;
pub mod control;

pub mod app;
