//! Answers that are not what was asked for, or would lead elsewhere: compressed ones, a switch of protocols, links to the vendor.

use serde_json::{Value, json};

use crate::common::SOON;
use crate::common::books::{row_of, text};
use crate::common::client::{Answer, Ask, runtime};
use crate::common::house::{House, REAL_GITHUB};
use crate::house;

#[test]
fn links_lead_back_here_however_long_the_answer_is() {
    let (house, key) = house();
    let (own, here) = (house.vendor.url(), format!("{}/github", house.bursar.url()));
    for script in ["links=10", "links=400000", "links=400000 chunked", "links=400000 coding=gzip"] {
        let answer = house.call(&Ask::get("/github/a").key(&key).mock(script));
        let body = answer.json();
        assert_eq!(body["results_url"], format!("{here}/results?a=1"), "{script}");
        assert_eq!(body["meta"]["next_page_url"], format!("{here}/next"), "{script}");
        assert_eq!(body["url"], format!("{own}/self"), "{script}: no SDK follows it");
        assert_eq!(answer.header("link"), Some(&*format!("<{here}/next>; rel=\"next\"")), "{script}");
        assert!(answer.whole, "{script}");
    }
}

#[test]
fn a_compressed_answer_is_metered_and_handed_on_plain() {
    let (house, key) = house();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let answer = house.call(&Ask::chat(Some(200)).key(&key).mock(&format!("coding={coding}")));
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{coding}");
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello", "{coding}");
        assert_eq!(answer.header("x-bursar-cost-usd"), Some("0.01"), "{coding}: what it used, not what was held");
    }
    for coding in ["gzip", "br", "zstd"] {
        let ask = Ask::stream(200).key(&key).mock(&format!("coding={coding}"));
        let streamed = house.call(&ask);
        assert!(streamed.whole && streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
        assert_eq!(row_of(&house.bursar, &ask.trace, SOON)["cost_usd"], "0.01", "{coding}");
    }
    let cut = house.call(&Ask::chat(Some(200)).key(&key).mock("coding=gzip cut"));
    assert_eq!(cut.said(), (502, "vendor_broke_off".to_owned()));
}

/// Nothing is held until a stream ends.
#[test]
fn a_compressed_stream_still_flows() {
    let (house, key) = house();
    let ask = Ask::stream(200).key(&key).mock("coding=gzip endless every=20");
    let first = runtime().block_on(async {
        let mut open = ask.open(house.port()).await.expect("an answer");
        tokio::time::timeout(SOON, open.next()).await.expect("it flows").expect("a piece").expect("it is whole")
    });
    assert!(first.starts_with(b"data: {"), "{first:?}");
}

/// What the caller was told, and what the row says of outcome, status and error.
fn refused(house: &House, ask: &Ask) -> (Answer, Value) {
    let answer = house.call(ask);
    assert_eq!(answer.code(), "vendor_answer_unusable", "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), Some("false"), "a repeat would end in the same way");
    (answer, row_of(&house.bursar, &ask.trace, SOON))
}

#[test]
fn a_coding_that_cannot_be_searched_goes_nowhere() {
    let (house, key) = house();
    for coding in ["dcb", "compress", "x-own"] {
        let (answer, row) = refused(&house, &Ask::get("/github/a").key(&key).mock(&format!("echo coding={coding}")));
        assert_eq!(
            (answer.status, text(&row, "outcome"), &row["http_status"]),
            (502, "unknown", &json!(200)),
            "{row:#}"
        );
        assert!(!answer.text().contains(REAL_GITHUB) && answer.header("x-echo-credential").is_none(), "{coding}");
        assert!(text(&row, "error").contains("compressed"), "{row:#}");
    }
    let write = Ask::json("/github/repos/a/b/issues", &json!({})).key(&key).mock("coding=dcb");
    assert_eq!(refused(&house, &write).0.status, 422, "it may have happened");
    let (_, row) = refused(&house, &Ask::chat(Some(200)).key(&key).mock("coding=dcb"));
    assert_eq!((&row["cost_usd"], text(&row, "cost_source")), (&json!("0.02"), "estimated"), "{row:#}");
    let (_, row) = refused(&house, &Ask::chat(Some(200)).key(&key).mock("status=404 coding=dcb"));
    assert_eq!((&row["cost_usd"], text(&row, "outcome")), (&json!("0"), "vendor_error"), "{row:#}");
    let rejected = house.call(&Ask::chat(Some(200)).key(&key).mock("status=401 coding=dcb"));
    assert_eq!(rejected.said(), (403, "vendor_credential_rejected".to_owned()));
    // However long: what it says of our credential is not for the caller.
    let long = house.call(&Ask::get("/github/a").key(&key).mock("status=401 bytes=900000"));
    assert_eq!(long.said(), (403, "vendor_credential_rejected".to_owned()));
    let head = house.call(&Ask::new("HEAD", "/github/a").key(&key).mock("coding=dcb"));
    assert_eq!(head.status, 200, "without a body nothing is hidden");
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_goes_nowhere() {
    let (house, key) = house();
    let read = Ask::get("/github/a").key(&key).mock("status=101");
    let write = Ask::json("/github/repos/a/b/issues", &json!({})).key(&key).mock("status=101");
    for (ask, status) in [(read, 502), (write, 422)] {
        let (answer, row) = refused(&house, &ask);
        assert_eq!(
            (answer.status, text(&row, "outcome"), &row["http_status"]),
            (status, "unknown", &json!(101)),
            "{row:#}"
        );
        assert!(text(&row, "error").contains("switches protocols"), "{row:#}");
    }
    assert_eq!(house.call(&Ask::get("/github/a").key(&key)).status, 200);
}
