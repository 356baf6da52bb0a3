//! A world of the model: what can happen next, what must be true, and how all ends.

mod ending;

use super::central::{Body, Central, Message, Peer};
use crate::rules::ledger::slices::tests::{call, key};
use crate::rules::ledger::slices::{Item, Part, SliceKey, Slices};
use crate::units::ids::{CallId, Seq};

/// What is true of a call, whoever knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Truth {
    Unborn,
    Open(u64),
    /// What it cost.
    Done(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    /// `None` while it is dead.
    mem: Option<Slices>,
    /// Entries of its journal: the call, and whether it begins.
    journal: Vec<(CallId, bool)>,
    number: u32,
    /// It has started anew, and does not admit before everything is told and given back.
    recovering: bool,
    calls: Vec<Truth>,
    crashes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    central: Central,
    nodes: Vec<Node>,
    /// Sent, given up by the sender, and still on the way.
    late: Vec<Message>,
    /// What others spent.
    others: u64,
    messages: u32,
    /// May the ledger still lose what it lent? Once.
    loses: bool,
}

fn id(node: usize, n: usize) -> CallId {
    call((node * 8 + n) as u8)
}

fn limit_key(limit: u64) -> SliceKey {
    key(limit)
}

impl World {
    /// So many calls on each node, and at most so many messages from each.
    pub fn new(limit: u64, calls: &[usize], messages: u32) -> Self {
        let node = |n: &usize| Node {
            mem: Some(Slices::default()),
            journal: Vec::new(),
            number: 0,
            recovering: false,
            calls: vec![Truth::Unborn; *n],
            crashes: 0,
        };
        let nodes: Vec<Node> = calls.iter().map(node).collect();
        Self { central: Central::new(limit, nodes.len()), nodes, late: Vec::new(), others: 0, messages, loses: false }
    }

    /// And the ledger may forget what it lent, once.
    pub fn losing(self) -> Self {
        Self { loses: true, ..self }
    }

    fn key(&self) -> SliceKey {
        limit_key(self.central.limit)
    }

    /// What was spent or may still be spent.
    fn truth(&self) -> u64 {
        let of = |t: &Truth| if let Truth::Open(n) | Truth::Done(n) = t { *n } else { 0 };
        self.others + self.nodes.iter().flat_map(|n| &n.calls).map(of).sum::<u64>()
    }

    /// What nodes may still admit without asking.
    fn rooms(&self) -> u64 {
        let key = self.key();
        self.nodes.iter().filter(|n| !n.recovering).filter_map(|n| n.mem.as_ref()).map(|m| m.room(&key)).sum()
    }

    pub fn check(&self) {
        let (truth, central) = (self.truth() + self.rooms(), self.central.spent + self.central.held);
        assert!(truth <= self.central.limit, "more than the limit may be spent: {self:#?}");
        assert!(truth <= central, "the ledger does not cover it: {self:#?}");
    }

    pub fn steps(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for node in 0..self.nodes.len() {
            self.calls_of(node, &mut found);
            self.messages_of(node, &mut found);
            self.life_of(node, &mut found);
        }
        self.elsewhere(&mut found);
        found
    }

    fn with(&self, change: impl FnOnce(&mut Self) -> bool, found: &mut Vec<Self>) {
        let mut after = self.clone();
        if change(&mut after) {
            found.push(after);
        }
    }

    fn calls_of(&self, node: usize, found: &mut Vec<Self>) {
        for n in 0..self.nodes[node].calls.len() {
            match self.nodes[node].calls[n] {
                Truth::Unborn => [1, 2].map(|need| self.with(|w| w.admit(node, n, need), found)),
                Truth::Open(need) => [0, need].map(|charge| self.with(|w| w.end(node, n, charge), found)),
                Truth::Done(_) => continue,
            };
        }
    }

    fn admit(&mut self, node: usize, n: usize, need: u64) -> bool {
        let slice = self.key();
        let Node { mem: Some(mem), journal, recovering: false, calls, .. } = &mut self.nodes[node] else {
            return false;
        };
        let admitted = mem.admit(journal.len() as Seq + 1, id(node, n), vec![Part { slice, amount: need }]);
        if admitted {
            journal.push((id(node, n), true));
            calls[n] = Truth::Open(need);
        }
        admitted
    }

    fn end(&mut self, node: usize, n: usize, charge: u64) -> bool {
        let Node { mem: Some(mem), journal, recovering: false, calls, .. } = &mut self.nodes[node] else {
            return false;
        };
        journal.push((id(node, n), false));
        mem.end(journal.len() as Seq, id(node, n), |_| charge);
        calls[n] = Truth::Done(charge);
        true
    }

    /// Each message arrives and is answered, is lost, arrives unanswered, or is given up and stays on the way.
    fn messages_of(&self, node: usize, found: &mut Vec<Self>) {
        if self.nodes[node].number >= self.messages {
            return;
        }
        for what in [What::Lower, What::Raise, What::Sync, What::Ship(1), What::Ship(9)] {
            let mut sent = self.clone();
            let Some(message) = sent.message(node, what) else { continue };
            sent.with(|_| true, found);
            sent.with(|w| w.central.take(&message).is_some(), found);
            sent.with(|w| w.central.take(&message).is_some_and(|answer| w.hear(node, what, &answer)), found);
            if self.late.is_empty() {
                sent.late.push(message);
                found.push(sent);
            }
        }
    }

    fn message(&mut self, node: usize, what: What) -> Option<Message> {
        let key = self.key();
        let Node { mem: Some(mem), number, recovering, calls, .. } = &mut self.nodes[node] else { return None };
        let body = match what {
            What::Lower if *recovering && mem.untold() > 0 => return None,
            What::Raise if *recovering => return None,
            What::Lower => Body::Slice(mem.lower(&key, 0)),
            What::Sync => Body::Sync,
            What::Raise => Body::Slice(mem.state(&key).0 + 2),
            What::Ship(most) => {
                let batch = mem.batch(most)?;
                let items = batch.items.into_iter().map(|item| (item.clone(), amount(&item, calls)));
                Body::Ship { upto: batch.upto, items: items.collect() }
            }
        };
        *number += 1;
        Some(Message { node, number: *number, body })
    }

    fn hear(&mut self, node: usize, what: What, answer: &Peer) -> bool {
        let key = self.key();
        let Node { mem: Some(mem), recovering, .. } = &mut self.nodes[node] else { return false };
        mem.answered(answer.mark);
        if !matches!(what, What::Sync) {
            mem.lent(&key, answer.lent);
        }
        if matches!(what, What::Lower) {
            *recovering = false;
        }
        true
    }

    fn life_of(&self, node: usize, found: &mut Vec<Self>) {
        let alive = self.nodes[node].mem.is_some();
        if alive && self.nodes[node].crashes == 0 {
            self.with(|w| w.crash(node), found);
        } else if !alive {
            self.with(|w| w.start(node), found);
        }
    }

    fn crash(&mut self, node: usize) -> bool {
        self.nodes[node].mem = None;
        self.nodes[node].crashes += 1;
        true
    }

    /// The ledger gives the numbers that the node goes on with: later than any before. Calls that nobody ended cost in full.
    fn start(&mut self, node: usize) -> bool {
        let peer = &mut self.central.peers[node];
        let Node { mem, journal, number, recovering, calls, .. } = &mut self.nodes[node];
        let mark = peer.mark;
        peer.number = peer.number.max(*number) + 1;
        (*number, *recovering) = (peer.number, true);
        let mut again = Slices::begin(mark);
        for (seq, (call, begins)) in (1..).zip(journal.iter()).filter(|(seq, _)| *seq > mark) {
            match begins {
                true => drop(again.admit(seq, *call, Vec::new())),
                false => again.end(seq, *call, |_| 0),
            }
        }
        again.put_back(|call| self.central.found(call));
        for call in again.orphans() {
            journal.push((call, false));
            again.end(journal.len() as Seq, call, |_| 0);
        }
        for truth in calls.iter_mut() {
            if let Truth::Open(need) = truth {
                *truth = Truth::Done(*need);
            }
        }
        *mem = Some(again);
        true
    }

    /// All that are on the way name the making that is lost. Nodes that live put back their part; what others were lent is kept,
    /// and nothing else of them is known any more.
    fn lose(&mut self) -> bool {
        let key = self.key();
        if !std::mem::take(&mut self.loses) || self.nodes.iter().any(|n| n.recovering) {
            return false;
        }
        self.late.clear();
        let lent: Vec<u64> = self.central.peers.iter().map(|peer| peer.lent).collect();
        self.central.lose();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let Some(mem) = &mut node.mem else {
                self.central.put_back(at, Peer { lent: lent[at], ..Peer::default() });
                continue;
            };
            mem.put_back(|call| self.central.found(call));
            node.number += 1;
            let lent = mem.usable(&key);
            self.central.put_back(at, Peer { number: node.number, mark: mem.mark(), lent });
            mem.lent(&key, lent);
        }
        true
    }

    fn elsewhere(&self, found: &mut Vec<Self>) {
        self.with(Self::lose, found);
        if self.others == 0 {
            self.with(
                |w| {
                    w.central.spend() && {
                        w.others += 1;
                        true
                    }
                },
                found,
            );
        }
        for hold in self.central.open() {
            self.with(
                |w| {
                    w.central.expire(hold);
                    true
                },
                found,
            );
        }
        for n in 0..self.late.len() {
            self.with(
                |w| {
                    let message = w.late.remove(n);
                    w.central.take(&message);
                    true
                },
                found,
            );
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Asks what became of the last message, and changes nothing.
    Sync,
    Lower,
    Raise,
    Ship(usize),
}

/// What a call holds, or what it cost if it is told with its end.
fn amount(item: &Item, calls: &[Truth]) -> u64 {
    let (Item::Whole { call, .. } | Item::Open { call, .. } | Item::End { call, .. }) = item;
    match calls[(call.0.as_u128() % 8) as usize] {
        Truth::Open(n) | Truth::Done(n) => n,
        Truth::Unborn => 0,
    }
}
