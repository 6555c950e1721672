//! Owns: what a run looks at again though nobody says that it changed: all of a remote, and rows that could not be applied. Must never know:
//! how it is asked for.

use mingle_core::{limits, planted, replica::Abilities, time::Timestamp};
use rusqlite::{OptionalExtension, params};

use super::Ground;
use crate::store::{error::StoreError, tx::Tx};

/// Whether a remote has to be listed whole again, to see what it did not tell.
pub(super) fn whole_is_due(tx: &Tx<'_>, sync: &str, abilities: &Abilities) -> Result<bool, StoreError> {
    let Some(after) = abilities.whole_again_after() else { return Ok(false) };
    let last: Option<i64> = tx
        .conn()
        .prepare_cached(
            "SELECT started FROM m_run WHERE sync = ?1 AND mode <> 'fast' AND status IN ('done', 'done_with_errors')
             ORDER BY run DESC LIMIT 1",
        )?
        .query_row([sync], |row| row.get(0))
        .optional()?;
    let now = tx.now();
    // One that lies ahead of us shows that the clock was set back: how long ago it was cannot be told.
    Ok(last.map(Timestamp::from_unix_ms).is_none_or(|last| last > now || now.since(last) >= after))
}

/// A rejection of a row that cannot be read, and holds what it held until a listing shows it: its revision is unique per change, and nobody
/// wants it. One that stands there twice (it is of a record, and has no link) waits for another row, and its own revision says nothing.
const UNREADABLE: &str = "side = 'down' AND verdict IS NULL AND revision IS NOT NULL AND (link IS NOT NULL OR record IS NULL)";

/// Rows that could not be applied are fetched by id in later runs, as are guarded deletes that someone wants asked for anew; what cannot be read
/// and is what it was, now and then only.
pub(super) fn asked(tx: &Tx<'_>, ground: &Ground) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.conn().prepare_cached(&format!(
        "SELECT remote_id FROM m_rejection WHERE sync = ?1 AND replica = ?2 AND remote_id IS NOT NULL
           AND ((side = 'delete' AND verdict = 'retry')
             OR (side = 'down' AND verdict IS NOT 'drop' AND NOT (?3 AND {UNREADABLE} AND at > ?4 AND at <= ?5)))
         ORDER BY rejection LIMIT 1000"
    ))?;
    let now = tx.now();
    let told_by_revision = ground.abilities.strong_revision && !planted::is("what cannot be read is asked for at every run");
    let since = now.minus(limits::UNREADABLE_ASKED_AFTER);
    let sync = params![ground.spec.name, ground.replica, told_by_revision, since.unix_ms(), now.unix_ms()];
    let ids = statement.query_map(sync, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}

/// Of those that are not asked for at every run: what the whole listing that began with this run did not show again.
pub(super) fn not_shown(tx: &Tx<'_>, ground: &Ground) -> Result<Vec<String>, StoreError> {
    let Some(began) = ground.began.filter(|_| ground.abilities.strong_revision) else { return Ok(Vec::new()) };
    let mut statement = tx.conn().prepare_cached(&format!(
        "SELECT remote_id FROM m_rejection WHERE sync = ?1 AND replica = ?2 AND remote_id IS NOT NULL AND {UNREADABLE} AND at < ?3
         ORDER BY rejection LIMIT 1000"
    ))?;
    let sync = params![ground.spec.name, ground.replica, began.unix_ms()];
    let ids = statement.query_map(sync, |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use mingle_core::{
        limits::{COMPARED_AFTER, UNREADABLE_ASKED_AFTER, WHOLE_LISTING_AFTER},
        replica::Cursor,
    };

    use super::{super::rebuild::tests::spec, *};
    use crate::store::{Class, sync::begin::negotiate, testing::*};

    #[test]
    fn a_remote_is_listed_whole_now_and_then() {
        let stamp = Cursor::Stamp { overlap: Duration::from_secs(5) };
        #[track_caller]
        fn check(cursor: Cursor, tombstones: bool, runs: &[(&'static str, &'static str, Timestamp)], due: bool) {
            let store = memory();
            for (mode, status, started) in runs {
                let row = format!(
                    "INSERT INTO m_run (id, sync, status, mode, trigger, started) VALUES ('r-{}', 's', '{status}', '{mode}', 'every', {})",
                    started.unix_ms(),
                    started.unix_ms()
                );
                sql(&store, row.leak()).unwrap();
            }
            let abilities = Abilities { cursor, tombstones, ..Abilities::least() };
            let said = store.write_blocking(Class::Background, NOW, move |tx| whole_is_due(tx, "s", &abilities)).unwrap();
            assert_eq!(said, due, "{cursor:?} {runs:?}");
        }
        let long_ago = NOW.minus(WHOLE_LISTING_AFTER);
        let lately = long_ago.plus(Duration::from_secs(1));
        check(stamp, false, &[], true);
        check(stamp, false, &[("slow", "done", lately)], false);
        check(stamp, false, &[("slow", "done", long_ago)], true);
        check(stamp, false, &[("slow", "done", long_ago), ("fast", "done", lately)], true);
        check(stamp, false, &[("slow", "done", long_ago), ("slow", "failed", lately)], true);
        check(stamp, false, &[("slow", "done", long_ago), ("refresh", "done_with_errors", lately)], false);
        check(stamp, false, &[("slow", "done", NOW.plus(Duration::from_secs(1)))], true);
        check(stamp, true, &[("slow", "done", long_ago)], false);
        let before_that = NOW.minus(COMPARED_AFTER);
        check(stamp, true, &[("slow", "done", before_that.plus(Duration::from_secs(1))), ("fast", "done", lately)], false);
        check(stamp, true, &[("slow", "done", before_that), ("fast", "done", lately)], true);
        check(Cursor::Token, false, &[("slow", "done", long_ago)], true);
        check(Cursor::None, false, &[("slow", "done", long_ago)], false);
    }

    #[test]
    fn what_cannot_be_read_is_asked_for_by_itself_where_it_may_be_another() {
        /// A rejection, beside its side: verdict, revision and the record that it is of, as SQL; and when it was met.
        #[track_caller]
        fn check(strong: bool, side: &str, [verdict, revision, record]: [&str; 3], at: Timestamp, asked: bool) {
            let store = memory();
            let abilities =
                Arc::new(Abilities { cursor: Cursor::Token, tombstones: true, strong_revision: strong, ..Abilities::least() });
            let row = format!(
                "INSERT INTO m_rejection (id, sync, replica, side, record, remote_id, revision, action, what, at, tries, verdict)
                 VALUES ('j-1', 's', 1, '{side}', {record}, 'r1', {revision}, 'apply', 'odd', {}, 1, {verdict})",
                at.unix_ms()
            );
            let order = mingle_core::run::Order { run: "r-1".into(), ..Default::default() };
            let terms = store.write_blocking(Class::Background, NOW, move |tx| {
                let _ = negotiate(tx, &spec(), &abilities, "e", &order, None)?;
                tx.conn().execute_batch(&row)?;
                Ok(negotiate(tx, &spec(), &abilities, "e", &order, None)?.1)
            });
            assert_eq!(!terms.unwrap().ask.is_empty(), asked, "{strong} {side} {verdict} {revision} {record}");
        }
        let long_ago = NOW.minus(UNREADABLE_ASKED_AFTER);
        let lately = long_ago.plus(Duration::from_secs(1));
        let row = ["NULL", "'7'", "NULL"];
        check(true, "down", row, lately, false);
        check(true, "down", row, NOW, false);
        check(true, "down", row, long_ago, true);
        check(true, "down", row, NOW.plus(Duration::from_secs(1)), true);
        check(true, "down", ["'retry'", "'7'", "NULL"], lately, true);
        check(true, "down", ["'drop'", "'7'", "NULL"], long_ago, false);
        // It shows no revision, or one that says little; or what keeps it is another row.
        check(true, "down", ["NULL", "NULL", "NULL"], lately, true);
        check(false, "down", row, lately, true);
        check(true, "down", ["NULL", "'7'", "1"], lately, true);
        check(true, "delete", row, long_ago, false);
        check(true, "delete", ["'retry'", "'7'", "NULL"], lately, true);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("what cannot be read is asked for at every run"));
        let found = std::panic::catch_unwind(what_cannot_be_read_is_asked_for_by_itself_where_it_may_be_another).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
