//! Prices: what a model's tokens and a vendor's tools cost on a given day, and what a currency is worth. Exact integers of
//! 1e-12 USD all the way; the one rounding is `PicoUsd::ceil`, once per call, done by the meters in `vendors`.
//!
//! `book.toml` and `fx.toml` ship with bursar (`build.py` and `build_fx.py` make them); the operator's file goes on top.
//! An unknown model or currency has no price: it never costs zero. `vendors` come next.

mod book;
mod fx;
mod raw;
mod row;
#[cfg(test)]
mod tests;
mod tokens;

pub use book::{Mistake, PriceBook};
pub use fx::{Fx, decimals, ecb};
pub use row::{Limits, Rates, Row, Served, TierAsked};
pub use tokens::{Kind, Tokens};
