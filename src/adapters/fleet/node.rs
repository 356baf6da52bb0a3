//! What a node says of itself, and what one heartbeat tells of all. Values and their reading; talks to nobody.

use serde::{Deserialize, Deserializer, Serialize};

use super::RIGHT;
use super::link::FleetError;
use crate::units::time::Timestamp;

/// One node, as it said it last. Times are the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Random, new with every process.
    pub id: String,
    /// For people: its host and the address of its admin API.
    pub name: String,
    #[serde(deserialize_with = "micros")]
    pub at: Timestamp,
    /// Until then it may admit without asking.
    #[serde(deserialize_with = "micros")]
    pub right_ends: Timestamp,
    /// The last change of a flag that it has carried out.
    pub obeyed: u64,
    /// Is it the one that writes the books?
    #[serde(default)]
    pub writes_books: bool,
}

/// The server writes microseconds; people read dates.
fn micros<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(from).map(Timestamp)
}

impl Node {
    /// Was it heard just now? One that is silent may have a right that is longer.
    pub fn lives(&self, now: Timestamp) -> bool {
        let right = i64::try_from(RIGHT.as_micros()).unwrap_or(i64::MAX);
        self.may_admit(now) && self.at.0.saturating_add(right) > now.0
    }

    /// Beyond this moment nothing is admitted there unasked. A time in the future is of a clock that was set back.
    pub fn may_admit(&self, now: Timestamp) -> bool {
        self.right_ends > now && self.at.0 <= now.0.saturating_add(CLOCK_STEP)
    }
}

/// The server's clock may be slewed by so much between two beats, in microseconds.
const CLOCK_STEP: i64 = 1_000_000;

/// What one heartbeat is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Of the ledger; empty where there is none.
    pub epoch: String,
    /// Changes of flags so far.
    pub flagged: u64,
    /// Changes of shared keys and flags so far.
    pub shared: u64,
    pub at: Timestamp,
    /// Every node that spoke lately, by name.
    pub nodes: Vec<Node>,
}

impl Beat {
    pub fn read(answer: &[String]) -> Result<Self, FleetError> {
        let [epoch, flagged, shared, at, nodes @ ..] = answer else {
            return Err(FleetError::Unreadable("too little".to_owned()));
        };
        // What another version of bursar wrote, and is not understood here, is no reason to stop.
        let mut nodes: Vec<Node> = nodes.iter().filter_map(|n| serde_json::from_str(n).ok()).collect();
        nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let [flagged, shared] = [number(flagged)?, number(shared)?];
        Ok(Self { epoch: epoch.clone(), flagged, shared, at: Timestamp(number(at)? as i64), nodes })
    }

    /// Those that were heard just now.
    pub fn live(&self) -> usize {
        self.nodes.iter().filter(|n| n.lives(self.at)).count()
    }

    /// The node that writes the books, as it said it last. None while nobody does, or two say so.
    pub fn writer(&self) -> Option<&Node> {
        let mut writers = self.nodes.iter().filter(|n| n.writes_books && n.lives(self.at));
        writers.next().filter(|_| writers.next().is_none())
    }
}

pub fn number(text: &str) -> Result<u64, FleetError> {
    text.parse().map_err(|_| FleetError::Unreadable(format!("`{text}` for a number")))
}

/// What one node did about a change of a flag: it carried it out, or was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAnswer {
    pub name: String,
    pub id: String,
    /// So long after the change was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<u64>,
    /// It was heard last then, and has not carried it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// Until then it may admit from what was lent to it. Absent where that time has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admits_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_read_and_a_strangers_entry_passed_over() {
        let node = r#"{"at":1763752821000001,"right_ends":1763752821750001,"obeyed":7,"id":"a","name":"h","new":1}"#;
        let said = ["e", "7", "3", "1763752821000002", node, "{\"at\":1}", "no json"].map(str::to_owned);
        let beat = Beat::read(&said).expect("a beat");
        assert_eq!((beat.flagged, beat.shared, beat.nodes.len(), beat.live()), (7, 3, 1, 1));
        assert_eq!(beat.nodes[0].at, Timestamp(1_763_752_821_000_001));
        assert!(Beat::read(&said[..2]).is_err() && Beat::read(&["", "x", "", ""].map(str::to_owned)).is_err());
    }

    #[test]
    fn a_right_ends_and_a_clock_that_was_set_back_gives_none() {
        let node = |at: i64| Node {
            id: String::new(),
            name: String::new(),
            at: Timestamp(at),
            right_ends: Timestamp(at + 750_000),
            obeyed: 0,
            writes_books: false,
        };
        for (at, may) in [(0, true), (-750_000, false), (-749_999, true), (900_000, true), (2_000_000, false)] {
            assert_eq!(node(10_000_000 + at).may_admit(Timestamp(10_000_000)), may, "{at}");
        }
        let alone = Node { right_ends: Timestamp(70_000_000), ..node(10_000_000) };
        let seen = |at: i64| (alone.may_admit(Timestamp(at)), alone.lives(Timestamp(at)));
        assert_eq!(
            (seen(10_700_000), seen(11_000_000), seen(70_000_000)),
            ((true, true), (true, false), (false, false))
        );
    }
}
