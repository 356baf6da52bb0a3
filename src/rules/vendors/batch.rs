//! Batches: work that one call orders and another call's answer prices. Making one is held at the sum of its items' bounds at
//! the batch price; that charge stands until the results are read through bursar, and is then replaced by their sum. `bound`
//! reads requests, `read` answers. Keeps nothing itself: what a call made goes into its row, and `gateway` finds it there.

mod bound;
mod read;
#[cfg(test)]
mod tests;

use http::HeaderMap;

pub use read::Due;
pub(super) use read::{Reading, TIER, plain};

use super::ask::{Ask, Bounded, Unpriceable};
use super::entry::{Adapter, Price};
use super::llm::{Api, LlmPlan};
use super::look_up::is_plain_id;
use super::plan::How;
use crate::rules::books::{Made, MadeBound};
use crate::rules::ledger::need::Need;
use crate::rules::subject::Name;
use crate::units::amount::Amounts;
use crate::units::ids::CallId;
use crate::units::money::PicoUsd;
use crate::units::time::Timestamp;

/// What is known of a thing that an earlier call made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    pub made: Made,
    /// The call that is charged for it, what for, and since when.
    pub call: CallId,
    pub charge: Amounts,
    pub at: Timestamp,
    /// That charge is the true cost already, or a person's word.
    pub settled: bool,
}

/// What the answer of such a call is read for.
#[derive(Debug)]
pub(super) enum Batch {
    /// A file that was uploaded: what running it costs at most, or why that is not known.
    Upload(Option<Result<MadeBound, String>>),
    Making,
    /// How far one is, and where its results lie.
    Status,
    /// The results, one in a line, of the batch of this name.
    Results {
        of: Name,
        plan: Box<LlmPlan>,
    },
}

impl Ask<'_> {
    /// The vendor's name of something made earlier, on which this call's bound or cost depends.
    pub fn recalls(&self) -> Option<String> {
        let named = match self.vendor.price_of(self.operation)? {
            Price::Adapter(Adapter::Batch) => {
                let document = self.args.document()?;
                document.root().member("input_file_id")?.text()?.to_owned()
            }
            Price::Adapter(Adapter::BatchOutput) => self.args.in_path("file")?.to_owned(),
            Price::Adapter(Adapter::MessageResults) => self.args.in_path("batch")?.to_owned(),
            _ => return None,
        };
        is_plain_id(&named).then_some(named)
    }
}

fn free(how: How) -> Bounded {
    Bounded { need: Ok(Need::fixed(PicoUsd(0), 0)), how, tokens: 0, countable: false }
}

/// An upload costs nothing. One that a batch may run is bounded now, as nobody sees it again.
pub(super) fn upload(ask: &Ask<'_>) -> Bounded {
    free(How::Batch(Batch::Upload(bound::of_file(ask))))
}

pub(super) fn status() -> Bounded {
    free(How::Batch(Batch::Status))
}

/// Results cost nothing to read. They are priced once: not if nobody is charged for the batch here, or its cost is known.
pub(super) fn results(ask: &Ask<'_>, api: Api) -> Bounded {
    let open = ask.recalled.filter(|recalled| !recalled.settled);
    let Some(recalled) = open else { return free(How::Free) };
    // A file that is no batch's results is none's.
    let of = recalled.made.of.clone().or((api == Api::Messages).then(|| recalled.made.object.clone()));
    let Some(of) = of else { return free(How::Free) };
    free(How::Batch(Batch::Results { of, plan: Box::new(LlmPlan::of_batch(ask, api)) }))
}

/// A batch of messages: all of them stand in its body.
pub(super) fn of_messages(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let need = bound::of_messages(ask)?;
    let tokens = ask.prices.dearest(&ask.vendor.prices).map_or(0, |row| row.limits.one_run());
    Ok(Bounded { need, how: How::Batch(Batch::Making), tokens, countable: false })
}

/// A batch of a file: what its upload was bounded at.
pub(super) fn of_file(ask: &Ask<'_>) -> Bounded {
    let field = || "input_file_id".to_owned();
    let bound = ask.recalled.and_then(|recalled| recalled.made.bound);
    let why = ask.recalled.and_then(|recalled| recalled.made.unbounded.clone());
    let need = match (bound, why) {
        (Some(bound), _) if bound.book == ask.prices.hash() => Ok(Need::fixed(PicoUsd::from(bound.usd), bound.tokens)),
        (Some(_), _) => Err("prices have changed since the file was uploaded: upload it again".to_owned()),
        (None, Some(why)) => Err(format!("the file has a line that nothing bounds: {why}")),
        (None, None) => Err("the file was not uploaded through bursar as a batch's".to_owned()),
    };
    let need = need.map_err(|why| Unpriceable::Remembered { field: field(), why });
    let tokens = ask.prices.dearest(&ask.vendor.prices).map_or(0, |row| row.limits.one_run());
    Bounded { need, how: How::Batch(Batch::Making), tokens, countable: false }
}

fn header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
