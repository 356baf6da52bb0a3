//! The scripts beside the book: `differential` gives both the same random history (`turns` has what happens), on a server that
//! `server` starts; `waits` is about those who wait.

mod differential;
mod server;
mod turns;
mod waits;
