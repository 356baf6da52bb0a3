//! What the ledger costs a call: reserve and commit on six accounts, in the book alone and on a journal.

mod calls;

use std::hint::black_box;
use std::sync::Arc;

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::Ledger;
use bursar::adapters::ledger::embedded::Embedded;
use bursar::adapters::ledger::journal::{Durability, Record};
use bursar::rules::ledger::book::Book;
use bursar::units::time::Timestamp;
use calls::Calls;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn book(c: &mut Criterion) {
    let (mut book, mut calls) = (Book::default(), Calls::new());
    let mut now = Timestamp::now();
    let write =
        |book: &mut Book, now, ops| book.entries(now, ops).collect::<Vec<_>>().iter().for_each(|e| book.apply(e));
    c.bench_function("ledger/book: reserve and commit", |b| {
        b.iter_batched(
            || calls.next(),
            |(ask, settle)| {
                now = now.plus_millis(1);
                let (answer, op) = book.reserve(now, ask).expect("a new hold");
                write(&mut book, now, [op, None]);
                let (settled, ops) = book.settle(now, settle).expect("an open hold");
                write(&mut book, now, ops);
                (answer, settled)
            },
            BatchSize::SmallInput,
        );
    });
}

fn encode(c: &mut Criterion) {
    let (book, mut calls) = (Book::default(), Calls::new());
    let (_, op) = book.reserve(Timestamp::now(), calls.next().0).expect("a new hold");
    let entry = book.entries(Timestamp::now(), [op, None]).next().expect("one entry");
    let bytes = Record::encode(entry.clone()).expect("plain data").json().len();
    c.bench_function(&format!("ledger/encode a reserve ({bytes} bytes)"), |b| {
        b.iter_batched(|| entry.clone(), |e| Record::encode(black_box(e)), BatchSize::SmallInput);
    });
}

fn embedded(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        let dir = tempfile::TempDir::new().expect("a folder");
        let books = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
        let ledger = Embedded::open(dir.path(), durability, books).expect("a ledger");
        let mut calls = Calls::new();
        c.bench_function(&format!("ledger/embedded, {name}: reserve and commit"), |b| {
            b.iter_batched(
                || calls.next(),
                |(ask, settle)| {
                    runtime.block_on(async {
                        ledger.reserve(ask).await.expect("an answer");
                        ledger.settle(settle).await.expect("an answer")
                    })
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(ledger, book, encode, embedded);
criterion_main!(ledger);
