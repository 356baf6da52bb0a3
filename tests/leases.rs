//! What nodes of a fleet do alone, against a real Redis: the cap over three nodes, a node that dies, Redis that hangs, dies and
//! comes back, messages that arrive twice, slices that are wanted back, and rates, of which there are no slices.

mod common;

#[path = "leases/away.rs"]
mod away;
#[path = "leases/cap.rs"]
mod cap;
#[path = "leases/messages.rs"]
mod messages;
#[path = "leases/rates.rs"]
mod rates;
#[path = "leases/scene.rs"]
mod scene;
