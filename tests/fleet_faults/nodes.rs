//! The nodes: killed in the middle, and with clocks that are wrong.

use super::load::{capped, ready, under_load};
use crate::common::bursar::Bursar;
use crate::common::fleet::{Fleet, audit, configuration};

/// Its calls in flight are charged in full once their leases are over, by whichever node notices.
#[test]
fn a_node_is_killed_and_comes_back() {
    under_load(&mut Fleet::new(&[&capped()], 3), |fleet, load| {
        let writer = fleet.writer();
        fleet.nodes[writer].server.kill();
        load.serves(10);
        fleet.nodes[writer].restart();
        load.serves(5);
    });
}

/// Windows and leases go by the clock of Redis alone.
#[test]
fn clocks_of_nodes_jump() {
    let mut fleet = Fleet::new(&[&capped()], 0);
    let config = configuration(&fleet.redis.url(), &audit(&fleet.postgres), "");
    let times: Vec<_> = (0..3).map(|n| fleet.dir.path().join(format!("clock-{n}"))).collect();
    for (n, file) in times.iter().enumerate() {
        std::fs::write(file, "+0").expect("a clock");
        let mut setup = fleet.setup(n, &config);
        setup.env.push(("LD_PRELOAD".to_owned(), faketime()));
        setup.env.push(("FAKETIME_TIMESTAMP_FILE".to_owned(), file.display().to_string()));
        setup.env.push(("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()));
        setup.env.push(("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
        fleet.nodes.push(Bursar::start(&fleet.folder(n), setup));
    }
    under_load(&mut fleet, |fleet, load| {
        for (file, jump) in times.iter().zip(["+40d", "-40d", "+3h"]) {
            std::fs::write(file, jump).expect("a clock");
            load.serves(5);
        }
        times.iter().for_each(|file| std::fs::write(file, "+0").expect("a clock"));
        fleet.nodes.iter().for_each(ready);
    });
}

/// Of the Debian package `libfaketime`, which `tests/run` installs.
fn faketime() -> String {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let file = places.map(|place| format!("{place}/faketime/libfaketime.so.1"));
    file.into_iter().find(|f| std::path::Path::new(f).exists()).expect("libfaketime is installed")
}
