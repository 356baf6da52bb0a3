//! Flags of a common ledger, carried out here: calls in flight end, then the door knows, then this node says that it has
//! obeyed, and never before: who revokes counts on the door. Each change has a number; whoever misses one fetches all. The
//! script that reserves reads the flags itself, so what is late here admits nothing. What is in doubt stays off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{Others, keys};
use crate::adapters::fleet::bell::{Bell, Heard, Ring};
use crate::adapters::fleet::{BEAT_EVERY, Fleet, FleetError, is_canary};
use crate::adapters::keyring::shared::Shared;
use crate::adapters::keyring::{FlagRecord, KeyringError};
use crate::control::ControlState;
use crate::control::switch::{confirm, on_disk};
use crate::rules::subject::Flag;
use crate::units::time::Timestamp;

/// A slow disk holds up no other flag for longer.
const DISK: Duration = Duration::from_millis(300);
/// How the names of flags begin, among all that is shared.
const FLAG: &str = "flag ";
/// Between what is shared of a flag and the ledger's own word.
const LEDGER_NEXT: Duration = Duration::from_secs(1);
/// A node that shared the end of a flag tells the ledger within this time, or has failed to.
const UNFINISHED_SECS: i64 = 10;

/// What the subscription should have heard by now.
#[derive(Default)]
struct Ears {
    heard: u64,
    missed: Option<Instant>,
}

/// Hears and obeys, for ever.
pub(super) async fn listen(state: &Arc<ControlState>, others: &Others, fleet: &Arc<Fleet>) {
    let (mut bell, mut ears) = (Bell::new(fleet), Ears::default());
    loop {
        tokio::select! {
            heard = bell.next() => match heard {
                Heard::Open => {
                    ears = Ears::default();
                    fetch(state, fleet, &mut ears).await;
                    others.look.notify_one();
                }
                Heard::Ring(ring) => rung(state, others, fleet, ring, &mut ears).await,
            },
            () = fleet.beaten() => {
                if ears.deaf(fleet) {
                    tracing::warn!("a change of a flag was not heard and had to be fetched: subscribing anew");
                    bell.distrust();
                } else if fleet.flags_behind() {
                    fetch(state, fleet, &mut ears).await;
                }
                if fleet.keys_behind() {
                    others.look.notify_one();
                }
            }
        }
    }
}

impl Ears {
    /// Has the subscription not heard for a while what a heartbeat knew?
    fn deaf(&mut self, fleet: &Fleet) -> bool {
        match self.missed {
            Some(_) if self.heard >= fleet.obeyed() => self.missed = None,
            Some(since) if since.elapsed() > 2 * BEAT_EVERY => {
                self.missed = None;
                return true;
            }
            _ => {}
        }
        false
    }
}

async fn fetch(state: &Arc<ControlState>, fleet: &Fleet, ears: &mut Ears) {
    match reconcile(state, fleet).await {
        // The message may still be on its way; if it does not come, the subscription is not to be trusted.
        Ok(number) if ears.heard > 0 && number > ears.heard => ears.missed = ears.missed.or(Some(Instant::now())),
        Ok(number) => ears.heard = number,
        Err(why) => tracing::warn!("the flags cannot be fetched, those that are known hold: {why}"),
    }
}

async fn rung(state: &Arc<ControlState>, others: &Others, fleet: &Arc<Fleet>, ring: Ring, ears: &mut Ears) {
    match ring {
        Ring::Flag { number, on, flag } => {
            let expected = fleet.obeyed() + 1;
            ears.heard = ears.heard.max(number);
            let done = turned(state, fleet, on, flag).await;
            match number {
                _ if number == expected && done => fleet.obey(number),
                // Fetched already; or the next heartbeat shows that it is not carried out, and all are fetched.
                _ if number <= expected => {}
                _ => fetch(state, fleet, ears).await,
            }
        }
        Ring::Shared { number, name } => {
            // Many keys at once are read together, so that no flag waits behind them.
            if number != fleet.known() + 1 {
                others.look.notify_one();
            } else if name.starts_with(FLAG) {
                fleet.knows(number);
                tokio::spawn(should_it_fail(state.clone(), fleet.clone(), name));
            } else if matches!(timeout(DISK, keys::named(state, fleet, &name)).await, Ok(Ok(()))) {
                fleet.knows(number);
            } else {
                others.look.notify_one();
            }
        }
        // Those that come until it is set are ended when it is.
        Ring::Stopping(flag) => end_calls(state, &flag),
        Ring::Sign => sign(state),
        Ring::Projected(_) => {}
    }
}

/// Another node wants to hand out evidence. Whoever does not write the books has nothing to sign.
fn sign(state: &Arc<ControlState>) {
    let state = state.clone();
    tokio::spawn(async move {
        if let Err(why) = state.evidence.seal_rest().await {
            tracing::warn!("another node asked for a checkpoint, and none could be made: {why}");
        }
    });
}

/// The ledger says next what a flag's name announced, and then it is carried out. A node may fail in between.
async fn should_it_fail(state: Arc<ControlState>, fleet: Arc<Fleet>, name: String) {
    tokio::time::sleep(LEDGER_NEXT).await;
    if let Err(why) = keys::named(&state, &fleet, &name).await {
        tracing::warn!("what is shared as `{name}` is not known yet: {why}");
    }
    // The node that said it may have died before the durable table had it.
    if let Err(why) = keep(&state, &fleet, &name).await {
        tracing::warn!("what is shared as `{name}` is not in the books' database yet: {why}");
    }
}

async fn keep(state: &ControlState, fleet: &Fleet, name: &str) -> Result<(), String> {
    let Some(others) = &state.others else { return Ok(()) };
    match fleet.shared(name).await.map_err(|e| e.to_string())? {
        Some(change) => others.put(&change).await.map_err(|e| e.to_string()),
        None => Ok(()),
    }
}

/// Was it carried out? A stop is once the door knows of it.
async fn turned(state: &Arc<ControlState>, fleet: &Fleet, on: bool, flag: Flag) -> bool {
    if is_canary(&flag) {
        state.switchboard.stop(&flag);
        if !fleet.canary_turned(on) {
            tracing::error!("the canary's call was not ended: revocations do not reach calls in flight");
        }
        return true;
    }
    if on {
        end_calls(state, &flag);
    }
    let (told, turned) = (fleet.shared(&name(&flag)).await, flag.clone());
    match told {
        Ok(Some(Shared::Flag { flag, on: said, act, at })) if said == on => {
            // The ledger's own word beats what this node only made up of a flag that nobody had shared.
            let made_up = state.keyring.known(&flag).filter(|known| !on && known.on && known.adopted());
            let at = made_up.map_or(at, |known| at.max(Timestamp(known.at.0.saturating_add(1))));
            written(take_soon(state, FlagRecord { flag, on, act, at, told: true }).await);
        }
        Ok(None) if on => adopt(state, flag).await,
        // Changed again meanwhile, which will be heard next.
        Ok(_) => {}
        Err(why) => tracing::warn!(%flag, "who turned this flag is not known yet: {why}"),
    }
    !on || state.keyring.flag(&turned).is_some()
}

fn end_calls(state: &ControlState, flag: &Flag) {
    let ended = state.switchboard.stop(flag);
    if ended > 0 {
        tracing::warn!(%flag, ended, "switched off: calls in flight were ended");
    }
}

/// As another node said it. One that is known as late or later changes nothing.
pub(super) async fn take(state: &Arc<ControlState>, record: FlagRecord) -> Result<(), KeyringError> {
    let (flag, on) = (record.flag.clone(), record.on);
    let taken = on_disk(state, move |keyring| keyring.take_flag(record)).await;
    // A call may have come in between the door and the ledger. What could not be written holds all the same.
    if on && !matches!(taken, Ok(None)) {
        end_calls(state, &flag);
    }
    taken.map(|_| ())
}

/// As `take`. A slow disk is not waited for; what was begun goes on to its end.
async fn take_soon(state: &Arc<ControlState>, record: FlagRecord) -> Result<(), KeyringError> {
    let state = state.clone();
    soon(async move { take(&state, record).await }).await
}

async fn soon(change: impl Future<Output = Result<(), KeyringError>> + Send + 'static) -> Result<(), KeyringError> {
    match timeout(DISK, tokio::spawn(change)).await {
        Ok(done) => done.unwrap_or_else(|e| Err(KeyringError::Store(e.to_string()))),
        Err(_) => Err(KeyringError::Store("the disk is slow, and is not waited for".to_owned())),
    }
}

/// Nobody says who set it; it is off all the same, and an operator can restore it.
async fn adopt(state: &Arc<ControlState>, flag: Flag) {
    let state = state.clone();
    written(
        soon(async move {
            let adopted = on_disk(&state, move |keyring| keyring.adopt(&[flag], Timestamp::now())).await;
            adopted.map(|_| ())
        })
        .await,
    );
}

/// Makes the flags here those of the ledger. Gives the number of the last change that is carried out.
async fn reconcile(state: &Arc<ControlState>, fleet: &Fleet) -> Result<u64, FleetError> {
    let before: HashMap<_, _> = state.keyring.all_flags().into_iter().map(|f| (f.flag.clone(), f)).collect();
    let flags = fleet.flags().await?;
    flags.set.iter().for_each(|flag| end_calls(state, flag));
    for flag in &flags.set {
        // What is being changed here this moment is not judged.
        let unchanged = state.keyring.known(flag) == before.get(flag).cloned();
        if unchanged && before.get(flag).is_none_or(|known| !known.on && known.told) {
            if !set_there(state, fleet, flag).await? {
                return Err(FleetError::Undone(format!("{flag} is set, and the door here does not know it yet")));
            }
        } else if let Some(known) = before.get(flag).filter(|known| unchanged && known.on && !known.told) {
            confirm(state, known.clone()).await;
        }
    }
    for known in before.values().filter(|known| known.on && known.told && !flags.set.contains(&known.flag)) {
        cleared_there(state, fleet, known).await?;
    }
    fleet.obey_all(&flags);
    Ok(flags.flagged)
}

/// Set in the ledger, and not known here. `false` if the door does not know it now either.
async fn set_there(state: &Arc<ControlState>, fleet: &Fleet, flag: &Flag) -> Result<bool, FleetError> {
    match fleet.shared(&name(flag)).await? {
        Some(Shared::Flag { flag, on: true, act, at }) => {
            written(take_soon(state, FlagRecord { flag, on: true, act, at, told: true }).await);
        }
        // Its end was shared just now, and the ledger hears of it next.
        Some(Shared::Flag { at, .. }) if at.plus_secs(UNFINISHED_SECS) > Timestamp::now() => return Ok(true),
        // Nobody told the ledger of its end, or somebody set it anew and could not share that: it stays off.
        _ => adopt(state, flag.clone()).await,
    }
    Ok(state.keyring.flag(flag).is_some())
}

/// Off here, and not in the ledger: restored, or lost there.
async fn cleared_there(state: &Arc<ControlState>, fleet: &Fleet, known: &FlagRecord) -> Result<(), FleetError> {
    match fleet.shared(&name(&known.flag)).await? {
        Some(Shared::Flag { flag, on: false, act, at }) if (at, false) > (known.at, known.on) => {
            written(take_soon(state, FlagRecord { flag, on: false, act, at, told: true }).await);
        }
        _ => {
            let known = known.clone();
            tracing::error!(flag = %known.flag, "the ledger lost a flag that is set here: it stays off, and is told again");
            let state = state.clone();
            written(soon(async move { on_disk(&state, move |keyring| keyring.doubt(&known)).await }).await);
        }
    }
    Ok(())
}

fn written(done: Result<(), KeyringError>) {
    if let Err(why) = done {
        tracing::error!("a flag holds here, and could not be written: {why}");
    }
}

/// As `Shared` names it.
fn name(flag: &Flag) -> String {
    format!("flag {}", serde_json::json!(flag))
}
