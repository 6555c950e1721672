//! Owns: the numbered schemas, and which steps are missing to the newest. Must never know: what is in the tables, how the steps are taken.

use rusqlite::Connection;

use super::error::StoreError;

/// The way of every store to the newest schema. A new schema is one file with its SQL, and one line here; its golden store is kept
/// in `tests/upgrades/stores`.
pub(super) const WAY: Way = Way {
    steps: &[
        include_str!("sql/001.sql"),
        include_str!("sql/002.sql"),
        include_str!("sql/003.sql"),
        include_str!("sql/004.sql"),
        include_str!("sql/005.sql"),
        include_str!("sql/006.sql"),
    ],
    early: (EARLY_SHAPE, include_str!("sql/001-early.sql")),
};

/// Schema 1 was in use before it was fixed, and was called the same; it is told by this, which answers with more than 0.
const EARLY_SHAPE: &str = "SELECT count(*) FROM pragma_table_info('m_sync') WHERE name = 'facts'";

/// Says in the file's header that it is ours: "ming".
const APPLICATION: i64 = 0x6d69_6e67;

/// Steps from nothing to the newest schema. Tests have others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Step n makes schema n of schema n - 1. A released step is never edited.
    pub steps: &'static [&'static str],
    /// What tells a schema 1 of before it was fixed, and the SQL that fixes it.
    pub early: (&'static str, &'static str),
}

/// Where a file stands on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is in it yet.
    New,
    /// Nothing is missing.
    Newest,
    /// It is of this schema, and these steps are missing.
    Older { from: u32, steps: Vec<&'static str> },
}

impl Way {
    /// The newest schema.
    pub(super) fn newest(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// Refuses a file that is not ours, or that a newer mingle wrote. Reads, and changes nothing.
    pub(super) fn standing(&self, conn: &Connection) -> Result<Standing, StoreError> {
        let found = version(conn)?;
        if found > self.newest() {
            return Err(StoreError::Newer { found, known: self.newest() });
        }
        let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0))?;
        if tables > 0 && application != APPLICATION {
            return Err(StoreError::Place(
                "the file is a database of some other program; move it, or set another store.path".into(),
            ));
        }
        if found == 0 {
            return Ok(Standing::New);
        }
        let mut steps = Vec::new();
        let (shape, fix) = self.early;
        if found == 1 && conn.query_row(shape, (), |row| row.get::<_, i64>(0))? > 0 {
            steps.push(fix);
        }
        steps.extend(self.steps.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)));
        Ok(if steps.is_empty() { Standing::Newest } else { Standing::Older { from: found, steps } })
    }

    /// Writes into the file's header that it is of the newest schema, and ours.
    pub(super) fn sign(&self, conn: &Connection) -> Result<(), StoreError> {
        conn.pragma_update(None, "user_version", self.newest())?;
        conn.pragma_update(None, "application_id", APPLICATION)?;
        Ok(())
    }
}

/// Refuses a file that is not ours, or that a newer mingle wrote. Whether it is of the newest schema.
pub(super) fn check(conn: &Connection) -> Result<bool, StoreError> {
    Ok(!matches!(WAY.standing(conn)?, Standing::Older { .. }))
}

/// The schema that the file says it is of.
pub(super) fn version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::upgrade::upgrade;
    use mingle_core::time::Timestamp;

    fn take(conn: &mut Connection, way: &Way) -> Result<(), StoreError> {
        upgrade(None, conn, way, Timestamp::default(), |_| {}).map(|_| ())
    }

    fn tables(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_the_missing_steps_are_taken_and_all_or_none() {
        const STEPS: &[&str] = &[
            "CREATE TABLE m_collection (definition)",
            "CREATE TABLE b (y); ALTER TABLE m_collection ADD COLUMN z",
            "CREATE TABLE c (x); CREATE TABLE c (x)",
            "CREATE TABLE d (x REFERENCES d (y)); CREATE TABLE e (x REFERENCES b); INSERT INTO e VALUES (7)",
        ];
        let way = |steps: usize| Way { steps: &STEPS[..steps], early: ("SELECT 0", "") };
        let mut conn = Connection::open_in_memory().unwrap();
        take(&mut conn, &way(1)).unwrap();
        take(&mut conn, &way(2)).unwrap();
        assert_eq!((tables(&conn), version(&conn).unwrap()), (2, 2));
        assert_eq!(way(2).standing(&conn).unwrap(), Standing::Newest);
        assert!(matches!(take(&mut conn, &way(3)), Err(StoreError::NotUpgraded { from: 2, to: 3, .. })));
        assert_eq!((tables(&conn), version(&conn).unwrap()), (2, 2), "a step that fails leaves nothing behind");
        const NOWHERE: &[&str] = &[STEPS[0], STEPS[1], STEPS[3]];
        let points_nowhere = Way { steps: NOWHERE, early: ("SELECT 0", "") };
        assert!(take(&mut conn, &points_nowhere).is_err());
        assert_eq!((tables(&conn), version(&conn).unwrap()), (2, 2), "nor does one whose rows point at nothing");
    }

    #[test]
    fn a_newer_schema_and_a_foreign_file_are_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        take(&mut conn, &WAY).unwrap();
        assert!(check(&conn).unwrap());
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(take(&mut conn, &WAY), Err(StoreError::Newer { found: 99, .. })));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(take(&mut foreign, &WAY), Err(StoreError::Place(_))));
    }
}
