//! Owns: what is not lost where a run ends early or the daemon does: what was wished of a run, a ping, the moment of a next run, what a remote said. Must never know: the
//! store.

use super::*;
use crate::{
    ask::Trouble,
    engine::Mark,
    run::Mode,
    schedule::{Conditions, StopReason},
};

pub(super) fn request(mode: Mode, accept_deletes: bool) -> Ask {
    Ask::RunSync(RunRequest { mode: Some(mode), accept_deletes, ..RunRequest::of("a".into()) })
}

/// The engine of one sync `a`, which nothing makes due but what is asked for, and the effects of an event.
pub(super) fn engine(wished: Mode, last: Last) -> Engine {
    let plan = Plan { remote: "r".into(), ..Plan::default() };
    let job = Job::new(plan, last, 0, NOW);
    let facts = SyncFacts {
        collection: "k".into(),
        direction: Direction::Both,
        job,
        patience: None,
        failing: Failing::default(),
        anew: false,
        wished,
    };
    Engine::new([("a".into(), facts)].into(), None, 1, NOW)
}

pub(super) const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

pub(super) fn handle(engine: &mut Engine, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    engine.handle(NOW, event, &mut effects);
    effects
}

/// What is wished of the run that begins.
pub(super) fn begins(effects: &[Effect]) -> Option<Wishes> {
    effects.iter().find_map(|effect| match effect {
        Effect::Begin { order, .. } => Some(Wishes::of(order)),
        _ => None,
    })
}

/// Loses the network, and has the run come to its end by that; the run that goes on once it is back.
fn cut_off(engine: &mut Engine, so_far: &[run::Event]) -> Option<Wishes> {
    for event in so_far {
        handle(engine, Event::Run("a".into(), event.clone()));
    }
    handle(engine, Event::Conditions(Conditions { online: Some(false), ..Conditions::default() }));
    for event in [run::Event::Begun, run::Event::Opened(Ok(())), run::Event::Finished { standing: 0 }] {
        if !engine.quiet() {
            handle(engine, Event::Run("a".into(), event));
        }
    }
    assert!(engine.quiet(), "it has ended");
    begins(&handle(engine, Event::Conditions(Conditions { online: Some(true), ..Conditions::default() })))
}

/// What a run has come to with the first page of its listing.
fn listing() -> [run::Event; 5] {
    [
        run::Event::Begun,
        run::Event::Opened(Ok(())),
        run::Event::Negotiated(Box::new(Terms { page_rows: 1, ..Terms::default() })),
        run::Event::Page(Ok(Page::default())),
        run::Event::Applied(run::Applied::default()),
    ]
}

#[test]
fn what_was_wished_of_a_run_is_wished_of_the_one_that_goes_on() {
    let mut slow = engine(Mode::Fast, Last::Never);
    let began = begins(&handle(&mut slow, Event::Ask(1, request(Mode::Slow, true))));
    let wished = Wishes { mode: Mode::Slow, force: false, accept_deletes: true };
    assert_eq!(began, Some(wished));
    assert_eq!(cut_off(&mut slow, &[]), Some(wished), "it had not listed anything");
    // A listing that has begun goes on by itself, in whatever mode it was.
    let so_far = listing();
    assert_eq!(cut_off(&mut slow, &so_far), Some(Wishes { mode: Mode::Fast, ..wished }));
}

/// A word about deletes is about those of one listing: of what a later one does not show, nobody has said anything.
#[test]
fn a_word_about_deletes_ends_with_its_listing() {
    assert_eq!(after_a_listing(), Some(Wishes::default()));
}

/// After how many seconds another run begins where one that did this much is ended by its deadline.
fn after_a_timeout(so_far: &[run::Event]) -> u64 {
    let plan = Plan { remote: "r".into(), deadline: Some(Duration::from_secs(60)), ..Plan::default() };
    let facts = SyncFacts {
        collection: "k".into(),
        direction: Direction::Both,
        job: Job::new(plan, Last::Never, 0, NOW),
        patience: None,
        failing: Failing::default(),
        anew: false,
        wished: Mode::Fast,
    };
    let mut one = Engine::new([("a".into(), facts)].into(), None, 1, NOW);
    assert!(begins(&handle(&mut one, Event::Ask(1, request(Mode::Fast, false)))).is_some());
    for event in so_far {
        handle(&mut one, Event::Run("a".into(), event.clone()));
    }
    let late = NOW.plus(Duration::from_secs(60));
    let mut effects = Vec::new();
    let hurried = RemoteError::new(Failure::Stopped, "stopped");
    for event in [
        Event::Conditions(Conditions::default()),
        Event::Run(
            "a".into(),
            match so_far.len() {
                0 => run::Event::Begun,
                5 => run::Event::Page(Err(hurried)),
                _ => run::Event::Asked { asked: Vec::new(), failed: Some(hurried) },
            },
        ),
        Event::Run("a".into(), run::Event::Finished { standing: 0 }),
    ] {
        one.handle(late, event, &mut effects);
    }
    (0..3_600)
        .find(|seconds| {
            one.handle(late.plus(Duration::from_secs(*seconds)), Event::Conditions(Conditions::default()), &mut effects);
            begins(&effects).is_some()
        })
        .expect("it is tried again")
}

#[test]
fn what_hangs_is_tried_again_as_what_fails_and_what_came_further_at_once() {
    assert!(after_a_timeout(&[]) >= 10, "nothing was heard at all");
    // The whole page is met each time, and then one record is asked for that hangs.
    let mut so_far = listing().to_vec();
    so_far.push(run::Event::Ghosts { remote_ids: vec!["gone".into()], guarded: 0 });
    assert!(after_a_timeout(&so_far) >= 10, "it would be there again");
    let mut so_far = listing().to_vec();
    so_far[3] = run::Event::Page(Ok(Page { next: Some("two".into()), ..Page::default() }));
    assert_eq!(after_a_timeout(&so_far), 0, "its second page comes next");
    // Of whoever tells, a page is a sign of life, and no more: another checkpoint or a change is.
    let tells = Terms { page_rows: 1, tells: true, ..Terms::default() };
    so_far[2] = run::Event::Negotiated(Box::new(tells));
    let page = |stays: bool| run::Event::Page(Ok(Page { next: Some("two".into()), stays, ..Page::default() }));
    so_far[3] = page(true);
    assert!(after_a_timeout(&so_far) >= 10, "it lives, and comes nowhere");
    so_far[3] = page(false);
    assert_eq!(after_a_timeout(&so_far), 0, "it goes on from the checkpoint");
    so_far[3] = page(true);
    so_far[4] = run::Event::Applied(run::Applied { changed: 1, ..run::Applied::default() });
    assert_eq!(after_a_timeout(&so_far), 0, "something changed here");
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    crate::planted::set_here(Some("a word about deletes outlives their listing"));
    let wishes = after_a_listing();
    crate::planted::set_here(None);
    assert_ne!(wishes, Some(Wishes::default()), "it is not seen");
}

/// What is wished of the run that goes on where one whose deletes were accepted is cut off after its listing.
fn after_a_listing() -> Option<Wishes> {
    let mut one = engine(Mode::Fast, Last::Never);
    assert!(begins(&handle(&mut one, Event::Ask(1, request(Mode::Fast, true)))).is_some_and(|wishes| wishes.accept_deletes));
    let mut so_far = listing().to_vec();
    so_far.push(run::Event::Completed { rejected: 0, watermark: None, reset: None });
    cut_off(&mut one, &so_far)
}

/// Whatever a person ends takes along what they had wished, also where the run was on its way to its end for another reason.
#[test]
fn a_stop_and_a_pause_take_wishes_back_whenever_they_come() {
    let lost = || Event::Conditions(Conditions { online: Some(false), ..Conditions::default() });
    let back = || Event::Conditions(Conditions { online: Some(true), ..Conditions::default() });
    let pause = || Ask::Pause { sync: "a".into(), by: None };
    let ways: [(Ask, Ask); 2] = [
        (pause(), Ask::Resume { sync: "a".into() }),
        (Ask::Stop { by: None, lease: None }, Ask::Restart { resync_stopped: false, lease: None }),
    ];
    for (ends, goes_on) in ways {
        for ends_first in [false, true] {
            let mut one = engine(Mode::Fast, Last::Never);
            let forced = Ask::RunSync(RunRequest {
                force: true,
                accept_deletes: true,
                mode: Some(Mode::Slow),
                ..RunRequest::of("a".into())
            });
            assert!(begins(&handle(&mut one, Event::Ask(1, forced))).is_some());
            handle(&mut one, Event::Run("a".into(), run::Event::Begun));
            handle(&mut one, lost());
            let end = |one: &mut Engine| {
                for event in [run::Event::Opened(Ok(())), run::Event::Finished { standing: 0 }] {
                    handle(one, Event::Run("a".into(), event));
                }
            };
            if ends_first {
                end(&mut one);
            }
            handle(&mut one, Event::Ask(2, ends.clone()));
            handle(&mut one, Event::Written(2, Ok(())));
            if !ends_first {
                end(&mut one);
            }
            assert!(one.quiet());
            handle(&mut one, back());
            let mut effects = handle(&mut one, Event::Ask(3, goes_on.clone()));
            effects.extend(handle(&mut one, Event::Written(3, Ok(()))));
            effects.extend(handle(&mut one, Event::Look));
            if begins(&effects).is_none() {
                effects.extend(handle(&mut one, Event::Ask(4, Ask::RunSync(RunRequest::of("a".into())))));
            }
            assert_eq!(begins(&effects), Some(Wishes::default()), "{ends:?} first: {ends_first}");
        }
    }
}

#[test]
fn a_cancel_takes_wishes_back() {
    let mut one = engine(Mode::Fast, Last::Never);
    handle(&mut one, Event::Ask(1, request(Mode::Slow, true)));
    handle(&mut one, Event::Run("a".into(), run::Event::Begun));
    handle(&mut one, Event::Ask(2, Ask::Cancel { sync: "a".into(), by: None }));
    handle(&mut one, Event::Run("a".into(), run::Event::Opened(Ok(()))));
    handle(&mut one, Event::Run("a".into(), run::Event::Finished { standing: 0 }));
    assert!(one.quiet());
    let next = handle(&mut one, Event::Ask(3, Ask::RunSync(RunRequest::of("a".into()))));
    assert_eq!(begins(&next), Some(Wishes::default()));
}

#[test]
fn the_mode_that_was_wished_is_known_after_a_start() {
    let mut one = engine(Mode::Refresh, Last::Stopped { began: NOW, reason: StopReason::Crash });
    assert_eq!(begins(&handle(&mut one, Event::Look)), Some(Wishes { mode: Mode::Refresh, ..Wishes::default() }));
}

#[test]
fn a_ping_is_written_down_with_a_moment_that_no_run_that_is_on_answers() {
    let mut one = engine(Mode::Fast, Last::Never);
    let marks = |effects: &[Effect]| -> Vec<Mark> {
        effects.iter().filter_map(|effect| if let Effect::Write(_, mark) = effect { Some(mark.clone()) } else { None }).collect()
    };
    let ping = |id| Event::Ask(id, Ask::Ping { syncs: vec!["a".into()], remote: None });
    let effects = handle(&mut one, ping(1));
    assert_eq!(marks(&effects), [Mark::Pinged { syncs: vec![("a".into(), NOW)] }]);
    let Some(Effect::Begin { order, .. }) = effects.iter().find(|effect| matches!(effect, Effect::Begin { .. })) else {
        panic!("it is due")
    };
    assert_eq!(order.began, NOW);
    let later = NOW.plus(Duration::from_millis(1));
    assert_eq!(marks(&handle(&mut one, ping(2))), [Mark::Pinged { syncs: vec![("a".into(), later)] }], "one more");
    let answered = handle(&mut one, Event::Written(1, Ok(())));
    assert!(answered.iter().any(|effect| matches!(effect, Effect::Answer(1, Ok(Answer::Pinged(_))))));
}

#[test]
fn a_next_run_has_its_moment_once() {
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    let at = NOW.plus(Duration::from_secs(60));
    let effects = handle(&mut one, Event::Ask(1, Ask::NextRun { sync: "a".into(), at: Some(at) }));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Write(1, Mark::Next { at: Some(written), .. }) if *written == at))
    );
    let answered = handle(&mut one, Event::Written(1, Ok(())));
    let Some(Effect::Answer(1, Ok(Answer::Next(next)))) = answered.first() else { panic!("{answered:?}") };
    assert_eq!((next.next, next.hold.as_ref().map(|hold| hold.name.as_str())), (Some(at), Some("next_run_at")));
    // Before, only who asks passes it, and it stays.
    assert_eq!(begins(&handle(&mut one, Event::Look)), None);
    let mut effects = Vec::new();
    one.handle(at, Event::Look, &mut effects);
    assert_eq!(begins(&effects), Some(Wishes::default()));
    assert_eq!(one.board().jobs["a"].next, None);
    let unknown = handle(&mut one, Event::Ask(2, Ask::NextRun { sync: "b".into(), at: None }));
    assert!(unknown.iter().any(|effect| matches!(effect, Effect::Answer(2, Err(Refusal::NotFound(..))))));
}

#[test]
fn a_run_knows_how_often_it_was_tried_and_what_held_it() {
    let plan = Plan { remote: "r".into(), ..Plan::default() };
    let job = Job::new(plan, Last::Failed { ended: NOW }, 2, NOW);
    let facts = SyncFacts {
        collection: "k".into(),
        direction: Direction::Both,
        job,
        patience: None,
        failing: Failing::default(),
        anew: false,
        wished: Mode::Fast,
    };
    let mut one = Engine::new([("a".into(), facts)].into(), None, 1, NOW);
    handle(&mut one, Event::Conditions(Conditions { online: Some(false), ..Conditions::default() }));
    assert_eq!(begins(&handle(&mut one, Event::Ask(1, request(Mode::Fast, false)))), None);
    let mut effects = Vec::new();
    let later = NOW.plus(Duration::from_secs(61));
    one.handle(later, Event::Conditions(Conditions { online: Some(true), ..Conditions::default() }), &mut effects);
    let order = effects.iter().find_map(|effect| if let Effect::Begin { order, .. } = effect { Some(order) } else { None });
    let order = order.expect("it begins");
    assert_eq!((order.attempt, &order.waited), (3, &Some((Duration::from_secs(61), "network".into()))));
}

#[test]
fn what_a_remote_said_before_the_start_holds_after_it() {
    let now = Timestamp::from_unix_ms(1_790_000_000_000);
    let facts = |remote: &str, patience: Option<(u64, u64)>| {
        let plan = Plan { remote: remote.into(), on_start: true, ..Plan::default() };
        let said = |(ago, more)| Patience {
            asked: now.minus(Duration::from_secs(ago)),
            until: now.minus(Duration::from_secs(ago)).plus(Duration::from_secs(more)),
        };
        let (job, patience) = (Job::new(plan, Last::Never, 0, now), patience.map(said));
        SyncFacts {
            collection: remote.into(),
            direction: Direction::Down,
            job,
            patience,
            failing: Failing::default(),
            anew: false,
            wished: Mode::Fast,
        }
    };
    let holds = |syncs: &[(&str, SyncFacts)]| -> Vec<bool> {
        let facts = syncs.iter().map(|(name, facts)| (Name::from(*name), facts.clone())).collect();
        let mut engine = Engine::new(facts, None, 1, now);
        engine.handle(now, Event::Look, &mut Vec::new());
        let board = engine.board();
        syncs.iter().map(|(name, _)| board.jobs[*name].running.is_none()).collect()
    };
    assert_eq!(holds(&[("a", facts("r", None))]), [false]);
    assert_eq!(holds(&[("a", facts("r", Some((10, 5))))]), [false], "it is over");
    assert_eq!(
        holds(&[("a", facts("r", Some((10, 50)))), ("b", facts("r", None)), ("c", facts("s", None))]),
        [true, true, false]
    );
    assert_eq!(holds(&[("a", facts("r", Some((10, 50)))), ("b", facts("r", Some((10, 5))))]), [true, true], "the longest holds");
    assert_eq!(holds(&[("a", facts("r", Some((4000, 90_000))))]), [false], "and no word longer than an hour");
}

#[test]
fn a_login_that_was_refused_before_the_start_is_known_until_it_is_another() {
    let job = Job::new(Plan { remote: "r".into(), ..Plan::default() }, Last::Failed { ended: NOW }, 9, NOW);
    let trouble = Trouble { name: "needs_login".into(), what: "401".into(), hint: None };
    let failing = Failing { since: Some(NOW), trouble: Some(trouble.clone()) };
    let (collection, direction) = ("k".into(), Direction::Both);
    let facts = SyncFacts { collection, direction, job, patience: None, failing, anew: false, wished: Mode::Fast };
    let mut one = Engine::new([("a".into(), facts)].into(), None, 1, NOW);
    let shown = |one: &mut Engine| one.copy().one("a", NOW).expect("it is there");
    handle(&mut one, Event::Look);
    assert_eq!((shown(&mut one).trouble, shown(&mut one).failing_since), (Some(trouble), Some(NOW)));
    let effects = handle(&mut one, Event::LoginChanged("r".into()));
    assert!(begins(&effects).is_some(), "it is tried at once, whatever the pause after the failure");
    assert_eq!(shown(&mut one).trouble, None);
}
