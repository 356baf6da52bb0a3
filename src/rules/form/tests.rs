//! Tables and properties of the form reader.

use super::*;
use FormProblem::*;
use proptest::prelude::*;

/// A tree on one line: `a=1`, `b(c=2)`, `d[0=x]`, and `!` behind a place that clashes.
fn drawn(field: FieldRef<'_>) -> String {
    let mark = if field.clashes() { "!" } else { "" };
    let inside = || field.children().map(drawn).collect::<Vec<_>>().join(" ");
    match field.text() {
        Some(text) => format!("{}{mark}={text}", field.key()),
        None if field.is_list() => format!("{}{mark}[{}]", field.key(), inside()),
        None => format!("{}{mark}({})", field.key(), inside()),
    }
}

#[rustfmt::skip]
const READ: &[(&str, &str, &str)] = &[
    ("nothing", "", "()"),
    ("one pair", "amount=100", "(amount=100)"),
    ("no value", "a=&b", "(a= b=)"),
    ("empty pairs", "&&a=1&&", "(a=1)"),
    ("more equals signs", "a=b=c", "(a=b=c)"),
    ("plus and percent", "a=x+y%20z%2B", "(a=x y z+)"),
    ("an encoded name", "%61mount=1", "(amount=1)"),
    ("plain UTF-8", "a=caf\u{e9}", "(a=caf\u{e9})"),
    ("encoded UTF-8", "a=caf%C3%A9", "(a=caf\u{e9})"),
    ("a group", "metadata[a]=1&metadata[b]=2", "(metadata(a=1 b=2))"),
    ("encoded brackets", "metadata%5Ba%5D=1", "(metadata(a=1))"),
    ("indexed", "items[0][price]=x&items[1][price]=y", "(items[0(price=x) 1(price=y)])"),
    ("indexes in order", "i[10]=c&i[2]=b&i[0]=a", "(i[0=a 2=b 10=c])"),
    ("appended", "expand[]=b&expand[]=a", "(expand[0=b 1=a])"),
    ("one through a list", "items[][price]=x", "(items[0(price=x)])"),
    ("a space inside a name", "metadata[order+id]=1", "(metadata(order id=1))"),
    ("a line feed in a value", "a=x%0Ay", "(a=x\ny)"),
    ("a dot in a name", "a.b=1", "(a.b=1)"),
    ("numbers at the top are names", "0=a&1=b", "(0=a 1=b)"),
    // clashes
    ("twice", "amount=1&amount=2", "(amount!=1)"),
    ("twice, the same value", "amount=1&amount=1", "(amount!=1)"),
    ("twice by encoding", "amount=1&%61mount=2", "(amount!=1)"),
    ("beside brackets", "amount=1&amount[]=2", "(amount!=1)"),
    ("beside brackets, first", "amount[]=2&amount=1", "(amount!=1)"),
    ("beside a group", "amount=5&amount[value]=7", "(amount!=5)"),
    ("deep twice", "a[b][c]=1&a[b][c]=2&a[d]=3", "(a(b(c!=1) d=3))"),
    ("empty beside named brackets", "a[]=1&a[0]=2", "(a![0=1 0=2])"),
    ("two through a list", "items[][price]=x&items[][count]=2", "(items![0(count=2) 1(price=x)])"),
    ("through a list and into it", "a[][b]=1&a[]=2", "(a![0=2 1(b=1)])"),
    ("twice elsewhere does no harm", "x=1&x=2&amount=1", "(amount=1 x!=1)"),
];

#[test]
fn read() {
    for (name, text, tree) in READ {
        let form = Form::read(text.as_bytes()).unwrap();
        assert_eq!(drawn(form.root()), *tree, "{name}: {text}");
    }
}

#[rustfmt::skip]
const REFUSED: &[(&str, &str, FormProblem, usize)] = &[
    ("lone percent", "a=1&b=5%", BadPercent, 6),
    ("no hex", "%zz=1", BadPercent, 0),
    ("not UTF-8", "a=%ff", NotUtf8, 2),
    ("a name not UTF-8", "b=1&%c3=2", NotUtf8, 4),
    ("semicolon", "a=1;amount=2", Semicolon, 2),
    ("raw control byte", "a=1\n", Control, 2),
    ("control byte in a name", "amount%00=1", Control, 0),
    ("space before a name", "+amount=1", Space, 0),
    ("raw space before a name", "x=1& amount=1", Space, 4),
    ("space behind a name", "amount%20=1", Space, 0),
    ("space in brackets", "a[0%20]=1", Space, 0),
    ("unclosed", "a[b=1", Brackets, 0),
    ("unopened", "a]=1", Brackets, 0),
    ("behind", "a[b]c=1", Brackets, 0),
    ("nested", "a[b[c]]=1", Brackets, 0),
    ("no name before", "[a]=1", Brackets, 0),
];

#[test]
fn refused() {
    for &(name, text, problem, offset) in REFUSED {
        let error = Form::read(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(error, FormError { problem, offset }, "{name}");
    }
    assert_eq!(Form::read(b"a=\xff").unwrap_err().offset, 2);
    let deep = |n: usize| format!("a{}=1", "[b]".repeat(n));
    assert!(Form::read(deep(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(Form::read(deep(MAX_DEPTH + 1).as_bytes()).unwrap_err().problem, TooDeep);
}

fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "b", "0", "1", "00", "[", "]", "[]", "[a]", "=", "=", "&", "&", "%61", "+", "%5B", ".",
    ]);
    prop::collection::vec(pieces, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_input_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(form) = Form::read(&body) { drawn(form.root()); }
    }

    #[test]
    fn every_pair_is_kept_or_clashes(text in texts()) {
        fn values(field: FieldRef<'_>) -> usize {
            usize::from(field.text().is_some()) + field.children().map(values).sum::<usize>()
        }
        let Ok(form) = Form::read(text.as_bytes()) else { return Ok(()) };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).count();
        prop_assert!(values(form.root()) == pairs || form.root().is_unclear(), "{}", drawn(form.root()));
    }

    #[test]
    fn order_of_plain_pairs_is_no_matter(mut pairs in prop::collection::vec("[ab](\\[[a0]\\])?=1", 0..6)) {
        let forwards = pairs.join("&");
        pairs.reverse();
        let backwards = pairs.join("&");
        let (forwards, backwards) = (Form::read(forwards.as_bytes()).unwrap(), Form::read(backwards.as_bytes()).unwrap());
        prop_assert_eq!(drawn(forwards.root()), drawn(backwards.root()));
    }
}
