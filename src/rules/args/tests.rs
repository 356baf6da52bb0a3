//! The table of decided cases for parameters (invariant 7), and what holds for every input.

mod decimal;

use super::*;
use proptest::prelude::*;

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const BOTH: &[BodyKind] = &[BodyKind::Json, BodyKind::Form];

/// A value on one line; texts in quotes.
fn drawn(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.into(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(list) => format!("[{}]", list.values().map(drawn).collect::<Vec<_>>().join(" ")),
        Value::Object(group) => {
            let members = group.members().map(|(key, value)| format!("{key}={}", drawn(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(" "))
        }
    }
}

/// What a look-up of `name` answers: the value, `-` if there is none, or the error's first word.
fn looked_up(query: &str, content_type: Option<&str>, body: &[u8], name: &str) -> String {
    let sent = Sent {
        query: Some(query),
        path: vec![("charge", "ch_1".into())],
        content_type,
        content_encoding: None,
        body: Body::Whole(body),
    };
    let answer = Args::read(sent, BOTH).and_then(|args| Ok(args.get(name)?.map(drawn)));
    match answer {
        Ok(value) => value.unwrap_or("-".into()),
        Err(error) => format!("{error:?}").split([' ', '(']).next().unwrap().to_owned(),
    }
}

#[rustfmt::skip]
const JSON_CASES: &[(&str, &str, &str, &str, &str)] = &[
    // name, query, body, looked up, answer
    ("a number", "", r#"{"amount":100}"#, "amount", "100"),
    ("a number's text is kept", "", r#"{"amount":1.0e2}"#, "amount", "1.0e2"),
    ("a huge number is kept", "", r#"{"amount":123456789012345678901234567890}"#, "amount", "123456789012345678901234567890"),
    ("a text", "", r#"{"to":"a@b.c"}"#, "to", r#""a@b.c""#),
    ("null is not absent", "", r#"{"to":null}"#, "to", "null"),
    ("a list", "", r#"{"to":["a",1,{"b":true}]}"#, "to", r#"["a" 1 {b=true}]"#),
    ("dotted", "", r#"{"a":{"b":[{"c":7}]}}"#, "a.b.0.c", "7"),
    ("pointer", "", r#"{"a":{"b.c":[7]}}"#, "/a/b.c/0", "7"),
    ("pointer with an escape", "", r#"{"a/b":{"c~d":1}}"#, "/a~1b/c~0d", "1"),
    ("absent", "", r#"{"a":1}"#, "amount", "-"),
    ("behind the end of a list", "", r#"{"a":[1]}"#, "a.1", "-"),
    ("through a list that the name leaves out", "", r#"{"to":[{"email":1}]}"#, "to.email", "Ambiguous"),
    ("through a list of nothing", "", r#"{"to":[]}"#, "to.email", "-"),
    ("through a body that is a list", "", r#"[{"a":1}]"#, "a", "Ambiguous"),
    ("a space or a dot for an underscore", "", r#"{"max tokens":1}"#, "max_tokens", "Ambiguous"),
    ("below a number", "", r#"{"amount":5}"#, "amount.value", "-"),
    ("a list as body", "", r#"[{"a":1}]"#, "0.a", "1"),
    ("a number as body", "", "5", "amount", "-"),
    ("an escaped name", "", r#"{"amo\u0075nt":5}"#, "amount", "5"),
    ("a member twice", "", r#"{"amount":1,"amount":2}"#, "x", "Duplicate"),
    ("a member twice by escape", "", r#"{"amount":1,"amo\u0075nt":2}"#, "amount", "Duplicate"),
    ("a member twice deep inside", "", r#"{"x":[{"a":1,"a":1}]}"#, "amount", "Duplicate"),
    ("another case beside it", "", r#"{"amount":1,"Amount":2}"#, "amount", "Ambiguous"),
    ("another case in its place", "", r#"{"Amount":2}"#, "amount", "Ambiguous"),
    ("the Kelvin sign is a k", "", "{\"to\u{212a}en\":2}", "token", "Ambiguous"),
    ("the long s is an s", "", "{\"u\u{17f}er\":2}", "user", "Ambiguous"),
    ("an underscore less", "", r#"{"max_tokens":1,"maxTokens":9}"#, "max_tokens", "Ambiguous"),
    ("another case on the way", "", r#"{"Message":{"to":1}}"#, "message.to", "Ambiguous"),
    ("another case elsewhere", "", r#"{"amount":1,"b":1,"B":2}"#, "amount", "1"),
    ("a dotted name is no path", "", r#"{"a.b":1}"#, "a.b", "Ambiguous"),
    ("a dotted name beside the path", "", r#"{"a":{"b":1},"a.b":2}"#, "a.b", "Ambiguous"),
    ("a dotted name below it", "", r#"{"a":{"b":1},"a.c":2}"#, "a", "Ambiguous"),
    ("a dotted name elsewhere", "", r#"{"a":{"b":1},"x.y":2}"#, "a.b", "1"),
    ("byte order mark", "", "\u{feff}{}", "amount", "Syntax"),
    ("comment", "", "{/**/}", "amount", "Syntax"),
    ("NaN", "", r#"{"amount":NaN}"#, "amount", "Syntax"),
    ("two bodies", "", "{}{}", "amount", "Syntax"),
    ("half a surrogate pair", "", r#"{"a":"\ud800"}"#, "amount", "Syntax"),
    ("only white space", "", "  ", "amount", "Syntax"),
    ("in the query alone", "amount=5", "{}", "amount", r#""5""#),
    ("in query and body", "amount=5", r#"{"amount":5}"#, "amount", "Twice"),
    ("a group in the query, a value in the body", "amount[x]=5", r#"{"amount":5}"#, "amount", "Twice"),
    ("another case in the query", "Amount=5", r#"{"amount":5}"#, "amount", "Ambiguous"),
    ("a path parameter", "", "{}", "charge", r#""ch_1""#),
    ("in path and body", "", r#"{"charge":"ch_2"}"#, "charge", "Twice"),
    ("in path and query", "charge=ch_2", "{}", "charge", "Twice"),
    ("an override in the query", "_method=DELETE", "{}", "amount", "MethodOverride"),
    ("a broken query", "a=%", "{}", "amount", "Syntax"),
];

#[test]
fn json_bodies() {
    for (name, query, body, parameter, expected) in JSON_CASES {
        assert_eq!(looked_up(query, JSON, body.as_bytes(), parameter), *expected, "{name}");
    }
}

#[rustfmt::skip]
const FORM_CASES: &[(&str, &str, &str, &str, &str)] = &[
    // name, query, body, looked up, answer
    ("a number is a text", "", "amount=100", "amount", r#""100""#),
    ("an encoded name", "", "%61mount=100", "amount", r#""100""#),
    ("brackets", "", "metadata[a]=1", "metadata.a", r#""1""#),
    ("encoded brackets", "", "metadata%5Ba%5D=1", "/metadata/a", r#""1""#),
    ("a group", "", "metadata[a]=1&metadata[b]=2", "metadata", r#"{a="1" b="2"}"#),
    ("indexed", "", "items[1][price]=y&items[0][price]=x", "items.1.price", r#""y""#),
    ("a list", "", "expand[]=b&expand[]=a", "expand", r#"["b" "a"]"#),
    ("an element of a list", "", "expand[]=b&expand[]=a", "expand.1", r#""a""#),
    ("through a list that the name leaves out", "", "items[0][price]=x", "items.price", "Ambiguous"),
    ("through appended elements", "", "items[][price]=x", "items.price", "Ambiguous"),
    ("absent", "", "a=1", "amount", "-"),
    ("no value", "", "amount", "amount", r#""""#),
    ("twice", "", "amount=1&amount=2", "amount", "Ambiguous"),
    ("twice, the same value", "", "amount=1&amount=1", "amount", "Ambiguous"),
    ("twice by encoding", "", "amount=1&%61mount=2", "amount", "Ambiguous"),
    ("beside empty brackets", "", "amount=1&amount[]=2", "amount", "Ambiguous"),
    ("beside encoded empty brackets", "", "amount=1&amount%5B%5D=2", "amount", "Ambiguous"),
    ("beside an index", "", "amount=1&amount[0]=2", "amount", "Ambiguous"),
    ("beside a group", "", "amount=5&amount[value]=7", "amount", "Ambiguous"),
    ("below a clash", "", "amount=5&amount[value]=7", "amount.value", "Ambiguous"),
    ("a clash inside a group", "", "m[a]=1&m[a]=2&m[b]=3", "m", "Ambiguous"),
    ("beside a clash inside a group", "", "m[a]=1&m[a]=2&m[b]=3", "m.b", r#""3""#),
    ("only with brackets", "", "amount[]=2", "amount", r#"["2"]"#),
    ("twice elsewhere", "", "x=1&x=2&amount=1", "amount", r#""1""#),
    ("another case beside it", "", "amount=1&AMOUNT=2", "amount", "Ambiguous"),
    ("another case in its place", "", "AMOUNT=2", "amount", "Ambiguous"),
    ("a dot for a bracket", "", "metadata.a=1", "metadata.a", "Ambiguous"),
    ("a pointer to a name with a dot", "", "AddOns.x=1", "/AddOns.x", r#""1""#),
    ("a zero more", "", "items[00]=x", "items.0", "Ambiguous"),
    ("two through a list", "", "items[][a]=1&items[][b]=2", "items.0.a", "Ambiguous"),
    ("semicolon", "", "a=1;amount=2", "amount", "Syntax"),
    ("space before the name", "", "a=1&+amount=2", "amount", "Syntax"),
    ("broken percent", "", "amount=5%", "amount", "Syntax"),
    ("not UTF-8", "", "amount=%ff", "amount", "Syntax"),
    ("broken brackets", "", "amount[=5", "amount", "Syntax"),
    ("in query and form", "amount=1", "amount=1", "amount", "Twice"),
    ("in query and form, other names", "a=1", "amount=1", "amount", r#""1""#),
    ("twice in the query", "a=1&a=2", "amount=1", "a", "Ambiguous"),
    ("an override in the form", "", "a=1&_method=delete", "amount", "MethodOverride"),
    ("JSON in a form's clothes", "", r#"{"amount":5}"#, "amount", "-"),
];

#[test]
fn form_bodies() {
    for (name, query, body, parameter, expected) in FORM_CASES {
        assert_eq!(looked_up(query, FORM, body.as_bytes(), parameter), *expected, "{name}");
    }
}

#[rustfmt::skip]
const TYPES: &[(Option<&str>, &str)] = &[
    (JSON, "5"),
    (Some("Application/JSON"), "5"),
    (Some("application/json; charset=utf-8"), "5"),
    (Some("application/json;charset=\"UTF-8\" ;"), "5"),
    (Some("application/vnd.api+json; profile=x"), "5"),
    (None, "Missing"),
    (Some(" "), "Missing"),
    (Some("application/json; charset=utf-16"), "Charset"),
    (Some("application/json; charset=iso-8859-1"), "Charset"),
    (Some("application/json; charset=utf-7"), "Charset"),
    (Some("application/json; charset=utf-8; charset=utf-16"), "Charset"),
    (Some("application/json; charset=utf-8; charset=utf-8"), "Malformed"),
    (Some("application/json, application/x-www-form-urlencoded"), "Malformed"),
    (Some("application/json; a=b, text/plain"), "Malformed"),
    (Some("application/json; charset"), "Malformed"),
    (Some("json"), "Malformed"),
    (Some("/json"), "Malformed"),
    (Some("application/ json"), "Malformed"),
    (Some("text/plain"), "Undeclared"),
    (Some("text/json"), "Undeclared"),
    (Some("multipart/form-data; boundary=x"), "Undeclared"),
    (Some("application/octet-stream"), "Undeclared"),
];

#[test]
fn content_types() {
    for &(content_type, expected) in TYPES {
        let sent = Sent { content_type, body: Body::Whole(br#"{"amount":5}"#), ..Sent::default() };
        let answer = match Args::read(sent, BOTH) {
            Ok(args) => drawn(args.get("amount").unwrap().unwrap()),
            Err(Unreadable::ContentType(problem)) => format!("{problem:?}"),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(answer, expected, "{content_type:?}");
    }
}

#[test]
fn only_declared_kinds() {
    let read = |content_type, declared: &[BodyKind]| {
        let sent = Sent { content_type, body: Body::Whole(b"{}"), ..Sent::default() };
        Args::read(sent, declared).map(|_| ()).map_err(|error| error.status())
    };
    assert_eq!(read(JSON, &[BodyKind::Form]), Err(415));
    assert_eq!(read(FORM, &[BodyKind::Json]), Err(415));
    assert_eq!(read(JSON, &[]), Err(415));
    assert_eq!(read(JSON, &[BodyKind::Json]), Ok(()));
}

#[test]
fn encodings() {
    let read = |content_encoding, body| {
        let sent = Sent { content_type: JSON, content_encoding, body, ..Sent::default() };
        Args::read(sent, BOTH).map(|_| ())
    };
    for plain in [None, Some(""), Some("identity"), Some(" Identity ")] {
        assert_eq!(read(plain, Body::Whole(b"{}")), Ok(()));
    }
    for packed in ["gzip", "br", "zstd", "identity, gzip", "identity, identity", "x"] {
        assert_eq!(read(Some(packed), Body::Whole(b"{}")), Err(Unreadable::CompressedBody));
    }
    // An empty body says nothing, whatever its headers claim.
    assert_eq!(read(Some("gzip"), Body::None), Ok(()));
    assert_eq!(read(Some("gzip"), Body::Whole(b"")), Ok(()));
}

#[test]
fn what_is_not_read_may_hold_anything() {
    let sent = Sent {
        query: Some("purpose=batch"),
        content_type: Some("multipart/form-data; boundary=\"a,b\""),
        body: Body::Unread,
        ..Sent::default()
    };
    let args = Args::read(sent, &[BodyKind::Multipart]).unwrap();
    let error = args.get("purpose").unwrap_err();
    assert_eq!((error.status(), error), (415, Unreadable::Opaque { name: "purpose".into() }));
}

#[test]
fn nesting() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(looked_up("", JSON, deep(64).as_bytes(), "a"), "Ambiguous");
    assert_eq!(looked_up("", JSON, deep(65).as_bytes(), "a"), "TooDeep");
    assert_eq!(looked_up("", FORM, format!("a{}=1", "[b]".repeat(33)).as_bytes(), "a"), "TooDeep");
}

#[test]
fn vendors_that_fold_names() {
    let any = |body: &str| {
        let sent = Sent { content_type: JSON, body: Body::Whole(body.as_bytes()), ..Sent::default() };
        let args = Args::read(sent, BOTH).unwrap();
        let found = args.get_any_spelling(&Name::parse("generationConfig.maxOutputTokens"));
        found.map(|value| value.map(drawn).unwrap_or("-".into())).unwrap_or("!".into())
    };
    assert_eq!(any(r#"{"generationConfig":{"maxOutputTokens":5}}"#), "5");
    assert_eq!(any(r#"{"generation_config":{"max_output_tokens":5}}"#), "5");
    assert_eq!(any(r#"{"generationConfig":{},"generation_config":{"max_output_tokens":5}}"#), "!");
    assert_eq!(any(r#"{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":6}}"#), "!");
    assert_eq!(any(r#"{"generationConfig":{}}"#), "-");
}

#[test]
fn groups_go_on() {
    let sent = Sent { content_type: JSON, body: Body::Whole(br#"{"items":[{"n":1},{"N":2}]}"#), ..Sent::default() };
    let args = Args::read(sent, BOTH).unwrap();
    let Some(Value::List(items)) = args.get("items").unwrap() else { panic!("no list") };
    let name = Name::parse("n");
    let found: Vec<_> = items
        .values()
        .map(|item| match item {
            Value::Object(item) => item.get(&name).map(|value| drawn(value.unwrap())).map_err(|error| error.status()),
            _ => Ok("-".into()),
        })
        .collect();
    assert_eq!(found, [Ok("1".into()), Err(400)]);
    assert!(args.document().is_some());
}

#[test]
fn sentences_name_the_rule_and_the_cure() {
    let error = Unreadable::Twice { name: "amount".into() };
    assert!(error.sentence().contains("`amount`") && error.sentence().contains("send it in one of them"));
    let sent = Sent { content_type: JSON, body: Body::Whole(b"{\"a\" 1}"), ..Sent::default() };
    let error = Args::read(sent, BOTH).unwrap_err();
    assert_eq!(error.sentence(), "the request body cannot be read: invalid JSON at byte 5; correct it");
    assert_eq!(error.status(), 400);
}

proptest! {
    #[test]
    fn no_input_panics(query in ".{0,20}", kind in any::<bool>(), body in prop::collection::vec(any::<u8>(), 0..40), name in ".{0,8}") {
        looked_up(&query, if kind { JSON } else { FORM }, &body, &name);
    }

    #[test]
    fn one_value_or_none(pairs in prop::collection::vec("(a|A|a\\[\\]|a\\[0\\]|a\\[b\\]|%61|a_|b)=[0-9]", 0..5)) {
        let answer = looked_up("", FORM, pairs.join("&").as_bytes(), "a");
        let alike = pairs.iter().filter(|pair| !pair.starts_with('b')).count();
        if answer.starts_with('"') { prop_assert_eq!(alike, 1); }
        if answer == "-" { prop_assert_eq!(alike, 0); }
    }
}
