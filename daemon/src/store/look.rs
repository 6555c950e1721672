//! Owns: a look at a store from outside, for a person who asks what is wrong: reading alone, with or without a daemon beside it.
//! Must never know: how it is opened for work, or put right.

use std::path::Path;

use super::{
    error::StoreError,
    ledger::HEAD,
    open::{read_only, sound},
    place, schema,
};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The id of this store.
    pub instance: String,
    /// The number of its last change.
    pub seq: u64,
}

/// What a look at a store of any schema tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is of the newest schema.
    Newest(Look),
    /// It is of this older one; the next start keeps a copy and brings it to the newest.
    Older(u32),
}

/// Reads every page of the store, and looks for contradictions. None: there is no store yet.
///
/// # Errors
/// The place is not fit, the file is damaged, another program's, or a newer mingle's.
pub fn look(path: &Path) -> Result<Option<Seen>, StoreError> {
    if !place::check(path)? {
        return Ok(None);
    }
    let conn = read_only(path)?;
    let newest = schema::check(&conn)?;
    sound(&conn)?;
    if !newest {
        return Ok(Some(Seen::Older(schema::version(&conn)?)));
    }
    let found = conn.query_row(&format!("SELECT instance, {HEAD} FROM m_store"), (), |row| {
        Ok(Look { instance: row.get(0)?, seq: row.get(1)? })
    })?;
    Ok(Some(Seen::Newest(found)))
}
