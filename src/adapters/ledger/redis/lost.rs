//! Whether the ledger on Redis is the one that this node knows. While it is not, nothing is admitted. `recover` puts it back.

use tokio::sync::watch;

pub struct Lost(watch::Sender<Option<String>>);

impl Lost {
    pub fn new(why: Option<String>) -> Self {
        Self(watch::Sender::new(why))
    }

    /// The first reason is the one that is told.
    pub fn note(&self, why: String) {
        self.0.send_if_modified(|known| {
            let new = known.is_none();
            known.get_or_insert(why);
            new
        });
    }

    pub fn found(&self) {
        self.0.send_replace(None);
    }

    pub fn is_lost(&self) -> bool {
        self.0.borrow().is_some()
    }

    pub fn why(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Until it is lost.
    pub async fn wait(&self) {
        // An error would mean that the sender is gone, and `self` is the sender.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Until it is whole.
    pub async fn over(&self) {
        let _ = self.0.subscribe().wait_for(Option::is_none).await;
    }
}
