//! What happens at random in `differential`: each turn asks Redis and the book the same, and compares what they say.

use std::sync::Arc;

use futures_util::future::join_all;

use super::differential::{World, same};
use crate::adapters::ledger::Ledger;
use crate::rules::books::Control;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Correct, End, Known, Line, Reserve, Settle};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::simulation::world::{AGENTS, all_shapes, lines_of};
use crate::rules::ledger::entry::Op;
use crate::rules::ledger::rates::{Rate, add};
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::CallId;
use crate::units::time::Window;

impl World<'_> {
    pub async fn step(&mut self) {
        match self.dice.roll(44) {
            0..=13 => self.reserve().await,
            14..=23 => self.settle().await,
            24..=26 => self.resize().await,
            27..=28 => self.renew().await,
            29..=31 => self.pass_time().await,
            32..=33 => self.expire().await,
            34..=35 => self.adjust().await,
            36 => self.correct().await,
            37 => self.restart().await,
            38 => self.toggle_flag().await,
            39..=40 => self.change_shapes().await,
            41 => self.check().await,
            42 => self.deny().await,
            _ => self.reserve_again().await,
        }
    }

    async fn pass_time(&mut self) {
        let secs = self.dice.pick(&[1, 7, 29, 31, 60, 61, 1800, 3600, 23 * 3600, 25 * 3600, -5]).unwrap_or(1);
        self.pass_secs(secs).await;
    }

    /// Mostly one that is open, sometimes any, also one that never was.
    fn some_hold(&mut self) -> u32 {
        let all: Vec<u32> = (1..=self.next).collect();
        let open: Vec<u32> = all.iter().copied().filter(|n| self.rig.book.is_open(id(*n))).collect();
        let from = if self.dice.roll(4) > 0 && !open.is_empty() { open } else { all };
        self.dice.pick(&from).unwrap_or(1)
    }

    fn some_amounts(&mut self) -> Amounts {
        amounts(self.dice.roll(80), self.dice.roll(30), self.dice.roll(3), self.dice.roll(10))
    }

    fn lines(&mut self, agent: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for shape in self.shapes.clone() {
            for line in lines_of(agent, &shape).iter().cloned() {
                let amount = match shape.window.keeps_charges() {
                    true => [40, 100, 300][self.dice.roll(3) as usize],
                    false => 1 + self.dice.roll(4),
                };
                match self.dice.roll(4) {
                    0 => lines.push(line),
                    1 => lines.push(observed(limited(line, amount))),
                    _ => lines.push(limited(line, amount)),
                }
            }
        }
        if self.dice.roll(4) == 0 {
            lines.push(limited(line(agent, Unit::Usd, Window::Day), 50));
        }
        // Two limits on one account are one count.
        if let (0, Some(twice)) = (self.dice.roll(5), lines.first().cloned()) {
            lines.push(limited(twice, 60));
        }
        lines
    }

    /// Few cells, some of them slower than any test, with bursts that differ from call to call.
    fn some_rates(&mut self, agent: &str) -> Arc<[Rate]> {
        let mut rates = Vec::new();
        for _ in 0..self.dice.roll(4).saturating_sub(1) {
            let interval = [333_333, 20_000_000, 3_600_000_000][self.dice.roll(3) as usize];
            let (cell, rule) = (AccountName(format!("agent:{agent} rate {interval}us").into()), "p: slowly".into());
            let (burst, cost) = (1 + self.dice.roll(4), 1 + self.dice.roll(2) * self.dice.roll(3));
            let slots = if self.dice.roll(3) == 0 { 1 + self.dice.roll(3) } else { 1 };
            add(&mut rates, Rate { cell, interval, burst, cost, slots, rule, enforce: self.dice.roll(4) > 0 });
        }
        rates.into()
    }

    fn some_ask(&mut self, n: u32) -> Reserve {
        let agent = self.dice.pick(&AGENTS).unwrap_or("a");
        let lines = self.lines(agent);
        let (fixed, floor) = (self.dice.roll(60), 1 + self.dice.roll(10));
        let mut ask = match self.dice.roll(2) {
            0 => ask(n, &lines, fixed),
            _ => fitted(n, &lines, fixed, floor, floor + self.dice.roll(60)),
        };
        // Prices that are no whole micro-cents.
        ask.need.usd.0 += u128::from(self.dice.roll(3) * 3_333);
        if let (Some(fit), 0) = (&mut ask.need.fit, self.dice.roll(2)) {
            fit.usd_per_token.0 = u128::from(1 + self.dice.roll(25_000));
            fit.tokens_per_token = 1 + self.dice.roll(2);
            fit.share.0 = [1, 25, 33, 100][self.dice.roll(4) as usize];
        }
        (ask.need.tokens, ask.need.risk) = (self.dice.roll(20), self.dice.roll(3) * 5);
        if self.dice.roll(3) == 0 {
            let key = self.dice.roll(2) as u8 + if agent == "a" { 0 } else { 2 };
            ask = keyed(ask, key);
        }
        ask.rates = self.some_rates(agent);
        ask.opening.facts = (self.dice.roll(20) > 0).then(|| facts(agent).into());
        ask.flags = Flag::over(&facts(agent)).into();
        ask
    }

    fn new_ask(&mut self) -> Reserve {
        self.next += 1;
        self.some_ask(self.next - 1)
    }

    async fn reserve(&mut self) {
        let ask = self.new_ask();
        self.reserve_both(ask).await;
        if self.dice.roll(2) == 0 {
            self.reserve_together().await;
        }
    }

    /// Calls that go together are decided in their order, each as if it were alone. The shapes are known by now, so that none
    /// must ask again.
    async fn reserve_together(&mut self) {
        let asks: Vec<Reserve> = (0..2 + self.dice.roll(4)).map(|_| self.new_ask()).collect();
        let answers = join_all(asks.iter().map(|ask| self.one.reserve(ask.clone()))).await;
        for (ask, answer) in asks.into_iter().zip(answers) {
            self.say(|| {
                format!("together: {} key {:?} {:?} on {:?}: {answer:?}", ask.hold, ask.replay, ask.need, ask.lines)
            });
            same(answer, self.rig.try_reserve(ask));
        }
    }

    /// Under the id of a call that was there before, open or ended.
    async fn reserve_again(&mut self) {
        let n = self.some_hold();
        let ask = self.some_ask(n);
        if n < self.next && self.rig.book.postings(id(n)).is_some() {
            self.reserve_both(ask).await;
        }
    }

    async fn reserve_both(&mut self, ask: Reserve) {
        let answer = self.one.reserve(ask.clone()).await;
        self.say(|| format!("reserve {} key {:?} {:?} on {:?}: {answer:?}", ask.hold, ask.replay, ask.need, ask.lines));
        same(answer, self.rig.try_reserve(ask));
    }

    async fn settle(&mut self) {
        let ends: Vec<(u32, End)> = (0..1 + self.dice.roll(3)).map(|_| (self.some_hold(), self.some_end())).collect();
        let node = self.any();
        let settle = |(n, end): &(u32, End)| Settle { hold: id(*n), end: end.clone(), closing: closing(*n) };
        let answers = join_all(ends.iter().map(|end| node.settle(settle(end)))).await;
        for ((n, end), answer) in ends.into_iter().zip(answers) {
            self.say(|| format!("settle {n} {end:?}: {answer:?}"));
            same(answer, self.rig.settle(n, end));
        }
    }

    fn some_end(&mut self) -> End {
        let charge = self.some_amounts();
        match self.dice.roll(6) {
            0 => End::Release,
            1 => End::Commit { charge: Amounts::ZERO, exact: true },
            2 => End::Commit { charge: Amounts::ZERO, exact: false },
            3 => End::Commit { charge, exact: false },
            _ => End::Commit { charge, exact: true },
        }
    }

    async fn resize(&mut self) {
        let (n, step, to) = (self.some_hold(), self.dice.roll(4) as u32, self.some_amounts());
        let answer = self.one.resize(id(n), step, to).await;
        self.say(|| format!("resize {n} step {step} {to:?}: {answer:?}"));
        same(answer, self.rig.resize(n, step, to));
    }

    async fn renew(&mut self) {
        let n = self.some_hold();
        let answer = self.any().renew(id(n)).await;
        self.say(|| format!("renew {n}: {answer:?}"));
        same(answer, self.rig.book.renew(self.rig.now, id(n)));
    }

    /// In the order in which the scripts did it: the book's own order is any.
    pub async fn expire(&mut self) {
        let mut due = self.rig.book.due(self.rig.now.max(self.rig.book.now()));
        let count = self.any().expire_due().await.expect("it answers");
        let expired = |op: &Op| if let Op::Expire { hold, .. } = op { Some(*hold) } else { None };
        let order: Vec<CallId> = self.new_events().await.iter().filter_map(|e| expired(&e.op)).collect();
        self.say(|| format!("expire {order:?}"));
        assert_eq!(count, due.len());
        for hold in &order {
            let ops = self.rig.book.expire(self.rig.now, *hold);
            self.rig.write(ops);
        }
        let mut order = order;
        order.sort();
        due.sort();
        assert_eq!(order, due, "redis on the left");
    }

    async fn adjust(&mut self) {
        let (n, step, charge) = (self.some_hold(), self.dice.roll(4) as u32, self.some_amounts());
        let exact = self.dice.roll(2) == 0;
        let answer = self.any().adjust(id(n), step, charge, exact, act()).await;
        self.say(|| format!("adjust {n} step {step} {charge:?} {exact}: {answer:?}"));
        same(answer, self.rig.adjust(n, step, charge, exact));
    }

    /// What the ledger has forgotten, the books know.
    async fn correct(&mut self) {
        let n = self.some_hold();
        self.deny().await;
        self.expire().await;
        let Some(known) = self.known(n) else { return };
        let (charge, exact) = (self.some_amounts(), self.dice.roll(2) == 0);
        let ask = Correct { hold: id(n), charge, exact, act: act(), known };
        let answer = self.any().correct(ask.clone()).await;
        self.say(|| format!("correct {ask:?}: {answer:?}"));
        let ops = self.rig.book.correct(self.rig.now, ask);
        let wrote = ops.map(|ops| self.rig.write(ops)).map(|()| self.rig.book.seq());
        same(answer, wrote);
    }

    fn known(&self, n: u32) -> Option<Known> {
        let mut known: Option<Known> = None;
        for entry in self.rig.journal.iter().filter(|e| e.op.call() == Some(id(n))) {
            match (&entry.op, &mut known) {
                (Op::Reserve { postings, row, .. }, known) => {
                    let (charge, repeats) = (Amounts::ZERO, row.repeats.is_some());
                    let (taken, facts, postings) = (entry.at, row.facts.clone(), postings.clone());
                    *known = Some(Known { taken, facts, charge, postings, repeats, step: 0 });
                }
                (Op::Commit { charge, .. } | Op::Expire { charge, .. }, Some(known)) => known.charge = *charge,
                (Op::Release { kept, .. }, Some(known)) => known.charge = kept.map_or(Amounts::ZERO, |k| k.money),
                (Op::Adjust { charge, step, .. }, Some(known)) => {
                    (known.charge, known.step) = (*charge, known.step.max(*step));
                }
                _ => {}
            }
        }
        known
    }

    async fn deny(&mut self) {
        self.next += 1;
        let row = opening(self.next - 1);
        let seq = self.any().deny(row.clone()).await;
        self.rig.write([Some(Op::Deny { row: Box::new(row) })]);
        same(seq, Ok(self.rig.book.seq()));
    }

    async fn toggle_flag(&mut self) {
        let flag = Flag::Agent { tenant: "default".into(), name: self.dice.pick(&AGENTS).unwrap_or("a").into() };
        self.say(|| format!("toggle {flag}"));
        let set = self.rig.book.flags().any(|f| *f == flag);
        let control = if set { Control::Restored { flag, act: act() } } else { Control::Stopped { flag, act: act() } };
        let seq = self.any().control(control.clone()).await;
        self.rig.write([Some(Op::Control { control })]);
        same(seq, Ok(self.rig.book.seq()));
    }

    async fn change_shapes(&mut self) {
        let Some(shape) = self.dice.pick(&all_shapes()) else { return };
        if self.shapes.contains(&shape) { self.undeclare(shape).await } else { self.declare(shape).await }
    }
}
