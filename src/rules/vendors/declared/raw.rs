//! The written form of a price rule, and its check. An expression has exactly one head; what does not belong to it is a
//! mistake that names its field.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer};

use super::late::RawLate;
use super::shape::Shape;
use super::sound::{self, number};
use super::zero::RawZero;
use super::{Expr, Over, Rule};
use crate::rules::args::Name;

/// `[rules.NAME]` of a vendor's table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    pub estimate: RawExpr,
    pub actual: RawActual,
    /// When nothing is charged.
    #[serde(default)]
    pub zero_if: Vec<RawZero>,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default)]
    pub provisional: bool,
    /// Where a price is found that comes later.
    #[serde(default)]
    pub reconcile: Option<RawLate>,
    /// Calls with the same value of this parameter buy one thing.
    #[serde(default)]
    pub dedupe: Option<String>,
}

/// `[rates.NAME]`: what one of something costs. Without `usd` it is the operator's to set, and until then what needs it has
/// no price.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRate {
    pub usd: Option<String>,
    pub source: Option<String>,
    pub checked: Option<String>,
}

/// A vendor's rates.
pub(super) type Rates = BTreeMap<String, RawRate>;

/// `"estimate"`, or an expression over the answer.
#[derive(Clone, Debug)]
pub enum RawActual {
    Estimate,
    Expr(Box<RawExpr>),
}

/// One expression.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawExpr {
    /// A decimal.
    #[serde(rename = "const")]
    constant: Option<String>,
    /// One of the vendor's rates.
    rate: Option<String>,
    /// In an estimate: nothing bounds it, and why.
    unknown: Option<String>,
    /// One if the parameter is there.
    there: Option<String>,
    /// How many addresses these texts list with commas.
    commas: Option<Vec<String>>,
    /// A number among the request's parameters.
    param: Option<String>,
    /// The characters of a parameter.
    chars: Option<String>,
    /// How many things these parameters list.
    count: Option<Vec<String>>,
    /// With `each_of`: the sum of this number, which every element of that list has.
    total: Option<String>,
    /// The message segments of a parameter.
    segments: Option<String>,
    /// A price by the longest prefix of a parameter.
    table: Option<String>,
    /// A number in the JSON answer, by pointer.
    response: Option<String>,
    /// A number in a header of the answer.
    header: Option<String>,
    product: Option<Vec<RawExpr>>,
    sum: Option<Vec<RawExpr>>,
    /// The first of these that is there.
    first: Option<Vec<RawExpr>>,
    /// The first of these that is not zero.
    not_zero: Option<Vec<RawExpr>>,
    /// With `count`: the body is a list, and each element has these parameters.
    each: bool,
    /// The same for a list at this pointer.
    each_of: Option<String>,
    values: BTreeMap<String, String>,
    prefixes: BTreeMap<String, String>,
    otherwise: Option<String>,
    /// The value if the parameter is missing.
    default: Option<String>,
    /// What lies above this.
    beyond: Option<String>,
    at_least: Option<String>,
    at_most: Option<String>,
    /// In whole steps of this size.
    steps_of: Option<String>,
    /// One for so many.
    per: Option<String>,
}

/// Field and problem.
pub(super) type Mistakes = Vec<(String, String)>;

impl<'de> Deserialize<'de> for RawActual {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawActual;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"estimate\"` or an expression such as `{ response = \"/cost\" }`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawActual, E> {
                match text {
                    "estimate" => Ok(RawActual::Estimate),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawActual, A::Error> {
                RawExpr::deserialize(MapAccessDeserializer::new(map)).map(|expr| RawActual::Expr(Box::new(expr)))
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl RawRule {
    /// The rule, or all its mistakes.
    pub fn check(&self, rates: &BTreeMap<String, RawRate>) -> Result<Rule, Mistakes> {
        let mut mistakes = Vec::new();
        let estimate = self.estimate.check("estimate", rates, &mut mistakes);
        let actual = match &self.actual {
            RawActual::Estimate => None,
            RawActual::Expr(expr) => Some(expr.check("actual", rates, &mut mistakes)),
        };
        if estimate.reads_body() || estimate.reads_headers() {
            mistakes
                .push(("estimate".to_owned(), "the answer is not known yet: use the request's parameters".to_owned()));
        }
        let mut zero_if = Vec::new();
        for (at, raw) in self.zero_if.iter().enumerate() {
            match raw.check() {
                Ok(zero) => zero_if.push(zero),
                Err(why) => mistakes.push((format!("zero_if[{at}]"), why)),
            }
        }
        let late = self.reconcile.as_ref().map(|late| late.check(rates, &mut mistakes));
        let currency = sound::currency(self.currency.as_deref().unwrap_or("usd"), "currency", &mut mistakes);
        let dedupe = self.dedupe.as_deref().map(Name::parse);
        if mistakes.is_empty() {
            let provisional = self.provisional || late.is_some();
            Ok(Rule { estimate, actual, zero_if, currency, provisional, late, dedupe })
        } else {
            Err(mistakes)
        }
    }
}

impl RawExpr {
    pub(super) fn check(&self, at: &str, rates: &Rates, mistakes: &mut Mistakes) -> Expr {
        let heads = self.heads();
        let expr = match heads.as_slice() {
            [head] => self.head(head, at, rates, mistakes),
            [] => self.wrong(at, "it says nothing: write `{ const = \"0.01\" }`", mistakes),
            _ => self.wrong(at, &format!("it says {} at once: use `product` or `sum`", heads.join(" and ")), mistakes),
        };
        self.refuse_strays(&heads, at, mistakes);
        self.bounded(expr, at, mistakes)
    }

    fn wrong(&self, at: &str, problem: &str, mistakes: &mut Mistakes) -> Expr {
        mistakes.push((at.to_owned(), problem.to_owned()));
        Expr::Const(0)
    }

    fn heads(&self) -> Vec<&'static str> {
        let all = [
            ("const", self.constant.is_some()),
            ("rate", self.rate.is_some()),
            ("unknown", self.unknown.is_some()),
            ("there", self.there.is_some()),
            ("commas", self.commas.is_some()),
            ("param", self.param.is_some()),
            ("chars", self.chars.is_some()),
            ("count", self.count.is_some()),
            ("segments", self.segments.is_some()),
            ("total", self.total.is_some()),
            ("table", self.table.is_some()),
            ("response", self.response.is_some()),
            ("header", self.header.is_some()),
            ("product", self.product.is_some()),
            ("sum", self.sum.is_some()),
            ("first", self.first.is_some()),
            ("not_zero", self.not_zero.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }

    fn head(&self, head: &str, at: &str, rates: &Rates, mistakes: &mut Mistakes) -> Expr {
        let name = |text: &Option<String>| Name::parse(text.as_deref().unwrap_or_default());
        let default = number(self.default.as_deref(), &format!("{at}.default"), mistakes);
        match head {
            "const" => Expr::Const(number(self.constant.as_deref(), &format!("{at}.const"), mistakes).unwrap_or(0)),
            "param" => Expr::Param { name: name(&self.param), default },
            "chars" => Expr::Chars { name: name(&self.chars), default },
            "rate" => self.rate(at, rates, mistakes),
            "unknown" => Expr::Unknown(self.unknown.as_deref().unwrap_or_default().into()),
            "there" => Expr::There(name(&self.there)),
            "count" => self.counted(self.count.as_deref(), false, &format!("{at}.count"), mistakes),
            "commas" => self.counted(self.commas.as_deref(), true, &format!("{at}.commas"), mistakes),
            "segments" => Expr::Segments { name: name(&self.segments), default },
            "table" => self.table(name(&self.table), at, mistakes),
            "total" => {
                let list = self.each_of.as_deref().unwrap_or_default();
                sound::pointer(list, &format!("{at}.each_of"), mistakes);
                Expr::Total { name: name(&self.total), list: list.into() }
            }
            "response" => {
                let pointer = self.response.as_deref().unwrap_or_default();
                sound::pointer(pointer, &format!("{at}.response"), mistakes);
                Expr::Response { pointer: pointer.into(), default }
            }
            "header" => {
                let name = self.header.as_deref().unwrap_or_default();
                sound::header(name, &format!("{at}.header"), mistakes);
                Expr::Header { name: name.to_ascii_lowercase().into(), default }
            }
            "product" => Expr::Product(list(self.product.as_deref(), &format!("{at}.product"), rates, mistakes)),
            "first" => {
                self.refuse_never_reached(at, mistakes);
                Expr::First(list(self.first.as_deref(), &format!("{at}.first"), rates, mistakes))
            }
            "not_zero" => Expr::NotZero(list(self.not_zero.as_deref(), &format!("{at}.not_zero"), rates, mistakes)),
            _ => Expr::Sum(list(self.sum.as_deref(), &format!("{at}.sum"), rates, mistakes)),
        }
    }

    /// What has a default is always there, so that nothing after it counts.
    fn refuse_never_reached(&self, at: &str, mistakes: &mut Mistakes) {
        let Some((_, before)) = self.first.as_deref().and_then(<[RawExpr]>::split_last) else { return };
        for (place, _) in before.iter().enumerate().filter(|(_, part)| part.default.is_some()) {
            let why = "it has a `default`, so that what comes after it never counts".to_owned();
            mistakes.push((format!("{at}.first.{place}"), why));
        }
    }

    fn counted(&self, names: Option<&[String]>, commas: bool, at: &str, mistakes: &mut Mistakes) -> Expr {
        sound::refuse_empty(names, at, mistakes);
        let over = match &self.each_of {
            Some(pointer) => {
                sound::pointer(pointer, &format!("{}.each_of", at.rsplit_once('.').map_or(at, |(at, _)| at)), mistakes);
                Over::Each(pointer.as_str().into())
            }
            None if self.each => Over::Each("".into()),
            None => Over::Request,
        };
        Expr::Count { names: names.unwrap_or_default().iter().map(|n| Name::parse(n)).collect(), over, commas }
    }

    fn rate(&self, at: &str, rates: &Rates, mistakes: &mut Mistakes) -> Expr {
        let name = self.rate.as_deref().unwrap_or_default();
        match rates.get(name) {
            None => self.wrong(&format!("{at}.rate"), &format!("the vendor has no rate `{name}`"), mistakes),
            Some(RawRate { usd: None, .. }) => Expr::Unknown(
                format!("the rate `{name}` is the operator's to set: `rates.{name}.usd` of this vendor in bursar.toml")
                    .into(),
            ),
            Some(RawRate { usd: Some(text), .. }) => {
                Expr::Const(number(Some(text), &format!("{at}.rate.{name}"), mistakes).unwrap_or(0))
            }
        }
    }

    fn table(&self, name: Name, at: &str, mistakes: &mut Mistakes) -> Expr {
        let mut prices = |of: &str, table: &BTreeMap<String, String>| {
            let price = |(key, text): (&String, &String)| {
                let price = number(Some(text), &format!("{at}.{of}.{key}"), mistakes);
                (key.as_str().into(), price.unwrap_or(0))
            };
            table.iter().map(price).collect()
        };
        let (values, prefixes) = (prices("values", &self.values), prices("prefixes", &self.prefixes));
        let otherwise = number(self.otherwise.as_deref(), &format!("{at}.otherwise"), mistakes);
        Expr::Table { name, values, prefixes, otherwise }
    }

    /// Fields that belong to another head than this expression's.
    fn refuse_strays(&self, heads: &[&str], at: &str, mistakes: &mut Mistakes) {
        let strays = [
            ("each", self.each, &["count", "commas"][..]),
            ("each_of", self.each_of.is_some(), &["count", "commas", "total"]),
            ("values", !self.values.is_empty(), &["table"]),
            ("prefixes", !self.prefixes.is_empty(), &["table"]),
            ("otherwise", self.otherwise.is_some(), &["table"]),
            ("default", self.default.is_some(), &["param", "chars", "segments", "response", "header"]),
        ];
        for (field, there, owners) in strays {
            if there && !heads.iter().any(|head| owners.contains(head)) {
                mistakes.push((format!("{at}.{field}"), format!("it only belongs to {}", owners.join(", "))));
            }
        }
    }

    fn bounded(&self, inner: Expr, at: &str, mistakes: &mut Mistakes) -> Expr {
        let mut field = |name: &str, text: &Option<String>| number(text.as_deref(), &format!("{at}.{name}"), mistakes);
        let none = Shape::NONE;
        let shape = Shape {
            beyond: field("beyond", &self.beyond).unwrap_or(none.beyond),
            at_least: field("at_least", &self.at_least).unwrap_or(none.at_least),
            at_most: field("at_most", &self.at_most).unwrap_or(none.at_most),
            steps_of: field("steps_of", &self.steps_of),
            per: field("per", &self.per).unwrap_or(none.per),
        };
        for (name, wrong, problem) in [
            ("at_least", shape.at_least > shape.at_most, "it is more than `at_most`"),
            ("steps_of", shape.steps_of == Some(0), "a step of nothing leads nowhere"),
            ("per", shape.per == 0, "nothing can be shared among none"),
        ] {
            if wrong {
                mistakes.push((format!("{at}.{name}"), problem.to_owned()));
            }
        }
        if shape == none { inner } else { Expr::Shaped { inner: Box::new(inner), shape } }
    }
}

fn list(items: Option<&[RawExpr]>, at: &str, rates: &Rates, mistakes: &mut Mistakes) -> Box<[Expr]> {
    sound::refuse_empty(items, at, mistakes);
    items
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(i, item)| item.check(&format!("{at}[{i}]"), rates, mistakes))
        .collect()
}
