//! Where the gateway and the operators' side meet over switches: what a policy turns off is turned off as an operator would do it.

use std::sync::Arc;

use crate::control::{self, ControlState};
use crate::gateway::{Gateway, Tripper};

pub fn switches(gateway: &Arc<Gateway>, state: &Arc<ControlState>) {
    let state = state.clone();
    // Stores are spoken to from here, whichever thread serves the call.
    let runtime = tokio::runtime::Handle::current();
    let tripper: Tripper = Arc::new(move |trip| {
        let done = runtime.spawn(control::trip(state.clone(), trip));
        Box::pin(async move {
            // It ends otherwise only with the process.
            let _ = done.await;
        })
    });
    gateway.watch.trips_by(tripper);
}
