//! Owns: copies of the store: one taken while it is in use, and one put in its place. Must never know: who asks, whether a daemon runs
//! (the caller holds the lock for what needs it).
//!
//! Pages are copied by SQLite itself: it knows what the log holds, and nothing else may open a store's file.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use mingle_core::time::Timestamp;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    answers,
    error::StoreError,
    ids::{Ids, Maker},
    ledger::HEAD,
    limits,
    open::{self, Options},
    place::{self, with},
    schema, upgrade,
};

/// What a copy has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What is in it; none where it is of an older schema, of which nobody here knows what is where.
    pub inside: Option<Inside>,
    /// Its schema.
    pub schema: u32,
    /// Bytes.
    pub bytes: u64,
}

/// What is in a copy of the newest schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Records that are there.
    pub records: u64,
    /// The highest seq.
    pub seq: u64,
    /// The store that it is of.
    pub instance: String,
}

/// Copies a store, also one in use, into a new file: one state of it, checked, on the disk.
///
/// # Errors
/// [`StoreError::Place`] where there is no store, or something in the place of the copy; what SQLite and the disk say.
pub fn backup(store: &Path, to: &Path) -> Result<Copied, StoreError> {
    if !place::check(store)? {
        return Err(StoreError::Place(format!("there is no store at {}", store.display())));
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(StoreError::Place(format!("{} is there already; a backup never replaces a file", to.display())));
    }
    let source = open::read_only(store)?;
    schema::check(&source)?;
    let part = part(to)?;
    // All in one step is one state: in several, each commit meanwhile would begin it anew.
    let copied = copy(&source, &part.0, -1, || {}).and_then(|conn| {
        // What services answered is worth nothing in another place, and is no part of the truth.
        if schema::check(&conn)? {
            answers::forget_all(&conn)?;
        }
        finish(conn, &part.0)
    })?;
    publish(&part.0, to)?;
    Ok(copied)
}

/// Puts a backup in the place of the store. What was there is kept under another name, which is returned: it may hold writes that were
/// never sent. The restored store is a new instance, so that apps read anew. The caller holds the daemon's lock.
///
/// # Errors
/// [`StoreError::Place`] and [`StoreError::Newer`] where the file is no backup that this mingle can use; the store is untouched then.
pub fn restore(store: &Path, from: &Path, ids: Ids, now: Timestamp) -> Result<(Copied, Option<PathBuf>), StoreError> {
    if !place::check(from)? {
        return Err(StoreError::Place(format!("there is no file {}", from.display())));
    }
    let source = open::read_only(from)?;
    schema::check(&source)?;
    open::sound(&source)?;
    let part = part(&with(store, ".restoring"))?;
    let mut conn = copy(&source, &part.0, -1, || {})?;
    drop(source);
    // A backup of an older mingle: the file that it came from is the copy that is kept.
    upgrade::upgrade(None, &mut conn, &schema::WAY, now, |_| {})?;
    let instance = Maker::new(ids).instance();
    // Closed in good order, as another store: whatever was in doubt in it is looked up, whatever an app has of it is void.
    conn.execute("UPDATE m_store SET instance = ?1, clean = 1, durable = 1", [&instance])?;
    // Of what services said since it knows nothing, so they are asked in full.
    answers::forget_all(&conn)?;
    let copied = finish(conn, &part.0)?;
    let kept = if place::check(store)? || place::left_over(store) { Some(set_aside(store, now)?) } else { None };
    publish(&part.0, store)?;
    Ok((copied, kept))
}

/// A file that is being made; it goes away where it does not come to its end.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed: then there is nothing to take away.
        let _ = fs::remove_file(&self.0);
    }
}

/// An empty file of our own beside the place where it is to be.
fn part(to: &Path) -> Result<Part, StoreError> {
    let path = with(to, ".part");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, &error)),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| failed(&path, &error))?;
    Ok(Part(path))
}

/// Copies so many pages at a time (-1: all); `goes_on` is called after each.
fn copy(source: &Connection, to: &Path, pages: i32, mut goes_on: impl FnMut()) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let backup = Backup::new(source, &mut conn)?;
    loop {
        match backup.step(pages)? {
            StepResult::Done => break,
            StepResult::More => goes_on(),
            _ => return Err(StoreError::Busy),
        }
    }
    drop(backup);
    // One file, which anybody may move and copy.
    let _: String = conn.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))?;
    Ok(conn)
}

/// Copies a store in use to a place of no lasting: what it was in the midst of is no matter there.
pub(super) fn throwaway(store: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open::read_only(store)?;
    let part = part(to)?;
    let conn = copy(&source, &part.0, -1, || {})?;
    conn.pragma_update(None, "synchronous", "off")?;
    conn.execute("UPDATE m_store SET clean = 1, durable = 1", [])?;
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    fs::rename(&part.0, to).map_err(|error| failed(to, &error))
}

/// Looks at the copy as a whole, and presses it onto the disk.
fn finish(conn: Connection, path: &Path) -> Result<Copied, StoreError> {
    open::sound(&conn)?;
    let schema = schema::version(&conn)?;
    let inside = if schema::check(&conn)? {
        let (instance, seq) =
            conn.query_row(&format!("SELECT instance, {HEAD} FROM m_store"), [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let records = conn.query_row("SELECT count(*) FROM m_record WHERE state = 0", [], |row| row.get(0))?;
        Some(Inside { records, seq, instance })
    } else {
        None
    };
    Ok(Copied { inside, schema, bytes: press(conn, path)? })
}

/// Presses a copy onto the disk. Its bytes.
fn press(conn: Connection, path: &Path) -> Result<u64, StoreError> {
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    let file = fs::File::open(path).and_then(|file| file.sync_all().map(|()| file)).map_err(|error| failed(path, &error))?;
    Ok(file.metadata().map_err(|error| failed(path, &error))?.len())
}

/// A whole copy of a store, on the disk, that has no name yet. It goes away without one.
pub(super) struct Keeping {
    part: Part,
    to: PathBuf,
}

impl Keeping {
    /// The name that it gets.
    pub(super) fn name(&self) -> &Path {
        &self.to
    }

    /// Gives it its name.
    pub(super) fn publish(self) -> Result<(), StoreError> {
        publish(&self.part.0, &self.to)
    }
}

/// Copies the store that this connection has open, to be kept beside it. Nobody else may write; `goes_on` is called now and then.
pub(super) fn keep(source: &Connection, store: &Path, now: Timestamp, goes_on: impl FnMut()) -> Result<Keeping, StoreError> {
    let part = part(&with(store, BEFORE_UPGRADE))?;
    let conn = copy(source, &part.0, limits::COPY_PAGES, goes_on)?;
    open::sound(&conn)?;
    press(conn, &part.0)?;
    Ok(Keeping { part, to: free(store, BEFORE_UPGRADE, now) })
}

/// A name that no file has.
fn free(store: &Path, why: &str, now: Timestamp) -> PathBuf {
    let mut to = with(store, &format!("{why}-{}", now.unix_ms()));
    for more in 1..100 {
        if fs::symlink_metadata(&to).is_err() {
            break;
        }
        to = with(store, &format!("{why}-{}-{more}", now.unix_ms()));
    }
    to
}

/// Copies a store in use, to be kept beside it while a reset changes it; of such copies the newest stay. Who reads the store does not hold
/// its writer up. Resets on one occasion share a copy, which is of before the first of them: one of their own for each would push it out.
pub(super) fn before_reset(store: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let lately = kept(store).into_iter().rfind(|(path, why, _)| *why == Kept::Reset && is_of_late(store, path, now));
    if let Some((path, ..)) = lately
        && is_whole(store, &path)
    {
        return Ok(path);
    }
    let log = fs::symlink_metadata(with(store, "-wal")).map_or(0, |file| file.len());
    let bytes = fs::symlink_metadata(store).map_or(0, |file| file.len()).saturating_add(log);
    let no_room = |room: u64| StoreError::NoRoom { bytes, room, place: store.parent().unwrap_or(Path::new(".")).to_owned() };
    let room = place::room(store);
    if room < bytes {
        return Err(no_room(room));
    }
    let to = free(store, BEFORE_RESET, now);
    backup(store, &to).map_err(|error| match error {
        StoreError::Full => no_room(place::room(store)),
        other => other,
    })?;
    let mut before: Vec<_> = kept(store).into_iter().filter(|(_, why, _)| *why == Kept::Reset).map(|(path, ..)| path).collect();
    // By their times: the last is the newest.
    before.sort();
    for old in before.iter().rev().skip(limits::COPIES_BEFORE_RESETS).filter(|old| **old != to) {
        if let Err(error) = fs::remove_file(old) {
            tracing::warn!(%error, file = %old.display(), "a copy from before a reset is left behind");
        }
    }
    Ok(to)
}

/// Whether a copy was made so lately that a reset now is on the same occasion. One that lies ahead shows that the clock was set back.
fn is_of_late(store: &Path, copy: &Path, now: Timestamp) -> bool {
    let begin = with(store, &format!("{BEFORE_RESET}-"));
    let made =
        copy.to_str().zip(begin.to_str()).and_then(|(copy, begin)| copy.strip_prefix(begin)?.split('-').next()?.parse().ok());
    made.map(Timestamp::from_unix_ms).is_some_and(|made| made <= now && now.since(made) < limits::COPY_SHARED_FOR)
}

/// Whether this is a sound copy of the very store: one that was restored since is another.
fn is_whole(store: &Path, copy: &Path) -> bool {
    let of = |conn: &Connection| -> Result<String, StoreError> {
        Ok(conn.query_row("SELECT instance FROM m_store", [], |row| row.get(0))?)
    };
    let looked = || -> Result<bool, StoreError> {
        let kept = open::read_only(copy)?;
        if !schema::check(&kept)? {
            return Ok(false);
        }
        open::sound(&kept)?;
        Ok(of(&kept)? == of(&open::read_only(store)?)?)
    };
    looked().unwrap_or(false)
}

/// What stands behind the store's name in the names of files that are kept of it, and why they are.
const KEPT: &[(&str, Kept)] = &[
    (BEFORE_UPGRADE, Kept::Upgraded),
    (BEFORE_RESTORE, Kept::Replaced),
    (BEFORE_RESET, Kept::Reset),
    (".corrupt", Kept::Damaged),
];
const BEFORE_UPGRADE: &str = ".before-upgrade";
const BEFORE_RESTORE: &str = ".before-restore";
const BEFORE_RESET: &str = ".before-reset";

/// Why a file is kept beside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is the store before a newer mingle changed its schema.
    Upgraded,
    /// It is what a backup took the place of.
    Replaced,
    /// It is the store before a reset of a sync.
    Reset,
    /// It is a damaged store, moved aside.
    Damaged,
}

/// What is kept beside this store, by name, with its bytes. Only the directory is read.
#[must_use]
pub fn kept(store: &Path) -> Vec<(PathBuf, Kept, u64)> {
    let (Some(directory), Some(name)) = (store.parent(), store.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let why = |file: &str| {
        let end = file.strip_prefix(name)?;
        let (_, why) = KEPT.iter().find(|(begin, _)| end.strip_prefix(begin).is_some_and(|rest| rest.starts_with('-')))?;
        // The log and its index go with their file.
        (!end.ends_with("-wal") && !end.ends_with("-shm")).then_some(*why)
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut kept: Vec<_> = entries
        .filter_map(|entry| {
            let why = why(entry.file_name().to_str()?)?;
            Some((entry.path(), why, entry.metadata().map_or(0, |file| file.len())))
        })
        .collect();
    kept.sort_by(|one, other| one.0.cmp(&other.0));
    kept
}

/// Gives a finished file its name, and presses that onto the disk too.
fn publish(part: &Path, to: &Path) -> Result<(), StoreError> {
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(part, to).and_then(|()| fs::File::open(directory)?.sync_all()).map_err(|error| failed(to, &error))
}

/// The present store under another name. Where it can be, its log is folded back first, and it keeps its own name until the very moment in
/// which the other takes it: a start in between finds one of the two, never none.
fn set_aside(store: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let folded = open::connect(store, Options::default(), false).and_then(|conn| {
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(StoreError::from)
    });
    let aside = with(store, &format!("{BEFORE_RESTORE}-{}", now.unix_ms()));
    let one_file = matches!(folded, Ok(0)) && fs::symlink_metadata(with(store, "-wal")).map_or(true, |log| log.len() == 0);
    if !one_file {
        // Damaged, or pinned by a reader: it is kept with its log.
        return place::move_aside(store, now);
    }
    for end in ["-wal", "-shm"] {
        match fs::remove_file(with(store, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(store, &error)),
            _ => {}
        }
    }
    fs::hard_link(store, &aside).map_err(|error| failed(&aside, &error))?;
    Ok(aside)
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Place(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Store, testing::NOW};

    #[test]
    fn resets_on_one_occasion_share_a_copy_and_the_newest_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = Store::open(&path, Options::default(), NOW).unwrap().store;
        let at = |minutes: u64| NOW.plus(Duration::from_secs(minutes * 60));
        let first = before_reset(&path, at(0)).unwrap();
        for minutes in [0, 1, 2, 3, 9] {
            assert_eq!(before_reset(&path, at(minutes)).unwrap(), first, "{minutes}");
        }
        // Its time is over, the clock was set back, it is no copy any more: another is made.
        let second = before_reset(&path, at(10)).unwrap();
        let back = before_reset(&path, NOW.minus(Duration::from_secs(60))).unwrap();
        assert_eq!([&first, &second, &back].iter().filter(|copy| copy.exists()).count(), 3);
        fs::write(&second, b"torn").unwrap();
        let third = before_reset(&path, at(11)).unwrap();
        assert!(third != second && is_whole(&path, &third));
        // Of another store.
        store
            .write_blocking(crate::store::Class::Background, NOW, |tx| {
                tx.conn().execute("UPDATE m_store SET instance = 's-another'", [])?;
                Ok(())
            })
            .unwrap();
        let fourth = before_reset(&path, at(12)).unwrap();
        assert_ne!(fourth, third);
        let left: Vec<PathBuf> = kept(&path).into_iter().map(|(path, ..)| path).collect();
        assert_eq!(left, [second, third, fourth]);
    }
}
