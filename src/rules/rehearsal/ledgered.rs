//! The last steps of a play: rates, risk and budgets, asked of the rehearsal's own ledger, and what it said of each.

use super::Rehearsal;
use super::play::Placed;
use super::played::Played;
use crate::rules::books::{Opening, Verdict};
use crate::rules::ledger::ask::{Held, Limit, Line, Manner, Reservation, Reserve, Short};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates::{self, Limited};
use crate::rules::policy::{Denial, Outline, Reason, Said, Step};
use crate::rules::subject::Name;
use crate::units::amount::{Amounts, Unit};

impl Rehearsal {
    /// Rates, risk and budgets. A call that was refused before moves nothing.
    pub(super) fn on_the_book(&mut self, placed: &Placed<'_>, terms: &Outline, need: Need, played: &mut Played) {
        let hold = self.next_call();
        let ask = Reserve {
            hold,
            lines: terms.lines().clone(),
            need: need.clone(),
            rates: rates::of_request(terms.rates(), || placed.which()),
            flags: [].into(),
            replay: None,
            manner: Manner::default(),
            opening: opening(placed, terms, hold),
        };
        for rate in terms.rates().iter() {
            played.look(Step::Rate, rate.rule.clone(), Said::Passes(format!("at most {} at once", rate.most())));
        }
        let states = self.book.accounts(placed.now, terms.lines());
        for (line, state) in terms.lines().iter().zip(&states) {
            played.look_at_line(line, state.spent + state.held, &need);
        }
        let (because, noted) = terms.asked(&need, &states);
        if !played.goes() || !because.is_empty() {
            // Asked, and not written.
            if let Ok((answer, _)) = self.book.reserve(placed.now, ask) {
                played.answered(answer, &need);
            }
            // A call that a spent budget refuses asks nobody.
            because.iter().for_each(|rule| played.asks(rule, true));
            noted.iter().for_each(|rule| played.asks(rule, false));
            return;
        }
        noted.iter().for_each(|rule| played.asks(rule, false));
        if let Some(answer) = self.reserve(placed.now, ask) {
            played.hold = matches!(answer, Reservation::Held(_)).then_some(hold);
            played.answered(answer, &need);
        }
    }
}

fn opening(placed: &Placed<'_>, terms: &Outline, call: crate::units::ids::CallId) -> Opening {
    Opening {
        call,
        facts: Some(placed.facts.clone()),
        policy_hash: None,
        method: placed.request.method.as_str().into(),
        path: placed.routed.path.as_str().into(),
        endpoint: None,
        action: None,
        tier: Some(terms.tier()),
        verdict: Verdict::Allow,
        enforced: terms.enforced(),
        reason: None,
        estimate: Amounts::ZERO,
        request_hash: None,
        trace_id: None,
        claimed: false,
        repeats: None,
        approved_by: None,
        http_status: None,
    }
}

impl Played {
    fn look_at_line(&mut self, line: &Line, used: u64, need: &Need) {
        let Some(Limit { amount, rule, .. }) = &line.limit else { return };
        let step = if line.unit == Unit::Risk { Step::Risk } else { Step::Budgets };
        let show = |n| line.unit.show(n);
        let needs = need.least().of(line.unit);
        let left = amount.saturating_sub(used);
        let words = format!("needs {} of the {} that are left on {}", show(needs), show(left), line.account);
        self.look(step, rule.clone(), Said::Passes(words));
    }

    /// What the ledger said takes the place of what was noted of that rule.
    fn answered(&mut self, answer: Reservation, need: &Need) {
        match answer {
            Reservation::Held(held) => self.held(&held, need),
            Reservation::Short(short) => self.short(&short, true),
            Reservation::Limited(limited) => self.limited(&limited, true),
            // There are no flags here.
            Reservation::Killed(_) => {}
        }
    }

    fn held(&mut self, held: &Held, need: &Need) {
        if let Some(short) = &held.would_refuse {
            self.short(short, false);
        }
        if let Some(limited) = &held.would_limit {
            self.limited(limited, false);
        }
        let want = need.fit.as_ref().map(|fit| fit.want);
        self.caps = held.fitted.filter(|granted| Some(*granted) < want);
        if self.code.is_none() {
            self.needs = held.amounts;
            if self.caps.is_some() {
                self.verdict = Verdict::AllowWithCaps;
            }
        }
    }

    fn asks(&mut self, rule: &Name, enforced: bool) {
        let sentence = format!("A person is asked before this call leaves, by `{rule}`.");
        let reason = Reason { code: "approval_required", sentence };
        self.look(Step::Approval, rule.clone(), reason.clone().said(enforced));
        self.reason(Verdict::Escalate, enforced, rule, reason);
    }

    fn short(&mut self, short: &Short, enforced: bool) {
        let denial = Denial::short(short);
        self.say(Verdict::Deny, enforced, &denial.rule, Reason::from(&denial));
    }

    fn limited(&mut self, limited: &Limited, enforced: bool) {
        let rule = &limited.rule;
        let (verdict, code, sentence) = match limited.is_loop() {
            true => (Verdict::Deny, "loop_detected", format!("The same call comes more often than `{rule}` allows.")),
            false => (Verdict::RateLimited, "rate_limited", format!("Calls come faster than `{rule}` allows.")),
        };
        self.say(verdict, enforced, rule, Reason { code, sentence });
    }

    fn say(&mut self, verdict: Verdict, enforced: bool, rule: &Name, reason: Reason) {
        if let Some(look) = self.looks.iter_mut().find(|look| look.rule == *rule && look.step >= Step::Rate) {
            look.said = reason.clone().said(enforced);
        }
        self.reason(verdict, enforced, rule, reason);
    }
}
