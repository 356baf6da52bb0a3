//! `bursar audit query`: rows of calls, newest first, page by page, as a table, JSON or CSV.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::super::client::Client;
use super::super::output::{Columns, json, note, or_dash};
use super::super::sheet::Sheet;
use super::super::{Failure, Global};
use super::{Filter, some, to_the_second};
use crate::adapters::audit::condition::{field, known, plain};
use crate::adapters::audit::row::COLUMNS;
use crate::adapters::audit::{CallPage, CallQuery, CallRow};

#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    filter: Filter,
    /// At most so many rows
    #[arg(long, default_value_t = 50, value_parser = some)]
    limit: usize,
    /// Older than this row: the `seq` of the last one that was seen
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// These alone, in this order: `seq,agent_id,cost_usd,subject.app`
    #[arg(long, value_delimiter = ',', value_parser = column)]
    columns: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    /// One object a line
    Json,
    Csv,
}

fn column(text: &str) -> Result<String, String> {
    known(text).map(|()| text.to_owned())
}

/// Rows that the server gives at a time.
const PAGE: usize = 1000;

pub async fn run(global: &Global, client: &Client, asked: Query) -> Result<(), Failure> {
    let usual = if global.json { Format::Json } else { Format::Table };
    let mut out = Out::new(asked.format.unwrap_or(usual), &asked.columns)?;
    let mut query = CallQuery { before: asked.before, ..asked.filter.query() };
    let mut left = asked.limit;
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page: CallPage = client.get("/v1/audit/calls", &query).await?;
        left = left.saturating_sub(page.calls.len());
        query.before = page.next;
        page.calls.into_iter().try_for_each(|row| out.row(row))?;
        if page.next.is_none() {
            break;
        }
    }
    out.end(query.before)
}

/// Where rows go.
enum Out {
    Json(Vec<String>),
    Csv(Vec<String>, Box<Sheet>),
    Table(Vec<String>, Vec<CallRow>),
}

impl Out {
    fn new(format: Format, columns: &[String]) -> Result<Self, Failure> {
        let columns = columns.to_vec();
        Ok(match format {
            Format::Json => Self::Json(columns),
            Format::Table => Self::Table(columns, Vec::new()),
            Format::Csv => {
                let all = || COLUMNS.iter().map(ToString::to_string).collect();
                let columns: Vec<String> = if columns.is_empty() { all() } else { columns };
                let sheet = Box::new(Sheet::new(&columns)?);
                Self::Csv(columns, sheet)
            }
        })
    }

    fn row(&mut self, row: CallRow) -> Result<(), Failure> {
        match self {
            Self::Table(_, rows) => rows.push(row),
            Self::Json(columns) if columns.is_empty() => json(&row)?,
            Self::Json(columns) => {
                let row = serde_json::to_value(&row)?;
                let chosen = columns.iter().map(|c| (c.clone(), field(&row, c).clone()));
                json(&Value::Object(chosen.collect()))?;
            }
            Self::Csv(columns, sheet) => {
                let row = serde_json::to_value(&row)?;
                sheet.row(columns.iter().map(|c| plain(field(&row, c))))?;
            }
        }
        Ok(())
    }

    fn end(self, next: Option<u64>) -> Result<(), Failure> {
        match self {
            Self::Json(_) => {}
            Self::Csv(_, sheet) => sheet.end()?,
            Self::Table(_, rows) if rows.is_empty() => note("No calls match."),
            Self::Table(columns, rows) if columns.is_empty() => table(&rows)?,
            Self::Table(columns, rows) => chosen(&columns, &rows)?,
        }
        if let Some(next) = next {
            note(format!("There may be more: --before {next}"));
        }
        Ok(())
    }
}

fn chosen(columns: &[String], rows: &[CallRow]) -> Result<(), Failure> {
    let mut table = Columns::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        let row = serde_json::to_value(row)?;
        let cell = |c: &String| Some(plain(field(&row, c))).filter(|text| !text.is_empty());
        table.row(columns.iter().map(|c| or_dash(cell(c))));
    }
    table.print()
}

fn table(rows: &[CallRow]) -> Result<(), Failure> {
    let names =
        ["seq", "time", "verdict", "outcome", "agent", "run", "vendor", "operation", "status", "cost", "reason"];
    let mut columns = Columns::new(&names);
    columns.right(&[0, 8, 9]);
    for row in rows {
        columns.row([
            row.seq.to_string(),
            to_the_second(row.timestamp_utc),
            row.verdict.to_string(),
            row.outcome.map_or_else(|| "open".to_owned(), |o| o.to_string()),
            or_dash(row.agent_id.as_ref()),
            or_dash(row.run_id.as_ref()),
            or_dash(row.vendor.as_ref().filter(|v| !v.is_empty())),
            row.endpoint.as_ref().map_or_else(|| format!("{} {}", row.method, row.path), ToString::to_string),
            or_dash(row.http_status),
            row.cost_usd.map_or_else(|| "-".to_owned(), |c| format!("${c}{}", if row.flagged { "?" } else { "" })),
            short(row.reason.as_ref().or(row.error.as_ref()).map_or("", |r| r)),
        ]);
    }
    columns.print()
}

/// A table keeps its shape; `--json` has the whole sentence.
pub fn short(reason: &str) -> String {
    let mut chars = reason.chars();
    let kept: String = chars.by_ref().take(REASON).collect();
    if chars.next().is_some() { format!("{kept}…") } else { kept }
}

const REASON: usize = 60;
