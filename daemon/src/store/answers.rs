//! Owns: answers of services that are kept with their validators from one run to the next: of each sync those of its last listing that came
//! to its end. Must never know: what an answer says, whether it still holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use mingle_core::{limits, planted, replica::KeptAnswer, time::Timestamp};
use rusqlite::{Connection, params};

use super::{error::StoreError, tx::Tx};

/// Of which syncs answers are worth the writing: a service may give each answer another validator.
#[derive(Debug, Default)]
pub struct Worth(Mutex<BTreeMap<String, Vain>>);

/// What is known of a sync whose answers did not hold.
#[derive(Debug, Default)]
struct Vain {
    /// So many listings in a row.
    listings: u32,
    /// Which questions the last of them asked, and with which validators they were answered.
    last: Vec<(Name, String)>,
}

/// A mark of what was asked.
type Name = [u8; 32];

impl Worth {
    /// A listing of this sync came to its end with answers that are not kept yet; `holds`: the service said of some that they still hold.
    /// Whether they are to be kept. What is answered alike twice would have held, had it been kept.
    #[must_use]
    pub fn are_worth_it(&self, sync: &str, answers: &[KeptAnswer], holds: bool) -> bool {
        let mut vain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: Vec<(Name, String)> = answers.iter().map(|answer| (answer.name, answer.validator.clone())).collect();
        last.sort_unstable();
        if holds || vain.get(sync).is_some_and(|vain| vain.last == last) {
            vain.remove(sync);
            return true;
        }
        if vain.len() >= limits::KEPT_ALL_ANSWERS_MAX && !vain.contains_key(sync) {
            vain.clear();
        }
        let vain = vain.entry(sync.to_owned()).or_default();
        *vain = Vain { listings: vain.listings.saturating_add(1), last };
        vain.listings <= limits::KEPT_IN_VAIN_MAX || vain.listings.is_multiple_of(limits::KEPT_IN_VAIN_EVERY)
    }
}

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

/// Keeps these of a sync, in the place of those there were. Belongs behind the end of its listing: then every row that they show is in the
/// truth. Where there is no room for those of all, each sync has one before any has a second, and those that are there stay.
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
               SELECT answer, row_number() OVER shared AS place, sum(bytes) OVER shared AS bytes
               FROM (SELECT answer, length(name) + length(validator) + length(head) + length(body) AS bytes,
                       row_number() OVER (PARTITION BY sync ORDER BY answer DESC) AS turn FROM m_answer)
               WINDOW shared AS (ORDER BY turn, answer ROWS UNBOUNDED PRECEDING))
             WHERE place > ?1 OR bytes > ?2)",
        )?
        .execute(params![limits::KEPT_ALL_ANSWERS_MAX, limits::KEPT_ALL_BYTES_MAX])?;
    Ok(())
}

/// Whether one of a sync came so long ago that a service's word for it is not enough any more; or ahead of us, which shows that the clock was
/// set back.
///
/// # Errors
/// What SQLite says.
pub fn are_old(tx: &Tx<'_>, sync: &str) -> Result<bool, StoreError> {
    let (first, last): (Option<i64>, Option<i64>) = tx
        .conn()
        .prepare_cached("SELECT min(at), max(at) FROM m_answer WHERE sync = ?1")?
        .query_row([sync], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let now = tx.now();
    let (first, last) = (first.map(Timestamp::from_unix_ms), last.map(Timestamp::from_unix_ms));
    let old = first.is_some_and(|first| now.since(first) >= limits::WHOLE_LISTING_AFTER) || last.is_some_and(|last| last > now);
    Ok(old && !planted::is("an answer is believed for ever"))
}

/// Forgets those of syncs that are none any more: neither `known` nor an app's.
///
/// # Errors
/// What SQLite says.
pub fn forget_gone(tx: &Tx<'_>, known: &[String]) -> Result<(), StoreError> {
    let known = serde_json::to_string(known).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    tx.conn().execute(
        "DELETE FROM m_answer WHERE sync NOT IN (SELECT value FROM json_each(?1)) AND sync NOT IN (SELECT sync FROM m_defined)",
        [known],
    )?;
    Ok(())
}

/// Forgets those of syncs whose remote has this record.
///
/// # Errors
/// What SQLite says.
pub fn forget_with(tx: &Tx<'_>, record: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "DELETE FROM m_answer WHERE sync IN (SELECT s.name FROM m_sync s JOIN m_link l ON l.replica = s.replica WHERE l.record = ?1)",
        )?
        .execute([record])?;
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

/// Forgets all of them, in a copy of the store: their bytes as well.
pub(super) fn forget_all(conn: &Connection) -> Result<(), StoreError> {
    Ok(conn.execute_batch("PRAGMA secure_delete = on; DELETE FROM m_answer; PRAGMA secure_delete = off")?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let name = |n: usize| -> &'static str { format!("s{n}").leak() };
        let at = |n: usize| i64::try_from(n).unwrap();
        // More syncs than there is room for: those that are there stay.
        for n in 0..limits::KEPT_ALL_ANSWERS_MAX + 3 {
            write(&store, name(n), at(n), vec![answer(1, "v", 10)]);
        }
        let sum = |store: &Store| {
            let sql = "SELECT count(*), sum(length(name) + length(validator) + length(head) + length(body)) FROM m_answer";
            store
                .read(|reader| Ok(reader.query_row(sql, (), |row| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?)))?))
                .unwrap()
        };
        let last = limits::KEPT_ALL_ANSWERS_MAX - 1;
        assert_eq!(sum(&store).0, limits::KEPT_ALL_ANSWERS_MAX);
        assert_eq!((held(&store, "s0").len(), held(&store, name(last)).len(), held(&store, name(last + 1)).len()), (1, 1, 0));
    }

    /// Whoever has much to say, and says it often, takes nothing from those that are quiet.
    #[test]
    fn the_room_is_shared() {
        let store = testing::memory();
        let name = |n: usize| -> &'static str { format!("s{n}").leak() };
        write(&store, "quiet", 1, vec![answer(2, "second", 10), answer(1, "first", 10)]);
        let large = limits::KEPT_ALL_BYTES_MAX / 100;
        for round in 0..3 {
            for n in 0..20 {
                let pages = (0..10).map(|page| answer(page, &format!("v{round}"), large)).collect();
                write(&store, name(n), 10 + i64::from(round), pages);
            }
        }
        let bytes = "SELECT sum(length(name) + length(validator) + length(head) + length(body)) FROM m_answer";
        assert!(usize::try_from(testing::number(&store, bytes)).unwrap() <= limits::KEPT_ALL_BYTES_MAX);
        assert_eq!(held(&store, "quiet"), ["first 10", "second 10"]);
        for n in 0..20 {
            let held = held(&store, name(n)).len();
            assert!((4..=5).contains(&held), "{n}: {held}");
        }
    }

    #[test]
    fn what_never_holds_is_not_written_each_time() {
        let worth = Worth::default();
        let mut validators = 0..;
        let mut kept = |holds: bool| worth.are_worth_it("s", &[answer(1, &validators.next().unwrap_or(0).to_string(), 1)], holds);
        assert!((0..limits::KEPT_IN_VAIN_MAX).all(|_| kept(false)));
        let later = (0..10 * limits::KEPT_IN_VAIN_EVERY).filter(|_| kept(false)).count();
        assert_eq!(later, 10, "now and then: it may be another service by now");
        assert!(worth.are_worth_it("other", &[answer(1, "v", 1)], false));
        assert!(kept(true) && kept(false), "one that held is a new beginning");
    }

    #[test]
    fn what_is_answered_alike_twice_is_written_however_much_was_in_vain() {
        let worth = Worth::default();
        let kept = |name: u32, validator: &str| worth.are_worth_it("s", &[answer(name, validator, 1)], false);
        // Each time something changes, another question is asked: by the stamp of what was newest.
        let changing = |from: u32| (from..from + limits::KEPT_IN_VAIN_MAX).filter(|n| kept(*n, "v")).count();
        assert_eq!(changing(0), 3);
        assert!(!kept(9, "v") && kept(9, "v"), "now it is asked again");
        assert!(kept(9, "w") && kept(9, "x") && kept(9, "y") && !kept(9, "z"), "the same question, and another answer each time");
        assert!(kept(9, "z"));
    }

    #[test]
    fn what_is_long_ago_is_not_believed() {
        let store = testing::memory();
        let then = Timestamp::from_unix_ms(1_790_000_000_000);
        let old = |now: Timestamp| store.write_blocking(Class::Background, now, |tx| are_old(tx, "s")).unwrap();
        assert!(!old(then), "there is none");
        write(&store, "s", then.unix_ms(), vec![answer(1, "a", 3), answer(2, "b", 0)]);
        write(&store, "s", then.plus(Duration::from_secs(60)).unix_ms(), vec![answer(1, "a", 3), answer(2, "c", 0)]);
        write(&store, "other", 1, vec![answer(1, "a", 3)]);
        assert!(!old(then.plus(limits::WHOLE_LISTING_AFTER).minus(Duration::from_millis(1))));
        assert!(old(then.plus(limits::WHOLE_LISTING_AFTER)), "by the oldest");
        assert!(old(then), "the clock was set back");
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("an answer is believed for ever"));
        let found = std::panic::catch_unwind(what_is_long_ago_is_not_believed).is_err();
        planted::set_here(None);
        assert!(found);
    }

    #[test]
    fn they_go_with_their_sync_and_with_a_record_that_is_forgotten() {
        let store = testing::memory();
        for sync in ["known", "gone", "defined", "beside"] {
            write(&store, sync, 1, vec![answer(1, "v", 3)]);
        }
        testing::sql(&store, "INSERT INTO m_defined VALUES ('defined', '{}', 'app', 1, 0)").unwrap();
        let known = ["known".to_owned(), "beside".to_owned()];
        store.write_blocking(Class::Background, Timestamp::from_unix_ms(2), move |tx| forget_gone(tx, &known)).unwrap();
        let left = |store: &Store| ["known", "gone", "defined", "beside"].map(|sync| held(store, sync).len());
        assert_eq!(left(&store), [1, 0, 1, 1]);
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
