//! Owns: a copy of the store that a run is played on, and what that run changed in it. Must never know: the remote, who asks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mingle_core::{
    ask::{ChangeKind, PlannedChange, RunRow},
    record::names,
    time::Timestamp,
};

use super::{
    Store, copies,
    error::StoreError,
    history,
    ids::Ids,
    ledger::{self, HEAD},
    limits,
    open::Options,
    place,
    record::{self, State},
    tx::Tx,
};
use crate::json;

/// What stands behind the store's name in the name of the copy, and of its log.
const NAMES: [&str; 6] = [".plan", ".plan-wal", ".plan-shm", ".plan.part", ".plan.part-journal", ".plan.part-wal"];

/// A copy of the store in use; its files go away with it. There is one at a time.
pub struct Rehearsal {
    /// None once it is being given up.
    copy: Option<Store>,
    of: PathBuf,
}

impl Rehearsal {
    /// Copies the store. Blocks.
    pub(super) fn of(store: &Path, now: Timestamp) -> Result<Self, StoreError> {
        sweep(store).map_err(|error| StoreError::Place(format!("{}: {error}", store.display())))?;
        let bytes = fs::symlink_metadata(store).map_or(0, |file| file.len());
        // The copy, and as much again for what the run writes into it.
        if place::room(store) < bytes.saturating_mul(2).saturating_add(limits::REHEARSAL_ROOM) {
            return Err(StoreError::Full);
        }
        let mut rehearsal = Self { copy: None, of: store.to_owned() };
        let path = place::with(store, NAMES[0]);
        copies::throwaway(store, &path)?;
        // Nothing in it has to outlive anything.
        let opened = Store::open(&path, Options { full_sync: false, ids: Ids::Random }, now)?;
        rehearsal.copy = Some(opened.store);
        if let Some(aside) = opened.moved_aside {
            // A plan for an empty store would say that everything is new.
            let _ = fs::remove_file(aside);
            return Err(StoreError::Damaged("the copy that a plan is made on".into()));
        }
        Ok(rehearsal)
    }

    /// The copy.
    ///
    /// # Errors
    /// None in use: [`StoreError::Closed`] is for one that is being given up.
    pub fn store(&self) -> Result<Store, StoreError> {
        self.copy.clone().ok_or(StoreError::Closed)
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        // A job of it may still be under way, and holds the copy too: its files go once that has ended.
        if let Some(copy) = self.copy.take()
            && let Err(error) = copy.close()
        {
            tracing::debug!(%error, "the copy that a plan was made on was not closed in good order");
        }
        if let Err(error) = sweep(&self.of) {
            tracing::warn!(%error, "the copy that a plan was made on is left behind; the next start takes it away");
        }
    }
}

/// Takes away what a plan left behind that did not come to its end.
///
/// # Errors
/// What the disk says.
pub fn sweep(store: &Path) -> io::Result<()> {
    for end in NAMES {
        match fs::remove_file(place::with(store, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a run changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Its row; none: it did not come so far.
    pub run: Option<RunRow>,
    /// The records that changed, as many as are told.
    pub changes: Vec<PlannedChange>,
    /// How many there are.
    pub total: u64,
}

/// The highest seq ever given.
///
/// # Errors
/// What SQLite says.
pub fn head(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.conn.query_row(&format!("SELECT {HEAD} FROM m_store"), (), |row| row.get(0))?)
}

/// The records that these links are of, in their order.
///
/// # Errors
/// What SQLite says.
pub fn ids_of(tx: &Tx<'_>, links: &[i64]) -> Result<Vec<String>, StoreError> {
    let mut statement = tx
        .conn
        .prepare_cached("SELECT m_record.id FROM m_link JOIN m_record ON m_record.record = m_link.record WHERE link = ?1")?;
    links.iter().map(|link| Ok(statement.query_row([link], |row| row.get(0))?)).collect()
}

/// What a run did since the seq `from`: at most so many changes are told.
///
/// # Errors
/// What SQLite says.
pub fn played(tx: &Tx<'_>, run: &str, from: u64, most: usize) -> Result<Played, StoreError> {
    let mut played = Played { run: history::run_in(tx.conn, run)?, changes: Vec::new(), total: 0 };
    let mut bytes = 0;
    let mut statement = tx.conn.prepare_cached("SELECT record FROM m_ledger WHERE seq > ?1 GROUP BY record ORDER BY min(seq)")?;
    let mut rows = statement.query([from])?;
    while let Some(row) = rows.next()? {
        let Some(change) = change(tx, row.get(0)?, from)? else { continue };
        played.total += 1;
        if played.changes.len() >= most || bytes > limits::PLAN_BYTES_MAX {
            continue;
        }
        let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        bytes += change.properties.iter().map(|(name, from, to)| name.len() + size(from) + size(to) + 32).sum::<usize>();
        played.changes.push(change);
    }
    Ok(played)
}

/// What became of one record since then; none: it is as it was.
fn change(tx: &Tx<'_>, record: i64, from: u64) -> Result<Option<PlannedChange>, StoreError> {
    let Some(held) = record::by_row(tx.conn, record)? else { return Ok(None) };
    let before = match ledger::at(tx.conn, &held, from)? {
        ledger::Past::There(props) => Some(props),
        ledger::Past::NotThere | ledger::Past::Unknown => None,
    };
    let after = held.props()?;
    let kind = match (&before, &after) {
        (None, None) => return Ok(None),
        (None, Some(_)) => ChangeKind::Created,
        (Some(_), Some(_)) => ChangeKind::Updated,
        (Some(_), None) if held.state == State::Deleted => ChangeKind::Deleted,
        (Some(_), None) => ChangeKind::Left,
    };
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let properties = names(&before, &after)
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| (name.to_owned(), before.get(name).map(json::write_value), after.get(name).map(json::write_value)))
        .collect::<Vec<_>>();
    // What came and went again within the run.
    if kind == ChangeKind::Updated && properties.is_empty() {
        return Ok(None);
    }
    Ok(Some(PlannedChange { id: held.id, kind, properties }))
}
