//! Rows for a spreadsheet: CSV on standard output, in which no cell is a formula.

use std::io;

use super::Failure;

/// CSV under way.
pub struct Sheet(csv::Writer<io::Stdout>);

impl Sheet {
    pub fn new(columns: &[String]) -> Result<Self, Failure> {
        let mut writer = csv::Writer::from_writer(io::stdout());
        writer.write_record(columns).map_err(failed)?;
        Ok(Self(writer))
    }

    pub fn row(&mut self, cells: impl Iterator<Item = String>) -> Result<(), Failure> {
        self.0.write_record(cells.map(defused)).map_err(failed)
    }

    pub fn end(mut self) -> Result<(), Failure> {
        Ok(self.0.flush()?)
    }
}

fn failed(e: csv::Error) -> Failure {
    match e.into_kind() {
        csv::ErrorKind::Io(e) => e.into(),
        other => Failure::refused(format!("{other:?}")),
    }
}

/// What a spreadsheet would compute, it shows as text: callers choose paths, names and reasons.
fn defused(cell: String) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::defused;

    #[test]
    fn no_cell_is_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert_eq!(defused(bad.to_owned()), format!("'{bad}"));
        }
        for good in ["", "0.25", "POST /v1/refunds", "a=b"] {
            assert_eq!(defused(good.to_owned()), good);
        }
    }
}
