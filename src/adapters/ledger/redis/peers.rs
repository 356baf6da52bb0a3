//! Which nodes lived a moment ago, as this one heard of them: after a loss all of them have something to put back. A Redis that
//! was emptied no longer knows them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Who was heard of so lately was alive when Redis failed.
const LATELY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Peers(Mutex<HashMap<String, Instant>>);

impl Peers {
    /// These live now.
    pub fn heard(&self, nodes: Vec<String>) {
        let mut seen = self.0.lock();
        seen.retain(|_, at| at.elapsed() < LATELY);
        seen.extend(nodes.into_iter().map(|node| (node, Instant::now())));
    }

    pub fn lately(&self) -> Vec<String> {
        self.0.lock().iter().filter(|(_, at)| at.elapsed() < LATELY).map(|(node, _)| node.clone()).collect()
    }
}
