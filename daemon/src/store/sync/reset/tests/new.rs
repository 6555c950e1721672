//! Owns: what becomes of a record that no account has yet, where a sync speaks to another account. Must never know: what is sent, and how.

use super::*;

/// A sync that has spoken to Ada, who has nothing, and what was written then.
fn ada_has_nothing() -> Store {
    let store = seen(&[]);
    sql(&store, "UPDATE m_replica SET identity = replace('far|https://far|ada|things|a', '|', char(31))").unwrap();
    let run = spoken_to(&store, "ada", None, None);
    lists(&store, &run, &[], None);
    ends(&store, &run);
    write(&store, vec![put("new", "{}"), put("gone", "{}")]).unwrap();
    write(&store, vec![delete("gone")]).unwrap();
    store
}

/// Whether it waits for a word before it speaks to Bob, after this was done to the store.
#[track_caller]
fn check(so: &'static str, held: Option<Held>) {
    let store = ada_has_nothing();
    sql(&store, so).unwrap();
    for _ in 0..2 {
        assert_eq!(spoken_to(&store, "bob", None, None).1.held, held, "{so}");
        assert_eq!(truth(&store).len(), 1, "{so}");
        if held.is_none() {
            return;
        }
    }
    // As she comes back it goes on.
    assert_eq!(spoken_to(&store, "ada", None, None).1.held, None, "{so}");
}

#[test]
fn what_no_account_has_yet_waits_for_a_word_as_well() {
    let held = Some(Held::Account(1));
    check("", held);
    // It was planned already, or refused.
    let link = "INSERT INTO m_link (replica, record, base, confirmed, born, seen, missing)
                  SELECT 1, record, 2, 0, 0, 0, 0 FROM m_record WHERE id = 'new'";
    check(link, held);
    // Nobody was ever spoken to.
    check("UPDATE m_sync SET epoch = NULL", None);
}

#[test]
fn what_no_account_has_yet_goes_as_a_person_says() {
    for (how, left, recorded) in [(How::Recover, 1, &[][..]), (How::Discard, 0, &["new discarded"])] {
        let store = ada_has_nothing();
        let run = spoken_to(&store, "bob", Some(how), Some(Kept(None)));
        assert_eq!(run.1.reset.as_ref().map(|(reset, _)| (reset.how, reset.why)), Some((how, Why::Account)));
        discards(&store, &run, usize::MAX);
        assert_eq!((truth(&store).len(), conflicts(&store)), (left, recorded.iter().map(ToString::to_string).collect()));
        lists(&store, &run, &[], None);
        ends(&store, &run);
        assert_eq!(spoken_to(&store, "bob", None, None).1.held, None, "it is not asked again");
        sound(&store);
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    planted::set_here(Some("another account is given what is new"));
    let passed = std::panic::catch_unwind(what_no_account_has_yet_waits_for_a_word_as_well);
    planted::set_here(None);
    assert!(passed.is_err());
}
