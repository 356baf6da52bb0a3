//! How a world of the model comes to its end: from every state, all ends well.

use super::{Truth, What, World};

impl World {
    /// Everything ends, is told and is given back; then the ledger says what is true, also when the last message arrives.
    pub fn ends_well(&self) {
        let mut end = self.clone();
        end.messages = u32::MAX;
        for node in 0..end.nodes.len() {
            if end.nodes[node].mem.is_none() {
                end.start(node);
            }
            end.talk(node, What::Ship(9));
            end.talk(node, What::Lower);
            for n in 0..end.nodes[node].calls.len() {
                if let Truth::Open(need) = end.nodes[node].calls[n] {
                    end.end(node, n, need);
                }
            }
            end.talk(node, What::Lower);
            while end.nodes[node].mem.as_ref().is_some_and(|m| m.untold() > 0) {
                end.talk(node, What::Ship(1));
            }
            end.talk(node, What::Lower);
        }
        for message in std::mem::take(&mut end.late) {
            end.central.take(&message);
        }
        let rest = end.central.open();
        // A hold that nobody ends any more, of a node that died, is charged when its lease is over.
        rest.into_iter().for_each(|hold| end.central.expire(hold));
        end.check();
        assert_eq!((end.central.held, end.central.spent), (0, end.truth()), "from {self:#?}\nto {end:#?}");
    }

    fn talk(&mut self, node: usize, what: What) {
        if let Some(message) = self.message(node, what) {
            let answer = self.central.take(&message).unwrap_or_else(|| panic!("numbers grow: {self:#?}"));
            self.hear(node, what, &answer);
        } else if matches!(what, What::Ship(_)) && self.nodes[node].mem.as_ref().is_some_and(|m| m.untold() > 0) {
            // The last batch is not answered yet: any answer says what became of it.
            self.talk(node, What::Sync);
        }
    }
}
