//! How this process is doing, and which vendors it has a credential for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::problem::Problem;
use super::wire::{CredentialView, VendorList, VendorView};
use super::{About, ControlState};
use crate::adapters::audit::Gap;
use crate::adapters::audit::evidence::anchor::AnchorState;
use crate::adapters::fleet::FleetView;
use crate::adapters::sinks::SinkView;
use crate::rules::subject::Name;
use crate::units::ids::Seq;

#[derive(Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    about: About,
    /// Can calls be admitted now?
    ready: bool,
    /// What is wrong, if something is.
    trouble: Vec<String>,
    calls_in_flight: usize,
    keys: usize,
    /// Flags that are set, and those that the ledger does not know yet.
    flags: usize,
    flags_untold: usize,
    policies: usize,
    /// The last event in the books, and how many the journal is ahead.
    books_seq: Seq,
    books_behind: u64,
    /// Is it this process that writes the books now?
    writes_books: bool,
    /// Stretches of the journal that never reached the books.
    books_gaps: Vec<Gap>,
    /// Calls refused since the start because the books were too far behind.
    refused_behind: u64,
    sinks: Vec<SinkView>,
    /// The last signed checkpoint, and how far each anchor is.
    checkpoint: u64,
    anchors: Vec<AnchorState>,
    /// The nodes of a common ledger, and how fast a revocation reaches them.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetView>,
}

pub(super) async fn status(State(state): State<Arc<ControlState>>) -> Result<Json<Status>, Problem> {
    let ledger = state.ledger.trouble();
    let ready = ledger.is_none();
    let books = state.books.trouble().map(|why| format!("the books do not follow: {why}"));
    let (books_gaps, unread) = match state.books.ask(|store| store.gaps()).await {
        Ok(gaps) => (gaps, None),
        Err(e) => (Vec::new(), Some(e.to_string())),
    };
    let unsigned = state.evidence.trouble().map(|why| format!("no checkpoint can be made: {why}"));
    let anchors: Vec<AnchorState> = state.anchors.iter().map(|a| a.state()).collect();
    let unanchored: Vec<String> =
        anchors.iter().filter_map(|a| Some(format!("anchor `{}`: {}", a.name, a.trouble.as_ref()?))).collect();
    let books_seq = *state.books.projected().borrow();
    let sinks = state.sinks.views(books_seq);
    let stuck =
        sinks.iter().filter_map(|s| Some(format!("sink `{}` does not deliver: {}", s.name, s.trouble.as_ref()?)));
    let alone = state.others.as_ref().and_then(|o| o.trouble());
    let alone = alone.map(|why| format!("changes of keys by other nodes are not seen: {why}"));
    Ok(Json(Status {
        about: state.about.clone(),
        ready,
        trouble: [ledger, books, unread, unsigned]
            .into_iter()
            .flatten()
            .chain(unanchored)
            .chain(stuck)
            .chain(alone)
            .collect(),
        calls_in_flight: state.switchboard.in_flight(),
        keys: state.keyring.list().len(),
        flags: state.keyring.flags().len(),
        flags_untold: state.keyring.untold().len(),
        policies: state.policies.current().len(),
        books_seq,
        books_behind: state.books.lag(),
        writes_books: state.books.leads(),
        books_gaps,
        refused_behind: state.ledger.refused_behind(),
        sinks,
        checkpoint: *state.evidence.sealed().borrow(),
        anchors,
        fleet: state.others.as_ref().and_then(|others| others.view()),
    }))
}

pub(super) async fn vendors(State(state): State<Arc<ControlState>>) -> Json<VendorList> {
    let mut by_vendor: BTreeMap<Name, Vec<CredentialView>> =
        state.vendors.iter().map(|v| (v.clone(), Vec::new())).collect();
    for (vendor, name, there) in state.vault.list() {
        by_vendor.entry(vendor).or_default().push(CredentialView { name, there });
    }
    let vendors = by_vendor.into_iter().map(|(vendor, credentials)| VendorView { vendor, credentials }).collect();
    Json(VendorList { vendors })
}
