//! The one place where an encoded slash has one reading: the name of a resource of Bedrock's, which its SDKs send as one segment
//! (`arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.amazon.nova-pro-v1:0`). Whoever reads two segments there reads a kind and
//! a name, and never steps upward. Which vendor may be sent one, `gateway` decides. A rule sees the segment as it is: one about a
//! model's plain name says nothing of that model's resource name.

use percent_encoding::percent_decode;

/// Is this segment, as it was sent, such a name?
pub(super) fn is_name(raw: &[u8]) -> bool {
    let decoded = percent_decode(raw).decode_utf8();
    decoded.is_ok_and(|text| of_parts(&mut text.splitn(6, ':')).unwrap_or(false))
}

/// What a segment of a path of Bedrock's may name so.
const KINDS: [&str; 12] = [
    "application-inference-profile",
    "async-invoke",
    "custom-model",
    "custom-model-deployment",
    "default-prompt-router",
    "foundation-model",
    "guardrail",
    "imported-model",
    "inference-profile",
    "prompt",
    "prompt-router",
    "provisioned-model",
];

/// `arn`, partition, service, region, account; and then kind and name, which may hold colons. The one slash stands between these.
fn of_parts<'t>(parts: &mut impl Iterator<Item = &'t str>) -> Option<bool> {
    let head = parts.next()? == "arn" && is_partition(parts.next()?) && parts.next()? == "bedrock";
    let (region, account) = (parts.next()?, parts.next()?);
    let (kind, name) = parts.next()?.split_once('/')?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    Some(head && is_word(region) && is_word(account) && KINDS.contains(&kind) && plain && begins)
}

/// `aws`, `aws-cn`, `aws-us-gov`, …
fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws").is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && is_word(rest))
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
