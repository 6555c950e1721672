//! Owns: what becomes of a reset under way when another word, or another history, comes in its midst. Must never know: what is discarded.

use super::*;

fn cancelled(store: &Store) {
    let outcome = Outcome { ended: Ended::Cancelled, ..Outcome::default() };
    store.write_blocking(Class::Background, NOW, move |tx| finish(tx, "r-none", "s", &outcome)).unwrap();
}

#[test]
fn a_second_word_that_is_taken_back_leaves_what_was_under_way() {
    let store = unsent();
    let run = begins(&store, How::Discard, "two", None, Some(Kept(None)));
    discards(&store, &run, 1);
    let before: String = store.read(|reader| Ok(reader.query_row("SELECT reset FROM m_sync", (), |row| row.get(0))?)).unwrap();
    for how in [How::Recover, How::Discard] {
        begins(&store, How::Discard, "two", Some(how), None);
    }
    assert_eq!(over(&store), Over::default(), "the word alone");
    cancelled(&store);
    let after: String = store.read(|reader| Ok(reader.query_row("SELECT reset FROM m_sync", (), |row| row.get(0))?)).unwrap();
    assert_eq!(after, before);
    let run = begins(&store, How::Recover, "two", None, None);
    discards(&store, &run, usize::MAX);
    let gone = ["clash a discarded", "edited a discarded", "ended discarded", "new discarded"];
    assert_eq!(conflicts(&store), gone);
}

#[test]
fn a_second_word_counts_on_and_lets_a_former_account_leave_all_the_same() {
    let store = of_ada();
    let run = spoken_to(&store, "bob", Some(How::Discard), Some(Kept(None)));
    discards(&store, &run, 1);
    let came_to = over(&store);
    assert_ne!(came_to, Over::default());
    write(&store, vec![patch("2", r#"{"a":"since"}"#)]).unwrap();
    let run = spoken_to(&store, "bob", Some(How::Discard), Some(Kept(None)));
    assert_eq!(over(&store), came_to);
    discards(&store, &run, usize::MAX);
    assert_eq!(truth(&store), pairs(&[]), "the word covers what was written until it was said");
    assert_eq!(conflicts(&store), ["1 a discarded", "2 a discarded", "3 discarded", "new discarded"]);
    sound(&store);
}

/// The new record has its place at the one who was there, and was refused.
fn planned_and_refused(store: &Store) {
    let planned = "INSERT INTO m_link (replica, record, base, confirmed, born, seen, missing)
           SELECT 1, record, 2, 0, 0, 0, 0 FROM m_record WHERE id = 'new';
         INSERT INTO m_rejection (id, sync, replica, side, link, record, action, what, at, tries)
           SELECT 'j-1', 's', replica, 'up', link, record, 'create', 'x', 0, 1 FROM m_link WHERE remote_id IS NULL";
    sql(store, planned).unwrap();
}

/// It has it at the one who is there now.
#[track_caller]
fn is_to_be_made_here(store: &Store) {
    let links =
        "SELECT count(*) FROM m_link l JOIN m_record r USING (record) WHERE r.id = 'new' AND l.replica = 2 AND l.base = 2";
    assert_eq!(number(store, links), 1);
    assert_eq!(number(store, "SELECT count(*) FROM m_link WHERE replica = 1"), 3);
    assert_eq!(number(store, "SELECT count(*) FROM m_rejection"), 0);
}

#[test]
fn a_second_word_keeps_what_is_left_of_a_former_account() {
    let store = of_ada();
    planned_and_refused(&store);
    spoken_to(&store, "bob", Some(How::Discard), Some(Kept(None)));
    let run = spoken_to(&store, "bob", Some(How::Recover), Some(Kept(None)));
    assert_eq!(run.1.discard, None);
    assert_eq!((truth(&store).len(), conflicts(&store)), (4, vec![]));
    is_to_be_made_here(&store);
}

#[test]
fn a_new_record_that_stays_is_made_where_the_sync_speaks_now() {
    let store = of_ada();
    planned_and_refused(&store);
    let run = spoken_to(&store, "bob", Some(How::Discard), Some(Kept(None)));
    write(&store, vec![patch("new", r#"{"a":"since"}"#)]).unwrap();
    discards(&store, &run, usize::MAX);
    assert_eq!(truth(&store), pairs(&[("new", r#"{"a":"since"}"#)]));
    is_to_be_made_here(&store);
    // And where both are kept.
    let store = of_ada();
    planned_and_refused(&store);
    spoken_to(&store, "bob", Some(How::Recover), Some(Kept(None)));
    is_to_be_made_here(&store);
}

#[test]
fn an_account_that_is_back_is_not_taken_away() {
    let store = of_ada();
    let run = spoken_to(&store, "bob", Some(How::Discard), Some(Kept(None)));
    discards(&store, &run, 1);
    let before = truth(&store);
    let run = spoken_to(&store, "ada", None, None);
    assert_eq!(run.1.discard, None);
    discards(&store, &run, usize::MAX);
    assert_eq!(truth(&store), before);
}

#[test]
fn a_word_covers_the_history_that_it_was_said_about() {
    let store = unsent();
    let run = goes_on(&store, How::RecoverOrDiscard, "one", Some(How::Discard));
    assert_eq!(conflicts(&store).len(), 4);
    lists(&store, &run, &shown()[..1], None);
    write(&store, vec![patch("well", r#"{"a":"since"}"#)]).unwrap();
    // It moves once more, in the midst of it.
    let (_, terms) = begins(&store, How::RecoverOrDiscard, "two", None, None);
    assert!(terms.compare_first);
    let run = goes_on(&store, How::RecoverOrDiscard, "two", None);
    let (reset, _) = run.1.reset.clone().unwrap();
    assert_eq!((reset.how, reset.why, run.1.discard), (How::RecoverOrDiscard, Why::Epoch, None));
    assert_eq!(over(&store).discarded, 4, "what it came to is counted on");
    lists(&store, &run, &shown(), None);
    ends(&store, &run);
    assert_eq!(data(&store, "well"), r#"{"a":"since","m":"1"}"#);
    // One that is to ask a person does so again.
    let store = unsent();
    goes_on(&store, How::Manual, "one", Some(How::Recover));
    assert_eq!(begins(&store, How::Manual, "two", None, None).1.held, Some(Held::Manual));
}

#[test]
fn what_was_written_since_stays_where_a_discard_goes_on_over_another_history() {
    let store = unsent();
    let run = begins(&store, How::Discard, "two", None, Some(Kept(None)));
    discards(&store, &run, 1);
    write(&store, vec![patch("well", r#"{"a":"since"}"#)]).unwrap();
    let next = goes_on(&store, How::Discard, "three", None);
    assert_eq!(next.1.discard, run.1.discard);
    assert_eq!(data(&store, "well"), r#"{"a":"since","m":"1"}"#);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for (bug, test) in [
        ("a second word forgets the reset under way", a_second_word_that_is_taken_back_leaves_what_was_under_way as fn()),
        ("new records stay with the former account", a_new_record_that_stays_is_made_where_the_sync_speaks_now),
        ("an account that is back is taken away", an_account_that_is_back_is_not_taken_away),
        ("a word covers every history to come", a_word_covers_the_history_that_it_was_said_about),
    ] {
        planted::set_here(Some(bug));
        let passed = std::panic::catch_unwind(test);
        planted::set_here(None);
        assert!(passed.is_err(), "no test sees {bug:?}");
    }
}
