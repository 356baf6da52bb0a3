//! An entry as its line of JSON, as serde would write it, byte for byte, for the two entries that every call makes: serde's way
//! of flattening costs several times as much. All other entries, and whatever is rare in these two, are serde's. Journals hold
//! these lines and chains their hashes, so nothing here may change what is written.

mod memo;
mod pieces;

use std::sync::Arc;

use serde_json::Error;

pub use self::memo::Memo;
use self::pieces::{Line, Written};
use super::{Entry, Op, Posting};
use crate::rules::books::{Basis, Closing, Opening, Run, TokenCounts};
use crate::rules::subject::{Facts, Name, Subject};
use crate::units::amount::Amounts;
use crate::units::time::Timestamp;

impl Entry {
    /// Appends it to `out`. `memo` may be of any entries before.
    ///
    /// # Errors
    /// None for the entries that the book makes: all their map keys are strings.
    pub fn write_line(&self, out: &mut Vec<u8>, memo: &mut Memo) -> Result<(), Error> {
        let start = out.len();
        Line { out, memo }.entry(self)?;
        debug_assert_eq!(
            std::str::from_utf8(&out[start..]).ok(),
            serde_json::to_string(self).ok().as_deref(),
            "a line is what serde writes"
        );
        Ok(())
    }
}

impl Line<'_> {
    fn entry(&mut self, entry: &Entry) -> Written {
        let Entry { seq, at, op } = entry;
        match op {
            Op::Reserve { amounts, postings, lease_until, fitted, replay, moved, row } => {
                self.head(*seq, *at, "reserve")?;
                self.member("amounts").amounts(amounts)?;
                self.member("postings").postings(postings)?;
                self.member("lease_until").time(*lease_until);
                self.rare("fitted", fitted.as_ref())?;
                self.rare("replay", replay.as_ref())?;
                self.rare("moved", (!moved.is_empty()).then_some(moved))?;
                self.member("row").opening(row)?;
            }
            Op::Commit { hold, charge, exact, passed, row } => {
                self.head(*seq, *at, "commit")?;
                self.member("hold").call(*hold);
                self.member("charge").amounts(charge)?;
                self.member("exact").flag(*exact);
                self.rare("passed", passed.as_ref())?;
                self.member("row").closing(row)?;
            }
            _ => return self.serde(entry),
        }
        self.raw("}");
        Ok(())
    }

    fn head(&mut self, seq: u64, at: Timestamp, op: &str) -> Written {
        self.raw("{\"seq\":").number(seq)?;
        self.member("at").time(at);
        self.member("op").word(op);
        Ok(())
    }

    fn postings(&mut self, postings: &Arc<[Posting]>) -> Written {
        if let Some(text) = self.memo.postings.of(postings) {
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let start = self.out.len();
        self.list(postings, Self::posting)?;
        self.memo.postings.keep(postings, &self.out[start..]);
        Ok(())
    }

    fn posting(&mut self, posting: &Posting) -> Written {
        let Posting { account, unit, window, start } = posting;
        self.raw("[").text(&account.0)?;
        self.raw(",").word(unit.as_str());
        self.raw(",").word(window.as_str());
        self.raw(",").serde(&start.0)?;
        self.raw("]");
        Ok(())
    }

    fn amounts(&mut self, amounts: &Amounts) -> Written {
        let Amounts { usd, tokens, calls, risk } = amounts;
        self.raw("{\"usd\":").money(*usd);
        self.member("tokens").number(*tokens)?;
        self.member("calls").number(*calls)?;
        self.member("risk").number(*risk)?;
        self.raw("}");
        Ok(())
    }

    fn opening(&mut self, row: &Opening) -> Written {
        // All of them, so that a new one is not forgotten here.
        let Opening {
            call,
            facts,
            policy_hash,
            method,
            path,
            endpoint,
            action,
            tier,
            verdict,
            enforced,
            reason,
            estimate,
            request_hash,
            trace_id,
            claimed,
            approved_by,
            repeats,
            http_status,
        } = row;
        self.raw("{\"call\":").call(*call);
        if let Some(facts) = facts {
            self.member("facts").shared_facts(facts)?;
        }
        self.hash("policy_hash", policy_hash.as_ref());
        self.member("method").text(method)?;
        self.member("path").text(path)?;
        self.name("endpoint", endpoint.as_deref())?;
        self.name("action", action.as_deref())?;
        if let Some(tier) = tier {
            self.member("tier").word(tier.as_str());
        }
        self.member("verdict").word(verdict.as_str());
        self.member("enforced").flag(*enforced);
        self.name("reason", reason.as_deref())?;
        self.member("estimate").amounts(estimate)?;
        self.hash("request_hash", request_hash.as_ref());
        self.name("trace_id", trace_id.as_deref())?;
        self.rare("claimed", claimed.then_some(claimed))?;
        self.name("approved_by", approved_by.as_deref())?;
        self.rare("repeats", repeats.as_ref())?;
        self.rare("http_status", http_status.as_ref())?;
        self.raw("}");
        Ok(())
    }

    fn shared_facts(&mut self, facts: &Arc<Facts>) -> Written {
        if let Some(text) = self.memo.facts.of(facts) {
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let start = self.out.len();
        self.facts(facts)?;
        self.memo.facts.keep(facts, &self.out[start..]);
        Ok(())
    }

    fn facts(&mut self, facts: &Facts) -> Written {
        let Facts { subject, keys, policy, vendor, operation, claimed_run } = facts;
        self.raw("{\"subject\":").subject(subject)?;
        self.member("keys").list(keys, |line, key| line.text(key.as_str()))?;
        self.member("policy").text(policy)?;
        self.member("vendor").text(vendor)?;
        self.member("operation").text(operation)?;
        self.rare("claimed_run", claimed_run.then_some(claimed_run))?;
        self.raw("}");
        Ok(())
    }

    fn subject(&mut self, subject: &Subject) -> Written {
        let Subject { tenant, workspace, app, workflow, agent, toolset, run, dimensions } = subject;
        self.raw("{\"tenant\":").text(tenant)?;
        let levels = [("workspace", workspace), ("app", app), ("workflow", workflow), ("agent", agent)];
        for (level, value) in levels.into_iter().chain([("toolset", toolset), ("run", run)]) {
            self.name(level, value.as_deref())?;
        }
        self.rare("dimensions", (!dimensions.is_empty()).then_some(dimensions))?;
        self.raw("}");
        Ok(())
    }

    fn closing(&mut self, row: &Closing) -> Written {
        let Closing {
            call,
            outcome,
            charge,
            cost_source,
            tokens,
            http_status,
            vendor_request_id,
            latency_ms,
            overhead_us,
            error,
            flagged,
            priced,
            made,
        } = row;
        self.raw("{\"call\":").call(*call);
        self.member("outcome").word(outcome.as_str());
        self.member("charge").amounts(charge)?;
        self.member("cost_source").word(cost_source.as_str());
        if let Some(tokens) = tokens {
            self.member("tokens").tokens(tokens)?;
        }
        self.rare("http_status", http_status.as_ref())?;
        self.name("vendor_request_id", vendor_request_id.as_deref())?;
        self.member("latency_ms").number(*latency_ms)?;
        self.member("overhead_us").number(*overhead_us)?;
        self.name("error", error.as_deref())?;
        self.rare("flagged", flagged.then_some(flagged))?;
        if let Some(priced) = priced {
            self.member("priced").basis(priced)?;
        }
        self.rare("made", made.as_ref())?;
        self.raw("}");
        Ok(())
    }

    fn tokens(&mut self, tokens: &TokenCounts) -> Written {
        let TokenCounts { input, output, cached, reasoning } = tokens;
        self.raw("{\"input\":").number(*input)?;
        self.member("output").number(*output)?;
        self.member("cached").number(*cached)?;
        self.member("reasoning").number(*reasoning)?;
        self.raw("}");
        Ok(())
    }

    fn basis(&mut self, basis: &Basis) -> Written {
        let Basis { book, at, runs } = basis;
        self.raw("{\"book\":\"").bytes(&book.hex()).raw("\"");
        self.member("at").time(*at);
        self.member("runs").list(runs, Self::run)?;
        self.raw("}");
        Ok(())
    }

    fn run(&mut self, run: &Run) -> Written {
        let Run { vendor, row, schedule, model, tier, factors, used, fees } = run;
        self.raw("{\"vendor\":").text(vendor)?;
        self.name("row", row.as_deref())?;
        self.rare("schedule", schedule.as_ref())?;
        self.member("model").text(model)?;
        self.name("tier", tier.as_deref())?;
        self.rare("factors", (!factors.is_empty()).then_some(factors))?;
        if !used.is_empty() {
            self.member("use").counts(used)?;
        }
        self.rare("fees", (!fees.is_empty()).then_some(fees))?;
        self.raw("}");
        Ok(())
    }

    fn counts(&mut self, counts: &std::collections::BTreeMap<Name, u64>) -> Written {
        for (i, (name, count)) in counts.iter().enumerate() {
            self.raw(if i == 0 { "{" } else { "," }).text(name)?;
            self.raw(":").number(*count)?;
        }
        self.raw("}");
        Ok(())
    }
}
