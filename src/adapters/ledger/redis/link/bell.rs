//! A channel heard across connections. Redis forgets what it published while nobody listened, so every new subscription
//! begins with a gap: what the channel would have told must be looked up. A server that hangs is noticed by asking it.

use std::time::Duration;

use futures_util::StreamExt as _;
use redis::Value;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::dial::Endpoint;
use super::{Link, State};

/// Between two questions whether the server still answers.
const ASK: Duration = Duration::from_secs(1);
/// Before another attempt at a server that is up for calls and not for channels.
const AGAIN: Duration = Duration::from_millis(100);
/// Messages that wait for the caller; more wait at the server, which may break off: then there is a gap.
const QUEUE: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on everything is heard; what came before may be missing. The first of all is one, too.
    Gap,
    Message(String),
}

/// One channel. Dropping it ends the subscription.
pub struct Bell(mpsc::Receiver<Heard>);

impl Bell {
    pub(super) fn new(link: Link, channel: &str) -> Self {
        let (told, heard) = mpsc::channel(QUEUE);
        let channel = channel.to_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = told.closed() => {}
                () = listen(&link, &channel, &told) => {}
            }
        });
        Self(heard)
    }

    /// The next of it; `None` only when the runtime ends. May be dropped and called again at any time.
    pub async fn next(&mut self) -> Option<Heard> {
        self.0.recv().await
    }
}

/// Until nobody hears it.
async fn listen(link: &Link, channel: &str, told: &mpsc::Sender<Heard>) {
    let mut generation = link.generation();
    loop {
        generation.mark_unchanged();
        match subscribed(link, channel).await {
            Ok(subscription) if told.send(Heard::Gap).await.is_ok() => {
                let (mut sink, mut stream) = subscription.split();
                tokio::select! {
                    // The primary may be another one now, which is where things are published.
                    _ = generation.changed() => {}
                    () = hangs(link, &mut sink) => {}
                    () = pass_on(&mut stream, told) => {}
                }
            }
            Ok(_) => return,
            Err(why) => {
                tracing::debug!("the channel `{channel}` is not heard: {why}");
                sleep(AGAIN).await;
            }
        }
    }
}

async fn subscribed(link: &Link, channel: &str) -> Result<PubSub, String> {
    let at = place(link).await.ok_or("the link has ended")?;
    let finder = &link.shared.finder;
    finder.dial().listen(&at, finder.who()?, channel).await
}

/// Where the primary is, once there is one.
async fn place(link: &Link) -> Option<Endpoint> {
    let mut states = link.shared.state.subscribe();
    let up = states.wait_for(|s| matches!(s, State::Up(lanes) if !lanes.are_over())).await;
    match up.as_deref() {
        Ok(State::Up(lanes)) => Some(lanes.at.clone()),
        _ => None,
    }
}

/// Returns when the server does not answer.
async fn hangs(link: &Link, sink: &mut PubSubSink) {
    loop {
        sleep(ASK).await;
        let answered = timeout(link.patience().answer, sink.ping::<Value>()).await;
        if !matches!(answered, Ok(Ok(_))) {
            return;
        }
    }
}

/// Returns when the connection ends.
async fn pass_on(stream: &mut PubSubStream, told: &mpsc::Sender<Heard>) {
    while let Some(message) = stream.next().await {
        let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
        if told.send(Heard::Message(text)).await.is_err() {
            return;
        }
    }
}
