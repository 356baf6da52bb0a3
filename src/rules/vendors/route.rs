//! From a method and a canonical path to the operation, the host and the path parameters of one vendor. A tree of segments,
//! so that the look-up costs the path's length, not the catalogue's. Does not decide who may call what; `policy` does.

use std::collections::HashMap;

use super::entry::{Host, Operation, Vendor};
use crate::rules::path::CanonicalPath;

/// Where a call goes, and what it is.
#[derive(Debug)]
pub struct Routed<'v> {
    /// What is judged and sent: the caller's path, with the vendor's version segment put back if it was left out.
    pub path: CanonicalPath,
    pub operation: Option<&'v Operation>,
    pub host: &'v Host,
    /// Decoded, by their names in the template.
    pub params: Vec<(&'v str, String)>,
}

/// The operations of a vendor as a tree of path segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node>,
    /// By what stands behind the last colon: `{model}:generateContent`.
    verbs: HashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    /// Operations that end here, by method.
    here: Methods,
    /// Operations whose last parameter takes any number of segments from here on, at least one.
    rest: Methods,
}

/// Method and place in `Vendor::operations`.
type Methods = Vec<(Box<str>, usize)>;

/// One segment of a template.
enum Part<'t> {
    Literal(&'t str),
    Any(&'t str),
    /// Name and verb.
    Verb(&'t str, &'t str),
    Rest(&'t str),
}

fn part(segment: &str) -> Part<'_> {
    if let Some((name, verb)) = segment.strip_prefix('{').and_then(|s| s.split_once("}:")) {
        return Part::Verb(name, verb);
    }
    match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some(name) => name.strip_suffix('+').map_or(Part::Any(name), Part::Rest),
        None => Part::Literal(segment),
    }
}

fn find(methods: &Methods, method: &str) -> Option<usize> {
    let of = |wanted: &str| methods.iter().find(|(own, _)| **own == *wanted).map(|(_, at)| *at);
    // HEAD asks for the headers of a GET.
    of(method).or_else(|| if method == "HEAD" { of("GET") } else { None })
}

impl Routes {
    /// The place of an earlier operation with the same method and template is kept: the operator's stand first.
    pub(super) fn new(operations: &[Operation]) -> Self {
        let mut root = Node::default();
        for (at, operation) in operations.iter().enumerate() {
            root.insert(&operation.method, &operation.template, at);
        }
        Self { root }
    }

    pub(super) fn find(&self, method: &str, segments: &[&str]) -> Option<usize> {
        self.root.find(method, segments)
    }
}

impl Node {
    fn insert(&mut self, method: &str, template: &[Box<str>], at: usize) {
        let mut node = self;
        for segment in template {
            node = match part(segment) {
                Part::Literal(text) => node.literal.entry(text.into()).or_default(),
                Part::Verb(_, verb) => node.verbs.entry(verb.into()).or_default(),
                Part::Any(_) => node.any.get_or_insert_default(),
                Part::Rest(_) => return add(&mut node.rest, method, at),
            };
        }
        add(&mut node.here, method, at);
    }

    /// The most literal template wins: a literal segment before a verb, a verb before a parameter, a parameter before a rest.
    fn find(&self, method: &str, segments: &[&str]) -> Option<usize> {
        let Some((first, behind)) = segments.split_first() else {
            return find(&self.here, method);
        };
        let literal = self.literal.get(*first).and_then(|node| node.find(method, behind));
        let verb = || first.rsplit_once(':').and_then(|(_, verb)| self.verbs.get(verb)?.find(method, behind));
        let any = || self.any.as_ref().and_then(|node| node.find(method, behind));
        literal.or_else(verb).or_else(any).or_else(|| find(&self.rest, method))
    }
}

fn add(methods: &mut Methods, method: &str, at: usize) {
    if !methods.iter().any(|(own, _)| **own == *method) {
        methods.push((method.into(), at));
    }
}

impl Vendor {
    /// Finds operation, host and parameters. The path is judged and sent as `Routed` has it.
    pub fn route(&self, method: &str, path: CanonicalPath) -> Routed<'_> {
        let path = self.versioned(path);
        let decoded: Vec<_> = path.decoded_segments().collect();
        let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        let operation = self.routes.find(method, &segments).and_then(|at| self.operations.get(at));
        let params = operation.map(|operation| params(operation, &segments)).unwrap_or_default();
        let host = self.host(method, &path.for_rules());
        drop(segments);
        drop(decoded);
        Routed { path, operation, host, params }
    }

    /// The vendor's version segment in front, unless the path begins with one.
    fn versioned(&self, path: CanonicalPath) -> CanonicalPath {
        let Some(version) = &self.version else { return path };
        if path.segments().next().is_none_or(is_version) {
            return path;
        }
        let longer = format!("/{version}{}", path.as_str());
        // A canonical path stays canonical behind a plain segment; only one at the length limit can fail, and it is left
        // as it came.
        CanonicalPath::parse(&longer).map_or(path, |target| target.path)
    }

    fn host(&self, method: &str, path: &str) -> &Host {
        let serves = |host: &&Host| host.serves.iter().any(|pattern| pattern.matches_parts(method, path));
        // `check` refuses a vendor without a host.
        self.hosts.iter().skip(1).find(serves).unwrap_or(&self.hosts[0])
    }
}

/// `v1`, `v1beta`, `v2`.
fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn params<'v>(operation: &'v Operation, segments: &[&str]) -> Vec<(&'v str, String)> {
    let mut found = Vec::new();
    for (at, segment) in operation.template.iter().enumerate() {
        match part(segment) {
            Part::Literal(_) => {}
            Part::Any(name) => found.extend(segments.get(at).map(|value| (name, (*value).to_owned()))),
            Part::Verb(name, _) => {
                found.extend(segments.get(at).and_then(|s| Some((name, s.rsplit_once(':')?.0.to_owned()))));
            }
            Part::Rest(name) => found.push((name, segments.get(at..).unwrap_or_default().join("/"))),
        }
    }
    found
}
