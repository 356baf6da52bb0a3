//! Waiting in a fleet: a hold that ends on another node wakes nobody here, and who waits goes on all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::Server;
use crate::adapters::ledger::Ledger;
use crate::adapters::ledger::hold::Answered;
use crate::adapters::ledger::testing::permit;
use crate::adapters::ledger::waiting::{Waited, Waiting};
use crate::rules::ledger::ask::{End, Reservation, Settle};
use crate::rules::ledger::book::rig::{ask, closing, id, usd};

#[tokio::test]
async fn a_hold_that_ends_elsewhere_lets_the_waiting_go_on() {
    let server = Server::start().await;
    let books = server.books("fleet");
    let one = server.ledger("fleet", "one", books.clone(), None).await;
    let two = server.ledger("fleet", "two", books, None).await;
    let lines = [usd("a", 100)];
    assert!(matches!(two.reserve(ask(1, &lines, 100)).await, Ok(Reservation::Held(_))));
    let waiting = Waiting::new(Arc::new(one));
    let waiter = tokio::spawn({
        let (waiting, lines) = (waiting.clone(), lines.clone());
        let never = std::future::pending::<()>;
        let deadline = Instant::now() + Duration::from_secs(20);
        async move { waiting.reserve(&permit(), || ask(2, &lines, 100), deadline, never).await }
    });
    while waiting.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    two.settle(Settle { hold: id(1), end: End::Release, closing: closing(1) }).await.expect("released");
    let waited = waiter.await.expect("no panic").expect("it answers");
    assert!(matches!(waited, Waited::Answered(Answered::Held(_))));
}
