//! Reads an answer as it passes, for what should not be in one: credentials by the form that their issuers give them, our own
//! by their bytes in any usual encoding, private keys, card numbers, bank accounts, addresses. What it says does not depend on how
//! the bytes were cut. It keeps what may still become one of these and no more, and counts: nothing that was found is kept.
//!
//! `plain` undoes escapes first, so what follows sees the text itself. `tokens` cuts it into words and knows their forms
//! (`formats`), `numbers` and `iban` read digits, `traces` searches for given bytes.

mod finds;
mod formats;
mod iban;
mod numbers;
mod plain;
#[cfg(test)]
mod tests;
mod tokens;
mod traces;

use std::sync::Arc;

pub use finds::{Find, Finds, Kinds};
pub use traces::Traces;

use iban::Ibans;
use numbers::Numbers;
use plain::Plain;
use tokens::Tokens;
use traces::Search;

/// One answer under reading.
pub struct Scan {
    plain: Plain,
    tokens: Tokens,
    numbers: Numbers,
    ibans: Ibans,
    search: Search,
    finds: Finds,
    /// What the last piece said, without escapes.
    text: Vec<u8>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scan(…)")
    }
}

impl Scan {
    /// `own`: what our credentials look like.
    pub fn new(own: Vec<Arc<Traces>>) -> Self {
        Self {
            plain: Plain::default(),
            tokens: Tokens::default(),
            numbers: Numbers::default(),
            ibans: Ibans::default(),
            search: Search::new(own),
            finds: Finds::default(),
            text: Vec::new(),
        }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.text.clear();
        let text = &mut self.text;
        piece.iter().for_each(|byte| self.plain.push(*byte, &mut |plain| text.push(plain)));
        self.read();
    }

    /// The answer has ended, and so has its last word.
    pub fn finish(&mut self) {
        self.text.clear();
        let text = &mut self.text;
        self.plain.finish(&mut |plain| text.push(plain));
        // What ends a word.
        self.text.push(b'\n');
        self.read();
    }

    /// What was found so far.
    pub fn finds(&self) -> &Finds {
        &self.finds
    }

    fn read(&mut self) {
        self.search.push(&self.text, &mut self.finds);
        for byte in &self.text {
            self.tokens.push(*byte, &mut self.finds);
            self.numbers.push(*byte, &mut self.finds);
            self.ibans.push(*byte, &mut self.finds);
        }
    }
}
