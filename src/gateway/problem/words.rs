//! The longer sentences of `problem`, and what it says of a budget.

use serde_json::{Map, Value, json};

use crate::adapters::switchboard::Cause as Stopper;
use crate::adapters::upstream::Why as Forbidden;
use crate::rules::ledger::ask::Short;

pub(super) fn aborted(cause: &Stopper) -> String {
    match cause {
        Stopper::Flag(_) => format!("This call was revoked while it ran: {cause}. Do not repeat it."),
        Stopper::CutOff | Stopper::Closing => format!(
            "This call was ended while it ran: {cause}. The vendor may have carried it out; look there before you repeat it."
        ),
    }
}

pub(super) fn address_refused(vendor: &str, why: Forbidden) -> String {
    let (is, must) = match why {
        Forbidden::Metadata => {
            ("a link-local or metadata address, which is never dialled", "correct the `base_url` of")
        }
        Forbidden::Private => ("private or loopback", "set `private_network = true`, if that is meant, in"),
        Forbidden::Host => ("not among `[egress] hosts`", "name its host there, if that is meant, or correct"),
        Forbidden::Range => {
            ("one that `[egress]` does not allow", "change `allow` or `deny` there, if that is meant, or correct")
        }
    };
    format!("The address of {vendor} is {is}. The operator must {must} `[vendors.{vendor}]`; nothing was sent.")
}

pub(super) fn budget_detail(short: &Short, map: &mut Map<String, Value>) {
    let Short { unit, limit, spent, held, need, .. } = short;
    map.insert("rule".into(), json!(limit.rule));
    map.insert("resets_at".into(), json!(short.resets_at));
    if limit.hidden {
        return;
    }
    let left = limit.amount.saturating_sub(*spent).saturating_sub(*held);
    map.insert("account".into(), json!(short.account));
    map.insert("unit".into(), json!(unit));
    for (name, amount) in
        [("limit", limit.amount), ("spent", *spent), ("held", *held), ("remaining", left), ("need", *need)]
    {
        map.insert(name.into(), json!(unit.bare(amount)));
    }
}

pub(super) fn too_large(limit: usize) -> String {
    format!(
        "This request's body must be read before it is sent, and is larger than the {limit} bytes that bursar reads."
    )
}

pub(super) fn outcome_unknown(vendor: &str) -> String {
    format!(
        "{vendor} may have carried out this call, but no answer came. Look there before you repeat it; with an idempotency key it could have been repeated safely."
    )
}

pub(super) fn unusable(vendor: &str, why: &str) -> String {
    format!(
        "bursar cannot hand on the answer of {vendor}: {why}. The call may have been carried out; a repeat would end in the same way."
    )
}
