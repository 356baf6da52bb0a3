//! Tells approvers of requests that wait: a signed message to each one's webhook, as Slack's incoming webhooks take it, with
//! a link that is that person's own. Repeated until it arrives or the request is decided. Of several nodes one at a time does
//! it, and another goes on should that one die.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ControlState;
use crate::adapters::approvals::{ApprovalError, Record, Telling};
use crate::adapters::sinks::Webhook;
use crate::units::ids::ApprovalId;
use crate::units::time::Timestamp;

/// After a message that did not arrive.
const AGAIN: Duration = Duration::from_secs(5);

/// What was told to somebody.
type Told = HashSet<ApprovalId>;

/// Until the end. `app` runs it.
pub async fn keep_asking(state: Arc<ControlState>) {
    // Each for themselves: a receiver that hangs delays nobody else's message.
    join_all(state.approvers.hooks().map(|(name, hook)| keep_telling(&state, name, hook))).await;
}

async fn keep_telling(state: &Arc<ControlState>, name: &Arc<str>, hook: &Webhook) {
    let mut told = Told::new();
    let mut changes = state.approvals.changes();
    loop {
        changes.borrow_and_update();
        let all = tell_all(state, (name, hook), &mut told).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN), if !all => {}
            () = state.stop.cancelled() => return,
        }
    }
}

/// Says whether everybody knows of everything.
async fn tell_all(state: &Arc<ControlState>, (name, hook): (&Arc<str>, &Webhook), told: &mut Told) -> bool {
    let Ok(pending) = state.approvals.list(false, Timestamp::now()).await else { return false };
    // What is decided is told to nobody any more.
    told.retain(|id| pending.iter().any(|record| record.id == *id));
    let new = pending.iter().filter(|record| !told.contains(&record.id));
    let sent = join_all(new.map(async |record| tell(state, record, name, hook).await.then(|| record.id.clone()))).await;
    let all = sent.iter().all(Option::is_some);
    told.extend(sent.into_iter().flatten());
    all
}

/// `false`: to be tried again.
async fn tell(state: &ControlState, record: &Record, name: &Arc<str>, hook: &Webhook) -> bool {
    match tried(state, record, name, hook).await {
        Ok(known) => known,
        Err(why) => {
            tracing::warn!(approval = %record.id, approver = %name, "a request for approval could not be told: {why}");
            false
        }
    }
}

async fn tried(state: &ControlState, record: &Record, name: &Arc<str>, hook: &Webhook) -> Result<bool, String> {
    let (approvals, what) = (&state.approvals, (record.id.clone(), record.asked_at));
    let failed = |e: ApprovalError| e.to_string();
    let proof = state.approvers.proof(&record.id, name, record.open_until);
    match approvals.begin_telling(what.clone(), name.clone(), proof, Timestamp::now()).await.map_err(failed)? {
        Telling::Mine => {}
        Telling::Theirs => return Ok(false),
        Telling::Done => return Ok(true),
    }
    let link = state.approvers.link(&record.id, name, record.open_until);
    let id = format!("{}-{}-{name}", record.id, record.asked_at.0);
    let sent = hook.tell(id, message(record, &link).to_string()).await;
    approvals.told(what, name.clone(), sent.is_ok()).await.map_err(failed)?;
    sent.map(|()| true)
}

/// `text` is what receivers show that know no blocks.
fn message(record: &Record, link: &str) -> Value {
    let request = &record.request;
    let agent = request.subject.agent.as_deref().unwrap_or("an agent without a name");
    let words = plain(&format!(
        "{agent} wants {} {} at {} (at most {} USD)",
        request.method, request.path, request.vendor, request.estimate_usd
    ));
    let why = plain(&format!("Asked by {}. {} until {}.", request.because.join(", "), record.id, record.open_until));
    let button = json!({ "type": "button", "text": { "type": "plain_text", "text": "Look and decide" }, "url": link });
    json!({
        "text": format!("{words}: <{}|look and decide>", plain(link)),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("*{words}*\n{why}") } },
            { "type": "actions", "elements": [button] },
        ],
    })
}

/// As Slack wants it, so that nothing of a request becomes a link or a mention.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
