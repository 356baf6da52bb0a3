//! Where the primary is now: the address says it, a sentinel says it, or a node of the cluster says which of them holds the
//! ledger's slot. Asks them in turn and keeps no answer: each new connection asks again.

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Cmd, RedisConnectionInfo, Value};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::dial::{Dial, Driven, Endpoint, who};
use super::{Options, Patience};
use crate::config::CredentialSource;
use crate::config::redis::{Host, Login, Place, RedisAddress};

pub(super) struct Finder {
    address: RedisAddress,
    /// Decides the slot in a cluster.
    key: String,
    password: Option<CredentialSource>,
    patience: Patience,
    dial: Dial,
    /// Who is asked next: one that leads astray is not asked twice in a row.
    turn: AtomicUsize,
}

impl Finder {
    pub fn new(address: RedisAddress, key: &str, options: &Options) -> Result<Self, String> {
        let patience = options.patience;
        let dial = Dial::new(address.tls.as_ref(), patience.connect)?;
        let (key, password) = (key.to_owned(), options.password.clone());
        Ok(Self { address, key, password, patience, dial, turn: AtomicUsize::new(0) })
    }

    pub fn dial(&self) -> &Dial {
        &self.dial
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.address.place, Place::Cluster(_))
    }

    /// Who we are to the servers that hold data.
    pub fn who(&self) -> Result<RedisConnectionInfo, String> {
        let password = self.password.as_ref().map(read).transpose()?;
        Ok(who(&self.address.login, password.as_ref().map(|p| p.as_str()), self.address.database))
    }

    pub async fn find(&self) -> Result<Endpoint, String> {
        match &self.address.place {
            Place::Server(host) => Ok(Endpoint::Host(host.clone())),
            Place::Socket(path) => Ok(Endpoint::Socket(path.clone())),
            Place::Sentinel { sentinels, master, login } => {
                self.in_turn(sentinels, |host| self.ask_sentinel(host, master, login)).await
            }
            Place::Cluster(nodes) => self.in_turn(nodes, |host| self.ask_node(host)).await,
        }
    }

    /// The first answer. All that the others said, if there is none.
    async fn in_turn<'h, F>(&self, hosts: &'h [Host], ask: impl Fn(&'h Host) -> F) -> Result<Endpoint, String>
    where
        F: Future<Output = Result<Host, String>>,
    {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut why = Vec::new();
        for host in hosts.iter().cycle().skip(first % hosts.len().max(1)).take(hosts.len()) {
            match ask(host).await {
                Ok(found) => return Ok(Endpoint::Host(found)),
                Err(e) => why.push(e),
            }
        }
        Err(why.join("; "))
    }

    async fn ask_sentinel(&self, sentinel: &Host, master: &str, login: &Login) -> Result<Host, String> {
        let at = Endpoint::Host(sentinel.clone());
        let asked = self.dial.connect(&at, who(login, None, 0), || {}).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(master);
        match self.answer(&asked, &at, &command).await? {
            Value::Array(parts) => address(&parts).ok_or_else(|| format!("the sentinel at {at} answers no address")),
            _ => Err(format!("the sentinel at {at} knows no primary by the name `{master}`")),
        }
    }

    async fn ask_node(&self, node: &Host) -> Result<Host, String> {
        let at = Endpoint::Host(node.clone());
        let asked = self.dial.connect(&at, self.who()?, || {}).await?;
        let slot = self.answer(&asked, &at, redis::cmd("CLUSTER").arg("KEYSLOT").arg(&self.key)).await?;
        let slots = self.answer(&asked, &at, redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let (Value::Int(slot), Value::Array(ranges)) = (slot, slots) else {
            return Err(format!("redis at {at} answers no slots: is it a node of a cluster?"));
        };
        let found = ranges.iter().find_map(|range| holder(range, slot));
        let host = found.ok_or_else(|| format!("redis at {at}: no node of the cluster holds the ledger's slot now"))?;
        // A node that does not know its own name means the one that we have asked it by.
        Ok(if host.name.is_empty() { Host::new(&node.name, host.port) } else { host })
    }

    async fn answer(&self, asked: &Driven, at: &Endpoint, command: &Cmd) -> Result<Value, String> {
        let mut connection = asked.connection.clone();
        let sent = timeout(self.patience.answer, connection.send_packed_command(command)).await;
        let answered = sent.map_err(|_| format!("redis at {at} gave no answer within {:?}", self.patience.answer))?;
        answered.and_then(Value::extract_error).map_err(|e| format!("redis at {at}: {e}"))
    }
}

/// `[from, to, [host, port, …], …]`: the first node is the primary.
fn holder(range: &Value, slot: i64) -> Option<Host> {
    let Value::Array(parts) = range else { return None };
    match parts.as_slice() {
        [Value::Int(from), Value::Int(to), Value::Array(node), ..] if (*from..=*to).contains(&slot) => address(node),
        _ => None,
    }
}

fn address(parts: &[Value]) -> Option<Host> {
    let [name, port, ..] = parts else { return None };
    let name: String = redis::from_redis_value_ref::<Option<String>>(name).ok()?.unwrap_or_default();
    Some(Host::new(if name == "?" { "" } else { &name }, redis::from_redis_value_ref(port).ok()?))
}

fn read(source: &CredentialSource) -> Result<Zeroizing<String>, String> {
    let (text, from) = match source {
        CredentialSource::Env(name) => (std::env::var(name).ok(), format!("the environment variable `{name}`")),
        CredentialSource::File(path) => (std::fs::read_to_string(path).ok(), format!("the file `{}`", path.display())),
    };
    let text = text.map(Zeroizing::new);
    let text = text.ok_or_else(|| format!("the password of the ledger's Redis cannot be read from {from}"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value {
        Value::BulkString(t.as_bytes().to_vec())
    }

    fn range(from: i64, to: i64, name: Value, port: i64) -> Value {
        Value::Array(vec![Value::Int(from), Value::Int(to), Value::Array(vec![name, Value::Int(port), text("id")])])
    }

    #[test]
    fn the_holder_of_a_slot_is_read_from_the_ranges() {
        for (name, expected) in [(text("10.0.0.1"), "10.0.0.1"), (text("?"), ""), (Value::Nil, "")] {
            let ranges = range(100, 200, name, 7000);
            assert_eq!(holder(&ranges, 100), Some(Host::new(expected, 7000)));
            assert_eq!(holder(&ranges, 99), None);
        }
        assert_eq!(address(&[text("h"), text("26379")]), Some(Host::new("h", 26379)));
        assert_eq!(address(&[text("h"), text("x")]), None);
    }
}
