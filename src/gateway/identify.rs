//! Step 1: from the vault key to the caller: subject, policies as they stand now, narrower rules of the key and its ancestors.
//! Reads no path and no body. `route` comes next.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

use super::Gateway;
use super::baggage;
use super::context::Context;
use super::headers::PREFIX;
use super::own::page;
use super::problem::Problem;
use super::refusal::About;
use crate::adapters::keyring::{KeyRecord, Standing};
use crate::adapters::people::{People, PeopleError, Person};
use crate::rules::policy::{Overlay, Policy, PolicySet};
use crate::rules::subject::{Name, Subject};
use crate::rules::vendors::credential;
use crate::units::ids::KeyId;
use crate::units::vault_key::VaultKey;

/// Who calls, and under which rules.
pub struct Caller {
    pub key: Arc<KeyRecord>,
    ancestors: Vec<Arc<KeyRecord>>,
    pub policies: Arc<PolicySet>,
    pub policy: Arc<Policy>,
    /// The key's subject, with what headers add.
    pub subject: Subject,
    /// The run stands in a header alone.
    pub run_claimed: bool,
    /// The key as it was sent, so that every copy of it can be taken out.
    pub carried: Zeroizing<String>,
}

impl Caller {
    pub fn overlays(&self) -> Vec<(&KeyId, &Overlay)> {
        let all = std::iter::once(&self.key).chain(&self.ancestors);
        all.filter_map(|k| Some((&k.id, k.overlay.as_ref()?))).collect()
    }

    pub fn ancestors(&self) -> &[Arc<KeyRecord>] {
        &self.ancestors
    }

    /// Does its run count on no account?
    pub fn claimed_run(&self) -> bool {
        !self.policy.counts_run(self.run_claimed)
    }

    pub fn key_chain(&self) -> Vec<KeyId> {
        self.key.chain().cloned().collect()
    }

    /// The vendors that policy, key and ancestors all name.
    pub fn vendors(&self) -> Vec<Name> {
        let overlays = self.overlays();
        let allowed =
            |v: &&Name| overlays.iter().all(|(_, o)| o.vendors.as_ref().is_none_or(|named| named.contains(v)));
        self.policy.vendors.iter().filter(allowed).cloned().collect()
    }
}

/// 401 before anything else is looked at.
pub async fn identify(
    gateway: &Gateway,
    context: &Context,
    parts: &Parts,
    about: &mut About,
) -> Result<Caller, Problem> {
    let carried = credential::find_vault_keys(&parts.headers, parts.uri.query()).map_err(|_| Problem::TwoKeys)?;
    let carried = Zeroizing::new(carried.ok_or(Problem::NoKey)?);
    let sent = VaultKey::parse(&carried).ok_or(Problem::UnknownKey)?;
    let key = gateway.keyring.find(&sent.id).filter(|k| sent.matches(&k.hash)).ok_or(Problem::UnknownKey)?;
    // From here on it is no stranger, whatever becomes of the call.
    about.key(&key);
    match gateway.keyring.standing(&key, context.at) {
        Standing::Good => {}
        Standing::Expired(at) => return Err(Problem::Expired(at)),
        Standing::Revoked(by) => return Err(Problem::off(by.flag.clone(), Some(&by))),
    }
    let policies = gateway.policies.current();
    let policy = policies.get(&key.policy).cloned().ok_or_else(|| Problem::NoPolicy(key.policy.to_string()))?;
    // An ancestor that is gone leaves no rules to obey, so its children end with it.
    let ancestors = key.ancestors.iter().map(|id| gateway.keyring.find(id).ok_or(Problem::Revoked));
    let ancestors = ancestors.collect::<Result<_, _>>()?;
    let (subject, run_claimed) =
        attributed(&gateway.people, &key.subject, &parts.headers, page(parts).is_none()).await?;
    Ok(Caller { key, ancestors, policies, policy, subject, run_claimed, carried })
}

/// What a header names is claimed; what the key names is fixed, and a header that differs is refused. From here on a person
/// goes by an alias, which is drawn only for a call: bursar's own pages write nothing.
async fn attributed(
    people: &Arc<People>,
    fixed: &Subject,
    headers: &HeaderMap,
    draws: bool,
) -> Result<(Subject, bool), Problem> {
    let mut subject = fixed.clone();
    let mut claimed = false;
    if !headers.keys().any(claims) {
        return Ok((subject, claimed));
    }
    if let Some(run) = claim(headers, "x-bursar-run", "bursar.run")? {
        match &fixed.run {
            Some(own) if **own != *run => return Err(differs("x-bursar-run")),
            Some(_) => {}
            None => (subject.run, claimed) = (Some(Arc::from(run)), true),
        }
    }
    let user = claim(headers, "x-bursar-user", "bursar.user")?;
    let user = user.as_deref().map(|user| ("user", user));
    let tags = header(headers, "x-bursar-tags")?.unwrap_or_default();
    let tags =
        tags.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| t.split_once('=').unwrap_or((t, "true")));
    for (name, value) in user.into_iter().chain(tags.take(MAX_TAGS)) {
        let (name, mut value): (Name, Name) = (name.into(), value.into());
        let fixed_value = fixed.dimensions.get(&name);
        if people.is_personal(&name) {
            if let Some(own) = fixed_value {
                let person = Person { dimension: name.clone(), value };
                // Nobody is given an alias who is refused in the same breath.
                if known(people, person).await?.as_ref() != Some(own) {
                    return Err(differs(&name));
                }
                continue;
            }
            let person = Person { dimension: name.clone(), value };
            value = match draws {
                true => people.alias(person).await.map_err(no_alias)?,
                false => known(people, person).await?.unwrap_or_else(|| NOBODY.into()),
            };
        }
        match fixed_value {
            Some(own) if *own != value => return Err(differs(&name)),
            _ => drop(subject.dimensions.insert(name, value)),
        }
    }
    Ok((subject, claimed))
}

/// Under which alias a person is known already.
async fn known(people: &Arc<People>, person: Person) -> Result<Option<Name>, Problem> {
    let people = people.clone();
    let found = tokio::task::spawn_blocking(move || people.find(&person)).await;
    found.map_err(|_| Problem::StoreDown)?.map_err(no_alias)
}

/// May this header name somebody?
fn claims(name: &HeaderName) -> bool {
    name.as_str().starts_with(PREFIX) || name == baggage::NAME
}

/// What a header names, or a member of the W3C `baggage`. Both may, if they agree.
fn claim<'h>(headers: &'h HeaderMap, name: &'static str, member: &str) -> Result<Option<Cow<'h, str>>, Problem> {
    let mut named = header(headers, name)?.map(Cow::Borrowed);
    for value in baggage::values(headers, member) {
        let value = value.filter(|v| plain(name, v)).ok_or_else(|| malformed(member))?;
        if named.as_ref().is_some_and(|n| *n != value) {
            return Err(Problem::Malformed(format!("`{name}` and `baggage` name two; send one of them")));
        }
        named = Some(value);
    }
    Ok(named)
}

/// Whoever has made no call yet, on bursar's own pages.
const NOBODY: &str = "person-unknown";
const MAX_TAGS: usize = 16;
const MAX_VALUE: usize = 256;

fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|t| plain(name, t));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text)),
        _ => Err(malformed(name)),
    }
}

/// A name is part of an account's name, where `/` and blanks part it from others.
fn plain(name: &str, text: &str) -> bool {
    let printable = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'));
    let whole = name == "x-bursar-tags" || !text.contains(['/', ' ', '\t']);
    printable && whole && !text.is_empty() && text.len() <= MAX_VALUE
}

fn malformed(name: &str) -> Problem {
    Problem::Malformed(format!(
        "`{name}` must be given once, in at most {MAX_VALUE} plain characters without `/` or blanks"
    ))
}

fn no_alias(error: PeopleError) -> Problem {
    tracing::error!(%error, "a call was refused: the person that it names has no alias");
    Problem::StoreDown
}

fn differs(name: &str) -> Problem {
    Problem::Malformed(format!("the vault key fixes `{name}`, and a header names another; leave the header out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| ((*k).try_into().expect("a name"), (*v).try_into().expect("a value"))).collect()
    }

    /// Whom headers name beside a key; the folder ends with the test.
    async fn named(fixed: &Subject, lines: &[(&'static str, &'static str)]) -> Result<(Subject, bool), Problem> {
        let dir = tempfile::tempdir().expect("a folder");
        let people = Arc::new(People::open(dir.path(), vec!["user".into()]).expect("opens"));
        attributed(&people, fixed, &headers(lines), true).await
    }

    #[tokio::test]
    async fn a_header_claims_what_the_key_leaves_open() {
        let open = Subject::default();
        let all = [("x-bursar-run", "r1"), ("x-bursar-user", "ann"), ("x-bursar-tags", "ticket=7, beta")];
        let (subject, claimed) = named(&open, &all).await.expect("well-formed");
        assert!(claimed && subject.run.as_deref() == Some("r1"));
        assert_eq!(subject.dimensions.len(), 3);
        assert!(subject.dimensions["user"].starts_with("person-"), "a person goes by an alias");
        let fixed = Subject { run: Some("r0".into()), ..Subject::default() };
        assert!(named(&fixed, &all).await.is_err());
        assert!(matches!(named(&fixed, &[("x-bursar-run", "r0")]).await, Ok((_, false))));
        assert!(named(&open, &[("x-bursar-run", "a"), ("x-bursar-run", "b")]).await.is_err());
    }

    #[tokio::test]
    async fn baggage_claims_like_the_headers() {
        let open = Subject::default();
        let blank = ("baggage", "x=1, bursar.run=r%201;ttl=3");
        assert!(named(&open, &[blank]).await.is_err(), "a blank is no part of a name");
        let carried = ("baggage", "x=1, bursar.run = r1 ;ttl=3,bursar.user=ann");
        for lines in [&[carried][..], &[carried, ("x-bursar-run", "r1")]] {
            assert!(named(&open, lines).await.is_ok_and(|(s, _)| s.run.as_deref() == Some("r1")));
        }
        assert!(named(&open, &[carried, ("x-bursar-run", "r2")]).await.is_err(), "they name two");
        assert!(named(&open, &[carried, ("baggage", "bursar.run=r3")]).await.is_err());
        let fixed = Subject { run: Some("r0".into()), ..Subject::default() };
        assert!(named(&fixed, &[carried]).await.is_err(), "the key names another");
    }
}
