//! `bursar adjust`: what a call really cost, where bursar could only charge a bound.

use clap::Args;

use super::client::Client;
use super::output::{BOLD, json, line, note};
use super::{Failure, Global};
use crate::adapters::audit::wire::{AdjustRequest, Adjusted};
use crate::units::ids::CallId;
use crate::units::money::MicroCents;

#[derive(Debug, Args)]
pub struct Adjust {
    /// The call's id: `bursar audit query --flagged` has those to look at
    call: CallId,
    /// In USD, as the vendor's own account says: `1.25`
    #[arg(long, value_name = "USD", value_parser = amount)]
    cost: MicroCents,
    /// As they were counted, if unsaid
    #[arg(long)]
    tokens: Option<u64>,
    /// Why; it stands in the books
    #[arg(long)]
    reason: String,
    /// It was adjusted before, and this replaces that
    #[arg(long)]
    again: bool,
}

fn amount(text: &str) -> Result<MicroCents, String> {
    let bare = text.trim_start_matches('$').trim_end_matches("USD").trim();
    bare.parse().map_err(|_| format!("`{text}` is no amount in USD, such as `1.25`"))
}

pub async fn run(global: &Global, adjust: Adjust) -> Result<(), Failure> {
    let Adjust { call, cost, tokens, reason, again } = adjust;
    let asked = AdjustRequest { call_id: call, cost_usd: cost, tokens, reason, again };
    let done: Adjusted = Client::new(global)?.post("/v1/adjust", &asked).await?;
    if global.json {
        return json(&done);
    }
    if done.cost_usd > done.estimate_usd {
        note(format!("It is more than the ${} that were held for it.", done.estimate_usd));
    }
    line(format!(
        "call {} cost {BOLD}${}{BOLD:#}, not ${} (event {})",
        done.call_id, done.cost_usd, done.was_usd, done.seq
    ))
}
