//! An entry as its line of JSON, as serde would write it, byte for byte, for the two entries that every call makes: serde's way
//! of flattening costs several times as much. All other entries, and whatever is rare in these two, are serde's. Journals hold
//! these lines and chains their hashes, so nothing here may change what is written.

use serde::Serialize;
use serde_json::Error;

use super::{Entry, Op, Posting};
use crate::rules::books::{Basis, Closing, Opening, Run, TokenCounts};
use crate::rules::subject::{Facts, Name, Subject};
use crate::units::amount::Amounts;
use crate::units::ids::{CallId, Digest32};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

impl Entry {
    /// Appends it to `out`.
    ///
    /// # Errors
    /// None for the entries that the book makes: all their map keys are strings.
    pub fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        Line(out).entry(self)?;
        debug_assert_eq!(
            std::str::from_utf8(&out[start..]).ok(),
            serde_json::to_string(self).ok().as_deref(),
            "a line is what serde writes"
        );
        Ok(())
    }
}

type Written = Result<(), Error>;

/// Where a line is put together. Members bring their own commas, all but the first of an object.
struct Line<'o>(&'o mut Vec<u8>);

impl Line<'_> {
    fn entry(&mut self, entry: &Entry) -> Written {
        let Entry { seq, at, op } = entry;
        match op {
            Op::Reserve { amounts, postings, lease_until, fitted, replay, moved, row } => {
                self.head(*seq, *at, "reserve")?;
                self.member("amounts").amounts(amounts)?;
                self.member("postings").list(postings, Self::posting)?;
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
            self.member("facts").facts(facts)?;
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

    fn list<T>(&mut self, all: &[T], each: impl Fn(&mut Self, &T) -> Written) -> Written {
        self.raw("[");
        for (i, one) in all.iter().enumerate() {
            self.raw(if i == 0 { "" } else { "," });
            each(self, one)?;
        }
        self.raw("]");
        Ok(())
    }

    fn member(&mut self, name: &str) -> &mut Self {
        self.raw(",\"").raw(name).raw("\":")
    }

    /// A member that most entries do not have.
    fn rare(&mut self, name: &str, value: Option<&impl Serialize>) -> Written {
        value.map_or(Ok(()), |value| self.member(name).serde(value))
    }

    fn name(&mut self, name: &str, value: Option<&str>) -> Written {
        value.map_or(Ok(()), |value| self.member(name).text(value))
    }

    fn hash(&mut self, name: &str, value: Option<&Digest32>) {
        if let Some(value) = value {
            self.member(name).raw("\"").bytes(&value.hex()).raw("\"");
        }
    }

    fn call(&mut self, call: CallId) {
        self.word(call.text(&mut [0; CallId::TEXT]));
    }

    fn time(&mut self, at: Timestamp) {
        match at.text(&mut [0; Timestamp::TEXT]) {
            Some(text) => self.word(text),
            None => self.word(&at.to_string()),
        }
    }

    fn money(&mut self, money: MicroCents) {
        self.word(money.text(&mut [0; MicroCents::TEXT]));
    }

    fn flag(&mut self, flag: bool) {
        self.raw(if flag { "true" } else { "false" });
    }

    fn number(&mut self, number: u64) -> Written {
        self.serde(&number)
    }

    /// A text that needs no escapes.
    fn word(&mut self, word: &str) {
        self.raw("\"").raw(word).raw("\"");
    }

    fn text(&mut self, text: &str) -> Written {
        if is_plain(text) {
            self.word(text);
            return Ok(());
        }
        self.serde(text)
    }

    fn serde(&mut self, value: &(impl Serialize + ?Sized)) -> Written {
        serde_json::to_writer(&mut *self.0, value)
    }

    fn raw(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Without a branch for each byte, so that several are looked at together.
fn is_plain(text: &str) -> bool {
    let odd = |b: u8| u8::from(b < b' ') | u8::from(b == b'"') | u8::from(b == b'\\');
    text.bytes().fold(0, |found, b| found | odd(b)) == 0
}
