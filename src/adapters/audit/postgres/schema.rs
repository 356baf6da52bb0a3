//! The tables and how older ones become newer ones: forward only, one transaction a step, under the writer's lock, checked at
//! start. `schema.sql` has the first step, `approved.sql` a view. Months are made by `write`.

use tokio_postgres::Client;

use super::super::AuditError;
use crate::units::time::Timestamp;

/// Each step leads one version further. Never change one that has shipped: add the next.
const STEPS: &[&str] = &[include_str!("schema.sql"), FLEET, PRICED, MADE, include_str!("approved.sql"), READABLE];

/// What each call was priced by, beside the columns that there were: of an older call, nothing.
const PRICED: &str = "
CREATE VIEW priced_calls AS SELECT
    v.*, c.body::json #> '{row,priced}' AS priced, c.body::json #>> '{row,priced,book}' AS price_book,
    c.body::json #>> '{row,priced,runs,0,row}' AS price_row
FROM calls v JOIN call_rows r ON r.seq = v.seq LEFT JOIN events c ON c.seq = r.closed AND c.at = r.closed_at
";

/// `identity` names these very books. `sink_places` says how far each sink is, whichever process fills it.
const FLEET: &str = "
CREATE TABLE identity (only_row boolean PRIMARY KEY CHECK (only_row), id text NOT NULL);
INSERT INTO identity VALUES (true, gen_random_uuid()::text);
CREATE TABLE sink_places (name text PRIMARY KEY, seq bigint NOT NULL);
";

/// What calls made at their vendors, by its name: few do.
const MADE: &str = "
CREATE INDEX events_that_made ON events ((body::json #>> '{row,made,object}'))
    WHERE kind IN ('settled', 'adjusted') AND strpos(body, '\"made\":{\"object\":') > 0
";

/// PostgreSQL reads no JSON with a character zero in it, and one such row must not stop all that follow.
const READABLE: &str = "
DROP INDEX events_that_made;
CREATE INDEX events_that_made ON events ((body::json #>> '{row,made,object}'))
    WHERE kind IN ('settled', 'adjusted') AND strpos(body, '\"made\":{\"object\":') > 0 AND strpos(body, '\\u0000') = 0
";

pub(super) async fn identity(db: &Client) -> Result<String, AuditError> {
    Ok(db.query_one("SELECT id FROM identity", &[]).await?.try_get(0)?)
}

/// For whoever only reads: whoever writes has brought the tables to where this program knows them.
pub(super) async fn is_current(db: &Client) -> Result<(), AuditError> {
    let found: i64 = db.query_one("SELECT coalesce(max(number), 0) FROM version", &[]).await?.try_get(0)?;
    match usize::try_from(found).unwrap_or(usize::MAX) {
        found if found > STEPS.len() => Err(newer(found)),
        found if found < STEPS.len() => {
            let why = "they are of an older version, and so is the bursar that writes them: stop that one first";
            Err(AuditError::Store(why.to_owned()))
        }
        _ => Ok(()),
    }
}

fn newer(found: usize) -> AuditError {
    let known = STEPS.len();
    AuditError::Unreadable(format!("the books have version {found}, and this bursar knows {known}: use a newer one"))
}

pub(super) async fn migrate(db: &Client) -> Result<(), AuditError> {
    check(db).await?;
    db.batch_execute("CREATE TABLE IF NOT EXISTS version (number bigint PRIMARY KEY, made_at text NOT NULL)").await?;
    let found: i64 = db.query_one("SELECT coalesce(max(number), 0) FROM version", &[]).await?.try_get(0)?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > STEPS.len() {
        return Err(newer(found));
    }
    for (number, step) in (1_i64..).zip(STEPS).skip(found) {
        let made = format!("INSERT INTO version VALUES ({number}, '{}')", Timestamp::now());
        db.batch_execute(&format!("BEGIN;\n{step};\n{made};\nCOMMIT")).await?;
    }
    Ok(())
}

/// What these books need of a server, and what they cannot promise without.
async fn check(db: &Client) -> Result<(), AuditError> {
    let asked = "SELECT current_setting('server_encoding'), current_setting('fsync'), current_schema() IS NULL,
        current_setting('server_version_num')::int";
    let row = db.query_one(asked, &[]).await?;
    let (encoding, fsync): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    if encoding != "UTF8" {
        return Err(AuditError::Unreadable(format!("the database has the encoding {encoding}: make one with UTF8")));
    }
    if row.try_get(2)? {
        return Err(AuditError::Unreadable("the database has no schema for the books: see `search_path`".to_owned()));
    }
    if row.try_get::<_, i32>(3)? < 130_000 {
        return Err(AuditError::Unreadable("the books need PostgreSQL 13 or later".to_owned()));
    }
    if fsync != "on" {
        tracing::warn!("PostgreSQL runs with `fsync = off`: the books may be lost with power");
    }
    Ok(())
}
