//! The link to every kind of Redis, and to one that breaks: plain, TLS, passwords, sockets, Sentinel, Cluster, Valkey; hung,
//! cut, slow, full, read-only. What the ledger does on it stands in `redis_links/`.

mod common;
#[path = "redis_links/ledger.rs"]
mod ledger;
#[path = "redis_links/scene.rs"]
mod scene;

use std::time::{Duration, Instant};

use bursar::adapters::ledger::redis::link::{Heard, Link, LinkError, Options};
use common::cut::{Cut, Way};
use common::redis::{Cluster, Redis, Watched};
use scene::{COUNT, eventually, link, link_with, opened, patient, refused};

/// Counts on a fresh link, and hears its own bell.
async fn works(url: &str) {
    let link = link(url).await;
    assert_eq!(COUNT.on(&link).await, Ok(1), "{url}");
    assert_eq!(COUNT.on(&link).await, Ok(2), "{url}");
    let mut bell = link.subscribe("{bursar}:bell");
    assert_eq!(bell.next().await, Some(Heard::Gap));
    let mut publish = redis::cmd("PUBLISH");
    link.ask::<i64>(publish.arg("{bursar}:bell").arg("ding")).await.expect("published");
    assert_eq!(bell.next().await, Some(Heard::Message("ding".to_owned())), "{url}");
    let mut read = redis::cmd("XREAD");
    read.arg(&["BLOCK", "30", "STREAMS", "{bursar}:events", "0"]);
    let nothing = link.reader().read(&read, Duration::from_millis(30)).await;
    assert_eq!(nothing, Ok(redis::Value::Nil), "{url}");
    assert_eq!(link.trouble(), None);
}

#[tokio::test]
async fn plain_and_by_its_socket() {
    let redis = Redis::start();
    works(&redis.url()).await;
    redis.must(&["flushall"]);
    works(&format!("redis+unix://{}", redis.socket().display())).await;
}

#[tokio::test]
async fn tls_believes_the_named_authority_alone() {
    let redis = Redis::with_tls();
    let ca = redis.ca().expect("it has one").display();
    works(&format!("{}?ca={ca}", redis.url())).await;
    let why = refused(&redis.url(), Options::default()).await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn passwords_and_users() {
    let redis = Redis::with_password("hunter2");
    works(&redis.url()).await;
    redis.must(&["flushall"]);
    redis.must(&[
        "acl",
        "setuser",
        "bursar",
        "on",
        ">p@ss:word",
        "~{bursar}*",
        "&{bursar}*",
        "+@all",
        "-@dangerous",
        "+role",
        "+info",
    ]);
    works(&format!("redis://bursar:p%40ss%3Aword@127.0.0.1:{}", redis.port)).await;
    let wrong = refused(&format!("redis://:hunter3@127.0.0.1:{}", redis.port), Options::default()).await;
    assert!(!wrong.contains("hunter3"), "{wrong}");
    refused(&format!("redis://127.0.0.1:{}", redis.port), Options::default()).await;
}

#[tokio::test]
async fn sentinel_follows_a_failover_in_the_middle() {
    let mut set = Watched::start();
    works(&set.url()).await;
    let link = link(&set.url()).await;
    let mut bell = link.subscribe("{bursar}:bell");
    assert_eq!(bell.next().await, Some(Heard::Gap));
    let before = COUNT.on(&link).await.expect("counted");
    eventually("the replica has it", async || match &*set.servers[1].must(&["get", "{bursar}:count"]) {
        n if n == before.to_string() => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
    let generation = *link.generation().borrow();
    set.servers[0].kill();
    set.wait_for_primary(1);
    let after = eventually("calls after the failover", || COUNT.on(&link)).await;
    assert!(after >= before && *link.generation().borrow() > generation, "{before}, then {after}");
    assert_eq!(bell.next().await, Some(Heard::Gap), "a new subscription at the new primary");
    // The old one comes back as a replica, and nobody writes there.
    set.servers[0].restart();
    set.kill_sentinel(0);
    eventually("calls with two sentinels", || COUNT.on(&link)).await;
}

#[tokio::test]
async fn a_primary_that_an_operator_demotes_is_left() {
    let set = Watched::start();
    let link = link(&set.url()).await;
    COUNT.on(&link).await.expect("counted");
    set.fail_over();
    set.wait_for_primary(1);
    eventually("calls at the new primary", || COUNT.on(&link)).await;
    eventually("the count at the new primary", async || {
        set.servers[1].cli(&["get", "{bursar}:count"]).filter(|n| !n.is_empty()).ok_or("nothing")
    })
    .await;
}

#[tokio::test]
async fn a_cluster_is_asked_at_the_holder_of_the_slot_and_followed() {
    let mut cluster = Cluster::start();
    works(&cluster.url()).await;
    let link = link(&cluster.url()).await;
    let holder = cluster.primary_of("{bursar}:count").expect("a holder");
    cluster.servers[holder].kill();
    let after = eventually("calls after the holder's end", || COUNT.on(&link)).await;
    assert!(after >= 1);
    assert_ne!(cluster.primary_of("{bursar}:count"), Some(holder));
}

#[tokio::test]
async fn valkey_is_the_same() {
    match Redis::valkey() {
        Some(valkey) => works(&valkey.url()).await,
        None => println!("valkey-server is not installed here (Debian has it from 13 on): not tested"),
    }
}

#[tokio::test]
async fn a_hung_server_answers_down_within_the_patience_and_then_at_once() {
    let redis = Redis::start();
    let link = link(&redis.url()).await;
    COUNT.on(&link).await.expect("counted");
    redis.hang();
    let begun = Instant::now();
    let first = COUNT.on(&link).await.expect_err("it hangs");
    let took = begun.elapsed();
    assert!(
        first.may_have_run() && took < patient().patience.answer + Duration::from_secs(1),
        "{first} after {took:?}"
    );
    for _ in 0..20 {
        let begun = Instant::now();
        let next = COUNT.on(&link).await.expect_err("it hangs");
        assert!(!next.may_have_run(), "{next}");
        assert!(begun.elapsed() < Duration::from_millis(100), "refused at once, not after {:?}", begun.elapsed());
    }
    assert!(link.trouble().is_some());
    redis.go_on();
    // What was sent before it hung is done now: exactly the call whose fate was open.
    assert_eq!(eventually("calls after it went on", || COUNT.on(&link)).await, 3);
    assert_eq!(link.trouble(), None);
}

#[tokio::test]
async fn a_server_that_hangs_is_known_before_a_call_finds_out() {
    let redis = Redis::start();
    let link = link(&redis.url()).await;
    redis.hang();
    eventually("the trouble", async || link.trouble().ok_or("none")).await;
    let refused = COUNT.on(&link).await.expect_err("it hangs");
    assert!(!refused.may_have_run(), "{refused}");
    redis.go_on();
    assert_eq!(eventually("calls", || COUNT.on(&link)).await, 1, "nothing was sent while it was known to hang");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_anew_before_the_next_call() {
    let redis = Redis::start();
    let cut = Cut::before(redis.port);
    let link = link(&redis.url_at(cut.port)).await;
    COUNT.on(&link).await.expect("counted");
    for generation in 2..5 {
        // One that broke within a second of its making would be taken for a server in trouble.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        cut.cut();
        let mut generations = link.generation();
        generations.wait_for(|g| *g == generation).await.expect("a new connection");
        COUNT.on(&link).await.expect("counted on a new connection");
    }
    cut.refuse();
    eventually("the trouble", async || link.trouble().filter(|t| t.contains("cannot be reached")).ok_or("none")).await;
    cut.mend();
    assert_eq!(eventually("calls on a mended network", || COUNT.on(&link)).await, 5);
}

#[tokio::test]
async fn what_a_network_swallows_is_of_unknown_fate_and_late_answers_are_not_taken() {
    let redis = Redis::start();
    let cut = Cut::before(redis.port);
    let link = link(&redis.url_at(cut.port)).await;
    COUNT.on(&link).await.expect("counted");
    cut.swallow(Way::ToClient);
    let lost = COUNT.on(&link).await.expect_err("no answer comes");
    assert!(lost.may_have_run(), "{lost}");
    cut.mend();
    assert_eq!(eventually("calls", || COUNT.on(&link)).await, 3, "it had run");
    cut.delay(Way::ToClient, patient().patience.answer * 2);
    let late = COUNT.on(&link).await.expect_err("too late");
    assert!(late.may_have_run() && late.to_string().contains("within"), "{late}");
    cut.mend();
    assert_eq!(eventually("calls", || COUNT.on(&link)).await, 5);
}

#[tokio::test]
async fn a_flushed_script_cache_is_filled_again_unseen() {
    let redis = Redis::start();
    let link = link(&redis.url()).await;
    for n in 1..=3 {
        assert_eq!(COUNT.on(&link).await, Ok(n));
        redis.must(&["script", "flush"]);
    }
}

#[tokio::test]
async fn a_bell_misses_nothing_unnoticed() {
    let redis = Redis::start();
    let cut = Cut::before(redis.port);
    let link = link(&redis.url_at(cut.port)).await;
    let mut bell = link.subscribe("{bursar}:bell");
    assert_eq!(bell.next().await, Some(Heard::Gap));
    redis.must(&["publish", "{bursar}:bell", "one"]);
    assert_eq!(bell.next().await, Some(Heard::Message("one".to_owned())));
    cut.cut();
    assert_eq!(bell.next().await, Some(Heard::Gap), "after the gap everything is heard");
    // The link's own connection may have been found cut a moment later: then there is one more gap.
    eventually("the next message", async || {
        redis.must(&["publish", "{bursar}:bell", "two"]);
        match bell.next().await {
            Some(Heard::Message(text)) if text == "two" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    redis.hang();
    eventually("the trouble", async || link.trouble().ok_or("none")).await;
    redis.go_on();
    while bell.next().await != Some(Heard::Gap) {}
}

#[tokio::test]
async fn servers_that_cannot_hold_a_ledger_are_refused_at_start() {
    let drops = Redis::with(&["--maxmemory-policy", "allkeys-lru"]);
    assert!(refused(&drops.url(), patient()).await.contains("noeviction"));
    let primary = Redis::start();
    let replica = Redis::replica_of(&primary);
    assert!(refused(&replica.url(), patient()).await.contains("read-only replica"));
    let nobody = format!("redis://127.0.0.1:{}", common::free_port());
    assert!(refused(&nobody, patient()).await.contains("cannot be reached"));
    assert!(refused(&format!("redis+cluster://127.0.0.1:{}", primary.port), patient()).await.contains("cluster"));
    primary.hang();
    let begun = Instant::now();
    refused(&primary.url(), patient()).await;
    assert!(begun.elapsed() < patient().patience.connect + Duration::from_secs(2));
}

#[tokio::test]
async fn refusals_of_a_full_or_lonely_server_say_so_and_pass() {
    let redis = Redis::start();
    let link = link(&redis.url()).await;
    COUNT.on(&link).await.expect("counted");
    redis.must(&["config", "set", "maxmemory", "1"]);
    let full = COUNT.on(&link).await.expect_err("it is full");
    assert!(!full.may_have_run() && full.to_string().contains("maxmemory"), "{full}");
    assert!(link.trouble().is_some_and(|t| t.contains("OOM")));
    redis.must(&["config", "set", "maxmemory", "0"]);
    redis.must(&["config", "set", "min-replicas-to-write", "1"]);
    let lonely = COUNT.on(&link).await.expect_err("no replica");
    assert!(!lonely.may_have_run() && lonely.to_string().contains("min-replicas-to-write"), "{lonely}");
    redis.must(&["config", "set", "min-replicas-to-write", "0"]);
    assert_eq!(COUNT.on(&link).await, Ok(2));
    eventually("the trouble to pass", async || if link.trouble().is_none() { Ok(()) } else { Err("it lasts") }).await;
}

#[tokio::test]
async fn writes_that_too_few_replicas_have_are_told() {
    let primary = Redis::start();
    let mut replica = Redis::replica_of(&primary);
    let link = link_with(&primary.url(), Options { wait_replicas: 1, ..patient() }).await;
    let kept = async || match COUNT.kept_on(&link).await {
        Ok((n, None)) => Ok(n),
        other => Err(other),
    };
    let before = eventually("the replica's word", kept).await;
    replica.kill();
    let (n, lacking) = COUNT.kept_on(&link).await.expect("counted");
    assert!(
        n == before + 1 && lacking.is_some_and(|why| why.contains("wait_replicas")),
        "it ran, and says what it lacks"
    );
    replica.restart();
    eventually("the replica again", kept).await;
}

#[tokio::test]
async fn a_server_made_a_replica_under_way_is_left_until_it_is_primary_again() {
    let (redis, other) = (Redis::start(), Redis::start());
    let link = link(&redis.url()).await;
    COUNT.on(&link).await.expect("counted");
    redis.must(&["replicaof", "127.0.0.1", &other.port.to_string()]);
    let read_only = COUNT.on(&link).await.expect_err("it is a replica");
    assert!(!read_only.may_have_run(), "{read_only}");
    eventually("the trouble", async || link.trouble().filter(|t| t.contains("replica")).ok_or("none")).await;
    redis.must(&["replicaof", "no", "one"]);
    eventually("calls", || COUNT.on(&link)).await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_each_get_their_own_answer() {
    let redis = Redis::start();
    let link = opened(&redis.url(), patient()).await.expect("a link");
    let calls = (0..100).map(|_| COUNT.on(&link));
    let mut counted: Vec<i64> =
        futures_util::future::join_all(calls).await.into_iter().collect::<Result<_, LinkError>>().expect("all");
    counted.sort_unstable();
    assert_eq!(counted, (1..=100).collect::<Vec<_>>());
    let _: Link = link;
}
