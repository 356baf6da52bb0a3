//! The forms of credentials, as their issuers publish them, of signed tokens, and of mail addresses. Each is told from its own
//! beginning; nothing is checked with anybody.

use super::finds::Find;
use crate::units::vault_key::{self, VaultKey};

/// What may stand behind a beginning.
type Class = fn(u8) -> bool;

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn key(byte: u8) -> bool {
    word(byte) || matches!(byte, b'_' | b'-')
}

fn snake(byte: u8) -> bool {
    word(byte) || byte == b'_'
}

fn dashed(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

fn dotted(byte: u8) -> bool {
    key(byte) || byte == b'.'
}

fn coded(byte: u8) -> bool {
    word(byte) || matches!(byte, b'+' | b'/' | b'=')
}

fn capitals(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn small_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

const ANY: usize = 400;

/// Beginning, what follows, at least and at most how many of them.
const FORMS: [(&str, Class, usize, usize); 35] = [
    ("sk-", key, 20, ANY),
    ("sk_live_", word, 16, ANY),
    ("sk_test_", word, 16, ANY),
    ("rk_live_", word, 16, ANY),
    ("rk_test_", word, 16, ANY),
    ("whsec_", coded, 24, ANY),
    ("AKIA", capitals, 16, 16),
    ("ASIA", capitals, 16, 16),
    ("ghp_", word, 30, ANY),
    ("gho_", word, 30, ANY),
    ("ghu_", word, 30, ANY),
    ("ghs_", word, 30, ANY),
    ("ghr_", word, 30, ANY),
    ("github_pat_", snake, 40, ANY),
    ("glpat-", key, 20, ANY),
    ("xoxb-", dashed, 20, ANY),
    ("xoxp-", dashed, 20, ANY),
    ("xoxa-", dashed, 20, ANY),
    ("xoxr-", dashed, 20, ANY),
    ("xoxs-", dashed, 20, ANY),
    ("xapp-", dashed, 20, ANY),
    ("xai-", word, 40, ANY),
    ("gsk_", word, 40, ANY),
    ("pplx-", word, 40, ANY),
    ("AIza", key, 35, 35),
    ("ya29.", key, 20, ANY),
    ("SG.", dotted, 60, ANY),
    ("SK", small_hex, 32, 32),
    ("npm_", word, 36, 36),
    ("pypi-", key, 50, ANY),
    ("hf_", word, 30, ANY),
    ("shpat_", small_hex, 32, 32),
    ("dop_v1_", small_hex, 64, 64),
    ("re_", snake, 24, ANY),
    ("key-", small_hex, 32, 32),
];

/// What begins here, and how long it is.
pub(super) fn at(rest: &[u8]) -> Option<(Find, usize)> {
    match rest.first()? {
        b'v' => vault_key(rest).map(|length| (Find::VaultKey, length)),
        b'e' => token(rest).map(|length| (Find::Token, length)),
        first => {
            let here = FORMS.iter().filter(|(beginning, ..)| beginning.as_bytes().first() == Some(first));
            here.filter_map(form(rest)).max().map(|length| (Find::Credential, length))
        }
    }
}

fn form(rest: &[u8]) -> impl Fn(&(&str, Class, usize, usize)) -> Option<usize> {
    move |(beginning, class, least, most)| {
        let behind = rest.strip_prefix(beginning.as_bytes())?;
        let behind = &behind[..behind.iter().take_while(|byte| class(**byte)).count()];
        // A longer one is cut where reading ends: of those that may be any length.
        let fits = behind.len() >= *least && (*most == ANY || behind.len() <= *most);
        (fits && looks_random(behind)).then_some(beginning.len() + behind.len())
    }
}

/// `sk-your-key-goes-here-and-not-elsewhere` and `sk-xxxxxxxxxxxxxxxxxxxxxxxx` open nothing.
fn looks_random(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    text.iter().any(u8::is_ascii_digit) && seen.into_iter().filter(|seen| *seen).count() >= 6
}

/// The check at its end makes it certain.
fn vault_key(rest: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(rest.get(..vault_key::LEN)?).ok()?;
    VaultKey::parse(text).map(|_| text.len())
}

/// Two objects in base64url with a dot between; of a long one the signature need not be seen.
fn token(rest: &[u8]) -> Option<usize> {
    let part = |text: &[u8]| {
        let length = text.iter().take_while(|byte| key(**byte)).count();
        (text.starts_with(b"eyJ") && length >= 13).then_some(length)
    };
    let header = part(rest)?;
    let claims = part(rest.get(header..)?.strip_prefix(b".")?)?;
    let signature = rest[header + 1 + claims..].iter().take_while(|byte| dotted(**byte)).count();
    Some(header + 1 + claims + signature)
}

/// Of `x@example.com`, where `x` is the last letter before the sign.
pub(super) fn address(rest: &[u8]) -> Option<usize> {
    let (local, domain) = (*rest.first()?, rest.get(2..)?);
    if !(local.is_ascii_alphanumeric() || matches!(local, b'_' | b'-' | b'+')) {
        return None;
    }
    let length = domain.iter().take_while(|byte| dashed(**byte) || **byte == b'.').count();
    let name = std::str::from_utf8(&domain[..length]).ok()?.trim_end_matches(['.', '-']);
    let (labels, top) = name.rsplit_once('.')?;
    let good = (2..=24).contains(&top.len())
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        && labels.split('.').all(|label| !label.is_empty() && !label.starts_with('-'));
    good.then_some(2 + name.len())
}
