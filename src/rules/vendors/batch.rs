//! Batches: work that one call orders and another call's answer prices. Making one is held at the sum of its items' bounds at
//! the batch price; that charge stands until the results are read through bursar, and is then replaced by their sum. `bound`
//! reads requests, `read` answers. Keeps nothing itself: what a call made goes into its row, and `gateway` finds it there.

mod bound;
mod read;
#[cfg(test)]
mod tests;

use http::HeaderMap;

pub use read::Due;
pub(super) use read::{Reading, plain};

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
    Upload(Option<Result<FileBound, String>>),
    /// `geo`: a place that some item asks for, and that costs more.
    Making { geo: Option<Name> },
    /// How far one is, and where its results lie.
    Status,
    /// The results, one in a line, of the batch of this name.
    Results { of: Name, plan: Box<LlmPlan> },
}

/// What running a file costs at most, at the one operation that its lines ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileBound {
    pub bound: MadeBound,
    pub endpoint: Name,
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
    let plan = LlmPlan::of_batch(ask, api, recalled.made.geo.as_deref());
    free(How::Batch(Batch::Results { of, plan: Box::new(plan) }))
}

/// A batch of messages: all of them stand in its body.
pub(super) fn of_messages(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let (need, geo) = bound::of_messages(ask)?;
    Ok(making(ask, need, geo))
}

/// A batch of a file: what its upload was bounded at.
pub(super) fn of_file(ask: &Ask<'_>) -> Bounded {
    making(ask, uploaded(ask), None)
}

fn making(ask: &Ask<'_>, need: Result<Need, Unpriceable>, geo: Option<Name>) -> Bounded {
    let tokens = ask.prices.dearest(&ask.vendor.prices).map_or(0, |row| row.limits.one_run());
    Bounded { need, how: How::Batch(Batch::Making { geo }), tokens, countable: false }
}

fn uploaded(ask: &Ask<'_>) -> Result<Need, Unpriceable> {
    let remembered = |field: &str, why: &str| Unpriceable::Remembered { field: field.to_owned(), why: why.to_owned() };
    let why = |why: &str| remembered("input_file_id", why);
    let made = ask.recalled.map(|recalled| &recalled.made);
    let made = made.ok_or_else(|| why("the file was not uploaded through bursar as a batch's"))?;
    let bound = made.bound.ok_or_else(|| match &made.unbounded {
        Some(reason) => why(&format!("the file has a line that nothing bounds: {reason}")),
        None => why("the file was not uploaded through bursar as a batch's"),
    })?;
    if bound.book != ask.prices.hash() {
        return Err(why("prices have changed since the file was uploaded: upload it again"));
    }
    let named = ask.args.document().and_then(|document| document.root().member("endpoint")?.text());
    match named {
        Some(named) if made.endpoint.as_deref() == Some(named) => {
            Ok(Need::fixed(PicoUsd::from(bound.usd), bound.tokens))
        }
        _ => Err(remembered("endpoint", "it is not that of the file's lines, by which they were bounded")),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
