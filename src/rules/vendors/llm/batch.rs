//! The plan by which results of a batch are read: each names its model itself, and nobody has their requests any more. What they
//! cost is `report`'s.

use super::{Api, LlmPlan};
use crate::rules::vendors::ask::Ask;

impl LlmPlan {
    /// For results of a batch, which are read without their requests.
    pub fn of_batch(ask: &Ask<'_>, api: Api) -> Self {
        Self {
            api,
            dialect: ask.vendor.dialect,
            model: "".into(),
            shelf: ask.vendor.prices.clone(),
            unknown_model: ask.unknown_model,
            stream: false,
            hide_usage: false,
            tier: None,
            host_factor: ask.vendor.host_factor(),
            region: None,
            place: None,
            geo: None,
            speed: None,
            // What the split leaves over may have been written for the longer time.
            long_cache: true,
            incomplete: false,
            characters: None,
            picture: None,
            prompted: None,
            unbounded: false,
            limit: None,
            edits: Vec::new(),
        }
    }
}
