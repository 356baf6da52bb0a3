//! A report as Markdown: a section a question, tables, and `None.` where there is nothing. What came from callers is escaped.

use std::fmt::Write as _;

use crate::adapters::audit::CallRow;
use crate::adapters::audit::report::{AccessLine, ChangeLine, KeyLine, Named, PolicyLine, Report};
use crate::rules::books::Act;

/// The whole report.
pub fn text(r: &Report) -> String {
    let mut out = Out::default();
    out.line(&format!("# Access and change report, {}", r.month));
    out.line(&format!(
        "From {} until {} (UTC). The books go up to event {}, whose chain ends in `{}`.",
        r.from, r.until, r.books_seq, r.books_head
    ));
    if r.pruned_to > 0 {
        out.line(&format!(
            "Retention gave up events 1 to {}: keys, policies and switches that only those name are not in this report.",
            r.pruned_to
        ));
    }
    let s = &r.sums;
    out.line(&format!(
        "{} calls were admitted and {} refused; {} are still open. They cost ${}, and {} tokens.",
        s.calls, s.refused, s.open, s.cost_usd, s.tokens
    ));
    could(&mut out, r);
    changed(&mut out, r);
    approved(&mut out, r);
    exceptions(&mut out, r);
    out.0
}

#[derive(Default)]
struct Out(String);

impl Out {
    /// A paragraph or a heading.
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push_str("\n\n");
    }

    fn table<const N: usize>(&mut self, names: [&str; N], rows: impl Iterator<Item = [String; N]>) {
        let mut body = String::new();
        for row in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(body, "| {} |", row.map(|cell| escaped(&cell)).join(" | "));
        }
        if body.is_empty() {
            return self.line("None.");
        }
        let _ = writeln!(self.0, "| {} |\n|{}\n{body}", names.join(" | "), " --- |".repeat(N));
    }
}

/// One line, with nothing in it that Markdown or a browser would act on.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '[' | ']' | '#' | '!' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn said(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn could(out: &mut Out, r: &Report) {
    out.line("## Who could do what");
    out.line("### Keys that were good in this month");
    let names = ["key", "agent", "tenant", "policy", "narrower", "from key", "minted", "by", "why", "ended"];
    out.table(names, r.keys.iter().map(key));
    out.line("### Policies");
    if r.policies.is_empty() {
        out.line("None.");
    }
    for policy in &r.policies {
        rules(out, policy);
    }
    out.line("### Switched off at the end of the month");
    out.table(["what"], r.stopped.iter().map(|s| [s.clone()]));
}

fn key(k: &KeyLine) -> [String; 10] {
    let subject = k.subject.as_ref();
    let ended = match (&k.revoked_at, &k.revoked_by, &k.expires_at) {
        (Some(at), Some(act), _) => format!("revoked {at} by {}", who(act)),
        (_, _, Some(at)) => format!("expires {at}"),
        _ => "-".to_owned(),
    };
    [
        k.key_id.to_string(),
        said(&subject.and_then(|s| s.agent.as_ref())),
        said(&subject.map(|s| &s.tenant)),
        k.policy_id.to_string(),
        said(&k.narrower),
        said(&k.parent),
        k.minted_at.to_string(),
        k.minted_by.actor.clone(),
        said(&k.minted_by.reason),
        ended,
    ]
}

fn who(act: &Act) -> String {
    format!("{}: {}", act.actor, act.reason.as_deref().unwrap_or("no reason given"))
}

fn rules(out: &mut Out, policy: &PolicyLine) {
    let removed = policy.removed_at.map(|at| format!(", removed {at}")).unwrap_or_default();
    let name = escaped(&policy.policy_id);
    out.line(&format!("**{name}**, loaded {}{removed}, hash `{}`:", policy.loaded_at, policy.hash));
    out.line(&block(&policy.lines, "toml"));
}

/// Lines of code; a fence of theirs cannot end it.
fn block(lines: &[String], kind: &str) -> String {
    let plain = |line: &String| line.replace("```", "~~~");
    format!("```{kind}\n{}\n```", lines.iter().map(plain).collect::<Vec<_>>().join("\n"))
}

fn changed(out: &mut Out, r: &Report) {
    out.line("## Who changed it");
    out.table(["event", "time", "what", "about", "by", "why"], r.changes.iter().map(change));
    if r.changes_cut {
        out.line(
            "There were more changes, answers or corrections than a report lists: `bursar audit tail` has them all.",
        );
    }
    if r.unchanged_loads > 0 {
        out.line(&format!("{} times a start found a policy unchanged.", r.unchanged_loads));
    }
    for c in r.changes.iter().filter(|c| !c.added.is_empty() || !c.removed.is_empty()) {
        let removed = c.removed.iter().map(|l| format!("- {l}"));
        let lines: Vec<String> = removed.chain(c.added.iter().map(|l| format!("+ {l}"))).collect();
        out.line(&format!("Event {}, {}:", c.seq, escaped(&c.about)));
        out.line(&block(&lines, "diff"));
    }
    out.line("### Who used the admin API");
    out.table(["who", "from", "visits"], r.access.iter().map(visit));
    out.line("### Who was turned away there");
    out.table(["why", "from", "events"], r.refused_access.iter().map(visit));
}

fn visit(a: &AccessLine) -> [String; 3] {
    [a.who.clone(), a.from.clone().unwrap_or_else(|| "the socket".to_owned()), a.times.to_string()]
}

fn change(c: &ChangeLine) -> [String; 6] {
    let cost = c.cost_usd.map(|cost| format!(", now ${cost}")).unwrap_or_default();
    let about = format!("{}{cost}", c.about);
    [c.seq.to_string(), c.at.to_string(), c.kind.to_string(), about, c.actor.clone(), said(&c.reason)]
}

fn approved(out: &mut Out, r: &Report) {
    out.line("## Who approved");
    out.table(["event", "time", "what", "about", "by", "why"], r.answers.iter().map(change));
    out.line("### Calls that waited for a person");
    calls(out, &r.approvals, r.approvals_cut);
}

fn calls(out: &mut Out, rows: &[CallRow], more: bool) {
    let row = |c: &CallRow| {
        let what = c.endpoint.as_ref().map_or_else(|| format!("{} {}", c.method, c.path), ToString::to_string);
        let why = c.error.as_ref().or(c.reason.as_ref());
        [
            c.call_id.to_string(),
            c.timestamp_utc.to_string(),
            said(&c.agent_id),
            format!("{} {what}", c.vendor.as_deref().unwrap_or("-")),
            c.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("${cost}")),
            said(&why),
        ]
    };
    out.table(["call", "time", "agent", "operation", "cost", "why"], rows.iter().map(row));
    if more {
        out.line("There are more: `bursar audit query` has them all.");
    }
}

fn exceptions(out: &mut Out, r: &Report) {
    let e = &r.exceptions;
    out.line("## Exceptions");
    out.line("### Policies that only watch");
    out.table(["policy"], e.observing.iter().map(|p| [p.to_string()]));
    for (what, Named { calls: rows, more }) in [
        ("Calls whose outcome is not known", &e.unknown),
        ("Calls that nobody ended in time", &e.expired),
        ("Calls that were ended by a revocation, a kill or their caller", &e.aborted),
    ] {
        out.line(&format!("### {what}"));
        calls(out, rows, *more);
    }
    out.line(&format!("{} calls are charged with a bound and wait for a person's look.", e.flagged));
    out.line("### Corrections");
    out.table(["event", "time", "what", "about", "by", "why"], e.corrected.iter().map(change));
    out.line("### Refusals");
    out.table(["because", "times"], e.refusals.iter().map(|x| [x.reason.clone(), x.count.to_string()]));
    if e.refusals_cut {
        out.line("There were more refusals than could be counted.");
    }
    out.line("### Damage");
    let gaps = e.gaps.iter().map(|g| [format!("events {} to {}", g.from, g.to), g.noticed_at.to_string()]);
    let rebuilt = e.rebuilt.iter().map(|c| [c.about.clone(), c.at.to_string()]);
    out.table(["what", "noticed"], gaps.chain(rebuilt));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_say_does_not_shape_the_page() {
        assert_eq!(escaped("a|b\n<script>*x*"), "a\\|b &lt;script&gt;\\*x\\*");
        assert_eq!(block(&["a ``` b".to_owned()], "toml"), "```toml\na ~~~ b\n```");
        let mut out = Out::default();
        out.table(["a", "b"], [["1".to_owned(), "2".to_owned()]].into_iter());
        assert_eq!(out.0, "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n");
    }
}
