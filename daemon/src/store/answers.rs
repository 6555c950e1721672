//! Owns: answers of services that are kept with their validators from one run to the next: of each sync those of its last listing that came
//! to its end. Must never know: what an answer says, whether it still holds.

use std::collections::BTreeSet;

use mingle_core::{limits, replica::KeptAnswer};
use rusqlite::{Connection, params};

use super::{error::StoreError, tx::Tx};

/// Those of a sync, the one that was asked for longest ago first, as far as that is known. What cannot be one is not there: it is asked in full.
///
/// # Errors
/// What SQLite says.
pub fn of(conn: &Connection, sync: &str) -> Result<Vec<KeptAnswer>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT name, validator, head, body FROM m_answer WHERE sync = ?1 ORDER BY answer DESC LIMIT ?2")?;
    let mut rows = statement.query(params![sync, limits::KEPT_ANSWERS_MAX])?;
    let mut answers = Vec::new();
    while let Some(row) = rows.next()? {
        let name: Vec<u8> = row.get(0)?;
        let Ok(name) = name.try_into() else { continue };
        answers.push(KeptAnswer { name, validator: row.get(1)?, head: row.get(2)?, body: row.get(3)? });
    }
    Ok(answers)
}

/// Keeps these of a sync, in the place of those there were. Belongs into the transaction in which its listing comes to its end: then every
/// row that they show is in the truth.
///
/// # Errors
/// What SQLite says.
pub fn keep(tx: &Tx<'_>, sync: &str, answers: &[KeptAnswer]) -> Result<(), StoreError> {
    let names: BTreeSet<&[u8]> = answers.iter().map(|answer| answer.name.as_slice()).collect();
    let known: Vec<(i64, Vec<u8>)> = tx
        .conn()
        .prepare_cached("SELECT answer, name FROM m_answer WHERE sync = ?1")?
        .query_map([sync], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (answer, _) in known.iter().filter(|(_, name)| !names.contains(name.as_slice())) {
        tx.conn().prepare_cached("DELETE FROM m_answer WHERE answer = ?1")?.execute([answer])?;
    }
    // Whoever tells the same again, with another hour or another count of what is left, has told nothing new.
    let mut keep = tx.conn().prepare_cached(
        "INSERT INTO m_answer (sync, name, validator, head, body, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (sync, name) DO UPDATE SET validator = ?3, head = ?4, body = ?5, at = ?6 WHERE validator <> ?3 OR body <> ?5",
    )?;
    for KeptAnswer { name, validator, head, body } in answers {
        keep.execute(params![sync, name, validator, head, body, tx.now().unix_ms()])?;
    }
    tx.conn()
        .prepare_cached(
            "DELETE FROM m_answer WHERE answer IN (SELECT answer FROM (
               SELECT answer, row_number() OVER latest AS place, sum(length(name) + length(validator) + length(head) + length(body)) OVER latest AS bytes
               FROM m_answer WINDOW latest AS (ORDER BY at DESC, answer DESC ROWS UNBOUNDED PRECEDING))
             WHERE place > ?1 OR bytes > ?2)",
        )?
        .execute(params![limits::KEPT_ALL_ANSWERS_MAX, limits::KEPT_ALL_BYTES_MAX])?;
    Ok(())
}

/// Forgets those of a sync.
///
/// # Errors
/// What SQLite says.
pub fn forget(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    tx.conn().prepare_cached("DELETE FROM m_answer WHERE sync = ?1")?.execute([sync])?;
    Ok(())
}

/// Forgets all of them.
pub(super) fn forget_all(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("DELETE FROM m_answer", ())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use mingle_core::time::Timestamp;

    use super::*;
    use crate::store::{Class, Store, testing};

    fn answer(name: u32, validator: &str, bytes: usize) -> KeptAnswer {
        let mut mark = [0; 32];
        mark[..4].copy_from_slice(&name.to_le_bytes());
        KeptAnswer { name: mark, validator: validator.into(), head: "x: y\n".into(), body: vec![b'x'; bytes] }
    }

    fn write(store: &Store, sync: &'static str, at: i64, answers: Vec<KeptAnswer>) {
        let job = move |tx: &mut Tx<'_>| keep(tx, sync, &answers);
        store.write_blocking(Class::Background, Timestamp::from_unix_ms(at), job).unwrap();
    }

    fn held(store: &Store, sync: &str) -> Vec<String> {
        store
            .read(|reader| of(reader, sync))
            .unwrap()
            .into_iter()
            .map(|one| format!("{} {}", one.validator, one.body.len()))
            .collect()
    }

    #[test]
    fn those_of_a_listing_take_the_place_of_those_of_the_last() {
        let store = testing::memory();
        let one = [answer(1, "a", 3), answer(2, "b", 0)];
        write(&store, "s", 1, one.to_vec());
        write(&store, "other", 1, vec![answer(1, "z", 1)]);
        let [last, before] = one;
        assert_eq!(store.read(|reader| of(reader, "s")).unwrap(), [before, last], "as they were written");
        write(&store, "s", 2, vec![answer(2, "c", 4), answer(3, "d", 5)]);
        assert_eq!((held(&store, "s"), held(&store, "other")), (vec!["d 5".into(), "c 4".into()], vec!["z 1".to_owned()]));
        // The same again is no change.
        write(&store, "s", 3, vec![answer(2, "c", 4), answer(3, "d", 5)]);
        assert_eq!(testing::number(&store, "SELECT max(at) FROM m_answer"), 2);
        store.write_blocking(Class::Background, Timestamp::from_unix_ms(4), |tx| forget(tx, "s")).unwrap();
        assert_eq!((held(&store, "s"), held(&store, "other").len()), (vec![], 1));
    }

    #[test]
    fn they_are_few_and_small_together() {
        let store = testing::memory();
        // Syncs that are quiet, more than there is room for: those that came first go.
        let name = |n: usize| -> &'static str { format!("s{n}").leak() };
        for n in 0..limits::KEPT_ALL_ANSWERS_MAX + 3 {
            write(&store, name(n), i64::try_from(n).unwrap(), vec![answer(1, "v", 10)]);
        }
        let sum = |store: &Store| {
            let sql = "SELECT count(*), sum(length(name) + length(validator) + length(head) + length(body)) FROM m_answer";
            store
                .read(|reader| Ok(reader.query_row(sql, (), |row| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?)))?))
                .unwrap()
        };
        assert_eq!(sum(&store).0, limits::KEPT_ALL_ANSWERS_MAX);
        assert_eq!((held(&store, "s2").len(), held(&store, "s3").len()), (0, 1));
        let large = limits::KEPT_ALL_BYTES_MAX / 100;
        for n in 0..120 {
            write(&store, name(1000 + n), 1000 + i64::try_from(n).unwrap(), vec![answer(1, "v", large)]);
        }
        let (count, bytes) = sum(&store);
        assert!(count == 99 && bytes <= limits::KEPT_ALL_BYTES_MAX, "{count} {bytes}");
        assert_eq!((held(&store, "s1020").len(), held(&store, "s1021").len()), (0, 1));
    }

    /// A name of another length than a mark's is none of ours.
    #[test]
    fn what_cannot_be_one_is_passed_over() {
        let store = testing::memory();
        let damage = "INSERT INTO m_answer (sync, name, validator, head, body, at) VALUES ('s', x'00', 'v', '', x'', 1)";
        testing::sql(&store, damage).unwrap();
        assert_eq!(held(&store, "s"), Vec::<String>::new());
    }
}
