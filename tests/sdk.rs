//! The vendors' own SDKs, for Python and for Node, through bursar to mock vendors. One test a scene and language; the
//! cases, and what each asserts, stand in `tests/sdk`. After each suite the books are compared with what the vendors
//! received, and everything that bursar wrote is searched for secrets.

mod common;
#[path = "sdk/stack.rs"]
mod stack;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::child::leashed;
use common::{SOON, repo, test_env, wait_for};
use serde_json::Value;
use stack::{CREDENTIALS, Scene, Stack};

const OPENAI: Scene = Scene { name: "openai", vendors: &["openai"], refusals: true };
const ANTHROPIC: Scene = Scene { name: "anthropic", vendors: &["anthropic"], refusals: true };
const STRIPE: Scene = Scene { name: "stripe", vendors: &["stripe"], refusals: true };
const TWILIO: Scene = Scene { name: "twilio", vendors: &["twilio"], refusals: true };
const RESEND: Scene = Scene { name: "resend", vendors: &["resend"], refusals: true };
const FAULTS: Scene = Scene { name: "faults", vendors: &["openai", "anthropic"], refusals: false };

#[test]
fn openai_python() {
    check(&OPENAI, python);
}

#[test]
fn openai_node() {
    check(&OPENAI, node);
}

#[test]
fn anthropic_python() {
    check(&ANTHROPIC, python);
}

#[test]
fn anthropic_node() {
    check(&ANTHROPIC, node);
}

#[test]
fn stripe_python() {
    check(&STRIPE, python);
}

#[test]
fn stripe_node() {
    check(&STRIPE, node);
}

#[test]
fn twilio_python() {
    check(&TWILIO, python);
}

#[test]
fn twilio_node() {
    check(&TWILIO, node);
}

#[test]
fn resend_python() {
    check(&RESEND, python);
}

#[test]
fn resend_node() {
    check(&RESEND, node);
}

#[test]
fn faults_python() {
    check(&FAULTS, python);
}

#[test]
fn faults_node() {
    check(&FAULTS, node);
}

fn check(scene: &Scene, suite: fn(&str) -> Command) {
    let stack = Stack::start(scene);
    stack.run(suite(scene.name));
    the_books_agree(&stack, scene.refusals);
    no_secret_was_written(&stack);
}

fn python(scene: &str) -> Command {
    let mut command = leashed(test_env().join("venv/bin/python"));
    command.arg(repo().join(format!("tests/sdk/py/{scene}_suite.py")));
    command
}

fn node(scene: &str) -> Command {
    let mut command = leashed("node");
    command.arg(repo().join(format!("tests/sdk/node/{scene}_suite.mjs"))).env("BURSAR_TEST_ENV", test_env());
    command
}

/// Every request that a vendor received is one admitted call in the books, and every refusal is there too.
fn the_books_agree(stack: &Stack, refusals: bool) {
    let received = stack.received();
    wait_for(&format!("{received} admitted calls in the books"), SOON, || {
        let rows = stack.bursar.json(&["audit", "query"]);
        let admitted = rows.iter().filter(|row| verdict(row).starts_with("allow")).count();
        let denied = rows.iter().filter(|row| verdict(row) == "deny").count();
        assert!(admitted <= received, "{admitted} calls in the books, {received} received: {rows:#?}");
        (admitted == received && refusals == (denied > 0)).then_some(())
    });
}

fn verdict(row: &Value) -> &str {
    row["verdict"].as_str().unwrap_or_default()
}

/// No file of bursar's, nor what it printed, holds a real credential or a vault key.
fn no_secret_was_written(stack: &Stack) {
    let mut secrets: Vec<&str> = stack.keys.iter().map(|key| key.key.as_str()).collect();
    secrets.extend(CREDENTIALS.map(|(_, credential)| credential.rsplit(':').next().unwrap_or(credential)));
    search(stack.bursar.server.output().as_bytes(), "bursar's output", &secrets);
    search_folder(&stack.bursar.data, &secrets);
}

fn search_folder(folder: &Path, secrets: &[&str]) {
    for entry in fs::read_dir(folder).expect("the data folder").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind of file"));
        if kind.is_dir() {
            search_folder(&path, secrets);
        } else if kind.is_file() {
            search(&fs::read(&path).expect("a file of the data folder"), &path.display().to_string(), secrets);
        }
    }
}

fn search(bytes: &[u8], place: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} stands in {place}");
    }
}
