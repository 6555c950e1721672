//! Owns: what was shown on the desktop, over a restart. Must never know: what is shown, and when again.

use mingle_core::{
    desktop::{Matter, Shown},
    limits::SHOWN_MATTERS_MAX,
    time::Timestamp,
};
use rusqlite::{Connection, params};

use super::{error::StoreError, tx::Tx};

/// Each matter that was shown, and when.
///
/// # Errors
/// What SQLite says.
pub fn all(conn: &Connection) -> Result<Vec<(Matter, Timestamp)>, StoreError> {
    let mut statement = conn.prepare("SELECT name, about, at FROM m_shown ORDER BY at DESC, name, about LIMIT ?1")?;
    let rows =
        statement.query_map([SHOWN_MATTERS_MAX], |row| Ok(((row.get(0)?, row.get(1)?), Timestamp::from_unix_ms(row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down what was shown, in the place of what was.
///
/// # Errors
/// What SQLite says.
pub fn write(tx: &Tx<'_>, shown: &Shown) -> Result<(), StoreError> {
    tx.conn().execute("DELETE FROM m_shown", ())?;
    let mut statement = tx.conn().prepare_cached("INSERT INTO m_shown (name, about, at) VALUES (?1, ?2, ?3)")?;
    for ((name, about), at) in shown.rows() {
        statement.execute(params![name, about, at.unix_ms()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Class, testing};

    #[test]
    fn what_was_shown_is_read_as_it_was_written() {
        let store = testing::memory();
        let row = |name: &str, ms: i64| ((name.to_owned(), "a".to_owned()), Timestamp::from_unix_ms(ms));
        for rows in [vec![row("overdue", 2), row("conflict", 1)], vec![row("overdue", 3)], Vec::new()] {
            let shown = Shown::new(rows.clone());
            store.write_blocking(Class::Background, Timestamp::from_unix_ms(0), move |tx| write(tx, &shown)).unwrap();
            assert_eq!(store.read(|reader| all(reader)).unwrap(), rows);
        }
    }
}
