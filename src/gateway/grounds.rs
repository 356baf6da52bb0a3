//! What the calls of one key to one operation have in common: their facts, the flags over them, the accounts that they count on.
//! Made once, and kept while key and policies are what they were. Decides nothing: whatever differs is made anew.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::identify::Caller;
use crate::adapters::keyring::KeyRecord;
use crate::rules::path::CanonicalPath;
use crate::rules::policy::{Armed, PolicySet, SameLines};
use crate::rules::subject::{Facts, Flag, Name};
use crate::rules::vendors::{Operation, Vendor};
use crate::units::ids::KeyId;
use crate::units::table::Table;

/// How many are kept. Each is about a kilobyte.
const MOST: usize = 4096;

/// Of one thread.
#[derive(Default)]
pub struct Grounds(Mutex<Table<(KeyId, Name), Arc<Ground>>>);

pub struct Ground {
    pub facts: Arc<Facts>,
    /// Every flag that would stop such a call.
    pub flags: Arc<[Flag]>,
    /// Switches that watch such a call; most calls have none.
    pub armed: Option<Arc<[Armed]>>,
    lines: SameLines,
    key: Arc<KeyRecord>,
    ancestors: Vec<Arc<KeyRecord>>,
    /// Which they were, without keeping them.
    policies: Weak<PolicySet>,
}

impl Grounds {
    pub fn of(
        &self,
        caller: &Caller,
        vendor: &Vendor,
        operation: Option<&Operation>,
        method: &str,
        path: &CanonicalPath,
    ) -> Arc<Ground> {
        let Some(operation) = operation else {
            let name = Arc::from(format!("{method} {}", path.for_rules()));
            return Arc::new(Ground::new(caller, vendor, name));
        };
        // What headers add may be another thing in each call.
        if caller.subject != caller.key.subject {
            return Arc::new(Ground::new(caller, vendor, operation.name.clone()));
        }
        let place = (caller.key.id.clone(), operation.name.clone());
        let mut kept = self.0.lock();
        if let Some(ground) = kept.get(&place).filter(|ground| ground.is_of(caller, vendor)) {
            return ground.clone();
        }
        let ground = Arc::new(Ground::new(caller, vendor, operation.name.clone()));
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(place, ground.clone());
        ground
    }
}

impl Ground {
    fn new(caller: &Caller, vendor: &Vendor, operation: Name) -> Self {
        let facts = Facts {
            subject: caller.subject.clone(),
            keys: caller.key_chain(),
            policy: caller.policy.name.clone(),
            vendor: vendor.name.clone(),
            operation,
            claimed_run: caller.claimed_run(),
        };
        let armed = caller.policies.armed(&facts);
        Self {
            armed: (!armed.is_empty()).then(|| armed.into()),
            flags: Flag::over(&facts).into(),
            facts: Arc::new(facts),
            lines: SameLines::default(),
            key: caller.key.clone(),
            ancestors: caller.ancestors().to_vec(),
            policies: Arc::downgrade(&caller.policies),
        }
    }

    /// A key that changes is another record, and policies that change are another set.
    fn is_of(&self, caller: &Caller, vendor: &Vendor) -> bool {
        let same = |(a, b): (&Arc<KeyRecord>, &Arc<KeyRecord>)| Arc::ptr_eq(a, b);
        self.are_its(&caller.policies)
            && Arc::ptr_eq(&self.key, &caller.key)
            && self.ancestors.len() == caller.ancestors().len()
            && self.ancestors.iter().zip(caller.ancestors()).all(same)
            && self.facts.vendor == vendor.name
            && self.facts.claimed_run == caller.claimed_run()
    }

    fn are_its(&self, policies: &Arc<PolicySet>) -> bool {
        std::ptr::eq(self.policies.as_ptr(), Arc::as_ptr(policies))
    }

    /// Its accounts, unless these are other policies.
    pub fn lines(&self, policies: &Arc<PolicySet>) -> Option<&SameLines> {
        self.are_its(policies).then_some(&self.lines)
    }
}
