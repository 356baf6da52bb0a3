//! A connection for commands that block (`XREAD BLOCK`): they would hold up everyone else on a shared one. It follows the
//! link to wherever the primary is.

use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::dial::Driven;
use super::refusal::{self, Verdict};
use super::{Link, LinkError};

pub struct Reader {
    link: Link,
    /// Of which generation it is.
    opened: Option<(u64, Driven)>,
}

impl Reader {
    pub(super) fn new(link: Link) -> Self {
        Self { link, opened: None }
    }

    /// Runs a command that blocks no longer than `blocks`. One whose future is dropped takes its connection with it.
    pub async fn read(&mut self, command: &Cmd, blocks: Duration) -> Result<Value, LinkError> {
        let patience = self.link.patience();
        let lanes = self.link.lanes(Instant::now() + patience.answer).await?;
        let finder = &self.link.shared.finder;
        let opened = match self.opened.take().filter(|(of, _)| *of == lanes.generation) {
            Some((_, opened)) => opened,
            None => {
                let who = finder.who().map_err(LinkError::NotRun)?;
                finder.dial().connect(&lanes.at, who, || {}).await.map_err(LinkError::NotRun)?
            }
        };
        let mut connection = opened.connection.clone();
        let until = Instant::now() + blocks + patience.answer;
        let answered = tokio::select! {
            answered = timeout_at(until, connection.send_packed_command(command)) => answered,
            // What the link has found out about the server holds here, too.
            ended = lanes.over().told() => return Err(LinkError::Unknown(ended.why)),
        };
        match answered {
            Ok(Ok(Value::ServerError(e))) => match refusal::judge(&e, &lanes.at) {
                Verdict::Elsewhere(why) | Verdict::Refused(why) => Err(LinkError::NotRun(why)),
                Verdict::Load => Err(LinkError::NotRun(format!("redis at {}: {e}", lanes.at))),
                Verdict::Failed(why) => Err(LinkError::Unknown(why)),
            },
            Ok(Ok(value)) => {
                self.opened = Some((lanes.generation, opened));
                Ok(value)
            }
            Ok(Err(e)) => Err(LinkError::Unknown(format!("redis at {}: {e}", lanes.at))),
            Err(_) => Err(LinkError::Unknown(format!("redis at {} did not end a command in time", lanes.at))),
        }
    }
}
