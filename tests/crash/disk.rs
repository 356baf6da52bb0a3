//! A disk that is full: nothing leaves that cannot be written, and calls go on once there is room.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{BUSY, Load, REFUSED, Told, rounds, the_books_are_right};
use crate::common::books::{LEASES, agree, all_closed, rows};
use crate::common::bursar::Key;
use crate::common::client::Ask;
use crate::common::dice::Dice;
use crate::common::house::House;
use crate::common::{SOON, http_get, wait_for};

#[test]
fn nothing_leaves_when_the_books_cannot_be_written() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.restart_with_log("/dev/null");
    files_may_grow_to(&house, &(largest_segment(&house) + 4000).to_string());
    until_it_is_full(&house, &key);
    files_may_grow_to(&house, "unlimited");
    until_there_is_room(&house, &key);
    files_may_grow_to(&house, &(largest_segment(&house) + 4000).to_string());
    until_it_is_full(&house, &key);
    house.crash();
    all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    agree(&house.vendor.received(), &rows(&house.bursar, &["--agent", "worker"]));
}

/// Each round the files may not grow any further in the midst of the load, and then bursar is killed.
#[test]
fn the_books_survive_full_disks_and_kills() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.restart_with_log("/dev/null");
    house.bursar.server.kill();
    let (mut told, mut dice) = (Told::new(), Dice(503));
    for round in 0..rounds() {
        let load = Load::begin(&house, &key, round);
        house.bursar.restart();
        load.until(&house, dice.between(10, 40));
        files_may_grow_to(&house, &(largest_segment(&house) + dice.between(0, 20_000)).to_string());
        wait_for("a disk that is full", SOON, || (ready(&house) == Some(503)).then_some(()));
        // A refusal that is told while nothing can be written has no row.
        told.extend(load.end_with_a_kill(&mut house).into_iter().filter(|(_, status)| *status != REFUSED));
    }
    house.bursar.restart();
    the_books_are_right(&house, &key, &told);
}

/// A file system of its own, as small as a forgotten partition. It needs the right to mount.
#[test]
fn a_full_file_system_refuses_calls_until_there_is_room() {
    let mut house = House::new(&[BUSY]);
    let key = house.mint("busy", "worker");
    house.bursar.server.kill();
    let Some(small) = Small::over(house.bursar.data.clone()) else {
        return eprintln!("not tested: nothing may be mounted here");
    };
    house.bursar.restart_with_log("/dev/null");
    for _ in 0..3 {
        small.fill();
        until_it_is_full(&house, &key);
        fs::remove_file(small.ballast()).expect("room");
        until_there_is_room(&house, &key);
    }
    small.fill();
    until_it_is_full(&house, &key);
    house.bursar.server.kill();
    fs::remove_file(small.ballast()).expect("room");
    house.bursar.restart();
    all_closed(&house.bursar, &["--agent", "worker"], LEASES);
    agree(&house.vendor.received(), &rows(&house.bursar, &["--agent", "worker"]));
    house.bursar.server.kill();
}

fn ready(house: &House) -> Option<u16> {
    http_get(house.port(), "/-/ready").map(|(status, _)| status)
}

/// Calls until one is refused because its row cannot be written. None of those that are refused reaches the vendor.
fn until_it_is_full(house: &House, key: &Key) {
    let (before, mut served) = (house.vendor.count(), 0);
    let refused = (0..1000).find_map(|_| {
        let answer = house.call(&Ask::chat(Some(200)).key(key));
        served += usize::from(answer.status == 200);
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("a full disk refuses calls");
    assert_eq!(refused.said(), (503, "store_down".to_owned()));
    assert_eq!(house.vendor.count() - before, served);
    assert_eq!(ready(house), Some(503));
}

fn until_there_is_room(house: &House, key: &Key) {
    wait_for("calls to be let through again", SOON, || {
        (house.call(&Ask::chat(Some(200)).key(key)).status == 200).then_some(())
    });
    assert_eq!(ready(house), Some(200));
}

fn largest_segment(house: &House) -> u64 {
    let journal = fs::read_dir(house.bursar.data.join("journal")).expect("a journal").flatten();
    journal.filter_map(|file| file.metadata().ok()).map(|m| m.len()).max().expect("a file")
}

fn files_may_grow_to(house: &House, bytes: &str) {
    let pid = house.bursar.server.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
    assert!(done.is_ok_and(|status| status.success()), "the limit cannot be set");
}

/// A small file system in place of a folder, with what was in it. Dropping it takes it away.
struct Small(PathBuf);

impl Small {
    fn over(folder: PathBuf) -> Option<Self> {
        let copy = folder.with_extension("copy");
        let run = |program: &str, args: &[&str]| Command::new(program).args(args).status().is_ok_and(|s| s.success());
        let (at, aside) = (folder.display().to_string(), copy.display().to_string());
        assert!(run("cp", &["-a", &at, &aside]), "a copy of the data");
        if !run("mount", &["-t", "tmpfs", "-o", "size=8m", "tmpfs", &at]) {
            return None;
        }
        let small = Self(folder);
        assert!(run("cp", &["-a", &format!("{aside}/."), &at]), "the data");
        Some(small)
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// All but a little.
    fn fill(&self) {
        // It fails at the end, and that is what is wanted.
        let _ = fs::write(self.ballast(), vec![0; 16 << 20]);
        let full = fs::metadata(self.ballast()).expect("a ballast").len();
        let file = fs::File::options().write(true).open(self.ballast()).expect("a ballast");
        file.set_len(full.saturating_sub(64 << 10)).expect("a little room");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
