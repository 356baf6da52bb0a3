//! Turning things off and on: keys, agents, runs, tenants, policies, vendors, everyone. In this order, so that no failure in
//! between leaves more open than before: the keyring (durable, and asked at the door), the table that nodes share (durable
//! elsewhere), the ledger (in the step that reserves), the switchboard (calls in flight, which are also ended before all
//! this: nothing that is written keeps them alive). What failed half-way is said, and
//! the ledger is told again until it knows. In a fleet it returns when every live node has carried it out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;

use super::ControlState;
use super::fleet;
use super::guard::{Via, act};
use super::problem::{Problem, read};
use super::wire::{FlagList, ReasonRequest, SwitchRequest, Switched, no_name};
use crate::adapters::fleet::node::NodeAnswer;
use crate::adapters::keyring::{FlagRecord, KeyringError, Standing};
use crate::rules::books::{Act, Control};
use crate::rules::subject::{Flag, Name};
use crate::units::ids::{KeyId, Seq};
use crate::units::time::Timestamp;

type Answer = Result<Json<Switched>, Problem>;
type Body = Result<Bytes, BytesRejection>;

pub(super) async fn revoke(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (Path(id), asked): (_, ReasonRequest) = (id?, read(body)?);
    let flag = Flag::Key { id: KeyId(id.into()) };
    turn(state, flag, act(via, &headers, asked.reason), true).await
}

pub(super) async fn restore(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (Path(id), asked): (_, ReasonRequest) = (id?, read(body)?);
    let flag = Flag::Key { id: KeyId(id.into()) };
    turn(state, flag, act(via, &headers, asked.reason), false).await
}

pub(super) async fn kill(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked: SwitchRequest = read(body)?;
    turn(state, asked.flag, act(via, &headers, asked.reason), true).await
}

pub(super) async fn unkill(
    State(state): State<Arc<ControlState>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked: SwitchRequest = read(body)?;
    turn(state, asked.flag, act(via, &headers, asked.reason), false).await
}

pub(super) async fn flags(State(state): State<Arc<ControlState>>) -> Json<FlagList> {
    Json(FlagList { flags: state.keyring.flags().into_iter().map(Into::into).collect() })
}

/// In a task of its own: an operator who hangs up does not leave a kill half done.
async fn turn(state: Arc<ControlState>, flag: Flag, act: Act, off: bool) -> Answer {
    let done = tokio::spawn(async move {
        let _one_at_a_time = state.turns.switch.lock().await;
        if off { stop(&state, flag, act).await } else { start(&state, flag, act).await }
    });
    done.await?.map(Json)
}

/// By a switch of a policy. What is off already stays off by the first word.
pub(super) async fn trip(state: &Arc<ControlState>, flag: Flag, act: Act) -> Result<(), Problem> {
    let _one_at_a_time = state.turns.switch.lock().await;
    if state.keyring.flag(&flag).is_some() {
        return Ok(());
    }
    stop(state, flag, act).await.map(drop)
}

/// Nothing that the flag covers is admitted from the moment that this returns, and its calls in flight are ended.
async fn stop(state: &Arc<ControlState>, flag: Flag, act: Act) -> Result<Switched, Problem> {
    exists(state, &flag)?;
    // What is in flight ends at once; what comes until the flag is written ends below.
    fleet::stopping(state, &flag);
    let early = state.switchboard.stop(&flag);
    let at = Timestamp::now();
    let written = on_disk(state, {
        let (flag, act) = (flag.clone(), act.clone());
        move |keyring| keyring.stop(&flag, &act, at)
    })
    .await;
    // Written or not, it holds in memory now; the calls in flight and the ledger follow in any case.
    let ended = early + state.switchboard.stop(&flag);
    let unwritten = FlagRecord { flag: flag.clone(), on: true, act, at, told: false };
    let Spread { record: said, made, keeping, told } =
        spread(state, written.as_ref().unwrap_or(&unwritten).clone()).await;
    // Those that were between the door and the ledger.
    let calls_ended = ended + state.switchboard.stop(&flag);
    written.map_err(|e| Problem::Partly(format!("{calls_ended} calls in flight were ended, but {e}")))?;
    let seq = told.map_err(|e| half_told(&flag, calls_ended, &e))?;
    confirm(state, said.clone()).await;
    let nodes = carried_out(state, &said, made).await?;
    keeping.done(&said, fleet::fleet(state).is_some()).await?;
    Ok(Switched { flag, stopped: true, calls_ended, seq, at, nodes })
}

/// How far a change has come out of this node.
struct Spread {
    /// As it was said in the end.
    record: FlagRecord,
    /// When the others began to be told.
    made: Instant,
    keeping: fleet::Keeping,
    told: Result<Seq, String>,
}

/// Out of this node: the durable copy, then who says so and why, then the ledger.
async fn spread(state: &Arc<ControlState>, mut record: FlagRecord) -> Spread {
    let mut keeping = fleet::keep(state, &record).await;
    let made = Instant::now();
    let mut shared = fleet::share(state, &record).await;
    // A stop that is said now is the last word, whatever the clock of the node where something else was said before.
    if record.on && matches!(shared, Ok(false)) {
        record = said_again(state, record).await;
        keeping = fleet::keep(state, &record).await;
        shared = fleet::share(state, &record).await;
    }
    let shared = shared.and_then(|stands| if stands { Ok(()) } else { Err(OVERTAKEN.to_owned()) });
    // Without that the others do not believe that a flag is cleared; one that is set they obey in any case.
    let told = match shared {
        Err(why) if !record.on => Err(why),
        // Both, or it is told again.
        shared => tell(state, &control(&record)).await.and_then(|seq| shared.map(|()| seq)),
    };
    Spread { record, made, keeping, told }
}

const OVERTAKEN: &str = "another node switched it meanwhile, and its word is later";

/// With a time behind all that is known of the flag by now.
async fn said_again(state: &Arc<ControlState>, record: FlagRecord) -> FlagRecord {
    let again = record.clone();
    let written = on_disk(state, move |keyring| keyring.stop(&again.flag, &again.act, again.at)).await;
    written.unwrap_or_else(|_| state.keyring.flag(&record.flag).unwrap_or(record))
}

fn control(record: &FlagRecord) -> Control {
    let (flag, act) = (record.flag.clone(), record.act.clone());
    if record.on { Control::Stopped { flag, act } } else { Control::Restored { flag, act } }
}

/// What each node did. A node that may still admit something must be known.
async fn carried_out(
    state: &Arc<ControlState>,
    record: &FlagRecord,
    made: Instant,
) -> Result<Vec<NodeAnswer>, Problem> {
    let flag = &record.flag;
    let nodes = fleet::acknowledged(state, made).await.map_err(|e| {
        Problem::Partly(format!(
            "the ledger knows of the flag on {flag}, so it decides every call that asks; but whether the other nodes ended \
             their calls in flight cannot be seen: {e}"
        ))
    })?;
    let open: Vec<String> =
        nodes.iter().filter_map(|n| Some(format!("{} (until {})", n.name, n.admits_until?))).collect();
    if record.on && !open.is_empty() {
        return Err(Problem::Partly(format!(
            "the ledger knows of the flag on {flag}, and these nodes have not said that they ended their calls in flight; what \
             was lent to them they may spend until the time named: {}",
            open.join(", ")
        )));
    }
    Ok(nodes)
}

async fn start(state: &Arc<ControlState>, flag: Flag, act: Act) -> Result<Switched, Problem> {
    let at = Timestamp::now();
    let written = on_disk(state, {
        let flag = flag.clone();
        move |keyring| keyring.restore(&flag, &act, at)
    });
    let record = written.await?.ok_or_else(|| Problem::NotFound(not_off(state, &flag)))?;
    let Spread { record, made, keeping, told } = spread(state, record).await;
    let seq = told.map_err(|e| {
        if state.keyring.flag(&flag).is_some() {
            return Problem::Partly(format!("{flag} stays off: {e}; restore it again if it shall be on"));
        }
        Problem::Partly(format!("the flag on {flag} is cleared, but the ledger still refuses its calls: {e}. It is told again every few seconds"))
    })?;
    confirm(state, record.clone()).await;
    let nodes = carried_out(state, &record, made).await?;
    keeping.done(&record, fleet::fleet(state).is_some()).await?;
    Ok(Switched { flag, stopped: false, calls_ended: 0, seq, at, nodes })
}

/// A key may be off although nobody revoked it.
fn not_off(state: &ControlState, flag: &Flag) -> String {
    let key = if let Flag::Key { id } = flag { state.keyring.find(id) } else { None };
    match key.map(|key| state.keyring.standing(&key, Timestamp::now())) {
        Some(Standing::Revoked(by)) => {
            format!(
                "{flag} was not revoked itself: it ended with {}, from which it was minted; restore that one",
                by.flag
            )
        }
        Some(Standing::Expired(at)) => format!("{flag} was not revoked: it expired at {at}; mint a new one"),
        _ => format!("nothing is switched off on {flag}"),
    }
}

fn half_told(flag: &Flag, ended: usize, why: &str) -> Problem {
    Problem::Partly(format!(
        "the flag on {flag} is set and durable, {ended} calls in flight were ended, and new calls are refused at the door; \
         but the ledger does not know of it yet: {why}. It is told again every few seconds"
    ))
}

/// A name that nothing bears stops nothing: better said than believed. Agents and runs are known only once they call.
fn exists(state: &ControlState, flag: &Flag) -> Result<(), Problem> {
    let known = |found: bool, what: String| if found { Ok(()) } else { Err(Problem::NotFound(what)) };
    let bearable = |names: [&Name; 2]| {
        let wrong =
            names.iter().find_map(|name| Some(format!("nothing bears the name `{name}`: it {}", no_name(name)?)));
        wrong.map_or(Ok(()), |why| Err(Problem::Refused { code: "no_such_name", mistakes: vec![why] }))
    };
    match flag {
        Flag::Key { id } => {
            known(state.keyring.find(id).is_some(), format!("there is no key `{id}`; `bursar key list` has them all"))
        }
        Flag::Vendor { name } => {
            let names = state.vendors.iter().map(|v| &**v).collect::<Vec<_>>().join(", ");
            known(state.vendors.contains(name), format!("there is no vendor `{name}`; there are {names}"))
        }
        Flag::Policy { name } => {
            let used =
                state.policies.current().get(name).is_some() || state.keyring.list().iter().any(|k| k.policy == *name);
            known(
                used,
                format!("there is no policy `{name}`, and no key lives under it; `GET /v1/policies` has them all"),
            )
        }
        Flag::Agent { tenant, name } | Flag::Run { tenant, name } => bearable([tenant, name]),
        Flag::Tenant { name } => bearable([name, name]),
        Flag::Everyone => Ok(()),
    }
}

pub(super) async fn tell(state: &ControlState, control: &Control) -> Result<Seq, String> {
    state.ledger.control(control.clone()).await.map_err(|e| e.to_string())
}

/// The keyring blocks on the disk.
pub(super) async fn on_disk<T: Send + 'static>(
    state: &Arc<ControlState>,
    change: impl FnOnce(&crate::adapters::keyring::Keyring) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let keyring = state.keyring.clone();
    let done = tokio::task::spawn_blocking(move || change(&keyring)).await;
    done.unwrap_or_else(|e| Err(KeyringError::Store(e.to_string())))
}

pub(super) async fn confirm(state: &Arc<ControlState>, record: FlagRecord) {
    if let Err(e) = on_disk(state, move |keyring| keyring.told(&record)).await {
        tracing::warn!("the ledger knows a flag, but the keyring could not note that: {e}");
    }
}

const TELL_EVERY: Duration = Duration::from_secs(3);

/// Tells the ledger what it has not confirmed: at start, after a crash in between, and while it was down. `app` runs it.
pub async fn keep_telling(state: Arc<ControlState>) {
    loop {
        tell_again(&state).await;
        tokio::select! { () = tokio::time::sleep(TELL_EVERY) => {}, () = state.stop.cancelled() => return }
    }
}

/// A common ledger may know it from another node.
async fn tell_of(state: &Arc<ControlState>, record: &FlagRecord) -> Result<(), String> {
    // A later word of another node is told by that one; here it is known now.
    if !fleet::share(state, record).await? || fleet::stands(state, record).await? {
        return Ok(());
    }
    tell(state, &control(record)).await.map(|_| ())
}

async fn tell_again(state: &Arc<ControlState>) {
    if state.keyring.untold().is_empty() {
        return;
    }
    let _one_at_a_time = state.turns.switch.lock().await;
    for record in state.keyring.untold() {
        match tell_of(state, &record).await {
            Ok(()) => {
                // A call may have slipped in between the door and the ledger while only the door knew.
                let _ = record.on.then(|| state.switchboard.stop(&record.flag));
                confirm(state, record).await;
            }
            Err(e) => return tracing::error!("the ledger cannot be told of the flag on {}: {e}", record.flag),
        }
    }
}
