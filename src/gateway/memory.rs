//! What a call may know of earlier ones at the same vendor, by the same credential and account; and what it leaves for later ones.

use std::sync::Arc;

use super::admit::Judged;
use crate::adapters::remembered::{Place, Remembered};
use crate::adapters::vault::DEFAULT;
use crate::rules::policy::Permit;
use crate::rules::vendors::Left;
use crate::units::ids::Digest32;

/// The memory of one place.
#[derive(Clone)]
pub struct Memory {
    all: Arc<Remembered>,
    place: Place,
}

impl Memory {
    pub fn recall(&self, id: &str, row: &str) -> Option<u64> {
        self.all.get(&self.place, id, row)
    }

    pub fn keep(&self, id: &str, left: &Left) {
        self.all.put(&self.place, id, &left.row, left.tokens);
    }

    /// Names the place in the books.
    pub fn place(&self) -> Digest32 {
        self.place.digest()
    }
}

impl Judged<'_> {
    pub fn memory(&self, permit: &Permit) -> Memory {
        let vendor = &self.place.vendor;
        let credential = permit.credential().map_or(DEFAULT.as_bytes(), |name| name.as_bytes());
        let account = vendor.account_headers.iter().flat_map(|name| {
            let values = self.parts.headers.get_all(&**name).into_iter().map(http::HeaderValue::as_bytes);
            std::iter::once(name.as_bytes()).chain(values)
        });
        let place = Place::of([vendor.name.as_bytes(), credential].into_iter().chain(account));
        Memory { all: self.gateway.remembered.clone(), place }
    }
}
