//! Whole or nothing, seen within a second, declared before it decides.

use futures_util::FutureExt;

use super::*;
use std::fs;

struct Rig {
    folder: tempfile::TempDir,
    declared: Arc<Mutex<Vec<usize>>>,
}

fn rig() -> Rig {
    Rig { folder: tempfile::tempdir().expect("a folder"), declared: Arc::default() }
}

impl Rig {
    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("written");
    }

    async fn open(&self, sandbox: Sandbox) -> Result<(PolicyStore, Reloaded), Mistakes> {
        let declared = Arc::clone(&self.declared);
        let declare: Declare = Box::new(move |shapes| {
            declared.lock().push(shapes.len());
            Box::pin(async { Ok(()) })
        });
        let vendors = vec!["stripe".into(), "openai".into()];
        let options =
            Options { folder: self.folder.path().join("p").parent().expect("a parent").to_owned(), vendors, sandbox };
        PolicyStore::open(options, Vec::new(), declare).await
    }
}

fn policy(name: &str, per: &str) -> String {
    format!("name = \"{name}\"\nvendors = [\"stripe\"]\n[[budget]]\nper = \"{per}\"\nlimit = \"5 USD\"\n")
}

#[tokio::test]
async fn the_folder_loads_whole_or_not_at_all() {
    let rig = rig();
    rig.write("a.toml", &policy("a", "agent"));
    rig.write("b.toml", &policy("b", "tenant"));
    rig.write("notes.txt", "no policy");
    rig.write(".hidden.toml", "no policy");
    let (store, first) = rig.open(Sandbox::Closed).await.expect("sound");
    assert_eq!((first.loaded.len(), store.current().len(), store.current().shapes().len()), (2, 2, 2));
    let old = store.current();

    rig.write("a.toml", &policy("a", "app"));
    rig.write("b.toml", "name = 5\nvendors = [\"nobody\"]\n");
    let mistakes = store.reload().await.expect_err("b is broken");
    assert_eq!(mistakes.0.len(), 2, "{mistakes}");
    assert!(mistakes.0[0].file.ends_with("b.toml") && mistakes.0[0].line == 1);
    assert!(Arc::ptr_eq(&old, &store.current()));
    assert!(store.replaced(&old).now_or_never().is_none(), "nothing decides but what did");
    assert_eq!(store.mistakes(), mistakes.0);

    rig.write("b.toml", &policy("b", "tenant"));
    let changed = store.reload().await.expect("sound again");
    assert_eq!(changed.loaded.iter().map(|c| &*c.policy).collect::<Vec<_>>(), ["a"]);
    let lines = |list: &[String]| list.iter().filter(|l| l.contains("budget")).count();
    assert_eq!((lines(&changed.loaded[0].added), lines(&changed.loaded[0].removed)), (1, 1), "the changed rule alone");
    assert!(changed.loaded[0].added.len() == 1 && changed.loaded[0].added[0].contains("app"), "{changed:?}");
    assert!(store.replaced(&old).now_or_never().is_some() && store.mistakes().is_empty());
    // First what both sets count, then what the new one does.
    assert_eq!(*rig.declared.lock(), [2, 2, 3, 2]);

    fs::remove_file(rig.folder.path().join("b.toml")).expect("removed");
    let removed = store.reload().await.expect("sound");
    assert_eq!((removed.loaded.len(), &*removed.removed[0].0), (0, "b"));
    assert!(store.reload().await.expect("sound").is_empty());
}

#[tokio::test]
async fn files_that_do_not_go_together_are_named() {
    let rig = rig();
    rig.write("a.toml", &policy("x", "agent"));
    rig.write("b.toml", &policy("x", "agent"));
    let mistakes = rig.open(Sandbox::Closed).await.map(|_| ()).expect_err("twice x").to_string();
    assert!(mistakes.contains("a.toml") && mistakes.contains("b.toml"), "{mistakes}");
}

#[tokio::test]
async fn an_empty_folder_allows_nothing_and_the_sandbox_ships_its_own() {
    let rig = rig();
    let (store, _) = rig.open(Sandbox::Closed).await.expect("empty is sound");
    assert!(store.current().is_empty());
    let (store, _) = rig.open(Sandbox::Served).await.expect("the sandbox ships");
    assert!(store.current().get("sandbox").is_some());
    rig.write("mine.toml", &policy("sandbox", "agent"));
    let (store, _) = rig.open(Sandbox::Served).await.expect("one's own stands first");
    assert_eq!(store.current().get("sandbox").map(|p| p.vendors.len()), Some(1));
}

#[tokio::test]
async fn keys_budgets_are_counted_and_survive_a_reload() {
    let rig = rig();
    rig.write("a.toml", &policy("a", "agent"));
    let (store, _) = rig.open(Sandbox::Closed).await.expect("sound");
    let overlay: crate::rules::policy::Overlay =
        serde_json::from_str(r#"{"budgets": [{"per": "key", "limit": "5 calls"}]}"#).expect("an overlay");
    store.count_for_keys(overlay.shapes().cloned().collect()).await.expect("declared");
    rig.write("a.toml", &policy("a", "app"));
    store.reload().await.expect("sound");
    assert_eq!(store.current().shapes().len(), 2);
}

#[tokio::test]
async fn a_set_that_the_ledger_does_not_take_does_not_decide() {
    let rig = rig();
    rig.write("a.toml", &policy("a", "agent"));
    let options =
        Options { folder: rig.folder.path().to_owned(), vendors: vec!["stripe".into()], sandbox: Sandbox::Closed };
    let declare: Declare = Box::new(|_| Box::pin(async { Err("the disk is full".to_owned()) }));
    let refused = PolicyStore::open(options, Vec::new(), declare).await.map(|_| ()).expect_err("refused");
    assert!(refused.to_string().contains("the disk is full"));
}

#[tokio::test]
async fn a_change_is_seen_within_a_second_and_a_failure_told_once() {
    let rig = rig();
    rig.write("a.toml", &policy("a", "agent"));
    let (store, _) = rig.open(Sandbox::Closed).await.expect("sound");
    let store = Arc::new(store);
    let told: Arc<Mutex<Vec<bool>>> = Arc::default();
    let watcher = {
        let (store, told) = (Arc::clone(&store), Arc::clone(&told));
        tokio::spawn(async move { store.watch(Duration::from_millis(50), |r| told.lock().push(r.is_ok())).await })
    };
    let old = store.current();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(told.lock().is_empty(), "nothing changed");
    rig.write("a.toml", "name = 5");
    let heard = async {
        while told.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.expect("the failure is told");
    rig.write("b.toml", &policy("b", "agent"));
    rig.write("a.toml", &policy("a", "tenant"));
    tokio::time::timeout(Duration::from_secs(1), store.replaced(&old)).await.expect("in time");
    assert_eq!(store.current().len(), 2);
    assert_eq!(told.lock().iter().filter(|sound| !**sound).count(), 1, "the same failure is told once");
    watcher.abort();
}

#[tokio::test]
async fn a_key_of_the_sandbox_opens_nothing_where_the_real_vendors_are() {
    let rig = rig();
    rig.write("pretend.toml", &policy("sandbox", "agent"));
    rig.write("a.toml", &policy("a", "agent"));
    let there = async |sandbox| {
        let (store, _) = rig.open(sandbox).await.expect("sound");
        (store.current().len(), store.current().get("sandbox").is_some())
    };
    assert_eq!(there(Sandbox::Closed).await, (1, false));
    assert_eq!(there(Sandbox::Served).await, (2, true));
    assert_eq!(there(Sandbox::Checked).await, (2, true));
    rig.write("pretend.toml", "name = \"sandbox\"\n");
    assert!(rig.open(Sandbox::Closed).await.is_err(), "its mistakes are told all the same");
}

#[tokio::test]
async fn a_list_that_changes_is_loaded_with_the_policies_that_name_it() {
    let rig = rig();
    let listing = "[params]\ncustomer = { one_of = { list = \"customers\" } }\n";
    rig.write("a.toml", &format!("{}{listing}", policy("a", "agent")));
    rig.write("b.toml", &policy("b", "agent"));
    let missing = rig.open(Sandbox::Closed).await.err().expect("no such list");
    assert!(missing.to_string().contains("lists/customers.txt"), "{missing}");
    fs::create_dir(rig.folder.path().join("lists")).expect("a folder");
    rig.write("lists/customers.txt", "# ours\ncus_A\n cus_B \n");
    let (store, _) = rig.open(Sandbox::Closed).await.expect("sound");
    let before = store.current();
    rig.write("lists/customers.txt", "cus_C\n");
    let changed = store.reload().await.expect("sound");
    assert_eq!(changed.loaded.iter().map(|c| &*c.policy).collect::<Vec<_>>(), ["a"]);
    let values = |set: &PolicySet| {
        let list = set.get("a").expect("loaded").params[0].lists().next().expect("a list").clone();
        ["cus_A", "cus_B", "cus_C"].map(|value| list.has(value))
    };
    assert_eq!((values(&before), values(&store.current())), ([true, true, false], [false, false, true]));
}

#[tokio::test]
async fn a_schema_that_changes_is_loaded_with_the_policies_that_name_it() {
    let rig = rig();
    let named = "[[schema]]\npaths = [\"/**\"]\nschema = \"refund\"\n";
    rig.write("a.toml", &format!("{}{named}", policy("a", "agent")));
    rig.write("b.toml", &policy("b", "agent"));
    let missing = rig.open(Sandbox::Closed).await.err().expect("no such schema");
    assert!(missing.to_string().contains("schemas/refund.json"), "{missing}");
    fs::create_dir(rig.folder.path().join("schemas")).expect("a folder");
    rig.write(
        "schemas/refund.json",
        "{ \"type\": \"object\",\n  \"properties\": {\n    \"amount\": { \"maximum\": 5 } } }",
    );
    let flawed = rig.open(Sandbox::Closed).await.err().expect("a number without its type");
    let place = flawed.0.iter().map(|m| (m.file.ends_with("refund.json"), m.line, m.field.as_str())).next();
    assert_eq!(place, Some((true, 3, "properties.amount.maximum")), "{flawed}");
    rig.write("schemas/refund.json", "{ \"type\": \"object\", \"maxProperties\": 1 }");
    let (store, _) = rig.open(Sandbox::Closed).await.expect("sound");
    let before = store.current();
    rig.write("schemas/refund.json", "{ \"type\": \"object\", \"maxProperties\": 2 }");
    let changed = store.reload().await.expect("sound");
    assert_eq!(changed.loaded.iter().map(|c| &*c.policy).collect::<Vec<_>>(), ["a"]);
    assert_ne!(before.hash(), store.current().hash());
    rig.write("schemas/refund.json", "{ \"type\": ");
    assert!(store.reload().await.is_err(), "the last sound one stays");
    assert_eq!(store.current().get("a").expect("loaded").schemas.len(), 1);
}
