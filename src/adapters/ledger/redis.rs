//! The ledger of a fleet, on one Redis: one script per operation decides, writes and appends its event to a stream in one
//! atomic step, by the server's time. Minimal so far: reserve, commit, release, kill flags, refusals. What is not built says
//! so. A replay key is not looked at: a repeat holds its own money, which blocks too much rather than too little.

mod answer;
mod encode;
pub mod link;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisError, RedisResult, Script, ScriptInvocation};

use self::answer::Parts;
use self::encode::Keys;
use super::{Answer, Ledger, LedgerError, Wake};
use crate::rules::books::{Act, Control, Opening};
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::ask::{AccountState, End, Line, Reservation, Reserve, Settle, Settled};
use crate::rules::ledger::entry::Posting;
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// How long a command may take, and a connection.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an ended hold answers a repeated settle.
const REMEMBER: Duration = Duration::from_secs(600);
/// Attempts of a settle that nobody waits for.
const ATTEMPTS: u32 = 5;

/// One ledger on one Redis. Connects anew by itself.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    keys: Keys,
    scripts: Scripts,
    /// The accounts of the holds that this process took: a script must name its keys.
    holds: DashMap<CallId, Arc<[Posting]>>,
    wake: OnceLock<Wake>,
    trouble: Mutex<Option<String>>,
}

struct Scripts {
    reserve: Script,
    settle: Script,
    append: Script,
    accounts: Script,
    renew: Script,
}

impl Scripts {
    fn new() -> Self {
        let script = |text: &str| Script::new(&format!("{}{text}", include_str!("redis/lib.lua")));
        Self {
            reserve: script(include_str!("redis/reserve.lua")),
            // Must run also when memory is out.
            settle: Script::new(&format!(
                "#!lua flags=allow-oom\n{}{}",
                include_str!("redis/lib.lua"),
                include_str!("redis/settle.lua")
            )),
            append: script(include_str!("redis/append.lua")),
            accounts: script(include_str!("redis/accounts.lua")),
            renew: script(include_str!("redis/renew.lua")),
        }
    }
}

fn down(e: &RedisError) -> LedgerError {
    LedgerError::Down(format!("redis: {e}"))
}

/// A flag as a member of the set: the same text for the same flag.
fn flag_text(flag: &Flag) -> String {
    json(flag)
}

/// Rows and flags are made of strings, numbers and lists of them, which JSON can always hold.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Redis {
    /// Connects, and refuses a server that would drop keys when its memory is full. `name` is the ledger's; all its keys lie
    /// in one hash slot.
    pub async fn open(url: &str, name: &str) -> Result<Self, LedgerError> {
        let client = Client::open(url).map_err(|e| down(&e))?;
        let config =
            ConnectionManagerConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let mut connection = ConnectionManager::new_with_config(client, config).await.map_err(|e| down(&e))?;
        check_eviction(&mut connection).await?;
        let (keys, scripts) = (Keys::new(name), Scripts::new());
        let (holds, wake, trouble) = (DashMap::new(), OnceLock::new(), Mutex::new(None));
        Ok(Self(Arc::new(Inner { connection, keys, scripts, holds, wake, trouble })))
    }
}

async fn check_eviction(connection: &mut ConnectionManager) -> Result<(), LedgerError> {
    let asked: RedisResult<Vec<String>> =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(connection).await;
    match asked.as_deref() {
        Ok([_, policy]) if policy != "noeviction" => {
            let why =
                format!("redis: `maxmemory-policy` is `{policy}`, so it may drop accounts; set it to `noeviction`");
            Err(LedgerError::Down(why))
        }
        Ok(_) => Ok(()),
        Err(e) => {
            tracing::warn!("redis does not tell its `maxmemory-policy` ({e}); make sure that it is `noeviction`");
            Ok(())
        }
    }
}

impl Inner {
    async fn call(&self, script: &ScriptInvocation<'_>) -> Result<Vec<String>, LedgerError> {
        let answered: RedisResult<Vec<String>> = script.invoke_async(&mut self.connection.clone()).await;
        let failed = answered.as_ref().err().map(|e| format!("redis: {e}"));
        if *self.trouble.lock() != failed {
            *self.trouble.lock() = failed;
        }
        answered.map_err(|e| down(&e))
    }

    async fn reserve(&self, ask: Reserve) -> Result<Reservation, LedgerError> {
        let row = json(&ask.opening);
        let call = encode::reserve(&self.scripts.reserve, &self.keys, &ask, &row);
        let answer = self.call(&call).await?;
        let (reservation, at) = answer::reservation(&answer, ask.hold, &ask.lines)?;
        if let Reservation::Held(_) = &reservation {
            self.holds.insert(ask.hold, postings(&ask.lines, at));
        }
        Ok(reservation)
    }

    async fn settle(&self, settle: Settle) -> Result<Settled, LedgerError> {
        let accounts = self.accounts_of(settle.hold).await?;
        let answer = self.call(&self.settle_call(&settle, &accounts)).await?;
        let fault = |why| Err(LedgerError::Hold(settle.hold, why));
        match Parts::new(&answer).text()? {
            "done" => {
                self.freed(settle.hold);
                Ok(Settled::Done)
            }
            "again" => Ok(Settled::Again),
            "otherwise" => fault("it ended in another way"),
            "unknown" => fault("no such hold"),
            _ => fault("its accounts do not match"),
        }
    }

    fn settle_call(&self, settle: &Settle, accounts: &[AccountName]) -> ScriptInvocation<'_> {
        let (kind, charge, exact) = match &settle.end {
            End::Commit { charge, exact } => ("commit", *charge, *exact),
            End::Release => ("release", Amounts::ZERO, true),
        };
        let mut call = self.scripts.settle.prepare_invoke();
        for key in ["meta", "events"] {
            call.key(self.keys.fixed(key));
        }
        call.key(self.keys.hold(settle.hold)).key(self.keys.fixed("leases"));
        for account in accounts {
            call.key(self.keys.account(account));
        }
        call.arg(settle.hold.to_string()).arg(kind).arg(u8::from(exact));
        for unit in Unit::ALL {
            call.arg(charge.of(unit));
        }
        call.arg(json(&settle.closing)).arg(REMEMBER.as_millis() as u64);
        call
    }

    /// Of a hold that another process took, Redis knows them.
    async fn accounts_of(&self, hold: CallId) -> Result<Vec<AccountName>, LedgerError> {
        if let Some(postings) = self.holds.get(&hold) {
            return Ok(postings.iter().map(|p| p.account.clone()).collect());
        }
        let asked: RedisResult<Option<String>> = self.connection.clone().hget(self.keys.hold(hold), "accounts").await;
        let names = asked.map_err(|e| down(&e))?.ok_or(LedgerError::Hold(hold, "no such hold"))?;
        serde_json::from_str(&names).map_err(|_| answer::unreadable())
    }

    fn freed(&self, hold: CallId) {
        let postings = self.holds.remove(&hold);
        if let (Some(wake), Some((_, postings))) = (self.wake.get(), postings) {
            wake(&postings);
        }
    }

    async fn append(&self, op: &str, row: String, flag: Option<(&Flag, bool)>) -> Result<Seq, LedgerError> {
        let mut call = self.scripts.append.prepare_invoke();
        for key in ["meta", "flags", "events"] {
            call.key(self.keys.fixed(key));
        }
        let what = flag.map_or("", |(_, set)| if set { "set" } else { "clear" });
        call.arg(op).arg(row).arg(what).arg(flag.map(|(f, _)| flag_text(f)).unwrap_or_default());
        Parts::new(&self.call(&call).await?).number()
    }

    async fn accounts(&self, lines: &[Line]) -> Result<Vec<AccountState>, LedgerError> {
        let mut call = self.scripts.accounts.prepare_invoke();
        call.key(self.keys.fixed("meta"));
        for line in lines {
            call.key(self.keys.account(&line.account)).arg(line.window.as_str());
        }
        let answer = self.call(&call).await?;
        let mut parts = Parts::new(&answer);
        let mut state = |line: &Line| {
            let (account, unit, window) = (line.account.clone(), line.unit, line.window);
            let window_start = Timestamp(parts.number()?);
            Ok(AccountState { account, unit, window, window_start, spent: parts.number()?, held: parts.number()? })
        };
        lines.iter().map(&mut state).collect()
    }

    async fn renew(&self, hold: CallId) -> Result<(), LedgerError> {
        let mut call = self.scripts.renew.prepare_invoke();
        call.key(self.keys.fixed("meta")).key(self.keys.hold(hold)).key(self.keys.fixed("leases"));
        call.arg(hold.to_string()).arg(crate::rules::ledger::ask::LEASE_SECS * 1_000_000);
        match Parts::new(&self.call(&call).await?).text()? {
            "done" => Ok(()),
            _ => Err(LedgerError::Hold(hold, "it is not open")),
        }
    }

    /// Tried again a few times; after that the lease is the net.
    async fn settle_stubbornly(&self, settle: Settle) {
        for attempt in 1..=ATTEMPTS {
            match self.settle(settle.clone()).await {
                Err(LedgerError::Down(why)) if attempt == ATTEMPTS => {
                    tracing::error!(call = %settle.hold, "a hold could not be ended: {why}");
                }
                Err(LedgerError::Down(_)) => tokio::time::sleep(PATIENCE / 4 * attempt).await,
                _ => return,
            }
        }
    }
}

fn postings(lines: &[Line], at: Timestamp) -> Arc<[Posting]> {
    let line_of = |account: &AccountName| lines.iter().find(|l| l.account == *account);
    let posting =
        |l: &Line| Posting { account: l.account.clone(), unit: l.unit, window: l.window, start: l.window.start(at) };
    encode::accounts(lines).into_iter().filter_map(line_of).map(posting).collect()
}

fn unsupported<T>(what: &'static str) -> Answer<'static, T>
where
    T: Send + 'static,
{
    Box::pin(std::future::ready(Err(LedgerError::Unsupported(what))))
}

impl Ledger for Redis {
    fn reserve(&self, ask: Reserve) -> Answer<'_, Reservation> {
        Box::pin(self.0.reserve(ask))
    }

    fn resize(&self, _: CallId, _: u32, _: Amounts) -> Answer<'_, Reservation> {
        unsupported("resize")
    }

    fn renew(&self, hold: CallId) -> Answer<'_, ()> {
        Box::pin(self.0.renew(hold))
    }

    fn settle(&self, settle: Settle) -> Answer<'_, Settled> {
        Box::pin(self.0.settle(settle))
    }

    fn adjust(&self, _: CallId, _: u32, _: Amounts, _: bool, _: Act) -> Answer<'_, ()> {
        unsupported("adjust")
    }

    fn deny(&self, row: Opening) -> Answer<'_, Seq> {
        Box::pin(async move { self.0.append("deny", json(&row), None).await })
    }

    fn control(&self, control: Control) -> Answer<'_, Seq> {
        Box::pin(async move {
            let flag = match &control {
                Control::Stopped { flag, .. } => Some((flag, true)),
                Control::Restored { flag, .. } => Some((flag, false)),
                _ => None,
            };
            self.0.append("control", json(&control), flag).await
        })
    }

    fn declare(&self, _: Vec<Shape>) -> Answer<'_, ()> {
        unsupported("declare")
    }

    fn accounts(&self, names: Vec<Line>) -> Answer<'_, Vec<AccountState>> {
        Box::pin(async move { self.0.accounts(&names).await })
    }

    fn settle_later(&self, settle: Settle) {
        let inner = self.0.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { inner.settle_stubbornly(settle).await })),
            Err(_) => tracing::error!(call = %settle.hold, "a hold could not be ended: the runtime is gone"),
        }
    }

    fn on_freed(&self, wake: Wake) {
        // One listener; a second one would be a mistake in the wiring, and the first stays.
        let _ = self.0.wake.set(wake);
    }

    fn trouble(&self) -> Option<String> {
        self.0.trouble.lock().clone()
    }

    fn flush(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
