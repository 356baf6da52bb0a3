//! The table of decided cases for `path`, and what holds for every input.

use super::*;
use PathRefusal::*;
use proptest::prelude::*;

type Expected = Result<&'static str, PathRefusal>;

/// name, target, the canonical path and query (`path` or `path?query`).
#[rustfmt::skip]
const CASES: &[(&str, &str, Expected)] = &[
    // plain
    ("root", "/", Ok("/")),
    ("one segment", "/v1", Ok("/v1")),
    ("a usual path", "/stripe/v1/refunds", Ok("/stripe/v1/refunds")),
    ("trailing slash is kept", "/api/0/projects/", Ok("/api/0/projects/")),
    ("case is kept", "/V1/Refunds", Ok("/V1/Refunds")),
    ("extension is kept", "/2010-04-01/Accounts/AC1/Messages.json", Ok("/2010-04-01/Accounts/AC1/Messages.json")),
    // empty segments
    ("double slash inside", "/stripe//v1/refunds", Ok("/stripe/v1/refunds")),
    ("double slash first", "//v1/refunds", Ok("/v1/refunds")),
    ("an authority in disguise", "//evil.example/v1", Ok("/evil.example/v1")),
    ("many slashes", "////v1////x", Ok("/v1/x")),
    ("only slashes", "///", Ok("/")),
    ("double slash last", "/v1/x//", Ok("/v1/x/")),
    // dot segments
    ("single dot", "/v1/./refunds", Ok("/v1/refunds")),
    ("single dot first", "/./v1", Ok("/v1")),
    ("single dot last", "/v1/.", Ok("/v1/")),
    ("only a dot", "/.", Ok("/")),
    ("encoded single dot", "/v1/%2e/refunds", Ok("/v1/refunds")),
    ("encoded single dot, upper case", "/v1/%2E/refunds", Ok("/v1/refunds")),
    ("dot and empty", "/v1/.//./x", Ok("/v1/x")),
    ("two dots", "/v1/refunds/../payouts", Err(ParentSegment)),
    ("two dots last", "/v1/refunds/..", Err(ParentSegment)),
    ("two dots first", "/../etc", Err(ParentSegment)),
    ("two dots over the vendor", "/stripe/../openai/v1", Err(ParentSegment)),
    ("two dots beside an empty segment", "/a//../b", Err(ParentSegment)),
    ("encoded two dots", "/v1/%2e%2e/payouts", Err(ParentSegment)),
    ("encoded two dots, upper case", "/v1/%2E%2E/payouts", Err(ParentSegment)),
    ("half encoded two dots", "/v1/.%2e/payouts", Err(ParentSegment)),
    ("half encoded two dots, other half", "/v1/%2E./payouts", Err(ParentSegment)),
    ("two dots and a parameter", "/v1/..;/payouts", Err(Parameter)),
    ("three dots are a name", "/v1/.../x", Ok("/v1/.../x")),
    ("a hidden file is a name", "/v1/.env", Ok("/v1/.env")),
    ("dots inside a name", "/v1/a..b", Ok("/v1/a..b")),
    // unreserved
    ("encoded letter", "/v1/p%61youts", Ok("/v1/payouts")),
    ("all encoded letters", "/%76%31", Ok("/v1")),
    ("encoded digit", "/v%31/x", Ok("/v1/x")),
    ("encoded hyphen", "/a%2db", Ok("/a-b")),
    ("encoded dot in a name", "/a%2eb", Ok("/a.b")),
    ("encoded underscore", "/pi%5f1", Ok("/pi_1")),
    ("encoded tilde", "/%7Euser", Ok("/~user")),
    ("plain tilde", "/~user", Ok("/~user")),
    // reserved keeps its spelling
    ("plain colon", "/v1beta/models/gemini-2.5-pro:generateContent", Ok("/v1beta/models/gemini-2.5-pro:generateContent")),
    ("encoded colon is kept", "/model/M%3A0/converse", Ok("/model/M%3A0/converse")),
    ("encoded colon, lower case", "/model/M%3a0/converse", Ok("/model/M%3A0/converse")),
    ("plain at", "/v1/@me", Ok("/v1/@me")),
    ("encoded at", "/v1/a%40b", Ok("/v1/a%40b")),
    ("plain plus", "/v2/PhoneNumbers/+1555", Ok("/v2/PhoneNumbers/+1555")),
    ("encoded plus", "/v2/PhoneNumbers/%2b1555", Ok("/v2/PhoneNumbers/%2B1555")),
    ("plain sub-delimiters", "/a!$&'()*+,=b", Ok("/a!$&'()*+,=b")),
    ("encoded sub-delimiters", "/%21%24%26%27%28%29%2a%2c%3d", Ok("/%21%24%26%27%28%29%2A%2C%3D")),
    // what may not stand plain is encoded
    ("plain quote", "/a\"b", Ok("/a%22b")),
    ("plain angle brackets", "/a<b>", Ok("/a%3Cb%3E")),
    ("plain braces", "/a{b}", Ok("/a%7Bb%7D")),
    ("plain pipe, caret, backtick", "/a|b^c`d", Ok("/a%7Cb%5Ec%60d")),
    ("plain square brackets", "/a[0]", Ok("/a%5B0%5D")),
    ("encoded square brackets", "/a%5b0%5d", Ok("/a%5B0%5D")),
    ("encoded space is kept", "/a%20b", Ok("/a%20b")),
    ("plain space", "/a b", Err(Space)),
    ("plain UTF-8", "/caf\u{e9}", Ok("/caf%C3%A9")),
    ("encoded UTF-8", "/caf%c3%a9", Ok("/caf%C3%A9")),
    ("half encoded UTF-8", "/\u{65e5}%e6%9c%ac", Ok("/%E6%97%A5%E6%9C%AC")),
    ("a look-alike slash is a letter", "/a\u{ff0f}b", Ok("/a%EF%BC%8Fb")),
    ("look-alike dots are letters", "/\u{ff0e}\u{ff0e}/b", Ok("/%EF%BC%8E%EF%BC%8E/b")),
    // not UTF-8
    ("encoded Latin-1", "/caf%e9", Err(NotUtf8)),
    ("overlong slash", "/a%c0%afb", Err(NotUtf8)),
    ("overlong dots", "/%c0%ae%c0%ae/x", Err(NotUtf8)),
    ("encoded surrogate", "/%ed%a0%80", Err(NotUtf8)),
    ("a character cut by a slash", "/%c3/%a9", Err(NotUtf8)),
    ("lone continuation byte", "/%80", Err(NotUtf8)),
    // separators in disguise
    ("encoded slash", "/v1%2frefunds", Err(EncodedSlash)),
    ("encoded slash, upper case", "/v1%2Frefunds", Err(EncodedSlash)),
    (
        "the name of a resource",
        "/model/arn%3aaws%3Abedrock%3aus-east-1%3A1%3Ainference-profile%2fus.amazon.nova-pro-v1%3A0/converse",
        Ok("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.amazon.nova-pro-v1%3A0/converse"),
    ),
    ("a name that steps upward", "/model/arn:aws:bedrock:::prompt%2f..", Err(EncodedSlash)),
    ("a name with two slashes", "/model/arn:aws:bedrock:::prompt%2fa%2fb", Err(EncodedSlash)),
    ("a name without its kind", "/model/arn:aws:bedrock:::%2fa", Err(EncodedSlash)),
    ("a name without its end", "/model/arn:aws:bedrock:::prompt%2f", Err(EncodedSlash)),
    ("a name whose partition steps upward", "/model/arn:aws%2f..%2fx:bedrock:::prompt%2fn/converse", Err(EncodedSlash)),
    ("a name whose partition goes on", "/model/arn:awsome:bedrock:::prompt%2fn", Err(EncodedSlash)),
    ("a name of no known kind", "/model/arn:aws:bedrock:::x%2fa", Err(EncodedSlash)),
    ("China's partition", "/model/arn:aws-cn:bedrock:::prompt%2fa", Ok("/model/arn:aws-cn:bedrock:::prompt%2Fa")),
    ("another service's name", "/model/arn:aws:s3:::prompt%2fa", Err(EncodedSlash)),
    ("no name", "/v1/arn%2fa", Err(EncodedSlash)),
    ("traversal with encoded slashes", "/v1/charges%2f..%2fpayouts", Err(EncodedSlash)),
    ("backslash", "/v1\\refunds", Err(Backslash)),
    ("encoded backslash", "/v1%5crefunds", Err(Backslash)),
    ("encoded backslash, upper case", "/v1/..%5Cx", Err(Backslash)),
    ("parameter", "/v1/refunds;a=b", Err(Parameter)),
    ("bare semicolon", "/v1/payouts;", Err(Parameter)),
    ("encoded semicolon", "/v1/payouts%3bx", Err(Parameter)),
    ("encoded semicolon, upper case", "/v1/payouts%3Bx", Err(Parameter)),
    ("encoded question mark", "/v1/payouts%3fx=1", Err(EncodedDelimiter)),
    ("encoded hash", "/v1/payouts%23x", Err(EncodedDelimiter)),
    // encoded twice
    ("encoded percent", "/a%25b", Err(EncodedPercent)),
    ("double encoded dots", "/%252e%252e/x", Err(EncodedPercent)),
    ("double encoded slash", "/a%252fb", Err(EncodedPercent)),
    ("double encoded letter", "/p%2561youts", Err(EncodedPercent)),
    ("triple encoded", "/a%25252f", Err(EncodedPercent)),
    ("percent built of encoded digits", "/%%32%65", Err(BadPercent)),
    // bad triplets
    ("lone percent", "/a%", Err(BadPercent)),
    ("one digit", "/a%2", Err(BadPercent)),
    ("no hex digit", "/a%zz", Err(BadPercent)),
    ("one hex digit and a slash", "/a%2/b", Err(BadPercent)),
    ("unicode escape", "/a%u002f", Err(BadPercent)),
    ("a sign is no digit", "/a%+2", Err(BadPercent)),
    // control bytes
    ("encoded NUL", "/v1/payouts%00", Err(Control)),
    ("plain NUL", "/v1/payouts\0", Err(Control)),
    ("encoded line feed", "/a%0ab", Err(Control)),
    ("encoded carriage return", "/a%0d%0aX: y", Err(Control)),
    ("plain line feed", "/a\nb", Err(Control)),
    ("tab", "/a\tb", Err(Control)),
    ("encoded tab", "/a%09", Err(Control)),
    ("DEL", "/a\x7f", Err(Control)),
    ("encoded DEL", "/a%7f", Err(Control)),
    // other forms of target
    ("empty", "", Err(Empty)),
    ("asterisk", "*", Err(Asterisk)),
    ("absolute form", "http://api.stripe.com/v1/refunds", Err(AbsoluteForm)),
    ("absolute form, TLS", "HTTPS://api.stripe.com", Err(AbsoluteForm)),
    ("authority form", "api.stripe.com:443", Err(NoLeadingSlash)),
    ("relative path", "v1/refunds", Err(NoLeadingSlash)),
    ("query alone", "?a=b", Err(NoLeadingSlash)),
    ("encoded leading slash", "%2fv1", Err(NoLeadingSlash)),
    ("a URL as a segment", "/fetch/https://x.example/y", Ok("/fetch/https:/x.example/y")),
    // fragments
    ("fragment", "/v1/refunds#x", Err(Fragment)),
    ("fragment in the query", "/v1/refunds?a=b#c", Err(Fragment)),
    // queries
    ("query", "/v1/refunds?limit=3", Ok("/v1/refunds?limit=3")),
    ("empty query is kept", "/v1/refunds?", Ok("/v1/refunds?")),
    ("the query is not decoded", "/v1?p%61th=%2e%2e/%2f", Ok("/v1?p%61th=%2e%2e/%2f")),
    ("second question mark belongs to the query", "/v1?a=b?c", Ok("/v1?a=b?c")),
    ("dots in a query are data", "/v1?x=/../y", Ok("/v1?x=/../y")),
    ("query after a slash", "/v1/?a", Ok("/v1/?a")),
    ("plain UTF-8 in a query", "/v1?q=\u{e9}", Ok("/v1?q=%C3%A9")),
    ("space in a query", "/v1?q=a b", Err(Space)),
    ("line feed in a query", "/v1?q=a\nb", Err(Control)),
];

#[test]
fn table() {
    assert!(CASES.len() >= 80);
    for (name, target, expected) in CASES {
        let got = CanonicalPath::parse(target).map(|target| target.wire());
        assert_eq!(got.as_deref(), expected.as_ref().copied(), "{name}: {target:?}");
    }
}

#[test]
fn bytes_that_are_no_text() {
    assert_eq!(CanonicalPath::parse(b"/caf\xe9"), Err(NotUtf8));
    assert_eq!(CanonicalPath::parse(b"/v1?q=\xe9"), Err(NotUtf8));
}

#[test]
fn limits() {
    let long = |n: usize| format!("/{}", "a".repeat(n - 1));
    assert!(CanonicalPath::parse(long(MAX_PATH)).is_ok());
    assert_eq!(CanonicalPath::parse(long(MAX_PATH + 1)), Err(TooLong));
    // Short as sent, too long once it is encoded.
    assert_eq!(CanonicalPath::parse(format!("/{}", "|".repeat(3000))), Err(TooLong));
    assert!(CanonicalPath::parse("/a".repeat(MAX_SEGMENTS)).is_ok());
    assert_eq!(CanonicalPath::parse("/a".repeat(MAX_SEGMENTS + 1)), Err(TooManySegments));
    assert!(CanonicalPath::parse(format!("/?{}", "a".repeat(MAX_QUERY))).is_ok());
    assert_eq!(CanonicalPath::parse(format!("/?{}", "a".repeat(MAX_QUERY + 1))), Err(TooLong));
}

fn path(raw: &str) -> CanonicalPath {
    CanonicalPath::parse(raw).unwrap().path
}

#[test]
fn rules_see_one_reading() {
    assert_eq!(path("/model/M%3A0/x").for_rules(), path("/model/M:0/x").for_rules());
    assert_eq!(path("/v1/x/").for_rules(), "/v1/x");
    assert_eq!(path("/").for_rules(), "/");
    assert_eq!(path("/caf%C3%A9").for_rules(), "/caf\u{e9}");
    assert!(path("/v1/").has_trailing_slash() && !path("/").has_trailing_slash());
}

#[test]
fn the_vendor_prefix_comes_off() {
    let rest = |raw| path(raw).without_first().to_string();
    assert_eq!(rest("/stripe/v1/refunds"), "/v1/refunds");
    assert_eq!(rest("/stripe/"), "/");
    assert_eq!(rest("/stripe"), "/");
    assert_eq!(rest("/"), "/");
    assert_eq!(rest("/bedrock/model/M%3A0/"), "/model/M%3A0/");
}

#[test]
fn a_resource_is_one_segment_to_every_rule() {
    let raw = "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.x/converse";
    let path = CanonicalPath::parse(raw).expect("a name").path;
    assert!(path.names_a_resource());
    assert_eq!(path.for_rules(), raw);
    let segments: Vec<_> = path.decoded_segments().collect();
    assert_eq!(segments, ["model", "arn:aws:bedrock:us-east-1:1:inference-profile/us.x", "converse"]);
}

#[test]
fn method_overrides() {
    for raw in [
        "_method=DELETE",
        "a=b&_method=PUT",
        "%5Fmethod=PUT",
        "_METHOD=x",
        "_method",
        "a;_method=x",
        "_method[]=PUT",
        "+_method=PUT",
        "%24httpMethod=POST",
        "$httpMethod=POST",
        "X-HTTP-Method-Override=PUT",
        "%00=1&_method%00=PUT",
    ] {
        assert!(query_or_form_overrides_method(raw.as_bytes()), "{raw}");
    }
    for raw in ["", "method=card", "payment_method=pm_1", "a=_method", "_methods=1", "_method_x=1", "a[_method]=1"] {
        assert!(!query_or_form_overrides_method(raw.as_bytes()), "{raw}");
    }
}

/// Targets made of the pieces that go wrong, so that most of them mean something.
fn targets() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "%2e", "%2E", "a", "v1", "%61", "%7e", "%3a", ":", "%2F", "%25", "%", ";", "%20",
        " ", "+", "\u{e9}", "%c3%a9", "%c3", "[", "%5b", "\\", "?", "#", "@", "%00", "~",
    ]);
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn canonical_is_a_fixed_point(raw in targets()) {
        if let Ok(target) = CanonicalPath::parse(&raw) {
            prop_assert_eq!(CanonicalPath::parse(target.wire()), Ok(target.clone()));
            let rest = target.path.without_first();
            prop_assert_eq!(CanonicalPath::parse(rest.as_str()).map(|again| again.path), Ok(rest));
        }
    }

    #[test]
    fn canonical_has_one_spelling(raw in targets()) {
        let Ok(target) = CanonicalPath::parse(&raw) else { return Ok(()) };
        let text = target.path.as_str();
        prop_assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
        prop_assert!(target.path.decoded_segments().all(|segment| segment != "." && segment != ".."));
        prop_assert!(!target.path.for_rules().contains(['\\', ';', '\0', '%', '?', '#']));
        for (at, _) in text.match_indices('%') {
            let digits = &text[at + 1..at + 3];
            let value = u8::from_str_radix(digits, 16).unwrap();
            prop_assert_eq!(digits, digits.to_uppercase());
            prop_assert!(!value.is_ascii_alphanumeric() && !b"-._~/%;\\".contains(&value));
        }
    }

    #[test]
    fn it_says_what_was_sent(raw in targets()) {
        let Ok(target) = CanonicalPath::parse(&raw) else { return Ok(()) };
        let sent = raw.split('?').next().unwrap().split('/');
        let sent = sent.map(|segment| percent_decode_str(segment).decode_utf8().unwrap());
        let sent: Vec<_> = sent.filter(|segment| !segment.is_empty() && segment != ".").collect();
        prop_assert_eq!(target.path.decoded_segments().collect::<Vec<_>>(), sent);
    }

    #[test]
    fn no_input_panics(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = CanonicalPath::parse(&raw);
        let _ = CanonicalPath::parse([b"/", raw.as_slice()].concat());
        query_or_form_overrides_method(&raw);
    }
}
