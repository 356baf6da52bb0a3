//! Pairs into a tree. They are sorted first, so that a hostile form with many names costs no more than a sort.
//!
//! What clashes: a name given twice, a name that is both a value and a group (`a=1&a[b]=2`), `[]` beside named brackets,
//! and more than one pair through an inner `[]` (`a[][b]=1&a[][c]=2`: one element, or two?).

use super::{Pairs, Part};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A form as a tree of fields. The nodes lie each followed by all that is inside it.
#[derive(Debug)]
pub struct Form<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
struct Node<'a> {
    key: Cow<'a, str>,
    /// None for a group.
    value: Option<Cow<'a, str>>,
    /// The first node that is not inside this one.
    next: usize,
    /// This very place has more than one reading.
    clashes: bool,
    /// This place, or one inside it, has.
    unclear: bool,
    /// Its brackets are empty or hold numbers only.
    list: bool,
}

impl<'a> Form<'a> {
    /// The group of all fields.
    pub fn root(&self) -> FieldRef<'_> {
        // `build` always makes a root.
        FieldRef { nodes: &self.nodes, at: 0 }
    }
}

/// A field or a group of fields. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct FieldRef<'f> {
    nodes: &'f [Node<'f>],
    at: usize,
}

impl<'f> FieldRef<'f> {
    fn node(self) -> &'f Node<'f> {
        &self.nodes[self.at]
    }

    /// Its name within its group; elements of `[]` are numbered from 0.
    pub fn key(self) -> &'f str {
        &self.node().key
    }

    /// The decoded value, unless it is a group.
    pub fn text(self) -> Option<&'f str> {
        self.node().value.as_deref()
    }

    /// Whether this place has more than one reading.
    pub fn clashes(self) -> bool {
        self.node().clashes
    }

    /// Whether this place or anything inside it has more than one reading.
    pub fn is_unclear(self) -> bool {
        self.node().unclear
    }

    /// Whether it is a group that is written like a list.
    pub fn is_list(self) -> bool {
        self.node().list
    }

    /// What lies directly inside a group: lists in order, others by name.
    pub fn children(self) -> impl Iterator<Item = FieldRef<'f>> {
        let (nodes, end) = (self.nodes, self.node().next);
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let child = (at < end).then_some(FieldRef { nodes, at })?;
            at = child.node().next;
            Some(child)
        })
    }
}

pub(super) fn build(mut pairs: Pairs<'_>) -> Form<'_> {
    let mut order: Vec<usize> = (0..pairs.pairs.len()).collect();
    // Stable: the elements of `[]` keep the order of the text.
    order.sort_by(|&a, &b| compare(pairs.name(a), pairs.name(b)));
    let mut builder = Builder { pairs: &mut pairs, nodes: Vec::with_capacity(order.len() + 1) };
    let root = builder.push(Cow::Borrowed(""));
    builder.group(root, &order, 0);
    Form { nodes: builder.nodes }
}

impl<'a> Pairs<'a> {
    fn name(&self, pair: usize) -> &[Part<'a>] {
        &self.parts[self.pairs[pair].0.clone()]
    }
}

/// Any total order in which equal beginnings stand together; numbers by their value, so that lists come in order.
fn compare(a: &[Part<'_>], b: &[Part<'_>]) -> Ordering {
    let rank = |part: &Part<'_>| {
        let number = is_number(&part.text);
        (!part.append, !number, if number { part.text.len() } else { 0 })
    };
    let parts = a.iter().zip(b).map(|(a, b)| rank(a).cmp(&rank(b)).then_with(|| a.text.cmp(&b.text)));
    let differing = parts.into_iter().find(|order| order.is_ne());
    differing.unwrap_or(a.len().cmp(&b.len()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Builder<'p, 'a> {
    pairs: &'p mut Pairs<'a>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Builder<'_, 'a> {
    fn push(&mut self, key: Cow<'a, str>) -> usize {
        self.nodes.push(Node { key, value: None, next: 0, clashes: false, unclear: false, list: false });
        self.nodes.len() - 1
    }

    fn part(&self, pair: usize, depth: usize) -> &Part<'a> {
        &self.pairs.name(pair)[depth]
    }

    fn is_leaf(&self, pair: usize, depth: usize) -> bool {
        self.pairs.name(pair).len() == depth + 1
    }

    /// Fills a group with pairs that all have its name and go on at `depth`.
    fn group(&mut self, group: usize, pairs: &[usize], depth: usize) {
        let appended = pairs.partition_point(|&pair| self.part(pair, depth).append);
        let (appended, named) = pairs.split_at(appended);
        let through = appended.iter().any(|&pair| !self.is_leaf(pair, depth));
        let clashes = (!appended.is_empty() && !named.is_empty()) || (through && appended.len() > 1);
        for (index, &pair) in appended.iter().enumerate() {
            self.field(Cow::Owned(index.to_string()), &[pair], depth);
        }
        let mut numbers = depth > 0;
        for run in named.chunk_by(|&a, &b| self.pairs.name(a)[depth] == self.pairs.name(b)[depth]).collect::<Vec<_>>() {
            let key = self.part(run[0], depth).text.clone();
            numbers &= is_number(&key);
            self.field(key, run, depth);
        }
        let next = self.nodes.len();
        let unclear = clashes || self.nodes[group + 1..].iter().any(|node| node.unclear);
        let node = &mut self.nodes[group];
        (node.next, node.clashes, node.unclear, node.list) = (next, clashes, unclear, numbers);
    }

    /// One place: a value if one pair ends here, a group if all go on, else a clash.
    fn field(&mut self, key: Cow<'a, str>, run: &[usize], depth: usize) {
        let node = self.push(key);
        // Shorter names come first.
        let ends = run.partition_point(|&pair| self.is_leaf(pair, depth));
        if ends == 0 {
            return self.group(node, run, depth + 1);
        }
        let clashes = run.len() > 1;
        let value = std::mem::take(&mut self.pairs.pairs[run[0]].1);
        let next = self.nodes.len();
        let node = &mut self.nodes[node];
        (node.value, node.next) = (Some(value), next);
        (node.clashes, node.unclear) = (clashes, clashes);
    }
}
