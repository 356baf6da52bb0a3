//! What a vendor tells by itself of a call that is over, at a path of bursar's own: believed only with the vendor's signature
//! over the address and the form that it sent. It carries no vault key and moves no money by itself: it says that the price is
//! worth asking for now. Said again, it changes nothing. `late` asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::Gateway;
use super::body::Reply;
use super::context::{self, Context};
use super::late;
use super::problem::Problem;
use super::route;
use crate::rules::subject::Name;
use crate::rules::vendors::{Callback, Vendor};

const PATH: &str = "/bursar/v1/callbacks/";
/// No vendor sends more.
const LONGEST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one thing is asked for because its vendor said so, and how many things that is remembered of.
const MOST_ASKED: u8 = 8;
const REMEMBERED: usize = 4096;

/// Where vendors reach this gateway, and what they said by now.
pub struct Callbacks {
    /// As they were told; without it none may call back.
    public_url: Option<String>,
    /// How often each thing was asked for, the oldest first.
    asked: Mutex<VecDeque<(Name, String, u8)>>,
}

impl Callbacks {
    pub fn at(public_url: Option<String>) -> Self {
        Self { public_url, asked: Mutex::default() }
    }

    fn may_ask(&self, vendor: &Name, object: &str) -> bool {
        let mut asked = self.asked.lock();
        if let Some((.., count)) = asked.iter_mut().find(|(v, o, _)| v == vendor && o == object) {
            *count = count.saturating_add(1);
            return *count <= MOST_ASKED;
        }
        if asked.len() == REMEMBERED {
            asked.pop_front();
        }
        asked.push_back((vendor.clone(), object.to_owned(), 1));
        true
    }
}

/// The vendor whose callback this is, by its address.
pub fn vendor(gateway: &Gateway, parts: &Parts) -> Option<(Arc<Vendor>, Callback)> {
    let path = parts.uri.path().strip_prefix(PATH).filter(|_| parts.method == Method::POST)?;
    let vendor = gateway.vendors.get(path)?;
    let callback = vendor.callback?;
    Some((vendor, callback))
}

pub async fn answer(
    gateway: &Arc<Gateway>,
    context: &Context,
    (vendor, callback): (Arc<Vendor>, Callback),
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Reply>, Problem> {
    let url = gateway.callbacks.public_url.as_ref().map(|base| format!("{base}{}", route::target(parts)));
    let url = url.ok_or(Problem::NoSuchPage)?;
    let read = Limited::new(body, LONGEST).collect();
    let read = tokio::time::timeout(PATIENCE, read).await.map_err(|_| Problem::SlowBody)?;
    let form = read.map_err(|_| Problem::TooLarge(LONGEST))?.to_bytes();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let signed = callback.signed(&url, text(header::CONTENT_TYPE.as_str()), &form, text(callback.header()));
    let signed = signed.filter(|signed| gateway.vault.signed_by(&vendor.name, &signed.message, &signed.signature));
    let told = signed.ok_or_else(|| {
        let why = "it does not bear the vendor's signature over `[server] public_url`, its path and its form";
        Problem::Malformed(why.to_owned())
    })?;
    if gateway.callbacks.may_ask(&vendor.name, &told.object) {
        let (gateway, name) = (gateway.clone(), vendor.name.clone());
        // The vendor waits for no price.
        tokio::spawn(async move { late::ask_now(&gateway, &name, &told.object).await });
    }
    let mut response = Response::new(Reply::whole(String::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    context::stamp(response.headers_mut(), context.call);
    Ok(response)
}
