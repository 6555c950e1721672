//! Owns: what a rebuild makes of each kind of record, and that one which is cut off goes on. Must never know: remotes, the order of a run.

use std::sync::Arc;

use mingle_core::{
    policy::{Merge, Policy},
    replica::{Abilities, Cursor, Packed, Row, RowState},
    run::{Creates, DeletesLeft, Direction, Mode, Order, Resume, Terms},
};

use super::super::{Batch, Ground, Others, SyncSpec, apply, begin, complete, finish, ghosts, negotiate};
use crate::{
    json,
    store::{Class, CollectionDefinition, Ids, Store, define, fsck, testing::*},
};

const EPOCH: &str = "one";

pub(in crate::store::sync) fn spec() -> Arc<SyncSpec> {
    Arc::new(SyncSpec {
        name: "s".into(),
        collection: "a".into(),
        remote: "far".into(),
        identity: "far".into(),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy: policy(),
        remove_after_upload: false,
        creates: Creates::Unlinked,
        others: Others::default(),
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin: std::collections::BTreeMap::new(),
    })
}

pub(in crate::store::sync) fn policy() -> Policy {
    Policy { default: Merge::Remote, properties: [("m".to_owned(), Merge::Manual)].into(), ..Policy::default() }
}

pub(in crate::store::sync) fn abilities() -> Arc<Abilities> {
    Arc::new(Abilities {
        cursor: Cursor::Token,
        tombstones: true,
        strong_revision: true,
        conditional: true,
        page_rows: 10,
        ..Abilities::least()
    })
}

/// A store that has seen these rows, each of them in revision 1.
pub(in crate::store::sync) fn seen(ids: &[&str]) -> Store {
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    let definition = CollectionDefinition { name: "a".into(), policy: policy(), ..CollectionDefinition::default() };
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[definition])).unwrap();
    let rows: Vec<Row> = ids.iter().map(|id| row(id, "1", r#"{"a":"1","m":"1"}"#)).collect();
    let run = begins(&store, Mode::Fast);
    lists(&store, &run, &rows, None);
    ends(&store, &run);
    store
}

pub(in crate::store::sync) fn row(id: &str, revision: &str, data: &str) -> Row {
    let state = RowState::Live(json::parse_object(data).unwrap());
    Row { remote_id: id.into(), revision: Some(revision.into()), modified: None, created: None, state }
}

pub(in crate::store::sync) fn begins(store: &Store, mode: Mode) -> (Ground, Terms) {
    let run = format!("r-{}", number(store, "SELECT count(*) FROM m_run"));
    let order = Order { run, mode, ..Order::default() };
    store
        .write_blocking(Class::Background, NOW, move |tx| {
            begin(tx, "s", &order)?;
            negotiate(tx, &spec(), &abilities(), EPOCH, &order, None)
        })
        .unwrap()
}

/// Applies rows of its listing, and says where it goes on. Asks for none by id.
#[track_caller]
pub(in crate::store::sync) fn lists(store: &Store, run: &(Ground, Terms), rows: &[Row], goes_on: Option<Resume>) {
    let (ground, pass) = (run.0.clone(), run.1.pass);
    let rows: Vec<Packed> = rows.iter().map(Packed::of).collect();
    let applied = store.write_blocking(Class::Background, NOW, move |tx| {
        let deletes_left = DeletesLeft::Counted(10);
        let batch = Batch { asked: false, pass: Some(pass), at: None, swaps: false, resume: goes_on.as_ref(), deletes_left };
        apply(tx, &ground, rows, &batch, || false)
    });
    assert_eq!(applied.unwrap().ask, Vec::<String>::new(), "nothing is to be asked for");
}

/// The listing is whole; which links it did not show.
pub(in crate::store::sync) fn ends(store: &Store, run: &(Ground, Terms)) -> Vec<String> {
    let (ground, pass) = (run.0.clone(), run.1.pass);
    let ended = store.write_blocking(Class::Background, NOW, move |tx| {
        let (missing, _) = ghosts(tx, &ground, pass, 10)?;
        complete(tx, &ground, None, Some(NOW))?;
        let run: String =
            tx.conn().query_row("SELECT id FROM m_run ORDER BY run DESC LIMIT 1", (), |row| row.get(0)).expect("a run");
        finish(tx, &run, &ground.spec.name, &mingle_core::run::Outcome::default())?;
        Ok(missing)
    });
    ended.unwrap()
}

pub(in crate::store::sync) fn truth(store: &Store) -> Vec<(String, String)> {
    let read = store.read(|reader| {
        let mut statement = reader.prepare("SELECT id, data FROM m_record WHERE state = 0 ORDER BY id")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    read.unwrap()
}

pub(in crate::store::sync) fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, data)| ((*id).to_owned(), (*data).to_owned())).collect()
}

/// Whether fsck finds nothing.
#[track_caller]
pub(in crate::store::sync) fn sound(store: &Store) {
    assert_eq!(store.read(|reader| fsck::check(reader)).unwrap().findings, vec![]);
}

#[test]
fn what_is_wrong_here_is_mended_and_what_is_not_sent_stays() {
    let store = seen(&["clash", "edited", "ended", "gone", "lost", "open", "torn", "well", "wrong"]);
    // Wrong, and nobody but the service knows it.
    sql(&store, r#"UPDATE m_record SET data = '{"a":"?"}' WHERE id = 'wrong'"#).unwrap();
    sql(&store, "UPDATE m_link SET base = 1, agreed = '{', left_revs = '[', pairs = '{\"a\":7}' WHERE remote_id = 'torn'")
        .unwrap();
    sql(
        &store,
        "DELETE FROM m_link WHERE remote_id = 'lost';
         INSERT INTO m_replica (replica, remote, identity) VALUES (-1, 'app:k', 'forgotten:-1');
         INSERT INTO m_link (replica, record, remote_id, base, confirmed, born, seen, missing)
           SELECT -1, record, id, 0, 0, 0, 0, 0 FROM m_record WHERE id = 'lost'",
    )
    .unwrap();
    sql(&store, "UPDATE m_link SET confirmed = 4000, born = 2, seen = 1 WHERE remote_id = 'well'").unwrap();
    // Not sent.
    write(&store, vec![patch("edited", r#"{"a":"mine"}"#), patch("clash", r#"{"a":"mine"}"#), patch("open", r#"{"m":"mine"}"#)])
        .unwrap();
    write(&store, vec![delete("ended"), put("new", r#"{"a":"mine"}"#)]).unwrap();
    let before = number(&store, "SELECT max(seq) FROM m_record");
    let quiet = number(&store, "SELECT seq FROM m_record WHERE id = 'well'");

    let run = begins(&store, Mode::Rebuild);
    assert_eq!((run.1.mode, run.1.resume.as_ref().map(|at| at.anew)), (Mode::Slow, Some(true)));
    assert_eq!(truth(&store).len(), 9, "nothing is taken away before it is known to be there anew");
    let same = r#"{"a":"1","m":"1"}"#;
    let mut rows: Vec<Row> = ["edited", "ended", "lost", "torn", "well", "wrong"].map(|id| row(id, "1", same)).into();
    rows.push(row("clash", "2", r#"{"a":"theirs","m":"1"}"#));
    rows.push(row("open", "2", r#"{"a":"1","m":"theirs"}"#));
    lists(&store, &run, &rows, None);
    assert_eq!(ends(&store, &run), ["gone"], "what is not shown is asked for by id");
    assert_eq!(
        truth(&store),
        pairs(&[
            ("clash", r#"{"a":"theirs","m":"1"}"#),
            ("edited", r#"{"a":"mine","m":"1"}"#),
            ("gone", same),
            ("lost", same),
            ("new", r#"{"a":"mine"}"#),
            ("open", r#"{"a":"1","m":"mine"}"#),
            ("torn", same),
            ("well", same),
            ("wrong", same),
        ])
    );
    let verdicts = "SELECT count(*) FROM m_conflict WHERE verdict = ";
    assert_eq!((number(&store, &format!("{verdicts}'remote'")), number(&store, &format!("{verdicts}'open'"))), (1, 1));
    let behind = "SELECT count(*) FROM m_link WHERE base = 1 AND remote_id IN ('edited', 'ended')";
    assert_eq!(number(&store, behind), 2, "both are yet to be sent");
    assert_eq!(number(&store, "SELECT seq FROM m_record WHERE id = 'well'"), quiet, "who reads hears of what changed");
    assert_eq!(number(&store, &format!("SELECT count(*) FROM m_record WHERE seq > {before}")), 2, "clash and wrong");
    assert_eq!(number(&store, "SELECT count(*) FROM m_sync WHERE resume IS NULL AND complete IS NOT NULL"), 1);
    sound(&store);

    // It is over: the next run trusts what it knows.
    sql(&store, r#"UPDATE m_record SET data = '{"a":"?"}' WHERE id = 'well'"#).unwrap();
    let run = begins(&store, Mode::Slow);
    lists(&store, &run, &[row("well", "1", same)], None);
    assert_eq!(data(&store, "well"), r#"{"a":"?"}"#);
}

/// Of what was sent and does not read, nothing is known: one is looked at, of the other a person is asked.
#[test]
fn what_was_sent_and_does_not_read_holds_nobody_up() {
    let store = seen(&["known"]);
    write(&store, vec![put("new", r#"{"a":"mine"}"#)]).unwrap();
    sql(&store, "UPDATE m_link SET sent = '[{' WHERE remote_id = 'known'").unwrap();
    sql(
        &store,
        "INSERT INTO m_link (replica, record, base, sent, confirmed, born, seen, missing)
         SELECT 1, record, 2, '[]', 0, 0, 0, 0 FROM m_record WHERE id = 'new'",
    )
    .unwrap();
    let run = begins(&store, Mode::Rebuild);
    lists(&store, &run, &[row("known", "1", r#"{"a":"1","m":"1"}"#)], None);
    ends(&store, &run);
    assert_eq!(number(&store, "SELECT count(*) FROM m_link WHERE sent IS NOT NULL"), 0);
    assert_eq!(number(&store, "SELECT count(*) FROM m_rejection WHERE side = 'create'"), 1);
    assert_eq!(truth(&store), pairs(&[("known", r#"{"a":"1","m":"1"}"#), ("new", r#"{"a":"mine"}"#)]));
    sound(&store);
}

#[test]
fn a_refusal_that_stands_and_a_guarded_delete_stay() {
    let store = seen(&["deleted", "refused"]);
    write(&store, vec![patch("refused", r#"{"a":"bad"}"#)]).unwrap();
    let reject = |side: &str, id: &str| {
        format!(
            "INSERT INTO m_rejection (id, sync, replica, side, link, record, remote_id, action, what, at, tries)
             SELECT 'j-{id}', 's', replica, '{side}', link, record, remote_id, 'update', 'no', 1, 1 FROM m_link WHERE remote_id = '{id}'"
        )
    };
    for text in [reject("up", "refused"), reject("delete", "deleted")] {
        sql(&store, text.leak()).unwrap();
    }
    let run = begins(&store, Mode::Rebuild);
    lists(&store, &run, &[row("refused", "1", r#"{"a":"1","m":"1"}"#)], None);
    assert_eq!(ends(&store, &run), Vec::<String>::new(), "a person was asked about it already");
    assert_eq!(number(&store, "SELECT count(*) FROM m_rejection"), 2);
    assert_eq!(data(&store, "refused"), r#"{"a":"bad","m":"1"}"#);
}

/// A rebuild that was cut off behind its first row, and the run that follows, of this mode: what it makes of the second.
fn cut_off(mode: Mode) -> String {
    let store = seen(&["one", "two"]);
    sql(&store, r#"UPDATE m_record SET data = '{"a":"?"}' WHERE id = 'two'"#).unwrap();
    let same = r#"{"a":"1","m":"1"}"#;
    let run = begins(&store, Mode::Rebuild);
    let at = run.1.resume.clone().unwrap().further(1);
    lists(&store, &run, &[row("one", "1", same)], Some(at));
    let run = begins(&store, mode);
    lists(&store, &run, &[row("two", "1", same)], None);
    ends(&store, &run);
    data(&store, "two")
}

#[test]
fn one_that_is_cut_off_goes_on_whatever_run_follows() {
    for mode in [Mode::Fast, Mode::Slow, Mode::Refresh] {
        assert_eq!(cut_off(mode), r#"{"a":"1","m":"1"}"#, "{mode:?}");
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    planted::set_here(Some("rebuild forgotten when cut off"));
    let went_on = std::panic::catch_unwind(one_that_is_cut_off_goes_on_whatever_run_follows);
    planted::set_here(None);
    assert!(went_on.is_err(), "no test sees it");
}
