//! What stands behind a new connection: may a ledger lie there? Reads one `INFO`. A server that would drop keys, is too old,
//! is no primary or is still loading is refused; one that may lose what it acknowledged is warned about.

use super::dial::Endpoint;

/// Scripts that say what they do (`#!lua flags=…`) came with it.
const OLDEST: u32 = 7;

/// The lines of `INFO`.
pub(super) struct Info<'t>(&'t str);

impl<'t> Info<'t> {
    pub fn new(text: &'t str) -> Self {
        Self(text)
    }

    fn get(&self, name: &str) -> Option<&'t str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Why no ledger may lie there now.
    pub fn refusal(&self, at: &Endpoint) -> Option<String> {
        let version = self.get("redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|v| v.parse::<u32>().ok());
        if major.is_some_and(|v| v < OLDEST) {
            return Some(format!("redis at {at} is version {version}; the ledger needs {OLDEST}.0 or newer"));
        }
        if self.get("loading") == Some("1") {
            return Some(format!("redis at {at} is still loading its data"));
        }
        if self.get("role") == Some("slave") {
            return Some(format!(
                "redis at {at} is a read-only replica: name its primary, or let Sentinel or the cluster say who it is"
            ));
        }
        let policy = self.get("maxmemory_policy").filter(|p| *p != "noeviction")?;
        Some(format!(
            "redis at {at}: `maxmemory-policy` is `{policy}`, so it may drop accounts; set it to `noeviction`"
        ))
    }

    /// What an operator should know about a server that is taken.
    pub fn warnings(&self, wait_replicas: u16) -> Vec<String> {
        let mut told = Vec::new();
        if self.get("aof_enabled") == Some("0") {
            told.push(
                "it keeps no append-only file: a restart loses the ledger, and admission stops until it is put back; \
                 set `appendonly yes`"
                    .to_owned(),
            );
        }
        // The line is there only while the setting is.
        if self.get("min_slaves_good_slaves").is_none() {
            told.push(
                "it takes writes when no replica hears it: a failover may lose the last ones; set \
                 `min-replicas-to-write 1`"
                    .to_owned(),
            );
        }
        let replicas = self.get("connected_slaves").and_then(|n| n.parse::<u16>().ok());
        if let Some(has) = replicas.filter(|has| *has < wait_replicas) {
            told.push(format!("it has {has} replicas, and `wait_replicas` asks for {wait_replicas}: reserves fail"));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::redis::Host;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nloading:0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n\
                        aof_enabled:1\r\nmin_slaves_good_slaves:1\r\nconnected_slaves:1\r\n";

    fn refused(text: &str) -> Option<String> {
        Info::new(text).refusal(&Endpoint::Host(Host::new("h", 6379)))
    }

    #[test]
    fn a_server_that_cannot_hold_a_ledger_is_refused() {
        assert_eq!(refused(GOOD), None);
        assert_eq!(refused(""), None, "a server that says nothing of itself");
        for (from, to, word) in [
            ("7.0.15", "6.2.6", "7.0 or newer"),
            ("loading:0", "loading:1", "loading"),
            ("role:master", "role:slave", "read-only replica"),
            ("noeviction", "allkeys-lru", "`allkeys-lru`"),
        ] {
            let why = refused(&GOOD.replace(from, to)).expect(word);
            assert!(why.contains(word) && why.contains("h:6379"), "{why}");
        }
    }

    #[test]
    fn a_server_that_may_lose_writes_is_warned_about() {
        assert!(Info::new(GOOD).warnings(1).is_empty());
        assert_eq!(Info::new(&GOOD.replace("aof_enabled:1", "aof_enabled:0")).warnings(0).len(), 1);
        assert_eq!(Info::new(&GOOD.replace("min_slaves_good_slaves:1\r\n", "")).warnings(0).len(), 1);
        assert_eq!(Info::new(GOOD).warnings(2).len(), 1);
    }
}
