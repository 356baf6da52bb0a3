//! `bursar spend`: sums over calls, in all and by dimension.

use clap::Args;

use super::audit::Filter;
use super::client::Client;
use super::output::{BOLD, Columns, DIM, json, line};
use super::{Failure, Global};
use crate::adapters::audit::query::{Spend as Sums, SpendLine};

#[derive(Debug, Args)]
pub struct Spend {
    #[command(flatten)]
    filter: Filter,
}

pub async fn run(global: &Global, asked: Spend) -> Result<(), Failure> {
    let sums: Sums = Client::new(global)?.get("/v1/spend", &asked.filter.query()).await?;
    if global.json {
        return json(&sums);
    }
    let t = &sums.total;
    line(format!("{BOLD}${}{BOLD:#} for {} calls, {} tokens", t.cost_usd, t.calls, t.tokens))?;
    let asides = [("refused", t.refused), ("still open", t.open), ("to look at", t.flagged)];
    let asides: Vec<_> = asides.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    if !asides.is_empty() {
        line(format!("{DIM}{}{DIM:#}", asides.join(", ")))?;
    }
    for (what, lines) in [
        ("operation", &sums.by_operation),
        ("agent", &sums.by_agent),
        ("run", &sums.by_run),
        ("vendor", &sums.by_vendor),
    ] {
        table(what, lines)?;
    }
    Ok(())
}

fn table(what: &str, lines: &[SpendLine]) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    line("")?;
    let mut columns = Columns::new(&[what, "calls", "refused", "tokens", "cost"]);
    columns.right(&[1, 2, 3, 4]);
    for l in lines {
        let s = &l.sum;
        columns.row([
            named(&l.name).to_owned(),
            s.calls.to_string(),
            s.refused.to_string(),
            s.tokens.to_string(),
            format!("${}", s.cost_usd),
        ]);
    }
    columns.print()
}

/// What was refused at the door has no vendor and no operation.
fn named(name: &str) -> &str {
    if name.trim().is_empty() { "(none)" } else { name }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn every_line_has_a_name() {
        assert_eq!((named(" "), named(""), named("stripe")), ("(none)", "(none)", "stripe"));
    }
}
