//! What a call is told that came too early: when to come back, where that is soon. `problem` sends it.

use crate::rules::ledger::rates::Limited;

/// SDKs sleep as long as they are told, so a longer wait is a refusal that they do not repeat.
const LONGEST_RETRY_MILLIS: u64 = 60_000;

/// Rounded up, so that nobody comes back too early.
pub fn millis(micros: u64) -> u64 {
    micros.div_ceil(1000).max(1)
}

/// The wait in milliseconds, if it is worth waiting.
pub fn soon(limited: &Limited) -> Option<u64> {
    limited.wait.map(millis).filter(|wait| *wait <= LONGEST_RETRY_MILLIS && !limited.is_loop())
}

pub fn code(limited: &Limited) -> &'static str {
    if limited.is_loop() { "loop_detected" } else { "rate_limited" }
}

pub fn sentence(limited: &Limited) -> String {
    let rule = &limited.rule;
    if limited.is_loop() {
        return format!(
            "This is the same call again and again, more often than `{rule}` allows. Do not repeat it: its answer has been the \
             same, so do something else, or ask a person."
        );
    }
    match (soon(limited), limited.wait) {
        (Some(millis), _) => format!("Calls come faster than `{rule}` allows. Retry in {} s.", millis.div_ceil(1000)),
        (None, Some(micros)) => format!(
            "Calls come faster than `{rule}` allows, and the next one is due in {} s. Do not retry before then.",
            millis(micros).div_ceil(1000)
        ),
        (None, None) => format!("`{rule}` never allows so large a call. Do not retry."),
    }
}
