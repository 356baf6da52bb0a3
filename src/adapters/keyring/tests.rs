//! Keys and flags survive reopening; children stay beneath their parents; what fails half-way holds as far as it says.

use super::*;
use crate::rules::subject::{Name, Subject};

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn new_key(parent: Option<&KeyId>) -> NewKey {
    NewKey {
        subject: Subject { agent: Some("a".into()), ..Subject::default() },
        policy: "p".into(),
        overlay: None,
        parent: parent.cloned(),
        expires_at: None,
        label: None,
        note: Some("a test".into()),
        by: "socket:ann".into(),
    }
}

fn act() -> Act {
    Act { actor: "socket:ann".into(), reason: Some("a test".into()) }
}

fn on(key: &KeyRecord) -> Flag {
    Flag::Key { id: key.id.clone() }
}

fn facts(key: &KeyRecord) -> Facts {
    let keys = key.chain().cloned().collect();
    Facts {
        subject: key.subject.clone(),
        keys,
        policy: "p".into(),
        vendor: "stripe".into(),
        operation: "GET /x".into(),
        claimed_run: false,
    }
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let (secret, key) = ring.mint(new_key(None), NOW).expect("minted");
    let (_, other) = ring.mint(new_key(None), NOW).expect("minted");
    ring.stop(&on(&key), &act(), NOW).expect("stopped");
    ring.stop(&Flag::Everyone, &act(), NOW).expect("stopped");
    let told = ring.restore(&Flag::Everyone, &act(), NOW).expect("written").expect("it was set");
    ring.told(&told).expect("written");
    drop(ring);

    let ring = Keyring::open(dir.path()).expect("the same ring");
    let found = ring.find(&key.id).expect("the key");
    let text = secret.reveal();
    assert!(VaultKey::parse(&text).expect("well-formed").matches(&found.hash));
    assert!(
        !std::fs::read(dir.path().join("keys.db"))
            .expect("the file")
            .windows(20)
            .any(|w| w == &text.as_bytes()[20..40])
    );
    assert!(matches!(ring.standing(&found, NOW), Standing::Revoked(f) if f.act == act() && f.at == NOW));
    assert_eq!(ring.standing(&other, NOW), Standing::Good);
    assert_eq!(ring.flags().iter().map(|f| &f.flag).collect::<Vec<_>>(), [&on(&key)]);
    assert_eq!(ring.untold().len(), 1, "the ledger has not confirmed the key's flag");
    assert_eq!(ring.stopped(&facts(&other)), None);
}

#[test]
fn a_revoked_key_takes_its_children_along() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let (_, root) = ring.mint(new_key(None), NOW).expect("minted");
    let mut chain = vec![root.clone()];
    for _ in 0..MAX_DEPTH {
        let (_, child) = ring.mint(new_key(chain.last().map(|k| &k.id)), NOW).expect("minted");
        chain.push(child);
    }
    let last = chain.last().expect("the youngest");
    assert_eq!(last.chain().count(), MAX_DEPTH + 1);
    assert!(matches!(ring.mint(new_key(Some(&last.id)), NOW), Err(KeyringError::TooDeep(_))));
    ring.stop(&on(&chain[1]), &act(), NOW).expect("stopped");
    assert_eq!(ring.standing(&root, NOW), Standing::Good);
    assert!(matches!(ring.standing(last, NOW), Standing::Revoked(f) if f.flag == on(&chain[1])));
    assert_eq!(ring.stopped(&facts(last)).map(|f| f.flag), Some(on(&chain[1])));
    assert!(matches!(ring.mint(new_key(Some(&chain[2].id)), NOW), Err(KeyringError::ParentEnded(_))));
    ring.restore(&on(&chain[1]), &act(), NOW).expect("written");
    assert_eq!(ring.standing(last, NOW), Standing::Good);
    assert!(ring.restore(&on(&chain[1]), &act(), NOW).expect("nothing to do").is_none());
}

#[test]
fn keys_below_one_are_bounded_and_ended_ones_make_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let (_, root) = ring.mint(new_key(None), NOW).expect("minted");
    let (_, child) = ring.mint(new_key(Some(&root.id)), NOW).expect("minted");
    let later = NOW.plus_secs(60);
    for n in 1..MAX_CHILDREN {
        // Of the root and of its child in turn: both count below the root.
        let parent = if n % 2 == 0 { &root.id } else { &child.id };
        let new = NewKey { expires_at: Some(later), ..new_key(Some(parent)) };
        ring.mint(new, NOW).expect("there is room");
    }
    for parent in [&root.id, &child.id] {
        let full = ring.mint(new_key(Some(parent)), NOW);
        assert!(matches!(&full, Err(KeyringError::TooMany(of)) if *of == root.id), "{full:?}");
    }
    ring.mint(new_key(None), NOW).expect("another key has room of its own");
    ring.mint(new_key(Some(&child.id)), later).expect("they have ended");
}

#[test]
fn a_child_stays_beneath_its_parent() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let end = NOW.plus_secs(60);
    let (_, parent) = ring.mint(NewKey { expires_at: Some(end), ..new_key(None) }, NOW).expect("minted");
    let child = || new_key(Some(&parent.id));
    let (_, heir) = ring.mint(child(), NOW).expect("minted");
    assert_eq!(heir.expires_at, Some(end), "it ends with its parent");
    let late = NewKey { expires_at: Some(end.plus_secs(1)), ..child() };
    assert!(matches!(ring.mint(late, NOW), Err(KeyringError::OutlivesParent(_))));
    let elsewhere = NewKey { policy: Name::from("q"), ..child() };
    assert!(matches!(ring.mint(elsewhere, NOW), Err(KeyringError::LeavesParent(_))));
    assert!(matches!(ring.mint(child(), end), Err(KeyringError::ParentEnded(_))));
    assert_eq!(ring.standing(&heir, end), Standing::Expired(end));
    assert!(matches!(ring.mint(new_key(Some(&KeyId("nobody".into()))), NOW), Err(KeyringError::NoSuchKey(_))));
    assert!(matches!(ring.mint(NewKey { expires_at: Some(NOW), ..new_key(None) }, NOW), Err(KeyringError::Past(_))));
}

#[test]
fn a_stop_that_cannot_be_written_holds_in_memory_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let (_, key) = ring.mint(new_key(None), NOW).expect("minted");
    ring.store.lock().forbid_writes(true);
    let tenant = Flag::Tenant { name: key.subject.tenant.clone() };
    assert!(matches!(ring.stop(&tenant, &act(), NOW), Err(KeyringError::NotDurable(..))));
    assert_eq!(ring.stopped(&facts(&key)).map(|f| f.flag), Some(tenant.clone()));
    assert!(ring.restore(&tenant, &act(), NOW).is_err());
    assert!(ring.stopped(&facts(&key)).is_some(), "what cannot be written is not undone");
    assert!(ring.mint(new_key(None), NOW).is_err());
    assert_eq!(ring.list().len(), 1);
    ring.store.lock().forbid_writes(false);
    ring.stop(&tenant, &act(), NOW).expect("the repeat");
    ring.restore(&tenant, &act(), NOW).expect("written");
    assert!(ring.stopped(&facts(&key)).is_none());
}

#[test]
fn a_key_that_ended_long_ago_leaves_memory_and_stays_in_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let end = NOW.plus_secs(60);
    let (_, old) = ring.mint(NewKey { expires_at: Some(end), ..new_key(None) }, NOW).expect("minted");
    let (_, child) = ring.mint(new_key(Some(&old.id)), NOW).expect("minted");
    let (_, endless) = ring.mint(new_key(None), NOW).expect("minted");
    for key in [&old, &endless] {
        let flag = ring.stop(&on(key), &act(), NOW).expect("stopped");
        ring.told(&flag).expect("written");
    }
    let untold = ring.stop(&on(&child), &act(), NOW).expect("stopped");
    let (kept, gone) = (end.plus_secs(REMEMBERED_SECS - 1), end.plus_secs(REMEMBERED_SECS));
    assert_eq!((ring.forget_ended(kept), ring.forget_ended(gone), ring.forget_ended(gone)), (0, 2, 0));
    assert!(ring.find(&old.id).is_none() && ring.find(&child.id).is_none());
    assert!(matches!(ring.standing(&endless, gone), Standing::Revoked(_)), "a revocation is no end");
    assert_eq!(ring.flags.len(), 2, "of those that ended, only what the ledger must still hear");
    assert_eq!(ring.untold(), [untold]);
    assert_eq!(ring.recall(&old.id).expect("readable").map(|k| k.expires_at), Some(Some(end)));
    assert!(ring.recall(&KeyId("nobody".into())).expect("readable").is_none());
    let again = Keyring::open(dir.path()).expect("the same ring");
    assert_eq!((again.forget_ended(gone), again.list().len()), (2, 1));
}

#[test]
fn a_file_that_is_no_keyring_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("keys.db"), [7; 3000]).expect("written");
    let said = Keyring::open(dir.path()).err().expect("it is none").to_string();
    assert!(said.contains("keys.db"), "{said}");
}

#[test]
fn secrets_are_made_once_and_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().join("data");
    secrets::data_folder(&dir).expect("made");
    let (token, made) = secrets::AdminToken::open(&dir, None).expect("a token");
    let made = made.expect("made now");
    let (again, shown) = secrets::AdminToken::open(&dir, None).expect("the same token");
    assert!(shown.is_none() && token.matches(made.as_bytes()) && again.matches(made.as_bytes()));
    assert!(!token.matches(b"") && !token.matches(&made.as_bytes()[1..]));
    let hasher = || {
        let key = secrets::own_key(&dir, "body-hash.key").expect("the same key each time");
        secrets::BodyHasher::with_key(key.as_ref()).expect("any length will do")
    };
    let first = hasher().hash(b"body");
    let mut running = hasher().start();
    running.update(b"bo");
    running.update(b"dy");
    assert_eq!(first, running.finish());
    let mode = |p: &str| std::fs::metadata(dir.join(p)).expect(p).permissions().mode() & 0o777;
    assert_eq!(
        (mode(""), mode("admin-token"), mode("secrets"), mode("secrets/body-hash.key")),
        (0o700, 0o600, 0o700, 0o600)
    );
}

#[test]
fn a_folder_that_others_use_is_not_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let open = || std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).expect("opened");
    let mode = || dir.path().metadata().expect("a folder").permissions().mode() & 0o7777;
    std::fs::write(dir.path().join("letter"), "not bursar's").expect("written");
    open();
    assert!(secrets::data_folder(dir.path()).is_err());
    assert_eq!(mode(), 0o1777);
    std::fs::rename(dir.path().join("letter"), dir.path().join("keys.db")).expect("renamed");
    secrets::data_folder(dir.path()).expect("bursar's own");
    assert_eq!(mode(), 0o700);
    std::fs::remove_file(dir.path().join("keys.db")).expect("removed");
    open();
    secrets::data_folder(dir.path()).expect("an empty one");
    assert_eq!(mode(), 0o700);
}

#[test]
fn weak_admin_tokens_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    for weak in [
        "",
        "admin",
        "secret",
        "secretsecretsecretsecret",
        "short",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "sk-1234",
        "a3f09b8c 7d6e5f4a3b2c1d0e",
    ] {
        let set = crate::units::secret::Secret::new(weak.to_owned());
        assert!(secrets::AdminToken::open(dir.path(), Some(&set)).is_err(), "{weak}");
    }
    std::fs::write(dir.path().join("admin-token"), "\n").expect("written");
    assert!(secrets::AdminToken::open(dir.path(), None).is_err(), "an empty file is no token");
    let good = crate::units::secret::Secret::new("a3f09b8c7d6e5f4a3b2c1d0e\n".to_owned());
    let (token, _) = secrets::AdminToken::open(dir.path(), Some(&good)).expect("a good one");
    assert!(token.matches(b"a3f09b8c7d6e5f4a3b2c1d0e"), "the line's end is no part of it");
}

#[test]
fn what_the_ledger_knows_and_an_older_file_does_not_holds_here_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let known = [Flag::Everyone, Flag::Vendor { name: Name::from("stripe") }];
    ring.stop(&known[1], &act(), NOW).expect("stopped");
    let cleared = ring.restore(&known[1], &act(), NOW).expect("written").expect("it was set");
    // It is cleared here and the ledger will be told: that is no older copy.
    assert_eq!(ring.adopt(&known, NOW).expect("written"), known[..1]);
    ring.told(&cleared).expect("written");
    assert_eq!(ring.adopt(&known, NOW).expect("written"), known[1..], "cleared and told, and yet the ledger has it");
    assert!(ring.adopt(&known, NOW).expect("written").is_empty() && ring.untold().is_empty());
    assert!(ring.restore(&Flag::Everyone, &act(), NOW).expect("written").is_some(), "an operator can clear it");
}

#[test]
fn of_two_words_on_one_flag_the_later_holds_whatever_the_clocks() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = Keyring::open(dir.path()).expect("a new ring");
    let (early, late) = (Timestamp(NOW.0 - 1_000_000), Timestamp(NOW.0 + 1_000_000));
    let take = |on, at| {
        ring.take_flag(FlagRecord { flag: Flag::Everyone, on, act: act(), at, told: false }).expect("written").is_some()
    };
    assert!(take(true, late), "another node's clock is ahead");
    assert!(!take(false, early) && !take(true, late), "earlier, and known");
    assert!(!take(false, late), "of two at one moment the stop holds");
    let own = ring.restore(&Flag::Everyone, &act(), NOW).expect("written").expect("it was set");
    assert!(own.at > late, "what is said here is later than what was known here");
    assert!(!take(true, late) && ring.flag(&Flag::Everyone).is_none());
    drop(ring);
    let ring = Keyring::open(dir.path()).expect("the same ring");
    assert!(ring.all_flags().iter().any(|f| f.at == own.at && !f.on), "also after a restart");
}
