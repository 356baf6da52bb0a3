//! Keeps connections to the primary: finds it, looks at it, watches it while it is used, and begins again when it is gone.
//! One task; callers only see its state. Attempts back off with jitter, so that many nodes do not come back as one.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep, timeout};

use super::dial::Endpoint;
use super::lanes::{Ended, Lane, Lanes, Over};
use super::probe::Info;
use super::{Shared, State};

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// Between two looks at a connection, busy or not: a server that hangs is known before a call finds out.
const LOOK: Duration = Duration::from_secs(1);
/// A connection that lived shorter did not end the trouble.
const LIVED: Duration = Duration::from_secs(1);
/// Connections that `WAIT` may hold up.
const WAITING: usize = 8;

/// Until it is cancelled.
pub(super) async fn keep(shared: Arc<Shared>, first: Arc<Lanes>) {
    let (mut lanes, mut failed) = (Some(first), 0);
    loop {
        if let Some(lanes) = lanes.take() {
            tracing::info!("the ledger is connected to redis at {}", lanes.at);
            let begun = Instant::now();
            let ended = watch(&shared, &lanes).await;
            tracing::warn!("the ledger has lost its redis: {}", ended.why);
            failed = if begun.elapsed() < LIVED { failed + 1 } else { u32::from(ended.hangs) };
            // One that has only just broken off is most likely there again at once.
            let next = if failed > 0 { State::Down(ended.why.into()) } else { State::Joining };
            shared.state.send_replace(next);
            tokio::spawn(linger(lanes, shared.options.patience.answer));
        }
        sleep(pause(failed)).await;
        match join(&shared).await {
            Ok(new) => lanes = Some(new),
            Err(why) => {
                tracing::warn!("the ledger is without its redis: {why}");
                shared.state.send_replace(State::Down(why.into()));
                failed += 1;
            }
        }
    }
}

/// Who waits for an answer on old connections still gets it, if it comes in time.
async fn linger(lanes: Arc<Lanes>, patience: Duration) {
    sleep(patience).await;
    drop(lanes);
}

/// Doubles from the shortest to the longest; half of it is chance.
fn pause(failed: u32) -> Duration {
    if failed == 0 {
        return Duration::ZERO;
    }
    let full = SHORTEST.saturating_mul(1 << (failed - 1).min(10)).min(LONGEST);
    // Without chance it is only less spread.
    let chance = getrandom::u32().unwrap_or_default() % 1024;
    full / 2 + full / 2 * chance / 1024
}

/// New connections to the primary of this moment, for all callers.
pub(super) async fn join(shared: &Shared) -> Result<Arc<Lanes>, String> {
    let at = shared.finder.find().await?;
    let over = Over::default();
    let plain = lane(shared, &at, &over).await?;
    examine(shared, &at, &plain).await?;
    let aside = lane(shared, &at, &over).await?;
    let mut waiting = Vec::new();
    if shared.options.wait_replicas > 0 {
        for _ in 0..WAITING {
            waiting.push(lane(shared, &at, &over).await?);
        }
    }
    let generation = *shared.generation.borrow() + 1;
    let lanes = Arc::new(Lanes::new(generation, at, [plain, aside], waiting, over));
    // First the number, so that whoever is answered by the new ones sees that they are new.
    shared.generation.send_replace(generation);
    shared.state.send_replace(State::Up(lanes.clone()));
    Ok(lanes)
}

async fn lane(shared: &Shared, at: &Endpoint, over: &Over) -> Result<Lane, String> {
    let (over, place) = (over.clone(), at.to_string());
    let ended = move || over.because(format_args!("redis at {place} closed the connection"), false);
    shared.finder.dial().connect(at, shared.finder.who()?, ended).await.map(Lane::new)
}

/// May the ledger lie there now?
async fn examine(shared: &Shared, at: &Endpoint, lane: &Lane) -> Result<(), String> {
    let info = match asked(shared, at, lane, &["INFO"]).await? {
        Value::ServerError(e) if e.code() == "NOPERM" => {
            shared.warn_once(format!("redis at {at} does not tell what it is ({e}); its settings are not checked"));
            return Ok(());
        }
        // An error, too, is told by its own words.
        info => redis::from_redis_value::<String>(info).map_err(|e| format!("redis at {at}: {e}"))?,
    };
    let info = Info::new(&info);
    if let Some(why) = info.refusal(at) {
        return Err(why);
    }
    for warning in info.warnings(shared.options.wait_replicas) {
        shared.warn_once(format!("redis at {at}: {warning}"));
    }
    if shared.finder.is_cluster() { whole(shared, at, lane).await } else { Ok(()) }
}

/// A node that is cut off from the others knows slots that others hold by now.
async fn whole(shared: &Shared, at: &Endpoint, lane: &Lane) -> Result<(), String> {
    let said = asked(shared, at, lane, &["CLUSTER", "INFO"]).await?;
    let said = redis::from_redis_value::<String>(said).unwrap_or_default();
    if said.contains("cluster_state:fail") {
        return Err(format!("redis at {at} says that the cluster is down"));
    }
    Ok(())
}

async fn asked(shared: &Shared, at: &Endpoint, lane: &Lane, words: &[&str]) -> Result<Value, String> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    let (mut connection, patience) = (lane.connection(), shared.options.patience.answer);
    match timeout(patience, connection.send_packed_command(&command)).await {
        Ok(answered) => answered.map_err(|e| format!("redis at {at}: {e}")),
        Err(_) => Err(format!("redis at {at} gave no answer within {patience:?}")),
    }
}

/// Returns when the connections are of no more use.
async fn watch(shared: &Shared, lanes: &Lanes) -> Ended {
    loop {
        let look = async {
            sleep(LOOK).await;
            asked(shared, &lanes.at, &lanes.plain, &["ROLE"]).await
        };
        let looked = tokio::select! {
            ended = lanes.over().told() => return ended,
            looked = look => looked,
        };
        match looked {
            Ok(Value::Array(parts)) if role(&parts) == Some("slave") => {
                let why = format_args!("redis at {} has become a replica", lanes.at);
                lanes.over().because(why, false);
            }
            Ok(_) => {}
            Err(why) => lanes.over().because(why, true),
        }
    }
}

fn role(parts: &[Value]) -> Option<&str> {
    match parts.first()? {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_two_seconds_and_half_of_each_is_chance() {
        assert_eq!(pause(0), Duration::ZERO);
        for (failed, full) in [(1, 50), (2, 100), (5, 800), (7, 2000), (u32::MAX, 2000)] {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let paused = pause(failed);
                assert!(full / 2 <= paused && paused <= full, "{failed}: {paused:?}");
            }
        }
    }
}
