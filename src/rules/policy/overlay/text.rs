//! The form in which an overlay is stored with its key and sent to the admin API. Checked on the way in, exact on the way out.

use super::{Overlay, OverlayBudget, OverlayRule};
use crate::rules::policy::limit::{Per, amount_text, parse_amount};
use crate::rules::policy::rule::{Methods, RulePath};
use crate::rules::subject::Name;
use crate::units::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendors: Option<Vec<Name>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<RawRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    budgets: Vec<RawBudget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    /// All methods if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<Box<str>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    per: String,
    #[serde(default = "total")]
    window: Window,
    limit: String,
}

/// A key's own rules are few; each pattern is compiled, and kept as long as the key.
const MOST: usize = 64;

fn few<T>(what: &str, given: &[T]) -> Result<(), String> {
    match given.len() {
        0..=MOST => Ok(()),
        n => Err(format!("{n} {what} are too many for a key; {MOST} at most, or a policy of its own")),
    }
}

fn total() -> Window {
    Window::Total
}

impl TryFrom<Raw> for Overlay {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        few("rules", &raw.allow)?;
        few("budgets", &raw.budgets)?;
        Ok(Self {
            vendors: raw.vendors,
            allow: raw.allow.into_iter().map(rule).collect::<Result<_, _>>()?,
            budgets: raw.budgets.into_iter().map(budget).collect::<Result<_, _>>()?,
            expires_at: raw.expires_at,
        })
    }
}

fn rule(raw: RawRule) -> Result<OverlayRule, String> {
    if let Some(bad) = raw.methods.iter().flatten().find(|m| !Methods::is_name(m)) {
        return Err(format!("`{bad}` is no method: write capitals, such as `POST`"));
    }
    few("paths of one rule", &raw.paths)?;
    let paths = raw.paths.iter().map(|p| RulePath::parse(p).map_err(|e| e.to_string()));
    Ok(OverlayRule {
        methods: raw.methods.map_or_else(Methods::all, Methods::only),
        paths: paths.collect::<Result<_, _>>()?,
    })
}

fn budget(raw: RawBudget) -> Result<OverlayBudget, String> {
    let scopes = || format!("`{}`: a key's own budget is per `key`, `run` or `call`", raw.per);
    let per = Per::parse(&raw.per).ok_or_else(scopes)?;
    let (unit, amount, named) = parse_amount(&raw.limit).map_err(|e| e.to_string())?;
    let window = match (named, raw.window) {
        // Calls in flight have no window of time; `total` is what stands there if none was named.
        (Some(_), Window::Total | Window::Flight) => Window::Flight,
        (None, window) if window.keeps_charges() => window,
        _ => return Err(format!("`{}`: calls at once have no window, and nothing else has `flight`", raw.limit)),
    };
    if (per, window) == (Per::Call, Window::Flight) {
        return Err(format!("`{}` is no limit per call", raw.limit));
    }
    OverlayBudget::new(per, unit, amount, window).ok_or_else(scopes)
}

impl From<Overlay> for Raw {
    fn from(overlay: Overlay) -> Self {
        let rule = |rule: &OverlayRule| RawRule {
            methods: rule.methods.names().map(<[_]>::to_vec),
            paths: rule.paths.iter().map(|p| p.as_str().to_owned()).collect(),
        };
        let budget = |budget: &OverlayBudget| RawBudget {
            per: budget.per.as_str().to_owned(),
            window: budget.shape.window,
            limit: amount_text(&budget.shape, budget.amount),
        };
        Self {
            allow: overlay.allow.iter().map(rule).collect(),
            budgets: overlay.budgets.iter().map(budget).collect(),
            vendors: overlay.vendors,
            expires_at: overlay.expires_at,
        }
    }
}
