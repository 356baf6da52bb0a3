//! `Content-Type` and `Content-Encoding`: which reader gets the body. A body that two servers could take for two kinds is
//! refused here; `args` parses the rest.

use super::unreadable::{ContentProblem, Unreadable};
use crate::rules::vendors::BodyKind;

/// Reading a compressed body would mean judging other bytes than those that are sent.
pub(super) fn refuse_encoded(content_encoding: Option<&str>) -> Result<(), Unreadable> {
    let encoding = content_encoding.unwrap_or_default().trim();
    match encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        true => Ok(()),
        false => Err(Unreadable::CompressedBody),
    }
}

/// The kind of body that the caller names, if the operation takes it.
pub(super) fn kind(content_type: Option<&str>, declared: &[BodyKind]) -> Result<BodyKind, Unreadable> {
    let kind = match content_type.map(str::trim) {
        None | Some("") => Err(ContentProblem::Missing),
        Some(text) => named(text),
    };
    let kind = kind.map_err(Unreadable::ContentType)?;
    match declared.contains(&kind) {
        true => Ok(kind),
        false => Err(Unreadable::ContentType(ContentProblem::Undeclared)),
    }
}

fn named(text: &str) -> Result<BodyKind, ContentProblem> {
    let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (main, sub) = media.trim().split_once('/').ok_or(ContentProblem::Malformed)?;
    if !is_token(main) || !is_token(sub) {
        return Err(ContentProblem::Malformed);
    }
    let kind = known(main, sub);
    if matches!(kind, BodyKind::Json | BodyKind::Form) {
        check_parameters(parameters)?;
    }
    Ok(kind)
}

fn known(main: &str, sub: &str) -> BodyKind {
    let application = main.eq_ignore_ascii_case("application");
    let sub = sub.to_ascii_lowercase();
    match sub.as_str() {
        "x-www-form-urlencoded" if application => BodyKind::Form,
        "json" if application => BodyKind::Json,
        _ if application && sub.ends_with("+json") => BodyKind::Json,
        "form-data" if main.eq_ignore_ascii_case("multipart") => BodyKind::Multipart,
        _ => BodyKind::Opaque,
    }
}

/// At most one charset, and that UTF-8. A comma would be a second type.
fn check_parameters(parameters: &str) -> Result<(), ContentProblem> {
    if parameters.contains(',') {
        return Err(ContentProblem::Malformed);
    }
    let mut charsets = 0;
    for parameter in parameters.split(';').map(str::trim) {
        let Some((name, value)) = parameter.split_once('=') else {
            match parameter {
                "" => continue,
                _ => return Err(ContentProblem::Malformed),
            }
        };
        if name.trim().eq_ignore_ascii_case("charset") {
            charsets += 1;
            check_charset(value.trim())?;
        }
    }
    match charsets {
        0 | 1 => Ok(()),
        _ => Err(ContentProblem::Malformed),
    }
}

fn check_charset(value: &str) -> Result<(), ContentProblem> {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    match quoted.unwrap_or(value).to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Ok(()),
        _ => Err(ContentProblem::Charset),
    }
}

fn is_token(text: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    let token = |byte: u8| byte.is_ascii_alphanumeric() || special.contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}
