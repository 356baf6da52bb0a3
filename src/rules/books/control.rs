//! Control events: what an operator did, or was refused, with who and why. Pure data; `control` makes them, and the journal
//! carries them like any other event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Act, Kind};
use crate::rules::subject::{Flag, Name, Subject};
use crate::units::ids::{ApprovalId, CallId, Digest32, KeyId, Seq};
use crate::units::money::MicroCents;
use crate::units::time::Timestamp;

/// A change by an operator, or by an agent that minted a child key; or a knock at the operators' door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Control {
    KeyMinted {
        key: KeyId,
        policy: Name,
        parent: Option<KeyId>,
        expires_at: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minting: Option<Box<Minting>>,
        act: Act,
    },
    /// `revoked` for a key, `killed` for anything wider.
    Stopped {
        flag: Flag,
        act: Act,
    },
    Restored {
        flag: Flag,
        act: Act,
    },
    /// A switch of a policy saw something, and only says so.
    Alerted {
        flag: Flag,
        act: Act,
    },
    /// With the lines of its file that are new or gone since the one before.
    PolicyLoaded {
        policy: Name,
        hash: Digest32,
        /// None of that name was loaded before, as at each start: `added` is all of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<String>,
        act: Act,
    },
    /// Its keys are refused from now on.
    PolicyRemoved {
        policy: Name,
        hash: Digest32,
        act: Act,
    },
    /// Prices and exchange rates that calls are reckoned with from now on.
    PricesLoaded {
        hash: Digest32,
        /// The operator's own file on top of the shipped book.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overrides: Option<String>,
        act: Act,
    },
    /// The first request of somebody within an hour.
    AdminLogin {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        act: Act,
    },
    /// Not let in; the reason is in the act, and counts those like it that have no event of their own.
    AdminRefused {
        code: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        act: Act,
    },
    /// Whose alias this is, nobody can say any more.
    PersonErased {
        dimension: Name,
        alias: Name,
        act: Act,
    },
    /// Somebody looked at a captured body.
    BodyRead {
        call: CallId,
        part: Name,
        act: Act,
    },
    /// The accounts were written anew from the books.
    LedgerRebuilt {
        /// Entries that nobody has any more.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<Hole>,
        /// Where the old journal lies.
        kept: String,
        act: Act,
    },
    /// Events from here to there are given up; the checkpoint that covers the last of them stays.
    Pruned {
        from: Seq,
        to: Seq,
        checkpoint: u64,
        act: Act,
    },
    /// A call waits for a person's word, or was refused until there is one.
    Escalated {
        approval: ApprovalId,
        request: Box<Request>,
        act: Act,
    },
    /// One person's yes; the call may pass once enough have given theirs.
    Approved {
        approval: ApprovalId,
        /// Was it the last that was needed?
        enough: bool,
        act: Act,
    },
    /// A person's no, or nobody's word in time.
    Rejected {
        approval: ApprovalId,
        act: Act,
    },
    /// Checkpoints behind this one are signed with another key. Both are public keys.
    SigningKeyRotated {
        checkpoint: u64,
        from: Digest32,
        to: Digest32,
        act: Act,
    },
}

/// For whom a key was minted, and how it is narrower than its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minting {
    pub subject: Subject,
    /// As JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrower: Option<String>,
}

/// What a person is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The call that asked first.
    pub call: CallId,
    pub key: KeyId,
    pub subject: Subject,
    pub policy: Name,
    pub vendor: Name,
    pub operation: Name,
    pub method: Name,
    pub path: Name,
    /// Of the body, as in the call's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<Digest32>,
    /// As it is sent, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<str>>,
    /// What its headers say of an account at the vendor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<Name, Box<str>>,
    /// At most.
    pub estimate_usd: MicroCents,
    #[serde(default)]
    pub tokens: u64,
    /// In points.
    #[serde(default)]
    pub risk: u64,
    /// The rules that ask.
    pub because: Vec<Name>,
    /// How many must say yes.
    pub people: u32,
}

/// A stretch of entries that are gone, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    pub from: Seq,
    pub to: Seq,
}

impl Control {
    pub fn kind(&self) -> Kind {
        match self {
            Self::KeyMinted { .. } => Kind::KeyMinted,
            Self::Stopped { flag: Flag::Key { .. }, .. } => Kind::Revoked,
            Self::Stopped { .. } => Kind::Killed,
            Self::Restored { .. } => Kind::Restored,
            Self::Alerted { .. } => Kind::Alerted,
            Self::PolicyLoaded { .. } => Kind::PolicyLoaded,
            Self::PolicyRemoved { .. } => Kind::PolicyRemoved,
            Self::PricesLoaded { .. } => Kind::PricesLoaded,
            Self::AdminLogin { .. } => Kind::AdminLogin,
            Self::AdminRefused { .. } => Kind::AdminRefused,
            Self::PersonErased { .. } => Kind::PersonErased,
            Self::BodyRead { .. } => Kind::BodyRead,
            Self::LedgerRebuilt { .. } => Kind::LedgerRebuilt,
            Self::Pruned { .. } => Kind::Pruned,
            Self::SigningKeyRotated { .. } => Kind::SigningKeyRotated,
            Self::Escalated { .. } => Kind::Escalated,
            Self::Approved { .. } => Kind::Approved,
            Self::Rejected { .. } => Kind::Rejected,
        }
    }

    /// Who did it, and why.
    pub fn act(&self) -> &Act {
        match self {
            Self::KeyMinted { act, .. } | Self::Stopped { act, .. } | Self::Restored { act, .. } => act,
            Self::PolicyLoaded { act, .. } | Self::PolicyRemoved { act, .. } | Self::PricesLoaded { act, .. } => act,
            Self::AdminLogin { act, .. } | Self::AdminRefused { act, .. } => act,
            Self::Alerted { act, .. } => act,
            Self::PersonErased { act, .. } | Self::BodyRead { act, .. } | Self::LedgerRebuilt { act, .. } => act,
            Self::Pruned { act, .. } | Self::SigningKeyRotated { act, .. } => act,
            Self::Escalated { act, .. } | Self::Approved { act, .. } | Self::Rejected { act, .. } => act,
        }
    }

    /// What it is about, in words.
    pub fn about(&self) -> String {
        match self {
            Self::KeyMinted { key, policy, parent, minting, .. } => {
                let whose = minting.as_ref().and_then(|m| m.subject.agent.as_ref());
                let whose = whose.map(|a| format!(" for agent {a}")).unwrap_or_default();
                let from = parent.as_ref().map(|p| format!(" from key {p}")).unwrap_or_default();
                format!("key {key} under {policy}{whose}{from}")
            }
            Self::Stopped { flag, .. } | Self::Restored { flag, .. } | Self::Alerted { flag, .. } => flag.to_string(),
            Self::PolicyLoaded { policy, hash, added, removed, .. } => {
                format!("policy {policy} {} (+{} -{} lines)", short(hash), added.len(), removed.len())
            }
            Self::PolicyRemoved { policy, .. } => format!("policy {policy}"),
            Self::PricesLoaded { hash, overrides, .. } => {
                let own = overrides.as_ref().map(|file| format!(" with {file}")).unwrap_or_default();
                format!("prices {}{own}", short(hash))
            }
            Self::AdminLogin { from, .. } => format!("admin API from {}", from.as_deref().unwrap_or("the socket")),
            Self::AdminRefused { code, from, .. } => {
                format!("admin API: {code} from {}", from.as_deref().unwrap_or("the socket"))
            }
            Self::PersonErased { dimension, alias, .. } => format!("{dimension} {alias}"),
            Self::BodyRead { call, part, .. } => format!("{part} of call {call}"),
            Self::LedgerRebuilt { lost, .. } => {
                let entries: u64 = lost.iter().map(|h| h.to.saturating_sub(h.from) + 1).sum();
                format!("ledger rebuilt, {entries} entries lost")
            }
            Self::Pruned { from, to, checkpoint, .. } => {
                format!("events {from} to {to}, under checkpoint {checkpoint}")
            }
            Self::Escalated { approval, request, .. } => {
                let Request { operation, vendor, estimate_usd, because, .. } = &**request;
                format!("{approval}: {operation} at {vendor}, at most {estimate_usd} USD, by {}", because.join(", "))
            }
            Self::Approved { approval, enough, .. } => {
                format!("{approval}{}", if *enough { "" } else { ", and more are needed" })
            }
            Self::Rejected { approval, .. } => approval.to_string(),
            Self::SigningKeyRotated { checkpoint, to, .. } => format!("checkpoints after {checkpoint} by key {to}"),
        }
    }
}

/// Enough of a hash to tell it by.
fn short(hash: &Digest32) -> String {
    hash.to_string().chars().take(12).collect()
}
