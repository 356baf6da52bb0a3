//! Bodies that a policy asks to keep: the request before it leaves, the answer as the caller gets it. `adapters::captures`
//! keeps them; the books know nothing of it.

use super::admit::{Judged, Sendable};
use super::problem::Problem;
use super::settle::Ending;
use crate::adapters::captures::{Part, Taking};
use crate::units::time::Timestamp;

/// Keeps the request, and makes ready for the answer. What is to be kept and cannot be does not leave.
pub async fn begin(judged: &Judged<'_>, body: &Sendable) -> Result<Option<Box<Taking>>, Problem> {
    let Some(capture) = judged.policies.capture(&judged.facts.policy) else { return Ok(None) };
    let until = Timestamp::now().plus_secs(i64::try_from(capture.keep.as_secs()).unwrap_or(i64::MAX));
    let (captures, call) = (&judged.gateway.captures, judged.context.call);
    let of = |part| Taking::new(captures.clone(), call, part, until, capture.most);
    if let (true, Some(bytes)) = (capture.requests, body.bytes()) {
        let mut request = of(Part::Request);
        request.push(bytes);
        request.keep().await.map_err(|error| {
            tracing::error!(%call, %error, "a call was refused: its request is to be kept, and cannot be");
            Problem::StoreDown
        })?;
    }
    Ok(capture.answers.then(|| Box::new(of(Part::Answer))))
}

pub fn push(taking: &mut Option<Box<Taking>>, piece: &[u8]) {
    if let Some(taking) = taking {
        taking.push(piece);
    }
}

/// The call has happened: if its answer cannot be kept, its row says so.
pub async fn end(taking: Box<Taking>, ending: &mut Ending) {
    if let Err(error) = taking.keep().await {
        tracing::error!(%error, "an answer could not be kept");
        ending.error.get_or_insert_with(|| "the answer was to be kept, and could not be".to_owned());
    }
}
