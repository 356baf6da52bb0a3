//! What a node did alone counts on budgets that were declared before it could tell.

use super::server::Server;
use crate::adapters::ledger::Ledger;
use crate::adapters::ledger::redis::lent::Telling;
use crate::rules::ledger::account::Scope;
use crate::rules::ledger::book::rig::{NOON, amounts, closing, id, line, opening, shape};
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::ledger::slices::Item;
use crate::units::amount::Unit;
use crate::units::time::Window;

#[tokio::test]
async fn calls_that_are_told_late_count_on_a_new_budget() {
    let server = Server::start().await;
    let books = server.books("told");
    let one = server.ledger("told", "one", books.clone(), Some(NOON.0)).await;
    let two = server.ledger("told", "two", books, None).await;
    let number = one.hello("n", 0).await.expect("it answers").number;
    two.declare(vec![shape(Scope::Agent, Unit::Usd, Window::Day)]).await.expect("declared");
    let begun = |n| Op::Reserve {
        amounts: amounts(10, 0, 1, 0),
        postings: [].into(),
        lease_until: NOON,
        fitted: None,
        replay: None,
        moved: [].into(),
        row: Box::new(opening(n)),
    };
    let row = Box::new(closing(1));
    let ended = Op::Commit { hold: id(1), charge: amounts(7, 0, 1, 0), exact: true, passed: None, row };
    let [first, ended, second] =
        [(1, begun(1)), (2, ended), (3, begun(2))].map(|(seq, op)| Entry { seq, at: NOON, op });
    let whole = Item::Whole { call: id(1), begun: 1, ended: 2, takes: Vec::new() };
    let open = Item::Open { call: id(2), begun: 3, takes: Vec::new() };
    let telling = [
        Telling { item: &whole, begun: Some(&first), ended: Some(&ended) },
        Telling { item: &open, begun: Some(&second), ended: None },
    ];
    one.ship("n", number + 1, 3, &telling, &[]).await.expect("told");
    let state = two.accounts(vec![line("a", Unit::Usd, Window::Day)]).await.expect("it answers").remove(0);
    assert_eq!((state.spent, state.held), (7, 10));
}
