//! `bursar audit tail`: one line an event. It asks from a sequence number on and remembers where it is, so that a connection
//! that breaks is taken up again without a hole.

mod show;

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use super::super::client::Client;
use super::super::output::{closed, line, note};
use super::super::{Failure, Global};
use crate::rules::books::{Kind, Verdict};
use crate::units::ids::Seq;

pub use show::Show;

#[derive(Debug, Args)]
pub struct Tail {
    /// Go on as events happen
    #[arg(long, short)]
    follow: bool,
    /// Begin with this sequence number; with the last 20 events if unsaid
    #[arg(long, value_name = "SEQ")]
    from: Option<Seq>,
    /// Begin so many events before the end
    #[arg(long, short = 'n', default_value_t = 20, conflicts_with = "from")]
    last: u64,
    /// These kinds alone: admitted, settled, denied, revoked, killed, key_minted, policy_loaded, expired, adjusted, ...
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    kind: Vec<Kind>,
    #[arg(long)]
    agent: Option<String>,
    #[arg(long)]
    run: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    #[arg(long, value_parser = super::super::key::id)]
    key: Option<String>,
    #[arg(long)]
    policy: Option<String>,
    #[arg(long)]
    vendor: Option<String>,
    #[arg(long, value_parser = super::verdict)]
    verdict: Option<Verdict>,
    /// These alone, in this order
    #[arg(long, value_delimiter = ',', value_enum, conflicts_with = "json")]
    columns: Vec<show::Column>,
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| format!("one of {}", super::words(Kind::ALL)))
}

#[derive(Serialize)]
struct Asked<'t> {
    from: Option<Seq>,
    last: Option<u64>,
    follow: Option<bool>,
    kind: Option<String>,
    agent: &'t Option<String>,
    run: &'t Option<String>,
    tenant: &'t Option<String>,
    key: &'t Option<String>,
    policy: &'t Option<String>,
    vendor: &'t Option<String>,
    verdict: Option<Verdict>,
}

impl Tail {
    fn asked(&self, next: Option<Seq>) -> Asked<'_> {
        let kinds: Vec<_> = self.kind.iter().map(|k| k.as_str()).collect();
        Asked {
            from: next,
            last: next.is_none().then_some(self.last),
            follow: self.follow.then_some(true),
            kind: (!kinds.is_empty()).then(|| kinds.join(",")),
            agent: &self.agent,
            run: &self.run,
            tenant: &self.tenant,
            key: &self.key,
            policy: &self.policy,
            vendor: &self.vendor,
            verdict: self.verdict,
        }
    }
}

const AGAIN_AFTER: Duration = Duration::from_secs(1);

pub async fn run(global: &Global, client: &Client, tail: &Tail) -> Result<(), Failure> {
    let mut lines =
        Lines { json: global.json, next: tail.from, buffer: Vec::new(), show: show::Show::new(&tail.columns) };
    let mut connected = false;
    loop {
        let end = match client.stream("/v1/audit/events", &tail.asked(lines.next)).await {
            Ok(answer) => {
                connected = true;
                lines.begin(&answer);
                lines.print(answer.into_body()).await
            }
            Err(e) => Err(e),
        };
        match end {
            Ok(()) if !tail.follow => return Ok(()),
            // Refused, or nobody reads on: trying again would not help.
            Err(e) if e.code != 3 || !connected || !tail.follow => return Err(e),
            Err(e) => note(format!("{}; trying again", e.message.lines().next().unwrap_or_default())),
            Ok(()) => note("the server ended the stream; trying again"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

struct Lines {
    json: bool,
    /// Where to go on.
    next: Option<Seq>,
    /// A line that has not ended yet.
    buffer: Vec<u8>,
    show: show::Show,
}

#[derive(Deserialize)]
struct Place {
    seq: Seq,
}

impl Lines {
    /// Before the first event, the server says where it begins: should the connection break now, nothing is passed over.
    fn begin<B>(&mut self, answer: &http::Response<B>) {
        let begins = answer.headers().get("x-bursar-from").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        self.next = self.next.or(begins);
    }

    async fn print(&mut self, mut body: hyper::body::Incoming) -> Result<(), Failure> {
        self.buffer.clear();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Failure::unreachable(format!("the stream broke: {e}")))?;
            if let Ok(data) = frame.into_data() {
                self.take(&data)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Failure> {
        for piece in data.split_inclusive(|b| *b == b'\n') {
            self.buffer.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let whole = std::mem::take(&mut self.buffer);
                self.one(whole.trim_ascii())?;
            }
        }
        Ok(())
    }

    fn one(&mut self, event: &[u8]) -> Result<(), Failure> {
        if event.is_empty() {
            return Ok(());
        }
        let place: Place = serde_json::from_slice(event)?;
        match self.json {
            true => line(String::from_utf8_lossy(event))?,
            false => line(self.show.event(event))?,
        }
        self.next = Some(place.seq + 1);
        // Nobody reads on, and it has no end of its own.
        if closed() { Err(Failure { code: 0, message: String::new() }) } else { Ok(()) }
    }
}
