//! Owns: the tests of how fresh what a run brought is. Must never know: the store, remotes.

use std::time::Duration;

use super::row;
use crate::{
    replica::{Cursor, Page},
    run::{Applied, Direction, Effect, Event, Order, Planned, Resume, Run, Terms},
    time::Timestamp,
};

/// What a run that begins at 9 says of freshness, whose listing, of pages, began then; and which catches up.
fn freshness(began: Option<i64>, catches_up: bool, direction: Direction) -> Option<i64> {
    let at = Timestamp::from_unix_ms;
    let mut run = Run::new(Order { direction, began: at(9), ..Order::default() });
    let mut under_way = run.handle(Event::Start);
    while let Some(effect) = under_way.pop() {
        let event = match effect {
            Effect::Begin => Event::Begun,
            Effect::Open => Event::Opened(Ok(())),
            Effect::Negotiate { .. } => {
                let cursor = Cursor::Stamp { overlap: Duration::ZERO };
                let resume = Resume { page: Some("2".into()), began: began.map(at), newest: Some(at(8)), ..Resume::default() };
                let terms =
                    Terms { page_rows: 5, began: Some(at(10)), cursor, catches_up, resume: Some(resume), ..Terms::default() };
                Event::Negotiated(Box::new(terms))
            }
            Effect::Fetch { .. } => Event::Page(Ok(Page { rows: vec![row(1)], ..Page::default() })),
            Effect::Apply { .. } => Event::Applied(Applied::default()),
            Effect::Complete { watermark, .. } => Event::Completed { rejected: 0, reset: None, watermark },
            Effect::Ghosts { .. } => Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
            Effect::Plan { .. } => Event::Planned(Planned::default()),
            Effect::Finish(_) => Event::Finished { standing: 0 },
            other => unreachable!("this world has none of {other:?}"),
        };
        under_way.extend(run.handle(event));
    }
    run.outcome().fresh.map(Timestamp::unix_ms)
}

/// What a listing brought is as old as its beginning, be that in an earlier run.
const FRESHNESS: &[(Option<i64>, bool, Direction, Option<i64>)] = &[
    (Some(5), false, Direction::Down, Some(5)),
    (Some(5), true, Direction::Both, Some(5)),
    (Some(10), false, Direction::Both, Some(9)),
    (None, false, Direction::Both, None),
    (Some(5), false, Direction::Up, None),
];

fn freshness_failures() -> Vec<String> {
    let wrong = |(began, catches_up, direction, expected): &(Option<i64>, bool, Direction, Option<i64>)| {
        let found = freshness(*began, *catches_up, *direction);
        (found != *expected).then(|| format!("{began:?} {catches_up} {direction:?}: {found:?}, not {expected:?}"))
    };
    FRESHNESS.iter().filter_map(wrong).collect()
}

#[test]
fn what_came_is_as_fresh_as_the_beginning_of_its_listing() {
    assert_eq!(freshness_failures(), Vec::<String>::new());
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use crate::planted;
    planted::set_here(Some("freshness by the last run"));
    let found = !freshness_failures().is_empty();
    planted::set_here(None);
    assert!(found, "no run sees that pages of an earlier one count as read by the last");
}
