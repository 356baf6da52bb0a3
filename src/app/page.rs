//! The page that `serve` prints when it is ready: what is served, where, and lines to paste.

use std::io::Write;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};

use super::parts::{Parts, SANDBOXED};
use crate::control::{ControlState, Minted};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();

pub fn print(parts: &Parts, state: &Arc<ControlState>, key: Option<&Minted>, json: bool) {
    let mut out = anstream::stdout().lock();
    let written = if json { as_json(&mut out, parts, state, key) } else { as_page(&mut out, parts, state, key) };
    // A closed terminal is no reason to stop serving.
    drop(written.and_then(|()| out.flush()));
}

fn as_json(
    out: &mut impl Write,
    parts: &Parts,
    state: &Arc<ControlState>,
    key: Option<&Minted>,
) -> std::io::Result<()> {
    let about = &state.about;
    let page = serde_json::json!({
        "version": about.version, "listen": about.listen, "admin": about.admin, "data": about.data,
        "sandbox": about.sandbox, "key": key.map(|k| k.key.as_str()), "key_id": key.map(|k| &k.id),
        "admin_token": parts.new_token.as_ref().map(|t| t.as_str()),
    });
    writeln!(out, "{page}")
}

fn as_page(
    out: &mut impl Write,
    parts: &Parts,
    state: &Arc<ControlState>,
    key: Option<&Minted>,
) -> std::io::Result<()> {
    let about = &state.about;
    let scheme = if parts.config.server.tls.is_some() { "https" } else { "http" };
    writeln!(out)?;
    writeln!(out, "  {BOLD}bursar{BOLD:#} {}  {GREEN}ready{GREEN:#}", about.version)?;
    writeln!(out)?;
    let mut line = |name: &str, text: String| writeln!(out, "  {DIM}{name:<10}{DIM:#}{text}");
    line("gateway", format!("{scheme}://{}", about.listen))?;
    line("admin", format!("http://{}  and  {}/admin.sock", about.admin, about.data))?;
    line("data", about.data.clone())?;
    line("policies", policies(parts))?;
    line("vendors", vendors(parts, about.sandbox))?;
    line("token", token(parts, &about.data))?;
    if let Some(key) = key {
        paste(out, &format!("{scheme}://{}", about.listen), key, &command(&about.data))?;
    } else {
        writeln!(out)?;
        writeln!(out, "  {DIM}next{DIM:#}      {} key mint --policy NAME --agent NAME", command(&about.data))?;
    }
    writeln!(out)
}

/// Shown when it is made, and where it lies ever after: a start that failed may have made it unseen.
fn token(parts: &Parts, data: &str) -> String {
    match &parts.new_token {
        Some(new) => {
            let new = new.as_str();
            format!("{new}  {DIM}(for the admin API over HTTP; shown this once, kept in {data}/admin-token){DIM:#}")
        }
        None if parts.own_token => format!("{DIM}your own{DIM:#}"),
        None => format!("{DIM}in {data}/admin-token{DIM:#}"),
    }
}

/// How this program was called, so that what is pasted into a second terminal finds it and its data.
fn command(data: &str) -> String {
    let called = std::env::args_os().next().and_then(|name| name.into_string().ok()).filter(|name| name.contains('/'));
    let bursar = quoted(called.as_deref().unwrap_or("bursar"));
    if data == "bursar-data" { bursar } else { format!("{bursar} --data {}", quoted(data)) }
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+:@%".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn policies(parts: &Parts) -> String {
    let set = parts.policies.current();
    let names: Vec<&str> = set.policies().map(|p| &*p.name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn vendors(parts: &Parts, sandbox: bool) -> String {
    let mut with: Vec<String> = Vec::new();
    for (vendor, _, there) in parts.vault.list() {
        let name =
            if sandbox && SANDBOXED.contains(&&*vendor) { format!("{vendor} (sandbox)") } else { vendor.to_string() };
        if there && !with.contains(&name) {
            with.push(name);
        }
    }
    let none = "no vendor has a credential: set OPENAI_API_KEY, STRIPE_API_KEY, ... or [vendors.NAME] credential";
    if with.is_empty() { none.to_owned() } else { format!("{}  {DIM}(with a credential){DIM:#}", with.join(", ")) }
}

fn paste(out: &mut impl Write, base: &str, key: &Minted, bursar: &str) -> std::io::Result<()> {
    let body = r#"{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"hello"}]}"#;
    writeln!(out)?;
    writeln!(
        out,
        "  {BOLD}Try it{BOLD:#}  {DIM}in another terminal, in this folder; this key opens the sandbox alone{DIM:#}"
    )?;
    writeln!(out)?;
    writeln!(out, "  export OPENAI_BASE_URL={base}/openai/v1 OPENAI_API_KEY={}", key.key.as_str())?;
    writeln!(out, "  curl -i $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" \\")?;
    writeln!(out, "    -H 'Content-Type: application/json' -d '{body}'")?;
    writeln!(
        out,
        "  curl -i {base}/stripe/v1/charges -u $OPENAI_API_KEY: -d amount=500 -d currency=usd -d source=tok_visa"
    )?;
    writeln!(out, "  {bursar} audit tail --follow")?;
    writeln!(out, "  {bursar} key revoke {} --reason 'seen enough'", key.id)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_is_pasted_is_one_word() {
        assert_eq!(quoted("target/release/bursar"), "target/release/bursar");
        assert_eq!(quoted("/home/an n/it's"), r"'/home/an n/it'\''s'");
    }
}
