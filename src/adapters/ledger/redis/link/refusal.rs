//! What a server's error means: which of them say that nothing ran, which that another server must be found, and what the
//! operator can do. Errors that are not known here leave it open whether the script ran.

use redis::ServerError;

use super::dial::Endpoint;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The script must be loaded; nothing ran.
    Load,
    /// Nothing ran, and this server is not the one to ask.
    Elsewhere(String),
    /// Nothing ran; the server is the right one.
    Refused(String),
    /// A script that stopped on its way, or an error that is new to us.
    Failed(String),
}

pub(super) fn judge(error: &ServerError, at: &Endpoint) -> Verdict {
    judge_text(error.code(), error.details().unwrap_or_default(), at)
}

fn judge_text(code: &str, details: &str, at: &Endpoint) -> Verdict {
    let elsewhere = |what: &str| Verdict::Elsewhere(format!("redis at {at} {what}"));
    let refused = |what: &str| Verdict::Refused(format!("redis at {at} {what}"));
    match code {
        "NOSCRIPT" => Verdict::Load,
        "READONLY" => elsewhere("has become a read-only replica (READONLY); its primary is looked for"),
        "LOADING" => elsewhere("is loading its data (LOADING)"),
        "MASTERDOWN" => elsewhere("is a replica without its primary (MASTERDOWN)"),
        "MOVED" | "ASK" => elsewhere("holds the ledger's slot no more (MOVED); its holder is looked for"),
        "CLUSTERDOWN" => elsewhere("says that the cluster is down (CLUSTERDOWN)"),
        "UNBLOCKED" => elsewhere("has become a replica while it was asked (UNBLOCKED)"),
        "TRYAGAIN" => refused("is moving the ledger's slot to another node (TRYAGAIN)"),
        "OOM" => refused("is out of memory (OOM): raise `maxmemory`; calls that are under way can still end"),
        "NOREPLICAS" => refused("takes no writes: fewer replicas than `min-replicas-to-write` hear it (NOREPLICAS)"),
        "MISCONF" => refused("takes no writes: it cannot write its own files (MISCONF); see its log and disk"),
        "BUSY" => refused("is busy with a script that does not end (BUSY): `SCRIPT KILL` ends it"),
        "NOPERM" => refused(&format!("does not let this user do that (NOPERM): {details}")),
        "NOAUTH" | "WRONGPASS" => elsewhere("does not take the user and password (NOAUTH)"),
        _ => Verdict::Failed(format!("redis at {at}: {code} {details}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::redis::Host;

    #[test]
    fn every_known_error_says_what_to_do_and_whether_it_ran() {
        let at = Endpoint::Host(Host::new("h", 1));
        assert_eq!(judge_text("NOSCRIPT", "", &at), Verdict::Load);
        for code in ["READONLY", "LOADING", "MASTERDOWN", "MOVED", "ASK", "CLUSTERDOWN", "NOAUTH"] {
            assert!(matches!(judge_text(code, "", &at), Verdict::Elsewhere(why) if why.contains("h:1")), "{code}");
        }
        for code in ["OOM", "NOREPLICAS", "MISCONF", "BUSY", "NOPERM", "TRYAGAIN"] {
            assert!(matches!(judge_text(code, "", &at), Verdict::Refused(why) if why.contains(code)), "{code}");
        }
        for code in ["ERR", "WRONGTYPE", "EXECABORT"] {
            assert!(matches!(judge_text(code, "x", &at), Verdict::Failed(why) if why.contains("x")), "{code}");
        }
    }
}
