//! A time-out around a whole connection: name, TCP and TLS together. What it ends has sent nothing of a request.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// A connector that does not wait for ever.
#[derive(Clone)]
pub struct Timely<C> {
    inner: C,
    patience: Duration,
}

impl<C> Timely<C> {
    pub fn new(inner: C, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

impl<C> Service<Uri> for Timely<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, patience) = (self.inner.call(to), self.patience);
        Box::pin(async move {
            let timed_out = |_| BoxError::from(format!("no connection within {patience:?}"));
            tokio::time::timeout(patience, connecting).await.map_err(timed_out)?
        })
    }
}
