//! bursar's own pages for an agent, under `/bursar/`. They cost nothing and reach no vendor. The paths are reserved before any
//! vendor is looked for. `myself` says what the key may do, `decide` what would become of a call, `keys` mints a narrower key.

mod decide;
mod keys;
mod myself;

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::Gateway;
use super::body::Reply;
use super::context::{self, Context};
use super::identify::Caller;
use super::problem::Problem;
use super::route;
use crate::rules::books::said;

pub use keys::{Minter, Unminted};

/// What a key is asked for with, at most: no rule of its own takes more.
const MOST_OF_A_KEY: usize = 64 * 1024;

/// Pages that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Myself,
    Decide,
    Keys,
    Missing,
}

/// The page that is asked for; `None` if the address is a vendor's.
pub fn page(parts: &Parts) -> Option<Page> {
    let target = route::target(parts);
    let path = target.split('?').next().unwrap_or_default();
    let own = path.starts_with("/bursar/") || path.starts_with("/-/") || path == "/bursar" || path == "/-";
    own.then_some(match (&parts.method, path) {
        (&Method::GET, "/bursar/v1/self") => Page::Myself,
        (&Method::POST, "/bursar/v1/decide") => Page::Decide,
        (&Method::POST, "/bursar/v1/keys") => Page::Keys,
        _ => Page::Missing,
    })
}

pub async fn answer(
    gateway: &Arc<Gateway>,
    context: &Context,
    caller: &Caller,
    page: Page,
    body: Incoming,
) -> Result<Response<Reply>, Problem> {
    let said = match page {
        Page::Missing => return Err(Problem::NoSuchPage),
        Page::Myself => myself::myself(gateway, caller).await?,
        Page::Decide => {
            decide::decide(gateway, context, caller, read(gateway, body, gateway.limits.body).await?).await?
        }
        Page::Keys => {
            keys::allowed(gateway, caller)?;
            keys::mint(gateway, caller, read(gateway, body, MOST_OF_A_KEY).await?).await?
        }
    };
    let mut response = Response::new(Reply::whole(said.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What is left, and a key above all, is nobody else's to keep.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    context::stamp(headers, context.call);
    Ok(response)
}

async fn read<T: DeserializeOwned>(gateway: &Gateway, body: Incoming, limit: usize) -> Result<T, Problem> {
    let limit = limit.min(gateway.limits.body);
    let read = tokio::time::timeout(gateway.limits.body_time, Limited::new(body, limit).collect());
    let bytes: Bytes = match read.await.map_err(|_| Problem::SlowBody)? {
        Ok(read) => read.to_bytes(),
        Err(e) if e.is::<LengthLimitError>() => return Err(Problem::TooLarge(limit)),
        Err(_) => return Err(Problem::BrokenBody),
    };
    serde_json::from_slice(&bytes).map_err(|e| Problem::BadQuestion(wrong(&e)))
}

/// What is wrong with a question. The words of the parser may hold what was sent, up to all of it: they are cut, and without keys.
fn wrong(error: &serde_json::Error) -> String {
    format!("its JSON body is not what is expected here: {}", said(error.to_string()))
}
