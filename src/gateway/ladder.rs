//! How exactly a call must be bounded, in step 3: by its bytes first. Only if that much does not fit, its texts are counted here,
//! where that can be done; then the vendor is asked for its own count, if the policy allows the extra request. What still does not
//! fit is refused, or given a lower output limit, as the policy says. Counts nothing itself: `rules::vendors::count` does.

use super::admit::{Judged, Known, Sendable};
use super::look_up;
use super::problem::Problem;
use super::refusal::About;
use super::reserve::{self, Asking, Attempt, Ends, HeldCall};
use crate::adapters::vault::DEFAULT;
use crate::rules::ledger::ask::Cause;
use crate::rules::policy::{Code, Denial, Permit};
use crate::rules::subject::Name;
use crate::rules::vendors::count::{self, Encoding};
use crate::rules::vendors::look_up::Question;
use crate::rules::vendors::{Counted, Estimate, Price, Unpriceable};
use crate::units::amount::Unit;
use crate::units::ids::Digest32;

/// What would bound a call better than what is known of it.
#[derive(Default)]
struct Better {
    here: Option<Encoding>,
    there: Option<Question>,
}

/// A call on its way up.
struct Climb {
    counted: Counted,
    /// The next rung; none left, if empty.
    better: Better,
    /// Before the first refusal nobody looks what would be better.
    looked: bool,
}

/// What an estimate still lacks.
enum Next {
    /// What an earlier call made, of this name at this place.
    Recall(Digest32, String),
    LookUp(Permit, Vec<Question>),
}

/// A yes, and at most how much.
type Estimated = (Permit, (Estimate, Option<Denial>));

impl Judged<'_> {
    /// Decides once, under the policies as they stand. `None`: they changed while it waited.
    pub async fn attempt(
        &self,
        body: &Sendable,
        about: &mut About,
        ends: &mut Ends,
    ) -> Result<Option<(Box<HeldCall>, Name)>, Problem> {
        let looked = !self.price().is_some_and(Price::may_be_counted);
        let mut climb = Climb { counted: Counted::Nothing, better: Better::default(), looked };
        loop {
            // A call that a better count may let through does not wait for others to end.
            let patient = climb.looked && climb.better.is_none();
            let refused = match self.tried(body, about, ends, climb.counted, patient).await {
                Err(problem) if !patient => problem,
                tried => return tried,
            };
            if !climb.looked && is_too_much(&refused) {
                climb.better = self.better(body)?;
            }
            climb.looked = true;
            if is_too_much(&refused) && !climb.better.is_none() {
                climb.counted = self.counted(body, &mut climb.better, climb.counted, about).await?;
            } else if worth_waiting(&refused) {
                climb.better = Better::default();
            } else {
                return Err(refused);
            }
        }
    }

    async fn tried(
        &self,
        body: &Sendable,
        about: &mut About,
        ends: &mut Ends,
        counted: Counted,
        patient: bool,
    ) -> Result<Option<(Box<HeldCall>, Name)>, Problem> {
        let (permit, (estimate, unpriced)) = self.estimated(body, about, counted).await?;
        // First a seat, then the door: a flag that the door did not know yet ends the call in its seat.
        let seat = self.gateway.switchboard.enter(self.context.call, self.facts.clone());
        self.door()?;
        self.ready(&permit)?;
        let asking = Asking { permit: &permit, estimate, unpriced, body: body.bytes(), patient, seat };
        Ok(match reserve::reserve(self, asking, ends, about).await? {
            Attempt::Held(held) => Some((held, permit.credential().cloned().unwrap_or_else(|| Name::from(DEFAULT)))),
            Attempt::Again => None,
        })
    }

    /// Yes, and at most how much. What the request does not say is looked up, if the policy allows that.
    async fn estimated(&self, body: &Sendable, about: &mut About, counted: Counted) -> Result<Estimated, Problem> {
        let (mut found, mut recalled, mut sought) = (Vec::new(), None, false);
        loop {
            let next = {
                let args = self.args(body)?;
                let permit = self.decide(&args)?;
                // Few calls name an earlier one, so whose memory it is is asked then.
                let remembered = |id: &str, row: &str| self.memory(&permit).recall(id, row);
                let known = Known { found: &found, recalled: recalled.as_ref(), counted, remembered: &remembered };
                let ask = self.ask(&permit, &args, body.bytes(), known);
                let named = if sought { None } else { ask.recalls() };
                let wanted = if permit.may_look_up() { ask.questions() } else { Vec::new() };
                match named {
                    Some(named) => Next::Recall(self.memory(&permit).place(), named),
                    None if wanted.is_empty() => {
                        about.tier = Some(permit.tier());
                        let estimate = self.estimate(&permit, ask)?;
                        return Ok((permit, estimate));
                    }
                    None => Next::LookUp(permit, wanted),
                }
            };
            let (permit, wanted) = match next {
                Next::LookUp(permit, wanted) => (permit, wanted),
                Next::Recall(place, named) => {
                    let vendor = &self.place.vendor.name;
                    (recalled, sought) = (self.gateway.recall(vendor, place, &named).await?, true);
                    continue;
                }
            };
            self.door()?;
            self.ready(&permit)?;
            let asked = look_up::ask(self, &permit, wanted, found.len(), about).await;
            found.extend(asked);
        }
    }

    fn better(&self, body: &Sendable) -> Result<Better, Problem> {
        let args = self.args(body)?;
        let permit = self.decide(&args)?;
        let known = Known { found: &[], recalled: None, counted: Counted::Nothing, remembered: &|_, _| None };
        let ask = self.ask(&permit, &args, body.bytes(), known);
        let there = if permit.may_look_up() { ask.count_question() } else { None };
        Ok(Better { here: ask.encoding(), there })
    }

    /// One rung up. What cannot be counted leaves what was known.
    async fn counted(
        &self,
        body: &Sendable,
        better: &mut Better,
        before: Counted,
        about: &mut About,
    ) -> Result<Counted, Problem> {
        if let (Some(encoding), Some(bytes)) = (better.here.take(), body.bytes().cloned()) {
            // It takes too long for a thread that serves others.
            let fewer = tokio::task::spawn_blocking(move || count::fewer(&bytes, encoding)).await;
            return Ok(fewer.map_or(before, Counted::Fewer));
        }
        let Some(question) = better.there.take() else { return Ok(before) };
        let permit = self.decide(&self.args(body)?)?;
        self.door()?;
        self.ready(&permit)?;
        let found = look_up::ask(self, &permit, vec![question], 0, about).await;
        let told = found.into_iter().find_map(|found| count::told(&found.answer.ok()?));
        Ok(told.map_or(before, Counted::Whole))
    }
}

impl Better {
    fn is_none(&self) -> bool {
        self.here.is_none() && self.there.is_none()
    }
}

/// Would a smaller bound help?
fn is_too_much(problem: &Problem) -> bool {
    match problem {
        // A count says less money and fewer tokens; where none are left, no count is small enough.
        Problem::Budget(short) => matches!(short.unit, Unit::Usd | Unit::Tokens) && short.spent < short.limit.amount,
        Problem::Denied(denial) => denial.code == Code::CallLimit,
        Problem::Unpriceable(why) => matches!(why, Unpriceable::Unbounded { .. }),
        Problem::Approval(awaited) => awaited.is_unasked(),
        _ => false,
    }
}

/// Only other calls, the pace, or a person's word stand in its way.
fn worth_waiting(problem: &Problem) -> bool {
    let unasked = matches!(problem, Problem::Approval(awaited) if awaited.is_unasked());
    unasked
        || matches!(problem, Problem::Rate(_))
        || matches!(problem, Problem::Budget(short) if short.cause == Cause::Held)
}
