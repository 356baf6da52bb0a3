//! Keeps the hold of a stream as large as it must be while it runs. As soon as the prompt has been counted by the vendor, what
//! was held for it beyond that is given back; an answer that outgrows its hold asks for more, and ends when there is no more.
//! The ledger is asked in a task of its own: bytes that are here flow on, and only when the hold covers no more of what is spent
//! does the reading wait. Reads no answers; `meter` does, and `flowing` ends the stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::adapters::ledger::LedgerError;
use crate::adapters::ledger::hold::InFlight;
use crate::rules::ledger::ask::{Down, Reservation, Short};
use crate::rules::ledger::need::Need;
use crate::rules::policy::{Denial, Permit};
use crate::rules::vendors::{Plan, Running};
use crate::units::amount::Amounts;
use crate::units::money::{MicroCents, PicoUsd};

/// Why an answer that outgrew its hold goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgrown {
    /// An account has no room for it.
    Short(Box<Short>),
    /// No call may cost so much.
    Call(Denial),
    /// The ledger cannot say.
    Down,
}

/// The hold of one stream, and what is known of its cost.
pub struct Grip {
    permit: Permit,
    /// Only a ceiling stands for what it costs, so that it asks for more before it must.
    ceiling: bool,
    least: Amounts,
    asked: Option<Asked>,
    gave_back: bool,
    /// There was no room for more than it must have.
    modest: bool,
    refused: Option<Outgrown>,
    /// Without the ledger it may cost so much, where the policy lets calls go on then.
    uncovered: Amounts,
    /// The answer has told all that it costs: the end settles it.
    over: bool,
}

/// A question to the ledger.
struct Asked {
    to: Amounts,
    answer: oneshot::Receiver<Result<Reservation, LedgerError>>,
}

impl Grip {
    pub fn new(permit: Permit, plan: &Plan) -> Self {
        Self {
            permit,
            ceiling: plan.unbounded(),
            least: Amounts::ZERO,
            asked: None,
            gave_back: false,
            modest: false,
            refused: None,
            uncovered: Amounts::ZERO,
            over: false,
        }
    }

    /// The answer has said more of what it costs.
    pub fn heard(&mut self, hold: &mut InFlight, running: Running) {
        self.least = self.least.max(&running.least);
        self.over |= running.last;
        if self.over || self.asked.is_some() {
            return;
        }
        if let Some(spare) = running.spare.filter(|_| !self.gave_back) {
            self.gave_back = true;
            self.give_back(hold, &spare);
        } else if self.ceiling && !self.modest && self.is_near(hold.amounts()) {
            self.ask_for_more(hold);
        }
    }

    fn give_back(&mut self, hold: &mut InFlight, spare: &Amounts) {
        let held = *hold.amounts();
        let usd = MicroCents(held.usd.0.saturating_sub(spare.usd.0)).max(self.least.usd);
        let tokens = held.tokens.saturating_sub(spare.tokens).max(self.least.tokens);
        let to = Amounts { usd, tokens, ..held };
        if to != held && to.within(&held) {
            self.ask(hold, to);
        }
    }

    /// Three quarters of it are spent.
    fn is_near(&self, held: &Amounts) -> bool {
        let near = |spent: u64, held: u64| u128::from(spent) * 4 >= u128::from(held) * 3;
        near(self.least.usd.0, held.usd.0) || near(self.least.tokens, held.tokens)
    }

    fn covers(&self, held: &Amounts) -> bool {
        let covered = held.max(&self.uncovered);
        self.least.usd <= covered.usd && self.least.tokens <= covered.tokens
    }

    /// Ready when what is spent is covered; an error when it cannot be.
    pub fn poll(&mut self, hold: &mut InFlight, cx: &mut Context<'_>) -> Poll<Result<(), Outgrown>> {
        loop {
            let covered = self.over || self.covers(hold.amounts());
            if let Some(asked) = &mut self.asked {
                match (Pin::new(&mut asked.answer).poll(cx), covered) {
                    (Poll::Pending, true) => return Poll::Ready(Ok(())),
                    (answer, _) => {
                        let (answer, to) = (ready!(answer), asked.to);
                        self.asked = None;
                        // The task is gone only if the runtime is.
                        let down = |_| LedgerError::Down("bursar is shutting down".to_owned());
                        self.answered(hold, &to, answer.map_err(down).and_then(|answer| answer));
                    }
                }
                continue;
            }
            if covered {
                return Poll::Ready(Ok(()));
            }
            if let Some(refused) = self.refused.take() {
                return Poll::Ready(Err(refused));
            }
            self.ask_for_more(hold);
        }
    }

    /// With room for what is still to come; or, where there was none, for what is spent alone.
    fn ask_for_more(&mut self, hold: &mut InFlight) {
        let held = *hold.amounts();
        loop {
            let more =
                |spent: u64, held: u64| if self.modest { spent } else { spent.max(held).saturating_add(spent / 4) };
            let usd = MicroCents(more(self.least.usd.0, held.usd.0)).max(held.usd);
            let to = Amounts { usd, tokens: more(self.least.tokens, held.tokens).max(held.tokens), ..held };
            let need = Need { calls: to.calls, ..Need::fixed(PicoUsd::from(to.usd), to.tokens) };
            match self.permit.fit_call(&need) {
                Ok(_) => return self.ask(hold, to),
                Err(_) if !self.modest => self.modest = true,
                Err(denial) => return self.refused = Some(Outgrown::Call(denial)),
            }
        }
    }

    /// The ledger is asked again beyond that, and a quarter more: it may be back by then.
    fn go_on_to(&mut self, to: &Amounts) {
        let more = |n: u64| n.saturating_add(n / 4);
        self.uncovered = Amounts { usd: MicroCents(more(to.usd.0)), tokens: more(to.tokens), ..*to };
    }

    fn ask(&mut self, hold: &mut InFlight, to: Amounts) {
        let (tell, answer) = oneshot::channel();
        let resize = hold.resize(to);
        // Nobody listens any more if the call has ended: the ledger then knows no such hold, or ends it with its end.
        tokio::spawn(async move { drop(tell.send(resize.await)) });
        self.asked = Some(Asked { to, answer });
    }

    fn answered(&mut self, hold: &mut InFlight, to: &Amounts, answer: Result<Reservation, LedgerError>) {
        let grows = !to.within(hold.amounts());
        match answer {
            Ok(Reservation::Short(_)) if !self.modest => self.modest = true,
            Ok(Reservation::Short(short)) => self.refused = Some(Outgrown::Short(Box::new(short))),
            Ok(answer) => {
                hold.resized(&answer);
                if grows && !to.within(hold.amounts()) {
                    self.refused = Some(Outgrown::Down);
                }
            }
            Err(error) if grows && matches!(self.permit.manner().down, Down::Open { .. }) => {
                tracing::warn!(%error, "an answer goes on past its hold while the ledger is away");
                self.go_on_to(to);
            }
            Err(error) => {
                tracing::warn!(%error, "the hold of a stream could not be changed");
                // As long as the hold covers what is spent, it may be asked again.
                self.refused = (grows && !self.covers(hold.amounts())).then_some(Outgrown::Down);
            }
        }
    }
}

impl Outgrown {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Short(short) => Denial::short(short).code.as_str(),
            Self::Call(denial) => denial.code.as_str(),
            Self::Down => "store_down",
        }
    }

    pub fn sentence(&self) -> String {
        let why = match self {
            Self::Short(short) => Denial::short(short).sentence,
            Self::Call(denial) => denial.sentence.clone(),
            Self::Down => "The ledger cannot be asked for more now.".to_owned(),
        };
        format!("This answer was ended: it cost more than was held for it, and what came of it is charged. {why}")
    }
}

impl std::fmt::Display for Outgrown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence())
    }
}
