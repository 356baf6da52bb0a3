//! `bursar serve` on a ledger in Redis, as one of several nodes with one set of books: caps that hold over all nodes, books that
//! any of them shows, a writer of the books that is killed or hangs, nodes that die with calls in flight, and starts that must
//! be refused; nodes that spend alone; evidence from a node that
//! does not write. Everything real: processes, `redis-server`, PostgreSQL.

mod common;

#[path = "fleet/caps.rs"]
mod caps;
#[path = "fleet/evidence.rs"]
mod evidence;
#[path = "fleet/half.rs"]
mod half;
#[path = "fleet/lent.rs"]
mod lent;
#[path = "fleet/lost.rs"]
mod lost;
#[path = "fleet/starts.rs"]
mod starts;
#[path = "fleet/trouble.rs"]
mod trouble;
#[path = "fleet/writer.rs"]
mod writer;
