//! Who follows the books, from the configuration.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::adapters::audit::tail::Books;
use crate::adapters::sinks::Sinks;
use crate::config::Config;

/// The sinks, their tasks, and what ends them after the projection.
pub struct Sinking {
    pub all: Arc<Sinks>,
    pub tasks: Vec<JoinHandle<()>>,
    pub stop: CancellationToken,
}

impl Sinking {
    pub fn start(config: &Config, books: &Arc<Books>) -> Result<Self, Failure> {
        let stop = CancellationToken::new();
        let (sinks, tasks) = Sinks::start(&config.sinks, &config.server.data, books, &stop)?;
        Ok(Self { all: Arc::new(sinks), tasks, stop })
    }
}
