//! Owns: opening: how a connection is set up, damage on the way, the store's instance. Must never know: what is written later.

use std::{path::Path, path::PathBuf, time::Duration};

use mingle_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};

use super::{
    error::StoreError,
    ids::{Ids, Maker},
    ledger::HEAD,
    limits, place,
    schema::{self, Way},
    trouble::Trouble,
    upgrade::{self, Tell, Upgraded},
};

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `synchronous = FULL`: an acknowledged write outlives a power cut. Without it, an unclean end makes a new instance.
    pub full_sync: bool,
    /// Where ids come from.
    pub ids: Ids,
}

impl Default for Options {
    fn default() -> Self {
        Self { full_sync: true, ids: Ids::Random }
    }
}

/// The oldest SQLite without the bug that damages a log under two checkpointers.
const SQLITE_MIN: i32 = 3_051_003;

/// What was found behind the path.
pub(super) struct Found {
    pub conn: Connection,
    pub instance: String,
    pub seq: u64,
    /// Why the instance is a new one, where it is.
    pub renewed: Option<Renewed>,
    pub moved_aside: Option<PathBuf>,
    /// What it was brought to the newest schema from, where it was.
    pub upgraded: Option<Upgraded>,
}

/// Why the instance of an opened store is a new one: positions of before mean nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// There was no store.
    New,
    /// The store was damaged and moved aside.
    MovedAside,
    /// The last end was unclean, and not every commit had been synced to the disk.
    Unclean,
}

/// Opens, and comes to terms with damage: a passing read error looks like corruption, so only what is still damaged after a
/// pause and a second look is moved aside, and never wiped.
pub(super) fn find(
    path: &Path,
    options: Options,
    maker: &mut Maker,
    now: Timestamp,
    way: &Way,
    tell: Tell,
) -> Result<Found, StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(StoreError::Place(format!("SQLite {} damages logs; 3.51.3 or newer is needed", rusqlite::version())));
    }
    let left_over = if place::left_over(path) { Some(place::move_aside(path, now)?) } else { None };
    let mut last = None;
    for pause_ms in [0, 50, 250] {
        // A disk that recovers needs real time, and nothing else runs yet.
        #[expect(clippy::disallowed_methods, reason = "nothing else runs yet, and there is no condition to wait for")]
        std::thread::sleep(Duration::from_millis(pause_ms));
        match look(path, options, maker, last.is_some(), now, way, tell) {
            Err(error) if error.spoils_connection() => last = Some(error),
            Ok(found) if left_over.is_some() => {
                return Ok(Found { renewed: Some(Renewed::MovedAside), moved_aside: left_over, ..found });
            }
            other => return other,
        }
    }
    match last {
        Some(StoreError::Damaged(_)) => {
            let aside = place::move_aside(path, now)?;
            let mut found = look(path, options, maker, false, now, way, tell)?;
            found.renewed = Some(Renewed::MovedAside);
            found.moved_aside = Some(aside);
            Ok(found)
        }
        // SQLite has one word for most of what a disk does; the system has more.
        Some(StoreError::Disk(told)) => match place::takes_writes(path) {
            Err(why) => Err(StoreError::Shut(Trouble::of(&why))),
            Ok(()) => Err(StoreError::Disk(told)),
        },
        other => Err(other.unwrap_or(StoreError::Closed)),
    }
}

fn look(
    path: &Path,
    options: Options,
    maker: &mut Maker,
    suspect: bool,
    now: Timestamp,
    way: &Way,
    tell: Tell,
) -> Result<Found, StoreError> {
    if place::check(path)? {
        // Reading alone, so that the file of a newer mingle stays as it is: a writer's last close would fold the log into it.
        match read_only(path).and_then(|conn| way.standing(&conn)) {
            // A crash cut its very first commit off, before it had a log: only a writer can take that back.
            Err(StoreError::Shut(Trouble::ReadOnly)) => {}
            looked => drop(looked?),
        }
    }
    let mut conn = connect(path, options, true)?;
    let upgraded = upgrade::upgrade(Some(path), &mut conn, way, now, tell)?;
    let standing = standing(&conn)?;
    let unclean = matches!(&standing, Some(standing) if !standing.clean);
    if suspect || (unclean && is_small(&conn).is_ok()) {
        sound(&conn)?;
    }
    let (instance, seq, renewed) = match standing {
        None => (maker.instance(), 0, Some(Renewed::New)),
        Some(standing) if !standing.clean && !standing.durable => (maker.instance(), standing.seq, Some(Renewed::Unclean)),
        Some(standing) => (standing.instance, standing.seq, None),
    };
    settle(&conn, &instance, options)?;
    Ok(Found { conn, instance, seq, renewed, moved_aside: None, upgraded })
}

struct Standing {
    instance: String,
    seq: u64,
    clean: bool,
    durable: bool,
}

fn standing(conn: &Connection) -> Result<Option<Standing>, StoreError> {
    let mut rows = conn.prepare(&format!("SELECT instance, {HEAD}, clean, durable FROM m_store"))?;
    let mut rows = rows.query_map((), |row| {
        Ok(Standing { instance: row.get(0)?, seq: row.get(1)?, clean: row.get(2)?, durable: row.get(3)? })
    })?;
    Ok(rows.next().transpose()?)
}

/// Writes down that the store is in use from now on, and whether its commits are synced.
fn settle(conn: &Connection, instance: &str, options: Options) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO m_store (store, instance, horizon, ledger_looked, clean, durable) VALUES (1, ?1, 0, 0, 0, ?2)
         ON CONFLICT (store) DO UPDATE SET instance = excluded.instance, clean = 0, durable = excluded.durable",
        (instance, options.full_sync),
    )?;
    Ok(())
}

/// Whether it can be checked as a whole.
pub(super) fn is_small(conn: &Connection) -> Result<(), StoreError> {
    let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let size: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if pages.saturating_mul(size) <= limits::CHECKED_BYTES_MAX { Ok(()) } else { Err(StoreError::Deadline) }
}

/// Reads every page and looks for contradictions.
pub(super) fn sound(conn: &Connection) -> Result<(), StoreError> {
    let told: String = conn.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if told == "ok" { Ok(()) } else { Err(StoreError::Damaged(told)) }
}

/// The writer's connection (rule S3). `may_make`: at a start alone; a store that goes away later is never made anew in silence.
pub(super) fn connect(path: &Path, options: Options, may_make: bool) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_make);
    let conn = Connection::open_with_flags(path, flags)?;
    place::make_private(path)?;
    harden(&conn)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Place(format!(
            "the store's file system allows no shared log (journal mode {mode}); set store.path"
        )));
    }
    conn.pragma_update(None, "synchronous", if options.full_sync { "full" } else { "normal" })?;
    conn.pragma_update(None, "journal_size_limit", limits::LOG_BYTES_KEPT)?;
    conn.pragma_update(None, "cache_size", -limits::WRITER_CACHE_KIB)?;
    // The log is folded back beside the writes; this is for a log that outgrew that.
    conn.pragma_update(None, "wal_autocheckpoint", limits::CHECKPOINT_PAGES * 8)?;
    Ok(conn)
}

/// A connection that only folds the log back. It is opened before anything else may take the files' place, and has read once: so
/// it holds the log that there is now.
pub(super) fn beside(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    harden(&conn)?;
    // Whatever the commits do: what is folded back is on the disk before the log is begun anew.
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    Ok(conn)
}

/// A connection in memory, with the same rules.
pub(super) fn in_memory(maker: &mut Maker) -> Result<Found, StoreError> {
    let mut conn = Connection::open_in_memory()?;
    harden(&conn)?;
    upgrade::upgrade(None, &mut conn, &schema::WAY, Timestamp::default(), |_| {})?;
    let instance = maker.instance();
    settle(&conn, &instance, Options::default())?;
    Ok(Found { conn, instance, seq: 0, renewed: Some(Renewed::New), moved_aside: None, upgraded: None })
}

/// A connection that cannot write.
pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    harden(&conn)?;
    conn.pragma_update(None, "query_only", "on")?;
    Ok(conn)
}

fn harden(conn: &Connection) -> Result<(), StoreError> {
    conn.busy_timeout(limits::LOCK_WAIT)?;
    conn.pragma_update(None, "foreign_keys", "on")?;
    conn.pragma_update(None, "trusted_schema", "off")?;
    conn.pragma_update(None, "cell_size_check", "on")?;
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // Else a statement that could use a partial index is planned anew for each value that is bound to it: that costs more than
    // running it, row after row.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    conn.set_prepared_statement_cache_capacity(256);
    Ok(())
}

#[cfg(test)]
mod tests;
