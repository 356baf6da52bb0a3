//! What goes over the admin API's wire beside keys and flags. Values alone.

use serde::Serialize;

use crate::rules::subject::Name;

pub use crate::adapters::approvals::wire::*;
pub use crate::adapters::audit::evidence::wire::*;
pub use crate::adapters::audit::wire::*;
pub use crate::adapters::captures::wire::*;
pub use crate::adapters::keyring::wire::*;
pub use crate::adapters::people::wire::*;

/// A vendor, and whether bursar has a credential for it. Never the credential.
#[derive(Clone, Debug, Serialize)]
pub struct VendorView {
    pub vendor: Name,
    pub credentials: Vec<CredentialView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CredentialView {
    pub name: Name,
    pub there: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct VendorList {
    pub vendors: Vec<VendorView>,
}
