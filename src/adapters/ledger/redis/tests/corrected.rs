//! The charge of a call that was put right, and is put right again by somebody who does not know of it: the books lag behind.

use super::outside::Outside;
use super::server::Server;
use crate::adapters::ledger::Ledger;
use crate::rules::ledger::ask::{Correct, End, Known, Reservation, Settle};
use crate::rules::ledger::book::rig::{NOON, act, amounts, ask, closing, id, usd};
use crate::rules::ledger::entry::Posting;

#[tokio::test]
async fn a_call_is_put_right_once_however_late_the_books_are() {
    let server = Server::start().await;
    let mut outside = Outside::new(&server, "corrected".to_owned()).await;
    let node = outside.node("one", Some(NOON)).await;
    let line = usd("a", 1000);
    assert!(matches!(node.reserve(ask(1, std::slice::from_ref(&line), 100)).await, Ok(Reservation::Held(_))));
    let end = End::Commit { charge: amounts(100, 0, 1, 0), exact: false };
    node.settle(Settle { hold: id(1), end, closing: closing(1) }).await.expect("committed");
    let start = line.window.start(NOON);
    let posting = Posting { account: line.account.clone(), unit: line.unit, window: line.window, start };
    for waited in [0, 5, 3600] {
        outside.set_clock(NOON.plus_secs(waited)).await;
        // As the books say, which have not seen the one before.
        let charge = amounts(100, 0, 1, 0);
        let known =
            Known { taken: NOON, facts: None, charge, postings: [posting.clone()].into(), repeats: false, step: 0 };
        let ask = Correct { hold: id(1), charge: amounts(20, 0, 1, 0), exact: true, act: act(), known };
        node.correct(ask).await.expect("corrected");
        let state = node.accounts(vec![line.clone()]).await.expect("it answers").remove(0);
        assert_eq!((state.spent, state.held), (20, 0), "after {waited} s");
    }
}
