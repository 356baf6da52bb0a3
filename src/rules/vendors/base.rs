//! A vendor's address as a file writes it: scheme, host, port and a plain prefix. Opens nothing; `entry` has its parts.

use super::entry::Base;

impl Base {
    /// Reads `https://host:port/prefix`. No user, no query, nothing that would have to be encoded.
    pub fn parse(url: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("`{url}` is no base address: {why}"));
        let (tls, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return bad("write `https://host` or `http://host`"),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let prefix = prefix.trim_end_matches('/');
        if prefix.contains(['?', '#', ' ', '%', '\\'])
            || prefix.contains("//")
            || prefix.split('/').any(|s| s == "." || s == "..")
        {
            return bad("its path must be plain");
        }
        let parsed: http::uri::Authority = match authority.parse() {
            Ok(parsed) => parsed,
            Err(_) => return bad("its host is malformed"),
        };
        if authority.contains('@') || parsed.host().is_empty() || authority.ends_with(':') {
            return bad("it needs a host, and takes no user");
        }
        if parsed.port_u16().is_none() && authority.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
            return bad("its port is no number below 65536");
        }
        let port = parsed.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            tls,
            authority: authority.to_ascii_lowercase().into(),
            host: host.to_ascii_lowercase().into(),
            port,
            prefix: prefix.into(),
        })
    }
}
