//! A price that comes later: where it is to be asked for, when, and what of the answer it is. It replaces the charge that
//! stood until then. Asks nothing itself; `gateway::late` does.

use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;

use super::raw::{Mistakes, Rates, RawExpr};
use super::zero::{RawWord, Zero};
use super::{Answer, Expr, sound, take};
use crate::rules::args::{Args, Name, Sent};
use crate::rules::json::Document;
use crate::rules::price::Fx;
use crate::rules::vendors::ask::Unpriceable;
use crate::rules::vendors::look_up::{Question, is_plain_id};
use crate::units::duration;
use crate::units::money::PicoUsd;

/// No vendor is asked in a rush.
const SHORTEST: Duration = Duration::from_secs(1);
/// No price is asked for later than this: the ledger knows a call that long.
const LONGEST: Duration = Duration::from_secs(22 * 3600);

/// `[rules.NAME.reconcile]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLate {
    /// A path with parameters of the call's own, and `{id}`.
    pub get: String,
    /// Where the answer to the call names that id.
    pub id: String,
    pub cost: RawExpr,
    /// Where the currency stands; else the rule's own counts.
    #[serde(default)]
    pub currency_at: Option<String>,
    /// The price counts only if this holds.
    #[serde(default)]
    pub once: Option<RawWord>,
    /// How long after the call to ask, and again.
    pub wait: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Late {
    get: Box<str>,
    names: Box<[Name]>,
    id: Box<str>,
    cost: Expr,
    currency_at: Option<Box<str>>,
    once: Option<Zero>,
    wait: Box<[Duration]>,
}

/// With what the request says filled in.
#[derive(Clone, Debug)]
pub(in super::super) struct LateBound {
    path: String,
    id: Box<str>,
    cost: Expr,
    currency: Box<str>,
    currency_at: Option<Box<str>>,
    once: Option<Zero>,
    pub wait: Box<[Duration]>,
}

impl RawLate {
    pub(super) fn check(&self, rates: &Rates, mistakes: &mut Mistakes) -> Late {
        let mut wrong = |field: &str, problem: String| mistakes.push((format!("reconcile.{field}"), problem));
        let inner: Vec<&str> = self.get.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
        if !self.get.starts_with('/') || !inner.contains(&"id") {
            wrong("get", format!("`{}` is no path with `{{id}}`", self.get));
        }
        let wait: Vec<Duration> = self.wait.iter().filter_map(|text| duration::parse(text).ok()).collect();
        let in_bounds = |wait: &Duration| *wait >= SHORTEST && *wait <= LONGEST;
        if wait.is_empty() || wait.len() != self.wait.len() || !wait.iter().all(in_bounds) {
            wrong("wait", "write times such as `30s`, `10m` or `6h`, of a second at least and 22h at most".to_owned());
        }
        let once = self.once.as_ref().map(RawWord::check).transpose();
        let once = once.unwrap_or_else(|why| {
            wrong("once", why);
            None
        });
        sound::pointer(&self.id, "reconcile.id", mistakes);
        self.currency_at.iter().for_each(|at| sound::pointer(at, "reconcile.currency_at", mistakes));
        let cost = self.cost.check("reconcile.cost", rates, mistakes);
        Late {
            get: self.get.as_str().into(),
            names: inner.into_iter().filter(|name| *name != "id").map(Name::parse).collect(),
            id: self.id.as_str().into(),
            cost,
            currency_at: self.currency_at.as_deref().map(Into::into),
            once,
            wait: wait.into(),
        }
    }
}

impl Late {
    /// `None` if a parameter is no plain word: it would change the path.
    pub fn bind(&self, args: &Args<'_>, currency: &str) -> Result<Option<LateBound>, Unpriceable> {
        let mut path = self.get.to_string();
        for name in &self.names {
            match take::word(args, name)?.filter(|word| is_plain_id(word)) {
                Some(word) => path = path.replace(&format!("{{{}}}", name.as_str()), &word),
                None => return Ok(None),
            }
        }
        Ok(Some(LateBound {
            path,
            id: self.id.clone(),
            cost: self.cost.bind(args)?,
            currency: currency.into(),
            currency_at: self.currency_at.clone(),
            once: self.once.clone(),
            wait: self.wait.clone(),
        }))
    }

    /// Without the request: the path is known by then.
    pub fn resumed(&self, currency: &str) -> Option<LateBound> {
        let nothing = Args::read(Sent::default(), &[]).ok().filter(|_| !self.cost.reads_request())?;
        Some(LateBound {
            path: self.get.to_string(),
            id: self.id.clone(),
            cost: self.cost.bind(&nothing).ok()?,
            currency: currency.into(),
            currency_at: self.currency_at.clone(),
            once: self.once.clone(),
            wait: self.wait.clone(),
        })
    }
}

impl LateBound {
    /// What to ask, by the answer to the call.
    pub fn question(&self, body: &[u8]) -> Option<Question> {
        let document = Document::parse(body).ok()?;
        let id = document.pointer(&self.id)?.text().filter(|id| is_plain_id(id))?;
        Some(Question::get(self.path.replace("{id}", id), None))
    }

    /// The id that stands in a question of this kind.
    pub fn id_of<'q>(&self, question: &'q Question) -> Option<&'q str> {
        let (before, behind) = self.path.split_once("{id}")?;
        question.path.strip_prefix(before)?.strip_suffix(behind)
    }

    /// What it cost, if the vendor says so by now.
    pub fn cost(&self, body: &[u8], fx: &Fx) -> Option<PicoUsd> {
        let document = Document::parse(body).ok()?;
        let answer = Answer { headers: &HeaderMap::new(), document: Some(&document) };
        if self.once.as_ref().is_some_and(|once| !once.holds(&answer)) {
            return None;
        }
        let said = self.currency_at.as_ref().map(|at| document.pointer(at).and_then(|node| node.text()));
        let currency = match said {
            Some(said) => said?.to_ascii_lowercase(),
            None => self.currency.to_string(),
        };
        fx.convert(self.cost.value(&answer)?, &currency, false)
    }
}
