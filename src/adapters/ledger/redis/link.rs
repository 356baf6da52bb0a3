//! The way to the primary Redis, whatever kind it is: one connection for scripts, kept alive and made anew by `keeper`, and
//! an answer for every call within its patience. Knows no ledger and no key. `find` says where the primary is, `dial` goes
//! there, `probe` looks at what is found, `refusal` reads the server's errors; `bell` hears a channel, `reader` waits for
//! what a command blocks on.
//!
//! While the server is known to be gone or to hang, calls are refused at once and nothing is sent. Whether a call that
//! failed may have run all the same is part of its error.

mod bell;
mod dial;
mod find;
mod keeper;
mod lanes;
mod note;
mod probe;
mod reader;
mod refusal;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, Pipeline, ScriptInvocation, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use bell::{Bell, Heard};
pub use reader::Reader;

use self::find::Finder;
use self::lanes::{Lane, Lanes};
use self::note::Note;
use self::refusal::Verdict;
use crate::adapters::ledger::LedgerError;
use crate::config::CredentialSource;
use crate::config::redis::RedisAddress;

/// A script that the server forgets again and again is loaded so often for one call.
const LOADS: u32 = 5;
/// What is no script may be long to read, and no call waits for it.
const LONGER: u32 = 4;

/// How long the server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the whole way to a connection that can be used: name, TCP, TLS, password, first answer.
    pub connect: Duration,
    /// For one answer. A server that takes longer is taken to hang.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_millis(500), answer: Duration::from_millis(250) }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub patience: Patience,
    /// So many replicas must have what `run_kept` wrote.
    pub wait_replicas: u16,
    /// Read at each connection, in place of the address's own.
    pub password: Option<CredentialSource>,
}

/// Why there is no answer to use. What it was about is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It did not run: nothing was sent, or the server refused it whole.
    #[error("{0}")]
    NotRun(String),
    /// It may have run, or run later: the answer did not come.
    #[error("{0}")]
    Unknown(String),
}

impl LinkError {
    pub fn may_have_run(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl From<LinkError> for LedgerError {
    fn from(e: LinkError) -> Self {
        Self::Down(e.to_string())
    }
}

/// An answer whose write the wanted number of replicas has, or not.
#[derive(Debug)]
pub struct Kept {
    pub value: Value,
    /// Why it is not as safe as wanted.
    pub lacking: Option<String>,
}

/// The server, as callers see it. Clones are one; the last one ends the connection.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
    _ends_the_keeper: Arc<DropGuard>,
}

struct Shared {
    finder: Finder,
    options: Options,
    state: watch::Sender<State>,
    generation: watch::Sender<u64>,
    note: Note,
    warned: Mutex<HashSet<String>>,
}

impl Shared {
    /// A new connection finds what the one before found.
    fn warn_once(&self, text: String) {
        if self.warned.lock().insert(text.clone()) {
            tracing::warn!("{text}");
        }
    }
}

#[derive(Clone)]
enum State {
    /// The connection ended a moment ago, and the first attempt at a new one is under way: calls wait for it.
    Joining,
    Up(Arc<Lanes>),
    /// Calls are refused at once, with this.
    Down(Arc<str>),
}

impl Link {
    /// Connects, and refuses a server that cannot hold a ledger. `key` is any key of the ledger: in a cluster it says which
    /// of the primaries is meant.
    pub async fn open(address: RedisAddress, key: &str, options: Options) -> Result<Self, LinkError> {
        let finder = Finder::new(address, key, &options).map_err(LinkError::NotRun)?;
        let state = watch::Sender::new(State::Joining);
        let (generation, note, warned) = (watch::Sender::new(0), Note::default(), Mutex::default());
        let shared = Arc::new(Shared { finder, options, state, generation, note, warned });
        let end = CancellationToken::new();
        let first = keeper::join(&shared).await.map_err(LinkError::NotRun)?;
        tokio::spawn(end.clone().run_until_cancelled_owned(keeper::keep(shared.clone(), first)));
        Ok(Self { shared, _ends_the_keeper: Arc::new(end.drop_guard()) })
    }

    /// Runs a script, loading it where the server does not have it.
    pub async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Value, LinkError> {
        let until = self.deadline();
        let lanes = self.lanes(until).await?;
        let mut answers = self.scripted(&lanes, &lanes.plain, call, None, until).await?;
        answers.pop().ok_or_else(|| LinkError::Unknown("redis answered nothing".to_owned()))
    }

    /// As `run`, and waits in the same round trip until the wanted number of replicas has what it wrote.
    pub async fn run_kept(&self, call: &ScriptInvocation<'_>) -> Result<Kept, LinkError> {
        let wanted = self.shared.options.wait_replicas;
        if wanted == 0 {
            return Ok(Kept { value: self.run(call).await?, lacking: None });
        }
        let until = self.deadline();
        let lanes = self.lanes(until).await?;
        // It must answer in time for the script's own answer to be heard, which stands before it.
        let wait = (self.shared.options.patience.answer / 2).as_millis().max(1) as u64;
        let answers = self.scripted(&lanes, lanes.waiting(), call, Some((wanted, wait)), until).await?;
        match <[Value; 2]>::try_from(answers) {
            Ok([value, Value::Int(has)]) if has >= i64::from(wanted) => Ok(Kept { value, lacking: None }),
            Ok([value, has]) => Ok(Kept { value, lacking: Some(self.too_few(wanted, &has)) }),
            Err(_) => Err(LinkError::Unknown("redis answered too little".to_owned())),
        }
    }

    /// Runs one command that is no script.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LinkError> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command.clone());
        self.ask_all(&pipeline).await.map(|(answer,)| answer)
    }

    /// Runs commands that are no scripts, each with its answer.
    pub async fn ask_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, LinkError> {
        let until = Instant::now() + self.shared.options.patience.answer * LONGER;
        let lanes = self.lanes(self.deadline()).await?;
        let answers = self.sent(&lanes, &lanes.aside, pipeline, until).await?;
        let answers = self.judged(&lanes, answers)?.unwrap_or_default();
        let whole = Value::Array(answers).extract_error().and_then(|all| Ok(redis::from_redis_value(all)?));
        whole.map_err(|e| LinkError::Unknown(format!("redis at {}: {e}", lanes.at)))
    }

    /// What is published on a channel from now on, across connections.
    pub fn subscribe(&self, channel: &str) -> Bell {
        Bell::new(self.clone(), channel)
    }

    /// A connection of its own, for commands that block.
    pub fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }

    /// `None` if calls can be answered now.
    pub fn trouble(&self) -> Option<String> {
        match &*self.shared.state.borrow() {
            State::Up(_) => self.shared.note.recent(),
            State::Joining => Some("redis: the connection ended, and a new one is being made".to_owned()),
            State::Down(why) => Some(why.to_string()),
        }
    }

    /// Grows with every new connection: what stands behind it may be another server, or the same one with less data.
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    pub fn patience(&self) -> Patience {
        self.shared.options.patience
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.shared.options.patience.answer
    }

    /// The connections, at once or not at all; only one that is being made anew is waited for.
    async fn lanes(&self, until: Instant) -> Result<Arc<Lanes>, LinkError> {
        // Those that ended are there until `keep` has seen it, which is a moment.
        let settled = |state: &State| match state {
            State::Up(lanes) => !lanes.are_over(),
            State::Joining => false,
            State::Down(_) => true,
        };
        if let State::Up(lanes) = &*self.shared.state.borrow()
            && !lanes.are_over()
        {
            return Ok(lanes.clone());
        }
        let mut states = self.shared.state.subscribe();
        let settled = timeout_at(until, states.wait_for(settled)).await;
        match settled.as_ref().map(|s| s.as_deref()) {
            Ok(Ok(State::Up(lanes))) => Ok(lanes.clone()),
            Ok(Ok(State::Down(why))) => Err(LinkError::NotRun(why.to_string())),
            _ => Err(LinkError::NotRun("redis: the connection ended, and there is no new one yet".to_owned())),
        }
    }

    async fn scripted(
        &self,
        lanes: &Arc<Lanes>,
        lane: &Lane,
        call: &ScriptInvocation<'_>,
        wait: Option<(u16, u64)>,
        until: Instant,
    ) -> Result<Vec<Value>, LinkError> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.invoke_script(call);
        if let Some((replicas, millis)) = wait {
            pipeline.cmd("WAIT").arg(replicas).arg(millis);
        }
        for _ in 0..LOADS {
            let answers = self.sent(lanes, lane, &pipeline, until).await?;
            if let Some(answers) = self.judged(lanes, answers)? {
                return Ok(answers);
            }
            // Nothing ran: the server has forgotten the script, or never had it.
            let loaded = timeout_at(until, call.load_async(&mut lane.connection())).await;
            loaded
                .map_err(|_| self.late(lanes, LinkError::NotRun))?
                .map_err(|e| lanes.broken(&e, LinkError::NotRun))?;
        }
        Err(LinkError::NotRun(format!("redis at {} does not keep scripts", lanes.at)))
    }

    async fn sent(
        &self,
        lanes: &Arc<Lanes>,
        lane: &Lane,
        pipeline: &Pipeline,
        until: Instant,
    ) -> Result<Vec<Value>, LinkError> {
        let mut connection = lane.connection();
        match timeout_at(until, connection.send_packed_commands(pipeline, 0, pipeline.len())).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(e)) => Err(lanes.broken(&e, LinkError::Unknown)),
            Err(_) => Err(self.late(lanes, LinkError::Unknown)),
        }
    }

    /// The answers, if the first command ran; nothing if it was a script that must be loaded.
    fn judged(&self, lanes: &Arc<Lanes>, answers: Vec<Value>) -> Result<Option<Vec<Value>>, LinkError> {
        let Some(Value::ServerError(error)) = answers.first() else { return Ok(Some(answers)) };
        match refusal::judge(error, &lanes.at) {
            Verdict::Load => Ok(None),
            Verdict::Elsewhere(why) => {
                lanes.over().because(&why, false);
                Err(LinkError::NotRun(why))
            }
            Verdict::Refused(why) => {
                self.shared.note.take(&why);
                Err(LinkError::NotRun(why))
            }
            Verdict::Failed(why) => Err(LinkError::Unknown(why)),
        }
    }

    /// No answer in time: the server is taken to hang, and calls are refused until it answers again.
    fn late(&self, lanes: &Lanes, fate: fn(String) -> LinkError) -> LinkError {
        let why = format!("redis at {} gave no answer within {:?}", lanes.at, self.shared.options.patience.answer);
        lanes.over().because(&why, true);
        fate(why)
    }

    fn too_few(&self, wanted: u16, has: &Value) -> String {
        let has = if let Value::Int(n) = has { *n } else { 0 };
        let why = format!("redis: {has} replicas have the write, and `wait_replicas` asks for {wanted}");
        self.shared.note.take(&why);
        why
    }
}
