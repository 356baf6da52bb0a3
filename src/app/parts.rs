//! All that serving needs, opened in order: folder, keys, books, ledger, prices, vendors, vault, policies, gateway.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::ledger;
use super::private::{self, Private};
use super::sinking::Sinking;
use super::{Failure, evidence, fleet, transport};
use crate::adapters::audit::denials::DenialBudget;
use crate::adapters::audit::evidence::Evidence;
use crate::adapters::audit::evidence::anchor::Anchor;
use crate::adapters::audit::tail::Books;
use crate::adapters::audit::{self, AuditStore};
use crate::adapters::fleet::Fleet;
use crate::adapters::keyring::Keyring;
use crate::adapters::keyring::secrets::{AdminToken, data_folder};
use crate::adapters::ledger::embedded::FolderLock;
use crate::adapters::ledger::waiting::Waiting;
use crate::adapters::ledger::{Ledger, Store};
use crate::adapters::policy_store::{Declare, Options as PolicyOptions, PolicyStore, Reloaded, Sandbox};
use crate::adapters::price_store::{PriceFiles, Prices};
use crate::adapters::sandbox;
use crate::adapters::switchboard::Switchboard;
use crate::adapters::vault::{DEFAULT, Source, Vault};
use crate::cli::serve::Options;
use crate::config::{self, Config, CredentialSource, LedgerStore};
use crate::control::{self, About, ControlState, Minted, Others};
use crate::gateway::{Callbacks, Gateway, Grounds, Limits, Manners, Meters, Vendors};
use crate::rules::books::Act;
use crate::rules::subject::Name;
use crate::rules::vendors::Vendor;
use crate::units::secret::Secret;
use crate::units::time::Timestamp;

/// The vendors that the sandbox stands in for.
pub const SANDBOXED: [&str; 2] = ["openai", "stripe"];

pub struct Parts {
    pub config: Config,
    pub keyring: Arc<Keyring>,
    pub others: Option<Arc<Others>>,
    pub private: Private,
    pub ledger: Arc<dyn Store>,
    pub books: Arc<Books>,
    pub evidence: Arc<Evidence>,
    pub anchors: Vec<Arc<Anchor>>,
    pub projection: tokio::task::JoinHandle<()>,
    /// Ends the projection, after everything else has ended.
    pub last_stop: CancellationToken,
    pub sinks: Sinking,
    pub policies: Arc<PolicyStore>,
    pub vault: Arc<Vault>,
    pub switchboard: Arc<Switchboard>,
    pub gateway: Arc<Gateway>,
    token: AdminToken,
    /// Made at this start, to be shown once.
    pub new_token: Option<Zeroizing<String>>,
    /// The operator set one, so the file in the data folder is not in use.
    pub own_token: bool,
    pub vendors: Vec<Arc<Vendor>>,
    pub started_at: Timestamp,
    /// Of the data folder, if the ledger does not hold it.
    _lock: Option<FolderLock>,
}

impl Parts {
    pub async fn open(config: Config, options: &Options) -> Result<Self, Failure> {
        let (data, common) = (config.server.data.clone(), config.ledger.store != LedgerStore::Embedded);
        let (books_store, nodes, mut opened) = stores(&config, common).await?;
        let ledger = opened.store.clone();
        let (keyring, private) = (Arc::new(Keyring::open(&data)?), Private::open(&config)?);
        adopt_flags(common, &keyring, &*ledger).await?;
        let (token, new_token) = AdminToken::open(&data, options.admin_token.as_ref())?;
        private.is_apart_from(&token)?;
        let last_stop = CancellationToken::new();
        let (books, projection) = Books::follow(books_store, ledger.clone(), ledger.durable(), last_stop.clone())?;
        opened.keep_whole(&books, &keyring, nodes.clone(), last_stop.clone()).await?;
        let sinks = Sinking::start(&config, &books)?;
        let (evidence, anchors) = evidence::open(&config, &books)?;
        let (vendors, vault) = vendors(&config, options.sandbox).await?;
        let (policies, loaded) = policies(&config, &vendors, options.sandbox, &keyring, &ledger).await?;
        let prices = Arc::new(prices(&config)?);
        tell_start(&*ledger, &loaded, &prices).await;
        let switchboard = Switchboard::new();
        let gateway = Arc::new(Gateway {
            grounds: Grounds::default(),
            watch: Arc::default(),
            ledger: ledger.clone(),
            books: books.clone(),
            makings: Arc::default(),
            callbacks: Arc::new(Callbacks::at(config.server.public_url.clone())),
            waiting: Waiting::new(ledger.clone()),
            keyring: keyring.clone(),
            people: private.people.clone(),
            captures: private.captures.clone(),
            approvals: private.approvals.clone(),
            remembered: Arc::default(),
            policies: policies.clone(),
            vendors: Vendors::new(vendors.clone()),
            prices,
            vault: vault.clone(),
            upstream: transport::upstream(&config)?,
            switchboard: switchboard.clone(),
            hasher: private::body_hasher(&config)?,
            strangers: Arc::new(DenialBudget::usual(Timestamp::now())),
            meters: Arc::new(Meters::default()),
            limits: limits(&config),
            minter: Arc::default(),
            tls: config.server.tls.is_some(),
        });
        Ok(Self {
            _lock: opened.lock.take(),
            others: fleet::others(&config, nodes)?,
            config,
            keyring,
            private,
            ledger,
            books,
            evidence,
            anchors,
            projection,
            last_stop,
            sinks,
            policies,
            vault,
            switchboard,
            gateway,
            token,
            new_token,
            own_token: options.admin_token.is_some(),
            vendors,
            started_at: Timestamp::now(),
        })
    }

    /// The admin API's state.
    pub fn control(
        &self,
        listen: SocketAddr,
        admin: SocketAddr,
        sandbox: bool,
        stop: &CancellationToken,
    ) -> Arc<ControlState> {
        let about = About {
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at,
            listen: listen.to_string(),
            admin: admin.to_string(),
            data: self.config.server.data.display().to_string(),
            sandbox,
        };
        Arc::new(ControlState {
            pseudonyms: self.private.pseudonyms.clone(),
            keyring: self.keyring.clone(),
            others: self.others.clone(),
            people: self.private.people.clone(),
            captures: self.private.captures.clone(),
            approvals: self.private.approvals.clone(),
            approvers: self.private.approvers.clone().at(admin),
            ledger: self.ledger.clone(),
            books: self.books.clone(),
            sinks: self.sinks.all.clone(),
            evidence: self.evidence.clone(),
            anchors: self.anchors.clone(),
            policies: self.policies.clone(),
            switchboard: self.switchboard.clone(),
            vault: self.vault.clone(),
            vendors: self.vendors.iter().map(|v| v.name.clone()).collect(),
            token: self.token,
            names: control::Names(self.private.approvers.host().into_iter().collect()),
            about,
            stop: stop.clone(),
            turns: control::Turns::default(),
            trips: control::Trips::default(),
            door: control::Door::default(),
        })
    }

    pub fn manners(&self) -> Result<Manners, Failure> {
        let server = &self.config.server;
        Ok(Manners {
            tls: server.tls.as_ref().map(transport::tls).transpose()?,
            header: server.timeouts.caller,
            drain: server.timeouts.drain,
            max_header_bytes: server.limits.header_bytes,
            max_headers: server.limits.headers,
        })
    }

    /// A key for the sandbox's first visitor.
    pub async fn sandbox_key(&self, state: &Arc<ControlState>, sandbox: bool) -> Result<Option<Minted>, Failure> {
        if !sandbox {
            return Ok(None);
        }
        let asked = control::wire::MintRequest {
            policy: "sandbox".to_owned(),
            agent: Some("sandbox".to_owned()),
            ttl_secs: Some(7 * 24 * 3600),
            note: Some("made by `serve --sandbox`".to_owned()),
            ..Default::default()
        };
        let act = Act { actor: "bursar".to_owned(), reason: Some("serve --sandbox".to_owned()) };
        control::mint_key(state, asked, act)
            .await
            .map(Some)
            .map_err(|p| format!("no key for the sandbox could be minted: {p:?}").into())
    }
}

/// The folder, the books and the ledger, before all else.
async fn stores(
    config: &Config,
    common: bool,
) -> Result<(Arc<dyn AuditStore>, Option<Arc<Fleet>>, ledger::Opened), Failure> {
    let data = &config.server.data;
    data_folder(data)?;
    // Before the books: a newer bursar must not migrate those of one that serves.
    let lock = FolderLock::take(data)?;
    let books = audit::open(&config.audit.store, data, common)?;
    let nodes = fleet::nodes(config).await?;
    let opened = ledger::open(config, lock, &books, nodes.clone()).await?;
    opened.store.bound_backlog(config.audit.backlog);
    Ok((books, nodes, opened))
}

async fn adopt_flags(common: bool, keyring: &Keyring, ledger: &dyn Store) -> Result<(), Failure> {
    if common {
        // Of a fleet's ledger the nodes tell each other, with who said it and why.
        return Ok(());
    }
    for flag in keyring.adopt(&ledger.flags().await?, Timestamp::now())? {
        tracing::warn!(%flag, "keys.db did not know that this is switched off, and the ledger did: it stays off");
    }
    Ok(())
}

/// Under which rules and prices calls are judged from now on.
async fn tell_start(ledger: &dyn Ledger, loaded: &Reloaded, prices: &Prices) {
    let start = Act { actor: "bursar".to_owned(), reason: Some("start".to_owned()) };
    control::tell_loaded(ledger, loaded, &start).await;
    control::tell_prices(ledger, prices.current().hash(), prices.overrides(), start).await;
}

fn limits(config: &Config) -> Limits {
    let (limits, times) = (&config.server.limits, &config.server.timeouts);
    Limits { body: limits.body, body_time: times.idle, drain_answer: times.drain }
}

fn vault(sources: Sources) -> Arc<Vault> {
    let (vault, missing) = Vault::new(sources);
    for (vendor, name, why) in missing {
        tracing::warn!(%vendor, %name, "a credential is missing: {why}");
    }
    Arc::new(vault)
}

type Sources = Vec<(Name, Name, Source)>;

/// The configured vendors and their credentials; with the sandbox, those that it stands in for lead there.
async fn vendors(config: &Config, with_sandbox: bool) -> Result<(Vec<Arc<Vendor>>, Arc<Vault>), Failure> {
    let mut vendors = config.vendors.clone();
    let mut sources: Sources =
        config.credentials.iter().map(|c| (c.vendor.clone(), c.name.clone(), source(&c.source))).collect();
    if with_sandbox {
        let address = sandbox::start().await?;
        vendors.retain(|v| !SANDBOXED.contains(&&*v.name));
        sources.retain(|(v, ..)| !SANDBOXED.contains(&&**v));
        for name in SANDBOXED {
            vendors.push(Arc::new(config::vendors::moved(name, format!("http://{address}"))?));
            let secret = Source::Given(Secret::new(sandbox::CREDENTIAL.to_owned()));
            sources.push((Name::from(name), Name::from(DEFAULT), secret));
        }
    }
    Ok((vendors, vault(sources)))
}

pub fn source(source: &CredentialSource) -> Source {
    match source {
        CredentialSource::Env(name) => Source::Env(name.clone()),
        CredentialSource::File(path) => Source::File(path.clone()),
    }
}

async fn policies(
    config: &Config,
    vendors: &[Arc<Vendor>],
    sandbox: bool,
    keyring: &Keyring,
    ledger: &Arc<dyn Store>,
) -> Result<(Arc<PolicyStore>, Reloaded), Failure> {
    let options = PolicyOptions {
        folder: config.server.policies.clone(),
        vendors: vendors.iter().map(|v| v.name.clone()).collect(),
        sandbox: if sandbox { Sandbox::Served } else { Sandbox::Closed },
    };
    let extra = keyring.shapes(Timestamp::now());
    let ledger = ledger.clone();
    let declare: Declare = Box::new(move |shapes| {
        let ledger = ledger.clone();
        Box::pin(async move { ledger.declare(shapes).await.map_err(|e| e.to_string()) })
    });
    let (store, loaded) = PolicyStore::open(options, extra, declare).await?;
    if store.current().is_empty() {
        tracing::warn!(folder = %store.folder().display(), "no policy is loaded, so no key is allowed anything");
    }
    Ok((Arc::new(store), loaded))
}

fn prices(config: &Config) -> Result<Prices, Failure> {
    Ok(Prices::open(PriceFiles::new(&config.server.data, config.prices.overrides.as_deref()))?)
}
