//! What Redis alone does: several nodes on one ledger, what was lost and is never silently made anew, scripts that are flushed,
//! memory that is out, and formats that are not known.

use redis::AsyncCommands;

use super::*;
use bursar::rules::pattern::OperationPattern;

/// Opens the ledger as a node that was not there before, with the books of that folder.
async fn opened(server: &Server, name: &str, dir: &TempDir) -> Result<Redis, LedgerError> {
    let books: Arc<dyn AuditStore> = Arc::new(SqliteBooks::open(dir.path()).expect("books"));
    Redis::open(&server.url(), name, "new", books).await
}

fn why<T: std::fmt::Debug>(answer: Result<T, LedgerError>) -> String {
    match answer {
        Err(LedgerError::Down(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Another process settles what this one holds: Redis knows the accounts.
#[tokio::test]
async fn a_fleet_shares_its_holds() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let (one, two): (Store, Store) =
        (Arc::new(node(&server, "fleet", "one", &dir).await), Arc::new(node(&server, "fleet", "two", &dir).await));
    let lines = [usd("a", 100), line("a", Unit::Calls, Window::Day, None)];
    held(&one, ask(1, &lines, 60)).await;
    assert_eq!(short(&two, ask(2, &lines, 60)).await.cause, Cause::Held);
    assert_eq!(two.settle(commit(1, 20, true)).await.expect("committed"), Settled::Done);
    assert_eq!(one.settle(commit(1, 20, true)).await.expect("again"), Settled::Again);
    assert_eq!((at(&one, &lines[0]).await, at(&two, &lines[1]).await), ((20, 0), (1, 0)));
    let other: Store = Arc::new(node(&server, "another", "one", &dir).await);
    assert_eq!(at(&other, &lines[0]).await, (0, 0), "another ledger on the same server");
}

/// The script reckons windows as the rules do, over leap years and month ends.
#[tokio::test]
async fn windows_are_reckoned_alike() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    drop(node(&server, "bursar", "one", &dir).await);
    let time = include_str!("../../src/adapters/ledger/redis/lua/time.lua");
    let script = redis::Script::new(&format!("{time}return text(start(ARGV[1], tonumber(ARGV[2])))"));
    let client = redis::Client::open(server.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connected");
    // Every 39th day and a bit from 2020 to 2105, and both sides of each first of a month in between.
    let steps = (0..800).map(|n| 1_577_836_800_000_000 + n * 39 * 86_400_000_000 + n * 7_919_123);
    for at in steps.map(Timestamp) {
        for window in Window::ALL {
            let start = window.start(at);
            for at in [at, start, Timestamp(start.0 - 1), Timestamp(at.0 - at.0 % 1_000_000)] {
                let at = Timestamp(at.0.max(0));
                let script = script.arg(window.as_str()).arg(at.0).invoke_async::<i64>(&mut connection).await;
                assert_eq!(script.expect("it answers"), window.start(at).0, "{window} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_drops_keys_is_refused() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    drop(node(&server, "bursar", "one", &dir).await);
    server.must(&["config", "set", "maxmemory-policy", "allkeys-lru"]);
    let refused = opened(&server, "bursar", &dir).await.err().expect("refused").to_string();
    assert!(refused.contains("noeviction"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_gone_admits_nothing() {
    let (dir, mut server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    held(&store, ask(1, &[usd("a", 100)], 60)).await;
    server.kill();
    assert!(matches!(store.reserve(ask(2, &[usd("a", 100)], 1)).await, Err(LedgerError::Down(_))));
    assert!(store.trouble().is_some());
}

/// What Redis forgot is never silently made anew: the node that saw more admits nothing, and says why.
#[tokio::test]
async fn a_ledger_that_lost_entries_is_refused() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    held(&store, ask(1, &[usd("a", 100)], 60)).await;
    let meta = "{bursar}:meta";
    server.must(&["hset", meta, "seq", "0"]);
    assert!(why(store.reserve(ask(2, &[usd("a", 100)], 1)).await).contains("1 were seen, and it has 0"));
    // What was found once holds until somebody has put it back, whatever answers meanwhile.
    server.must(&["hset", meta, "seq", "1", "epoch", "another"]);
    assert!(why(store.settle(release(1)).await).contains("put back"));
    server.must(&["del", meta]);
    assert!(why(store.accounts(vec![usd("a", 100)]).await).contains("put back"));
    assert!(store.trouble().is_some_and(|t| t.contains("put back")));
    assert_eq!(server.must(&["exists", meta]), "0", "nobody made it anew");
}

#[tokio::test]
async fn a_format_of_a_newer_bursar_is_refused() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    server.must(&["hset", "{bursar}:meta", "format", "2"]);
    assert!(why(store.reserve(ask(1, &[usd("a", 100)], 1)).await).contains("format 2"));
    assert!(opened(&server, "bursar", &dir).await.err().expect("refused").to_string().contains("format 2"));
    assert_eq!(server.must(&["exists", "{bursar}:accounts"]), "0");
}

/// The script cache is flushed all the time, and no call notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scripts_that_are_flushed_are_loaded_again() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    let lines = [line("a", Unit::Calls, Window::Total, Some(200))];
    let mut connection = plain(&server).await;
    let flush = async {
        loop {
            let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.expect("flushed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let load = async {
        for n in 1..=200 {
            held(&store, ask(n, &lines, 0)).await;
            store.settle(commit(n, 0, true)).await.expect("committed");
        }
    };
    tokio::select! { () = flush => {}, () = load => {} }
    assert_eq!(at(&store, &lines[0]).await, (200, 0));
}

async fn plain(server: &Server) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("an address");
    client.get_multiplexed_async_connection().await.expect("connected")
}

/// With no memory left nothing new is admitted, but what is open ends, and a kill flag is set.
#[tokio::test]
async fn ends_and_flags_are_written_also_when_memory_is_out() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    let lines = [usd("a", 100)];
    held(&store, ask(1, &lines, 60)).await;
    server.must(&["config", "set", "maxmemory", "1"]);
    why(store.reserve(ask(2, &lines, 1)).await);
    store.renew(id(1)).await.expect("renewed");
    assert_eq!(store.settle(commit(1, 20, true)).await.expect("committed"), Settled::Done);
    let act = Act { actor: "test".to_owned(), reason: None };
    store.control(Control::Stopped { flag: Flag::Everyone, act }).await.expect("set");
    assert_eq!(at(&store, &lines[0]).await, (20, 0));
    server.must(&["config", "set", "maxmemory", "0"]);
    let flagged = Reserve { flags: [Flag::Everyone].into(), ..ask(2, &lines, 1) };
    assert_eq!(store.reserve(flagged).await.expect("it answers"), Reservation::Killed(Flag::Everyone));
}

/// A flag rings the bell in the step that sets it, with its number.
#[tokio::test]
async fn flags_are_told_on_the_bell() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store = node(&server, "bursar", "one", &dir).await;
    let client = redis::Client::open(server.url()).expect("an address");
    let mut bell = client.get_async_pubsub().await.expect("connected");
    bell.subscribe(store.keys().bell()).await.expect("subscribed");
    let mut heard = bell.on_message();
    let act = Act { actor: "test".to_owned(), reason: None };
    store.control(Control::Stopped { flag: Flag::Everyone, act: act.clone() }).await.expect("set");
    store.control(Control::Restored { flag: Flag::Everyone, act }).await.expect("cleared");
    for expected in [r#"flag 1 set {"kind":"everyone"}"#, r#"flag 2 clear {"kind":"everyone"}"#] {
        let message = futures_util::StreamExt::next(&mut heard).await.expect("a message");
        assert_eq!(message.get_payload::<String>().expect("text"), expected);
    }
    let flagged: String = plain(&server).await.hget(store.keys().meta(), "flagged").await.expect("it answers");
    assert_eq!(flagged, "2");
}

/// A budget that one node's policies declare is counted by every node, also by those that have never heard of it.
#[tokio::test]
async fn a_shape_of_one_node_is_counted_by_all() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let one: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    let two: Store = Arc::new(node(&server, "bursar", "two", &dir).await);
    let shape = Shape {
        scope: Scope::Agent,
        unit: Unit::Calls,
        window: Window::Total,
        vendor: None,
        operations: vec![OperationPattern::parse("POST /v1/*").expect("a pattern")],
    };
    let account = shape.account("default/a");
    let counted = Line { account, unit: Unit::Calls, window: Window::Total, limit: None };
    held(&two, with_facts(1)).await;
    one.declare(vec![shape.clone()]).await.expect("declared");
    assert_eq!(at(&one, &counted).await, (0, 1), "the hold that was open counts");
    held(&two, with_facts(2)).await;
    assert_eq!(at(&one, &counted).await, (0, 2), "the other node's next call counts");
    two.settle(commit(1, 0, true)).await.expect("committed");
    two.declare(vec![shape.clone()]).await.expect("declared");
    one.declare(vec![]).await.expect("undeclared");
    // Node two's own policy has it, so its calls name the account themselves.
    held(&two, Reserve { lines: [counted.clone()].into(), ..with_facts(3) }).await;
    assert_eq!(at(&one, &counted).await, (1, 2), "node two still wants it");
    held(&one, with_facts(5)).await;
    assert_eq!(at(&one, &counted).await, (1, 3), "so node one counts it again");
    assert_eq!(one.check().await.expect("compared").differences, []);
    two.declare(vec![]).await.expect("undeclared");
    held(&two, with_facts(4)).await;
    held(&one, with_facts(6)).await;
    assert_eq!(at(&one, &counted).await, (1, 3), "nobody wants it");
}

fn with_facts(n: u32) -> Reserve {
    let mut ask = ask(n, &[usd("a", 100)], 1);
    ask.opening.facts = Some(facts("a").into());
    ask
}

/// Who waits on one node learns that a hold ended on another.
#[tokio::test]
async fn a_hold_that_ends_elsewhere_lets_go_on_who_waits() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let one: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    let two: Store = Arc::new(node(&server, "bursar", "two", &dir).await);
    let lines = [usd("a", 100)];
    held(&two, ask(1, &lines, 100)).await;
    assert_eq!(short(&one, ask(2, &lines, 100)).await.cause, Cause::Held);
    let pause = one.recheck().expect("it asks again");
    assert!(pause <= Duration::from_millis(100), "{pause:?}");
    two.settle(release(1)).await.expect("released");
    held(&one, ask(2, &lines, 100)).await;
}

/// A limit that no script counts exactly is refused before it is sent.
#[tokio::test]
async fn amounts_beyond_2_to_the_53_are_refused() {
    let (dir, server) = (TempDir::new().expect("a folder"), Server::start());
    let store: Store = Arc::new(node(&server, "bursar", "one", &dir).await);
    let refused = store.reserve(ask(1, &[usd("a", MAX_AMOUNT + 1)], 1)).await;
    assert!(matches!(&refused, Err(LedgerError::Hold(_, why)) if why.contains("2^53-1")), "{refused:?}");
    let free = [line("a", Unit::Usd, Window::Month, None)];
    held(&store, ask(1, &free, MAX_AMOUNT)).await;
    let refused = store.reserve(ask(2, &free, 1)).await;
    assert!(matches!(&refused, Err(LedgerError::Hold(_, why)) if why.contains("2^53-1")), "{refused:?}");
    assert_eq!(at(&store, &free[0]).await, (0, MAX_AMOUNT));
    store.settle(commit(1, MAX_AMOUNT, true)).await.expect("committed");
    assert_eq!(at(&store, &free[0]).await, (MAX_AMOUNT, 0), "to the last digit");
}
