//! Golden bytes: what is signed, and what is written, must stay what it was. And the tables of trust.

use super::lines::{Event, Line, event};
use super::trust::Trust;
use super::*;

fn checkpoint() -> Checkpoint {
    Checkpoint {
        version: 1,
        number: 2,
        from: 5,
        to: 9,
        events: 5,
        head: Digest32([1; 32]),
        root: Digest32([2; 32]),
        at: Timestamp(1_790_000_000_000_000),
        key: PublicKey(Digest32([3; 32])),
        previous: Digest32([4; 32]),
        next_key: None,
        pruned_to: 0,
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

#[test]
fn the_signed_bytes_of_a_checkpoint() {
    let (one, two, three, four) = (hex(1), hex(2), hex(3), hex(4));
    let text = format!(
        "bursar checkpoint 1\nnumber 2\nfrom 5\nto 9\nevents 5\nhead {one}\nroot {two}\nat 2026-09-21T14:13:20Z\n\
         key {three}\nprevious {four}\npruned_to 0\n"
    );
    assert_eq!(checkpoint().text(), text);
    let rotated = Checkpoint { next_key: Some(PublicKey(Digest32([5; 32]))), ..checkpoint() };
    assert_eq!(rotated.text(), text.replace("pruned_to", &format!("next_key {}\npruned_to", hex(5))));
    assert_ne!(rotated.hash(), checkpoint().hash());
    assert_eq!((checkpoint().signs_next(), rotated.signs_next()), (checkpoint().key, PublicKey(Digest32([5; 32]))));
}

#[test]
fn the_signed_bytes_of_an_end() {
    let said = Ending {
        from: 1,
        asked_to: None,
        to: 9,
        number: 2,
        last: Digest32([1; 32]),
        pruned_to: 4,
        lines: Digest32([2; 32]),
        at: Timestamp(1_790_000_000_000_000),
    };
    let text = format!(
        "bursar export 1\nfrom 1\nto 9\nnumber 2\nlast {}\npruned_to 4\nlines {}\nat 2026-09-21T14:13:20Z\n",
        hex(1),
        hex(2)
    );
    assert_eq!(said.text(), text);
    let some = Ending { asked_to: Some(7), ..said };
    assert_eq!(some.text(), text.replace("to 9", "asked_to 7\nto 9"));
}

/// A signature of RFC 8032, section 7.1, test 2: another implementation made it.
#[test]
fn signatures_are_those_of_everybody() {
    let key: PublicKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".parse().expect("a key");
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let signature = Signature::try_from(signature.to_owned()).expect("128 hex digits");
    assert!(key.signed(&[0x72], &signature));
    assert!(!key.signed(&[0x73], &signature));
    assert!("3d40".parse::<PublicKey>().is_err() && Signature::try_from("00".to_owned()).is_err());
}

#[test]
fn a_line_is_written_in_one_way() {
    let line = Line::Checkpoint(Signed { checkpoint: checkpoint(), signature: Signature([6; 64]) });
    let text = line.write();
    assert!(text.starts_with("{\"type\":\"checkpoint\",\"version\":1,\"number\":2,\"from\":5,"), "{text}");
    assert_eq!(Line::read(&text), Some(line));
    for other in [
        text.replace(":2,", ": 2,"),
        text.replace("\"number\":2,", "\"number\":2,\"more\":1,"),
        text.replace("0606", "0606".to_uppercase().as_str()).replacen('a', "A", 1).replace("{\"type", " {\"type"),
        format!("{text} "),
        text.replacen("\"from\":5,\"to\":9", "\"to\":9,\"from\":5", 1),
    ] {
        assert_eq!(Line::read(&other), None, "{other}");
    }
    let body = "{\"seq\":3,\"at\":\"2026-09-21T14:13:20Z\"}";
    let row = event(&Digest32([1; 32]), body);
    let read = Event::read(&row).expect("as it was written");
    assert_eq!((read.seq, read.head, read.body), (3, Digest32([1; 32]), body));
    assert!(Event::read(&row.replace("\"event\":{", "\"event\": {")).is_none());
    assert!(Event::read(&row.replace("}}", "},\"more\":1}")).is_none());
}

#[test]
fn keys_count_by_what_the_reader_brought() {
    let key = |n: u8| PublicKey(Digest32([n; 32]));
    let signed = |by: u8, next: Option<u8>| Signed {
        checkpoint: Checkpoint { key: key(by), next_key: next.map(key), ..checkpoint() },
        signature: Signature([0; 64]),
    };
    let follow = |given: &[u8], story: &[(u8, Option<u8>)]| {
        let mut trust = Trust::new(given.iter().map(|n| key(*n)).collect());
        let good = story.iter().all(|(by, next)| {
            let admits = trust.admits(&key(*by));
            trust.follow(&signed(*by, *next));
            admits
        });
        (good, trust.is_vouched(), trust.is_confirmed())
    };
    for (given, story, verdict) in [
        (&[][..], &[(1, None), (1, None)][..], (true, true, false)),
        (&[1], &[(1, None), (1, Some(2)), (2, None)], (true, true, true)),
        (&[2], &[(1, None), (1, Some(2)), (2, None)], (true, true, true)),
        (&[2], &[(1, None), (1, Some(2))], (true, false, false)),
        (&[3], &[(1, None)], (true, false, false)),
        (&[1], &[(1, None), (2, None)], (false, true, true)),
        (&[1, 2], &[(1, None), (2, None)], (true, true, true)),
        (&[1, 2], &[(1, Some(2)), (2, None), (1, None)], (false, true, true)),
    ] {
        assert_eq!(follow(given, story), verdict, "{given:?} {story:?}");
    }
}
