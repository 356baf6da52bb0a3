//! Calls in flight: an account that counts what is held while it is held, and keeps nothing of what was charged.

use bursar::rules::ledger::ask::{Correct, Known};

use super::*;

fn flight(agent: &str, limit: Option<u64>) -> Line {
    line(agent, Unit::Calls, Window::Flight, limit)
}

#[tokio::test]
async fn so_many_calls_at_once_and_no_more() {
    on_each(|store, name| async move {
        let lines = [flight("a", Some(3)), usd("a", 1000), line("a", Unit::Calls, Window::Month, Some(100))];
        for n in 1..=3 {
            held(&store, ask(n, &lines, 10)).await;
        }
        for (n, end) in [(4, commit(1, 10, true)), (5, commit(2, 0, false)), (6, release(3))] {
            let refused = short(&store, ask(n, &lines, 10)).await;
            let said = (refused.cause, refused.held, refused.spent, refused.resets_at);
            assert_eq!((refused.account, said), (lines[0].account.clone(), (Cause::Held, 3, 0, None)), "{name}");
            store.settle(end).await.expect("it ends");
            held(&store, ask(n, &lines, 10)).await;
        }
        assert_eq!(at(&store, &lines[0]).await, (0, 3), "{name}: nothing stays of calls that ended");
        assert_eq!(at(&store, &lines[2]).await, (2, 3), "{name}: elsewhere they count");
        for n in 4..=6 {
            store.settle(commit(n, 10, true)).await.expect("it ends");
        }
        assert_eq!(at(&store, &lines[0]).await, (0, 0), "{name}");
    })
    .await;
}

#[tokio::test]
async fn what_an_ended_call_is_charged_later_does_not_fly_again() {
    on_each(|store, name| async move {
        let lines = [flight("a", Some(1)), usd("a", 1000)];
        held(&store, ask(1, &lines, 60)).await;
        store.settle(commit(1, 50, false)).await.expect("committed");
        let act = Act { actor: "test".to_owned(), reason: None };
        let more = Amounts { usd: MicroCents(70), calls: 5, ..Amounts::ZERO };
        store.adjust(id(1), 1, more, true, act.clone()).await.expect("adjusted");
        assert_eq!((at(&store, &lines[0]).await, at(&store, &lines[1]).await), ((0, 0), (70, 0)), "{name}");
        let (taken, charge) = (Timestamp::now(), Amounts::ZERO);
        let known = Known { taken, facts: None, charge, postings: [].into(), repeats: false, step: 1 };
        let more = Amounts { calls: 9, ..more };
        store.correct(Correct { hold: id(1), charge: more, exact: true, act, known }).await.expect("corrected");
        assert_eq!(at(&store, &lines[0]).await, (0, 0), "{name}");
        held(&store, ask(2, &lines, 60)).await;
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_comes_later_counts_those_in_flight_alone() {
    on_each(|store, name| async move {
        let shape =
            |scope| Shape { scope, unit: Unit::Calls, window: Window::Flight, vendor: None, operations: vec![] };
        let shapes = [shape(Scope::Agent), shape(Scope::Everyone)];
        let call = |n, agent| {
            let mut ask = ask(n, &[line("elsewhere", Unit::Usd, Window::Day, Some(1000))], 60);
            ask.opening.facts = Some(facts(agent).into());
            ask
        };
        for (n, agent) in [(1, "a"), (2, "a"), (3, "b")] {
            held(&store, call(n, agent)).await;
        }
        store.settle(commit(1, 50, true)).await.expect("committed");
        store.declare(shapes.to_vec()).await.expect("declared");
        let of = |s: &Shape, value: &str, limit| Line {
            account: s.account(value),
            limit: line("a", s.unit, s.window, limit).limit,
            unit: s.unit,
            window: s.window,
        };
        let (ours, all) = (of(&shapes[0], "default/a", Some(1)), of(&shapes[1], "", Some(2)));
        assert_eq!((at(&store, &ours).await, at(&store, &all).await), ((0, 1), (0, 2)), "{name}");
        for line in [&ours, &all] {
            assert_eq!(short(&store, ask(4, std::slice::from_ref(line), 1)).await.cause, Cause::Held, "{name}");
        }
        let checked = store.check().await.expect("compared");
        assert!(checked.differences.is_empty(), "{name}: {checked:?}");
        store.settle(commit(2, 20, true)).await.expect("committed");
        held(&store, ask(4, &[ours.clone(), all.clone()], 1)).await;
        assert_eq!((at(&store, &ours).await, at(&store, &all).await), ((0, 1), (0, 2)), "{name}");
        let checked = store.check().await.expect("compared");
        assert!(checked.differences.is_empty(), "{name}: {checked:?}");
    })
    .await;
}

/// In `observe` mode the row says that it would have been refused, and all count.
#[tokio::test]
async fn a_limit_that_only_observes_counts_all() {
    on_each(|store, name| async move {
        let lines = [observed(flight("a", Some(1)))];
        assert!(held(&store, ask(1, &lines, 1)).await.would_refuse.is_none(), "{name}");
        let would = held(&store, ask(2, &lines, 1)).await.would_refuse.expect("it would");
        assert_eq!((would.cause, would.held), (Cause::Held, 1), "{name}");
        assert_eq!(at(&store, &lines[0]).await, (0, 2), "{name}");
    })
    .await;
}
