//! The folder of policies: loaded whole or not at all, watched by looking at it, swapped as one snapshot. A load that fails
//! keeps the old set and its reasons. Knows TOML only through `config::policy_file`, and decides nothing about calls.

mod folder;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, watch};

use crate::config::{Mistake, Mistakes};
use crate::rules::ledger::account::Shape;
use crate::rules::policy::{Policy, PolicySet};
use crate::rules::subject::Name;
use crate::units::ids::Digest32;
use folder::Stamps;

pub use folder::beside;

/// Tells the ledger which shapes are counted from now on; done before a new set decides anything.
pub type Declare = Box<dyn Fn(Vec<Shape>) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What to load, and what to check it against.
pub struct Options {
    pub folder: PathBuf,
    /// Vendors that are configured; a policy that names another is a mistake.
    pub vendors: Vec<Name>,
    pub sandbox: Sandbox,
}

/// What becomes of the policy named `sandbox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// Loaded; the shipped one, unless the folder has one of that name.
    Served,
    /// Left out: its keys were given out for pretend vendors, and must open nothing where the real ones are.
    Closed,
    /// A policy as any other, where nothing is served.
    Checked,
}

/// All policies, as they are now.
pub struct PolicyStore {
    options: Options,
    declare: Declare,
    current: ArcSwap<PolicySet>,
    generation: watch::Sender<u64>,
    /// Why the folder as it is now is not what is loaded; empty if it is.
    mistakes: Mutex<Vec<Mistake>>,
    /// One load at a time; holds the folder's state at the last one, sound or not.
    turn: Turn<Stamps>,
}

/// What a load changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// New or different.
    pub loaded: Vec<Changed>,
    /// Keys under these are refused from now on.
    pub removed: Vec<(Name, Digest32)>,
}

/// A policy that is new or different: the hash of its file, and the lines of it that are new or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub policy: Name,
    pub hash: Digest32,
    /// None of that name was loaded before.
    pub whole: bool,
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

impl Changed {
    fn between(old: Option<&Policy>, new: &Policy) -> Self {
        let (policy, hash, whole) = (new.name.clone(), new.hash, old.is_none());
        let old = old.map(|p| p.lines.as_slice()).unwrap_or_default();
        Self { policy, hash, whole, added: beyond(&new.lines, old), removed: beyond(old, &new.lines) }
    }
}

/// What stands in `lines` more often than in `other`.
fn beyond(lines: &[String], other: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = other.iter().collect();
    let new = lines.iter().filter(|line| match left.iter().position(|l| l == line) {
        Some(at) => {
            left.swap_remove(at);
            false
        }
        None => true,
    });
    new.cloned().collect()
}

impl Reloaded {
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty() && self.removed.is_empty()
    }

    fn between(old: &PolicySet, new: &PolicySet) -> Self {
        let same = |name: &str, hash| old.get(name).is_some_and(|p| p.hash == hash);
        let changed = new.policies().filter(|p| !same(&p.name, p.hash));
        let loaded = changed.map(|p| Changed::between(old.get(&p.name).map(|p| &**p), p));
        let removed = old.policies().filter(|p| new.get(&p.name).is_none()).map(|p| (p.name.clone(), p.hash));
        Self { loaded: loaded.collect(), removed: removed.collect() }
    }
}

impl PolicyStore {
    /// Loads the folder. One that is missing or empty is no mistake, though no key will be allowed anything: see `is_empty`.
    /// `extra` are the shapes of keys' own budgets.
    pub async fn open(options: Options, extra: Vec<Shape>, declare: Declare) -> Result<(Self, Reloaded), Mistakes> {
        let empty = PolicySet::new(Vec::new(), extra).unwrap_or_default();
        let store = Self {
            options,
            declare,
            current: ArcSwap::from_pointee(empty),
            generation: watch::Sender::new(0),
            mistakes: Mutex::default(),
            turn: Turn::default(),
        };
        let reloaded = store.reload().await?;
        Ok((store, reloaded))
    }

    /// The snapshot to decide by. A call keeps the one that it began with.
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// Resolves when other policies than these decide: whoever waits is then decided anew.
    pub async fn replaced(&self, by_then: &Arc<PolicySet>) {
        let mut changes = self.generation.subscribe();
        // Whether it came before or after: nobody looks while nobody waits.
        while self.current().hash() == by_then.hash() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Why the folder as it stands is not what is loaded.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.mistakes.lock().clone()
    }

    /// Reads the folder now, whole or not at all.
    pub async fn reload(&self) -> Result<Reloaded, Mistakes> {
        let mut seen = self.turn.lock().await;
        let loaded = self.load(&mut seen).await;
        *self.mistakes.lock() = loaded.as_ref().err().map(|m| m.0.clone()).unwrap_or_default();
        loaded
    }

    async fn load(&self, seen: &mut Stamps) -> Result<Reloaded, Mistakes> {
        let old = self.current();
        let (stamps, policies) = folder::read(&self.options).await;
        *seen = stamps;
        let new = folder::set(policies?, old.extra_shapes().to_vec(), &self.options.folder)?;
        let reloaded = Reloaded::between(&old, &new);
        if !reloaded.is_empty() {
            let swapped = self.swap(&old, new).await;
            // The files are as sound as before: the watcher tries again.
            swapped.inspect_err(|_| seen.clear()).map_err(|why| Mistakes(vec![self.of_folder(why)]))?;
            self.generation.send_modify(|generation| *generation += 1);
        }
        Ok(reloaded)
    }

    /// Until the new set decides, both count; nothing is uncounted in between.
    async fn swap(&self, old: &PolicySet, new: PolicySet) -> Result<(), String> {
        let mut both = [old.shapes(), new.shapes()].concat();
        both.sort();
        both.dedup();
        (self.declare)(both).await?;
        let shapes = new.shapes().to_vec();
        self.current.store(Arc::new(new));
        // If this fails, shapes that nobody limits any more are counted until the next load.
        (self.declare)(shapes).await.or(Ok(()))
    }

    fn of_folder(&self, why: String) -> Mistake {
        Mistake::of_file(self.options.folder.display().to_string(), why)
    }

    /// Other shapes of keys' own budgets: after a key with one was minted, before it is given out.
    pub async fn count_for_keys(&self, extra: Vec<Shape>) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let old = self.current();
        let new = old.with_extra(extra);
        if new.shapes() == old.shapes() {
            return Ok(());
        }
        self.swap(&old, new).await
    }

    /// Looks at the folder for as long as it is polled. A change is loaded when it has stood still for one look, so that
    /// a file is not read while it is written. `told` hears of each load once, sound or not.
    pub async fn watch(&self, every: Duration, told: impl Fn(&Result<Reloaded, Mistakes>)) {
        let mut before = Stamps::default();
        loop {
            tokio::time::sleep(every).await;
            let now = folder::stamps(&self.options.folder).await;
            let settled = std::mem::replace(&mut before, now.clone()) == now;
            if settled && *self.turn.lock().await != now {
                told(&self.reload().await);
            }
        }
    }
}
