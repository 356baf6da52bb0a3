//! An answer that is searched on its way to the caller. From the piece on that sets a switch off nothing more goes out: the call
//! ends as one that was killed, and so do the others that the switch turns off. What went before is with the caller already.

use std::sync::Arc;

use super::Sighting;
use crate::gateway::Gateway;
use crate::rules::policy::{Armed, Deed};
use crate::rules::watch::scan::Scan;
use crate::rules::watch::{Sign, Trigger};
use crate::units::time::Timestamp;

/// The search through one answer.
pub struct Scanning {
    gateway: Arc<Gateway>,
    sighting: Arc<Sighting>,
    scan: Scan,
    /// Of the switches, in their order: has it been set off by this answer?
    off: Vec<bool>,
    /// Nothing more goes out.
    shut: bool,
}

fn searches(armed: &Armed) -> bool {
    matches!(armed.switch.on, Trigger::Finds { .. })
}

impl Scanning {
    /// `None` if no switch asks what answers hold.
    pub fn of(gateway: &Arc<Gateway>, sighting: Option<&Arc<Sighting>>) -> Option<Box<Self>> {
        let sighting = sighting.filter(|sighting| sighting.armed.iter().any(searches))?.clone();
        let off = sighting.armed.iter().map(|armed| !searches(armed)).collect();
        let scan = Scan::new(gateway.vault.traces());
        Some(Box::new(Self { gateway: gateway.clone(), sighting, scan, off, shut: false }))
    }

    /// May this piece go out?
    pub fn passes(&mut self, piece: &[u8]) -> bool {
        if !self.shut {
            self.scan.push(piece);
            self.look();
        }
        !self.shut
    }

    /// Is the answer, now that it has ended, one that may have gone out?
    pub fn ends_clean(&mut self) -> bool {
        if !self.shut {
            self.scan.finish();
            self.look();
        }
        !self.shut
    }

    fn look(&mut self) {
        let (at, watch) = (Timestamp::now(), &self.gateway.watch);
        for (armed, off) in self.sighting.armed.iter().zip(&mut self.off).filter(|(_, off)| !**off) {
            let Trigger::Finds { count, kinds } = armed.switch.on else { continue };
            if self.scan.finds().of(kinds) < count {
                continue;
            }
            *off = true;
            if armed.deed != Deed::Alert {
                self.shut = true;
                // At once: what is written down meanwhile must not keep an answer alive.
                self.gateway.switchboard.stop(&armed.flag);
            }
            let trip = watch.sees(armed, self.sighting.call, Sign::Held(self.scan.finds()), at);
            drop(trip.and_then(|trip| watch.begin(trip)));
        }
    }
}
