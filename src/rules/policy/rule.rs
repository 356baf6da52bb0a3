//! One `[[allow]]` or `[[deny]]`: vendors, methods, paths, parameters. Matches paths as vendors read them; decides nothing.

use super::model::Mode;
use super::param::Param;
use crate::rules::books::Tier;
use crate::rules::pattern::{BadPattern, PathPattern};
use crate::rules::subject::Name;

/// One rule of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As a refusal names it: `allow rule 2`.
    pub label: Name,
    /// All of the policy's if empty.
    pub vendors: Vec<Name>,
    pub methods: Methods,
    /// Any one of them.
    pub paths: Vec<RulePath>,
    /// Overrides the operation's own tier. Only in an `[[allow]]`.
    pub tier: Option<Tier>,
    /// All of them.
    pub params: Vec<Param>,
    /// A deny rule that observes denies nothing; an allow rule that does lets a call pass whose parameters are not as it wants.
    pub mode: Mode,
}

impl Rule {
    /// `path` is decoded and has no slash at its end (`CanonicalPath::for_rules`).
    pub fn matches(&self, vendor: &str, method: &str, path: &str) -> bool {
        self.is_for(vendor) && self.covers(method, path)
    }

    /// As `matches`, in any letter case: some vendors do not care, and a denial must not be dodged by it.
    pub fn catches(&self, vendor: &str, method: &str, path: &str) -> bool {
        self.is_for(vendor)
            && self.methods.contains_any_case(method)
            && self.paths.iter().any(|p| p.matches_any_case(path))
    }

    pub fn is_for(&self, vendor: &str) -> bool {
        self.vendors.is_empty() || self.vendors.iter().any(|v| **v == *vendor)
    }

    /// At whichever vendor.
    pub fn covers(&self, method: &str, path: &str) -> bool {
        self.methods.contains(method) && self.paths.iter().any(|p| p.matches(path))
    }
}

/// A path pattern and the plain text that every match begins with, so that most rules are passed over by one comparison.
#[derive(Clone, Debug)]
pub struct RulePath {
    plain: Box<str>,
    pattern: PathPattern,
    /// In small letters.
    folded: PathPattern,
}

impl RulePath {
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let pattern = PathPattern::parse(text)?;
        let wild = pattern.as_str().find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.as_str().len());
        // `/v1/charges/**` also matches `/v1/charges`: the slash before a wildcard is no part of the plain text.
        let plain = pattern.as_str()[..wild].trim_end_matches('/');
        let folded = PathPattern::parse(&text.to_ascii_lowercase())?;
        Ok(Self { plain: plain.into(), pattern, folded })
    }

    pub fn as_str(&self) -> &str {
        self.pattern.as_str()
    }

    /// What every match begins with.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    pub fn matches(&self, path: &str) -> bool {
        path.starts_with(&*self.plain) && self.pattern.matches(path)
    }

    fn matches_any_case(&self, path: &str) -> bool {
        let begins = path.get(..self.plain.len()).is_some_and(|start| start.eq_ignore_ascii_case(&self.plain));
        begins && self.folded.matches(&path.to_ascii_lowercase())
    }
}

/// Which methods a rule is about. `HEAD` is read as `GET`: whoever may not read may not peek, and the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Methods(Option<Box<[Box<str>]>>);

impl Methods {
    /// Every method, whatever it is called.
    pub fn all() -> Self {
        Self(None)
    }

    /// These alone, in capitals.
    pub fn only(names: impl IntoIterator<Item = Box<str>>) -> Self {
        Self(Some(names.into_iter().collect()))
    }

    pub fn contains(&self, method: &str) -> bool {
        let named = |names: &[Box<str>], m: &str| names.iter().any(|n| **n == *m);
        self.0.as_ref().is_none_or(|names| named(names, method) || (method == "HEAD" && named(names, "GET")))
    }

    /// However the caller writes it.
    pub fn contains_any_case(&self, method: &str) -> bool {
        let named = |m: &str| self.0.iter().flatten().any(|n| n.eq_ignore_ascii_case(m));
        self.0.is_none() || named(method) || (method.eq_ignore_ascii_case("HEAD") && named("GET"))
    }

    /// The names, or `None` for all.
    pub fn names(&self) -> Option<&[Box<str>]> {
        self.0.as_deref()
    }

    /// Is this how a method is written? Names are case-sensitive, and all that vendors know are capitals.
    pub fn is_name(text: &str) -> bool {
        !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
    }
}
