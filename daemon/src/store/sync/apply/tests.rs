//! Owns: the tests of a document that is put in place whole: what it does not show, and the guard. Must never know: remotes, a run's order.

use mingle_core::{
    replica::{Packed, Row},
    run::{DeletesLeft, Mode},
};

use super::{Batch, apply};
use crate::store::{
    Class, fsck,
    sync::rebuild::tests::{begins, row, seen, truth},
    testing::*,
};

/// Of so many records so many are shown again, the first of them changed; `new` ones come. How many are here then, and how many deletes
/// wait for a person.
#[track_caller]
fn check(here: usize, shown: usize, new: usize, left: DeletesLeft, expect: (usize, i64)) {
    let ids: Vec<String> = (0..here).map(|n| format!("r{n:03}")).collect();
    let store = seen(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let (ground, terms) = begins(&store, Mode::Slow);
    let again = ids[..shown]
        .iter()
        .enumerate()
        .map(|(at, id)| row(id, "2", if at == 0 { r#"{"a":"2"}"# } else { r#"{"a":"1","m":"1"}"# }));
    let rows: Vec<Row> = again.chain((0..new).map(|n| row(&format!("new{n}"), "1", r#"{"a":"1"}"#))).collect();
    let rows: Vec<Packed> = rows.iter().map(Packed::of).collect();
    let before = number(&store, "SELECT count(*) FROM m_rejection");
    let applied = store.write_blocking(Class::Background, NOW, move |tx| {
        let batch = Batch { asked: false, pass: Some(terms.pass), at: None, swaps: true, resume: None, deletes_left: left };
        apply(tx, &ground, rows, &batch, || true)
    });
    let applied = applied.unwrap();
    assert!(applied.ask.is_empty() && applied.left.is_empty(), "in one piece");
    let waiting = number(&store, "SELECT count(*) FROM m_rejection WHERE side = 'delete'") - before;
    assert_eq!((truth(&store).len(), waiting), expect, "{here} {shown} {new} {left:?}");
    assert_eq!(applied.deletes, (here + new - expect.0) as u64);
    assert!(shown == 0 || truth(&store).iter().any(|(_, data)| data.contains("\"2\"")), "what changed is here");
    assert_eq!(store.read(|reader| fsck::check(reader)).unwrap().findings, vec![]);
}

#[test]
fn what_a_document_does_not_show_goes_with_it_under_the_guard() {
    const ANY: DeletesLeft = DeletesLeft::AfterTaken(0);
    check(3, 3, 2, ANY, (5, 0));
    check(3, 2, 1, ANY, (3, 0));
    check(12, 2, 0, ANY, (2, 0));
    check(13, 1, 0, ANY, (3, 2));
    // A share of many.
    check(100, 80, 0, ANY, (80, 0));
    check(100, 79, 0, ANY, (80, 1));
    check(100, 85, 0, DeletesLeft::AfterTaken(10), (88, 3));
    check(13, 1, 0, DeletesLeft::Counted(4), (9, 8));
    check(13, 1, 0, DeletesLeft::Counted(u64::MAX), (1, 0));
    // Nothing at all is no delete, unless a person says so.
    check(3, 0, 0, ANY, (3, 3));
    check(3, 0, 0, DeletesLeft::Counted(10), (3, 3));
    check(3, 0, 0, DeletesLeft::Counted(u64::MAX), (0, 0));
    check(0, 0, 0, ANY, (0, 0));
}

/// The planted bug is found by the table above.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    mingle_core::planted::set_here(Some("an empty document is believed"));
    let found = std::panic::catch_unwind(what_a_document_does_not_show_goes_with_it_under_the_guard).is_err();
    mingle_core::planted::set_here(None);
    assert!(found);
}
