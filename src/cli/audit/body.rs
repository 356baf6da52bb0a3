//! `bursar audit body`: a captured body, as it was. That somebody looked stands in the books.

use std::io::Write;

use clap::Args;

use super::super::client::Client;
use super::super::output::{json, note};
use super::super::{Failure, Global};
use crate::adapters::captures::Part;
use crate::adapters::captures::wire::{BodyRequest, BodyView};
use crate::units::ids::CallId;

#[derive(Debug, Args)]
pub struct Body {
    /// The call: `call_id` of its row
    call: CallId,
    /// What the caller got, instead of what it sent
    #[arg(long)]
    answer: bool,
    /// Why; it stands in the books
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(global: &Global, client: &Client, asked: Body) -> Result<(), Failure> {
    let part = if asked.answer { Part::Answer } else { Part::Request };
    let asked = BodyRequest { call: asked.call, part, reason: asked.reason };
    let found: BodyView = client.post("/v1/audit/bodies/read", &asked).await?;
    if global.json {
        return json(&found);
    }
    if !found.whole {
        note("This is the beginning: it was longer than the policy keeps, or broke off.");
    }
    let bytes = found.bytes().ok_or_else(|| Failure::refused("the server sent a body that cannot be read"))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(Failure::from)
}
