//! OpenAI's other calls: completions of a bare text, embeddings, pictures, speech and transcription. What a request can cost
//! at most; `answer` reads what it did cost. What a file holds, no body shows: a policy's ceiling bounds those calls.

use super::super::ask::{Ask, Bounded, Unpriceable};
use super::super::llm::body::Body;
use super::super::llm::image::Pictures;
use super::super::llm::{Api, Extra, Output, Prompt, Request, bounded};
use super::{ask_for_usage, input_kinds, model, output, prompt};
use crate::rules::json::Kind;
use crate::rules::price::{Kind as Token, Rates, Row};

/// Completions. Of several answers that the vendor ranks itself, each is charged; so is each of several prompts.
pub(in super::super) fn completions(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let stream = body.flag("stream")?;
    let prompts = body.get("prompt").filter(|node| matches!(node.kind(), Kind::Array));
    let prompts = prompts.map_or(1, |list| list.children().count().max(1) as u64);
    let ranked = body.count("best_of")?.unwrap_or(1).max(body.count("n")?.unwrap_or(1));
    let request = Request {
        stream,
        input_kinds: input_kinds(&body, false),
        output_kinds: vec![Token::Output],
        tier: body.text("service_tier")?,
        output: output(&body, &["max_tokens"], &["/max_tokens"], ranked.saturating_mul(prompts), 1)?,
        ..Request::plain(Api::Chat, model(ask, &body)?, prompt(ask, 0, None, Pictures::default()))
    };
    let asks = stream && ask.vendor.dialect.hides_usage();
    let (hide_usage, edits) = if asks { ask_for_usage(&body)? } else { (false, Vec::new()) };
    Ok(bounded(ask, request, Extra { hide_usage, edits, ..Extra::default() }))
}

/// Embeddings.
pub(in super::super) fn embeddings(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let prompt = match prompt(ask, 0, None, Pictures::default()) {
        Prompt::Tokens(tokens) => Prompt::Several(tokens),
        hidden => hidden,
    };
    let request = Request::plain(Api::Embeddings, model(ask, &body)?, prompt);
    Ok(bounded(ask, request, Extra::default()))
}

/// Pictures from a text: a flat price each, or tokens, of which those of its size and quality are held for each.
pub(in super::super) fn images(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let pictures = body.count("n")?.unwrap_or(1).max(1);
    let name = match body.get("model") {
        None if ask.args.in_path("deployment").is_none() => "dall-e-2",
        _ => model(ask, &body)?,
    };
    let row = ask.prices.find(&ask.vendor.prices, name);
    let rates = row.and_then(|row| row.rates(ask.now, None, 0));
    // What is charged by its tokens is not bounded by a price for one.
    let whole = rates.as_ref().is_some_and(|rates| rates.get(Token::ImageOutput).is_none());
    let picture = sized(&body)?.filter(|name| whole && row.is_some_and(|row| row.fee(name).is_some()));
    let flat = whole && rates.is_some_and(|rates| rates.get(Token::ImagesOut).is_some());
    let prompt = prompt(ask, 0, None, Pictures::default());
    let mut request = Request { stream: body.flag("stream")?, ..Request::plain(Api::Images, name, prompt) };
    let picture = picture.map(|name| (name.into(), pictures));
    if let Some(fee) = &picture {
        request.fees = vec![fee.clone()];
    } else if flat {
        request.units = vec![(Token::ImagesOut, pictures)];
    } else if let Some(tokens) =
        row.zip(rates.as_ref()).map(|(row, rates)| drawn(&body, row, rates)).transpose()?.flatten()
    {
        request.output_kinds = vec![Token::ImageOutput, Token::Output];
        let once = Output { none: false, fixed: true, lifted: true, ..Output::SILENT };
        request.output = Output { asked: Some(tokens), answers: pictures, ..once };
    } else {
        request.unbounded =
            Some(Unpriceable::unbounded("size", "how many tokens a picture of this model is, is not in the request"));
    }
    Ok(bounded(ask, request, Extra { picture, ..Extra::default() }))
}

/// What may be drawn beside a picture: pieces of it while it comes, and words.
const BESIDE: u64 = 3 * 100 + 100;

/// The most tokens that one picture of this size and quality is, by what the vendor says that it costs, which is rounded. What the
/// request leaves open may be the dearest of what is listed.
fn drawn(body: &Body<'_>, row: &Row, rates: &Rates) -> Result<Option<u64>, Unpriceable> {
    let open = |text: &&str| *text != "auto";
    let (size, quality) = (body.text("size")?.filter(open), body.text("quality")?.filter(open));
    // Lines are drawn by another model beside.
    if body.text("output_format")?.is_some_and(|format| !matches!(format, "png" | "jpeg" | "webp")) {
        return Ok(None);
    }
    let fits = |name: &str| {
        let (own, pixels) = name.strip_prefix("image.").and_then(|name| name.split_once('.')).unwrap_or_default();
        size.is_none_or(|size| size == pixels) && quality.is_none_or(|quality| quality == own)
    };
    let listed: Vec<_> = row.fees().filter(|(name, _)| name.starts_with("image.") && fits(name)).collect();
    let dearest = listed.iter().any(|(name, _)| quality.is_some() || name.starts_with("image.high."));
    let most = listed.iter().map(|(_, usd)| *usd).max().filter(|_| dearest);
    let rate = rates.get(Token::ImageOutput).filter(|rate| rate.0 > 0);
    let tokens = most.zip(rate).and_then(|(usd, rate)| u64::try_from(usd.0.div_ceil(rate.0)).ok());
    Ok(tokens.map(|tokens| tokens.saturating_add(tokens / 20).saturating_add(BESIDE)))
}

/// The name of the price of one picture, if the request says what decides it.
fn sized(body: &Body<'_>) -> Result<Option<String>, Unpriceable> {
    let (size, quality) = (body.text("size")?, body.text("quality")?);
    Ok(size.filter(|size| *size != "auto").map(|size| format!("image.{}.{size}", quality.unwrap_or("standard"))))
}

/// Speech: charged by the text's characters where the model is, and else by tokens that the answer does not tell.
pub(in super::super) fn speech(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let body = Body::of(ask)?;
    let name = model(ask, &body)?;
    let characters = body.text("input")?.map_or(0, |text| text.chars().count() as u64);
    let row = ask.prices.find(&ask.vendor.prices, name);
    let counted = row.and_then(|row| row.rates(ask.now, None, 0)).is_some_and(|r| r.get(Token::CharactersIn).is_some());
    let mut request = Request::plain(Api::Speech, name, Prompt::Tokens(0));
    request.stream = body.text("stream_format")? == Some("sse");
    if counted {
        request.units = vec![(Token::CharactersIn, characters)];
    } else {
        request.unbounded =
            Some(Unpriceable::unbounded("input", "how long the spoken answer is, is not in the request"));
    }
    Ok(bounded(ask, request, Extra { characters: counted.then_some(characters), ..Extra::default() }))
}

/// Transcription: how long a recording is, its request does not show.
pub(in super::super) fn transcription(ask: &Ask<'_>) -> Result<Bounded, Unpriceable> {
    let named = field_of_form(ask.body, "model")?;
    let model = ask
        .args
        .in_path("deployment")
        .or(named)
        .ok_or_else(|| Unpriceable::BadField { field: "model".to_owned(), why: "the request must name one" })?;
    let unbounded = Some(Unpriceable::unbounded("file", "how long the recording is, is not read"));
    let request = Request { unbounded, ..Request::plain(Api::Transcription, model, Prompt::Tokens(0)) };
    Ok(bounded(ask, request, Extra::default()))
}

/// A short field of a multipart body, which must stand there once.
fn field_of_form<'a>(body: &'a [u8], name: &str) -> Result<Option<&'a str>, Unpriceable> {
    let mark = format!("name=\"{name}\"");
    let mut places = memchr::memmem::find_iter(body, mark.as_bytes());
    let (first, second) = (places.next(), places.next());
    let bad = |why| Err(Unpriceable::BadField { field: name.to_owned(), why });
    let Some(at) = first else { return Ok(None) };
    if second.is_some() {
        return bad("it stands there twice");
    }
    let behind = body.get(at + mark.len()..).unwrap_or_default();
    let start = memchr::memmem::find(behind, b"\r\n\r\n").map(|at| &behind[at + 4..]);
    let value = start.and_then(|start| Some(&start[..memchr::memmem::find(start, b"\r\n--")?]));
    match value.and_then(|value| std::str::from_utf8(value).ok()).filter(|v| !v.is_empty() && v.len() < 200) {
        Some(value) => Ok(Some(value)),
        None => bad("it must be a short text"),
    }
}
