//! Persons who are told by webhook and answer by a signed link, or by a token of their own.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::common::house::House;
use super::common::sinkhole::Sinkhole;
use super::common::{SOON, wait_for};
use super::{asked, charge, policy, row};
use serde_json::Value;

const TOKEN: &str = "ann-0123456789abcdef0123456789";

/// Ann has a webhook and a token; eve a webhook.
fn house(hook: &Sinkhole) -> (House, String) {
    let port = hook.port;
    let config = move |_| {
        let hook = |who: &str| format!("webhook = \"http://127.0.0.1:{port}/{who}\"\nsecret = \"env:TEST_HOOK\"\n");
        format!(
            "[[approver]]\nname = \"ann\"\ntoken = \"env:TEST_ANN\"\n{}[[approver]]\nname = \"eve\"\n{}",
            hook("ann"),
            hook("eve")
        )
    };
    let env = [("TEST_HOOK", "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC0wMTIz"), ("TEST_ANN", TOKEN)];
    let house = House::with_env(&[&policy("asks", "over = \"5 USD\"\npeople = 2")], config, &env);
    let key = house.bursar.mint("asks", "<refunds>", &["--dimension", "user=bob"]).key;
    (house, key)
}

/// The links of one request, by whom they are for.
fn links(hook: &Sinkhole, id: &str) -> [String; 2] {
    ["ann", "eve"].map(|who| {
        wait_for("a message", SOON, || {
            let all = hook.deliveries();
            let bodies = all.iter().map(|d| serde_json::from_slice::<Value>(&d.body).expect("JSON"));
            let links = bodies.filter_map(|b| b["blocks"][1]["elements"][0]["url"].as_str().map(str::to_owned));
            links.filter(|link| link.contains(id)).find(|link| link.contains(&format!("by={who}")))
        })
    })
}

/// One request to the admin API by TCP: status and body.
fn http(house: &House, method: &str, target: &str, more: &str, body: &str) -> (u16, String) {
    let port = house.bursar.admin;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the admin API");
    let head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{more}");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn path(link: &str) -> &str {
    link.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).expect("a path")
}

#[test]
fn a_signed_link_shows_and_a_post_decides() {
    let hook = Sinkhole::start();
    let (house, key) = house(&hook);
    let id = asked(&house.call(&charge(&key, 900)));
    let [ann, eve] = links(&hook, &id);
    {
        let all = hook.deliveries();
        assert!(
            all.iter()
                .all(|d| d.headers.contains_key("webhook-signature") && !d.body.windows(9).any(|w| w == b"<refunds>"))
        );
        assert!(
            all.iter()
                .any(|d| String::from_utf8_lossy(&d.body).contains("&lt;refunds&gt; wants POST /v1/charges at stripe"))
        );
    }
    let state = || house.bursar.admin(&format!("/v1/approvals/{id}"))["state"].as_str().expect("a state").to_owned();
    let (status, page) = http(&house, "GET", path(&ann), "", "");
    assert!(
        status == 200 && page.contains(&id) && page.contains("&lt;refunds&gt;") && page.contains("<form"),
        "{page}"
    );
    assert_eq!(state(), "pending", "looking changes nothing");
    let yes = "decision=approve&reason=a+good+one";
    for (bad, status) in [
        (path(&ann).replace("by=ann", "by=eve"), 403),
        (path(&ann).replace("until=", "until=9"), 403),
        (path(&ann).replace(&id, "ap_0000000000000000"), 403),
        (path(&ann).split("&sig=").next().expect("a part").to_owned(), 400),
    ] {
        assert_eq!(http(&house, "POST", &bad, "", yes).0, status, "{bad}");
    }
    assert_eq!(http(&house, "POST", path(&ann), "", "decision=maybe").0, 400);
    assert_eq!(http(&house, "POST", path(&ann), "", yes).0, 200);
    assert_eq!(http(&house, "POST", path(&ann), "", yes).0, 409, "one person is one person");
    assert_eq!(state(), "pending");
    assert_eq!(http(&house, "POST", path(&eve), "", "decision=approve").0, 200);
    assert_eq!(house.call(&charge(&key, 900)).status, 200);
    assert_eq!(row(&house, "approved_by=link:ann, link:eve")["verdict"], "allow");
}

#[test]
fn an_approvers_token_opens_approvals_alone() {
    let hook = Sinkhole::start();
    let (house, key) = house(&hook);
    let id = asked(&house.call(&charge(&key, 900)));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\nx-bursar-actor: mallory\r\n");
    assert_eq!(http(&house, "GET", "/v1/keys", &bearer, "").0, 403);
    assert_eq!(http(&house, "POST", "/v1/kill", &bearer, "{}").0, 403);
    let (status, listed) = http(&house, "GET", "/v1/approvals", &bearer, "");
    assert!(status == 200 && listed.contains(&id), "{listed}");
    let (status, said) = http(&house, "POST", &format!("/v1/approvals/{id}/reject"), &bearer, "{\"reason\":\"no\"}");
    assert!(status == 200 && said.contains("approver:ann") && !said.contains("mallory"), "{said}");
    super::refused(&house.call(&charge(&key, 900)), "approval_rejected");
    let [ann, _] = links(&hook, &id);
    assert_eq!(http(&house, "POST", path(&ann), "", "decision=approve").0, 409, "it is decided");
    assert!(!http(&house, "GET", path(&ann), "", "").1.contains("<form"));
}

#[test]
fn a_receiver_that_is_away_is_told_later() {
    let mut hook = Sinkhole::start();
    hook.away();
    let (house, key) = house(&hook);
    let id = asked(&house.call(&charge(&key, 900)));
    hook.back();
    links(&hook, &id);
}
