//! From threads that may block to a small runtime of its own, for stores whose trait blocks and whose client does not. A plain
//! `block_on` would panic on a thread of another runtime, and a task of that one might never be taken up. Knows no store.

use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Runtime};

/// A runtime that ends with it. No call may run on that runtime itself.
pub struct Bridge(Option<Runtime>);

impl Bridge {
    pub fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build();
        runtime.map(|r| Self(Some(r)))
    }

    /// `None` if the work was dropped before it ended.
    pub fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, wait) = sync_channel(1);
        if let Some(runtime) = &self.0 {
            runtime.spawn(async move { done.send(work.await) });
        }
        wait.recv().ok()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // A plain drop waits for the threads, which an async thread may not.
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
