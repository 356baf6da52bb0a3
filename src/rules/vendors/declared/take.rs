//! What an expression takes from the request: numbers, texts, how many things are listed. All of it read as the vendor would,
//! or refused.

use std::borrow::Cow;

use super::{Over, PLACES, Unpriceable, sms, whole};
use crate::rules::args::{Args, Decimal, Name, Value};
use crate::rules::json::{Kind, NodeRef};

fn bad(name: &Name, why: &'static str) -> Unpriceable {
    Unpriceable::BadField { field: name.as_str().to_owned(), why }
}

fn required(name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    default.ok_or_else(|| Unpriceable::Unbounded {
        field: name.as_str().to_owned(),
        why: "its cost depends on this parameter, which is missing",
    })
}

fn value<'a>(args: &'a Args<'_>, name: &Name) -> Result<Option<Value<'a>>, Unpriceable> {
    Ok(args.get_named(name)?.filter(|value| !matches!(value, Value::Null)))
}

pub(super) fn number(args: &Args<'_>, name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    let Some(value) = value(args, name)? else { return required(name, default) };
    let scaled = value.decimal().and_then(|d| d.scaled(PLACES));
    scaled.and_then(|n| u128::try_from(n).ok()).ok_or_else(|| bad(name, "it must be a plain number, not below zero"))
}

fn text<'a>(args: &'a Args<'_>, name: &Name) -> Result<Option<&'a str>, Unpriceable> {
    value(args, name)?.map(|value| value.text().ok_or_else(|| bad(name, "it must be a text"))).transpose()
}

pub(super) fn chars(args: &Args<'_>, name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    text(args, name)?.map_or(required(name, default), |t| Ok(whole(t.chars().count())))
}

pub(super) fn segments(args: &Args<'_>, name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    text(args, name)?.map_or(required(name, default), |t| Ok(whole(sms::segments(t))))
}

pub(super) fn there(args: &Args<'_>, name: &Name) -> Result<u128, Unpriceable> {
    let there = match value(args, name)? {
        None | Some(Value::Bool(false) | Value::Text("" | "false")) => false,
        Some(_) => true,
    };
    Ok(whole(usize::from(there)))
}

/// A text, a number or a yes or no as a word.
pub(super) fn word(args: &Args<'_>, name: &Name) -> Result<Option<Box<str>>, Unpriceable> {
    value(args, name)?
        .map(|value| match value {
            Value::Text(text) | Value::Number(text) => Ok(text.into()),
            Value::Bool(flag) => Ok(flag.to_string().into()),
            _ => Err(bad(name, "it must be a text, a number, or true or false")),
        })
        .transpose()
}

pub(super) fn look_up(
    args: &Args<'_>,
    name: &Name,
    values: &[(Box<str>, u128)],
    prefixes: &[(Box<str>, u128)],
    otherwise: Option<u128>,
) -> Result<u128, Unpriceable> {
    let word = word(args, name)?.unwrap_or_default();
    if let Some((_, price)) = values.iter().find(|(value, _)| *value == word) {
        return Ok(*price);
    }
    let text = plain_number(&word);
    let longest =
        prefixes.iter().filter(|(prefix, _)| text.starts_with(&**prefix)).max_by_key(|(prefix, _)| prefix.len());
    longest.map(|(_, price)| *price).map_or_else(|| required(name, otherwise), Ok)
}

/// A telephone number may be written with spaces, brackets and dashes.
fn plain_number(text: &str) -> Cow<'_, str> {
    let part = |c: char| c == '+' || c.is_ascii_digit();
    if !text.starts_with('+') || text.chars().all(part) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| part(*c)).collect())
}

pub(super) fn count(args: &Args<'_>, names: &[Name], over: &Over, commas: bool) -> Result<u128, Unpriceable> {
    let Over::Each(pointer) = over else {
        let counts = names.iter().map(|name| Ok(value(args, name)?.map_or(0, |value| things(value, commas))));
        return counts.sum::<Result<usize, Unpriceable>>().map(whole);
    };
    let list = args.document().and_then(|document| document.pointer(pointer));
    let field = if pointer.is_empty() { "the body" } else { pointer };
    let not_listed = || Unpriceable::BadField { field: field.to_owned(), why: "it must be a JSON list" };
    let list = list.filter(|list| matches!(list.kind(), Kind::Array)).ok_or_else(not_listed)?;
    let of = |element: NodeRef<'_>| {
        names.iter().map(|name| member(element, name).map_or(0, |node| things_at(node, commas))).sum::<usize>()
    };
    Ok(whole(list.children().map(of).sum()))
}

/// The sum of one number over a list; without the list, or that number in one of its elements, nothing is known.
pub(super) fn total(args: &Args<'_>, name: &Name, list: &str) -> Result<u128, Unpriceable> {
    let there = args.document().and_then(|document| document.pointer(list)).filter(|node| !node.is_null());
    let Some(there) = there else { return required(&Name::parse(list), None) };
    if !matches!(there.kind(), Kind::Array) {
        return Err(Unpriceable::BadField { field: list.to_owned(), why: "it must be a JSON list" });
    }
    let mut sum = 0u128;
    for element in there.children() {
        let Some(node) = member(element, name) else { return required(&Name::parse(list), None) };
        let number = node.number().and_then(Decimal::parse).and_then(|n| u128::try_from(n.scaled(PLACES)?).ok());
        sum = sum.saturating_add(number.ok_or_else(|| bad(name, "it must be a plain number, not below zero"))?);
    }
    Ok(sum)
}

fn things(value: Value<'_>, commas: bool) -> usize {
    match value {
        Value::List(list) => list.values().count(),
        Value::Object(object) => object.members().count(),
        Value::Text(text) if commas => listed(text),
        _ => 1,
    }
}

/// A comma within quotes stands in a name: then one more is counted than there are, never one less.
fn listed(text: &str) -> usize {
    text.split(',').filter(|part| !part.trim().is_empty()).count()
}

fn member<'d>(element: NodeRef<'d>, name: &Name) -> Option<NodeRef<'d>> {
    element.member(name.as_str().trim_start_matches('/')).filter(|node| !node.is_null())
}

fn things_at(node: NodeRef<'_>, commas: bool) -> usize {
    match node.text() {
        Some(text) if commas => listed(text),
        _ if matches!(node.kind(), Kind::Array | Kind::Object) => node.children().count(),
        _ => 1,
    }
}
