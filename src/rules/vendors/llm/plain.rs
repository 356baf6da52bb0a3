//! A plan with nothing out of the ordinary: what others are made from, and what results of a batch are read by, as each of those
//! names its model itself and nobody has their requests any more. What they cost is `report`'s.

use super::{Api, LlmPlan};
use crate::rules::vendors::ask::Ask;
use crate::rules::vendors::entry::host_factor;

impl LlmPlan {
    /// Of a model as it is usually served, with an answer that is read whole.
    pub(super) fn plain(ask: &Ask<'_>, api: Api, model: &str) -> Self {
        Self {
            api,
            dialect: ask.vendor.dialect,
            model: model.into(),
            shelf: ask.vendor.prices.clone(),
            unknown_model: ask.unknown_model,
            stream: false,
            hide_usage: false,
            tier: None,
            host_factor: host_factor(ask.host),
            place: None,
            region: ask.region().map(Into::into),
            geo: None,
            speed: None,
            long_cache: false,
            incomplete: false,
            characters: None,
            picture: None,
            limit: None,
            prompted: None,
            unbounded: false,
            edits: Vec::new(),
        }
    }

    /// For results of a batch, which are read without their requests. `geo`: where some of them may have run.
    pub fn of_batch(ask: &Ask<'_>, api: Api, geo: Option<&str>) -> Self {
        // What the split leaves over may have been written for the longer time.
        Self { geo: geo.map(Into::into), long_cache: true, ..Self::plain(ask, api, "") }
    }
}
