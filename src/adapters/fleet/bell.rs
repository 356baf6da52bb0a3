//! What is said on the ledger's channel, and how a node hears it. What was missed shows in the numbers; whoever listens
//! fetches it. Unknown words are passed over: a newer node may say more.

use std::time::Duration;

use super::Fleet;
use super::link::{Ear, FleetError};
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
    /// What was lent of this account is wanted back.
    Recall(String),
}

impl Ring {
    pub fn read(said: &str) -> Option<Self> {
        let (word, rest) = said.split_once(' ')?;
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
            "recall" => Some(Self::Recall(rest.to_owned())),
            _ => None,
        }
    }
}

/// Before a subscription is tried again.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The subscription, which comes again by itself.
pub struct Bell<'f> {
    fleet: &'f Fleet,
    ear: Option<Ear>,
    pause: Duration,
}

/// What hearing gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on every message is heard. What was said before must be fetched.
    Open,
    Ring(Ring),
    /// Nothing is heard now; it is tried again.
    Deaf(String),
}

impl<'f> Bell<'f> {
    pub fn new(fleet: &'f Fleet) -> Self {
        Self { fleet, ear: None, pause: PAUSE }
    }

    /// Drops the subscription: something was said that it did not hear.
    pub fn distrust(&mut self) {
        self.ear = None;
    }

    /// Safe to drop before it answers: nothing is lost that was not heard.
    pub async fn next(&mut self) -> Heard {
        let Some(ear) = &mut self.ear else { return self.open().await };
        loop {
            match ear.next().await.as_deref().map(Ring::read) {
                Some(Some(ring)) => return Heard::Ring(ring),
                Some(None) => {}
                None => {
                    self.ear = None;
                    return Heard::Deaf("the subscription ended".to_owned());
                }
            }
        }
    }

    async fn open(&mut self) -> Heard {
        let opened: Result<Ear, FleetError> = self.fleet.hear().await;
        match opened {
            Ok(ear) => {
                (self.ear, self.pause) = (Some(ear), PAUSE);
                Heard::Open
            }
            Err(why) => {
                tokio::time::sleep(self.pause + jitter(self.pause)).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Heard::Deaf(why.to_string())
            }
        }
    }
}

/// Up to half of it: so that a fleet does not knock in step.
pub fn jitter(of: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no jitter, and nothing else is lost.
    let _ = getrandom::fill(&mut byte);
    of * u32::from(byte[0]) / 512
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
            ("recall key:a", Some(Ring::Recall("key:a".to_owned()))),
            ("sing a song", None),
            ("", None),
        ] {
            assert_eq!(Ring::read(said), read, "{said}");
        }
    }
}
