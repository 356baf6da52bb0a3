//! Where the gateway and the operators' side meet over keys: an agent's child key is minted as an operator's would be.

use std::sync::Arc;

use crate::control::{self, ControlState};
use crate::gateway::{Gateway, Minter, Unminted};

pub fn children(gateway: &Arc<Gateway>, state: &Arc<ControlState>) {
    let state = state.clone();
    let minter: Minter = Arc::new(move |asked, act| {
        let state = state.clone();
        Box::pin(async move {
            // In a task of its own: an agent that hangs up leaves no key without its event.
            let minted = tokio::spawn(async move { control::mint_key(&state, asked, act).await }).await;
            match minted {
                Ok(Ok(minted)) => Ok(minted),
                Ok(Err(control::problem::Problem::Refused { mistakes, .. })) => Err(Unminted::Refused(mistakes)),
                failed => {
                    tracing::error!("a child key could not be minted: {failed:?}");
                    Err(Unminted::Down)
                }
            }
        })
    });
    // There is one state, so it is set once.
    let _ = gateway.minter.set(minter);
}
