//! Owns: traces in which an answer is lost, late, thin or of the service's own form. Must never know: rules between two people.

use mingle_core::{
    ask::{Refusal, WaitState, Write},
    record::Props,
    run::Mode,
};
use mingled::json;

use super::{
    able, careless, named, plain,
    script::{Script, play, props},
    with,
};
use crate::{words, world::COLLECTION};

named!(
    h01_a_lost_answer_makes_us_nobodys_enemy,
    h01_nor_does_one_after_the_truth_returned_to_what_it_was,
    h02_what_a_service_does_not_have_is_no_absence,
    h02_nor_is_what_an_answer_does_not_show,
    h02_nor_is_an_edit_made_while_an_upload_is_under_way_there_with_it,
    h07_a_stale_listing_does_not_undo_our_own_write,
    h08_the_same_stamp_is_not_the_same_content,
    h08_nor_does_it_let_us_overwrite_anybody,
    h12_a_create_whose_answer_was_lost_is_found_by_the_next_listing,
    h12_nor_does_a_crash_double_it,
    h16_what_a_service_writes_its_own_way_is_sent_once,
    h16_and_two_of_them_come_to_rest,
    h29_an_op_repeated_after_a_crash_is_done_once,
);

/// Services of all kinds: what is said here holds at each.
fn everywhere(script: impl Fn(&mut Script)) {
    for setup in [able(), plain(), careless()] {
        play(&setup, &script);
    }
}

#[test]
fn h01_a_lost_answer_makes_us_nobodys_enemy() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.app_sets("k1", "a=a2");
        script.syncs_until_taken(1);
        script.app_sets("k1", "a=a3");
        script.crashes();
        script.syncs();
        script.heals();
        script.both_are("k1", "a=a3");
        script.conflicts_are(&[]);
    });
}

#[test]
fn h01_nor_does_one_after_the_truth_returned_to_what_it_was() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.app_sets("k1", "a=a2");
        script.syncs_until_taken(1);
        script.app_sets("k1", "a=a1");
        script.crashes();
        script.syncs();
        script.both_are("k1", "a=a1");
        script.heals();
        script.both_are("k1", "a=a1");
        script.conflicts_are(&[]);
    });
}

#[test]
fn h02_what_a_service_does_not_have_is_no_absence() {
    for setup in [able(), plain(), careless()] {
        let setup = with(setup, |setup| setup.services[0].lacks = Some("own"));
        play(&setup, |script| {
            script.app_makes("k1", "a=a1 own=o1");
            script.syncs();
            script.service_is(0, "k1", "a=a1");
            script.colleague_sets("k1", "a=a2");
            script.syncs();
            script.truth_is("k1", "a=a2 own=o1");
            script.app_gives("k1", "own", words::text("o2"));
            script.sends(0, Script::syncs);
            script.heals();
            script.truth_is("k1", "a=a2 own=o2");
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h02_nor_is_what_an_answer_does_not_show() {
    for setup in [able(), plain(), careless()] {
        let setup = with(setup, |setup| setup.services[0].silent = 1);
        play(&setup, |script| {
            script.colleague_makes("k1", "a=a1 b=b1");
            script.syncs();
            script.app_sets("k1", "a=a2");
            script.syncs();
            script.both_are("k1", "a=a2 b=b1");
            script.heals();
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h02_nor_is_an_edit_made_while_an_upload_is_under_way_there_with_it() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=a2");
        script.syncs_until_taken(1);
        let token = script.app_sets("k1", "b=b2 c=c2");
        script.goes_on_until("the rest is there", |script| {
            let there = script.at_service(0, "k1").1.contains_key("c");
            if !there {
                script.wait_says(&token, WaitState::Pending);
            }
            there
        });
        script.rests();
        script.both_are("k1", "a=a2 b=b2 c=c2");
        script.wait_says(&token, WaitState::Done);
        script.heals();
        script.conflicts_are(&[]);
    });
}

#[test]
fn h07_a_stale_listing_does_not_undo_our_own_write() {
    everywhere(|script| {
        let id = script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=a2");
        script.syncs();
        script.shows_late(&id, 20_000);
        script.sends(0, |script| {
            script.syncs();
            script.runs("s", Some(Mode::Slow));
        });
        script.both_are("k1", "a=a2");
        script.heals();
        script.both_are("k1", "a=a2");
        script.conflicts_are(&[]);
    });
}

#[test]
fn h08_the_same_stamp_is_not_the_same_content() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=a2");
        script.syncs();
        script.colleague_sets("k1", "a=a3");
        script.syncs();
        script.both_are("k1", "a=a3");
        script.heals();
        script.conflicts_are(&[]);
    });
}

#[test]
fn h08_nor_does_it_let_us_overwrite_anybody() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=a2");
        script.syncs();
        script.app_sets("k1", "a=a4");
        // After the listing, before the upload: only a guarded write sees it.
        script.syncs_until_planned();
        script.colleague_sets("k1", "a=a3");
        script.rests();
        script.heals();
        script.both_are("k1", "a=a3 b=b1");
        script.conflicts_are(&["a a4 a3"]);
    });
}

#[test]
fn h12_a_create_whose_answer_was_lost_is_found_by_the_next_listing() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1");
        script.loses_the_next_answer();
        script.syncs();
        script.syncs();
        script.counts_are(1, 1);
        script.heals();
        script.both_are("k1", "a=a1");
        script.counts_are(1, 1);
        script.rejections_are(&[]);
    });
}

#[test]
fn h12_nor_does_a_crash_double_it() {
    everywhere(|script| {
        script.syncs();
        script.app_makes("k1", "a=a1");
        script.syncs_until_taken(1);
        script.crashes();
        script.app_sets("k1", "a=a2");
        script.syncs();
        script.counts_are(1, 1);
        script.heals();
        script.both_are("k1", "a=a2");
        script.counts_are(1, 1);
        script.rejections_are(&[]);
    });
}

#[test]
fn h16_what_a_service_writes_its_own_way_is_sent_once() {
    for setup in [able(), plain(), careless()] {
        let setup = with(setup, |setup| (setup.services[0].tidies, setup.services[0].adds) = (true, true));
        play(&setup, |script| {
            script.app_makes("k1", "a=A1");
            script.sends(1, Script::syncs);
            script.app_sets("k1", "a=A2");
            script.sends(1, Script::syncs);
            script.sends(0, |script| {
                script.syncs();
                script.runs("s", Some(Mode::Slow));
            });
            script.both_are("k1", "a=a2 srv=made here");
            script.heals();
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h16_and_two_of_them_come_to_rest() {
    let setup = with(able(), |setup| {
        setup.adds_source();
        setup.services.iter_mut().for_each(|character| (character.tidies, character.adds) = (true, true));
    });
    play(&setup, |script| {
        script.colleague_makes_as(1, None, "k1", "a=A1");
        script.app_makes("k2", "a=A2");
        script.runs("t", None);
        script.sends(1, Script::syncs);
        script.sends(0, |script| {
            script.runs("t", Some(Mode::Slow));
            script.syncs();
        });
        script.truth_is("k1", "a=a1 srv=made here");
        script.heals();
        script.conflicts_are(&[]);
    });
}

#[test]
fn h29_an_op_repeated_after_a_crash_is_done_once() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        let patch = script.app_patch("k1", "a=a2");
        let first = script.app_writes(Some("once"), vec![patch.clone()]);
        script.crashes();
        script.app_sets("k1", "a=a3");
        let again = script.app_writes(Some("once"), vec![patch]);
        script.holds(first.is_ok() && first == again, || format!("{first:?}, then {again:?}"));
        script.truth_is("k1", "a=a3");
        let (id, ..) = script.in_truth("k1");
        let other = |patch: &Props| Write::Patch {
            collection: COLLECTION.into(),
            id: id.clone(),
            patch: json::write(patch),
            if_seq: None,
        };
        let reused = script.app_writes(Some("once"), vec![other(&props("a=a4"))]);
        script.holds(matches!(reused, Err(Refusal::OpReused(_))), || format!("another write under a known op: {reused:?}"));
        script.heals();
        script.both_are("k1", "a=a3");
    });
}
