//! The sandbox's till: charges and refunds as Stripe answers them. `tok_chargeDeclined` is declined; a refund never exceeds
//! its charge; an idempotency key is honoured. Kept in memory, and bounded.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::serial;

/// Old charges are forgotten beyond this many.
const KEPT: usize = 10_000;

#[derive(Default)]
pub struct Till(Mutex<Drawer>);

#[derive(Default)]
struct Drawer {
    charges: HashMap<String, Value>,
    answers: HashMap<String, (StatusCode, Value)>,
}

type Answer = (StatusCode, Value);

fn error(status: StatusCode, kind: &str, code: &str, message: &str) -> Answer {
    (status, json!({"error": {"type": kind, "code": code, "message": message}}))
}

fn missing(field: &str) -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "invalid_request_error",
        "parameter_missing",
        &format!("Missing required param: {field}."),
    )
}

fn form(body: &Bytes) -> HashMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decode = |s: &str| percent_encoding::percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (decode(k), decode(v))).collect()
}

pub async fn charge(State(till): State<Arc<Till>>, headers: HeaderMap, body: Bytes) -> Response {
    till.once(&headers, |drawer| new_charge(drawer, &form(&body)))
}

pub async fn refund(State(till): State<Arc<Till>>, headers: HeaderMap, body: Bytes) -> Response {
    till.once(&headers, |drawer| new_refund(drawer, &form(&body)))
}

pub async fn show_charge(State(till): State<Arc<Till>>, Path(id): Path<String>) -> Response {
    match till.0.lock().charges.get(&id) {
        Some(charge) => Json(charge.clone()).into_response(),
        None => answered(error(StatusCode::NOT_FOUND, "invalid_request_error", "resource_missing", "No such charge.")),
    }
}

fn answered((status, body): Answer) -> Response {
    (status, Json(body)).into_response()
}

impl Till {
    /// The same idempotency key gets the same answer, marked as a replay.
    fn once(&self, headers: &HeaderMap, act: impl FnOnce(&mut Drawer) -> Answer) -> Response {
        let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok()).map(str::to_owned);
        let drawer = &mut *self.0.lock();
        if let Some(first) = key.as_ref().and_then(|k| drawer.answers.get(k)) {
            let mut response = answered(first.clone());
            response.headers_mut().insert("idempotent-replayed", http::HeaderValue::from_static("true"));
            return response;
        }
        let answer = act(drawer);
        if let Some(key) = key.filter(|_| drawer.answers.len() < KEPT) {
            drawer.answers.insert(key, answer.clone());
        }
        answered(answer)
    }
}

fn new_charge(drawer: &mut Drawer, form: &HashMap<String, String>) -> Answer {
    let Some(amount) = form.get("amount").and_then(|a| a.parse::<u64>().ok()) else { return missing("amount") };
    let Some(currency) = form.get("currency") else { return missing("currency") };
    if form.get("source").is_some_and(|s| s == "tok_chargeDeclined") {
        return error(StatusCode::PAYMENT_REQUIRED, "card_error", "card_declined", "Your card was declined.");
    }
    let id = format!("ch_sandbox_{}", serial());
    let captured = form.get("capture").is_none_or(|c| c != "false");
    let charge = json!({"id": id, "object": "charge", "amount": amount, "currency": currency, "paid": true,
        "status": "succeeded", "captured": captured, "amount_captured": if captured { amount } else { 0 },
        "amount_refunded": 0, "livemode": false});
    if drawer.charges.len() < KEPT {
        drawer.charges.insert(id, charge.clone());
    }
    (StatusCode::OK, charge)
}

fn new_refund(drawer: &mut Drawer, form: &HashMap<String, String>) -> Answer {
    let Some(id) = form.get("charge") else { return missing("charge") };
    let Some(charge) = drawer.charges.get_mut(id) else {
        return error(StatusCode::NOT_FOUND, "invalid_request_error", "resource_missing", "No such charge.");
    };
    let of = |field: &str| charge[field].as_u64().unwrap_or(0);
    let left = of("amount_captured").saturating_sub(of("amount_refunded"));
    let wanted = form.get("amount").map_or(Some(left), |a| a.parse().ok());
    let Some(amount) = wanted.filter(|a| *a > 0 && *a <= left) else {
        return error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "charge_already_refunded",
            "More than is left.",
        );
    };
    charge["amount_refunded"] = json!(of("amount_refunded") + amount);
    let refund = json!({"id": format!("re_sandbox_{}", serial()), "object": "refund", "amount": amount,
        "currency": charge["currency"], "charge": id, "status": "succeeded"});
    (StatusCode::OK, refund)
}
