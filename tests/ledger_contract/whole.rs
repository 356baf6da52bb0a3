//! What happens to holds while they are open and after they ended: they change, repeats share their money, charges are
//! replaced, and budgets that come later count them.

use bursar::rules::ledger::ask::{Correct, Known, ReplayKey};
use bursar::units::ids::Digest32;

use super::*;

fn money(usd: u64) -> Amounts {
    Amounts { usd: MicroCents(usd), tokens: 0, calls: 1, risk: 0 }
}

fn keyed(n: u32, lines: &[Line], usd: u64) -> Reserve {
    Reserve { replay: Some(ReplayKey(Digest32([7; 32]))), ..ask(n, lines, usd) }
}

fn by_test() -> Act {
    Act { actor: "test".to_owned(), reason: None }
}

#[tokio::test]
async fn a_hold_shrinks_and_grows_within_its_limits() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100)];
        held(&store, ask(1, &lines, 60)).await;
        for (step, to, expected) in [(1, 20, 20), (1, 5, 20), (2, 100, 100), (2, 1, 100), (3, 40, 40)] {
            match store.resize(id(1), step, money(to)).await.expect("it answers") {
                Reservation::Held(held) => assert_eq!(held.amounts.usd.0, expected, "{name} {step}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        held(&store, ask(2, &lines, 50)).await;
        match store.resize(id(1), 4, money(51)).await.expect("it answers") {
            Reservation::Short(s) => assert_eq!((s.cause, s.need, s.held), (Cause::Held, 51, 50), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(at(&store, &lines[0]).await, (0, 90), "{name}");
        store.settle(commit(1, 10, true)).await.expect("committed");
        assert!(matches!(store.resize(id(1), 9, money(1)).await, Err(LedgerError::Hold(..))), "{name}");
    })
    .await;
}

#[tokio::test]
async fn repeats_share_the_money_of_the_first() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100), line("a", Unit::Calls, Window::Month, None)];
        let shares = |n: u32, first: u32, paid: bool| {
            let (store, lines) = (store.clone(), lines.clone());
            async move {
                let held = held(&store, keyed(n, &lines, 60)).await;
                assert_eq!((held.shares, held.paid), ((first > 0).then(|| id(first)), paid), "{n}");
            }
        };
        shares(1, 0, false).await;
        shares(2, 1, false).await;
        shares(3, 1, false).await;
        assert_eq!((at(&store, &lines[0]).await, at(&store, &lines[1]).await), ((0, 60), (0, 3)), "{name}");
        assert_eq!(store.settle(release(1)).await.expect("released"), Settled::Passed, "{name}");
        assert_eq!(at(&store, &lines[0]).await, (0, 60), "{name}: a repeat bears the money now");
        assert_eq!(store.settle(commit(3, 25, true)).await.expect("committed"), Settled::Done, "{name}");
        assert_eq!(store.settle(commit(2, 0, false)).await.expect("committed"), Settled::Done, "{name}");
        assert_eq!((at(&store, &lines[0]).await, at(&store, &lines[1]).await), ((25, 0), (2, 0)), "{name}");
        shares(4, 0, true).await;
        store.settle(commit(4, 5, false)).await.expect("committed");
        shares(5, 4, true).await;
        store.settle(commit(5, 8, true)).await.expect("committed");
        assert_eq!(at(&store, &lines[0]).await, (33, 0), "{name}: what was said exactly replaces the bound");
    })
    .await;
}

#[tokio::test]
async fn the_charge_of_an_ended_hold_is_replaced() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100)];
        held(&store, ask(1, &lines, 60)).await;
        assert!(store.adjust(id(1), 1, money(5), true, by_test()).await.is_err(), "{name}: it is open");
        store.settle(commit(1, 50, false)).await.expect("committed");
        for (step, usd, expected) in [(1, 30, 30), (1, 99, 30), (2, 45, 45)] {
            store.adjust(id(1), step, money(usd), false, by_test()).await.expect("adjusted");
            assert_eq!(at(&store, &lines[0]).await, (expected, 0), "{name} {step}");
        }
        assert!(store.adjust(id(9), 1, money(5), true, by_test()).await.is_err(), "{name}: nobody knows it");
        let facts = Some(facts("a").into());
        let known = Known {
            taken: Timestamp::now(),
            facts,
            charge: money(45),
            postings: Arc::new([]),
            repeats: false,
            step: 2,
        };
        let correct = Correct { hold: id(1), charge: money(20), exact: true, act: by_test(), known: known.clone() };
        assert!(store.correct(correct).await.expect("corrected") > 0, "{name}");
        assert_eq!(at(&store, &lines[0]).await, (20, 0), "{name}");
        let repeat = Known { repeats: true, ..known };
        let refused =
            store.correct(Correct { hold: id(9), charge: money(1), exact: true, act: by_test(), known: repeat }).await;
        assert!(matches!(refused, Err(LedgerError::Hold(..))), "{name}");
    })
    .await;
}

/// A call of long ago stands in the books alone: they say where it was charged.
#[tokio::test]
async fn a_call_that_is_forgotten_is_corrected_by_the_books() {
    on_each(|store, name| async move {
        let lines = [usd("a", 100)];
        held(&store, ask(1, &lines, 60)).await;
        store.settle(commit(1, 50, true)).await.expect("committed");
        let start = Window::Month.start(Timestamp::now());
        let posting = bursar::rules::ledger::entry::Posting {
            account: lines[0].account.clone(),
            unit: Unit::Usd,
            window: Window::Month,
            start,
        };
        let postings = [posting].into();
        let known = Known { taken: start, facts: None, charge: money(30), postings, repeats: false, step: 4 };
        let ask = Correct { hold: id(7), charge: money(10), exact: true, act: by_test(), known };
        store.correct(ask).await.expect("corrected");
        assert_eq!(at(&store, &lines[0]).await, (30, 0), "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_new_budget_starts_at_what_was_spent() {
    on_each(|store, name| async move {
        let shape = |unit, window| Shape { scope: Scope::Agent, unit, window, vendor: None, operations: vec![] };
        let shapes = [shape(Unit::Usd, Window::Month), shape(Unit::Calls, Window::Total)];
        let counted = shapes.clone().map(|s| Line {
            account: s.account("default/a"),
            unit: s.unit,
            window: s.window,
            limit: None,
        });
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
        store.declare(shapes.to_vec()).await.expect("again, and nothing changes");
        assert_eq!((at(&store, &counted[0]).await, at(&store, &counted[1]).await), ((50, 60), (1, 1)), "{name}");
        store.settle(commit(2, 20, true)).await.expect("committed");
        assert_eq!((at(&store, &counted[0]).await, at(&store, &counted[1]).await), ((70, 0), (2, 0)), "{name}");
        let checked = store.check().await.expect("compared");
        assert!(checked.differences.is_empty() && checked.accounts >= 2, "{name}: {checked:?}");
        store.declare(vec![]).await.expect("undeclared");
        assert_eq!(store.check().await.expect("compared").accounts, 0, "{name}");
    })
    .await;
}
