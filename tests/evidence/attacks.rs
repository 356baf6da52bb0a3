//! What somebody can do who has the database, the key, or both; and what anchors add. The table in README, as tests.

use std::time::Duration;

use bursar::adapters::audit::AuditStore;
use bursar::adapters::audit::evidence::Every;
use bursar::adapters::audit::evidence::key::SigningKey;
use bursar::adapters::audit::evidence::{index, walk};
use bursar::rules::evidence::anchors::Anchors;
use bursar::rules::evidence::check::Checker;
use bursar::rules::evidence::check::fault::{Row, What};
use bursar::rules::evidence::lines::Line;
use bursar::rules::evidence::proof::Proof;
use bursar::rules::evidence::{Checkpoint, Signed};
use bursar::units::ids::{Digest32, Seq};

use super::common::{SOON, wait_for};
use super::scene::{Scene, anchored, call, verify};

fn none() -> Anchors {
    Anchors::default()
}

fn db(scene: &Scene) -> rusqlite::Connection {
    rusqlite::Connection::open(scene.data().join("books.db")).expect("the books")
}

#[test]
fn an_export_says_what_it_covers() {
    let mut scene = Scene::new();
    scene.grow(30);
    let whole = verify(&scene.export(1, None), &[scene.key()], scene.anchors()).expect("sound");
    assert_eq!((whole.from, whole.to, whole.events, whole.checkpoints, whole.anchored), (1, 30, 30, 5, 5));
    assert!(whole.confirmed && whole.asked_to.is_none() && whole.unsigned == 0);
    let part = verify(&scene.export(9, Some(16)), &[scene.key()], scene.anchors()).expect("sound");
    assert_eq!((part.from, part.to, part.asked_to, part.anchored_to), (8, 21, Some(16), Some(30)), "whole intervals");
    assert!(!verify(&scene.export(1, None), &[], none()).expect("sound").confirmed);
}

#[test]
fn with_the_database_alone_a_change_shows_and_is_not_signed_over() {
    let mut scene = Scene::new();
    scene.grow(16);
    scene.seal();
    let key = scene.key();
    db(&scene)
        .execute("UPDATE events SET body = replace(body, '/v1/refunds/5', '/v1/refunds/6') WHERE seq = 5", [])
        .expect("changed");
    let fault = verify(&scene.export(1, None), &[key], none()).expect_err("changed");
    assert_eq!((fault.row, fault.what), (Row::Event(5), What::Changed));
    // What no checkpoint covers yet is not signed once it was changed.
    scene.grow(4);
    db(&scene).execute("DELETE FROM events WHERE seq = 18", []).expect("deleted");
    scene.reopen();
    let refused = scene.wait(scene.evidence.seal_rest()).expect_err("not signed").to_string();
    assert!(refused.contains("event 19 does not follow on event 17"), "{refused}");
    let fault = walk::check(&*scene.store, Checker::new(vec![key])).expect("read").expect_err("changed");
    assert_eq!(fault.row, Row::Event(5), "the first one");
}

#[test]
fn a_row_that_no_event_opens_shows_wherever_it_stands() {
    for (seq, at) in [(0, "before all events"), (999, "behind all events")] {
        let mut scene = Scene::new();
        scene.grow(10);
        assert_eq!(index::check(&*scene.store).expect("read").lie, None);
        let sql = "INSERT INTO call_rows (seq, call_id, at, admitted, verdict, usd) VALUES (?1, randomblob(16), 1, 1, 'allow', 5)";
        db(&scene).execute(sql, [seq]).expect("put in");
        let lie = index::check(&*scene.store).expect("read").lie.expect(at);
        assert!(lie.what.contains("that no event opens"), "{lie:?}");
    }
}

#[test]
fn numbers_beyond_all_books_are_refused_and_stop_nothing() {
    let mut scene = Scene::new();
    scene.grow(10);
    let (key, file) = (SigningKey::from_seed(&[5; 32]).expect("a key"), scene.export(8, None));
    let base = scene.store.checkpoints(1, 1, false).expect("there").remove(0);
    // Whoever is asked for no key takes any; so anybody can sign such a file.
    for (to, number) in [(Seq::MAX, 1), (7, u64::MAX), (Seq::MAX, u64::MAX)] {
        let checkpoint = Checkpoint { to, number, key: key.public(), ..base.checkpoint.clone() };
        let signature = key.sign(&checkpoint.text());
        let own = Line::Base(Signed { checkpoint, signature }).write();
        let lines = file.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l).into_owned());
        let forged: Vec<String> = lines.map(|l| if l.contains("\"base\"") { own.clone() } else { l }).collect();
        assert!(forged.contains(&own));
        assert!(verify(forged.join("\n").as_bytes(), &[], none()).is_err());
    }
    let last = format!("{{\"type\":\"event\",\"head\":\"{}\",\"event\":{{\"seq\":{}}}}}\n", "0".repeat(64), Seq::MAX);
    let opening = Line::OPENING.write();
    assert!(verify(format!("{opening}\n{last}{last}").as_bytes(), &[], none()).is_err());
}

#[test]
fn a_checkpoint_that_stands_twice_does_not_keep_whoever_reads_the_folder() {
    let mut scene = Scene::new();
    scene.grow(30);
    scene.seal();
    db(&scene).execute("DELETE FROM events WHERE seq = 4", []).expect("deleted");
    let sql = "UPDATE checkpoints SET body = (SELECT body FROM checkpoints WHERE number = 2) WHERE number = 5";
    db(&scene).execute(sql, []).expect("changed");
    let (told, tells) = std::sync::mpsc::channel();
    let store = scene.store.clone();
    std::thread::spawn(move || told.send(walk::check(&*store, Checker::new(Vec::new()))).is_ok());
    let fault = tells.recv_timeout(SOON).expect("it ends").expect("read").expect_err("deleted");
    assert_eq!((fault.row, fault.what), (Row::Event(4), What::Missing));
}

#[test]
fn a_clock_that_was_years_ahead_keeps_no_checkpoint_back() {
    let mut scene = Scene::with(Every { events: 100, time: Duration::from_millis(100) });
    scene.grow(1);
    scene.seal();
    let key = std::fs::read_to_string(scene.data().join("secrets/checkpoint.key")).expect("the key");
    let key = SigningKey::from_seed(&key.trim().parse::<Digest32>().expect("32 bytes").0).expect("a key");
    let last = scene.store.last_checkpoint().expect("read").expect("there").checkpoint;
    let ahead = Checkpoint { at: last.at.plus_secs(3 * 365 * 86_400), ..last };
    let signed = Signed { signature: key.sign(&ahead.text()), checkpoint: ahead };
    let body = serde_json::to_string(&signed).expect("plain data");
    db(&scene).execute("UPDATE checkpoints SET body = ?1", [body]).expect("as that clock made it");
    scene.reopen();
    scene.grow(1);
    scene.run();
    wait_for("the next checkpoint", SOON, || {
        scene.store.last_checkpoint().expect("read").filter(|c| c.checkpoint.number == 2 && c.checkpoint.to == 2)
    });
    assert!(verify(&scene.export(1, None), &[key.public()], none()).is_ok());
}

#[test]
fn an_export_that_retention_overtakes_breaks_off_and_blames_nobody() {
    let mut scene = Scene::new();
    scene.grow(30);
    let mut export = scene.wait(scene.evidence.export(1, None)).expect("planned").expect("events");
    let mut pieces = 0;
    while pieces < 2 {
        export.piece().expect("a piece").expect("more");
        pieces += 1;
    }
    assert_eq!(scene.wait(scene.evidence.prune(21)).expect("pruned"), 21);
    let refused = loop {
        match export.piece() {
            Ok(piece) => assert!(piece.is_some(), "it was signed without the events that it names"),
            Err(why) => break why.to_string(),
        }
    };
    assert!(refused.contains("retention") && refused.contains("again"), "{refused}");
    assert!(verify(&scene.export(1, None), &[scene.key()], none()).is_ok());
}

#[test]
fn a_changed_checkpoint_is_not_built_upon() {
    let mut scene = Scene::new();
    scene.grow(10);
    scene.seal();
    let sql = "UPDATE checkpoints SET body = replace(body, '\"events\":3', '\"events\":2') WHERE number = 2";
    assert_eq!(db(&scene).execute(sql, []).expect("changed"), 1);
    scene.grow(3);
    scene.reopen();
    let refused = scene.wait(scene.evidence.seal_rest()).expect_err("not signed").to_string();
    assert!(refused.contains("checkpoint 2 is not signed as it stands"), "{refused}");
}

#[test]
fn a_tail_that_was_cut_off_shows_by_an_anchor_alone() {
    let mut scene = Scene::new();
    scene.grow(14);
    let (key, older) = (scene.key(), scene.export(1, None));
    scene.grow(7);
    scene.seal();
    let anchors = scene.checkpoints();
    assert!(verify(&older, &[key], none()).is_ok(), "it was true once");
    let fault = verify(&older, &[key], anchored(&anchors)).expect_err("cut");
    assert_eq!((fault.row, fault.what), (Row::Event(15), What::Truncated));
    assert!(fault.why.contains("up to event 21"), "{}", fault.why);
    // With the database, the tail goes together with its checkpoint, and other events take its place.
    db(&scene)
        .execute_batch("DELETE FROM events WHERE seq > 14; DELETE FROM checkpoints WHERE last > 14;")
        .expect("cut");
    let last = scene.store.linked(14, 1).expect("there")[0].head;
    db(&scene).execute("UPDATE place SET seq = 14, head = ?1", [&last.0[..]]).expect("cut");
    scene.reopen();
    let fault = verify(&scene.export(1, None), &[key], anchored(&anchors)).expect_err("cut");
    assert_eq!((fault.row, fault.what), (Row::Event(15), What::Truncated));
}

/// Whoever has the key writes other books from some point on; the anchor has the true ones.
#[test]
fn with_the_key_history_can_be_rewritten_and_an_anchor_shows_where() {
    let mut scene = Scene::new();
    scene.grow(21);
    scene.seal();
    let (key, anchors) = (scene.key(), scene.checkpoints());
    let forged: Vec<_> = scene.store.linked(1, 100).expect("events").into_iter().map(|e| (e.seq, e.body)).collect();
    db(&scene).execute_batch("DELETE FROM checkpoints WHERE number > 1").expect("gone");
    let mut place = bursar::rules::chain::Place::START;
    for (seq, body) in forged {
        let body = if seq == 10 { body.replace("nobody", "anybody") } else { body };
        place = place.next(seq, body.as_bytes());
        let row = rusqlite::params![seq as i64, body, &place.head.0[..]];
        db(&scene).execute("UPDATE events SET body = ?2, head = ?3 WHERE seq = ?1", row).expect("forged");
    }
    scene.reopen();
    assert!(verify(&scene.export(1, None), &[key], none()).is_ok(), "nothing inside can show it");
    let fault = verify(&scene.export(1, None), &[key], anchored(&anchors)).expect_err("rewritten");
    assert_eq!((fault.row, fault.what), (Row::Checkpoint(2), What::Changed));
    let both = format!("{anchors}{}", scene.checkpoints());
    assert!(Anchors::default().read(&both).expect_err("a fork").contains("two different checkpoints 2"));
}

#[test]
fn keys_follow_each_other_and_an_old_one_signs_nothing_more() {
    let mut scene = Scene::new();
    let first = scene.key();
    scene.grow(8);
    let before = scene.export(1, None);
    let second = scene.rotate();
    scene.reopen();
    assert_eq!(scene.key(), second);
    scene.grow(8);
    let after = scene.export(1, None);
    for keys in [&[first][..], &[second], &[first, second]] {
        let sound = verify(&after, keys, none()).expect("sound");
        assert!(sound.confirmed && sound.key == second);
    }
    let fault = verify(&before, &[second], none()).expect_err("the new key has not signed it");
    assert_eq!(fault.what, What::UnknownKey);
    let stranger = Scene::new().key();
    assert_eq!(verify(&after, &[stranger], none()).expect_err("unknown").what, What::UnknownKey);
    // The old key is in other hands, and makes a checkpoint that follows on the last one.
    let mut thief = bursar::rules::evidence::trust::Trust::new(vec![first, second]);
    let all = scene.store.checkpoints(1, 100, false).expect("checkpoints");
    all.iter().for_each(|c| thief.follow(c));
    assert!(thief.admits(&second) && !thief.admits(&first));
}

#[test]
fn a_rotation_that_was_cut_off_is_finished() {
    let mut scene = Scene::new();
    scene.grow(3);
    scene.seal();
    let old = std::fs::read(scene.data().join("secrets/checkpoint.key")).expect("a key");
    let second = scene.rotate();
    // As if the process had ended before the new key was moved into place.
    let now = scene.data().join("secrets/checkpoint.key");
    std::fs::rename(&now, scene.data().join("secrets/checkpoint.next-key")).expect("moved");
    std::fs::write(&now, old).expect("put back");
    scene.reopen();
    assert_eq!(scene.key(), second);
    scene.grow(3);
    assert!(verify(&scene.export(1, None), &[second], none()).is_ok());
}

#[test]
fn what_retention_gave_up_is_said_and_the_rest_is_proven() {
    let mut scene = Scene::new();
    scene.grow(30);
    scene.seal();
    let (key, anchors) = (scene.key(), scene.checkpoints());
    assert_eq!(scene.wait(scene.evidence.prune(14)).expect("pruned"), 14);
    scene.grow(3);
    for from in [1, 20] {
        let sound = verify(&scene.export(from, None), &[key], anchored(&anchors)).expect("sound");
        assert_eq!((sound.pruned_to, sound.to), (14, 33));
        assert_eq!(sound.pruned_under, Some(2), "from {from}");
    }
    let early =
        verify(&scene.export(1, Some(20)), &[key], none()).expect("before any checkpoint says that it was pruned");
    assert_eq!((early.from, early.to, early.pruned_to), (15, 21, 14));
    let walked = walk::check(&*scene.store, Checker::new(vec![key])).expect("read").expect("sound");
    assert_eq!((walked.from, walked.events, walked.pruned_under), (15, 19, Some(2)));
    // More is gone than any checkpoint says.
    db(&scene).execute("DELETE FROM events WHERE seq <= 16", []).expect("deleted");
    let fault = verify(&scene.export(1, None), &[key], none()).expect_err("gone");
    assert_eq!((fault.row, fault.what), (Row::Event(15), What::Missing));
    assert_eq!(scene.wait(scene.evidence.prune(3)).expect("nothing more"), 0);
}

#[test]
fn a_proof_holds_for_its_call_and_for_no_other() {
    let mut scene = Scene::new();
    scene.grow(20);
    let first = scene.key();
    let one = |scene: &Scene, seq: Seq| scene.wait(scene.evidence.proof(call(seq))).expect("made").expect("there");
    let early = one(&scene, 5);
    let second = scene.rotate();
    scene.grow(4);
    let proof = one(&scene, 5);
    for keys in [&[][..], &[first], &[second]] {
        assert_eq!(proof.check(keys, &scene.anchors()), Ok(1), "{keys:?}");
    }
    assert!(early.check(&[first], &none()).is_ok());
    assert!(early.check(&[second], &none()).is_err(), "the old key may be in wrong hands by now");
    assert!(scene.wait(scene.evidence.proof(call(999))).expect("asked").is_none());
    every_change_of_a_proof_shows(&proof, first);
}

fn every_change_of_a_proof_shows(proof: &Proof, key: bursar::rules::evidence::PublicKey) {
    let text = serde_json::to_string(proof).expect("plain data");
    let mut found = 0;
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        // What cannot be read is refused before it is checked; what reads the same is the same proof.
        let Ok(changed) = serde_json::from_slice::<Proof>(&bytes) else { continue };
        if serde_json::to_string(&changed).is_ok_and(|again| again == text) {
            continue;
        }
        assert!(changed.check(&[key], &none()).is_err(), "byte {at} of {text}");
        found += 1;
    }
    assert!(found > 300, "{found}");
}
