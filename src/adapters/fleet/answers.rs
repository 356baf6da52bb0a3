//! Waiting for the other nodes: each carries a change of a flag out, or may admit nothing more, or is named.

use std::time::{Duration, Instant};

use super::Fleet;
use super::link::FleetError;
use super::node::{Node, NodeAnswer};
use crate::units::time::Timestamp;

/// A revocation waits no longer for the other nodes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl Fleet {
    /// Waits until every node has carried out the change `number`, or may admit nothing more. Says what each did.
    pub async fn acknowledged(&self, change: u64, made: Instant) -> Result<Vec<NodeAnswer>, FleetError> {
        self.answered(change, made, Node::may_admit).await
    }

    /// As `acknowledged`; only those of whom `counts` is true are waited for.
    pub(super) async fn answered(
        &self,
        change: u64,
        made: Instant,
        counts: fn(&Node, Timestamp) -> bool,
    ) -> Result<Vec<NodeAnswer>, FleetError> {
        let mut answers: Vec<NodeAnswer> = Vec::new();
        loop {
            let beat = self.beat().await?;
            let late = made.elapsed() >= ANSWER_WITHIN;
            let mut waiting = false;
            for node in &beat.nodes {
                let open = counts(node, beat.at);
                waiting |= node.obeyed < change && open;
                note(&mut answers, node, change, made.elapsed(), open);
            }
            if !waiting || late {
                return Ok(answers);
            }
            tokio::time::sleep(pause(made.elapsed())).await;
        }
    }
}

/// What one look adds to what is known of a node. Once acknowledged stays acknowledged.
fn note(answers: &mut Vec<NodeAnswer>, node: &Node, change: u64, took: Duration, open: bool) {
    let at = answers.iter().position(|a| a.id == node.id);
    if at.is_some_and(|at| answers[at].acknowledged_ms.is_some()) {
        return;
    }
    let done = node.obeyed >= change;
    let answer = NodeAnswer {
        name: node.name.clone(),
        id: node.id.clone(),
        acknowledged_ms: done.then(|| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        silent_since: (!done).then_some(node.at),
        admits_until: (!done && open).then_some(node.right_ends),
    };
    match at {
        Some(at) => answers[at] = answer,
        None => answers.push(answer),
    }
}

/// Most nodes answer within milliseconds; one that does not is asked less often.
fn pause(waited: Duration) -> Duration {
    if waited < Duration::from_millis(100) { Duration::from_millis(3) } else { Duration::from_millis(20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_stays_so_and_who_is_silent_is_named() {
        let node = |id: &str, at: i64, obeyed| Node {
            id: id.to_owned(),
            name: id.to_owned(),
            at: Timestamp(at),
            right_ends: Timestamp(at + 750_000),
            obeyed,
            writes_books: false,
        };
        let mut answers = Vec::new();
        let mut look = |now: i64, nodes: &[Node]| {
            let took = Duration::from_micros(now as u64);
            nodes.iter().for_each(|n| note(&mut answers, n, 7, took, n.may_admit(Timestamp(now))));
            answers.iter().map(|a: &NodeAnswer| (a.acknowledged_ms, a.admits_until.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(look(1_000, &[node("a", 0, 7), node("b", 0, 6)]), [(Some(1), false), (None, true)]);
        assert_eq!(look(9_000, &[node("a", 8_000, 9), node("b", 0, 6)]), [(Some(1), false), (None, true)]);
        assert_eq!(look(750_000, &[node("b", 0, 6)]), [(Some(1), false), (None, false)]);
        assert_eq!(look(760_000, &[node("b", 755_000, 7)]), [(Some(1), false), (Some(760), false)]);
    }
}
