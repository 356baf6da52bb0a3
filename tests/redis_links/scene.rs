//! Opening links, and a script that counts: what one sees of a call through a link without a ledger on it.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use bursar::adapters::ledger::redis::link::{Link, LinkError, Options, Patience};
use bursar::config::redis::RedisAddress;

use crate::common::SOON;

/// More than one would set for real: the machine may be busy with other tests.
pub fn patient() -> Options {
    let patience = Patience { connect: Duration::from_secs(3), answer: Duration::from_secs(1) };
    Options { patience, ..Options::default() }
}

pub async fn opened(url: &str, options: Options) -> Result<Link, LinkError> {
    let address = RedisAddress::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
    Link::open(address, "{bursar}:meta", options).await
}

pub async fn link(url: &str) -> Link {
    link_with(url, patient()).await
}

pub async fn link_with(url: &str, options: Options) -> Link {
    opened(url, options).await.unwrap_or_else(|e| panic!("{url}: {e}"))
}

/// Why it is not opened.
pub async fn refused(url: &str, options: Options) -> String {
    opened(url, options).await.err().unwrap_or_else(|| panic!("{url} is taken")).to_string()
}

/// Asks until it is there.
pub async fn eventually<T, E: Debug>(what: &str, mut fact: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + SOON;
    loop {
        match fact().await {
            Ok(found) => return found,
            Err(e) => assert!(Instant::now() < end, "waited {SOON:?} in vain for: {what}; at last {e:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub struct Count;

/// Says how often it ran.
pub const COUNT: Count = Count;

impl Count {
    fn script() -> redis::Script {
        redis::Script::new("#!lua flags=\nreturn redis.call('INCR', KEYS[1])")
    }

    pub async fn on(&self, link: &Link) -> Result<i64, LinkError> {
        let answer = link.run(Self::script().prepare_invoke().key("{bursar}:count")).await?;
        Ok(redis::from_redis_value(answer).expect("a number"))
    }

    /// With what it lacks in replicas.
    pub async fn kept_on(&self, link: &Link) -> Result<(i64, Option<String>), LinkError> {
        let kept = link.run_kept(Self::script().prepare_invoke().key("{bursar}:count")).await?;
        Ok((redis::from_redis_value(kept.value).expect("a number"), kept.lacking))
    }
}
