//! What is said on the ledger's channel, and how a node hears it. What was missed shows in the numbers; whoever listens
//! fetches it. Unknown words are passed over: a newer node may say more.

use super::Fleet;
use crate::adapters::ledger::redis::link;
use crate::rules::subject::Flag;
use crate::units::ids::Seq;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ring {
    /// The `number`-th change of a flag.
    Flag { number: u64, on: bool, flag: Flag },
    /// The `number`-th change of what is shared, and its name.
    Shared { number: u64, name: String },
    /// The books have all events up to here.
    Projected(Seq),
    /// This flag is about to be set: calls in flight need not wait for it.
    Stopping(Flag),
    /// Whoever writes the books is asked to sign what stands in them.
    Sign,
}

impl Ring {
    pub fn read(said: &str) -> Option<Self> {
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        match word {
            "flag" => {
                let mut parts = rest.splitn(3, ' ');
                let (number, what, flag) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
                let on = match what {
                    "set" => true,
                    "clear" => false,
                    _ => return None,
                };
                Some(Self::Flag { number, on, flag: serde_json::from_str(flag).ok()? })
            }
            "key" => {
                let (number, name) = rest.split_once(' ')?;
                Some(Self::Shared { number: number.parse().ok()?, name: name.to_owned() })
            }
            "projected" => rest.parse().ok().map(Self::Projected),
            "stopping" => serde_json::from_str(rest).ok().map(Self::Stopping),
            "sign" => Some(Self::Sign),
            _ => None,
        }
    }
}

/// What hearing gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on every message is heard. What was said before must be fetched.
    Open,
    Ring(Ring),
}

/// The subscription, which comes again by itself.
pub struct Bell<'f> {
    fleet: &'f Fleet,
    bell: link::Bell,
}

impl<'f> Bell<'f> {
    pub fn new(fleet: &'f Fleet) -> Self {
        Self { fleet, bell: fleet.hear() }
    }

    /// Subscribes anew: something was said that was not heard.
    pub fn distrust(&mut self) {
        self.bell = self.fleet.hear();
    }

    /// Safe to drop before it answers: nothing is lost that was not heard.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.bell.next().await {
                Some(link::Heard::Gap) => return Heard::Open,
                Some(link::Heard::Message(said)) => match Ring::read(&said) {
                    Some(ring) => return Heard::Ring(ring),
                    None => continue,
                },
                // Only as the process ends.
                None => std::future::pending::<()>().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_strange_ones_passed_over() {
        let everyone = |number, on| Some(Ring::Flag { number, on, flag: Flag::Everyone });
        for (said, read) in [
            ("flag 7 set {\"kind\":\"everyone\"}", everyone(7, true)),
            ("flag 8 clear {\"kind\":\"everyone\"}", everyone(8, false)),
            ("flag 8 turn {\"kind\":\"everyone\"}", None),
            ("flag x set {}", None),
            ("flag 7 set", None),
            ("key 3 key vk a b", Some(Ring::Shared { number: 3, name: "key vk a b".to_owned() })),
            ("key 3", None),
            ("projected 12", Some(Ring::Projected(12))),
            ("stopping {\"kind\":\"everyone\"}", Some(Ring::Stopping(Flag::Everyone))),
            ("stopping what", None),
            ("sign", Some(Ring::Sign)),
            ("sing a song", None),
            ("", None),
        ] {
            assert_eq!(Ring::read(said), read, "{said}");
        }
    }
}
