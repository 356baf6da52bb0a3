//! The fleet as this node sees it, for `status`, the metrics and whoever asks where the books are written. Asks nobody.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Fleet;
use super::histogram::Counted;
use super::node::Node;

impl Fleet {
    /// The name of the node that writes the books, if one says that it does.
    pub fn writer(&self) -> Option<String> {
        self.heard.lock().beat.writer().map(|node| node.name.clone())
    }

    /// For `status` and the metrics.
    pub fn view(&self) -> FleetView {
        let heard = self.heard.lock();
        let nodes = heard.beat.nodes.iter().map(|n| NodeView { live: n.lives(heard.beat.at), node: n.clone() });
        FleetView {
            node: self.id.clone(),
            nodes: nodes.collect(),
            silent_ms: u64::try_from(heard.asked.elapsed().as_millis()).unwrap_or(u64::MAX),
            revoke_latency: self.canary.histogram.counted(),
            revoke_latency_late: self.canary.late.load(Ordering::Relaxed),
        }
    }
}

/// The fleet as this node sees it.
#[derive(Clone, Debug, Serialize)]
pub struct FleetView {
    /// This node's id.
    pub node: String,
    pub nodes: Vec<NodeView>,
    /// Since the server was heard last.
    pub silent_ms: u64,
    /// From a change of a flag until every live node has carried it out, as the canary finds it.
    pub revoke_latency: Counted,
    /// Canaries that some live node did not answer in time.
    pub revoke_latency_late: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct NodeView {
    #[serde(flatten)]
    pub node: Node,
    pub live: bool,
}
