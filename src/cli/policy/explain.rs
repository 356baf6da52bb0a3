//! `bursar policy explain`: one request, given by flags, played on an empty ledger: its verdict, and every rule that was looked
//! at, in the order of evaluation.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::stage;
use crate::cli::output::{BAD, Columns, GOOD, WARN, json as print_json, line, note, plain};
use crate::cli::when::When;
use crate::cli::{Failure, Global};
use crate::rules::policy::{Look, Said, Step};
use crate::rules::rehearsal::{Actor, Played, Request};
use crate::rules::subject::Name;
use crate::units::amount::Unit;
use crate::units::time::Timestamp;

#[derive(Debug, Args)]
pub struct Explain {
    /// The policy that the key lives under
    policy: String,
    /// Method and path as the agent writes them: `POST /stripe/v1/refunds`
    request: String,
    /// A field of a form, already encoded, as of curl: `-d amount=500`
    #[arg(short = 'd', long = "form", value_name = "NAME=VALUE", conflicts_with = "body")]
    fields: Vec<String>,
    /// The body, JSON unless a header says otherwise
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    header: Vec<String>,
    #[command(flatten)]
    who: Who,
    /// At this moment: `2026-12-01`, RFC 3339, or `2h` (ago)
    #[arg(long)]
    at: Option<When>,
    /// The folder of policies; else what the configuration says
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Also the rules that are about other calls
    #[arg(long)]
    all: bool,
}

/// Whose key it is.
#[derive(Debug, Args)]
pub struct Who {
    #[arg(long)]
    tenant: Option<String>,
    #[arg(long)]
    workspace: Option<String>,
    #[arg(long)]
    app: Option<String>,
    #[arg(long)]
    workflow: Option<String>,
    #[arg(long)]
    agent: Option<String>,
    #[arg(long)]
    toolset: Option<String>,
    #[arg(long)]
    run: Option<String>,
    /// The run stands in a header, not in the key
    #[arg(long)]
    claims_run: bool,
    /// The vendor's credential is one of its test mode
    #[arg(long)]
    test_key: bool,
}

pub(super) async fn run(global: &Global, asked: Explain) -> Result<(), Failure> {
    let config = stage::config(global, asked.policies.clone())?;
    let mut rehearsal = stage::rehearsal(&config, stage::policies(&config).await?)?;
    let request = request(&asked)?;
    let now = asked.at.as_ref().map_or_else(Timestamp::now, |when| when.0);
    let played = rehearsal.play(now, &actor(&asked), &request).map_err(Failure::refused)?;
    if global.json {
        return print_json(&as_json(&played));
    }
    tell(&played, asked.all)
}

fn request(asked: &Explain) -> Result<Request, Failure> {
    let mut request = Request::parse(&asked.request).map_err(Failure::refused)?;
    for header in &asked.header {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        request = request.header(name.trim(), value.trim()).map_err(Failure::refused)?;
    }
    Ok(match &asked.body {
        Some(text) => request.body("application/json", text.clone().into_bytes()),
        None if asked.fields.is_empty() => request,
        None => request.body("application/x-www-form-urlencoded", asked.fields.join("&").into_bytes()),
    })
}

fn actor(asked: &Explain) -> Actor {
    let Who { tenant, workspace, app, workflow, agent, toolset, run, claims_run, test_key } = &asked.who;
    let name = |text: &Option<String>| text.as_deref().map(Name::from);
    let mut actor = Actor::under(asked.policy.as_str());
    let subject = &mut actor.subject;
    subject.tenant = name(tenant).unwrap_or(subject.tenant.clone());
    (subject.workspace, subject.app, subject.workflow) = (name(workspace), name(app), name(workflow));
    (subject.agent, subject.toolset, subject.run) = (name(agent), name(toolset), name(run));
    (actor.claimed_run, actor.test_key) = (*claims_run, *test_key);
    actor
}

fn tell(played: &Played, all: bool) -> Result<(), Failure> {
    let colour = if played.goes() { GOOD } else { BAD };
    let rule = played.rule.as_ref().map(|rule| format!("  {rule}")).unwrap_or_default();
    line(format!("{colour}{}{colour:#}{}", played.word(), plain(&rule)))?;
    if let Some(sentence) = &played.sentence {
        line(plain(sentence))?;
    }
    let tier = played.tier.map_or("-", |tier| tier.as_str());
    let needs = [Unit::Usd, Unit::Tokens].map(|unit| unit.show(played.needs.of(unit)));
    let risk = Unit::Risk.show(played.risk);
    line(format!("{}  {tier}, {risk}, at most {}, {}", plain(&played.operation), needs[0], needs[1]))?;
    let mut columns = Columns::new(&["step", "rule", "", "why"]);
    for look in played.looks.iter().filter(|look| all || look.said != Said::Elsewhere) {
        let (word, why) = said(&look.said);
        columns.row([look.step.as_str().to_owned(), look.rule.to_string(), word.to_owned(), why]);
    }
    columns.print()?;
    let hidden = played.looks.iter().filter(|look| look.said == Said::Elsewhere).count();
    if hidden > 0 && !all {
        note(format!("{hidden} rules are about other calls: --all shows them."));
    }
    if let Some(caps) = played.caps {
        line(format!("{WARN}capped{WARN:#}  its output limit is lowered to {caps}"))?;
    }
    note("Played on an empty ledger and without kill flags: what is left now, a key asks at /bursar/v1/self.");
    Ok(())
}

fn said(said: &Said) -> (&'static str, String) {
    match said {
        Said::Passes(words) => ("passes", words.clone()),
        Said::Elsewhere => ("elsewhere", String::new()),
        Said::Refuses(reason) => ("refuses", format!("{}: {}", reason.code, reason.sentence)),
        Said::Observes(reason) => ("observes", format!("{}: {}", reason.code, reason.sentence)),
    }
}

fn as_json(played: &Played) -> Value {
    let look = |look: &Look| {
        let (word, why) = said(&look.said);
        json!({ "step": look.step.as_str(), "rule": look.rule, "says": word, "why": why })
    };
    json!({
        "verdict": played.verdict,
        "enforced": played.enforced,
        "code": played.code,
        "rule": played.rule,
        "reason": played.sentence,
        "operation": played.operation,
        "action": played.action,
        "tier": played.tier,
        "risk": played.risk,
        "estimate_usd": played.needs.usd,
        "tokens": played.needs.tokens,
        "max_output_tokens": played.caps,
        "steps": Step::ALL.map(Step::as_str),
        "looked_at": played.looks.iter().map(look).collect::<Vec<_>>(),
    })
}
