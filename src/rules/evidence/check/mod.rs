//! Reads an export line by line against public keys alone, recomputes heads, Merkle roots and signatures, and names the first
//! bad row. Keeps a few hashes, whatever the length of the file. `fault` says what is wrong, `suspect` finds out how it was
//! done, `statement` judges checkpoints and the end, `read` takes a whole file.

pub mod fault;
mod read;
mod statement;
mod suspect;

use serde::Serialize;
use sha2::{Digest, Sha256};

use self::fault::{Fault, Row, What};
pub use self::read::Reading;
use self::suspect::Suspect;
use super::anchors::Anchors;
use super::lines::{Event, Line};
use super::trust::Trust;
use super::{End, PublicKey, Signed};
use crate::rules::chain::{self, Place};
use crate::rules::merkle::Tree;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// What a good file shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sound {
    /// Events are proven from here on, and to here.
    pub from: Seq,
    pub to: Seq,
    pub events: u64,
    pub checkpoints: u64,
    /// When the last checkpoint was signed, and its number.
    pub signed_at: Timestamp,
    pub last_checkpoint: u64,
    /// The key that signs now, and whether it hangs on one that the reader brought.
    pub key: PublicKey,
    pub confirmed: bool,
    /// Events behind the last checkpoint: chained, and signed by nobody yet.
    pub unsigned: u64,
    /// Given up by retention, up to here, and the checkpoint that still covers them, if it is here.
    pub pruned_to: Seq,
    pub pruned_under: Option<u64>,
    /// It was asked for up to this event alone.
    pub asked_to: Option<Seq>,
    /// Checkpoints that an anchor confirms, and the last event that an anchor knows of.
    pub anchored: u64,
    pub anchored_to: Option<Seq>,
    /// How many entries never reached the books, and the first of them: the chain itself says so.
    pub gaps: u64,
    pub first_gap: Option<Seq>,
}

pub struct Checker {
    trust: Trust,
    anchors: Anchors,
    anchored: u64,
    /// Of every line so far.
    lines: Sha256,
    line: u64,
    opened: bool,
    /// The last event that is good.
    place: Place,
    /// Since the last checkpoint.
    tree: Tree,
    last: Option<Signed>,
    base: Option<Signed>,
    key_row: u64,
    end: Option<End>,
    events: u64,
    checkpoints: u64,
    gaps: u64,
    first_gap: Option<Seq>,
    first_signer: Option<u64>,
    state: State,
}

enum State {
    Good,
    /// Something is wrong, and the lines behind it say more.
    Suspect(Suspect),
    Bad(Fault),
}

impl Checker {
    /// `keys`: those that the reader trusts; none takes the file's own first key, unconfirmed.
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self {
            trust: Trust::new(keys),
            anchors: Anchors::default(),
            anchored: 0,
            lines: Sha256::new(),
            line: 0,
            opened: false,
            place: Place::START,
            tree: Tree::default(),
            last: None,
            base: None,
            key_row: 0,
            end: None,
            events: 0,
            checkpoints: 0,
            gaps: 0,
            first_gap: None,
            first_signer: None,
            state: State::Good,
        }
    }

    /// Checkpoints must be those that stand here, and reach as far.
    #[must_use]
    pub fn against(self, anchors: Anchors) -> Self {
        Self { anchors, ..self }
    }

    /// One line, without its end. `false` once nothing more can be learnt.
    pub fn line(&mut self, line: &[u8]) -> bool {
        self.line += 1;
        let text = std::str::from_utf8(line).unwrap_or("");
        match &mut self.state {
            State::Bad(_) => return false,
            State::Suspect(suspect) => {
                if let Some(event) = Event::read(text) {
                    suspect.hear(&event);
                }
                return true;
            }
            State::Good => {}
        }
        match self.good(text) {
            Ok(()) => self.lines = std::mem::take(&mut self.lines).chain_update(line).chain_update(b"\n"),
            Err(Wrong::At(row, what, why)) => self.state = State::Bad(Fault { line: self.line, row, what, why }),
            Err(Wrong::Event(found)) => self.state = State::Suspect(Suspect::new(self.line, self.place, found)),
        }
        !matches!(self.state, State::Bad(_))
    }

    fn good(&mut self, text: &str) -> Result<(), Wrong> {
        if self.end.is_some() {
            return Err(Wrong::file(What::Extra, "it stands behind the end"));
        }
        if let Some(event) = Event::read(text) {
            return self.event(&event);
        }
        match (Line::read(text), self.opened) {
            (Some(line @ Line::Export { .. }), false) if line == Line::OPENING => {
                self.opened = true;
                Ok(())
            }
            (Some(Line::Export { version }), false) => {
                Err(Wrong::file(What::Changed, &format!("it has version {version}, which this program does not know")))
            }
            (_, false) => Err(Wrong::file(What::Changed, "it does not begin as an export does")),
            (Some(Line::Key(signed)), true) => self.key(&signed),
            (Some(Line::Base(signed)), true) => self.begin(signed),
            (Some(Line::Checkpoint(signed)), true) => self.checkpoint(signed),
            (Some(Line::End(end)), true) => self.ends(end),
            (Some(Line::Export { .. }), true) => Err(Wrong::file(What::Extra, "a second beginning")),
            (None, true) => Err(self.unreadable(text)),
        }
    }

    /// A guess at which row it was; its line is certain.
    fn unreadable(&self, text: &str) -> Wrong {
        let row = match text {
            _ if text.contains("\"root\":") && text.contains("\"signature\":") => Row::Checkpoint(self.number() + 1),
            _ if text.contains("\"last\":") && text.contains("\"signature\":") => Row::File,
            _ => Row::Event(self.place.seq + 1),
        };
        Wrong::At(row, What::Changed, "this line is not as it was written".to_owned())
    }

    fn number(&self) -> u64 {
        self.last.as_ref().map_or(0, |s| s.checkpoint.number)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Wrong> {
        if !self.opened {
            return Err(Wrong::file(What::Changed, "it does not begin as an export does"));
        }
        let leaf = chain::leaf(event.body.as_bytes());
        let head = chain::link(&self.place.head, event.seq, &leaf);
        if event.seq <= self.place.seq || head != event.head {
            return Err(Wrong::Event(Some(event.seq)));
        }
        if event.seq > self.place.seq + 1 {
            self.gaps += event.seq - self.place.seq - 1;
            self.first_gap = self.first_gap.or(Some(self.place.seq + 1));
        }
        self.place = Place { seq: event.seq, head };
        self.tree.push(leaf);
        self.events += 1;
        Ok(())
    }

    /// The verdict on the whole file.
    ///
    /// # Errors
    /// The first bad row.
    pub fn finish(mut self) -> Result<Sound, Fault> {
        self.line += 1;
        match std::mem::replace(&mut self.state, State::Good) {
            State::Bad(fault) => Err(fault),
            State::Suspect(suspect) => Err(suspect.judge()),
            State::Good => self.whole(),
        }
    }

    /// The verdict on books as they stand, which have no end: events may follow on the last checkpoint.
    ///
    /// # Errors
    /// The first bad row.
    pub fn finish_open(self) -> Result<Sound, Fault> {
        match self.state {
            State::Good if self.last.is_some() => self.sound(None),
            _ => self.finish(),
        }
    }
}

/// Why a line is not good.
enum Wrong {
    At(Row, What, String),
    /// The next event should stand here; this one does, or none.
    Event(Option<Seq>),
}

impl Wrong {
    fn file(what: What, why: &str) -> Self {
        Self::At(Row::File, what, why.to_owned())
    }
}
