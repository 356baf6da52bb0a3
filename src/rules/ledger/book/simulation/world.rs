//! The world of one seed: rolls what happens next, lets book and shadow do it, and compares them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Dice;
use super::shadow::{Call, Group, Money, Shadow, Slot, State};
use crate::rules::ledger::account::{AccountName, Scope, Shape};
use crate::rules::ledger::ask::{Cause, End, LEASE_SECS, Line, Reservation, Settled};
use crate::rules::ledger::book::rig::*;
use crate::rules::ledger::book::{Book, Sums};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};
use crate::units::time::{Timestamp, Window};

const AGENTS: [&str; 2] = ["a", "b"];

/// Every shape, with the accounts that each agent's calls have on it. Made once: names are long, seeds are many.
static TABLE: LazyLock<Vec<(Shape, [Vec<Line>; 2])>> = LazyLock::new(|| {
    let line = |s: &Shape, account| Line { account, unit: s.unit, window: s.window, limit: None };
    let of = |s: &Shape, agent| s.accounts(&facts(agent)).into_iter().map(|a| line(s, a)).collect();
    all_shapes().into_iter().map(|s| (s.clone(), AGENTS.map(|agent| of(&s, agent)))).collect()
});

fn lines_of(agent: &str, shape: &Shape) -> &'static [Line] {
    let here = TABLE.iter().find(|(s, _)| s == shape).map(|(_, by_agent)| &by_agent[usize::from(agent == AGENTS[1])]);
    here.map_or(&[], Vec::as_slice)
}

pub struct World {
    dice: Dice,
    rig: Rig,
    shadow: Shadow,
    shapes: Vec<Shape>,
    flags: Vec<Flag>,
    next: u32,
    loud: bool,
    /// The last snapshot: the book as text, the entries in it, and the leases as it knows them.
    snapshot: (String, usize, BTreeMap<u32, Timestamp>),
    /// Holds that a crash made forget their limits.
    limits_lost: u32,
}

fn all_shapes() -> Vec<Shape> {
    vec![
        shape(Scope::Agent, Unit::Usd, Window::Minute),
        shape(Scope::Agent, Unit::Usd, Window::Total),
        shape(Scope::Tenant, Unit::Usd, Window::Day),
        shape(Scope::Agent, Unit::Tokens, Window::Hour),
        shape(Scope::Agent, Unit::Calls, Window::Hour),
        shape(Scope::Everyone, Unit::Risk, Window::Month),
    ]
}

impl World {
    pub fn new(seed: u64, loud: bool) -> Self {
        let rig = Rig::new();
        let snapshot = (serde_json::to_string(&rig.book).expect("plain data"), 0, BTreeMap::new());
        let (shadow, dice) = (Shadow::default(), Dice(seed));
        let mut world = Self { dice, rig, shadow, shapes: vec![], flags: vec![], next: 1, loud, snapshot, limits_lost: 0 };
        for shape in all_shapes() {
            if world.dice.roll(3) > 0 {
                world.declare(shape);
            }
        }
        world
    }

    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
            self.compare();
        }
        self.rig.check_replay();
        self.end_all();
        self.compare();
        self.check_each_hold_ended_once();
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{} {}", self.rig.now, what());
        }
    }

    fn step(&mut self) {
        match self.dice.roll(40) {
            0..=13 => self.reserve(),
            14..=24 => self.settle(),
            25..=26 => self.resize(),
            27 => self.renew(),
            28..=30 => self.pass_time(),
            31..=32 => self.expire(),
            33 => self.adjust(),
            34 => self.crash(),
            35 => self.take_snapshot(),
            36 => self.toggle_flag(),
            37..=38 => self.change_shapes(),
            _ => self.repeat_an_operation(),
        }
    }

    fn pass_time(&mut self) {
        let secs = self.dice.pick(&[1, 7, 29, 31, 60, 61, 1800, 3600, 23 * 3600, 25 * 3600, -5]).unwrap_or(1);
        // Beyond the book's own time the wall clock may go back.
        self.rig.pass_secs(secs);
    }

    fn now(&self) -> Timestamp {
        self.rig.now.max(self.rig.book.now())
    }

    // Reserve.

    fn lines(&mut self, agent: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for shape in self.shapes.clone() {
            for line in lines_of(agent, &shape).iter().cloned() {
                let amount = [40, 100, 300][self.dice.roll(3) as usize];
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
        lines
    }

    fn reserve(&mut self) {
        let n = self.next;
        self.next += 1;
        let agent = self.dice.pick(&AGENTS).unwrap_or("a");
        let lines = self.lines(agent);
        let (fixed, floor) = (self.dice.roll(60), 1 + self.dice.roll(10));
        let mut ask = match self.dice.roll(2) {
            0 => ask(n, &lines, fixed),
            _ => fitted(n, &lines, fixed, floor, floor + self.dice.roll(60)),
        };
        (ask.need.tokens, ask.need.risk) = (self.dice.roll(20), self.dice.roll(3) * 5);
        let key = (self.dice.roll(3) == 0).then(|| self.dice.roll(2) as u8 + if agent == "a" { 0 } else { 2 });
        if let Some(key) = key {
            ask = keyed(ask, key);
        }
        ask.opening.facts = Some(facts(agent));
        ask.flags = Flag::over(&facts(agent));
        let answer = self.rig.reserve(ask.clone());
        self.say(|| format!("reserve {n} key {key:?} {:?} on {lines:?}: {answer:?}", ask.need));
        self.judge(n, agent, key, &ask.need, &lines, answer);
    }

    fn judge(&mut self, n: u32, agent: &str, key: Option<u8>, need: &crate::rules::ledger::need::Need, lines: &[Line], answer: Reservation) {
        if self.flags.iter().any(|f| f.stops(&facts(agent))) {
            assert!(matches!(answer, Reservation::Killed(_)), "a flag is set");
            return;
        }
        let joins = self.shadow.joins(key, self.now());
        let mut need = need.clone();
        if joins.is_some() {
            need = crate::rules::ledger::need::Need { usd: crate::units::money::PicoUsd(0), tokens: 0, fit: None, ..need };
        }
        match (answer, self.would_admit(&need, lines)) {
            (Reservation::Held(held), Ok(granted)) => {
                assert_eq!(held.amounts, need.at(granted), "what is held is what is granted");
                assert_eq!(held.shares.is_some(), joins.is_some());
                self.admit(n, agent, key, joins, lines, held);
            }
            (Reservation::Short(short), Err(cause)) => assert_eq!(short.cause, cause),
            (answer, expected) => panic!("{answer:?}, but the shadow says {expected:?}"),
        }
    }

    /// The largest limit that fits, found by trying each; or why not even the floor does.
    fn would_admit(&self, need: &crate::rules::ledger::need::Need, lines: &[Line]) -> Result<u64, Cause> {
        let (floor, want) = need.fit.as_ref().map_or((0, 0), |f| (f.floor, f.want));
        let limits: Vec<_> = lines.iter().filter_map(|l| l.limit.as_ref().filter(|k| k.enforce).map(|k| (l, k.amount))).collect();
        let state = |l: &Line| self.shadow.sums(&l.account, l.window.start(self.now()));
        let limits: Vec<_> = limits.into_iter().map(|(l, limit)| (l, limit, state(l))).collect();
        let refusals = limits.iter().filter_map(|(l, limit, (spent, held))| {
            let least = need.at(floor).of(l.unit);
            let refused = least > 0 && spent + held + least > *limit;
            refused.then_some(if spent + least > *limit { Cause::Spent } else { Cause::Held })
        });
        if let Some(cause) = refusals.reduce(|a, b| if b == Cause::Spent { b } else { a }) {
            return Err(cause);
        }
        let fits = |n: u64| {
            limits.iter().all(|(l, limit, (spent, held))| {
                let left = limit.saturating_sub(spent + held);
                let room = need.at(floor).of(l.unit).max(left / 4).min(left);
                need.at(n).of(l.unit) <= room
            })
        };
        Ok((floor..=want).rev().find(|n| fits(*n)).unwrap_or(floor))
    }

    fn admit(&mut self, n: u32, agent: &str, key: Option<u8>, joins: Option<usize>, lines: &[Line], held: crate::rules::ledger::ask::Held) {
        let taken = self.now();
        let mut slots: Vec<Slot> = Vec::new();
        for line in lines {
            if slots.iter().all(|s| s.0 != line.account) {
                slots.push((line.account.clone(), line.unit, line.window.start(taken)));
            }
        }
        let (money_slots, own_slots) = slots.into_iter().partition(|s| matches!(s.1, Unit::Usd | Unit::Tokens));
        let bound = Money { usd: held.amounts.usd.0, tokens: held.amounts.tokens };
        let group = joins.unwrap_or(self.shadow.groups.len());
        if joins.is_none() {
            let (bearer_word, words, members) = (None, vec![], vec![]);
            let group = Group { key, joinable: true, bearer: n, ended: false, bearer_word, words, bound, money_slots, members, fitted: held.fitted, inherited: false };
            self.shadow.groups.push(group);
        }
        self.shadow.groups[group].members.push(n);
        assert_eq!(held.fitted, self.shadow.groups[group].fitted);
        let own = (held.amounts.calls, held.amounts.risk);
        let lease = taken.plus_secs(LEASE_SECS);
        let call = Call { agent: agent.to_owned(), taken, lease, state: State::Open, step: 0, own, own_slots, group };
        self.shadow.calls.insert(n, call);
    }

    // Ends.

    fn pick(&mut self, states: &[State]) -> Option<u32> {
        let of: Vec<u32> = self.shadow.calls.iter().filter(|(_, c)| states.contains(&c.state)).map(|(n, _)| *n).collect();
        self.dice.pick(&of)
    }

    fn remembered(&self, n: u32) -> bool {
        self.rig.book.open.contains_key(&id(n)) || self.rig.book.past(self.rig.now, id(n)).is_some()
    }

    fn settle(&mut self) {
        let states: &[State] = if self.dice.roll(6) == 0 { &[State::Expired] } else { &[State::Open] };
        let Some(n) = self.pick(states).filter(|n| self.remembered(*n)) else { return };
        let charge = amounts(self.dice.roll(80), self.dice.roll(30), 1, 0);
        let end = match self.dice.roll(6) {
            0 => End::Release,
            1 => End::Commit { charge: Amounts::ZERO, exact: true },
            2 => End::Commit { charge: Amounts::ZERO, exact: false },
            3 => End::Commit { charge, exact: false },
            _ => End::Commit { charge, exact: true },
        };
        let late = self.shadow.calls[&n].state == State::Expired;
        let settled = self.rig.settle(n, end.clone()).expect("the hold is known");
        self.say(|| format!("settle {n} {end:?}: {settled:?}"));
        self.settled(n, &end);
        let g = &self.shadow.groups[self.shadow.calls[&n].group];
        let passed = g.bearer != n && !g.ended && g.inherited && settled == Settled::Passed;
        assert!(passed || settled == if late { Settled::Adjusted } else { Settled::Done }, "{settled:?}");
        assert_eq!(self.rig.settle(n, end), Ok(Settled::Again));
    }

    fn settled(&mut self, n: u32, end: &End) {
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

    fn expire(&mut self) {
        let due: Vec<u32> = self.shadow.calls.iter().filter(|(_, c)| c.state == State::Open && c.lease <= self.rig.now).map(|(n, _)| *n).collect();
        self.say(|| format!("expire {due:?}"));
        assert_eq!(self.rig.expire_due(), due.len());
        for n in due {
            let own = self.shadow.calls[&n].own;
            self.shadow.end(n, State::Expired, Some((Money::default(), false)), own);
        }
    }

    fn renew(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let now = self.now();
        self.rig.book.renew(now, id(n)).expect("it is open");
        let lease = &mut self.shadow.calls.get_mut(&n).expect("just picked").lease;
        *lease = (*lease).max(now.plus_secs(LEASE_SECS));
    }

    fn resize(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let to = amounts(self.dice.roll(60), self.dice.roll(20), self.dice.roll(2), self.dice.roll(10));
        let (call, step) = (self.shadow.calls[&n].clone(), self.shadow.calls[&n].step + 1);
        let answer = self.rig.resize(n, step, to);
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

    fn adjust(&mut self) {
        let Some(n) = self.pick(&[State::Over, State::Expired]) else { return };
        let call = self.shadow.calls[&n].clone();
        if self.shadow.groups[call.group].key.is_some() || !self.remembered(n) {
            return;
        }
        let (charge, exact) = (amounts(self.dice.roll(90), self.dice.roll(20), 1, 0), self.dice.roll(2) == 0);
        self.rig.adjust(n, call.step + 1, charge, exact).expect("it is remembered");
        self.say(|| format!("adjust {n} {charge:?} {exact}"));
        let money = Money { usd: charge.usd.0, tokens: charge.tokens };
        let group = &mut self.shadow.groups[call.group];
        (group.bearer_word, group.bound) = (Some((money, exact)), money);
        let call = self.shadow.calls.get_mut(&n).expect("just picked");
        (call.own, call.step, call.state) = ((1, 0), call.step + 1, State::Over);
    }

    /// The same reserve again changes nothing.
    fn repeat_an_operation(&mut self) {
        let Some(n) = self.pick(&[State::Open]) else { return };
        let before = self.rig.journal.len();
        assert!(matches!(self.rig.reserve(ask(n, &[], 1)), Reservation::Held(_)));
        assert_eq!(self.rig.journal.len(), before);
    }

    // Flags and shapes.

    fn toggle_flag(&mut self) {
        let flag = Flag::Agent { tenant: "default".into(), name: self.dice.pick(&AGENTS).unwrap_or("a").into() };
        if self.flags.contains(&flag) {
            self.flags.retain(|f| *f != flag);
            self.rig.restore(flag);
        } else {
            self.flags.push(flag.clone());
            self.rig.stop(flag);
        }
    }

    fn change_shapes(&mut self) {
        let Some(shape) = self.dice.pick(&all_shapes()) else { return };
        if !self.shapes.contains(&shape) {
            return self.declare(shape);
        }
        self.shapes.retain(|s| *s != shape);
        let op = self.rig.book.undeclare(shape);
        self.rig.write([Some(op)]);
    }

    fn declare(&mut self, shape: Shape) {
        let upto = self.some_recent_seq();
        let sums = Sums { upto, spent: books(&self.rig.journal, upto, &shape) };
        self.say(|| format!("declare {shape:?} {sums:?}"));
        let start = shape.window.start(self.now());
        self.shadow.declare(&shape, start, |agent| shape.accounts(&facts(agent)));
        self.rig.declare(shape.clone(), sums);
        self.shapes.push(shape);
    }

    /// The audit store lags by some entries, none of them older than the book remembers.
    fn some_recent_seq(&mut self) -> u64 {
        let recent = self.rig.journal.iter().rev().take_while(|e| e.at.plus_secs(20) > self.now()).count() as u64;
        let back = self.dice.roll(recent + 1);
        self.rig.book.seq() - back
    }

    // Crash.

    fn take_snapshot(&mut self) {
        let leases = self.shadow.calls.iter().map(|(n, c)| (*n, c.lease)).collect();
        let text = serde_json::to_string(&self.rig.book).expect("plain data");
        self.snapshot = (text, self.rig.journal.len(), leases);
    }

    fn crash(&mut self) {
        let (text, covered, leases) = &self.snapshot;
        let mut book: Book = serde_json::from_str(text).expect("a snapshot reads back");
        self.rig.journal[*covered..].iter().for_each(|entry| {
            let line = serde_json::to_vec(entry).expect("plain data");
            book.apply(&serde_json::from_slice(&line).expect("an entry reads back"));
        });
        assert_eq!(book, self.rig.book, "snapshot and tail give the same book");
        self.rig.book = book;
        for (n, call) in &mut self.shadow.calls {
            call.lease = leases.get(n).copied().unwrap_or(call.taken.plus_secs(LEASE_SECS));
        }
        self.limits_lost = self.next - 1;
        self.say(|| "crash".to_owned());
    }

    // Judgement.

    fn compare(&self) {
        let declared = AGENTS.iter().flat_map(|a| self.shapes.iter().flat_map(|s| lines_of(a, s).iter().cloned()));
        let lines: Vec<Line> = declared.chain(AGENTS.iter().map(|a| line(a, Unit::Usd, Window::Day))).collect();
        for state in self.rig.book.accounts(self.rig.now, &lines) {
            let shadow = self.shadow.sums(&state.account, state.window_start);
            assert_eq!((state.spent, state.held), shadow, "{} since {}", state.account, state.window_start);
        }
    }

    fn end_all(&mut self) {
        self.rig.pass_secs(25 * 3600);
        while self.shadow.calls.values().any(|c| c.state == State::Open) {
            self.expire();
        }
        assert_eq!(self.rig.book.open_holds(), 0);
    }

    fn check_each_hold_ended_once(&self) {
        let mut ends: BTreeMap<_, u32> = BTreeMap::new();
        for entry in &self.rig.journal {
            if let Op::Commit { hold, .. } | Op::Release { hold, .. } | Op::Expire { hold, .. } = &entry.op {
                *ends.entry(*hold).or_default() += 1;
            }
        }
        assert!(self.shadow.calls.keys().all(|n| ends.get(&id(*n)) == Some(&1)));
    }
}

/// What an audit store that has seen the entries up to `upto` says of a shape: the rows' charges, by facts and time.
fn books(journal: &[Entry], upto: u64, shape: &Shape) -> Vec<(AccountName, Timestamp, u64)> {
    let mut rows = BTreeMap::new();
    for entry in journal.iter().filter(|e| e.seq <= upto) {
        match &entry.op {
            Op::Reserve { row, .. } => drop(rows.insert(row.call, (entry.at, row.facts.clone(), 0))),
            Op::Commit { hold, charge, .. } | Op::Expire { hold, charge, .. } | Op::Adjust { hold, charge, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = charge.of(shape.unit));
            }
            Op::Release { hold, kept, .. } => {
                rows.entry(*hold).and_modify(|r| r.2 = kept.map_or(0, |k| k.money.of(shape.unit)));
            }
            _ => {}
        }
    }
    let mut sums = BTreeMap::new();
    for (at, facts, charge) in rows.into_values() {
        for account in facts.iter().flat_map(|f| shape.accounts(f)) {
            *sums.entry((account, shape.window.start(at))).or_insert(0) += charge;
        }
    }
    sums.into_iter().map(|((account, start), sum)| (account, start, sum)).collect()
}
