//! The path that was judged is the path that left: random paths, sent as they are, compared with the vendor's log and the books.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::common::SOON;
use crate::common::books::{admitted, by_trace, rows, settled, text};
use crate::common::bursar::Key;
use crate::common::client::Ask;
use crate::common::dice::Dice;
use crate::common::house::House;
use crate::common::raw::Raw;

const FREE: &str = r#"
name = "free"
vendors = ["github"]

[[allow]]
methods = ["GET"]
paths = ["/**"]
[[deny]]
paths = ["/secret/**"]
"#;

const PIECES: [&str; 58] = [
    "a",
    "B",
    "repos",
    "x1",
    "-",
    "_",
    "~",
    ".",
    "a.b",
    "%61",
    "%41",
    "%7e",
    "%2d",
    "%20",
    "%c3%a9",
    "é",
    ":",
    "@",
    "!",
    "$",
    "'",
    "(",
    ")",
    "*",
    "+",
    ",",
    "=",
    "&",
    "%3A",
    "%26",
    "%2B",
    "%40",
    "/",
    "/",
    "/",
    "/",
    "//",
    "/./",
    "/%2e/",
    "secret",
    "/secret",
    "/secret/",
    "%73ecret",
    "/sec%72et",
    "Secret",
    "secrets",
    "..",
    "/../",
    "%2e%2e",
    "%2F",
    "%5c",
    "\\",
    "%00",
    "%25",
    "%",
    "%zz",
    ";",
    "%3b",
];

fn some_path(dice: &mut Dice) -> String {
    // Most paths hold only what is harmless, so that enough of them leave.
    let pieces = if dice.between(0, 3) == 0 { &PIECES[..] } else { &PIECES[..46] };
    let length = dice.between(1, 8);
    let path: String = (0..length).map(|_| *dice.pick(pieces)).collect();
    let query = if dice.between(0, 4) == 0 { "?q=%2e%2e/secret&r=a//b" } else { "" };
    format!("/{path}{query}")
}

/// Sends each path as it is, and says what was answered.
fn send_raw(house: &House, key: &Key, paths: &[String]) -> Vec<(String, String, u16)> {
    let mut raw = Raw::connect(house.port());
    let mut sent = Vec::new();
    for path in paths {
        let ask = Ask::get(path.as_str());
        let bytes = format!(
            "GET /github{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTraceparent: {}\r\n\r\n",
            key.key,
            ask.traceparent()
        );
        raw.send(bytes);
        let status = raw.answer().map_or(400, |answer| answer.status);
        sent.push((path.clone(), ask.trace, status));
        if status == 400 {
            raw = Raw::connect(house.port());
        }
    }
    sent
}

/// As a lenient vendor might read it.
fn is_secret(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let first = decoded.split('/').find(|segment| !segment.is_empty() && *segment != ".");
    first.is_some_and(|segment| segment.eq_ignore_ascii_case("secret"))
}

#[test]
fn what_policy_allowed_is_literally_what_left() {
    let house = House::new(&[FREE]);
    let key = house.mint("free", "agent");
    let mut dice = Dice(42);
    let paths: Vec<String> = (0..600).map(|_| some_path(&mut dice)).collect();
    let sent = send_raw(&house, &key, &paths);
    let received = house.vendor.received();
    let of_status = |status: u16| sent.iter().filter(|(_, _, s)| *s == status).count();
    assert_eq!((received.len(), sent.len()), (of_status(200), of_status(200) + of_status(403) + of_status(400)));
    assert!(of_status(200) > 200 && of_status(403) > 10 && of_status(400) > 50, "a poor choice of paths");
    settled(&house.bursar, &["--agent", "agent", "--verdict", "allow"], received.len(), SOON);
    let books = rows(&house.bursar, &["--agent", "agent"]);
    let by_trace = by_trace(&books);
    for seen in &received {
        let [row] = by_trace[&seen.trace()].as_slice() else { panic!("{} stands twice in the books", seen.target) };
        assert!(admitted(row) && !is_secret(seen.path()), "{row:#}");
        assert_eq!(text(row, "path"), seen.path(), "what was judged, and what left");
    }
    for (path, trace, _) in sent.iter().filter(|(_, _, status)| *status == 403) {
        let row: &Value = by_trace[trace][0];
        assert_eq!(text(row, "verdict"), "deny", "{path}");
        let secret = is_secret(path.split('?').next().unwrap_or_default());
        // The bare root is no operation of the catalogue.
        assert!(secret || text(row, "path") == "/", "{path} was denied, and is no secret: {row:#}");
        assert_eq!(secret, text(row, "reason").starts_with("policy_denied"), "{row:#}");
    }
}
