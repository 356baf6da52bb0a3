//! Switches of policies, as calls meet them: a call that comes, is refused, ends, or whose answer holds what it should not, is a
//! sign for those that watch it. Keeps what each has seen of each key, run or agent, on this node; `rules::watch` judges, and
//! `app` has the trip carried out. A call that no switch watches never comes here.

mod scanning;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;

use super::Gateway;
use super::admit::{Judged, Sendable};
use super::problem::Problem;
use super::refusal::About;
use super::reserve::which;
use crate::rules::books::Outcome;
use crate::rules::policy::{Armed, Deed, Trip};
use crate::rules::subject::{Facts, Flag, Name};
use crate::rules::watch::{Sign, State};
use crate::units::ids::CallId;
use crate::units::money::MicroCents;
use crate::units::table::Table;
use crate::units::time::Timestamp;

pub use scanning::Scanning;

/// Turns something off, or says so; begins at once, also if nobody waits for it.
pub type Tripper = Arc<dyn Fn(Trip) -> BoxFuture<'static, ()> + Send + Sync>;

/// Rules and whom they count, remembered at once. Of more than that, those are forgotten that were seen longest ago.
const MOST: usize = 8192;
/// A call that sets a switch off waits so long for it to hold, so that the next one meets it.
const WAIT: Duration = Duration::from_secs(1);
/// One rule says the same of one key, run or agent so often.
const ALERT_SECS: i64 = 60;
/// Under this name bursar itself watches for the credential that a call was sent with.
const OWN_RULE: &str = "bursar: alert on its own credential in an answer";

/// What all switches have seen on this node.
#[derive(Default)]
pub struct Watch {
    kept: Mutex<Table<(Name, Flag), Kept>>,
    tripper: OnceLock<Tripper>,
}

#[derive(Default)]
struct Kept {
    state: State,
    seen: Timestamp,
    quiet_until: Timestamp,
}

/// A call, as the switches that watch it see it.
pub struct Sighting {
    armed: Arc<[Armed]>,
    /// What tells it from other requests, if one of them counts repeats.
    which: Option<String>,
    call: CallId,
}

impl Watch {
    /// Set once, when the operators' side is there.
    pub fn trips_by(&self, tripper: Tripper) {
        // There is one.
        let _ = self.tripper.set(tripper);
    }

    async fn tell(&self, sighting: &Sighting, sign: Sign<'_>) {
        let at = Timestamp::now();
        let tripped = sighting.armed.iter().filter_map(|armed| self.sees(armed, sighting.call, sign, at));
        let trips: Vec<BoxFuture<'static, ()>> = tripped.filter_map(|trip| self.begin(trip)).collect();
        if !trips.is_empty() {
            // What takes longer goes on without this call.
            let _ = tokio::time::timeout(WAIT, join_all(trips)).await;
        }
    }

    fn sees(&self, armed: &Armed, call: CallId, sign: Sign<'_>, at: Timestamp) -> Option<Trip> {
        let Armed { switch, deed, flag } = armed;
        let measured = {
            let mut kept = self.kept.lock();
            let kept = remembered(&mut kept, (switch.rule.clone(), flag.clone()), at);
            let measured = switch.on.sees(&mut kept.state, sign, at)?;
            kept.may_say(*deed, at).then_some(measured)?
        };
        let (rule, trigger) = (switch.rule.clone(), switch.on.as_str());
        Some(Trip { rule, trigger, deed: *deed, flag: flag.clone(), measured, call })
    }

    fn begin(&self, trip: Trip) -> Option<BoxFuture<'static, ()>> {
        self.tripper.get().map(|tripper| tripper(trip))
    }

    /// Stars stood in for it, so nothing left; whatever the policy, somebody must hear that the vendor sent it back.
    pub fn own_credential(&self, facts: &Facts, call: CallId) {
        let (Some(id), rule) = (facts.keys.first(), Name::from(OWN_RULE)) else { return };
        let (flag, at) = (Flag::Key { id: id.clone() }, Timestamp::now());
        let say = remembered(&mut self.kept.lock(), (rule.clone(), flag.clone()), at).may_say(Deed::Alert, at);
        if say {
            let measured =
                format!("an answer of {} held the credential that it was sent; it was starred out", facts.vendor);
            drop(self.begin(Trip { rule, trigger: "own_credential", deed: Deed::Alert, flag, measured, call }));
        }
    }
}

impl Kept {
    fn may_say(&mut self, deed: Deed, at: Timestamp) -> bool {
        if deed == Deed::Alert && at < self.quiet_until {
            return false;
        }
        self.quiet_until = at.plus_secs(ALERT_SECS);
        true
    }
}

fn remembered(all: &mut Table<(Name, Flag), Kept>, place: (Name, Flag), at: Timestamp) -> &mut Kept {
    if all.len() >= MOST && !all.contains_key(&place) {
        let mut seen: Vec<Timestamp> = all.values().map(|kept| kept.seen).collect();
        let (_, middle, _) = seen.select_nth_unstable(MOST / 2);
        let middle = *middle;
        all.retain(|_, kept| kept.seen > middle);
    }
    let kept = all.entry(place).or_default();
    kept.seen = at;
    kept
}

/// Before it is decided: a call that sets a switch off is the first that it refuses.
pub async fn came(judged: &Judged<'_>, body: &Sendable) -> Option<Arc<Sighting>> {
    let armed = judged.ground.armed.clone()?;
    let tells = armed.iter().any(|armed| armed.switch.on.tells_apart());
    let which = tells.then(|| which(judged, body.bytes()));
    let sighting = Arc::new(Sighting { armed, which, call: judged.context.call });
    judged.gateway.watch.tell(&sighting, Sign::Came { which: sighting.which.as_deref() }).await;
    Some(sighting)
}

/// bursar's own no. What is already off is not counted once more, nor what is no fault of the caller's.
pub async fn refused(gateway: &Gateway, call: CallId, about: &About, problem: &Problem) {
    if !is_refusal(problem) {
        return;
    }
    let watch = &gateway.watch;
    match (&about.sighting, about.facts()) {
        (Some(sighting), _) => watch.tell(sighting, Sign::Refused { which: sighting.which.as_deref() }).await,
        (None, Some(facts)) => {
            let armed: Arc<[Armed]> = gateway.policies.current().armed(&facts).into();
            watch.tell(&Sighting { armed, which: None, call }, Sign::Refused { which: None }).await;
        }
        (None, None) => {}
    }
}

fn is_refusal(problem: &Problem) -> bool {
    use Problem::{
        Advised, Budget, Denied, Malformed, NoVendor, NotMinted, Path, Rate, TooLarge, Unpriceable, Unreadable,
    };
    matches!(
        problem,
        Denied(_)
            | Budget(_)
            | Advised(_)
            | Rate(_)
            | Unpriceable(_)
            | Unreadable(_)
            | Malformed(_)
            | Path(_)
            | NoVendor(_)
            | TooLarge(_)
            | NotMinted { .. }
    )
}

/// How a call ended, what the vendor said, and what it was charged.
pub async fn ended(gateway: &Gateway, sighting: &Sighting, how: (Outcome, Option<u16>, MicroCents)) {
    let which = sighting.which.as_deref();
    let sign = match how {
        (Outcome::Aborted, ..) => None,
        (_, Some(429 | 500..), _) | (Outcome::Unknown | Outcome::Unreachable, ..) => Some(Sign::Failed { which }),
        (_, Some(200..400), _) => Some(Sign::WentWell { which }),
        _ => None,
    };
    if let Some(sign) = sign {
        gateway.watch.tell(sighting, sign).await;
    }
    gateway.watch.tell(sighting, Sign::Spent(how.2)).await;
}
