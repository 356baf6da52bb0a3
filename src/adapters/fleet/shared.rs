//! Keys and flags in the ledger's hash `shared`: what every node needs at once. Not the durable copy, which each node has on
//! its disk and the books' database has as well; what is lost here is given back from there.

use super::Fleet;
use super::link::FleetError;
use super::node::number;
use crate::adapters::keyring::shared::Shared;

/// Fields of one step of a scan.
const PAGE: usize = 500;

impl Fleet {
    /// Says it to the others. `false` if a later word on it stands there.
    pub async fn share(&self, change: &Shared) -> Result<bool, FleetError> {
        let record = serde_json::to_string(change).map_err(|e| FleetError::Unreadable(e.to_string()))?;
        let (at, set) = change.order();
        let mut call = self.scripts.share.prepare_invoke();
        call.key(self.key("shared")).arg(change.name()).arg(at).arg(u8::from(set)).arg(record).arg(self.key("bell"));
        Ok(self.link.ask::<u64>(&call).await? != 0)
    }

    /// What is shared under this name.
    pub async fn shared(&self, name: &str) -> Result<Option<Shared>, FleetError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.key("shared")).arg(name);
        let found: Option<String> = self.link.command(&get).await?;
        found.map(|value| read(name, &value)).transpose()
    }

    /// All that is shared, and the number of the last change that it is sure to hold.
    pub async fn all_shared(&self) -> Result<(u64, Vec<Shared>), FleetError> {
        let mut count = redis::cmd("HGET");
        count.arg(self.key("shared")).arg("#");
        let upto: Option<String> = self.link.command(&count).await?;
        let upto = upto.map_or(Ok(0), |n| number(&n))?;
        let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(self.key("shared")).arg(&cursor).arg("COUNT").arg(PAGE);
            let (next, page): (String, Vec<String>) = self.link.command(&scan).await?;
            let pairs = page.chunks_exact(2).filter(|pair| pair[0] != "#");
            for pair in pairs {
                match read(&pair[0], &pair[1]) {
                    Ok(shared) => found.push(shared),
                    // One that a newer node wrote must not hide the others.
                    Err(why) => tracing::error!("a shared record is passed over: {why}"),
                }
            }
            if next == "0" {
                return Ok((upto, found));
            }
            cursor = next;
        }
    }
}

/// `<when> <set> <record>`.
fn read(name: &str, value: &str) -> Result<Shared, FleetError> {
    let record = value.splitn(3, ' ').nth(2).unwrap_or_default();
    serde_json::from_str(record).map_err(|e| FleetError::Unreadable(format!("what is shared as `{name}`: {e}")))
}
