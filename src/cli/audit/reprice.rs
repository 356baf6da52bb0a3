//! `bursar audit reprice`: computes the cost of settled calls again, each by the book that priced it, from what its row says was
//! used; with `--current`, by the book of today. A difference is said, and is the exit code.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::super::client::Client;
use super::super::output::{BAD, Columns, GOOD, json, line, note};
use super::super::{Failure, Global, prices};
use super::{Filter, to_the_second};
use crate::adapters::audit::{CallPage, CallQuery, CallRow};
use crate::adapters::price_store::{PriceFiles, Upto};
use crate::rules::books::{Basis, CostSource};
use crate::rules::price::PriceBook;
use crate::rules::subject::Name;
use crate::units::ids::{CallId, Digest32, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

#[derive(Debug, Args)]
pub struct Reprice {
    #[command(flatten)]
    filter: Filter,
    /// By the book of today, not by the one that was in force
    #[arg(long)]
    current: bool,
}

/// Rows that the server gives at a time.
const PAGE: usize = 1000;

/// A call whose cost comes out otherwise.
#[derive(Debug, Serialize)]
struct Difference {
    seq: Seq,
    call_id: CallId,
    timestamp_utc: Timestamp,
    vendor: Option<Name>,
    model: Option<Name>,
    row: Option<Name>,
    cost_usd: MicroCents,
    /// Null if the book has no price for some part of it.
    repriced_usd: Option<MicroCents>,
}

/// What was looked at.
#[derive(Debug, Default, Serialize)]
struct Count {
    calls: u64,
    repriced: u64,
    different: u64,
    /// Said by the vendor, taken from the request, or a bound: nothing was computed.
    not_computed: u64,
    adjusted: u64,
    /// Their book is not in the data folder.
    no_book: u64,
}

/// Books by hash, read once.
struct Books {
    files: PriceFiles,
    current: Option<PriceBook>,
    kept: BTreeMap<[u8; 32], Option<PriceBook>>,
}

impl Books {
    fn of(&mut self, hash: Digest32) -> Result<Option<&PriceBook>, Failure> {
        if self.current.is_some() {
            return Ok(self.current.as_ref());
        }
        if let std::collections::btree_map::Entry::Vacant(place) = self.kept.entry(hash.0) {
            place.insert(self.files.with_hash(hash).map_err(Failure::refused)?);
        }
        Ok(self.kept.get(&hash.0).and_then(Option::as_ref))
    }
}

pub async fn run(global: &Global, client: &Client, asked: Reprice) -> Result<(), Failure> {
    let files = prices::files(global)?;
    let current = if asked.current { Some(files.load(Upto::Overrides).map_err(Failure::refused)?) } else { None };
    let mut books = Books { files, current, kept: BTreeMap::new() };
    let mut query = CallQuery { limit: Some(PAGE), ..asked.filter.query() };
    let (mut count, mut differences) = (Count::default(), Vec::new());
    loop {
        let page: CallPage = client.get("/v1/audit/calls", &query).await?;
        for row in &page.calls {
            differences.extend(check(row, &mut books, &mut count)?);
        }
        query.before = page.next;
        if page.next.is_none() {
            return tell(global, &count, &differences);
        }
    }
}

fn check(row: &CallRow, books: &mut Books, count: &mut Count) -> Result<Option<Difference>, Failure> {
    count.calls += 1;
    let computed = row.cost_source == Some(CostSource::Usage) && !row.flagged;
    let (Some(basis), Some(cost), true) = (&row.priced, row.cost_usd, computed) else {
        count.not_computed += 1;
        return Ok(None);
    };
    if row.is_adjusted() {
        count.adjusted += 1;
        return Ok(None);
    }
    let Some(book) = books.of(basis.book)? else {
        count.no_book += 1;
        return Ok(None);
    };
    count.repriced += 1;
    let repriced = book.again(basis);
    if repriced == Some(cost) {
        return Ok(None);
    }
    count.different += 1;
    Ok(Some(difference(row, basis, cost, repriced)))
}

fn difference(row: &CallRow, basis: &Basis, cost_usd: MicroCents, repriced_usd: Option<MicroCents>) -> Difference {
    let run = basis.runs.first();
    Difference {
        seq: row.seq,
        call_id: row.call_id,
        timestamp_utc: row.timestamp_utc,
        vendor: row.vendor.clone(),
        model: run.map(|run| run.model.clone()),
        row: run.and_then(|run| run.row.clone()),
        cost_usd,
        repriced_usd,
    }
}

fn tell(global: &Global, count: &Count, differences: &[Difference]) -> Result<(), Failure> {
    if global.json {
        differences.iter().try_for_each(json)?;
        json(count)?;
    } else {
        if !differences.is_empty() {
            table(differences)?;
        }
        let colour = if differences.is_empty() { GOOD } else { BAD };
        line(format!(
            "{colour}{}{colour:#} of {} calls computed again, {} differ; {} were not computed, {} adjusted",
            count.repriced, count.calls, count.different, count.not_computed, count.adjusted
        ))?;
    }
    if count.no_book > 0 {
        note(format!(
            "{} calls were priced by a book that is not in this data folder: run this where `serve` ran, or with --current.",
            count.no_book
        ));
    }
    match count.different + count.no_book {
        0 => Ok(()),
        _ => Err(Failure { code: 1, message: String::new() }),
    }
}

fn table(differences: &[Difference]) -> Result<(), Failure> {
    let mut columns = Columns::new(&["seq", "time", "vendor", "model", "row", "booked", "computed"]);
    columns.right(&[0, 5, 6]);
    let name = |name: &Option<Name>| name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    for d in differences {
        columns.row([
            d.seq.to_string(),
            to_the_second(d.timestamp_utc),
            name(&d.vendor),
            name(&d.model),
            name(&d.row),
            format!("${}", d.cost_usd),
            d.repriced_usd.map_or_else(|| "no price".to_owned(), |usd| format!("${usd}")),
        ]);
    }
    columns.print()
}
