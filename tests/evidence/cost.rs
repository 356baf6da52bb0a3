//! What evidence costs beside the calls. Run by hand: `cargo test --release --test evidence -- --ignored --nocapture cost`.

use std::time::Instant;

use super::scene::{EVERY, Scene, verify};
use bursar::rules::evidence::anchors::Anchors;

#[test]
#[ignore = "a measurement"]
fn what_evidence_costs() {
    let mut scene = Scene::every(10_000);
    assert_ne!(EVERY, 10_000);
    let count = 200_000_u64;
    let timed = |what: &str, began: Instant| {
        let took = began.elapsed();
        println!("{what}: {took:.2?}, {:.2} us an event", took.as_micros() as f64 / count as f64);
    };
    let began = Instant::now();
    scene.grow_at_once(count);
    timed("write", began);
    let began = Instant::now();
    scene.seal();
    timed("seal", began);
    let key = scene.key();
    let began = Instant::now();
    let file = scene.export(1, None);
    timed("export", began);
    println!("{} bytes an event in the export", file.len() as u64 / count);
    let began = Instant::now();
    let sound = verify(&file, &[key], Anchors::default()).expect("sound");
    timed("verify", began);
    assert_eq!((sound.events, sound.checkpoints), (count, 20));
}
