//! The life of the process as callers and operators see it: an orderly end, one server a data folder, mistakes at start.

use std::process::Command;

use crate::common::bursar::binary;
use crate::common::child::{Proc, leashed};
use crate::common::client::{Ask, Failed, join_all, runtime, spawn_all};
use crate::common::house::House;
use crate::common::{SOON, free_port, wait_for};
use crate::house;

#[test]
fn an_orderly_end_lets_calls_finish() {
    let (mut house, key) = house();
    let port = house.port();
    let asks = [Ask::chat(Some(200)).key(&key).mock("gate"), Ask::stream(200).key(&key).mock("gate every=5")];
    let traces = asks.clone().map(|ask| ask.trace);
    let calls = spawn_all(asks.map(|ask| ask.send(port)));
    house.vendor.wait_for_count(2, SOON);
    house.bursar.server.terminate();
    wait_for("new connections to be refused", SOON, || match runtime().block_on(Ask::get("/-/live").send(port)) {
        Err(Failed::NotConnected(_)) => Some(()),
        _ => None,
    });
    assert!(house.bursar.server.ended().is_none(), "calls are in flight");
    house.vendor.open_gate();
    for answer in join_all(calls) {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
    }
    assert_eq!(house.bursar.server.wait(SOON).code(), Some(0), "{}", house.bursar.server.output());
    house.bursar.restart();
    let rows = crate::common::books::settled(&house.bursar, &["--agent", "agent"], 2, SOON);
    for trace in traces {
        let row = rows.iter().find(|row| row["trace_id"] == *trace).expect("its row");
        assert_eq!((&row["outcome"], &row["cost_usd"]), (&"ok".into(), &"0.01".into()), "{row:#}");
    }
}

#[test]
fn an_end_that_is_asked_for_three_times_waits_for_nobody() {
    let (mut house, key) = house();
    let call = spawn_all([Ask::chat(Some(200)).key(&key).mock("gate").send(house.port())]);
    house.vendor.wait_for_count(1, SOON);
    for said in ["stopping", "calls in flight were ended"] {
        house.bursar.server.terminate();
        wait_for(said, SOON, || house.bursar.server.output().contains(said).then_some(()));
    }
    assert!(house.bursar.server.ended().is_none(), "the vendor may still answer");
    house.bursar.server.terminate();
    assert_eq!(house.bursar.server.wait(std::time::Duration::from_secs(15)).code(), Some(0));
    drop(join_all(call));
}

/// Nothing in the data folder is for others to read.
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (house, _) = house();
    for name in ["", "keys.db", "books.db", "journal", "admin.sock", "admin-token"] {
        let mode = house.bursar.data.join(name).metadata().expect(name).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

/// A full disk often holds the log too.
#[test]
fn a_log_that_cannot_be_written_harms_no_call() {
    let (mut house, key) = house();
    house.bursar.restart_with_log("/dev/full");
    let rejected = house.call(&Ask::chat(Some(100)).key(&key).mock("status=401"));
    assert_eq!(rejected.said(), (403, "vendor_credential_rejected".to_owned()));
    assert_eq!(house.call(&Ask::chat(Some(100)).key(&key)).status, 200);
    house.bursar.ok(&["key", "revoke", &key.id]);
    assert_eq!(house.call(&Ask::chat(Some(100)).key(&key)).said(), (401, "key_revoked".to_owned()));
}

fn second(house: &House) -> Proc {
    let (gateway, admin) = (free_port(), free_port());
    let mut command = leashed(binary());
    command.arg("serve").arg("--data").arg(&house.bursar.data).arg("--policies").arg(&house.policies);
    command.args(["--listen", &format!("127.0.0.1:{gateway}"), "--admin", &format!("127.0.0.1:{admin}")]);
    command.current_dir(house.dir.path());
    Proc::start("second", command, house.dir.path())
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let (house, key) = house();
    let mut second = second(&house);
    let status = second.wait(SOON);
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let said = second.output();
    let folder = house.bursar.data.display().to_string();
    assert!(said.contains(&folder) && !said.contains("panicked"), "it says which folder is in use: {said}");
    assert_eq!(house.call(&Ask::get("/github/a").key(&key)).status, 200, "the first one goes on");
}

#[test]
fn a_wrong_configuration_is_told_whole_and_by_line() {
    let (house, _) = house();
    let config = house.dir.path().join("wrong.toml");
    let text = "[server]\nlisten = \"nowhere\"\n\n[vendors.openai]\nbase_uri = \"http://x\"\n\n[leger]\n";
    std::fs::write(&config, text).expect("a file");
    let done = Command::new(binary()).args(["config", "check", "--config"]).arg(&config).output().expect("bursar runs");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(!done.status.success(), "{said}");
    for part in ["wrong.toml", "listen", "nowhere", "base_uri", "leger", "2", "5", "7"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
}
