//! The scripts beside the book: `differential` gives both the same random history (`turns` has what happens), `simulation` runs
//! the book's own on nodes; on a server that `server` starts and `outside` looks at. `waits` is about those who wait, `corrected`
//! about charges that are put right, `told` about calls that are told late.

mod corrected;
mod differential;
mod outside;
pub(super) mod server;
mod simulation;
mod told;
mod turns;
mod waits;
