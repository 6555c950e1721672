//! Owns: the tests of what is put in place whole. Must never know: the store, remotes.

use super::row;
use crate::{
    limits,
    replica::{From, Page},
    run::{Applied, Direction, Effect, Event, Mode, Order, Run, Terms},
};

/// What is all there is comes in one piece, with what it does not show, up to a bound; nothing else does.
#[test]
fn a_document_is_put_in_place_whole() {
    #[track_caller]
    fn check(page: &Page, terms: &Terms, mode: Mode, expected: &[(usize, bool, bool)]) {
        let mut run = Run::new(Order { direction: Direction::Down, mode, ..Order::default() });
        let mut under_way = run.handle(Event::Start);
        let mut batches = Vec::new();
        while let Some(effect) = under_way.pop() {
            let event = match effect {
                Effect::Begin => Event::Begun,
                Effect::Open => Event::Opened(Ok(())),
                Effect::Negotiate { .. } => Event::Negotiated(Box::new(terms.clone())),
                Effect::Fetch { .. } => Event::Page(Ok(page.clone())),
                Effect::Apply { rows, at, swaps, .. } => {
                    batches.push((rows.len(), at.is_none(), swaps));
                    Event::Applied(Applied::default())
                }
                Effect::Complete { .. } => Event::Completed { rejected: 0, watermark: None, reset: None },
                Effect::Ghosts { .. } => Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
                Effect::Finish(_) => Event::Finished { standing: 0 },
                other => unreachable!("this world has none of {other:?}"),
            };
            under_way.extend(run.handle(event));
        }
        assert_eq!(batches, expected);
    }
    let rows = |count: usize, swaps| Page { rows: (0..count as u64).map(row).collect(), swaps, ..Page::default() };
    let asks = || Terms { page_rows: 1, ..Terms::default() };
    check(&rows(501, true), &asks(), Mode::Fast, &[(501, true, true)]);
    check(&rows(0, true), &asks(), Mode::Fast, &[(0, true, true)]);
    check(&rows(501, false), &asks(), Mode::Fast, &[(500, false, false), (1, false, false)]);
    // Who only tells what is new takes nothing away, and a refresh does not either; what changed since is not all there is.
    check(&rows(501, true), &Terms { tells: true, ..asks() }, Mode::Fast, &[(501, true, false)]);
    check(&rows(501, true), &asks(), Mode::Refresh, &[(501, true, false)]);
    check(&rows(501, true), &Terms { from: From::Token("t".into()), ..asks() }, Mode::Fast, &[(501, true, false)]);
    let most = limits::SWAP_ROWS_MAX;
    check(&rows(most, true), &asks(), Mode::Fast, &[(most, true, true)]);
    let batches: Vec<_> = (0..4).map(|_| (limits::BATCH_ROWS_MAX, false, false)).chain([(1, false, false)]).collect();
    check(&rows(most + 1, true), &asks(), Mode::Fast, &batches);
}

/// The planted bug is found by the table above.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    crate::planted::set_here(Some("a document is put in place in pieces"));
    let found = std::panic::catch_unwind(a_document_is_put_in_place_whole).is_err();
    crate::planted::set_here(None);
    assert!(found);
}
