//! One call through all steps, in their order: route, rules, bound, limits per call, then rates, risk and budgets on the book.
//! A refusal does not end it: what else would have refused is looked at, too. Only a call that goes is held.

use std::borrow::Cow;
use std::sync::Arc;

use super::Rehearsal;
use super::played::Played;
use super::request::{Actor, Past, Request, Unplayable};
use crate::rules::args::{Args, Body, Sent, Unreadable};
use crate::rules::ledger::need::Need;
use crate::rules::ledger::rates;
use crate::rules::path::{CanonicalPath, Target};
use crate::rules::policy::{Denial, Explained, Outline, Question, Reason, Refusal, Said, Step};
use crate::rules::subject::{Facts, Name};
use crate::rules::vendors::{Ask, BodyKind, Counted, Estimate, Family, Operation, Price, Routed, Unpriceable, Vendor};
use crate::units::amount::{Amounts, Unit};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// As the gateway reads a body of an operation that the catalogue does not have.
const ANY_BODY: [BodyKind; 4] = [BodyKind::Json, BodyKind::Form, BodyKind::Multipart, BodyKind::Opaque];

/// A request, and what it is at its vendor.
pub(super) struct Placed<'a> {
    vendor: &'a Arc<Vendor>,
    pub routed: Routed<'a>,
    query: Option<String>,
    pub request: &'a Request,
    pub facts: Arc<Facts>,
    pub now: Timestamp,
}

impl Placed<'_> {
    /// The same for every request that is the same.
    pub fn which(&self) -> String {
        let Placed { vendor, routed, query, request, .. } = self;
        let query = query.as_deref().unwrap_or_default();
        rates::which(&[&vendor.name, &request.method, routed.path.as_str(), query], &request.body)
    }
}

impl Rehearsal {
    /// Plays one call at this moment. Calls are played in the order of their moments.
    pub fn play(&mut self, now: Timestamp, actor: &Actor, request: &Request) -> Result<Played, Unplayable> {
        let vendors = std::mem::take(&mut self.vendors);
        let played = self.play_at(&vendors, now, actor, request);
        self.vendors = vendors;
        played
    }

    fn play_at(
        &mut self,
        vendors: &[Arc<Vendor>],
        now: Timestamp,
        actor: &Actor,
        request: &Request,
    ) -> Result<Played, Unplayable> {
        let came = self.place(vendors, now, actor, request)?;
        let (policy, operation) = (&came.facts.policy, came.routed.operation);
        let renamed = self.policies.renamed(policy, &came.facts.vendor, operation, &request.body);
        let renamed = renamed.map(|renamed| Request { body: renamed.body, ..request.clone() });
        let placed = Placed { request: renamed.as_ref().unwrap_or(request), ..came };
        let mut played = Played::new(placed.facts.operation.clone());
        let args = match self.args(&placed) {
            Ok(args) => args,
            Err(why) => {
                played.look(Step::Arguments, "the request", Reason::from(&why).said(true));
                played.refusal(&Refusal::Unreadable(why));
                return Ok(played);
            }
        };
        let Explained { refused, looks, terms } =
            self.explain(&placed, actor, Some(&args).filter(|_| self.reads(&placed)));
        played.looks = looks;
        if let Some(refused) = &refused {
            played.refusal(refused);
        }
        if let Some(terms) = terms {
            self.bounded(&placed, actor, &args, &terms, &mut played);
        }
        played.looks.sort_by_key(|look| look.step);
        Ok(played)
    }

    /// A call of the books, by rules that read no parameter, at what it was held at and what it cost.
    pub fn play_past(&mut self, now: Timestamp, past: &Past) -> Result<Played, Unplayable> {
        let vendors = std::mem::take(&mut self.vendors);
        let played = self.past_at(&vendors, now, past);
        self.vendors = vendors;
        played
    }

    fn past_at(&mut self, vendors: &[Arc<Vendor>], now: Timestamp, past: &Past) -> Result<Played, Unplayable> {
        let placed = self.place(vendors, now, &past.actor, &past.request)?;
        let mut played = Played::new(placed.facts.operation.clone());
        let Explained { refused, terms, .. } = self.explain(&placed, &past.actor, None);
        if let Some(refused) = &refused {
            played.refusal(refused);
        }
        if let Some(terms) = terms {
            self.limited(&placed, &terms, Need::fixed(past.held.into(), past.tokens), &mut played);
        }
        let charge = Amounts { usd: past.cost, tokens: past.tokens, calls: 1, risk: played.risk };
        self.settle(now, &played, charge);
        Ok(played)
    }

    fn place<'a>(
        &self,
        vendors: &'a [Arc<Vendor>],
        now: Timestamp,
        actor: &Actor,
        request: &'a Request,
    ) -> Result<Placed<'a>, Unplayable> {
        let Target { path, query } = CanonicalPath::parse(&request.target).map_err(Unplayable::Path)?;
        let first = path.segments().next().unwrap_or_default();
        let unknown = || Unplayable::Vendor(first.to_owned());
        let vendor = vendors.iter().find(|vendor| *vendor.name == *first).ok_or_else(unknown)?;
        let routed = vendor.route(&request.method, path.without_first());
        let facts = Arc::new(self.facts(actor, vendor, routed.operation, &request.method, &routed.path));
        Ok(Placed { vendor, routed, query, request, facts, now })
    }

    fn facts(
        &self,
        actor: &Actor,
        vendor: &Vendor,
        operation: Option<&Operation>,
        method: &str,
        path: &CanonicalPath,
    ) -> Facts {
        let counts = self.policies.get(&actor.policy).is_none_or(|policy| policy.counts_run(actor.claimed_run));
        let unlisted = || Name::from(format!("{method} {}", path.for_rules()));
        Facts {
            subject: actor.subject.clone(),
            keys: actor.keys.clone(),
            policy: actor.policy.clone(),
            vendor: vendor.name.clone(),
            operation: operation.map_or_else(unlisted, |o| o.name.clone()),
            claimed_run: !counts,
        }
    }

    fn reads(&self, placed: &Placed<'_>) -> bool {
        let Placed { vendor, routed, request, facts, .. } = placed;
        vendor.price_of(routed.operation).is_some_and(Price::reads_request)
            || self.policies.reads_args(&facts.policy, &facts.vendor, &request.method, &routed.path, &facts.operation)
    }

    /// Empty if nothing looks at them, as at the gateway.
    fn args<'p>(&self, placed: &'p Placed<'_>) -> Result<Args<'p>, Unreadable> {
        if !self.reads(placed) {
            return Args::read(Sent::default(), &[]);
        }
        let Placed { routed, request, query, .. } = placed;
        let sent = Sent {
            query: query.as_deref(),
            path: routed.params.iter().map(|(n, v)| (*n, Cow::Borrowed(v.as_str()))).collect(),
            content_type: request.text("content-type"),
            content_encoding: request.text("content-encoding"),
            body: Body::Whole(&request.body),
        };
        Args::read(sent, routed.operation.map_or(&ANY_BODY[..], |o| &o.bodies))
    }

    fn explain(&self, placed: &Placed<'_>, actor: &Actor, args: Option<&Args<'_>>) -> Explained {
        let Placed { vendor, routed, request, facts, now, .. } = placed;
        let overlays: Vec<_> = actor.overlays.iter().map(|(key, overlay)| (key, overlay)).collect();
        let names = vendor.account_headers.iter().map(|name| &**name);
        let headers: Vec<(&str, &str)> = names
            .filter(|name| request.headers.contains_key(*name))
            .map(|name| (name, request.text(name).unwrap_or_default()))
            .collect();
        self.policies.explain(&Question {
            now: *now,
            facts,
            lines: None,
            overlays: &overlays,
            operation: routed.operation,
            method: &request.method,
            path: &routed.path,
            args,
            account_headers: &headers,
            test_mode: placed.vendor.family == Family::Stripe && actor.test_key,
        })
    }

    /// What it costs at most, and whether that much is left.
    fn bounded(&mut self, placed: &Placed<'_>, actor: &Actor, args: &Args<'_>, terms: &Outline, played: &mut Played) {
        (played.tier, played.action, played.risk) = (Some(terms.tier()), terms.action().cloned(), terms.risk());
        if let Some(estimate) = self.estimate(placed, actor, args, terms, played) {
            self.limited(placed, terms, estimate.need, played);
        }
    }

    /// By the limits per call, and then by the ledger.
    fn limited(&mut self, placed: &Placed<'_>, terms: &Outline, need: Need, played: &mut Played) {
        (played.tier, played.action, played.risk) = (Some(terms.tier()), terms.action().cloned(), terms.risk());
        if let Some(would) = terms.would_deny() {
            played.denial(would, false);
        }
        let need = match terms.fit_call(&need) {
            Ok(fitted) => {
                if let Some(denial) = &fitted.would_deny {
                    played.look(Step::Arguments, denial.rule.clone(), Reason::from(denial).said(false));
                    played.denial(denial, false);
                }
                Need { risk: terms.risk(), ..fitted.need }
            }
            Err(denial) => {
                played.look(Step::Arguments, denial.rule.clone(), Reason::from(&denial).said(true));
                played.denial(&denial, true);
                Need { risk: terms.risk(), ..need }
            }
        };
        played.needs(&need);
        let said = format!("{} by its {}", Unit::Risk.show(terms.risk()), terms.tier());
        played.look(Step::Risk, format!("{}: risk", terms.policy()), Said::Passes(said));
        self.on_the_book(placed, terms, need, played);
    }

    fn estimate(
        &self,
        placed: &Placed<'_>,
        actor: &Actor,
        args: &Args<'_>,
        terms: &Outline,
        played: &mut Played,
    ) -> Option<Estimate> {
        let ask = Ask {
            vendor: placed.vendor,
            operation: placed.routed.operation,
            host: &placed.routed.host.base.host,
            args,
            body: &placed.request.body,
            headers: &placed.request.headers,
            now: placed.now,
            prices: &self.prices,
            default_max_output: terms.max_output_tokens(),
            fit: terms.fit(),
            ceiling: terms.ceiling(),
            unknown_model: terms.unknown_model(),
            stripe: terms.stripe(),
            test_key: placed.vendor.family == Family::Stripe && actor.test_key,
            found: &[],
            counted: Counted::Nothing,
            remembered: &|_, _| None,
            recalled: None,
            batch: None,
        };
        let why = match ask.estimate() {
            Ok(estimate) => return Some(estimate),
            Err(why) => why,
        };
        let enforced = terms.enforced() || !why.ceiling_helps();
        unpriced(&why, terms.policy(), enforced, played);
        let unheld = Ask { ceiling: Some(MicroCents::ZERO), ..ask };
        if enforced { None } else { unheld.estimate().ok() }
    }
}

fn unpriced(why: &Unpriceable, policy: &Name, enforced: bool, played: &mut Played) {
    let denial = Denial::unpriced(policy, why);
    played.look(Step::Arguments, denial.rule.clone(), Reason::from(&denial).said(enforced));
    played.denial(&denial, enforced);
}
