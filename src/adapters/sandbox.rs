//! A vendor served by bursar itself, so that the whole loop can be seen without an account: enough of OpenAI chat and of
//! Stripe charges and refunds. Listens on a free loopback port, and accepts its own credential alone. Nothing here is metered
//! or limited: the gateway does that, as with any vendor.

mod chat;
mod money;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

/// The credential that the sandbox accepts. It opens nothing else.
pub const CREDENTIAL: &str = "sk_test_bursar_sandbox_0001";

/// Serves until the process ends; says where.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router()).await {
            tracing::error!(error = %e, "the sandbox stopped");
        }
    });
    Ok(address)
}

fn router() -> Router {
    let till = Arc::new(money::Till::default());
    Router::new()
        .route("/v1/models", get(chat::models))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/charges", post(money::charge))
        .route("/v1/charges/{id}", get(money::show_charge))
        .route("/v1/refunds", post(money::refund))
        .fallback(unknown)
        .layer(middleware::from_fn_with_state((), credential))
        .with_state(till)
}

/// The real credential must arrive; a vault key here would be a leak.
async fn credential(State(()): State<()>, request: Request, next: Next) -> Response {
    if sent(request.headers()) == Some(CREDENTIAL) {
        return next.run(request).await;
    }
    let body = json!({"error": {"type": "invalid_request_error", "code": "invalid_api_key",
        "message": "The sandbox takes its own credential alone."}});
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn sent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn unknown(request: Request) -> Response {
    let message = format!("The sandbox has no `{} {}`.", request.method(), request.uri().path());
    let body = json!({"error": {"type": "invalid_request_error", "code": "not_found", "message": message}});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// A number that differs from answer to answer, for ids.
fn serial() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
