//! The signing key: made once, its owner's alone, and never printed. And what signing costs.

use std::os::unix::fs::PermissionsExt;

use super::key::{KeyFile, SigningKey};

#[test]
fn a_key_is_made_once_and_is_its_owners_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = KeyFile::new(dir.path(), None);
    let key = file.open(None).expect("made");
    assert_eq!(file.open(None).expect("read").public(), key.public());
    let path = dir.path().join("secrets/checkpoint.key");
    let mode = |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&dir.path().join("secrets"))), (0o600, 0o700));
    let secret = std::fs::read_to_string(&path).expect("there");
    assert!(!format!("{key:?}").contains(secret.trim()) && format!("{key:?}").contains(&key.public().to_string()));
    assert!(key.public().signed(b"words", &key.sign("words")));
    let own = KeyFile::new(dir.path(), Some(&dir.path().join("own.key")));
    assert_ne!(own.open(None).expect("made").public(), key.public());
    std::fs::write(&path, "no key").expect("written");
    assert!(file.open(None).is_err());
}

/// RFC 8032, section 7.1, test 2.
#[test]
fn keys_are_those_of_everybody() {
    let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    let seed: crate::units::ids::Digest32 = seed.parse().expect("32 bytes");
    let key = SigningKey::from_seed(&seed.0).expect("a key");
    assert_eq!(key.public().to_string(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert!(String::from(key.sign("r")).starts_with("92a009a9f0d4cab8720e820b5f642540"));
}
