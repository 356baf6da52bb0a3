//! What requests for approval promise, the same for both places where they are kept: a node's own file, and the PostgreSQL of a
//! fleet. Two nodes ask, hear and claim; on a file the second node is the first.

mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bursar::adapters::approvals::{
    ApprovalError, Approvals, Decision, Extent, MOST_PENDING, State, Telling, Wanted, use_of,
};
use bursar::rules::books::Request;
use bursar::rules::policy::Terms;
use bursar::rules::subject::Subject;
use bursar::units::ids::{ApprovalId, CallId, Digest32, KeyId};
use bursar::units::money::MicroCents;
use bursar::units::time::Timestamp;
use common::postgres::Postgres;

type Node = Arc<Approvals>;

/// Runs a test on each store.
async fn on_each<F: Future<Output = ()>>(test: impl Fn(Node, Node) -> F) {
    let dir = tempfile::tempdir().expect("a folder");
    let alone = Arc::new(Approvals::open(dir.path()).expect("a file"));
    test(alone.clone(), alone).await;
    let server = Postgres::start();
    test(node(&server, "one"), node(&server, "one")).await;
}

fn node(server: &Postgres, fleet: &str) -> Node {
    Arc::new(Approvals::join(&server.url("postgres"), None, fleet).expect("an address"))
}

const MOST: Extent = Extent { usd: MicroCents(500), tokens: 20, risk: 3, people: 1 };

/// The `n`-th request.
fn wanted(n: u8, people: u32) -> Wanted {
    let request = Request {
        call: call(n.into()),
        key: KeyId("k".into()),
        subject: Subject { agent: Some("refunds".into()), ..Subject::default() },
        policy: "p".into(),
        vendor: "stripe".into(),
        operation: format!("POST /v1/{n}").into(),
        method: "POST".into(),
        path: "/v1/charges".into(),
        request_hash: None,
        query: None,
        accounts: BTreeMap::new(),
        estimate_usd: MOST.usd,
        tokens: MOST.tokens,
        risk: MOST.risk,
        because: vec!["p: approval over 5 USD".into()],
        people,
    };
    Wanted { fingerprint: Digest32([n; 32]), request, terms: Terms { people, ..Terms::default() } }
}

fn call(n: u128) -> CallId {
    CallId(uuid::Uuid::from_u128(n))
}

fn says(actor: &str, yes: bool) -> Decision {
    Decision { actor: actor.to_owned(), yes, at: Timestamp::now(), reason: None }
}

async fn asked(at: &Node, wanted: Wanted) -> ApprovalId {
    at.ask(wanted, Timestamp::now()).await.expect("asked").record.id
}

async fn claims(at: &Node, n: u8, by: u128) -> bool {
    let claimed = at.claim(Digest32([n; 32]), MOST, call(by), Timestamp::now()).await;
    claimed.expect("an answer").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_asks_once_however_many_come_at_once() {
    on_each(|a, b| async move {
        let tasks: Vec<_> = (0..12_u32)
            .map(|n| {
                let at = if n % 2 == 0 { a.clone() } else { b.clone() };
                tokio::spawn(async move { at.ask(wanted(1, 1), Timestamp::now()).await.expect("asked") })
            })
            .collect();
        let mut ids = Vec::new();
        for task in tasks {
            ids.push(task.await.expect("no panic").record.id);
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_ne!(asked(&b, wanted(2, 1)).await, ids[0]);
        assert_eq!(a.list(false, Timestamp::now()).await.expect("a list").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_heard_everywhere_and_taken_once() {
    on_each(|a, b| async move {
        let id = asked(&a, wanted(1, 1)).await;
        assert!(!claims(&b, 1, 1).await, "nobody has said anything");
        let follows = tokio::spawn(a.clone().follow());
        let mut changes = a.changes();
        tokio::time::sleep(Duration::from_millis(500)).await;
        changes.borrow_and_update();
        b.decide(id.clone(), says("socket:ann", true)).await.expect("heard");
        tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.expect("in time").expect("a change");
        assert_eq!(a.find(id.clone(), Timestamp::now()).await.expect("found").state, State::Approved);
        follows.abort();
        let tasks: Vec<_> = (0..16_u128)
            .map(|n| {
                let at = if n % 2 == 0 { a.clone() } else { b.clone() };
                tokio::spawn(async move { claims(&at, 1, n + 10).await.then_some(n + 10) })
            })
            .collect();
        let mut taken = Vec::new();
        for task in tasks {
            taken.extend(task.await.expect("no panic"));
        }
        assert_eq!(taken.len(), 1, "{taken:?}");
        b.give_back(id.clone(), call(999)).await.expect("not theirs");
        assert!(!claims(&a, 1, 40).await, "only who took it gives it back");
        b.give_back(id, call(taken[0])).await.expect("given back");
        assert!(claims(&a, 1, 41).await && !claims(&b, 1, 42).await);
    })
    .await;
}

/// A word on what was asked before counts for no more than that, however late it comes.
#[tokio::test(flavor = "multi_thread")]
async fn more_is_another_request() {
    on_each(|a, b| async move {
        let wants = |usd, tokens, risk| {
            let wanted = wanted(1, 1);
            Wanted { request: Request { estimate_usd: MicroCents(usd), tokens, risk, ..wanted.request }, ..wanted }
        };
        let first = asked(&a, wants(500, 20, 3)).await;
        assert_eq!(asked(&b, wants(400, 20, 3)).await, first, "less is covered by it");
        for (usd, tokens, risk) in [(501, 20, 3), (501, 21, 3), (501, 21, 4)] {
            let before = asked(&a, wants(1, 1, 1)).await;
            let more = b.ask(wants(usd, tokens, risk), Timestamp::now()).await.expect("asked");
            assert_eq!(more.instead_of.as_ref(), Some(&before));
            assert!(more.untold && more.record.id != before);
            let late = a.decide(before.clone(), says("socket:ann", true)).await;
            assert!(matches!(late, Err(ApprovalError::Refused(_))), "{late:?}");
            assert_eq!(a.find(before, Timestamp::now()).await.expect("found").state, State::Superseded);
        }
        let last = asked(&a, wants(501, 21, 4)).await;
        b.decide(last, says("socket:ann", true)).await.expect("heard");
        let claim = async |usd, tokens, risk| {
            let extent = Extent { usd: MicroCents(usd), tokens, risk, people: 1 };
            a.claim(Digest32([1; 32]), extent, call(9), Timestamp::now()).await.expect("an answer").is_some()
        };
        for (usd, tokens, risk) in [(502, 21, 4), (501, 22, 4), (501, 21, 5)] {
            assert!(!claim(usd, tokens, risk).await, "{usd} {tokens} {risk}");
        }
        assert!(claim(501, 21, 4).await);
    })
    .await;
}

/// Who dies between a question and its event leaves it to the next who asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_untold_until_the_books_have_it() {
    on_each(|a, b| async move {
        let first = a.ask(wanted(1, 1), Timestamp::now()).await.expect("asked");
        assert!(first.untold && b.ask(wanted(1, 1), Timestamp::now()).await.expect("asked").untold);
        b.noted(first.record.id).await.expect("written");
        assert!(!a.ask(wanted(1, 1), Timestamp::now()).await.expect("asked").untold);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_persons_are_two_wherever_they_speak() {
    on_each(|a, b| async move {
        let id = asked(&a, wanted(1, 2)).await;
        assert_eq!(a.decide(id.clone(), says("socket:ann", true)).await.expect("heard").state, State::Pending);
        let again = b.decide(id.clone(), says("link:Ann", true)).await;
        assert!(matches!(again, Err(ApprovalError::Refused(_))), "{again:?}");
        assert_eq!(b.decide(id.clone(), says("socket:eve", true)).await.expect("heard").state, State::Approved);
        assert!(a.has_used(use_of(&wanted(1, 2).request)).await.expect("known"));
        assert!(!b.has_used(use_of(&wanted(2, 2).request)).await.expect("known"));
        assert_eq!(a.decide(id.clone(), says("socket:dan", false)).await.expect("heard").state, State::Rejected);
        assert!(!claims(&b, 1, 7).await);
        let there = b.ask(wanted(1, 2), Timestamp::now()).await.expect("asked").record;
        assert_eq!((there.state, there.id), (State::Rejected, id), "a no holds, on every node");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_is_told_once_and_one_node_tells_each_approver() {
    on_each(|a, b| async move {
        let long_ago = Timestamp::now().plus_secs(-3 * 86_400);
        let old = a.ask(wanted(1, 1), long_ago).await.expect("asked").record;
        let (first, second) = tokio::join!(a.expire(Timestamp::now()), b.expire(Timestamp::now()));
        let over = [first.expect("looked"), second.expect("looked")].concat();
        assert_eq!(over.iter().map(|r| (&r.id, r.state)).collect::<Vec<_>>(), [(&old.id, State::TimedOut)]);
        assert_ne!(asked(&b, wanted(1, 1)).await, old.id, "it may be asked anew");
        let record = a.ask(wanted(2, 1), Timestamp::now()).await.expect("asked").record;
        let (what, proof) = ((record.id.clone(), record.asked_at), Digest32([9; 32]));
        let tell = |at: &Node| {
            let (at, what) = (at.clone(), what.clone());
            async move { at.begin_telling(what, "ann".into(), proof, Timestamp::now()).await.expect("an answer") }
        };
        assert_eq!((tell(&a).await, tell(&b).await), (Telling::Mine, Telling::Theirs));
        a.told(what.clone(), "ann".into(), true).await.expect("kept");
        assert_eq!(tell(&b).await, Telling::Done);
        assert_eq!(b.find(record.id, Timestamp::now()).await.expect("found").told["ann"].proof, proof);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_asks_for_so_much_at_once() {
    on_each(|a, b| async move {
        for n in 0..MOST_PENDING as u8 {
            asked(if n % 2 == 0 { &a } else { &b }, wanted(n, 1)).await;
        }
        let more = b.ask(wanted(MOST_PENDING as u8, 1), Timestamp::now()).await;
        assert!(matches!(more, Err(ApprovalError::TooMany)), "{more:?}");
        assert_eq!(a.open_of(KeyId("k".into()), Timestamp::now()).await.expect("a list").len() as u64, MOST_PENDING);
    })
    .await;
}

/// A server that is killed and comes back, while nobody asks and in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_goes_on_after_its_database_was_away() {
    let mut server = Postgres::start();
    let (a, b) = (node(&server, "one"), node(&server, "one"));
    let id = asked(&a, wanted(1, 1)).await;
    server.kill();
    assert!(matches!(b.find(id.clone(), Timestamp::now()).await, Err(ApprovalError::Store(_))));
    assert!(a.claim(Digest32([1; 32]), MOST, call(1), Timestamp::now()).await.is_err());
    server.restart();
    tokio::time::sleep(Duration::from_millis(600)).await;
    b.decide(id, says("socket:ann", true)).await.expect("heard");
    assert!(claims(&a, 1, 2).await);
    let other = node(&server, "two");
    assert!(other.list(true, Timestamp::now()).await.expect("a list").is_empty(), "another fleet's are its own");
}
