//! The vendors of this gateway, by name and by host name. Fixed at start; made from the catalogue and the operator's file.

use crate::units::table::Table;
use std::sync::Arc;

use crate::rules::subject::Name;
use crate::rules::vendors::{Envelope, Vendor};

/// Look-up of vendors.
#[derive(Clone, Default)]
pub struct Vendors {
    by_name: Table<Name, Arc<Vendor>>,
    by_host: Table<Box<str>, Arc<Vendor>>,
}

impl Vendors {
    pub fn new(vendors: Vec<Arc<Vendor>>) -> Self {
        let mut all = Self::default();
        for vendor in vendors {
            all.by_host.extend(vendor.host_names.iter().map(|h| (h.clone(), vendor.clone())));
            all.by_name.insert(vendor.name.clone(), vendor);
        }
        all
    }

    pub fn get(&self, name: &str) -> Option<Arc<Vendor>> {
        self.by_name.get(name).cloned()
    }

    pub fn by_host(&self, host: &str) -> Option<Arc<Vendor>> {
        self.by_host.get(host).cloned()
    }

    /// The envelope that a caller at this address most likely reads, before the key is known.
    pub fn envelope(&self, host: &str, path: &str) -> Option<Envelope> {
        let first = path.split('/').find(|s| !s.is_empty()).unwrap_or_default();
        self.by_host.get(host).or_else(|| self.by_name.get(first)).map(|v| v.envelope)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Vendor>> {
        self.by_name.values()
    }
}
