//! The parser behind `Document`: one pass from left to right into a flat list of nodes. Recursion is bounded by
//! `MAX_DEPTH`. Strings are taken as slices, and copied only where they hold an escape (`text`).

mod text;

use super::problem::{JsonError, Problem};
use super::{Kind, Node};
use std::borrow::Cow;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;
/// Up to this many members are compared pair by pair; more are sorted.
const FEW_MEMBERS: usize = 8;

pub(super) fn read(body: &[u8]) -> Result<(&str, Vec<Node<'_>>), JsonError> {
    let fail = |problem, offset| Err(JsonError { problem, offset });
    if u32::try_from(body.len()).is_err() {
        return fail(Problem::TooLong, 0);
    }
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => return fail(Problem::NotUtf8, error.valid_up_to()),
    };
    if text.starts_with('\u{feff}') {
        return fail(Problem::ByteOrderMark, 0);
    }
    let mut reader = Reader::new(text);
    reader.document()?;
    Ok((text, reader.nodes))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    /// Kept between objects, so that checking many for duplicates allocates once.
    sorted: Vec<u32>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(32), sorted: Vec::new() }
    }

    fn fail<T>(&self, problem: Problem) -> Result<T, JsonError> {
        self.fail_at(problem, self.at)
    }

    fn fail_at<T>(&self, problem: Problem, offset: usize) -> Result<T, JsonError> {
        Err(JsonError { problem, offset })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return self.fail(Problem::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    fn document(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.peek().is_none() {
            return self.fail(Problem::Empty);
        }
        self.value(None, 0)?;
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail(Problem::Trailing),
        }
    }

    /// Reads one value, and pushes its node before those of what is inside it.
    fn value(&mut self, key: Option<Cow<'a, str>>, depth: usize) -> Result<(), JsonError> {
        let (index, start) = (self.nodes.len(), self.at);
        let node = |kind| Node { key, kind, start: start as u32, end: 0, next: 0 };
        match self.peek() {
            Some(b'{') => {
                self.nodes.push(node(Kind::Object));
                self.object(index, depth + 1)?;
            }
            Some(b'[') => {
                self.nodes.push(node(Kind::Array));
                self.array(depth + 1)?;
            }
            _ => {
                let kind = self.scalar()?;
                self.nodes.push(node(kind));
            }
        }
        // The body is shorter than 4 GiB, and so are its nodes.
        let next = self.nodes.len() as u32;
        let done = &mut self.nodes[index];
        (done.end, done.next) = (self.at as u32, next);
        Ok(())
    }

    fn scalar(&mut self) -> Result<Kind<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Kind::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number(self.number()?)),
            Some(b't') => self.word("true", Kind::Bool(true)),
            Some(b'f') => self.word("false", Kind::Bool(false)),
            Some(b'n') => self.word("null", Kind::Null),
            _ => self.fail(Problem::Syntax),
        }
    }

    fn word(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fail(Problem::Syntax);
        }
        self.at += word.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match count {
            0 => self.fail(Problem::Syntax),
            _ => Ok(()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.open(depth)?;
        if self.closed(b']') {
            return Ok(());
        }
        loop {
            self.skip_space();
            self.value(None, depth)?;
            if self.ended(b']')? {
                return Ok(());
            }
        }
    }

    fn object(&mut self, index: usize, depth: usize) -> Result<(), JsonError> {
        self.open(depth)?;
        if self.closed(b'}') {
            return Ok(());
        }
        let mut members = 0;
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            self.value(Some(key), depth)?;
            members += 1;
            if self.ended(b'}')? {
                return self.refuse_duplicates(index, members);
            }
        }
    }

    /// Steps over the opening bracket.
    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return self.fail(Problem::TooDeep);
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn closed(&mut self, bracket: u8) -> bool {
        let closed = self.peek() == Some(bracket);
        self.at += usize::from(closed);
        closed
    }

    /// Steps over what stands behind a value: the closing bracket (then true) or a comma.
    fn ended(&mut self, bracket: u8) -> Result<bool, JsonError> {
        self.skip_space();
        if self.closed(bracket) {
            return Ok(true);
        }
        self.expect(b',').map(|()| false)
    }

    /// Readers differ in which of two equal names wins, so neither may.
    fn refuse_duplicates(&mut self, index: usize, members: usize) -> Result<(), JsonError> {
        let twice = match members {
            0 | 1 => None,
            2..=FEW_MEMBERS => self.twice_among_few(index),
            _ => self.twice_among_many(index),
        };
        match twice {
            Some(node) => self.fail_at(Problem::Duplicate, self.nodes[node].start as usize),
            None => Ok(()),
        }
    }

    fn members(&self, index: usize) -> impl Iterator<Item = usize> {
        let mut at = index + 1;
        std::iter::from_fn(move || {
            let member = at;
            at = self.nodes.get(member)?.next as usize;
            Some(member)
        })
    }

    fn twice_among_few(&self, index: usize) -> Option<usize> {
        self.members(index).find(|&later| {
            let mut earlier = self.members(index).take_while(|&member| member < later);
            earlier.any(|member| self.nodes[member].key == self.nodes[later].key)
        })
    }

    fn twice_among_many(&mut self, index: usize) -> Option<usize> {
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend(self.members(index).map(|member| member as u32));
        let key = |member: u32| &self.nodes[member as usize].key;
        sorted.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        let pairs = sorted.windows(2);
        let twice = pairs.filter(|pair| key(pair[0]) == key(pair[1]));
        let first = twice.map(|pair| pair[1] as usize).min();
        self.sorted = sorted;
        first
    }
}
