//! How holds of the simulation go on and end: the ledger and its shadow do the same.

use super::driven::Driven;
use super::shadow::{Call, Money, State};
use super::world::World;
use crate::rules::ledger::ask::{End, LEASE_SECS, Reservation, Settled};
use crate::rules::ledger::book::rig::*;
use crate::units::amount::Amounts;

impl<L: Driven> World<L> {
    pub(super) fn pick(&mut self, states: &[State]) -> Option<u32> {
        let of: Vec<u32> =
            self.shadow.calls.iter().filter(|(_, c)| states.contains(&c.state)).map(|(n, _)| *n).collect();
        self.dice.pick(&of)
    }

    pub(super) fn settle(&mut self) {
        let states: &[State] = if self.dice.roll(6) == 0 { &[State::Expired] } else { &[State::Open] };
        let Some(n) = self.pick(states).filter(|n| self.ledger.remembers(*n)) else { return };
        let charge = amounts(self.dice.roll(80), self.dice.roll(30), 1, 0);
        let end = match self.dice.roll(6) {
            0 => End::Release,
            1 => End::Commit { charge: Amounts::ZERO, exact: true },
            2 => End::Commit { charge: Amounts::ZERO, exact: false },
            3 => End::Commit { charge, exact: false },
            _ => End::Commit { charge, exact: true },
        };
        let late = self.shadow.calls[&n].state == State::Expired;
        let settled = self.ledger.settle(n, end.clone()).expect("the hold is known");
        self.say(|| format!("settle {n} {end:?}: {settled:?}"));
        self.settled(n, &end);
        let g = &self.shadow.groups[self.shadow.calls[&n].group];
        let passed = g.bearer != n && !g.ended && g.inherited && settled == Settled::Passed;
        assert!(passed || settled == if late { Settled::Adjusted } else { Settled::Done }, "{settled:?}");
        assert_eq!(self.ledger.settle(n, end), Ok(Settled::Again));
    }

    pub(super) fn settled(&mut self, n: u32, end: &End) {
        let (call, money) = (&self.shadow.calls[&n], |a: &Amounts| Money { usd: a.usd.0, tokens: a.tokens });
        let (word, own) = match end {
            End::Release => (None, (0, 0)),
            End::Commit { charge, exact: true } => (Some((money(charge), true)), (charge.calls, charge.risk)),
            End::Commit { charge, exact: false } => {
                // A late end is measured by what was held, which is what the expiry charged.
                (Some((money(charge), false)), (charge.calls.max(call.own.0), charge.risk.max(call.own.1)))
            }
        };
        self.shadow.end(n, State::Over, word, own);
    }

    pub(super) fn expire(&mut self) {
        let clock = self.ledger.lease_clock();
        let due = |c: &Call| c.state == State::Open && c.lease <= clock;
        let due: Vec<u32> = self.shadow.calls.iter().filter(|(_, c)| due(c)).map(|(n, _)| *n).collect();
        self.say(|| format!("expire {due:?}"));
        assert_eq!(self.ledger.expire_due(), due.len());
        for n in due {
            let own = self.shadow.calls[&n].own;
            self.shadow.end(n, State::Expired, Some((Money::default(), false)), own);
        }
    }

    pub(super) fn renew(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let now = self.now();
        self.ledger.renew(n).expect("it is open");
        let lease = &mut self.shadow.calls.get_mut(&n).expect("just picked").lease;
        *lease = (*lease).max(now.plus_secs(LEASE_SECS));
    }

    pub(super) fn resize(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let to = amounts(self.dice.roll(60), self.dice.roll(20), self.dice.roll(2), self.dice.roll(10));
        let (call, step) = (self.shadow.calls[&n].clone(), self.shadow.calls[&n].step + 1);
        let answer = self.ledger.resize(n, step, to);
        self.say(|| format!("resize {n} {to:?}: {answer:?}"));
        let group = &mut self.shadow.groups[call.group];
        let shared = group.bearer != n || group.inherited;
        let wanted = if shared { Money { usd: 0, tokens: 0 } } else { Money { usd: to.usd.0, tokens: to.tokens } };
        let old = if shared { Money::default() } else { group.bound };
        let grows = wanted.usd > old.usd || wanted.tokens > old.tokens || to.calls > call.own.0 || to.risk > call.own.1;
        match answer {
            Ok(Reservation::Held(_)) => {
                if !shared {
                    group.bound = wanted;
                }
                let call = self.shadow.calls.get_mut(&n).expect("just picked");
                (call.own, call.step) = ((to.calls, to.risk), step);
                assert!(!grows || n > self.limits_lost, "it cannot grow without its limits");
            }
            Ok(Reservation::Short(_)) => assert!(grows && n > self.limits_lost),
            Err(_) => assert!(grows && n <= self.limits_lost),
            Ok(other) => panic!("{other:?}"),
        }
    }

    pub(super) fn adjust(&mut self) {
        let Some(n) = self.pick(&[State::Over, State::Expired]) else { return };
        let call = self.shadow.calls[&n].clone();
        if self.shadow.groups[call.group].key.is_some() || !self.ledger.remembers(n) {
            return;
        }
        let (charge, exact) = (amounts(self.dice.roll(90), self.dice.roll(20), 1, 0), self.dice.roll(2) == 0);
        self.ledger.adjust(n, call.step + 1, charge, exact).expect("it is remembered");
        self.say(|| format!("adjust {n} {charge:?} {exact}"));
        let money = Money { usd: charge.usd.0, tokens: charge.tokens };
        let group = &mut self.shadow.groups[call.group];
        (group.bearer_word, group.bound) = (Some((money, exact)), money);
        let call = self.shadow.calls.get_mut(&n).expect("just picked");
        (call.own, call.step, call.state) = ((1, 0), call.step + 1, State::Over);
    }

    /// The same reserve again changes nothing.
    pub(super) fn repeat_an_operation(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let before = self.ledger.journal().len();
        assert!(matches!(self.ledger.reserve(ask(n, &[], 1)), Reservation::Held(_)));
        assert_eq!(self.ledger.journal().len(), before);
    }
}
