//! Owns: that a word about a sync which could not be written down changes nothing, and that the last word counts. Must never know: the store.

use super::{
    again::{NOW, begins, engine, handle, request},
    *,
};
use crate::run::Mode;

/// An engine of one sync whose run is on while one more is asked for under this id.
fn busy() -> (Engine, String) {
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    assert!(begins(&handle(&mut one, Event::Ask(1, request(Mode::Fast, false)))).is_some());
    let answered = handle(&mut one, Event::Ask(2, request(Mode::Slow, false)));
    let Some(Effect::Answer(2, Ok(Answer::Accepted(accepted)))) = answered.first() else { panic!("{answered:?}") };
    handle(&mut one, Event::Ask(3, Ask::WaitRun { run: accepted.run.clone() }));
    let run = accepted.run.clone();
    (one, run)
}

/// The run that is on comes to its end; the id of the one that begins then.
fn ends(engine: &mut Engine) -> Option<String> {
    let mut begun = None;
    for event in [run::Event::Begun, run::Event::Opened(Ok(())), run::Event::Finished { standing: 0 }] {
        if begun.is_none() && !engine.quiet() {
            let effects = handle(engine, Event::Run("a".into(), event));
            begun =
                effects.iter().find_map(|one| if let Effect::Begin { order, .. } = one { Some(order.run.clone()) } else { None });
        }
    }
    begun
}

fn full() -> Event {
    Event::Written(9, Err(Refusal::Internal("no room".into())))
}

fn refused(effects: &[Effect]) -> bool {
    matches!(effects.first(), Some(Effect::Answer(9, Err(_))))
}

#[test]
fn a_moment_that_could_not_be_written_down_begins_nothing() {
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    let now = |id| Event::Ask(id, Ask::NextRun { sync: "a".into(), at: Some(NOW) });
    assert_eq!(begins(&handle(&mut one, now(9))), None, "it is not written down yet");
    let effects = handle(&mut one, full());
    assert!(refused(&effects) && begins(&effects).is_none(), "{effects:?}");
    assert_eq!((one.board().jobs["a"].next, begins(&handle(&mut one, Event::Look))), (None, None));
    handle(&mut one, now(10));
    assert!(begins(&handle(&mut one, Event::Written(10, Ok(())))).is_some());
    // One that a run has taken before it was known to be written down begins no second one.
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    handle(&mut one, now(9));
    let mut effects = Vec::new();
    one.handle(NOW.plus(Duration::from_millis(1)), Event::Ask(10, request(Mode::Fast, false)), &mut effects);
    assert!(begins(&effects).is_some());
    handle(&mut one, Event::Written(9, Ok(())));
    assert_eq!((one.board().jobs["a"].next, ends(&mut one)), (None, None));
}

#[test]
fn of_two_moments_the_one_that_was_said_last_counts() {
    let next = |id, at| Event::Ask(id, Ask::NextRun { sync: "a".into(), at });
    let (soon, late) = (NOW.plus(Duration::from_secs(60)), NOW.plus(Duration::from_secs(600)));
    for (first, second) in [(Some(soon), None), (Some(soon), Some(late)), (None, Some(soon))] {
        let mut one = engine(Mode::Fast, Last::Done { began: NOW });
        handle(&mut one, next(8, first));
        handle(&mut one, next(9, second));
        handle(&mut one, Event::Written(9, Ok(())));
        let answered = handle(&mut one, Event::Written(8, Ok(())));
        assert!(matches!(answered.first(), Some(Effect::Answer(8, Ok(Answer::Next(_))))), "{answered:?}");
        assert_eq!(one.board().jobs["a"].next, second);
    }
    // One that a definition brings takes the place of what is still being written.
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    handle(&mut one, next(8, Some(soon)));
    handle(&mut one, Event::Defined([("a".into(), Defined::NextRun(late))].into()));
    handle(&mut one, Event::Written(8, Ok(())));
    assert_eq!(one.board().jobs["a"].next, Some(late));
    handle(&mut one, next(9, None));
    handle(&mut one, Event::Written(9, Ok(())));
    assert_eq!(one.board().jobs["a"].next, None);
}

#[test]
fn a_pause_of_which_nobody_knows_whether_it_was_written_stays() {
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    let unknown = |id| Event::Written(id, Err(Refusal::Unknown("the disk failed".into())));
    handle(&mut one, Event::Ask(9, Ask::Pause { sync: "a".into(), by: None }));
    assert!(refused(&handle(&mut one, unknown(9))) && one.board().jobs["a"].paused);
    handle(&mut one, Event::Ask(9, Ask::Resume { sync: "a".into() }));
    assert!(refused(&handle(&mut one, unknown(9))) && !one.board().jobs["a"].paused);
}

#[test]
fn a_pause_that_could_not_be_written_down_is_taken_back() {
    let pause = |id| Event::Ask(id, Ask::Pause { sync: "a".into(), by: None });
    let resume = |id| Event::Ask(id, Ask::Resume { sync: "a".into() });
    let told = |effects: &[Effect]| effects.iter().any(|one| matches!(one, Effect::Answer(3, _)));
    // One that is idle.
    let mut one = engine(Mode::Fast, Last::Done { began: NOW });
    handle(&mut one, pause(9));
    assert!(one.board().jobs["a"].paused, "nothing begins meanwhile");
    let effects = handle(&mut one, full());
    assert!(refused(&effects) && begins(&effects).is_none() && !one.board().jobs["a"].paused);
    // One that runs, with one more that is waited for: that begins once the run has ended.
    let (mut one, waited) = busy();
    handle(&mut one, pause(9));
    let effects = handle(&mut one, full());
    assert!(refused(&effects) && !told(&effects) && !one.board().jobs["a"].paused);
    assert_eq!(ends(&mut one), Some(waited));
    // Also where the run had ended by then.
    let (mut one, waited) = busy();
    handle(&mut one, pause(9));
    assert_eq!(ends(&mut one), None);
    let effects = handle(&mut one, full());
    let begun = effects.iter().find_map(|one| if let Effect::Begin { order, .. } = one { Some(&order.run) } else { None });
    assert_eq!(begun, Some(&waited));
    // Written down, who waits is told.
    let (mut one, _) = busy();
    handle(&mut one, pause(9));
    assert!(told(&handle(&mut one, Event::Written(9, Ok(())))));
    assert_eq!(ends(&mut one), None);
    // The second of two is written down: that one holds.
    let (mut one, _) = busy();
    handle(&mut one, pause(9));
    handle(&mut one, pause(10));
    assert!(refused(&handle(&mut one, full())));
    assert!(one.board().jobs["a"].paused);
    handle(&mut one, Event::Written(10, Ok(())));
    assert_eq!((one.board().jobs["a"].paused, ends(&mut one)), (true, None));
    // A resume is taken back as well, and what begins by it ends; what the pause ended comes back once it is written down.
    let effects = handle(&mut one, resume(11));
    assert!(begins(&effects).is_some());
    let full = || Err(Refusal::Internal("no room".into()));
    handle(&mut one, Event::Written(11, full()));
    assert_eq!((one.board().jobs["a"].paused, ends(&mut one)), (true, None));
    handle(&mut one, resume(12));
    assert!(!one.board().jobs["a"].paused);
    handle(&mut one, Event::Written(12, Ok(())));
    // In whatever order they are answered, the last that was said is in force; refused, the one before.
    for (first, written, paused) in [(10, Ok(()), true), (11, Ok(()), true), (10, full(), false), (11, full(), false)] {
        let mut one = engine(Mode::Fast, Last::Done { began: NOW });
        handle(&mut one, pause(9));
        handle(&mut one, Event::Written(9, Ok(())));
        handle(&mut one, resume(10));
        handle(&mut one, pause(11));
        let mut answers = [Event::Written(10, Ok(())), Event::Written(11, written)];
        if first == 11 {
            answers.reverse();
        }
        answers.into_iter().for_each(|answer| drop(handle(&mut one, answer)));
        assert_eq!(one.board().jobs["a"].paused, paused, "{first}");
    }
}
