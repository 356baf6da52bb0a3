//! Floor 5: the only wiring. Configuration to stores, stores to gateway and control, and down again in order: stop accepting,
//! let calls finish, settle every hold, write the books, exit. Decides nothing about calls.

mod evidence;
mod fleet;
mod ledger;
mod mints;
mod page;
mod parts;
mod private;
mod sinking;
mod stop;
mod transport;
mod trips;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::adapters::captures::Captures;
use crate::cli::serve::Options;
use crate::config::{self, Config};
use crate::control::{self, ControlState};
use crate::rules::books::Act;
use crate::units::time::Timestamp;

use parts::Parts;

/// Why serving could not begin, or did not end well. Printed whole: it names files and fields, never a secret.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often credential files and policies are looked at.
const LOOK: Duration = Duration::from_millis(400);

/// How often keys that ended long ago are taken out of memory, and captured bodies whose time is over are deleted.
const FORGET: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(options: Options) -> Result<(), Failure> {
    start_log();
    keep_private();
    let config = config::load(&options.flags, &|name| std::env::var(name).ok())?;
    let stop = CancellationToken::new();
    let parts = Parts::open(config, &options).await?;
    let listener = listen(&parts.config).await?;
    let (admin, socket) = control::listen(parts.config.server.admin, &parts.config.server.data).await?;
    let manners = parts.manners()?;
    let state = parts.control(listener.local_addr()?, admin.local_addr()?, options.sandbox, &stop);
    mints::children(&parts.gateway, &state);
    trips::switches(&parts.gateway, &state);
    let tasks = background(&parts, &state, &stop);
    let key = parts.sandbox_key(&state, options.sandbox).await?;
    page::print(&parts, &state, key.as_ref(), options.json);
    let control = control_tasks(state.clone(), admin, socket);
    let accepting = CancellationToken::new();
    let gateway = workers::start(&parts, listener, &manners, &accepting)?;
    stop::asked().await;
    stop::down(parts, gateway, accepting, stop, tasks.into_iter().chain(control).collect()).await
}

/// What is written here is its owner's alone, and no dump of this process holds a credential: neither the kernel nor another
/// process of the same user may take one.
fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a dump of this process would hold credentials: forbid dumps where it runs (`ulimit -c 0`)");
    }
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BURSAR_LOG").unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A log that cannot be written, on a full disk say, is no reason for a call to fail.
    let log = log.log_internal_errors(false).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // A second one is only possible in a process that set up its own.
    let _ = log.try_init();
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let (address, admin) = (config.server.listen, config.server.admin);
    if !admin.ip().is_loopback() {
        tracing::warn!(address = %admin, "the admin API speaks plain HTTP beyond loopback: its token can be read on the way");
    }
    if !address.ip().is_loopback() && config.server.tls.is_none() {
        tracing::warn!(%address, "plain HTTP beyond loopback: vault keys can be read on the way; set [server] tls");
    }
    TcpListener::bind(address).await.map_err(|e| format!("the gateway cannot listen on {address}: {e}").into())
}

type Task = tokio::task::JoinHandle<()>;

/// What goes on beside the calls.
fn background(parts: &Parts, state: &Arc<ControlState>, stop: &CancellationToken) -> Vec<Task> {
    let ledger = parts.ledger.clone();
    let expiry = tokio::spawn(crate::adapters::ledger::expiry::run(ledger.clone(), stop.clone()));
    let telling = tokio::spawn(control::keep_telling(state.clone()));
    let timing = tokio::spawn(control::keep_time(state.clone()));
    let asking = tokio::spawn(control::keep_asking(state.clone()));
    let hearing = tokio::spawn(until(stop.clone(), parts.private.approvals.clone().follow()));
    let policies = parts.policies.clone();
    let watching = tokio::spawn(until(stop.clone(), async move {
        let told = |reloaded: &Result<_, config::Mistakes>| report(&ledger, reloaded);
        policies.watch(LOOK, told).await;
    }));
    let pricing = tokio::spawn(until(stop.clone(), watch_prices(parts)));
    let late = tokio::spawn(until(stop.clone(), crate::gateway::resume(parts.gateway.clone())));
    let vault = parts.vault.clone();
    let credentials = tokio::spawn(until(stop.clone(), async move {
        loop {
            tokio::time::sleep(LOOK).await;
            for (vendor, name, why) in vault.refresh() {
                tracing::error!(%vendor, %name, "a credential changed and cannot be used, the last one stays: {why}");
            }
        }
    }));
    let (keyring, captures) = (parts.keyring.clone(), parts.private.captures.clone());
    let forgetting = tokio::spawn(until(stop.clone(), async move {
        loop {
            keyring.forget_ended(Timestamp::now());
            forget_bodies(captures.clone()).await;
            tokio::time::sleep(FORGET).await;
        }
    }));
    let mut tasks = evidence::background(parts, state, stop);
    if let Some(others) = parts.others.clone() {
        tasks.push(tokio::spawn(control::follow(state.clone(), others, stop.clone())));
    }
    tasks.extend([expiry, telling, timing, asking, hearing, watching, pricing, late, credentials, forgetting]);
    tasks
}

/// A new book into the books; a broken one into the log.
fn watch_prices(parts: &Parts) -> impl Future<Output = ()> + Send + use<> {
    let (prices, ledger) = (parts.gateway.prices.clone(), parts.ledger.clone());
    let own = prices.overrides();
    prices.watch(LOOK, move |loaded| match loaded {
        Ok(book) => {
            let (ledger, own, hash) = (ledger.clone(), own.clone(), book.hash());
            let act = Act { actor: "bursar".to_owned(), reason: Some("the price files changed".to_owned()) };
            tokio::spawn(async move { control::tell_prices(&*ledger, hash, own, act).await });
        }
        Err(mistakes) => {
            tracing::error!("the price files changed and were not loaded, the old prices stay:\n{mistakes}")
        }
    })
}

async fn forget_bodies(captures: Arc<Captures>) {
    match tokio::task::spawn_blocking(move || captures.forget(Timestamp::now())).await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(count)) => tracing::info!(count, "captured bodies whose time is over were deleted"),
        Ok(Err(error)) => tracing::error!(%error, "captured bodies whose time is over could not be deleted"),
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! { () = stop.cancelled() => {}, () = work => {} }
}

/// A load that the watcher made: into the log, and the policies into the books.
fn report(
    ledger: &Arc<dyn crate::adapters::ledger::Store>,
    reloaded: &Result<crate::adapters::policy_store::Reloaded, config::Mistakes>,
) {
    match reloaded {
        Ok(reloaded) => {
            let (ledger, reloaded) = (ledger.clone(), reloaded.clone());
            tokio::spawn(async move { control::tell_loaded(&*ledger, &reloaded, &watcher()).await });
        }
        Err(mistakes) => tracing::error!("the policies changed and were not loaded, the old ones stay:\n{mistakes}"),
    }
}

fn watcher() -> Act {
    Act { actor: "bursar".to_owned(), reason: Some("the policy folder changed".to_owned()) }
}

fn control_tasks(state: Arc<ControlState>, admin: TcpListener, socket: tokio::net::UnixListener) -> Vec<Task> {
    vec![tokio::spawn(control::serve_tcp(state.clone(), admin)), tokio::spawn(control::serve_socket(state, socket))]
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn nothing_is_dumped_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        super::keep_private();
        assert!(dumpable_behavior().is_ok_and(|b| b == DumpableBehavior::NotDumpable));
        std::fs::write(dir.path().join("keys.db"), "").expect("written");
        let mode = dir.path().join("keys.db").metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
