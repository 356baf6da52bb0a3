//! Persons who are asked beside the operators: their tokens, where each is told, and the signatures of their links. A link
//! names a request, a person and an end; who has it is that person.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::adapters::keyring::secrets::{AdminToken, BodyHasher, SecretError, own_key};
use crate::adapters::sinks::Webhook;
use crate::config::{self, CredentialSource};
use crate::units::ids::{ApprovalId, Digest32};
use crate::units::secret::Secret;
use crate::units::time::Timestamp;

#[derive(Clone)]
pub struct Approvers {
    people: Arc<[Approver]>,
    /// Where links lead.
    url: Option<String>,
    links: BodyHasher,
}

struct Approver {
    name: Arc<str>,
    token: Option<AdminToken>,
    hook: Option<Webhook>,
}

/// What a link says, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub by: String,
    /// Seconds since 1970.
    pub until: i64,
    pub sig: String,
}

impl Signed {
    fn proof(&self, id: &ApprovalId) -> Digest32 {
        let Self { by, until, sig } = self;
        Digest32(Sha256::digest(format!("{id}\0{by}\0{until}\0{sig}")).into())
    }

    /// Is it the link that is known by this?
    pub fn is(&self, id: &ApprovalId, proof: Digest32) -> bool {
        self.proof(id).0.ct_eq(&proof.0).into()
    }

    pub fn in_time(&self, now: Timestamp) -> Result<(), &'static str> {
        if self.until <= now.0.div_euclid(1_000_000) { Err("this link's time is over") } else { Ok(()) }
    }
}

impl Approvers {
    /// `read` gets a secret from where the configuration says that it is.
    pub fn open(
        config: &config::Approvers,
        data: &Path,
        read: impl Fn(&CredentialSource) -> Result<Secret, String>,
    ) -> Result<Self, String> {
        let people =
            config.people.iter().map(|person| Approver::open(person, data, &read)).collect::<Result<Arc<[_]>, _>>()?;
        let links = link_key(data).map_err(|e| e.to_string())?;
        two_alike(&people)?;
        Ok(Self { people, url: config.url.clone(), links })
    }

    #[cfg(test)]
    pub fn none(data: &Path) -> Self {
        Self { people: Arc::new([]), url: None, links: link_key(data).expect("a key") }
    }

    /// Links lead to where the admin API listens, unless the configuration says otherwise.
    pub fn at(mut self, admin: std::net::SocketAddr) -> Self {
        self.url.get_or_insert_with(|| format!("http://{admin}"));
        self
    }

    /// Whose token is the operators', which opens everything.
    pub fn with_token(&self, admin: &AdminToken) -> Option<&str> {
        let theirs = |person: &&Approver| person.token.is_some_and(|own| own.is(admin));
        self.people.iter().find(theirs).map(|person| &*person.name)
    }

    /// The name under which the configuration says that the admin API is reached.
    pub fn host(&self) -> Option<String> {
        let url: http::Uri = self.url.as_ref()?.parse().ok()?;
        url.host().map(str::to_owned)
    }

    /// Whose token this is.
    pub fn whose(&self, token: &[u8]) -> Option<Arc<str>> {
        let theirs = |person: &&Approver| person.token.is_some_and(|own| own.matches(token));
        self.people.iter().find(theirs).map(|person| person.name.clone())
    }

    /// Who is told of each request, and how.
    pub fn hooks(&self) -> impl Iterator<Item = (&Arc<str>, &Webhook)> {
        self.people.iter().filter_map(|person| Some((&person.name, person.hook.as_ref()?)))
    }

    /// Good until the request must be decided.
    pub fn link(&self, id: &ApprovalId, by: &str, until: Timestamp) -> String {
        let (base, until) = (self.url.as_deref().unwrap_or_default(), until.0.div_euclid(1_000_000));
        format!("{base}/approve/{id}?by={by}&until={until}&sig={}", self.signature(id, by, until))
    }

    /// What its link is known by on other nodes, which cannot sign like this one: a hash, so that it opens nothing.
    pub fn proof(&self, id: &ApprovalId, by: &str, until: Timestamp) -> Digest32 {
        let until = until.0.div_euclid(1_000_000);
        Signed { by: by.to_owned(), until, sig: self.signature(id, by, until).to_string() }.proof(id)
    }

    pub fn knows(&self, name: &str) -> bool {
        self.people.iter().any(|person| *person.name == *name)
    }

    /// May whoever has this link, which this node has made, decide?
    pub fn vouches(&self, id: &ApprovalId, signed: &Signed, now: Timestamp) -> Result<(), &'static str> {
        let same = signed
            .sig
            .parse::<Digest32>()
            .is_ok_and(|sent| sent.0.ct_eq(&self.signature(id, &signed.by, signed.until).0).into());
        if !self.knows(&signed.by) || !same {
            return Err("this link was not made by bursar, or not for this request and person");
        }
        signed.in_time(now)
    }

    fn signature(&self, id: &ApprovalId, by: &str, until: i64) -> Digest32 {
        self.links.hash(format!("bursar approval link\0{id}\0{by}\0{until}").as_bytes())
    }
}

impl Approver {
    fn open(
        config: &config::Approver,
        data: &Path,
        read: &impl Fn(&CredentialSource) -> Result<Secret, String>,
    ) -> Result<Self, String> {
        let name = &config.name;
        let wrong = |what: &str, why: String| format!("[[approver]] {name}: {what}: {why}");
        let token = config.token.as_ref().map(|source| {
            let secret = read(source).map_err(|why| wrong("token", why))?;
            // It opens something, so it must be as good as the operators'.
            AdminToken::open(data, Some(&secret)).map(|(token, _)| token).map_err(|e| wrong("token", e.to_string()))
        });
        let hook = config.hook.as_ref().map(|hook| Webhook::new(name, &hook.url, &hook.secret));
        let hook = hook.transpose().map_err(|why| wrong("webhook", why))?;
        Ok(Self { name: name.as_str().into(), token: token.transpose()?, hook })
    }
}

/// One token of two persons would be one person's.
fn two_alike(people: &[Approver]) -> Result<(), String> {
    for (at, one) in people.iter().enumerate() {
        let alike = |other: &&Approver| one.token.is_some_and(|own| other.token.is_some_and(|token| token.is(&own)));
        if let Some(other) = people[..at].iter().find(alike) {
            return Err(format!(
                "[[approver]] {} and {} have the same token; give each one of their own",
                other.name, one.name
            ));
        }
    }
    Ok(())
}

fn link_key(data: &Path) -> Result<BodyHasher, SecretError> {
    let key = own_key(data, "approval-link.key")?;
    let key = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(key.as_ref())));
    BodyHasher::with_key(key.as_ref()).ok_or(SecretError::WeakToken("no key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_for_one_request_one_person_and_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let approver = |name: &str| Approver { name: name.into(), token: None, hook: None };
        let people = [approver("ann"), approver("bob")].into();
        let approvers =
            Approvers { people, url: Some("https://b.example".into()), links: link_key(dir.path()).expect("a key") };
        let (id, until) = (ApprovalId("ap_1".into()), Timestamp(2_000_000_000));
        let link = approvers.link(&id, "ann", until);
        let (path, sig) = link.split_once("&sig=").expect("signed");
        assert_eq!(path, "https://b.example/approve/ap_1?by=ann&until=2000");
        let signed = |by: &str, until, sig: &str| Signed { by: by.into(), until, sig: sig.into() };
        let good = signed("ann", 2000, sig);
        assert_eq!(approvers.vouches(&id, &good, Timestamp(1_999_999_999)), Ok(()));
        let early = Timestamp(0);
        for (id, bad, now) in [
            ("ap_2", good.clone(), early),
            ("ap_1", signed("bob", 2000, sig), early),
            ("ap_1", signed("eve", 2000, sig), early),
            ("ap_1", signed("ann", 2001, sig), early),
            ("ap_1", signed("ann", 2000, ""), early),
            ("ap_1", good.clone(), until),
        ] {
            assert!(approvers.vouches(&ApprovalId(id.into()), &bad, now).is_err(), "{id} {bad:?}");
        }
        assert_eq!(approvers.host().as_deref(), Some("b.example"));
        let proof = approvers.proof(&id, "ann", until);
        assert!(good.is(&id, proof) && !good.is(&ApprovalId("ap_2".into()), proof));
        for other in [signed("bob", 2000, sig), signed("ann", 2001, sig), signed("ann", 2000, "")] {
            assert!(!other.is(&id, proof), "{other:?}");
        }
    }
}
