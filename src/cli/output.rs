//! How commands speak: rows on standard output, words on standard error, colours on a terminal alone. And how they fail.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Serialize;

/// Why a command ends with another code than 0.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Refused, or not found.
    pub fn refused(message: impl Display) -> Self {
        Self::new(1, message)
    }

    pub fn usage(message: impl Display) -> Self {
        Self::new(2, message)
    }

    pub fn unreachable(message: impl Display) -> Self {
        Self::new(3, message)
    }

    /// Says it on standard error.
    pub fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        let red = AnsiColor::Red.on_default().bold();
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(anstream::stderr(), "{red}error{red:#}: {}", self.message);
    }
}

/// A reader who had enough (`| head`) is no failure.
impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self { code: 0, message: String::new() },
            _ => Self::refused(e),
        }
    }
}

/// Nobody reads standard output any more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Has the reader had enough? Whoever has a verdict to end with goes on to it; what has no end of its own ends.
pub fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// A reader who had enough changes no verdict: the rest is not said.
fn unless_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        written => Ok(written?),
    }
}

impl From<serde_json::Error> for Failure {
    fn from(e: serde_json::Error) -> Self {
        Self::refused(format!("the server's answer cannot be read; is it of another version? {e}"))
    }
}

pub const DIM: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const WARN: Style = AnsiColor::Yellow.on_default();

/// One line on standard output.
pub fn line(text: impl Display) -> Result<(), Failure> {
    unless_closed(writeln!(anstream::stdout(), "{text}"))
}

/// One JSON object on a line.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value)?)
}

/// Words for a person, beside the data.
pub fn note(text: impl Display) {
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Aligned columns without lines; the last may be long.
pub struct Columns(Table);

impl Columns {
    pub fn new(names: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(names.iter().map(|n| Cell::new(n.to_uppercase())));
        Self(table)
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|c| Cell::new(plain(&c))));
    }

    /// Columns of numbers stand on their right edge.
    pub fn right(&mut self, columns: &[usize]) {
        for column in columns {
            if let Some(column) = self.0.column_mut(*column) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
    }

    pub fn print(&self) -> Result<(), Failure> {
        for (at, text) in self.0.lines().enumerate() {
            let text = text.trim_end();
            let text = text.strip_prefix(' ').unwrap_or(text);
            if at == 0 { line(format!("{DIM}{text}{DIM:#}"))? } else { line(text)? }
        }
        Ok(())
    }
}

/// What came from callers must not steer the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A value, or a dash.
pub fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}
