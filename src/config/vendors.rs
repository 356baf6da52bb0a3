//! `[vendors.NAME]`: the operator's tables on top of the shipped catalogue, and where each vendor's credentials come from.
//! `rules::vendors` knows what an entry means; this file gives its mistakes their lines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::checked::{Credential, CredentialSource};
use super::raw::{Node, Table};
use crate::rules::subject::Name;
use crate::rules::vendors::{RawVendor, Vendor, catalog};

/// The credential that a policy need not name.
pub const DEFAULT_CREDENTIAL: &str = "default";

type Found = (Vec<Arc<Vendor>>, Vec<Credential>);

/// All shipped vendors, adjusted, and the operator's own. `root` takes mistakes that have no table of their own.
pub(super) fn read<'t>(own: Option<&Table<'t>>, root: &Table<'_>, env: &dyn Fn(&str) -> Option<String>) -> Found {
    let own: BTreeMap<&str, Node<'t>> = own.map(|table| table.entries().into_iter().collect()).unwrap_or_default();
    let shipped: Vec<&str> = catalog::names().collect();
    let added = own.keys().copied().filter(|name| !shipped.contains(name));
    let (mut vendors, mut credentials) = (Vec::new(), Vec::new());
    for name in shipped.iter().copied().chain(added) {
        let node = own.get(name);
        let Some((raw, vendor)) = vendor(name, node, root) else { continue };
        credentials.extend(sources(&raw, &vendor, node, env));
        vendors.push(Arc::new(vendor));
    }
    same_hosts(&vendors, root);
    (vendors, credentials)
}

/// A shipped vendor that lives elsewhere, as the sandbox's do.
pub fn moved(name: &str, base_url: String) -> Result<Vendor, String> {
    let shipped =
        catalog::shipped(name).ok_or_else(|| format!("no vendor `{name}` ships"))?.map_err(|e| e.to_string())?;
    let over = RawVendor { base_url: Some(base_url), private_network: Some(true), ..RawVendor::default() };
    shipped.merge(over).check(name).map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn vendor(name: &str, node: Option<&Node<'_>>, root: &Table<'_>) -> Option<(RawVendor, Vendor)> {
    let shipped = match catalog::shipped(name) {
        Some(Ok(raw)) => raw,
        // The catalogue's own tests find this first.
        Some(Err(error)) => return root.none(format!("the shipped entry of `{name}` is broken: {error}")),
        None => RawVendor::default(),
    };
    let own = match node {
        Some(node) => own(node)?,
        None => RawVendor::default(),
    };
    let raw = shipped.merge(own);
    match raw.check(name) {
        Ok(vendor) => Some((raw, vendor)),
        Err(mistakes) => {
            for mistake in mistakes {
                match node {
                    Some(node) => node.wrong_at(&mistake.field, mistake.problem),
                    None => root.wrong(format!("vendors.{name}.{}: {}", mistake.field, mistake.problem)),
                }
            }
            None
        }
    }
}

/// The operator's table, key by key, so that each wrong one is reported.
fn own(node: &Node<'_>) -> Option<RawVendor> {
    let table = node.table()?;
    let sound = table.entries().iter().filter(|(key, _)| !table.fits_alone::<RawVendor>(key)).count() == 0;
    if sound { node.serde() } else { None }
}

/// The operator's sources; with none, the first of the vendor's usual variables that is set.
fn sources(
    raw: &RawVendor,
    vendor: &Vendor,
    node: Option<&Node<'_>>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Vec<Credential> {
    let default = raw.credential.iter().map(|text| (DEFAULT_CREDENTIAL, "credential".to_owned(), text));
    let named = raw.credentials.iter().map(|(name, text)| (name.as_str(), format!("credentials.{name}"), text));
    let mut found: Vec<Credential> = Vec::new();
    for (name, field, text) in default.chain(named) {
        match (source(text), node) {
            (Ok(source), _) => found.push(Credential { vendor: vendor.name.clone(), name: name.into(), source }),
            (Err(why), Some(node)) => node.wrong_at(&field, why),
            // The catalogue names no sources.
            (Err(_), None) => {}
        }
    }
    if found.is_empty() {
        found.extend(usual(vendor, env));
    }
    // A vendor's only credential is its default one.
    if let [only] = found.as_slice()
        && *only.name != *DEFAULT_CREDENTIAL
    {
        found.push(Credential { name: DEFAULT_CREDENTIAL.into(), ..only.clone() });
    }
    found
}

fn usual(vendor: &Vendor, env: &dyn Fn(&str) -> Option<String>) -> Option<Credential> {
    let set = vendor.env.iter().find(|name| env(name).is_some_and(|value| !value.is_empty()))?;
    let source = CredentialSource::Env(set.to_string());
    Some(Credential { vendor: vendor.name.clone(), name: DEFAULT_CREDENTIAL.into(), source })
}

/// Never repeats a text that may be the credential itself.
pub(super) fn source(text: &str) -> Result<CredentialSource, &'static str> {
    let env_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match text.split_once(':') {
        Some(("env", name)) => {
            let name = Some(name).filter(env_name).ok_or("it names no environment variable: write `env:NAME`")?;
            Ok(CredentialSource::Env(name.to_owned()))
        }
        Some(("file", path)) if !path.is_empty() => Ok(CredentialSource::File(PathBuf::from(path))),
        _ => Err("a credential is named, never written here: `env:NAME` or `file:/path`"),
    }
}

/// One host name leads to one vendor.
fn same_hosts(vendors: &[Arc<Vendor>], root: &Table<'_>) {
    let mut owners: BTreeMap<&str, &Name> = BTreeMap::new();
    for vendor in vendors {
        for host in &vendor.host_names {
            if let Some(other) = owners.insert(host, &vendor.name) {
                root.wrong(format!("the host name `{host}` leads to both `{other}` and `{}`", vendor.name));
            }
        }
    }
}
