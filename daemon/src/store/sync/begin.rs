//! Owns: the beginning of a run in the store: its history row, the negotiation of mode and position, recovery after a crash.
//! Must never know: the remote's answers.

use std::sync::Arc;

use mingle_core::{
    limits, planted,
    replica::{Abilities, From as ListFrom},
    run::{
        Compared, Mode, Order, Resume, Terms, checkpoint,
        reset::{Held, How, Reset, Why},
    },
};
use rusqlite::{OptionalExtension, params};

use super::{
    Ground, SyncSpec, again, apply, elsewhere, link, plan, position, rebuild,
    reset::{self, Under},
};
use crate::store::{
    answers,
    error::StoreError,
    moments,
    tx::{Origin, Tx},
};

/// Writes a run down as running.
pub fn begin(tx: &mut Tx<'_>, sync: &str, order: &Order) -> Result<(), StoreError> {
    let waited = order.waited.as_ref().map(|(waited, _)| i64::try_from(waited.as_millis()).unwrap_or(i64::MAX));
    let waited_for = order.waited.as_ref().map(|(_, by)| by.as_str());
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_run (id, sync, status, mode, trigger, started, attempt, waited, waited_for, bytes_up, requests,
               not_modified)
             VALUES (?1, ?2, 'running', ?3, ?4, ?5, nullif(?6, 0), ?7, ?8, 0, 0, 0)",
        )?
        .execute(params![
            order.run,
            sync,
            order.mode.name(),
            order.trigger,
            tx.now().unix_ms(),
            order.attempt,
            waited,
            waited_for
        ])?;
    moments::begun(tx, sync, order)?;
    order.reset.map_or(Ok(()), |how| reset::asked(tx, sync, how))
}

/// That the store was copied before a reset: the copy's file, where the store is in one.
#[derive(Clone, Debug, Default)]
pub struct Kept(pub Option<String>);

/// Everything that names a history of a remote, as text: what the settings say, its own instance, and what is listed of it.
#[must_use]
pub fn epoch(spec: &SyncSpec, instance: &str) -> String {
    let parts = [&*spec.history, instance, &*spec.listing];
    parts[..if spec.listing.is_empty() { 2 } else { 3 }].join("\u{1f}")
}

/// Whether it is that of a sync as its settings are, whatever the remote says of itself.
#[must_use]
pub fn is_of(epoch: &str, spec: &SyncSpec) -> bool {
    let names = self::epoch(spec, "");
    let listing = if spec.listing.is_empty() { String::new() } else { format!("\u{1f}{}", spec.listing) };
    let rest = epoch.strip_prefix(&*spec.history).and_then(|rest| rest.strip_suffix(&*listing));
    // References are a part of the history: without one of them, it is not the beginning of the same.
    rest.is_some_and(|rest| rest.starts_with('\u{1f}')) && parts(epoch) == parts(&names)
}

fn parts(epoch: &str) -> usize {
    epoch.matches('\u{1f}').count()
}

/// Whether two of them are the same. One that was written before listings were told apart says nothing of its own.
fn same_epoch(known: &str, now: &str) -> bool {
    match now.strip_prefix(known) {
        Some(rest) => rest.is_empty() || (parts(known) == 1 && rest.starts_with('\u{1f}')),
        None => false,
    }
}

/// Holds the remote's history against the checkpoint: from where, and how. `epoch`: everything that names the history, as text;
/// `accept`: another history was compared (or a person insists), so it is taken, and the store as it was is in this file.
///
/// Another epoch means a complete comparison before anything is sent: links have base `unknown`, so differences go to the policy
/// and are recorded (holes.md H20), unless the sync or a person says otherwise. What was said holds until the listing is whole.
pub fn negotiate(
    tx: &mut Tx<'_>,
    spec: &Arc<SyncSpec>,
    abilities: &Arc<Abilities>,
    epoch: &str,
    order: &Order,
    accept: Option<&Kept>,
) -> Result<(Ground, Terms), StoreError> {
    let collection = tx.collection(&spec.collection)?;
    let replica = replica(tx, &spec.remote, &spec.identity)?;
    let mut ground = Ground {
        spec: Arc::clone(spec),
        abilities: Arc::clone(abilities),
        collection,
        replica,
        origin: Origin::Sync(spec.name.clone()),
        began: Some(tx.now()),
        anew: false,
        reset: None,
        run: order.run.clone(),
    };
    let mut at = position::load(tx.conn(), &spec.name)?.unwrap_or_default();
    let account = reset::another_account(tx, &ground, &at)?;
    let (asked, under) = match reset::cut_off(&mut at) {
        Some(wish) if wish.waits => (Some(wish.reset.how), wish.beneath.map(|under| *under)),
        under => (order.reset, under),
    };
    let under = under.map(|under| under.at(replica));
    if let (Some((_, records)), true) = (account, accept.is_none()) {
        // Nothing is mixed, and nothing of one is sent to the other, before somebody has said so.
        let (held, copy_first) = (asked.is_none().then_some(Held::Account(records)), asked.is_some());
        return Ok((ground, Terms { held, copy_first, ..Terms::default() }));
    }
    // Where it is not to be gone on with what was, it is not to be gone on with what was answered then.
    let mut anew = order.mode != Mode::Fast || asked.is_some() || at.resume.as_ref().is_some_and(|resume| resume.anew);
    if at.replica != Some(replica) {
        anew = true;
        tx.conn()
            .prepare_cached(
                "INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES (?1, ?2, 0, 0)
                 ON CONFLICT (name) DO UPDATE SET replica = ?2, epoch = NULL, watermark = NULL, resume = NULL, complete = NULL, up_scanned = 0",
            )?
            .execute(params![spec.name, replica])?;
        // What was to be made there is to be made here, unless it goes with all that another account had.
        if let Some(former) = at.replica.filter(|_| account.is_none() || asked != Some(How::Discard)) {
            elsewhere::take_places_along(tx, &ground, former)?;
        }
        at = position::Position { replica: Some(replica), ..position::Position::default() };
    }
    elsewhere::makes_now(tx, &ground)?;
    if !spec.filter.text.eq(at.filter.as_deref().unwrap_or_default()) {
        // What was listed under another filter says nothing of what fits this one; what was agreed stands as it is.
        at.resume = None;
        at.complete = None;
        anew = true;
        tx.conn()
            .prepare_cached("UPDATE m_sync SET filter = nullif(?2, ''), resume = NULL, complete = NULL WHERE name = ?1")?
            .execute(params![spec.name, spec.filter.text])?;
    }
    let mut terms = Terms {
        cursor: abilities.cursor,
        tombstones: abilities.tombstones,
        tells: abilities.tells,
        began: Some(tx.now()),
        page_rows: abilities.page_rows,
        catches_up: spec.direction.sends() && !spec.policy.identity.is_empty(),
        ..Terms::default()
    };
    let moved = at.epoch.as_deref().is_some_and(|known| !same_epoch(known, epoch)) && !planted::is("epoch ignored");
    // What a service wrongly calls unchanged hides what changed: it is believed for as long as it is for what it does not tell of.
    let whole_is_due = again::whole_is_due(tx, &spec.name, abilities)?;
    anew |= whole_is_due || answers::are_old(tx, &spec.name)?;
    terms.asks_anew = (anew || moved) && !planted::is("answers outlive their history");
    if terms.asks_anew {
        answers::forget(tx, &spec.name)?;
    }
    let how = asked.or(under.as_ref().and_then(|under| under.how(moved))).unwrap_or(spec.reset);
    let slow = moved
        || asked.is_some()
        || order.mode != Mode::Fast
        || !at.complete.as_deref().is_some_and(|known| same_epoch(known, epoch))
        || whole_is_due;
    // A run that only hears what changed costs the same however many links there are.
    let counts = slow || at.resume.as_ref().is_some_and(|resume| resume.from == ListFrom::Start);
    let links = if counts { link::count(tx.conn(), replica)? } else { 0 };
    terms.deletes_max = counts.then(|| limits::deletes_max(links));
    let resets = asked.is_some() || (moved && links > 0);
    if resets && accept.is_none() {
        if how == How::Manual {
            terms.held = Some(Held::Manual);
            return Ok((ground, terms));
        }
        terms.copy_first = order.force || asked.is_some();
        terms.compare_first = !terms.copy_first;
        terms.links_there = tx
            .conn()
            .prepare_cached("SELECT count(*) FROM m_link WHERE replica = ?1 AND remote_id IS NOT NULL AND base IN (0, 1)")?
            .query_row([replica], |row| row.get::<_, i64>(0))
            .map(link::unsigned)?;
        if terms.compare_first && abilities.confirms && !planted::is("compared is confirmed") {
            // What would be only compared was told for nothing: all that is here counts as different.
            let differ = terms.links_there;
            terms.compare_first = false;
            terms.copy_first = differ <= limits::DELETES_MIN;
            terms.held = (!terms.copy_first).then_some(Held::Differs(Compared { differ, known: 0 }));
        }
        return Ok((ground, terms));
    }
    if order.mode == Mode::Rebuild {
        rebuild::begin(tx, &ground)?;
        at.watermark = None;
        at.resume = None;
        at.complete = None;
    }
    // One that was cut off goes on, whatever the run that follows it was asked for.
    ground.anew = order.mode == Mode::Rebuild || at.resume.as_ref().is_some_and(|resume| resume.anew);
    let under = match (accept.filter(|_| resets), under) {
        (Some(kept), before) => {
            let why = match (account, asked) {
                (Some(_), _) => Why::Account,
                (None, Some(_)) => Why::Asked,
                (None, None) => Why::Epoch,
            };
            let leaving = before.as_ref().and_then(|before| before.former);
            let reset = Reset { how, why, copy: kept.0.clone() };
            let under = Under::after(before, reset, account.map(|(former, _)| former), spec.direction.sends(), tx.seq());
            if let (Some(kept), None) = (leaving, under.former) {
                elsewhere::take_places_along(tx, &ground, kept)?;
            }
            Some(under)
        }
        (None, under) => under,
    };
    let begins = resets && accept.is_some();
    ground.reset = under.as_ref().map(|under| under.reset.how);
    terms.reset = under.as_ref().map(|under| (under.reset.clone(), begins));
    terms.discard = under.as_ref().and_then(|under| under.discard);
    let forget = moved || begins || order.mode == Mode::Refresh;
    if forget {
        at.watermark = None;
        at.resume = None;
        at.complete = None;
        reset::former(tx, replica, begins && how == How::Discard)?;
        if !begins && !moved {
            // Of a refresh nothing of what was agreed is left.
            tx.conn()
                .prepare_cached("UPDATE m_link SET agreed = NULL WHERE replica = ?1 AND base = 3 AND agreed IS NOT NULL")?
                .execute([replica])?;
        }
        // Of what is gone there, revisions that were left say nothing any more: a backup brings them back.
        tx.conn()
            .prepare_cached(
                "UPDATE m_link SET revision = NULL, left_revs = NULL, modified = NULL WHERE replica = ?1 AND remote_id IS NULL",
            )?
            .execute([replica])?;
        if moved {
            plan::forget_keys(tx, &ground)?;
        }
        if planted::is("refresh drops remote ids") {
            tx.conn().prepare_cached("DELETE FROM m_link WHERE replica = ?1")?.execute([replica])?;
        }
    }
    terms.from = if slow { ListFrom::Start } else { checkpoint::start(at.watermark.as_ref(), abilities.cursor) };
    // A stopped run goes on where it was, unless something else is asked for now; one that is nowhere yet begins anew, for what it saw of its
    // first page may be gone when that is listed again.
    let somewhere = |resume: &Resume| resume.page.is_some() || resume.rows > 0;
    let goes_on = |resume: &Resume| somewhere(resume) && (resume.from == terms.from || (!slow && resume.from == ListFrom::Start));
    terms.resume = at.resume.clone().filter(|resume| order.mode == Mode::Fast && goes_on(resume));
    if terms.resume.is_some() {
        ground.began = None;
    }
    terms.mode = match (order.mode, &terms.from) {
        (Mode::Refresh, _) => Mode::Refresh,
        (_, ListFrom::Start) => Mode::Slow,
        _ => Mode::Fast,
    };
    let last: i64 = tx
        .conn()
        .prepare_cached("SELECT coalesce(max(pass), 0) FROM m_sync WHERE replica = ?1")?
        .query_row([replica], |row| row.get(0))?;
    terms.pass = terms.resume.as_ref().filter(|resume| resume.pass > 0).map_or(link::unsigned(last) + 1, |resume| resume.pass);
    if ground.anew && terms.resume.is_none() {
        let (from, pass, began) = (terms.from.clone(), terms.pass, terms.began);
        terms.resume = Some(Resume { from, pass, began, anew: true, ..Resume::default() });
    }
    let watermark = at.watermark.as_ref().map(position::watermark_text).transpose()?;
    tx.conn()
        .prepare_cached("UPDATE m_sync SET epoch = ?2, pass = ?3, watermark = ?4, complete = ?5 WHERE name = ?1")?
        .execute(params![spec.name, epoch, link::signed(terms.pass), watermark, at.complete])?;
    position::save_resume(tx, &ground, terms.resume.as_ref())?;
    reset::save(tx, &spec.name, under.as_ref())?;
    if let Some(under) = &under {
        reset::note_run(tx, &order.run, &under.reset)?;
    }
    tx.conn().prepare_cached("UPDATE m_run SET mode = ?2 WHERE id = ?1")?.execute(params![order.run, terms.mode.name()])?;
    // Who tells cannot be asked again: to try its delete again is to take it.
    if order.accept_deletes || abilities.tells {
        apply::accept_deletes(tx, &ground, order.accept_deletes)?;
    }
    terms.ask = if abilities.tells { Vec::new() } else { again::asked(tx, &ground)? };
    terms.repeats = if spec.direction.sends() { plan::repeats(tx, &ground)? } else { Vec::new() };
    Ok((ground, terms))
}

/// The number of a replica, which it gets when it is first spoken of.
pub(super) fn replica(tx: &Tx<'_>, remote: &str, identity: &str) -> Result<i64, StoreError> {
    let known: Option<i64> = tx
        .conn()
        .prepare_cached("SELECT replica FROM m_replica WHERE identity = ?1")?
        .query_row([identity], |row| row.get(0))
        .optional()?;
    if let Some(replica) = known {
        return Ok(replica);
    }
    tx.conn()
        .prepare_cached(
            // Numbers below 0 are those of apps.
            "INSERT INTO m_replica (replica, remote, identity)
             VALUES ((SELECT max(coalesce(max(replica), 0), 0) + 1 FROM m_replica), ?1, ?2)",
        )?
        .execute(params![remote, identity])?;
    Ok(tx.conn().last_insert_rowid())
}

/// At boot: runs found running become `stopped` (`crash`). Returns their syncs, each due at once.
pub fn recover(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let now = tx.now().unix_ms();
    let mut statement = tx.conn().prepare(
        "UPDATE m_run SET status = 'stopped', result = 'failed', stop_reason = 'crash', ended = ?1 WHERE ended IS NULL RETURNING sync",
    )?;
    let mut syncs: Vec<String> = statement.query_map([now], |row| row.get(0))?.collect::<Result<_, _>>()?;
    syncs.sort();
    syncs.dedup();
    Ok(syncs)
}

#[cfg(test)]
mod tests {
    use mingle_core::filter::Filter;

    use super::{
        super::rebuild::tests::{abilities, spec},
        *,
    };
    use crate::store::{Class, testing::*};

    /// What a run goes on with of what was answered before it; `how`: another sync, history and order than the last.
    #[test]
    fn answers_are_forgotten_with_what_they_are_of() {
        #[track_caller]
        fn check(how: impl Fn(&mut SyncSpec, &mut String, &mut Order), goes_on: bool) {
            let store = memory();
            let negotiated = |how: &dyn Fn(&mut SyncSpec, &mut String, &mut Order)| {
                let (mut spec, mut epoch, mut order) =
                    ((*spec()).clone(), "e".to_owned(), Order { run: "r-1".into(), ..Order::default() });
                how(&mut spec, &mut epoch, &mut order);
                let (spec, abilities) = (Arc::new(spec), abilities());
                let job = move |tx: &mut Tx<'_>| Ok(negotiate(tx, &spec, &abilities, &epoch, &order, None)?.1);
                store.write_blocking(Class::Background, NOW, job).unwrap()
            };
            let _ = negotiated(&|_, _, _| {});
            sql(
                &store,
                format!(
                    "UPDATE m_sync SET complete = epoch, watermark = '{{\"token\":\"7\"}}';
                     INSERT INTO m_answer (sync, name, validator, head, body, at)
                       VALUES ('s', zeroblob(32), 'v', '', x'', {0}), ('other', zeroblob(32), 'v', '', x'', {0});
                     INSERT INTO m_run (id, sync, status, mode, trigger, started) VALUES ('r-0', 's', 'done', 'slow', 'every', {0})",
                    NOW.unix_ms()
                )
                .leak(),
            )
            .unwrap();
            let terms = negotiated(&how);
            let left = number(&store, "SELECT count(*) FROM m_answer");
            assert_eq!((terms.asks_anew, left), (!goes_on, if goes_on { 2 } else { 1 }), "{terms:?}");
        }
        check(|_, _, _| {}, true);
        check(|spec, _, _| spec.policy.properties.clear(), true);
        check(|_, epoch, _| *epoch = "another".into(), false);
        check(|spec, _, _| spec.identity = "elsewhere".into(), false);
        check(|spec, _, _| spec.filter = Filter { text: "[[\"n\",\"is\",1]]".into(), ..Filter::default() }, false);
        check(|_, _, order| order.mode = Mode::Slow, false);
        check(|_, _, order| order.mode = Mode::Refresh, false);
        check(|_, _, order| order.mode = Mode::Rebuild, false);
        check(|_, _, order| order.reset = Some(How::Recover), false);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("answers outlive their history"));
        let found = std::panic::catch_unwind(answers_are_forgotten_with_what_they_are_of).is_err();
        planted::set_here(None);
        assert!(found);
    }

    #[test]
    fn epochs_from_before_listings_were_told_apart_are_the_same() {
        #[track_caller]
        fn check(known: &str, now: &str, same: bool) {
            assert_eq!(same_epoch(&known.replace('|', "\u{1f}"), &now.replace('|', "\u{1f}")), same);
        }
        check("h|i", "h|i", true);
        check("h|i", "h|i|l", true);
        check("h|i|l", "h|i|l", true);
        check("h|i|l", "h|i|m", false);
        check("h|i|l", "h|i", false);
        check("h|i", "h|in", false);
        check("h|i", "h|in|l", false);
        check("h|", "h|i", false);
        check("h|", "h||l", true);
        check("h", "h|i", false);
    }
}
