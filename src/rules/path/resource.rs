//! The one place where an encoded slash has one reading: the name of a resource of Bedrock's, which its SDKs send as one segment
//! (`arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.amazon.nova-pro-v1:0`). Whoever reads two segments there reads a kind and
//! a name, and never steps upward. Which vendor may be sent one, `gateway` decides.

use percent_encoding::percent_decode;

/// Is this segment, as it was sent, such a name?
pub(super) fn is_name(raw: &[u8]) -> bool {
    let decoded = percent_decode(raw).decode_utf8();
    decoded.is_ok_and(|text| of_parts(&mut text.splitn(6, ':')).unwrap_or(false))
}

/// `arn`, partition, service, region, account; and then kind and name, which may hold colons.
fn of_parts<'t>(parts: &mut impl Iterator<Item = &'t str>) -> Option<bool> {
    let head = parts.next()? == "arn" && parts.next()?.starts_with("aws") && parts.next()? == "bedrock";
    let (region, account) = (parts.next()?, parts.next()?);
    let (kind, name) = parts.next()?.split_once('/')?;
    let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    Some(head && word(region) && word(account) && word(kind) && !kind.is_empty() && plain && begins)
}
