//! Which accounts every call counts on, in a fleet: a shape that any node declares is counted by all. A shape that is new asks
//! the books what was spent, and the script adds what they have not seen. Operation patterns are matched here alone: the script
//! is given a map from the facts of its holds to the accounts of the shape, and names the facts that are missing in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Script, ScriptInvocation};

use super::answer::{Parts, unreadable};
use super::{Inner, json};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::ask::{Checked, Difference, Line, Reserve};
use crate::rules::ledger::book::Sums;
use crate::rules::ledger::entry::{Entry, Op, Posting};
use crate::rules::subject::Facts;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

/// How long the books may lag behind what the ledger still remembers.
const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(20);
/// So long after the server said which shapes there are a call may be admitted without them.
const ON_ITS_WAY_SECS: i64 = 60;
/// Calls that a check names at most.
const MOST: usize = 10_000;

/// The declared shapes as this node last read them.
#[derive(Default)]
pub struct Shapes {
    pub version: u64,
    pub all: Vec<Shape>,
    /// When this node learned of each.
    learned: Vec<Timestamp>,
    /// Those that this node's own policies declare: its lines have them already.
    own: Vec<Shape>,
    /// The others.
    foreign: Vec<Shape>,
}

impl Shapes {
    /// What this node's own policies declare.
    pub fn own(&self) -> &[Shape] {
        &self.own
    }

    /// The lines of a call, with those of shapes that only other nodes know of: counted, without a limit.
    pub fn lines_of(&self, ask: &Reserve) -> Arc<[Line]> {
        let facts = ask.opening.facts.as_deref().filter(|_| !self.foreign.is_empty());
        let Some(facts) = facts else { return ask.lines.clone() };
        let accounts = self.foreign.iter().flat_map(|s| s.accounts(facts).into_iter().map(move |account| (s, account)));
        let new = accounts.filter(|(_, account)| ask.lines.iter().all(|l| l.account != *account));
        let line = |(s, account): (&Shape, _)| Line { account, unit: s.unit, window: s.window, limit: None };
        ask.lines.iter().cloned().chain(new.map(line)).collect()
    }

    /// A beginning that was journaled by a node alone, with the accounts of shapes that it did not know of then, in the windows
    /// where it was admitted. `None` if there are none.
    pub fn counted(&self, begun: &Entry) -> Option<Entry> {
        let Op::Reserve { postings, row, .. } = &begun.op else { return None };
        let facts = row.facts.as_deref()?;
        let late =
            self.all.iter().zip(&self.learned).filter(|(_, learned)| begun.at <= learned.plus_secs(ON_ITS_WAY_SECS));
        let accounts = late.flat_map(|(s, _)| s.accounts(facts).into_iter().map(move |account| (s, account)));
        let new = accounts.filter(|(_, account)| postings.iter().all(|p| p.account != *account));
        let posting = |(s, account): (&Shape, _)| {
            let (unit, window) = (s.unit, s.window);
            Posting { account, unit, window, start: window.start(begun.at) }
        };
        let new: Vec<Posting> = new.map(posting).collect();
        if new.is_empty() {
            return None;
        }
        let mut begun = begun.clone();
        if let Op::Reserve { postings, .. } = &mut begun.op {
            *postings = postings.iter().cloned().chain(new).collect();
        }
        Some(begun)
    }
}

/// What stands in Redis: each shape with the nodes that want it.
struct Declared {
    at: Timestamp,
    version: u64,
    shapes: Vec<(Shape, Vec<String>)>,
}

/// One question about a shape, as far as it is answered: what the books say, and the map of facts so far.
struct Survey<'a> {
    shape: &'a Shape,
    start: Timestamp,
    sums: Sums,
    map: BTreeMap<String, Vec<AccountName>>,
}

impl Inner {
    async fn declared(&self) -> Result<Declared, LedgerError> {
        let answer = self.call(&self.prepare(&self.scripts.shapes)).await?;
        let mut parts = Parts::new(&answer)?;
        let (at, version) = (Timestamp(parts.number()?), parts.number()?);
        let rest: Vec<&str> = parts.rest().collect();
        let shape = |pair: &[&str]| {
            let [shape, nodes] = pair else { return Err(unreadable()) };
            Ok((read(shape)?, read(nodes)?))
        };
        Ok(Declared { at, version, shapes: rest.chunks(2).map(shape).collect::<Result<_, _>>()? })
    }

    pub(super) async fn learn_shapes(&self) -> Result<Timestamp, LedgerError> {
        let now = self.declared().await?;
        let at = now.at;
        self.know(now, None);
        Ok(at)
    }

    /// Whichever was read last; an older version is noticed by the next reserve.
    fn know(&self, now: Declared, own: Option<Vec<Shape>>) {
        let mut known = self.shapes.lock();
        let own = own.unwrap_or_else(|| known.own.clone());
        let all: Vec<Shape> = now.shapes.into_iter().map(|(shape, _)| shape).collect();
        let before = |shape: &&Shape| known.all.iter().zip(&known.learned).find(|(s, _)| s == shape);
        let learned = all.iter().map(|shape| before(&shape).map_or(now.at, |(_, at)| *at)).collect();
        let foreign = all.iter().filter(|s| !own.contains(s)).cloned().collect();
        *known = Arc::new(Shapes { version: now.version, all, learned, own, foreign });
    }

    pub(super) async fn declare(&self, wanted: Vec<Shape>) -> Result<(), LedgerError> {
        let _one = self.declaring.lock().await;
        let now = self.declared().await?;
        let gone = now.shapes.iter().filter(|(s, nodes)| !wanted.contains(s) && nodes.contains(&self.node));
        for (shape, _) in gone {
            self.want(shape, false).await?;
        }
        let mut new = wanted.clone();
        new.sort();
        new.dedup();
        for shape in &new {
            if !self.want(shape, true).await? {
                self.declare_one(shape).await?;
            }
        }
        let now = self.declared().await?;
        self.know(now, Some(wanted));
        Ok(())
    }

    /// Says whether this node wants it. Answers whether it was declared.
    async fn want(&self, shape: &Shape, wants: bool) -> Result<bool, LedgerError> {
        let mut call = self.prepare(&self.scripts.want);
        call.arg(&self.node).arg(u8::from(wants)).arg(json(shape));
        Ok(Parts::new(&self.call(&call).await?)?.what == "done")
    }

    async fn declare_one(&self, shape: &Shape) -> Result<(), LedgerError> {
        self.survey(&self.scripts.declare, shape, "to open a new budget").await?;
        // Another node may have declared it meanwhile, and then only its name stands there.
        self.want(shape, true).await.map(drop)
    }

    pub(super) async fn check(&self) -> Result<Checked, LedgerError> {
        self.learn_shapes().await?;
        let shapes = self.shapes.lock().clone();
        let mut found = Checked::default();
        for shape in &shapes.all {
            self.check_one(shape, &mut found).await?;
        }
        found.upto = self.seen.load(std::sync::atomic::Ordering::Acquire);
        if !found.differences.is_empty() {
            found.remembered = self.remembered(&found.differences).await?;
        }
        Ok(found)
    }

    async fn check_one(&self, shape: &Shape, found: &mut Checked) -> Result<(), LedgerError> {
        let (start, answer) = self.survey(&self.scripts.check, shape, "to be compared").await?;
        let mut parts = Parts::new(&answer)?;
        found.accounts += parts.number::<u64>()?;
        let rest: Vec<&str> = parts.rest().collect();
        let mut differences = Vec::new();
        for triple in rest.chunks(3) {
            let [account, ledger, books] = triple else { return Err(unreadable()) };
            let number = |n: &str| n.parse::<u64>().map_err(|_| unreadable());
            let (ledger, books) = (number(ledger)?, number(books)?);
            let account = AccountName(Arc::from(*account));
            let (unit, window) = (shape.unit, shape.window);
            differences.push(Difference { account, unit, window, window_start: start, ledger, books });
        }
        differences.sort_by(|a, b| a.account.cmp(&b.account));
        found.differences.extend(differences);
        Ok(())
    }

    async fn remembered(&self, on: &[Difference]) -> Result<Vec<(CallId, crate::units::amount::Amounts)>, LedgerError> {
        let mut call = self.prepare(&self.scripts.remembered);
        call.arg(MOST).arg(on.len());
        for difference in on {
            call.arg(&*difference.account.0);
        }
        let answer = self.call(&call).await?;
        let mut parts = Parts::new(&answer)?;
        let mut calls = Vec::new();
        while parts.more() {
            calls.push((parts.number()?, parts.amounts()?));
        }
        calls.sort_by_key(|(id, _)| *id);
        Ok(calls)
    }

    /// Asks until the script knows the facts of all holds, the window is the running one, and the books are new enough.
    async fn survey(&self, script: &Script, shape: &Shape, why: &str) -> Result<(Timestamp, Vec<String>), LedgerError> {
        let give_up = Instant::now() + PATIENCE;
        let mut survey = self.begin_survey(shape).await?;
        loop {
            let mut call = self.prepare(script);
            survey.ask(&mut call);
            call.arg(&self.node);
            let answer = self.call(&call).await?;
            let parts = Parts::new(&answer)?;
            match parts.what {
                "done" => return Ok((survey.start, answer)),
                "strangers" => parts.rest().for_each(|facts| survey.meet(facts)),
                _ if Instant::now() > give_up => {
                    return Err(LedgerError::Down(format!("the books lag too far behind {why}")));
                }
                _ => {
                    tokio::time::sleep(RETRY).await;
                    let map = survey.map;
                    survey = Survey { map, ..self.begin_survey(shape).await? };
                }
            }
        }
    }

    /// What the books say, for the window that runs by the server's time. They are asked on a thread that may block.
    async fn begin_survey<'a>(&self, shape: &'a Shape) -> Result<Survey<'a>, LedgerError> {
        let start = shape.window.start(self.learn_shapes().await?);
        let (books, of) = (self.books.clone(), shape.clone());
        let asked = tokio::task::spawn_blocking(move || books.sums(&of, start)).await;
        let sums = asked.map_err(|e| LedgerError::Down(e.to_string()))?;
        let sums = sums.map_err(|e| LedgerError::Down(e.to_string()))?;
        let spent = sums.accounts.into_iter().map(|(account, sum)| (account, start, sum)).collect();
        Ok(Survey { shape, start, sums: Sums { upto: sums.upto, spent }, map: BTreeMap::new() })
    }
}

impl Survey<'_> {
    /// Facts that cannot be read count on no account.
    fn meet(&mut self, facts: &str) {
        let accounts = serde_json::from_str::<Facts>(facts).map(|f| self.shape.accounts(&f)).unwrap_or_default();
        self.map.insert(facts.to_owned(), accounts);
    }

    fn ask(&self, call: &mut ScriptInvocation<'_>) {
        let shape = self.shape;
        let (head, tail) = shape.frame();
        call.arg(json(shape)).arg(shape.unit.as_str()).arg(shape.window.as_str()).arg(self.start.0).arg(self.sums.upto);
        call.arg(head).arg(tail).arg(u8::from(!shape.scope.has_values()));
        call.arg(self.sums.spent.len());
        for (account, _, sum) in &self.sums.spent {
            call.arg(&*account.0).arg(*sum);
        }
        call.arg(self.map.len());
        for (facts, accounts) in &self.map {
            call.arg(facts).arg(accounts.len());
            for account in accounts {
                call.arg(&*account.0);
            }
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|_| unreadable())
}
