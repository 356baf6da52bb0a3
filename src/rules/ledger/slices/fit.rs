//! Does a need fit what slices have room for, and how much of a fitted one? The arithmetic of `book`'s own limits, with the
//! room of a slice for what is left.

use crate::rules::ledger::need::Need;
use crate::units::amount::Unit;

/// The output limit that all rooms admit (what was wanted, unless fitted); `None` if the least does not fit somewhere.
pub fn granted(need: &Need, rooms: impl IntoIterator<Item = (Unit, u64)>) -> Option<u64> {
    let least = need.least();
    let want = need.fit.as_ref().map_or(0, |f| f.want);
    rooms.into_iter().try_fold(want, |granted, (unit, room)| {
        let least = least.of(unit);
        if least > room {
            return None;
        }
        let Some(fit) = &need.fit else { return Some(granted) };
        let share = least.max(fit.share.of(room)).min(room);
        need.largest(unit, share).map(|n| granted.min(n.max(fit.floor.min(fit.want))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ledger::book::rig::{ask, fitted};

    #[test]
    fn the_smallest_room_decides() {
        let fixed = ask(1, &[], 50).need;
        assert_eq!(granted(&fixed, [(Unit::Usd, 50), (Unit::Calls, 1)]), Some(0));
        assert_eq!(granted(&fixed, [(Unit::Usd, 49), (Unit::Calls, 1)]), None);
        assert_eq!(granted(&fixed, [(Unit::Usd, 50), (Unit::Calls, 0)]), None);
        let fits = fitted(1, &[], 10, 5, 100).need;
        assert_eq!(granted(&fits, [(Unit::Usd, 1000)]), Some(100), "a quarter of it is enough");
        assert_eq!(granted(&fits, [(Unit::Usd, 200)]), Some(40), "a quarter of it, less the fixed part");
        assert_eq!(granted(&fits, [(Unit::Usd, 15)]), Some(5), "the floor");
        assert_eq!(granted(&fits, [(Unit::Usd, 14)]), None);
    }
}
