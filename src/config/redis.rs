//! The address of a Redis: one server, a Unix socket, servers behind Sentinel, or a cluster. Reads the text and says what is
//! wrong with it, never repeating it: it may hold a password. `adapters::ledger::redis::link` connects there.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::units::secret::Secret;

/// What one text says: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `redis+unix:///path`,
/// `redis+sentinel://host:port,host:port/master[/db]`, `redis+cluster://host:port,host:port`; the last two also as `rediss+…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    pub place: Place,
    /// `Some` with TLS.
    pub tls: Option<RedisTls>,
    pub login: Login,
    pub database: u16,
}

/// Where the server is, or who knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Server(Host),
    Socket(PathBuf),
    Sentinel { sentinels: Vec<Host>, master: String, login: Login },
    Cluster(Vec<Host>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    pub name: String,
    pub port: u16,
}

/// `?ca=FILE`; without it the platform's roots are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub user: Option<String>,
    pub password: Option<Secret>,
}

const SHAPE: &str = "write `redis://host:6379/0`, `rediss://…` for TLS, `redis+unix:///run/redis.sock`, \
                     `redis+sentinel://s1:26379,s2:26379/mymaster/0` or `redis+cluster://h1:6379,h2:6379`";

/// Is this a text for `RedisAddress`, right or wrong?
pub fn is_redis(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.starts_with("redis") || scheme == "unix")
}

impl RedisAddress {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or(SHAPE)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut asked = Query::parse(query)?;
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").or((scheme == "unix").then_some("+unix")).ok_or(SHAPE)?),
        };
        let (place, database) = match kind {
            "" => (Place::Server(one(hosts)?), path),
            "+unix" if !tls && hosts.is_empty() && !path.is_empty() => {
                (Place::Socket(format!("/{}", decoded(path)?).into()), "")
            }
            "+sentinel" => asked.sentinel(hosts, path)?,
            "+cluster" => (Place::Cluster(several(hosts, 6379)?), path),
            _ => return Err(SHAPE),
        };
        let database = number(asked.database.take().as_deref().unwrap_or(database))?;
        if database != 0 && matches!(place, Place::Cluster(_)) {
            return Err("a Redis cluster has database 0 alone");
        }
        let tls = asked.tls(tls)?;
        Ok(Self { place, tls, login: Login::parse(login)?, database })
    }
}

impl Login {
    /// `user:password`, `:password`, or nothing.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let given = |part: &str| if part.is_empty() { Ok(None) } else { decoded(part).map(Some) };
        Ok(Self { user: given(user)?, password: given(password)?.map(Secret::new) })
    }
}

#[derive(Default)]
struct Query {
    ca: Option<String>,
    database: Option<String>,
    sentinel: Login,
}

impl Query {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut this = Self::default();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = Some(decoded(value)?);
            match name {
                "ca" => this.ca = value,
                "db" => this.database = value,
                "sentinel_user" => this.sentinel.user = value,
                "sentinel_password" => this.sentinel.password = value.map(Secret::new),
                _ => return Err("the address of a Redis takes `ca`, `db`, `sentinel_user` and `sentinel_password`"),
            }
        }
        Ok(this)
    }

    fn sentinel<'p>(&mut self, hosts: &str, path: &'p str) -> Result<(Place, &'p str), &'static str> {
        let (master, database) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err("after the sentinels comes the name they know the primary by: `/mymaster`");
        }
        let login = std::mem::take(&mut self.sentinel);
        Ok((Place::Sentinel { sentinels: several(hosts, 26379)?, master: decoded(master)?, login }, database))
    }

    /// Looks at what no kind of place has used.
    fn tls(self, tls: bool) -> Result<Option<RedisTls>, &'static str> {
        if self.sentinel != Login::default() {
            return Err("only `redis+sentinel://` has a `sentinel_user` and a `sentinel_password`");
        }
        match (tls, self.ca) {
            (true, ca) => Ok(Some(RedisTls { ca: ca.map(PathBuf::from) })),
            (false, None) => Ok(None),
            (false, Some(_)) => Err("`ca` is for TLS: begin the address with `rediss`"),
        }
    }
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| "the address of the Redis is not UTF-8")?;
    Ok(text.into_owned())
}

fn number(text: &str) -> Result<u16, &'static str> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| "the database of a Redis is a number: `/0`") }
}

fn one(text: &str) -> Result<Host, &'static str> {
    match <[Host; 1]>::try_from(several(text, 6379)?) {
        Ok([host]) => Ok(host),
        Err(_) => Err("`redis://` names one server; several are `redis+cluster://` or `redis+sentinel://`"),
    }
}

fn several(text: &str, port: u16) -> Result<Vec<Host>, &'static str> {
    text.split(',').map(|one| Host::parse(one, port)).collect()
}

impl Host {
    fn parse(text: &str, port: u16) -> Result<Self, &'static str> {
        let bad = "the address of the Redis names a host badly: write `host:6379`, an IPv6 address in brackets";
        let (name, rest) = match text.strip_prefix('[') {
            Some(inside) => inside.split_once(']').ok_or(bad)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| bad)?,
            None if rest.is_empty() => port,
            None => return Err(bad),
        };
        if name.is_empty() || name.contains(char::is_whitespace) { Err(bad) } else { Ok(Self::new(name, port)) }
    }

    pub fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        RedisAddress::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).place
    }

    #[test]
    fn each_kind_of_address_is_read() {
        assert_eq!(place("redis://h"), Place::Server(Host::new("h", 6379)));
        assert_eq!(place("rediss://[::1]:7000/3?ca=/etc/ca.pem"), Place::Server(Host::new("::1", 7000)));
        assert_eq!(place("redis+unix:///run/redis.sock?db=2"), Place::Socket("/run/redis.sock".into()));
        assert_eq!(place("redis+cluster://a:1,b"), Place::Cluster(vec![Host::new("a", 1), Host::new("b", 6379)]));
        let sentinels = vec![Host::new("a", 26379), Host::new("b", 5)];
        let login = Login::default();
        let expected = Place::Sentinel { sentinels, master: "m".to_owned(), login };
        assert_eq!(place("redis+sentinel://a,b:5/m/0"), expected);
    }

    #[test]
    fn logins_databases_and_authorities_are_read() {
        let full = "rediss+sentinel://ann:p%40ss@a,b/m/4?ca=%2Fca.pem&sentinel_user=s&sentinel_password=t";
        let read = RedisAddress::parse(full).expect("an address");
        let login = |user: &str, password: &str| Login {
            user: Some(user.to_owned()),
            password: Some(Secret::new(password.to_owned())),
        };
        assert_eq!((read.login, read.database), (login("ann", "p@ss"), 4));
        assert_eq!(read.tls, Some(RedisTls { ca: Some("/ca.pem".into()) }));
        assert!(matches!(read.place, Place::Sentinel { login: s, .. } if s == login("s", "t")));
        assert!(!format!("{:?}", RedisAddress::parse("redis://:hunter2@h")).contains("hunter2"));
    }

    #[test]
    fn mistakes_are_named_and_never_repeated() {
        for bad in [
            "redis",
            "redis://",
            "redis://a b",
            "redis://a,b",
            "redis://h:port",
            "redis://h/x",
            "redis://h?ca=/ca.pem",
            "redis://h?timeout=1",
            "redis://h?sentinel_user=a",
            "rediss+unix:///run/s",
            "redis+unix://h/run/s",
            "redis+sentinel://h",
            "redis+cluster://h/1",
            "redis+magic://h",
            "http://h",
        ] {
            let secret = bad.replacen("://", "://:hunter2@", 1);
            let why = RedisAddress::parse(&secret).expect_err(bad);
            assert!(!why.contains("hunter2") && !why.is_empty(), "{bad}: {why}");
            assert!(RedisAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
