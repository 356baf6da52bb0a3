//! The fuzzer's entry to `targets::forms`.
#![no_main]
#![allow(dead_code, reason = "each entry uses its own target")]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::forms(data));
