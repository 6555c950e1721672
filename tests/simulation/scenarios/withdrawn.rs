//! Owns: what of a record that several remotes have, or are to have, may be taken back, forgotten or left here. Must never know: who makes a
//! record where.

use mingle_core::{
    ask::{Refusal, Resolution},
    run::{Creates, Direction, Mode},
};

use super::{able, filtered::only, mirrors::second, named, plain, script::play, with};
use crate::waits;

named!(
    v15_what_a_mirror_lacks_is_neither_taken_back_nor_forgotten,
    v15_an_edit_is_taken_back_at_both,
    v15_what_only_came_is_not_taken_back_for_a_mirror,
    v15_a_delete_that_one_has_taken_is_nothing_to_take_back,
    h32_what_a_mirror_refuses_is_not_deleted_at_the_others,
    h33_nothing_leaves_by_a_filter_before_all_have_it,
    h16_what_was_forgotten_stays_so_in_either_form,
);

#[test]
fn v15_what_a_mirror_lacks_is_neither_taken_back_nor_forgotten() {
    play(&second(able(), Creates::All), |script| {
        script.colleague_makes("k1", "a=a1");
        script.runs("s", None);
        let (id, ..) = script.in_truth("k1");
        let refused = waits::rolls_back(&mut script.world, Some(&id));
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        let left = waits::rolls_back(&mut script.world, None);
        script.holds(left.as_ref().is_ok_and(|done| done.written.writes.is_empty() && done.left.len() == 1), || {
            format!("{left:?}")
        });
        let refused = waits::forgets(&mut script.world, &id);
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        script.runs("t", None);
        script.counts_at(1, &[1, 1]);
        script.heals();
    });
}

#[test]
fn v15_an_edit_is_taken_back_at_both() {
    for first in ["s", "t"] {
        play(&second(able(), Creates::All), |script| {
            script.app_makes("k1", "a=a1");
            script.runs("s", None);
            script.runs("t", None);
            script.app_sets("k1", "a=a2");
            let (id, ..) = script.in_truth("k1");
            let done = waits::rolls_back(&mut script.world, Some(&id));
            script.holds(done.is_ok(), || format!("{done:?}"));
            script.takes_it_back(&["k1"]);
            script.sends(0, |script| {
                script.runs(first, None);
                script.runs("s", None);
                script.runs("t", None);
            });
            script.is_at(0, "k1", "a=a1");
            script.is_at(1, "k1", "a=a1");
            // One of two has taken an edit: taken back, it goes back there too.
            script.app_sets("k1", "a=a3");
            script.runs(first, None);
            let done = waits::rolls_back(&mut script.world, Some(&id));
            script.holds(done.is_ok(), || format!("{done:?}"));
            script.takes_it_back(&["k1"]);
            script.runs("s", None);
            script.runs("t", None);
            script.is_at(0, "k1", "a=a1");
            script.is_at(1, "k1", "a=a1");
            script.heals();
        });
    }
}

#[test]
fn v15_what_only_came_is_not_taken_back_for_a_mirror() {
    let setup = with(second(able(), Creates::All), |setup| {
        setup.syncs[0].direction = Direction::Down;
        setup.syncs[0].creates = Creates::Never;
    });
    play(&setup, |script| {
        script.colleague_makes("k1", "a=a1");
        script.runs("s", None);
        let (id, ..) = script.in_truth("k1");
        let refused = waits::rolls_back(&mut script.world, Some(&id));
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        script.runs("t", None);
        script.counts_at(1, &[1, 1]);
        script.comes_to_rest();
    });
}

#[test]
fn v15_a_delete_that_one_has_taken_is_nothing_to_take_back() {
    play(&second(able(), Creates::All), |script| {
        script.app_makes("k1", "a=a1");
        script.runs("s", None);
        script.runs("t", None);
        let (id, ..) = script.in_truth("k1");
        script.app_deletes("k1");
        script.runs("s", None);
        // The second has it yet: taken back, it is made anew at the first.
        let done = waits::rolls_back(&mut script.world, Some(&id));
        script.holds(done.is_ok(), || format!("{done:?}"));
        script.takes_it_back(&["k1"]);
        script.truth_is("k1", "a=a1");
        script.runs("s", None);
        script.runs("t", None);
        script.counts_at(1, &[1, 1]);
        script.comes_to_rest();
        script.counts_at(1, &[1, 1]);
    });
}

/// Whoever takes back what a mirror does not take would delete it wherever else it is.
#[test]
fn h32_what_a_mirror_refuses_is_not_deleted_at_the_others() {
    play(&second(able(), Creates::All), |script| {
        script.colleague_makes("k1", "a=bad1");
        script.runs("s", None);
        script.runs("t", None);
        script.rejections_are(&["up"]);
        let refused = script.decides(Resolution::Rollback);
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        script.runs("s", None);
        script.counts_at(1, &[1, 0]);
        script.passes(5_000);
        script.colleague_sets("k1", "a=a2");
        script.runs("s", None);
        script.runs("t", None);
        script.counts_at(1, &[1, 1]);
        script.heals();
    });
}

#[test]
fn h33_nothing_leaves_by_a_filter_before_all_have_it() {
    for (filtered, first, then) in [("t", "t", "s"), ("s", "s", "t")] {
        let setup = with(second(able(), Creates::All), |setup| {
            let sync = setup.syncs.iter_mut().find(|sync| sync.name == filtered).expect("one of the two");
            sync.filter = only("open");
        });
        play(&setup, |script| {
            script.app_makes("k1", "a=closed");
            for sync in [first, first, then, first, then] {
                script.passes(20_000);
                script.runs(sync, None);
            }
            script.counts_at(1, &[1, 1]);
            script.heals();
        });
    }
}

#[test]
fn h16_what_was_forgotten_stays_so_in_either_form() {
    let setup = with(second(plain(), Creates::All), |setup| {
        (setup.services[1].tidies, setup.services[1].shouts) = (true, true);
    });
    play(&setup, |script| {
        script.colleague_makes("k1", "a=a1");
        for sync in ["s", "t", "s", "t"] {
            script.passes(20_000);
            script.runs(sync, None);
        }
        script.service_is(1, "k1", "a=A1");
        let (id, ..) = script.in_truth("k1");
        let done = waits::forgets(&mut script.world, &id);
        script.holds(done.is_ok(), || format!("{done:?}"));
        for mode in [Mode::Slow, Mode::Refresh] {
            script.passes(20_000);
            script.runs("t", Some(mode));
            script.counts_at(0, &[1, 1]);
        }
        script.comes_to_rest();
        script.counts_at(0, &[1, 1]);
    });
}
