//! Owns: the laws of a run, over thousands of scripted worlds. Must never know: the store, remotes.

use std::time::Duration;

use super::{
    Applied, Compared, Direction, Effect, Ended, Event, Held, Order, Planned, Resume, Run, Settled, StopReason, Terms, Watermark,
    checkpoint,
};
use crate::{
    record::Props,
    replica::{Action, Answer, Asked, Cursor, Errand, Failure, From, Packed, Page, Precondition, RemoteError, Row, RowState},
    time::Timestamp,
};

mod fresh;
mod whole;

/// A small generator of chance: the same seed gives the same world.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

struct World {
    chance: Chance,
    pages: u64,
    behind: u64,
    faults: bool,
}

fn create(link: i64) -> Errand {
    Errand { link, action: Action::Create { remote_id: None, whole: Props::new(), key: Some("k".into()) } }
}

fn row(id: u64) -> Packed {
    Packed::of(&Row {
        remote_id: format!("r{id}"),
        revision: None,
        modified: None,
        created: None,
        state: RowState::Live(Default::default()),
    })
}

impl World {
    fn error(&mut self) -> RemoteError {
        let kinds = [
            Failure::Offline,
            Failure::Broken,
            Failure::Server,
            Failure::Nonsense,
            Failure::NeedsLogin,
            Failure::CheckpointRefused,
            Failure::TooLarge,
        ];
        let kind = kinds[usize::try_from(self.chance.below(kinds.len() as u64)).unwrap()];
        RemoteError::new(kind, "planned")
    }

    fn answer(&mut self, effect: &Effect, hurried: bool) -> Event {
        let stopped = || RemoteError::new(Failure::Stopped, "stopped");
        let fault = self.faults && self.chance.one_in(12);
        match effect {
            Effect::Hurry => unreachable!("has no event of its own"),
            Effect::Begin if fault => broken(),
            Effect::Begin => Event::Begun,
            Effect::Open if hurried => Event::Opened(Err(stopped())),
            Effect::Open if fault => Event::Opened(Err(self.error())),
            Effect::Open => Event::Opened(Ok(())),
            Effect::Negotiate { accept } => Event::Negotiated(Box::new(Terms {
                from: if self.chance.one_in(2) { From::Start } else { From::Token("t".into()) },
                pass: 3,
                deletes_max: Some(10),
                compare_first: !accept && self.chance.one_in(3),
                copy_first: !accept && self.chance.one_in(6),
                held: (!accept && self.faults && self.chance.one_in(20)).then_some(Held::Manual),
                discard: self.chance.one_in(4).then_some(7),
                cursor: Cursor::Token,
                page_rows: 2,
                catches_up: self.chance.one_in(2),
                ask: if self.chance.one_in(5) { vec!["r9".into()] } else { Vec::new() },
                repeats: if self.chance.one_in(5) { vec![create(99)] } else { Vec::new() },
                ..Terms::default()
            })),
            Effect::Copy if fault => broken(),
            Effect::Copy => Event::Copied,
            Effect::Discard { after, until } => {
                let after = (*after < *until).then(|| after + 1 + self.chance.below(4));
                Event::Discarded { after, conflicts: 1, changed: 1 }
            }
            Effect::Fetch { .. } if hurried => Event::Page(Err(stopped())),
            Effect::Fetch { .. } if fault => Event::Page(Err(self.error())),
            Effect::Fetch { page, .. } => {
                let at: u64 = page.as_deref().map_or(0, |page| page.parse().unwrap());
                let rows = (0..self.chance.below(4)).map(row).collect();
                let next = if self.faults && self.chance.one_in(30) { at } else { at + 1 };
                Event::Page(Ok(Page {
                    rows,
                    next: (at < self.pages).then(|| next.to_string()),
                    token: Some("t2".into()),
                    ..Page::default()
                }))
            }
            Effect::Compare { .. } => Event::Compared(Compared { differ: self.chance.below(2), known: 0 }),
            Effect::Apply { .. } if fault => broken(),
            Effect::Apply { asked, rows, at, .. } => {
                let ask =
                    if !asked && !rows.is_empty() && self.chance.one_in(4) { vec!["r1".into(), "r2".into()] } else { Vec::new() };
                // Cut short by time, wherever it likes, but for its first row.
                let cut = at.is_some() && rows.len() > 1 && self.chance.one_in(3);
                let left = if cut { rows[rows.len() - 1..].to_vec() } else { Vec::new() };
                Event::Applied(Applied { changed: 1, ask, left, ..Applied::default() })
            }
            Effect::Ask { remote_ids } => {
                let mut asked: Vec<_> = remote_ids.iter().map(|id| (id.clone(), Asked::Gone)).collect();
                let failed = if hurried { Some(stopped()) } else { fault.then(|| self.error()) };
                if failed.is_some() {
                    asked.truncate(usize::try_from(self.chance.below(asked.len() as u64)).unwrap());
                }
                Event::Asked { asked, failed }
            }
            Effect::Complete { .. } => Event::Completed { rejected: 0, watermark: None, reset: None },
            Effect::Ghosts { .. } => {
                let ghosts = self.chance.below(3);
                Event::Ghosts { remote_ids: (0..ghosts).map(|id| format!("g{id}")).collect(), guarded: 0 }
            }
            Effect::Plan { .. } => {
                let many = self.behind.min(2);
                let errand = |link| Errand {
                    link,
                    action: Action::Delete { remote_id: "r".into(), unless_moved: Precondition::Revision("e".into()) },
                };
                let errands = (0..i64::try_from(many).unwrap()).map(errand).collect();
                let look = if self.chance.one_in(6) { vec!["l1".into()] } else { Vec::new() };
                Event::Planned(Planned {
                    errands,
                    look,
                    more: self.behind > many,
                    after: 1,
                    waits: if self.chance.one_in(4) { 1 } else { 0 },
                    behind: self.behind,
                    ..Planned::default()
                })
            }
            Effect::Send { errands } => {
                let mut answers = Vec::new();
                for errand in errands {
                    let answer = if hurried {
                        Answer::Unknown(stopped())
                    } else if fault {
                        Answer::Unknown(self.error())
                    } else {
                        Answer::Taken(None)
                    };
                    answers.push((errand.link, answer));
                }
                Event::Sent(answers)
            }
            Effect::Settle { .. } if fault => broken(),
            Effect::Settle { answers } => {
                let taken = answers.iter().filter(|(_, answer)| matches!(answer, Answer::Taken(_))).count() as u64;
                self.behind = self.behind.saturating_sub(taken);
                Event::Settled(Settled { taken, ..Settled::default() })
            }
            Effect::Finish(_) => Event::Finished { standing: 0 },
        }
    }
}

fn broken() -> Event {
    Event::StoreFailed(crate::ask::Trouble { name: "disk_full".into(), what: "planned".into(), hint: None })
}

fn remote(effect: &Effect) -> bool {
    matches!(effect, Effect::Open | Effect::Fetch { .. } | Effect::Ask { .. } | Effect::Send { .. })
}

/// Plays one run in one world; returns how it ended.
#[track_caller]
fn play(seed: u64, faults: bool, stop_after: Option<u64>) -> Ended {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (pages, behind) = (chance.below(5), chance.below(7));
    let mut world = World { chance, pages, behind, faults };
    let mut run = Run::new(Order { direction: Direction::Both, trigger: "timer".into(), ..Order::default() });
    let mut under_way: Vec<Effect> = run.handle(Event::Start);
    let (mut stopped, mut ended, mut steps) = (false, None, 0);
    while !under_way.is_empty() {
        steps += 1;
        assert!(steps < 2_000, "seed {seed}: the run does not end");
        assert!(under_way.iter().filter(|effect| remote(effect)).count() <= 1, "seed {seed}: two at the remote: {under_way:?}");
        assert!(under_way.iter().filter(|effect| !remote(effect)).count() <= 1, "seed {seed}: two in the store: {under_way:?}");
        let event = if stop_after == Some(steps) {
            stopped = true;
            Event::Stop(StopReason::User)
        } else {
            let at = usize::try_from(world.chance.below(under_way.len() as u64)).unwrap();
            let effect = under_way.remove(at);
            if let Effect::Finish(outcome) = &effect {
                assert!(ended.is_none(), "seed {seed}: finished twice");
                assert!(under_way.is_empty(), "seed {seed}: finished with work under way: {under_way:?}");
                ended = Some(outcome.ended.clone());
            }
            world.answer(&effect, stopped && remote(&effect))
        };
        let mut effects = run.handle(event);
        effects.retain(|effect| *effect != Effect::Hurry);
        if stopped {
            assert!(!effects.iter().any(remote), "seed {seed}: a new request after a stop: {effects:?}");
        }
        under_way.extend(effects);
    }
    assert!(run.ended(), "seed {seed}: nothing under way, and not ended: {run:?}");
    ended.unwrap_or_else(|| panic!("seed {seed}: ended without a history row"))
}

#[test]
fn without_faults_a_run_is_done() {
    for seed in 1..4_000 {
        assert_eq!(play(seed, false, None), Ended::Done, "seed {seed}");
    }
}

#[test]
fn a_stop_at_any_step_ends_it_with_no_new_request() {
    let mut stopped = 0;
    for seed in 1..4_000 {
        if play(seed, false, Some(1 + seed % 23)) == Ended::Stopped(StopReason::User) {
            stopped += 1;
        }
    }
    assert!(stopped > 2_000, "only {stopped} runs were still under way when they were told to stop");
}

#[test]
fn with_faults_and_stops_it_ends_exactly_once() {
    for seed in 1..20_000 {
        play(seed, true, (seed % 3 == 0).then_some(1 + seed % 29));
    }
}

/// How a run over another history ends, of which one page of three rows is all there is.
#[track_caller]
fn check_history(links_there: u64, found: Compared, force: bool, held: Option<u64>) {
    let mut run = Run::new(Order { direction: Direction::Both, force, ..Order::default() });
    let mut under_way = run.handle(Event::Start);
    let (mut ended, mut copied) = (None, false);
    while let Some(effect) = under_way.pop() {
        assert!(copied || !matches!(effect, Effect::Negotiate { accept: true }), "nothing is kept of what was");
        let event = match &effect {
            Effect::Begin => Event::Begun,
            Effect::Open => Event::Opened(Ok(())),
            Effect::Negotiate { accept } => Event::Negotiated(Box::new(Terms {
                deletes_max: Some(10),
                compare_first: !accept,
                discard: accept.then_some(3),
                links_there,
                page_rows: 10,
                ..Terms::default()
            })),
            Effect::Fetch { .. } => Event::Page(Ok(Page { rows: (0..3).map(row).collect(), ..Page::default() })),
            Effect::Compare { .. } => Event::Compared(found),
            Effect::Copy => {
                assert!(run.copies(), "it is to be known that nothing will be heard");
                copied = true;
                Event::Copied
            }
            Effect::Discard { .. } => Event::Discarded { after: None, conflicts: 0, changed: 0 },
            Effect::Finish(outcome) => {
                ended = Some(outcome.ended.clone());
                Event::Finished { standing: 0 }
            }
            Effect::Apply { .. } => Event::Applied(Applied::default()),
            Effect::Complete { .. } => Event::Completed { rejected: 0, watermark: None, reset: None },
            Effect::Ghosts { .. } => Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
            Effect::Plan { .. } => Event::Planned(Planned::default()),
            other => unreachable!("this world has none of {other:?}"),
        };
        under_way.extend(run.handle(event));
    }
    let expected = held.map_or(Ended::Done, |differ| Ended::Held(Held::Differs(Compared { differ, ..found })));
    assert_eq!(ended, Some(expected), "{links_there} links, {found:?}, force: {force}");
}

#[test]
fn another_history_that_lacks_most_of_ours_waits_for_a_person() {
    let all_known = Compared { differ: 0, known: 3 };
    check_history(3, all_known, false, None);
    check_history(13, all_known, false, None);
    check_history(14, all_known, false, Some(11));
    check_history(100, all_known, true, None);
    check_history(3, Compared { differ: 11, known: 3 }, false, Some(11));
    check_history(10, Compared { differ: 3, known: 0 }, false, Some(13));
}

#[test]
fn a_batch_that_was_cut_short_goes_on_where_it_was_cut() {
    #[track_caller]
    fn check(cuts: &[usize], expected: &[(usize, Option<&str>, usize)]) {
        let mut run = Run::new(Order { direction: Direction::Down, ..Order::default() });
        let mut under_way = run.handle(Event::Start);
        let (mut cuts, mut applied, mut positions) = (cuts.iter(), Vec::new(), Vec::new());
        while let Some(effect) = under_way.pop() {
            let event = match effect {
                Effect::Begin => Event::Begun,
                Effect::Open => Event::Opened(Ok(())),
                Effect::Negotiate { .. } => Event::Negotiated(Box::new(Terms { page_rows: 5, ..Terms::default() })),
                Effect::Fetch { page: None, .. } => {
                    Event::Page(Ok(Page { rows: (0..5).map(row).collect(), next: Some("2".into()), ..Page::default() }))
                }
                Effect::Fetch { .. } => Event::Page(Ok(Page { rows: vec![row(5)], ..Page::default() })),
                Effect::Apply { mut rows, at: Some(at), resume: Some(resume), .. } => {
                    let left = rows.split_off(cuts.next().copied().unwrap_or(rows.len()));
                    let now = if left.is_empty() { *resume } else { at.further(rows.len()) };
                    positions.push((now.rows, now.page, rows.len()));
                    applied.extend(rows.iter().map(|row| row.remote_id().to_owned()));
                    Event::Applied(Applied { left, ..Applied::default() })
                }
                Effect::Complete { .. } => Event::Completed { rejected: 0, watermark: None, reset: None },
                Effect::Ghosts { .. } => Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
                Effect::Finish(_) => Event::Finished { standing: 0 },
                other => unreachable!("this world has none of {other:?}"),
            };
            under_way.extend(run.handle(event));
        }
        assert_eq!(applied, ["r0", "r1", "r2", "r3", "r4", "r5"], "{cuts:?}: each row once, in order");
        let positions: Vec<_> = positions.iter().map(|(rows, page, taken)| (*rows, page.as_deref(), *taken)).collect();
        assert_eq!(positions, expected);
    }
    check(&[], &[(0, Some("2"), 5), (0, Some("2"), 1)]);
    check(&[2], &[(2, None, 2), (0, Some("2"), 3), (0, Some("2"), 1)]);
    check(&[1, 3], &[(1, None, 1), (4, None, 3), (0, Some("2"), 1), (0, Some("2"), 1)]);
}

/// `newest Date took => watermark`, in seconds of the stamps' clock.
const WATERMARKS: &str = "
    100 100 0 => 100
    100 130 0 => 100
    130 100 0 => 100
    159 130 60 => 70
    100 - 5 => 90
    100 - 11 => 80
    - 100 5 => none
";

fn watermark_failures() -> Vec<String> {
    let at = |text: &str| text.parse::<i64>().ok().map(|seconds| Timestamp::from_unix_ms(seconds * 1_000));
    let lines = WATERMARKS.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            let (listing, expected) = line.split_once("=>").expect("an outcome");
            let [newest, date, took] = listing.split_whitespace().collect::<Vec<_>>()[..] else { panic!("three times: {line}") };
            let listing = Resume { newest: at(newest), server_time: at(date), ..Resume::default() };
            let cursor = Cursor::Stamp { overlap: Duration::from_secs(7) };
            let took = Duration::from_secs(took.parse().expect("seconds"));
            let watermark = checkpoint::watermark(&listing, cursor).map(|watermark| watermark.before(took));
            let expected = at(expected.trim()).map(Watermark::Stamp);
            (watermark != expected).then(|| format!("{line}, but {watermark:?}"))
        })
        .collect()
}

#[test]
fn a_watermark_is_never_later_than_the_start_of_its_listing() {
    assert_eq!(watermark_failures(), Vec::<String>::new());
    let token = Watermark::Token("t".into());
    assert_eq!(token.before(Duration::from_secs(5)), token);
}

/// What a listing from the start of two pages leaves as watermark, and whether it is looked for what it did not show.
fn told(tells: bool) -> (Option<Watermark>, bool) {
    let mut run = Run::new(Order { direction: Direction::Down, ..Order::default() });
    let mut under_way = run.handle(Event::Start);
    let (mut left, mut looked) = (None, false);
    while let Some(effect) = under_way.pop() {
        let event = match effect {
            Effect::Begin => Event::Begun,
            Effect::Open => Event::Opened(Ok(())),
            Effect::Negotiate { .. } => {
                let cursor = if tells { Cursor::Page } else { Cursor::None };
                Event::Negotiated(Box::new(Terms { page_rows: 5, tells, cursor, ..Terms::default() }))
            }
            Effect::Fetch { page: None, .. } => {
                Event::Page(Ok(Page { rows: vec![row(1)], next: Some("at 1".into()), ..Page::default() }))
            }
            Effect::Fetch { .. } => Event::Page(Ok(Page { rows: vec![row(2)], ..Page::default() })),
            Effect::Apply { .. } => Event::Applied(Applied::default()),
            Effect::Ghosts { .. } => {
                looked = true;
                Event::Ghosts { remote_ids: Vec::new(), guarded: 0 }
            }
            Effect::Complete { watermark, .. } => {
                left = watermark;
                Event::Completed { rejected: 0, watermark: None, reset: None }
            }
            Effect::Finish(_) => Event::Finished { standing: 0 },
            other => unreachable!("this world has none of {other:?}"),
        };
        under_way.extend(run.handle(event));
    }
    (left, looked)
}

#[test]
fn who_tells_is_believed_in_what_it_told_and_in_no_more() {
    let last = Some(Watermark::Token("at 1".into()));
    assert_eq!(told(true), (last.clone(), false), "the next run begins at the last address, and nothing is gone");
    assert_eq!(told(false), (None, true));
    assert_eq!(checkpoint::start(last.as_ref(), Cursor::Page), From::Token("at 1".into()));
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use crate::planted;
    planted::set_here(Some("not told is gone"));
    let found = told(true).1;
    planted::set_here(None);
    assert!(found, "no run sees that what was not told is looked for");
    planted::set_here(Some("reset without a copy"));
    let found = std::panic::catch_unwind(another_history_that_lacks_most_of_ours_waits_for_a_person).is_err();
    planted::set_here(None);
    assert!(found, "no history sees that nothing was copied");
    for bug in ["watermark of the listing's end", "Date as watermark"] {
        planted::set_here(Some(bug));
        let found = !watermark_failures().is_empty();
        planted::set_here(None);
        assert!(found, "no watermark sees {bug:?}");
    }
}

/// A remote that shows everything in two pages, and knows none of the places it names.
#[test]
fn a_listing_is_caught_up_with_once() {
    let mut run = Run::new(Order { direction: Direction::Both, ..Order::default() });
    let (mut next, mut listings, mut refused) = (vec![Event::Start], 0, 0);
    while let Some(event) = next.pop() {
        for effect in run.handle(event) {
            let answer = match effect {
                Effect::Begin => Event::Begun,
                Effect::Open => Event::Opened(Ok(())),
                Effect::Negotiate { .. } => Event::Negotiated(Box::new(Terms {
                    page_rows: 5,
                    cursor: Cursor::Token,
                    tombstones: true,
                    catches_up: true,
                    ..Terms::default()
                })),
                Effect::Fetch { from: From::Token(_), .. } => {
                    refused += 1;
                    Event::Page(Err(RemoteError::new(Failure::CheckpointRefused, "not known")))
                }
                Effect::Fetch { page: None, .. } => {
                    listings += 1;
                    assert!(listings < 10, "it never ends");
                    Event::Page(Ok(Page { next: Some("two".into()), token: Some("t".into()), ..Page::default() }))
                }
                Effect::Fetch { .. } => Event::Page(Ok(Page::default())),
                Effect::Apply { .. } => Event::Applied(Applied::default()),
                Effect::Ghosts { .. } => Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
                Effect::Complete { watermark, .. } => Event::Completed { rejected: 0, watermark, reset: None },
                Effect::Plan { .. } => Event::Planned(Planned::default()),
                Effect::Finish(_) => Event::Finished { standing: 0 },
                other => panic!("{other:?}"),
            };
            next.push(answer);
        }
    }
    assert!(run.ended() && run.outcome().ended == Ended::Done, "{:?}", run.outcome());
    assert_eq!((listings, refused), (2, 1));
}
