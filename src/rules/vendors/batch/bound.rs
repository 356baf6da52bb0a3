//! What a batch can cost at most: the sum of its items' own bounds, each as if it were asked alone, at the batch price. What
//! is not yet known when it is made, when each item runs, is covered by the dearest price until then.

use std::borrow::Cow;

use http::header;

use super::super::ask::{Ask, FitRule, Unpriceable};
use super::super::dialect::Dialect;
use super::super::entry::{Adapter, Price};
use super::super::llm::body::{Body, text_of};
use super::super::{anthropic, openai};
use super::FileBound;
use crate::rules::args::{self, Args, Sent};
use crate::rules::books::MadeBound;
use crate::rules::json::{Document, Kind, NodeRef};
use crate::rules::ledger::need::Need;
use crate::rules::multipart;
use crate::rules::path::CanonicalPath;
use crate::rules::subject::Name;
use crate::rules::vendors::BodyKind;
use crate::units::money::PicoUsd;

/// A batch of messages ends within a day; what is still to be written then expires.
const RUNS_SECS: i64 = 25 * 3600;
/// A file may be run as long as the vendor keeps it, and then for a day.
const KEPT_SECS: i64 = 31 * 24 * 3600;

/// It stands in a row of the books.
const LONGEST_REASON: usize = 300;

fn bad(field: &str, why: &'static str) -> Unpriceable {
    Unpriceable::BadField { field: field.to_owned(), why }
}

/// What the items of a body together cost at most, and the place that some of them ask for.
type OfMessages = (Result<Need, Unpriceable>, Option<Name>);

/// All items of a body that is there whole.
pub(super) fn of_messages(ask: &Ask<'_>) -> Result<OfMessages, Unpriceable> {
    let body = Body::camel(ask)?;
    let list = body.get("requests").filter(|node| matches!(node.kind(), Kind::Array));
    let list = list.ok_or_else(|| bad("requests", "it must be a list"))?;
    let (mut sum, mut geo) = (Sum::default(), None);
    for (at, item) in list.children().enumerate() {
        Body::spelled(item, &["custom_id", "params"])?;
        let params = item.member("params").filter(|node| matches!(node.kind(), Kind::Object));
        let params = params.ok_or_else(|| bad(&format!("requests[{at}].params"), "it must be an object"))?;
        geo = text_of(params, "inference_geo").filter(|place| *place == "us").map(Name::from).or(geo);
        match alone(ask, slice(ask.body, params), Adapter::Messages, RUNS_SECS) {
            Ok(need) => sum.add(&need),
            // What has no reading has no ceiling either.
            Err(why) if !why.ceiling_helps() => return Err(why),
            Err(why) => {
                let why = Unpriceable::Item { at: format!("requests[{at}]"), why: why.to_string() };
                return Ok((Err(why), Some("us".into())));
            }
        }
    }
    Ok((Ok(Need::fixed(sum.usd, sum.tokens)), geo))
}

fn slice<'b>(body: &'b [u8], node: NodeRef<'_>) -> &'b [u8] {
    body.get(node.span()).unwrap_or_default()
}

/// A file that a batch may run; `None` if it is none.
pub(super) fn of_file(ask: &Ask<'_>) -> Option<Result<FileBound, String>> {
    let parts = multipart::parts(super::header(ask.headers, &header::CONTENT_TYPE), ask.body)?;
    let of = |name: &str| parts.iter().find(|part| part.name == name).map(|part| part.content);
    if of("purpose") != Some(b"batch") {
        return None;
    }
    let file = of("file")?;
    let (mut sum, mut endpoint) = (Sum::default(), None);
    for (at, text) in file.split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.trim_ascii().is_empty()) {
        match line(ask, text, &mut endpoint) {
            Ok(need) => sum.add(&need),
            Err(why) => return Some(Err(storable(&format!("line {}: {why}", at + 1)))),
        }
    }
    let bound = MadeBound { usd: sum.usd.ceil(), tokens: sum.tokens, book: ask.prices.hash() };
    Some(endpoint.map(|endpoint| FileBound { bound, endpoint }).ok_or_else(|| "it has no lines".to_owned()))
}

/// It may quote what stands in the file, also what no store can read back.
fn storable(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect()
}

/// `{"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": {…}}`, the same operation in every line.
fn line(ask: &Ask<'_>, text: &[u8], endpoint: &mut Option<Name>) -> Result<Need, Unpriceable> {
    let text = text.trim_ascii();
    let document = Document::parse(text).map_err(|_| bad("the line", "it must be JSON, with each field once"))?;
    let root = document.root();
    Body::spelled(root, &["custom_id", "method", "url", "body"])?;
    let body = root.member("body").filter(|node| matches!(node.kind(), Kind::Object));
    let body = body.ok_or_else(|| bad("body", "it must be an object"))?;
    if text_of(root, "method") != Some("POST") {
        return Err(bad("method", "it must be POST"));
    }
    let url = text_of(root, "url").ok_or_else(|| bad("url", "the line must name it"))?;
    if **endpoint.get_or_insert_with(|| url.into()) != *url {
        return Err(bad("url", "it must be the same in every line"));
    }
    let path = CanonicalPath::parse(&*operation_of(ask, url)).map_err(|_| bad("url", "it is no path"))?.path;
    let operation = ask.vendor.route("POST", path).operation;
    match operation.map(|operation| &operation.price) {
        // The one free operation that a batch may run.
        Some(Price::Free) if url == "/v1/moderations" => Ok(Need::fixed(PicoUsd(0), 0)),
        Some(Price::Adapter(
            adapter @ (Adapter::Chat | Adapter::Responses | Adapter::Completions | Adapter::Embeddings),
        )) => alone(ask, slice(text, body), *adapter, KEPT_SECS),
        _ => Err(Unpriceable::NoPrice),
    }
}

/// Azure's lines name the operation alone; their model is a deployment.
fn operation_of<'u>(ask: &Ask<'_>, url: &'u str) -> Cow<'u, str> {
    match ask.vendor.dialect {
        Dialect::Azure => format!("/openai/v1{}", url.strip_prefix("/v1").unwrap_or(url)).into(),
        _ => url.into(),
    }
}

/// One item as if it were asked alone, at the dearest that holds while it may still run: so many seconds.
fn alone(ask: &Ask<'_>, body: &[u8], adapter: Adapter, within: i64) -> Result<Need, Unpriceable> {
    let sent = Sent { content_type: Some("application/json"), body: args::Body::Whole(body), ..Sent::default() };
    let args = Args::read(sent, &[BodyKind::Json])?;
    // Nobody can lower the limit of an item.
    let fit = FitRule { always: false, ..ask.fit };
    let item = Ask { args: &args, body, fit, batch: Some(within), ceiling: None, recalled: None, ..*ask };
    let bounded = match adapter {
        Adapter::Responses => openai::responses(&item),
        Adapter::Completions => openai::completions(&item),
        Adapter::Embeddings => openai::embeddings(&item),
        Adapter::Messages => anthropic::messages(&item),
        _ => openai::chat(&item),
    };
    bounded?.need.map(whole)
}

/// With all of the output that it may give.
fn whole(need: Need) -> Need {
    let Some(fit) = &need.fit else { return need };
    let usd = need.usd.plus(fit.usd_per_token.times(fit.want));
    let tokens = need.tokens.saturating_add(fit.tokens_per_token.saturating_mul(fit.want));
    Need::fixed(usd, tokens)
}

struct Sum {
    usd: PicoUsd,
    tokens: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { usd: PicoUsd(0), tokens: 0 }
    }
}

impl Sum {
    fn add(&mut self, need: &Need) {
        self.usd = self.usd.plus(need.usd);
        self.tokens = self.tokens.saturating_add(need.tokens);
    }
}
