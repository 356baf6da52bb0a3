//! Rates: in one step with the limits, all or nothing, and the same cell for all nodes.

use bursar::rules::ledger::account::AccountName;
use bursar::rules::ledger::rates::{Limited, Rate};

use super::*;

const HOUR: u64 = 3_600_000_000;

fn rate(burst: u64, enforce: bool) -> Rate {
    let cell = AccountName("agent:a rate 3600000000us".into());
    Rate { cell, interval: HOUR, burst, cost: 1, slots: 1, rule: "p: slowly".into(), enforce }
}

fn paced(n: u32, rate: &Rate, lines: &[Line], usd: u64) -> Reserve {
    Reserve { rates: [rate.clone()].into(), ..ask(n, lines, usd) }
}

async fn limited(store: &Store, ask: Reserve) -> Limited {
    match store.reserve(ask).await.expect("it answers") {
        Reservation::Limited(limited) => limited,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_that_comes_too_early_holds_nothing_and_a_refused_one_takes_no_rate() {
    on_each(|store, name| async move {
        let (lines, three) = ([usd("a", 100)], rate(3, true));
        for _ in 0..5 {
            short(&store, paced(9, &three, &lines, 101)).await;
        }
        for n in 1..=3 {
            held(&store, paced(n, &three, &lines, 10)).await;
        }
        held(&store, paced(1, &three, &lines, 10)).await;
        let refused = limited(&store, paced(4, &three, &lines, 10)).await;
        assert_eq!((&refused.cell, &*refused.rule), (&three.cell, "p: slowly"), "{name}");
        let wait = refused.wait.expect("a wait helps");
        assert!((HOUR - 60_000_000..=HOUR).contains(&wait), "{name}: {wait}");
        assert_eq!(at(&store, &lines[0]).await, (0, 30), "{name}");
        // Another burst on the same cell; and a call that is never let through, however long it waits.
        held(&store, paced(5, &rate(4, true), &lines, 10)).await;
        assert_eq!(limited(&store, paced(6, &Rate { cost: 4, ..three }, &lines, 1)).await.wait, None, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_rate_that_observes_lets_through_and_says_so() {
    on_each(|store, name| async move {
        let one = rate(1, false);
        assert_eq!(held(&store, paced(1, &one, &[], 1)).await.would_limit, None, "{name}");
        let seen = held(&store, paced(2, &one, &[], 1)).await.would_limit.expect("it would be refused");
        assert_eq!((seen.cell, seen.wait.is_some()), (one.cell, true), "{name}");
    })
    .await;
}

#[tokio::test]
async fn crowds_never_get_more_than_the_burst() {
    on_each(|store, name| async move {
        let ten = rate(10, true);
        let asks = (1..=200).map(|n| (store.clone(), paced(n, &ten, &[], 1)));
        let asked: Vec<_> = asks.map(|(store, ask)| tokio::spawn(async move { store.reserve(ask).await })).collect();
        let mut won = 0;
        for answer in asked {
            let answer = answer.await.expect("no panic").expect("it answers");
            won += usize::from(matches!(answer, Reservation::Held(_)));
        }
        assert_eq!(won, 10, "{name}");
    })
    .await;
}

/// Exactly so many in its time, one by one on cells of their own.
#[tokio::test]
async fn a_rate_of_several_cells_counts_exactly() {
    on_each(|store, name| async move {
        let three = Rate { slots: 3, ..rate(1, true) };
        for n in 1..=3 {
            held(&store, paced(n, &three, &[], 1)).await;
        }
        let refused = limited(&store, paced(4, &three, &[], 1)).await;
        let wait = refused.wait.expect("a wait helps");
        assert!((HOUR - 60_000_000..=HOUR).contains(&wait) && refused.cell == three.cell, "{name}: {wait}");
        held(&store, paced(4, &Rate { slots: 4, ..three.clone() }, &[], 1)).await;
        assert!(
            held(&store, paced(5, &Rate { enforce: false, ..three }, &[], 1)).await.would_limit.is_some(),
            "{name}"
        );
    })
    .await;
}
