//! What is found and what is not, and that cuts do not matter.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;
use crate::units::secret::Secret;
use crate::units::vault_key::VaultKey;

const OWN: &str = "sk-real-5c0ffee?>5c0ffee/5c0ffee";

fn own() -> Vec<Arc<Traces>> {
    vec![Arc::new(Traces::of(&Secret::new(OWN.to_owned())))]
}

fn scanned(pieces: &[&[u8]]) -> Finds {
    let mut scan = Scan::new(own());
    pieces.iter().for_each(|piece| scan.push(piece));
    scan.finish();
    scan.finds().clone()
}

fn shown(text: &str) -> String {
    scanned(&[text.as_bytes()]).shown(Kinds::of(Find::ALL))
}

/// Put together here, so that no file of ours holds what looks like a secret.
fn like(beginning: &str, length: usize) -> String {
    let fill = "a1B2c3D4e5F6g7H8".bytes().cycle().take(length).map(char::from);
    beginning.chars().chain(fill).collect()
}

fn token() -> String {
    format!("{}.{}.{}", like("eyJ", 20), like("eyJ", 40), like("", 43))
}

#[test]
fn credentials_are_known_by_their_forms() {
    let capitals = format!("AKIA{}", "Q7EXAMPLE1234567");
    let hex = format!("SK{}", "0123456789abcdef".repeat(2));
    for found in [
        like("sk-", 48),
        like("sk-ant-api03-", 80),
        like("sk-proj-", 100),
        like("sk_live_", 24),
        like("ghp_", 36),
        like("github_pat_", 60),
        like("xoxb-", 40),
        like("AIza", 35),
        like("glpat-", 20),
        like("npm_", 36),
        capitals,
        hex,
    ] {
        for text in [
            found.clone(),
            format!("{{\"key\":\"{found}\"}}"),
            format!("a\\n{found}\\n"),
            format!("?key={found}&x=1"),
            format!("Bearer%20{found}"),
            format!("\\\"{found}\\\""),
        ] {
            assert_eq!(shown(&text), "1 credential", "{text}");
        }
    }
    assert_eq!(shown(&token()), "1 jwt");
    assert_eq!(shown(&format!("Authorization: Bearer {}", token())), "1 jwt");
    assert_eq!(shown(&VaultKey::from_random(&[7; 52]).reveal()), "1 vault_key");
    for kind in ["", "RSA ", "EC ", "OPENSSH "] {
        assert_eq!(shown(&format!("{{\"pem\":\"-----BEGIN {kind}PRIVATE KEY-----\\nMIIE\"}}")), "1 private_key");
    }
    assert_eq!(shown(&format!("{} {}", like("sk-", 30), like("sk-", 31))), "2 credential");
}

#[test]
fn what_only_looks_alike_is_none() {
    for text in [
        "sk-your-openai-api-key-goes-here-for-now",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "task-a1B2c3D4e5F6g7H8a1B2c3D4",
        "risk-1",
        "AKIA",
        "AKIAshort1",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "vk_0123456789ab_0123456789012345678901234567890123456789aaaaaa",
        "eyJhbGciOiJIUzI1NiJ9.and-no-claims",
        "re_captcha",
    ] {
        assert_eq!(shown(text), "", "{text}");
    }
}

#[test]
fn our_own_credentials_are_known_in_any_encoding() {
    let percent: String = OWN.bytes().map(|b| format!("%{b:02x}")).collect();
    let unicode: String = OWN.bytes().map(|b| format!("\\u{b:04x}")).collect();
    let hex: String = OWN.bytes().map(|b| format!("{b:02X}")).collect();
    let mut all = vec![
        OWN.to_owned(),
        OWN.replace('/', "\\/"),
        OWN.chars().rev().collect(),
        hex.to_lowercase(),
        hex,
        percent.to_uppercase(),
        percent,
        unicode,
    ];
    for before in ["", "a", "ab", "abc", "user:"] {
        for after in ["", ":x", "tail"] {
            let text = format!("{before}{OWN}{after}");
            all.extend([STANDARD.encode(&text), URL_SAFE.encode(&text)]);
        }
    }
    for text in all {
        let finds = scanned(&[b"{\"x\":\"", text.as_bytes(), b"\"}"]);
        assert!(finds.of(Kinds::of([Find::Own])) >= 1, "{text}");
    }
    let user = Traces::of(&Secret::new("AC123456:0123456789abcdef0123".to_owned()));
    let mut scan = Scan::new(vec![Arc::new(user)]);
    scan.push(b"password 0123456789abcdef0123");
    assert_eq!(scan.finds().of(Kinds::of([Find::Own])), 1, "a part that is a secret by itself");
    assert_eq!(shown("sk-real"), "");
}

#[test]
fn cards_accounts_and_people_are_known() {
    for (text, expected) in [
        ("4242424242424242", "1 card"),
        ("{\"number\":\"4242 4242 4242 4242\"}", "1 card"),
        ("4242-4242-4242-4242.", "1 card"),
        ("378282246310005 and 3782 822463 10005", "2 card"),
        ("6011111111111117,5555555555554444", "2 card"),
        ("30569309025904 36227206271667", "2 card"),
        ("Nr 12 4242 4242 4242 4242 ", "1 card"),
        ("2223003122003222", "1 card"),
        ("4242424242424241", ""),
        ("1234567812345670", ""),
        ("x4242424242424242", ""),
        ("4242424242424242x", ""),
        ("0.4242424242424242", ""),
        ("42424242424242424242424242424242", ""),
        ("4000000000000000", ""),
        ("DE89370400440532013000", "1 iban"),
        ("DE89 3704 0044 0532 0130 00", "1 iban"),
        ("\"GB82WEST12345698765432\"", "1 iban"),
        ("IBAN NO93 8601 1117 947, BE68 5390 0754 7034", "2 iban"),
        ("DE89370400440532013001", ""),
        ("DE8937040044053201300", ""),
        ("DE893704004405320130001", ""),
        ("XX89370400440532013000", ""),
        ("DE89 37040 044 0532 0130 00", ""),
        ("078-05-1120", "1 ssn"),
        ("666-12-3456 900-12-3456 123-00-4567 123-45-0000", ""),
        ("2026-11-22 555-1234", ""),
        ("ann.smith+x@mail.example.com", "1 email"),
        ("<bob@example.org>, a@b.io.", "2 email"),
        ("react@18.2.0 @types/node a@b x@-y.com user@localhost", ""),
        ("mailto:ann%40example.com", "1 email"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn long_words_keep_little_and_lose_nothing() {
    let picture = STANDARD.encode(vec![7_u8; 200_000]);
    for at in [0, 1, 500, 1023, 1534, 1535, 1536, 1537, 2047, 2048, 2049, 5000] {
        let text = format!("{}={}={picture}", &picture[..at], like("sk_live_", 24));
        assert_eq!(shown(&text), "1 credential", "after {at}");
        let text = format!("{}/ann@example.com/{picture}", &picture[..at]);
        assert_eq!(shown(&text), "1 email", "after {at}");
    }
    let mut scan = Scan::new(own());
    scan.push(picture.as_bytes());
    assert!(scan.tokens.kept() < 4096, "bounded");
}

fn everything() -> String {
    let coded = STANDARD.encode(format!("x{OWN}"));
    format!(
        "{{\"a\":\"{}\\n{}\",\"b\":\"{coded}\",\"c\":\"4242 4242 4242 4242\",\"d\":\"DE89 3704 0044 0532 0130 00\",\"e\":\"078-05-1120\",\
         \"f\":\"ann%40example.com\",\"g\":\"-----BEGIN PRIVATE KEY-----\\nMII\",\"h\":\"{}\"}}",
        like("sk-", 40),
        token(),
        like("gh\\u0070_", 36),
    )
}

#[test]
fn every_single_cut_finds_the_same() {
    let text = everything();
    let whole = scanned(&[text.as_bytes()]);
    let all = whole.shown(Kinds::of(Find::ALL));
    assert_eq!(all, "2 credential, 1 jwt, 1 private_key, 1 own_credential, 1 card, 1 iban, 1 ssn, 1 email");
    for at in 0..=text.len() {
        let (a, b) = text.as_bytes().split_at(at);
        assert_eq!(scanned(&[a, b]), whole, "cut at {at}");
    }
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(scanned(&single), whole);
}

proptest! {
    #[test]
    fn no_cuts_matter(cuts in prop::collection::vec(0_usize..700, 0..12), noise in "[ -~]{0,80}") {
        let text = format!("{noise}{}{noise}", everything());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(scanned(&pieces), scanned(&[text.as_bytes()]));
    }

    #[test]
    fn no_bytes_are_too_strange(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let whole = pieces.concat();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(scanned(&pieces), scanned(&[&whole]));
    }
}
