//! `bursar audit tail`: one line an event. It asks from a sequence number on and remembers where it is, so that a connection
//! that breaks is taken up again without a hole.

mod show;

use std::time::Duration;

use clap::Args;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use super::super::client::Client;
use super::super::output::{line, note};
use super::super::{Failure, Global};
use crate::units::ids::Seq;

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
}

#[derive(Serialize)]
struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    follow: Option<bool>,
}

const AGAIN_AFTER: Duration = Duration::from_secs(1);

pub async fn run(global: &Global, client: &Client, tail: &Tail) -> Result<(), Failure> {
    let mut lines = Lines { json: global.json, next: tail.from, buffer: Vec::new(), show: show::Show::default() };
    let mut connected = false;
    loop {
        let last = lines.next.is_none().then_some(tail.last);
        let asked = Asked { from: lines.next, last, follow: tail.follow.then_some(true) };
        let end = match client.stream("/v1/audit/events", &asked).await {
            Ok(body) => {
                connected = true;
                lines.print(body).await
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
        Ok(())
    }
}
