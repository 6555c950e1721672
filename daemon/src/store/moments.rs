//! Owns: what is written down of when a sync runs, beside its definition and its runs: the moment of its next run, a ping that no run has answered
//! yet, from which run on its history counts. Must never know: what follows from it.

use mingle_core::{
    run::{Mode, Order},
    schedule::Last,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{answers, error::StoreError, limits, marks, tx::Tx};

/// What is written down of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The moment of its next run.
    pub next: Option<Timestamp>,
    /// There is something new at its remote, since then.
    pub pinged: Option<Timestamp>,
}

/// What is written down of a sync.
pub fn of(conn: &Connection, sync: &str) -> Result<Moments, StoreError> {
    let moment = |ms: Option<i64>| ms.map(Timestamp::from_unix_ms);
    let found = conn
        .prepare_cached("SELECT next, pinged FROM m_schedule WHERE sync = ?1")?
        .query_row([sync], |row| Ok(Moments { next: moment(row.get(0)?), pinged: moment(row.get(1)?) }))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Its next run is then, or when its schedule says.
pub fn set_next(tx: &Tx<'_>, sync: &str, at: Option<Timestamp>) -> Result<(), StoreError> {
    tx.conn().execute(
        "INSERT INTO m_schedule (sync, next) VALUES (?1, ?2) ON CONFLICT (sync) DO UPDATE SET next = ?2",
        params![sync, at.map(Timestamp::unix_ms)],
    )?;
    Ok(())
}

/// There is something new at the remote of these, of each since then.
pub fn pinged(tx: &Tx<'_>, syncs: &[(String, Timestamp)]) -> Result<(), StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "INSERT INTO m_schedule (sync, pinged) VALUES (?1, ?2) ON CONFLICT (sync) DO UPDATE SET pinged = max(coalesce(pinged, ?2), ?2)",
    )?;
    for (sync, at) in syncs {
        statement.execute(params![sync, at.unix_ms()])?;
    }
    Ok(())
}

/// A run has begun: it answers whatever was written down until then; and what was wished of it.
pub fn begun(tx: &Tx<'_>, sync: &str, order: &Order) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "UPDATE m_schedule SET next = iif(next <= ?2, NULL, next), pinged = iif(pinged <= ?2, NULL, pinged)
             WHERE sync = ?1 AND (next <= ?2 OR pinged <= ?2)",
        )?
        .execute(params![sync, order.began.unix_ms()])?;
    if order.mode != Mode::Fast {
        tx.conn().prepare_cached("UPDATE m_run SET wishes = ?2 WHERE id = ?1")?.execute(params![order.run, order.mode.name()])?;
    }
    Ok(())
}

/// The listing of a run has come to its end: in which mode it was wished concerns no other run any more.
pub fn listed(tx: &Tx<'_>, run: &str) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_run SET wishes = NULL WHERE id = ?1")?.execute([run])?;
    Ok(())
}

/// A person ended the runs of a sync; none: those of all. What was wished of them is taken back.
pub fn taken_back(tx: &Tx<'_>, sync: Option<&str>) -> Result<(), StoreError> {
    tx.conn().execute("UPDATE m_run SET wishes = NULL WHERE wishes IS NOT NULL AND sync = coalesce(?1, sync)", [sync])?;
    Ok(())
}

/// In which mode the last run of a sync was wished, where that was cut off and goes on. Nothing else is written down of what a person wished of a
/// run: a word about deletes, or about whatever a guard holds, is not taken for granted by a daemon that nobody has spoken to.
pub fn wished(conn: &Connection, sync: &str) -> Result<Mode, StoreError> {
    let (Last::Stopped { reason, .. }, _) = marks::last(conn, sync)? else { return Ok(Mode::Fast) };
    if !reason.due_again() {
        return Ok(Mode::Fast);
    }
    let found: Option<(Option<String>, bool)> = conn
        .prepare_cached(
            "SELECT r.wishes, EXISTS (SELECT 1 FROM m_sync s WHERE s.name = ?1 AND s.resume IS NOT NULL
                       AND (json_extract(s.resume, '$.page') IS NOT NULL OR json_extract(s.resume, '$.rows') > 0))
             FROM m_run r WHERE r.sync = ?1 AND r.ended IS NOT NULL AND r.stop_reason = ?2 ORDER BY r.run DESC LIMIT 1",
        )?
        .query_row(params![sync, reason.name()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // A listing that is on goes on, in whatever mode it was.
    let word = found.filter(|(_, goes_on)| !goes_on).and_then(|(word, _)| word);
    Ok(word.as_deref().and_then(Mode::parse).unwrap_or_default())
}

/// Its schedule begins anew: what ran before says nothing of it, and it is defined since now.
pub fn anew(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    tx.conn().execute(
        "INSERT INTO m_schedule (sync, anew) VALUES (?1, (SELECT max(run) FROM m_run))
         ON CONFLICT (sync) DO UPDATE SET next = NULL, anew = (SELECT max(run) FROM m_run)",
        [sync],
    )?;
    tx.conn().execute("UPDATE m_sync SET fresh = NULL WHERE name = ?1", [sync])?;
    tx.conn().execute("UPDATE m_sync SET since = ?2 WHERE name = ?1 AND since IS NOT NULL", params![sync, tx.now().unix_ms()])?;
    Ok(())
}

/// It is gone: what was written down of its schedule is void, should it be defined again, and what it was answered is nobody's.
pub fn gone(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    answers::forget(tx, sync)?;
    tx.conn().execute("UPDATE m_schedule SET next = NULL, pinged = NULL WHERE sync = ?1", [sync])?;
    tx.conn().execute("UPDATE m_sync SET since = NULL WHERE name = ?1", [sync])?;
    Ok(())
}

/// What was written down of syncs that are gone for long, neither `known` nor an app's, is void: a moment or a ping that is older than
/// [`limits::GONE_MOMENTS_KEPT`]. From which run on the history of one counts belongs to that history, and stays as long. What they were answered
/// goes at once.
pub fn forget_gone(tx: &Tx<'_>, known: &[String]) -> Result<(), StoreError> {
    answers::forget_gone(tx, known)?;
    let until = tx.now().minus(limits::GONE_MOMENTS_KEPT).unix_ms();
    let known = serde_json::to_string(known).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    const GONE: &str = "sync NOT IN (SELECT value FROM json_each(?1)) AND sync NOT IN (SELECT sync FROM m_defined)";
    tx.conn().execute(
        &format!(
            "UPDATE m_schedule SET next = iif(next < ?2, NULL, next), pinged = iif(pinged < ?2, NULL, pinged)
             WHERE {GONE} AND (next < ?2 OR pinged < ?2)"
        ),
        params![known, until],
    )?;
    tx.conn().execute(
        &format!(
            "DELETE FROM m_schedule WHERE {GONE} AND next IS NULL AND pinged IS NULL
               AND NOT EXISTS (SELECT 1 FROM m_run r WHERE r.sync = m_schedule.sync AND r.run <= m_schedule.anew)"
        ),
        [known],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Class, testing::*};

    fn order(run: &str, began: Timestamp, mode: Mode) -> Order {
        Order { run: run.into(), began, mode, ..Order::default() }
    }

    fn row(run: &str, status: &str, reason: &str, at: i64) -> String {
        format!(
            "INSERT INTO m_run (id, sync, status, stop_reason, result, mode, trigger, started, ended)
             VALUES ('{run}', 's', '{status}', nullif('{reason}', ''), 'failed', 'fast', 'timer', {at}, {at} + 1)"
        )
    }

    #[test]
    fn a_run_answers_what_was_there_when_it_began_and_nothing_later() {
        let store = memory();
        let ms: fn(i64) -> Timestamp = Timestamp::from_unix_ms;
        let now = |store: &crate::store::Store| store.read(|reader| of(reader, "s")).unwrap();
        write(&store, move |tx| set_next(tx, "s", Some(ms(100))));
        write(&store, move |tx| pinged(tx, &[("s".into(), ms(50))]));
        write(&store, move |tx| begun(tx, "s", &order("r-1", ms(49), Mode::Fast)));
        assert_eq!(now(&store), Moments { next: Some(ms(100)), pinged: Some(ms(50)) });
        write(&store, move |tx| begun(tx, "s", &order("r-2", ms(50), Mode::Fast)));
        assert_eq!(now(&store), Moments { next: Some(ms(100)), pinged: None });
        write(&store, move |tx| pinged(tx, &[("s".into(), ms(60)), ("t".into(), ms(60))]));
        write(&store, move |tx| begun(tx, "s", &order("r-3", ms(100), Mode::Fast)));
        assert_eq!(now(&store), Moments::default());
        assert_eq!(store.read(|reader| of(reader, "t")).unwrap().pinged, Some(ms(60)));
        write(&store, move |tx| set_next(tx, "s", Some(ms(100))));
        write(&store, move |tx| set_next(tx, "s", None));
        assert_eq!(now(&store), Moments::default());
        write(&store, move |tx| gone(tx, "t"));
        assert_eq!(store.read(|reader| of(reader, "t")).unwrap(), Moments::default());
    }

    #[test]
    fn of_a_sync_that_is_gone_for_long_only_its_history_stays() {
        let day = |days: u64| Timestamp::from_unix_ms(1_790_000_000_000).plus(Duration::from_secs(days * 24 * 3600));
        let store = memory();
        for sync in ["known", "gone", "anew", "defined"] {
            write(&store, move |tx| set_next(tx, sync, Some(day(1))));
            write(&store, move |tx| pinged(tx, &[(sync.into(), day(10))]));
        }
        write(&store, move |tx| Ok(tx.conn().execute_batch(&row("r-1", "failed", "", 10).replace("'s'", "'anew'"))?));
        write(&store, |tx| Ok(tx.conn().execute_batch("UPDATE m_schedule SET anew = 1 WHERE sync = 'anew'")?));
        write(&store, |tx| Ok(tx.conn().execute_batch("INSERT INTO m_defined VALUES ('defined', '{}', 'app', 1, 0)")?));
        let forget = |now: Timestamp| {
            store.write_blocking(Class::Interactive, now, |tx| forget_gone(tx, &["known".to_owned()])).unwrap();
            ["known", "gone", "anew", "defined"].map(|sync| store.read(|reader| of(reader, sync)).unwrap())
        };
        let both = Moments { next: Some(day(1)), pinged: Some(day(10)) };
        let one = Moments { next: None, ..both };
        let none = Moments::default();
        assert_eq!(forget(day(30)), [both, both, both, both], "it may come back");
        assert_eq!(forget(day(32)), [both, one, one, both]);
        assert_eq!(forget(day(41)), [both, none, none, both]);
        let rows = store.read(|reader| {
            let mut rows = reader.prepare("SELECT sync FROM m_schedule ORDER BY sync")?;
            Ok(rows.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?)
        });
        assert_eq!(rows.unwrap(), ["anew", "defined", "known"]);
    }

    #[test]
    fn what_begins_anew_has_no_past() {
        let store = memory();
        let at = |ms: i64| Timestamp::from_unix_ms(ms);
        let last = |store: &crate::store::Store| store.read(|reader| marks::last(reader, "s")).unwrap();
        write(&store, move |tx| Ok(tx.conn().execute_batch(&row("r-1", "failed", "", 10))?));
        assert_eq!(last(&store), (Last::Failed { ended: at(11) }, 1));
        write(&store, move |tx| set_next(tx, "s", Some(at(99))));
        write(&store, move |tx| anew(tx, "s"));
        assert_eq!(last(&store), (Last::Never, 0));
        assert_eq!(store.read(|reader| of(reader, "s")).unwrap(), Moments::default(), "nor a moment of before");
        assert_eq!(store.read(|reader| marks::brought(reader, "s")).unwrap(), Vec::<bool>::new());
        write(&store, move |tx| Ok(tx.conn().execute_batch(&row("r-2", "done", "", 20))?));
        assert_eq!(last(&store), (Last::Done { began: at(20) }, 0));
        // The delay of the first run counts from now.
        write(&store, move |tx| marks::since(tx, "s").map(drop));
        let later = at(1_000_000);
        store.write_blocking(Class::Interactive, later, |tx| anew(tx, "s")).unwrap();
        assert_eq!(
            store.write_blocking(Class::Interactive, later.plus(Duration::from_secs(9)), |tx| marks::since(tx, "s")).unwrap(),
            later
        );
    }

    #[test]
    fn since_when_a_sync_fails_and_by_what_its_last_run_did() {
        let store = memory();
        let add = |run: &'static str, status: &'static str, reason: &'static str, at: i64, what: &'static str| {
            let error = format!(
                "UPDATE m_run SET error = json_object('name', 'needs_login', 'what', '{what}') WHERE id = '{run}' AND '{what}' <> ''"
            );
            write(&store, move |tx| Ok(tx.conn().execute_batch(&format!("{}; {error}", row(run, status, reason, at)))?));
            let (_, failures, failing) = store.read(|reader| marks::recent(reader, "s")).unwrap();
            (failures, failing.since.map(Timestamp::unix_ms), failing.trouble.map(|trouble| trouble.what))
        };
        assert_eq!(add("r-1", "failed", "", 10, "old"), (1, Some(11), Some("old".into())));
        assert_eq!(add("r-2", "done", "", 20, ""), (0, None, None));
        assert_eq!(add("r-3", "failed", "", 30, "401"), (1, Some(31), Some("401".into())));
        assert_eq!(add("r-4", "failed", "", 40, "again"), (2, Some(31), Some("again".into())));
        // One that was cut off ran into nothing, and is no success either.
        assert_eq!(add("r-5", "stopped", "crash", 50, ""), (2, Some(31), None));
        assert_eq!(add("r-6", "done_with_errors", "", 60, ""), (0, None, None));
    }

    #[test]
    fn a_mode_is_that_of_the_last_run_that_was_cut_off() {
        #[track_caller]
        fn check(
            status: &'static str,
            reason: &'static str,
            then: fn(&Tx<'_>) -> Result<(), StoreError>,
            resume: &'static str,
            expect: Mode,
        ) {
            let store = memory();
            write(&store, move |tx| Ok(tx.conn().execute_batch(&row("r-1", status, reason, 10))?));
            write(&store, move |tx| begun(tx, "s", &order("r-1", Timestamp::from_unix_ms(10), Mode::Slow)));
            write(&store, move |tx| then(tx));
            let resume =
                format!("INSERT INTO m_sync (name, pass, up_scanned, resume) VALUES ('s', 0, 0, nullif('{resume}', ''))");
            write(&store, move |tx| Ok(tx.conn().execute_batch(&resume)?));
            assert_eq!(store.read(|reader| wished(reader, "s")).unwrap(), expect, "{status} {reason}");
        }
        let nothing: fn(&Tx<'_>) -> Result<(), StoreError> = |_| Ok(());
        check("stopped", "crash", nothing, "", Mode::Slow);
        check("stopped", "shutdown", nothing, r#"{"from":null,"rows":0}"#, Mode::Slow);
        check("stopped", "crash", nothing, r#"{"from":null,"rows":3}"#, Mode::Fast);
        check("stopped", "crash", |tx| listed(tx, "r-1"), "", Mode::Fast);
        check("stopped", "user", nothing, "", Mode::Fast);
        check("done", "", nothing, "", Mode::Fast);
        check("failed", "", nothing, "", Mode::Fast);
        // A person ended it, or the run that was to go on, meanwhile.
        check("stopped", "constraint:network", |tx| marks::never_began(tx, "r-2", "s", None), "", Mode::Fast);
        check("stopped", "constraint:network", |tx| marks::never_began(tx, "r-2", "another", None), "", Mode::Slow);
        let paused: fn(&Tx<'_>) -> Result<(), StoreError> = |tx| {
            marks::set_paused(tx, "s", Some((tx.now(), None, false)))?;
            Ok(tx.conn().execute_batch("DELETE FROM m_sync")?)
        };
        check("stopped", "constraint:network", paused, "", Mode::Fast);
        let stopped: fn(&Tx<'_>) -> Result<(), StoreError> =
            |tx| marks::set_stopped(tx, Some(&marks::StopMark { since: tx.now(), by: None, ended: Vec::new() }));
        check("stopped", "constraint:network", stopped, "", Mode::Fast);
    }

    fn write(store: &crate::store::Store, work: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static) {
        store.write_blocking(Class::Interactive, Timestamp::from_unix_ms(5), work).unwrap();
    }
}
