//! The shared ledger of the model: one account under one limit, and what the scripts do to it.

use std::collections::BTreeMap;

use crate::rules::ledger::slices::Item;
use crate::units::ids::{CallId, Seq};

/// What a node sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub node: usize,
    pub number: u32,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// Only what the answer says is wanted.
    Sync,
    /// What the node's slice shall be.
    Slice(u64),
    /// What to tell, and what each call holds or was charged.
    Ship { upto: Seq, items: Vec<(Item, u64)> },
}

/// What the ledger remembers of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hold {
    Open(u64),
    Expired(u64),
    Ended,
}

/// What it knows of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Peer {
    pub number: u32,
    pub mark: Seq,
    pub lent: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Central {
    pub limit: u64,
    pub spent: u64,
    pub held: u64,
    pub peers: Vec<Peer>,
    holds: BTreeMap<CallId, Hold>,
}

impl Central {
    pub fn new(limit: u64, nodes: usize) -> Self {
        Self { limit, spent: 0, held: 0, peers: vec![Peer::default(); nodes], holds: BTreeMap::new() }
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.spent + self.held)
    }

    /// Somebody else spends one, if it fits.
    pub fn spend(&mut self) -> bool {
        let fits = self.left() > 0;
        self.spent += u64::from(fits);
        fits
    }

    /// Does what a message says, unless a newer one was here before. The answer is what it knows of the node.
    pub fn take(&mut self, message: &Message) -> Option<Peer> {
        let peer = &mut self.peers[message.node];
        if message.number <= peer.number {
            return None;
        }
        peer.number = message.number;
        match &message.body {
            Body::Sync => {}
            Body::Slice(to) => self.slice(message.node, *to),
            Body::Ship { upto, items } => {
                items.iter().for_each(|(item, amount)| self.item(message.node, item, *amount));
                self.peers[message.node].mark = *upto;
            }
        }
        Some(self.peers[message.node].clone())
    }

    fn slice(&mut self, node: usize, to: u64) {
        let before = self.peers[node].lent;
        let after = to.min(before + self.left());
        self.held = self.held - before + after;
        self.peers[node].lent = after;
    }

    fn item(&mut self, node: usize, item: &Item, amount: u64) {
        match item {
            // A call that is there already holds its own money: it is not begun again, and only ends.
            Item::Open { call, .. } if self.holds.contains_key(call) => {}
            Item::Whole { call, .. } if self.holds.contains_key(call) => self.end(*call, amount),
            Item::Whole { call, takes, .. } => {
                self.out_of_slice(node, takes.iter().map(|p| p.amount).sum());
                self.spent += amount;
                self.holds.insert(*call, Hold::Ended);
            }
            Item::Open { call, takes, .. } => {
                self.out_of_slice(node, takes.iter().map(|p| p.amount).sum());
                self.held += amount;
                self.holds.insert(*call, Hold::Open(amount));
            }
            Item::End { call, .. } => self.end(*call, amount),
        }
    }

    fn end(&mut self, call: CallId, amount: u64) {
        match self.holds.insert(call, Hold::Ended) {
            Some(Hold::Open(held)) => (self.held, self.spent) = (self.held - held, self.spent + amount),
            Some(Hold::Expired(charged)) => self.spent = self.spent - charged + amount,
            Some(Hold::Ended) | None => {}
        }
    }

    fn out_of_slice(&mut self, node: usize, amount: u64) {
        let lent = &mut self.peers[node].lent;
        let taken = amount.min(*lent);
        (*lent, self.held) = (*lent - taken, self.held - taken);
    }

    /// What it lent and who told it what is lost; what it was told is put back from the books.
    pub fn lose(&mut self) {
        let held = |hold: &Hold| if let Hold::Open(held) = hold { *held } else { 0 };
        self.held = self.holds.values().map(held).sum();
        self.peers.iter_mut().for_each(|peer| *peer = Peer::default());
    }

    /// As the books know a call: whether its end is there, too. That a lease was over is not an end.
    pub fn found(&self, call: CallId) -> Option<bool> {
        self.holds.get(&call).map(|hold| *hold == Hold::Ended)
    }

    pub fn put_back(&mut self, node: usize, peer: Peer) {
        self.held += peer.lent;
        self.peers[node] = peer;
    }

    /// Open holds whose lease may be over.
    pub fn open(&self) -> Vec<CallId> {
        self.holds.iter().filter(|(_, h)| matches!(h, Hold::Open(_))).map(|(id, _)| *id).collect()
    }

    pub fn expire(&mut self, call: CallId) {
        if let Some(Hold::Open(held)) = self.holds.insert(call, Hold::Expired(0)) {
            (self.held, self.spent) = (self.held - held, self.spent + held);
            self.holds.insert(call, Hold::Expired(held));
        }
    }
}
