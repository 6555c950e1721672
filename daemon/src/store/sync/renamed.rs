//! Owns: a remote that got another name in the configuration: what is known of it goes with it. Must never know: the configuration.

use std::collections::BTreeSet;

use rusqlite::params;

use crate::store::{error::StoreError, tx::Tx};

/// What stands between the parts of what makes a replica this one; the remote's name is the first.
const PART: char = '\u{1f}';

/// The place without the name that the remote has in the configuration.
#[must_use]
pub fn place(identity: &str) -> &str {
    identity.split_once(PART).map_or(identity, |(_, place)| place)
}

/// `configured`: name of the remote, and identity, of each sync. A replica of a place that is spoken to under another name now, and not
/// under its own any more, takes that name: else each of its records would be met as a stranger, and be there twice.
///
/// # Errors
/// What SQLite says.
pub fn renamed(tx: &Tx<'_>, configured: &[(String, String)]) -> Result<(), StoreError> {
    let known: Vec<(i64, String)> = {
        let mut statement =
            tx.conn().prepare("SELECT replica, identity FROM m_replica WHERE replica > 0 ORDER BY replica DESC")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let in_use: BTreeSet<&str> = configured.iter().map(|(_, identity)| identity.as_str()).collect();
    let known_ones: BTreeSet<&str> = known.iter().map(|(_, identity)| identity.as_str()).collect();
    let mut taken = BTreeSet::new();
    for (remote, identity) in configured {
        if known_ones.contains(identity.as_str()) || !taken.insert(identity) {
            continue;
        }
        let former = known.iter().find(|(_, one)| place(one) == place(identity) && !in_use.contains(one.as_str()));
        if let Some((replica, _)) = former {
            tracing::info!(remote, "a remote has another name; what is known of it goes with it");
            tx.conn().execute(
                "UPDATE m_replica SET remote = ?2, identity = ?3 WHERE replica = ?1",
                params![replica, remote, identity],
            )?;
        }
    }
    Ok(())
}

/// What makes the replica that a sync last spoke to; none: it never did.
///
/// # Errors
/// What SQLite says.
pub fn identity(conn: &rusqlite::Connection, sync: &str) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare("SELECT r.identity FROM m_sync s JOIN m_replica r USING (replica) WHERE s.name = ?1")?;
    let mut rows = statement.query([sync])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}
