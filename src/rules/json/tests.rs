//! Tables and properties of the JSON reader, held against serde_json where both accept.

use super::*;
use Problem::*;
use proptest::prelude::*;

#[rustfmt::skip]
const REFUSED: &[(&str, &[u8], Problem, usize)] = &[
    ("nothing", b"", Empty, 0),
    ("white space", b" \n ", Empty, 3),
    ("byte order mark", b"\xef\xbb\xbf{}", ByteOrderMark, 0),
    ("not UTF-8", b"{\"a\":\"\xe9\"}", NotUtf8, 6),
    ("UTF-16", b"\xff\xfe{\0}\0", NotUtf8, 0),
    ("an encoded surrogate", b"\"\xed\xa0\x80\"", NotUtf8, 1),
    ("two values", b"{} {}", Trailing, 3),
    ("something behind", b"{}x", Trailing, 2),
    ("NUL behind", b"{}\0", Trailing, 2),
    ("comment", b"{/*x*/}", Syntax, 1),
    ("line comment", b"// x\n{}", Syntax, 0),
    ("trailing comma, object", b"{\"a\":1,}", Syntax, 7),
    ("trailing comma, array", b"[1,]", Syntax, 3),
    ("missing comma", b"[1 2]", Syntax, 3),
    ("missing colon", b"{\"a\" 1}", Syntax, 5),
    ("missing value", b"{\"a\":}", Syntax, 5),
    ("bare name", b"{a:1}", Syntax, 1),
    ("number as a name", b"{1:1}", Syntax, 1),
    ("single quotes", b"{'a':1}", Syntax, 1),
    ("an end too soon", b"{\"a\":[1", Syntax, 7),
    ("unclosed string", b"\"abc", Syntax, 4),
    ("wrong bracket", b"[1}", Syntax, 2),
    ("NaN", b"NaN", Syntax, 0),
    ("Infinity", b"[Infinity]", Syntax, 1),
    ("minus Infinity", b"-Infinity", Syntax, 1),
    ("leading zero", b"01", Trailing, 1),
    ("leading plus", b"+1", Syntax, 0),
    ("leading point", b".5", Syntax, 0),
    ("trailing point", b"1.", Syntax, 2),
    ("empty exponent", b"1e", Syntax, 2),
    ("hexadecimal", b"0x10", Trailing, 1),
    ("a word cut short", b"tru", Syntax, 0),
    ("upper-case word", b"True", Syntax, 0),
    ("form feed as space", b"\x0c{}", Syntax, 0),
    ("no-break space", b"\xc2\xa0{}", Syntax, 0),
    ("raw line feed in a string", b"\"a\nb\"", Control, 2),
    ("raw NUL in a string", b"\"a\0b\"", Control, 2),
    ("unknown escape", b"\"\\x41\"", Syntax, 1),
    ("short escape", b"\"\\u12\"", Syntax, 1),
    ("sign in an escape", b"\"\\u+123\"", Syntax, 1),
    ("backslash at the end", b"\"\\", Syntax, 1),
    ("high surrogate alone", b"\"\\ud83d\"", LoneSurrogate, 1),
    ("low surrogate alone", b"\"\\ude00\"", LoneSurrogate, 1),
    ("two high surrogates", b"\"\\ud83d\\ud83d\"", LoneSurrogate, 1),
    ("duplicate member", b"{\"amount\":1,\"amount\":2}", Duplicate, 21),
    ("duplicate by escape", b"{\"amount\":1,\"amo\\u0075nt\":2}", Duplicate, 26),
    ("duplicate in a nested object", b"{\"a\":{\"b\":1,\"b\":1}}", Duplicate, 16),
    ("duplicate in an array", b"[{\"b\":1,\"c\":0,\"b\":1}]", Duplicate, 18),
    ("duplicate of the empty name", b"{\"\":1,\"\":2}", Duplicate, 9),
    ("duplicate among many", b"{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"c\":1}", Duplicate, 59),
];

#[test]
fn refused() {
    for &(name, body, problem, offset) in REFUSED {
        let error = Document::parse(body).map(|_| ()).unwrap_err();
        assert_eq!(error, JsonError { problem, offset }, "{name}");
    }
}

#[test]
fn depth() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(Document::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    let error = Document::parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
    assert_eq!((error.problem, error.offset), (TooDeep, MAX_DEPTH));
    assert!(Document::parse("[".repeat(100_000).as_bytes()).is_err());
}

const BODY: &str =
    r#" {"model":"m","n":1.50e3,"a":{"b":[{"c":null},{"d/e":true,"f~g":"x\ny"}]},"é":"\ud83d\ude00","e":{}} "#;

#[test]
fn lookups() {
    let doc = Document::parse(BODY.as_bytes()).unwrap();
    assert_eq!(doc.dotted("model").unwrap().text(), Some("m"));
    assert_eq!(doc.dotted("n").unwrap().number(), Some("1.50e3"));
    assert!(doc.dotted("a.b.0.c").unwrap().is_null());
    assert!(doc.pointer("/a/b/0/c").unwrap().is_null());
    assert_eq!(doc.pointer("/a/b/1/d~1e").unwrap().kind(), &Kind::Bool(true));
    assert_eq!(doc.pointer("/a/b/1/f~0g").unwrap().text(), Some("x\ny"));
    assert_eq!(doc.dotted("é").unwrap().text(), Some("😀"));
    assert_eq!(doc.pointer("").unwrap().span(), 1..BODY.len() - 1);
    for missing in ["a.b.2", "a.b.00", "a.b.-1", "a.b.x", "model.x", "A", "", "e.x", "a.b.99999999999999999999999"] {
        assert!(doc.dotted(missing).is_none(), "{missing}");
    }
    for missing in ["a", "/a/b/", "/a/b/2", "//", "/a/b/1/d/e"] {
        assert!(doc.pointer(missing).is_none(), "{missing}");
    }
    let keys: Vec<_> = doc.root().children().map(|child| child.key().unwrap()).collect();
    assert_eq!(keys, ["model", "n", "a", "é", "e"]);
}

#[test]
fn splices() {
    let doc = Document::parse(BODY.as_bytes()).unwrap();
    let spliced = |edits: &[Edit<'_>]| doc.splice(edits).map(|body| String::from_utf8(body).unwrap());
    let replace = |pointer, value| Edit::Replace { pointer, value };
    let insert = |object, name, value| Edit::Insert { object, name, value };

    assert_eq!(spliced(&[]).unwrap(), BODY);
    assert_eq!(spliced(&[replace("/n", "7")]).unwrap(), BODY.replace("1.50e3", "7"));
    assert_eq!(
        spliced(&[insert("", "x", "1"), replace("/model", "\"k\""), insert("", "y", "2")]).unwrap(),
        BODY.replace("{\"model\":\"m\"", "{\"x\":1,\"y\":2,\"model\":\"k\"")
    );
    assert_eq!(
        spliced(&[insert("/e", "q\"\n", "1"), insert("/e", "r", "2")]).unwrap(),
        BODY.replace("{}", "{\"q\\\"\\u000a\":1,\"r\":2}")
    );
    assert_eq!(spliced(&[replace("/zz", "1")]), Err(SpliceError::Missing("/zz".into())));
    assert_eq!(spliced(&[insert("/n", "a", "1")]), Err(SpliceError::NotAnObject("/n".into())));
    assert_eq!(spliced(&[insert("/a", "b", "1")]), Err(SpliceError::Exists("b".into())));
    assert_eq!(spliced(&[insert("/e", "b", "1"), insert("/e", "b", "1")]), Err(SpliceError::Exists("b".into())));
    assert_eq!(spliced(&[replace("/n", "1"), replace("/n", "2")]), Err(SpliceError::Overlap));
    assert_eq!(spliced(&[replace("/a", "1"), replace("/a/b", "2")]), Err(SpliceError::Overlap));
    assert_eq!(spliced(&[insert("/a", "x", "1"), replace("/a", "2")]), Err(SpliceError::Overlap));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as J;
    let leaf = prop_oneof![
        Just(J::Null),
        any::<bool>().prop_map(J::from),
        any::<i64>().prop_map(J::from),
        any::<String>().prop_map(J::from),
        "[a-z\"\\\\\n\u{e9}\u{1f600}]{0,30}".prop_map(J::from),
    ];
    leaf.prop_recursive(5, 60, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..12).prop_map(J::from),
            prop::collection::btree_map("[a-e\\\\\"]{0,3}", inner, 0..12)
                .prop_map(|members| J::Object(members.into_iter().collect())),
        ]
    })
}

/// Builds serde's value from ours.
fn rebuilt(node: NodeRef<'_>) -> serde_json::Value {
    match node.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Number(text) => serde_json::from_str(text).unwrap(),
        Kind::Text(text) => text.as_ref().into(),
        Kind::Array => node.children().map(rebuilt).collect(),
        Kind::Object => serde_json::Value::Object(
            node.children().map(|child| (child.key().unwrap().to_owned(), rebuilt(child))).collect(),
        ),
    }
}

proptest! {
    #[test]
    fn agrees_with_serde(value in json(), pretty: bool) {
        let body = match pretty {
            true => serde_json::to_vec_pretty(&value).unwrap(),
            false => serde_json::to_vec(&value).unwrap(),
        };
        let doc = Document::parse(&body).unwrap();
        prop_assert_eq!(rebuilt(doc.root()), value);
        for node in doc.root().children() {
            let alone = &body[node.span()];
            prop_assert_eq!(rebuilt(Document::parse(alone).unwrap().root()), rebuilt(node));
        }
    }

    #[test]
    fn accepts_nothing_that_serde_refuses(body in "[\\[\\]{}\":,0-2eE.+\\-\\\\utrnals d8\u{e9}\n]{0,20}") {
        let ours = Document::parse(body.as_bytes());
        let theirs = serde_json::from_str::<serde_json::Value>(&body);
        match (&ours, &theirs) {
            (Ok(doc), Ok(_)) => prop_assert_eq!(doc.root().span(), {
                let start = body.len() - body.trim_ascii_start().len();
                start..body.trim_ascii_end().len()
            }),
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{error}"),
            (Err(error), Ok(_)) => prop_assert_eq!(error.problem, Duplicate),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn no_input_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Document::parse(&body);
    }

    #[test]
    fn any_cut_of_a_body_is_read_or_refused(at in 0..BODY.len()) {
        let _ = Document::parse(&BODY.as_bytes()[..at]);
        let _ = Document::parse(&BODY.as_bytes()[at..]);
    }
}
