//! What becomes of a hold: ended, shrunk, or dropped in each state.

use std::sync::Arc;

use super::{Answered, Holds, InFlight, Reserved, renew_each};
use crate::adapters::ledger::Ledger;
use crate::adapters::ledger::Store;
use crate::adapters::ledger::testing::{House, house, permit};
use crate::rules::books::{CostSource, Outcome};
use crate::rules::ledger::ask::Settled;
use crate::rules::ledger::book::rig::{amounts, ask, closing, id, usd};
use crate::rules::ledger::entry::Op;

async fn reserve(holds: &Arc<Holds>, n: u32, usd_amount: u64) -> Reserved {
    match holds.reserve(&permit(), ask(n, &[usd("a", 100)], usd_amount)).await {
        Ok(Answered::Held(held)) => held,
        _ => panic!("it fits"),
    }
}

async fn in_flight(holds: &Arc<Holds>, n: u32, usd_amount: u64) -> InFlight {
    reserve(holds, n, usd_amount).await.dispatch()
}

async fn resize(flying: &mut InFlight, usd: u64) {
    let answer = flying.resize(amounts(usd, 0, 1, 0)).await.expect("answered");
    flying.resized(&answer);
}

async fn sums(house: &House) -> (u64, u64) {
    let states = house.ledger.accounts(vec![usd("a", 0)]).await.expect("readable");
    (states[0].spent, states[0].held)
}

fn last(house: &House) -> Op {
    use crate::adapters::audit::tail::Feed;
    house.ledger.read_from(*house.ledger.durable().borrow(), 1).expect("readable").remove(0).op.clone()
}

#[tokio::test]
async fn a_hold_is_released_or_committed() {
    let house = house();
    let holds = Holds::new(house.ledger.clone());
    let held = reserve(&holds, 1, 40).await;
    assert_eq!((sums(&house).await, holds.open()), ((0, 40), 1));
    assert_eq!(held.release(closing(1)).await.expect("released"), Settled::Done);
    let mut flying = in_flight(&holds, 2, 60).await;
    resize(&mut flying, 25).await;
    assert_eq!((sums(&house).await, *flying.amounts()), ((0, 25), amounts(25, 0, 1, 0)));
    resize(&mut flying, 20).await;
    assert_eq!(sums(&house).await, (0, 20));
    resize(&mut flying, 70).await;
    assert_eq!((sums(&house).await, *flying.amounts()), ((0, 70), amounts(70, 0, 1, 0)));
    resize(&mut flying, 101).await;
    assert_eq!((sums(&house).await, *flying.amounts()), ((0, 70), amounts(70, 0, 1, 0)), "there is no room for more");
    flying.commit(amounts(7, 0, 1, 0), true, closing(2)).await.expect("committed");
    assert_eq!((sums(&house).await, holds.open()), ((7, 0), 0));
}

#[tokio::test]
async fn a_dropped_reserve_is_released_and_a_dropped_call_is_charged_in_full() {
    let house = house();
    let holds = Holds::new(house.ledger.clone());
    drop(reserve(&holds, 1, 40).await);
    assert_eq!(sums(&house).await, (0, 0));
    assert!(matches!(last(&house), Op::Release { row, .. } if row.outcome == Outcome::Refused));
    drop(in_flight(&holds, 2, 40).await);
    assert_eq!((sums(&house).await, holds.open()), ((40, 0), 0));
    let Op::Commit { row, exact: false, .. } = last(&house) else { panic!("a commit") };
    assert!(row.flagged && row.outcome == Outcome::Unknown && row.cost_source == CostSource::Estimated);
}

#[tokio::test]
async fn what_does_not_fit_is_told() {
    let house = house();
    let holds = Holds::new(house.ledger.clone());
    let _first = reserve(&holds, 1, 80).await;
    let answer = holds.reserve(&permit(), ask(2, &[usd("a", 100)], 30)).await;
    assert!(matches!(answer, Ok(Answered::Short(short)) if short.need == 30));
    assert_eq!(holds.open(), 1);
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_held() {
    let house = house();
    let holds = Holds::new(house.ledger.clone());
    house.ledger.fill_disk(true);
    assert!(holds.reserve(&permit(), ask(1, &[usd("a", 100)], 30)).await.is_err());
    assert_eq!(sums(&house).await, (0, 0));
}

/// A ledger that answers slowly must not let the last leases run out.
#[tokio::test]
async fn leases_are_renewed_side_by_side() {
    let both = tokio::sync::Barrier::new(2);
    let renewed = renew_each(vec![id(1), id(2)], async |_| {
        both.wait().await;
        Ok(())
    });
    tokio::time::timeout(std::time::Duration::from_secs(20), renewed).await.expect("neither waits for the other");
}
