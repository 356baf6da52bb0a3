//! Everything that can break under a fleet, each broken under load from three nodes on one budget: afterwards what the vendor
//! saw, what the rows say and what stands on the accounts must be the same, on every node, and never more than the budget.

mod common;

#[path = "fleet_faults/alone.rs"]
mod alone;
#[path = "fleet_faults/dollar.rs"]
mod dollar;
#[path = "fleet_faults/load.rs"]
mod load;
#[path = "fleet_faults/network.rs"]
mod network;
#[path = "fleet_faults/nodes.rs"]
mod nodes;
#[path = "fleet_faults/servers.rs"]
mod servers;
