//! Prices: what a model's tokens and a vendor's tools cost on a given day, and what a currency is worth. Exact integers of
//! 1e-12 USD all the way; the one rounding is `PicoUsd::ceil`, once per call, done by the meters in `vendors`.
//!
//! `book.jsonl` and `fx.toml` ship with bursar (`build.py` and `build_fx.py` make them; `differences.md` says where their
//! sources differ); what `prices update` brought and the operator's own file go on top.
//! An unknown model or currency has no price: it never costs zero. `vendors` come next.

mod alike;
mod basis;
mod book;
mod check;
mod fx;
mod import;
mod names;
mod rates;
mod raw;
mod row;
mod schedule;
mod shelf;
#[cfg(test)]
mod tests;
mod tokens;
mod update;
mod write;

pub use basis::run;
pub use book::{Mistake, PriceBook, SHIPPED};
pub use fx::{Fx, Rate, decimals, ecb};
pub use names::is_region;
pub use rates::{Limits, Rates};
pub use row::{Priced, Row, Served, TierAsked};
pub use schedule::Hours;
pub use tokens::{Kind, Measure, Tokens};
pub use update::{Change, Update, update};
