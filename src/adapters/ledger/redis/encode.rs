//! Asks as the scripts read them: keys in one slot, and numbers that a Lua double counts exactly. Talks to nobody.

use redis::{Script, ScriptInvocation};

use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{LEASE_SECS, Line, Reserve};
use crate::rules::ledger::need::{Fit, Need, Share};
use crate::units::ids::CallId;
use crate::units::money::{MAX_AMOUNT, PICO_PER_MICRO_CENT, PicoUsd};

/// Names of the keys. All carry the ledger's name as their hash tag, so that they lie in one slot.
pub struct Keys {
    tag: String,
}

impl Keys {
    pub fn new(ledger: &str) -> Self {
        Self { tag: format!("{{{ledger}}}") }
    }

    pub fn fixed(&self, what: &str) -> String {
        format!("{}:{what}", self.tag)
    }

    pub fn hold(&self, hold: CallId) -> String {
        format!("{}:hold:{hold}", self.tag)
    }

    pub fn account(&self, account: &AccountName) -> String {
        format!("{}:account:{account}", self.tag)
    }
}

/// Beyond this a rest of a micro-cent times a limit is no exact double. No answer has so many tokens.
const MAX_LIMIT: u64 = 1 << 39;

/// Money as whole micro-cents and the pico-dollars that remain, each far below 2^53.
fn split(usd: PicoUsd) -> (u64, u64) {
    let whole = u64::try_from(usd.0 / PICO_PER_MICRO_CENT).unwrap_or(MAX_AMOUNT);
    (whole.min(MAX_AMOUNT), (usd.0 % PICO_PER_MICRO_CENT) as u64)
}

/// The accounts of a call, each once, in the order of its lines.
pub fn accounts(lines: &[Line]) -> Vec<&AccountName> {
    let mut found: Vec<&AccountName> = Vec::with_capacity(lines.len());
    for line in lines {
        if !found.contains(&&line.account) {
            found.push(&line.account);
        }
    }
    found
}

pub fn reserve<'s>(script: &'s Script, keys: &Keys, ask: &Reserve, row: &str) -> ScriptInvocation<'s> {
    let mut call = script.prepare_invoke();
    for key in ["meta", "flags", "events"] {
        call.key(keys.fixed(key));
    }
    call.key(keys.hold(ask.hold)).key(keys.fixed("leases"));
    let accounts = accounts(&ask.lines);
    for account in &accounts {
        call.key(keys.account(account));
    }
    call.arg(ask.hold.to_string()).arg(row).arg(LEASE_SECS * 1_000_000).arg(super::json(&accounts));
    call.arg(ask.flags.len());
    for flag in ask.flags.iter() {
        call.arg(super::flag_text(flag));
    }
    need(&mut call, &ask.need);
    call.arg(ask.lines.len());
    for line in ask.lines.iter() {
        // Every line's account stands in the list; the scripts count from one.
        let index = accounts.iter().position(|a| **a == line.account).map_or(0, |i| i + 1);
        let limit = line.limit.as_ref().map_or(-1, |l| l.amount.min(MAX_AMOUNT) as i64);
        let enforce = u8::from(line.limit.as_ref().is_some_and(|l| l.enforce));
        call.arg(index).arg(line.unit.as_str()).arg(line.window.as_str()).arg(limit).arg(enforce);
    }
    call
}

fn need(call: &mut ScriptInvocation<'_>, need: &Need) {
    let none = Fit { usd_per_token: PicoUsd(0), tokens_per_token: 0, floor: 0, want: 0, share: Share(100) };
    let fit = need.fit.as_ref().unwrap_or(&none);
    let ((usd, usd_rest), (rate, rate_rest)) = (split(need.usd), split(fit.usd_per_token));
    let want = fit.want.min(MAX_LIMIT);
    call.arg(usd).arg(usd_rest).arg(need.tokens.min(MAX_AMOUNT)).arg(need.calls).arg(need.risk);
    call.arg(u8::from(need.fit.is_some())).arg(rate).arg(rate_rest).arg(fit.tokens_per_token);
    call.arg(fit.floor.min(want)).arg(want).arg(fit.share.0.min(100));
}
