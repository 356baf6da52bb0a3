//! Every state of small worlds: nodes with the real state machine, a tiny shared ledger, and a network that loses, repeats
//! and delays. At every state what was spent and may still be spent is within the limit and covered by the ledger; and
//! from every state all ends well: once everything is told, the ledger says exactly what is true, and lends nothing.

mod central;
mod world;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use self::world::World;

/// Visits every state within the bounds; gives how many there are.
fn search(first: World) -> usize {
    let (one, two) = (RandomState::new(), RandomState::new());
    let print = |world: &World| (one.hash_one(world), two.hash_one(world));
    let mut seen = HashSet::from([print(&first)]);
    let mut next = VecDeque::from([first]);
    while let Some(world) = next.pop_front() {
        world.check();
        world.ends_well();
        for after in world.steps() {
            if seen.insert(print(&after)) {
                next.push_back(after);
            }
        }
    }
    seen.len()
}

/// One node: calls that overlap, every loss, a crash at any moment.
#[test]
fn one_node_and_others_who_ask_the_ledger() {
    let states = search(World::new(3, &[2], 3));
    assert!(states > 10_000, "{states} states are no search");
}

/// The ledger forgets what it lent, whatever is on the way then.
#[test]
fn a_ledger_that_loses_what_it_lent() {
    let states = search(World::new(2, &[2], 3).losing());
    assert!(states > 10_000, "{states} states are no search");
    let states = search(World::new(2, &[1, 1], 1).losing());
    assert!(states > 1_000, "{states} states are no search");
}

/// Two nodes on one account.
#[test]
fn two_nodes() {
    let states = search(World::new(2, &[1, 1], 2));
    assert!(states > 10_000, "{states} states are no search");
}
