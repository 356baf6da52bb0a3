//! The scripts beside the book: `differential` gives both the same random history, on a server that `server` starts.

mod differential;
mod server;
mod turns;
