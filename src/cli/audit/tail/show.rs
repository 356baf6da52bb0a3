//! One event as one line for people: time, kind, verdict, agent, operation, status, cost, reason, or the columns asked for.

use std::collections::{HashMap, VecDeque};

use anstyle::Style;

use super::super::super::output::{BAD, DIM, GOOD, WARN, plain};
use crate::rules::books::{Closing, Control, Kind, Opening, Outcome, Verdict};
use crate::rules::ledger::entry::{Entry, Op};
use crate::units::ids::CallId;
use crate::units::money::MicroCents;

/// What a line can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    Seq,
    Time,
    Kind,
    Verdict,
    Agent,
    Run,
    Key,
    Call,
    Operation,
    Status,
    Cost,
    Reason,
}

const USUAL: [Column; 8] = [
    Column::Time,
    Column::Kind,
    Column::Verdict,
    Column::Agent,
    Column::Operation,
    Column::Status,
    Column::Cost,
    Column::Reason,
];

/// Remembers who opened a call, so that the line of its end can say so.
#[derive(Default)]
pub struct Show {
    columns: Vec<Column>,
    opened: HashMap<CallId, Who>,
    order: VecDeque<CallId>,
}

#[derive(Clone)]
struct Who {
    agent: String,
    run: String,
    key: String,
    operation: String,
    verdict: Verdict,
}

/// Calls that are remembered at once.
const REMEMBERED: usize = 10_000;

/// The columns of one line.
#[derive(Default)]
struct Line {
    verdict: String,
    agent: String,
    run: String,
    key: String,
    operation: String,
    status: String,
    cost: String,
    reason: String,
}

impl Show {
    /// The usual columns if none is named.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), ..Self::default() }
    }

    pub fn event(&mut self, json: &[u8]) -> String {
        // An event of a newer server is shown as it is, not hidden.
        match serde_json::from_slice::<Entry>(json) {
            Ok(entry) => self.entry(&entry),
            Err(_) => plain(&String::from_utf8_lossy(json)),
        }
    }

    fn entry(&mut self, entry: &Entry) -> String {
        let line = self.columns(&entry.op);
        let columns = if self.columns.is_empty() { &USUAL[..] } else { &self.columns };
        let cells = columns.iter().map(|column| line.cell(*column, entry));
        cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    }

    fn columns(&mut self, op: &Op) -> Line {
        match op {
            Op::Reserve { row, amounts, .. } => self.opened(row, Some(amounts.usd)),
            Op::Deny { row } => self.opened(row, None),
            Op::Commit { row, charge, .. } => self.closed(row, charge.usd),
            Op::Release { row, .. } => self.closed(row, MicroCents::ZERO),
            Op::Expire { hold, charge, .. } => {
                self.of(*hold, cost(charge.usd), "nobody ended it in time; its bound was charged")
            }
            Op::Adjust { hold, charge, act, .. } => {
                let why = format!("{}: {}", act.actor, act.reason.as_deref().unwrap_or("no reason given"));
                self.of(*hold, cost(charge.usd), &why)
            }
            Op::Control { control } => changed(control),
            _ => Line::default(),
        }
    }

    fn opened(&mut self, row: &Opening, held: Option<MicroCents>) -> Line {
        let agent = row.facts.as_ref().map(|f| f.subject.agent.as_ref().unwrap_or(&f.subject.tenant).to_string());
        let operation =
            row.endpoint.as_ref().map_or_else(|| format!("{} {}", row.method, row.path), ToString::to_string);
        let vendor = row.facts.as_ref().map_or_else(String::new, |f| format!("{} ", f.vendor));
        let facts = row.facts.as_ref();
        let who = Who {
            run: facts.and_then(|f| f.subject.run.as_ref()).map(ToString::to_string).unwrap_or_default(),
            key: facts.and_then(|f| f.keys.first()).map(ToString::to_string).unwrap_or_default(),
            agent: agent.unwrap_or_else(|| "?".to_owned()),
            operation: format!("{vendor}{operation}"),
            verdict: row.verdict,
        };
        if held.is_some() {
            self.remember(row.call, who.clone());
        }
        Line {
            verdict: if row.enforced { row.verdict.to_string() } else { format!("({})", row.verdict) },
            agent: who.agent,
            run: who.run,
            key: who.key,
            operation: who.operation,
            status: row.http_status.map_or_else(String::new, |s| s.to_string()),
            cost: held.map_or_else(String::new, |h| format!("≤{}", cost(h))),
            reason: row.reason.clone().unwrap_or_default(),
        }
    }

    fn closed(&mut self, row: &Closing, charge: MicroCents) -> Line {
        let mut line = self.of(row.call, cost(charge), row.error.as_deref().unwrap_or_default());
        line.status = row.http_status.map_or_else(String::new, |s| s.to_string());
        if row.outcome != Outcome::Ok {
            line.reason = format!("{} {}", row.outcome, line.reason);
        }
        line
    }

    /// A later event of a call. One that began before this tail is named by its id.
    fn of(&mut self, call: CallId, cost: String, reason: &str) -> Line {
        let who = self.opened.remove(&call);
        let (agent, run, key) = Default::default();
        let unknown = || Who { agent, run, key, operation: format!("call {call}"), verdict: Verdict::Allow };
        let known = who.is_some();
        let who = who.unwrap_or_else(unknown);
        let verdict = if known { who.verdict.to_string() } else { String::new() };
        let Who { agent, run, key, operation, .. } = who;
        Line { verdict, agent, run, key, operation, cost, reason: reason.to_owned(), ..Line::default() }
    }

    fn remember(&mut self, call: CallId, who: Who) {
        self.opened.insert(call, who);
        self.order.push_back(call);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.opened.remove(&oldest);
        }
    }
}

impl Line {
    /// As wide as it usually is.
    fn cell(&self, column: Column, entry: &Entry) -> String {
        let kind = entry.op.kind();
        match column {
            Column::Seq => format!("{DIM}{:>8}{DIM:#}", entry.seq),
            Column::Time => {
                let time = entry.at.to_string();
                format!("{DIM}{}{DIM:#}", time.get(11..19).unwrap_or_default())
            }
            Column::Kind => {
                let style = style(kind, &entry.op);
                format!("{style}{:<14}{style:#}", kind.map_or("ledger", Kind::as_str))
            }
            Column::Verdict => format!("{:<15}", self.verdict),
            Column::Agent => format!("{:<16}", plain(&self.agent)),
            Column::Run => format!("{:<16}", plain(&self.run)),
            Column::Key => format!("{:<16}", plain(&self.key)),
            Column::Call => format!("{:<36}", entry.op.call().map_or_else(String::new, |c| c.to_string())),
            Column::Operation => format!("{:<34}", plain(&self.operation)),
            Column::Status => format!("{:>3}", self.status),
            Column::Cost => format!("{:>12}", self.cost),
            Column::Reason => plain(&self.reason),
        }
    }
}

fn cost(usd: MicroCents) -> String {
    format!("${usd}")
}

fn changed(control: &Control) -> Line {
    let act = control.act();
    Line {
        agent: act.actor.clone(),
        operation: control.about(),
        reason: act.reason.clone().unwrap_or_default(),
        ..Line::default()
    }
}

fn style(kind: Option<Kind>, op: &Op) -> Style {
    match (kind, op) {
        (Some(Kind::Settled), Op::Commit { row, .. } | Op::Release { row, .. }) if row.outcome != Outcome::Ok => WARN,
        (Some(Kind::Settled | Kind::Approved | Kind::Restored), _) => GOOD,
        (Some(Kind::Denied | Kind::Rejected | Kind::Revoked | Kind::Killed | Kind::AdminRefused), _) => BAD,
        (Some(Kind::Alerted | Kind::Expired | Kind::Adjusted | Kind::Escalated | Kind::LedgerRebuilt), _) => WARN,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(show: &mut Show, json: &str) -> String {
        let line = show.event(json.as_bytes());
        anstream::adapter::strip_str(&line).to_string()
    }

    const CALL: &str = "01920000-0000-7000-8000-000000000001";

    #[test]
    fn a_call_is_two_lines_and_the_end_remembers_the_beginning() {
        let mut show = Show::default();
        let admitted = format!(
            r#"{{"kind":"admitted","call_id":"{CALL}","seq":1,"at":"2026-10-01T12:00:00Z","op":"reserve",
            "amounts":{{"usd":"0.5","tokens":0,"calls":1,"risk":20}},"postings":[],"lease_until":"2026-10-01T12:00:30Z",
            "row":{{"call":"{CALL}","facts":{{"subject":{{"tenant":"default","agent":"refunds"}},"keys":["k"],"policy":"p",
            "vendor":"stripe","operation":"POST /v1/refunds"}},"method":"POST","path":"/v1/refunds","endpoint":"POST /v1/refunds",
            "verdict":"allow","enforced":true,"estimate":{{"usd":"0.5","tokens":0,"calls":1,"risk":20}}}}}}"#
        );
        let settled = format!(
            r#"{{"kind":"settled","seq":2,"at":"2026-10-01T12:00:01Z","op":"commit","hold":"{CALL}","exact":true,
            "charge":{{"usd":"0.25","tokens":0,"calls":1,"risk":20}},"row":{{"call":"{CALL}","outcome":"vendor_error",
            "charge":{{"usd":"0.25","tokens":0,"calls":1,"risk":20}},"cost_source":"request","http_status":402,
            "latency_ms":12,"overhead_us":300,"error":"card\u001b[2Jdeclined"}}}}"#
        );
        let squeeze = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let first = squeeze(shown(&mut show, &admitted));
        assert_eq!(first, "12:00:00 admitted allow refunds stripe POST /v1/refunds ≤$0.5");
        let second = squeeze(shown(&mut show, &settled));
        assert!(
            second.starts_with("12:00:01 settled allow refunds stripe POST /v1/refunds 402 $0.25 vendor_error"),
            "{second}"
        );
        assert!(!show.event(settled.as_bytes()).contains("\u{1b}[2J"), "a vendor's words do not steer the terminal");
        assert!(show.opened.is_empty());
        let mut chosen = Show::new(&[Column::Seq, Column::Key, Column::Call]);
        assert_eq!(squeeze(shown(&mut chosen, &admitted)), format!("1 k {CALL}"));
        assert_eq!(shown(&mut show, "{\"seq\":3,\"kind\":\"novel\"}"), "{\"seq\":3,\"kind\":\"novel\"}");
    }
}
