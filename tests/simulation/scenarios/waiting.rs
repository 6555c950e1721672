//! Owns: traces of what waits to be sent: deferred, taken back, forgotten, edited while it is on its way. Must never know: merging.

use mingle_core::{
    ask::{Refusal, WaitState},
    pending::State,
    policy::Merge,
    run::Mode,
};

use super::{able, careless, named, plain, script::Script, script::play, with};
use crate::waits;

named!(
    s37_an_edit_while_its_record_is_in_flight_stays_and_goes_next,
    v12_taking_back_restores_what_was_agreed,
    v12_what_is_in_flight_is_not_taken_back,
    v13_each_change_is_in_one_list,
    v14_what_is_deferred_stays_until_it_is_marked,
    v14_a_draft_under_a_conflict_stays_a_draft,
    v14_what_comes_in_meets_what_is_deferred,
    v15_a_forgotten_record_stays_at_its_service,
    v15_and_comes_back_when_it_changes_there,
);

/// At services of all kinds.
fn everywhere(script: impl Fn(&mut Script)) {
    for setup in [able(), plain(), careless()] {
        play(&setup, &script);
    }
}

impl Script {
    /// What is listed as pending: `KEY state`, by key.
    #[track_caller]
    fn pending_is(&self, expect: &[&str]) {
        let keys = |id: &str| id.strip_prefix("app-").unwrap_or(id).to_owned();
        let mut told: Vec<String> = waits::listed(&self.world, None, None)
            .into_iter()
            .map(|(id, state)| format!("{} {}", keys(&id), state.name()))
            .collect();
        told.sort();
        self.holds(told == expect, || format!("pending is {told:?}, not {expect:?}"));
        let wrong = waits::wrong(&self.world);
        self.holds(wrong.is_empty(), || wrong.join("\n"));
    }

    /// What an app writes next is marked not for upload.
    #[track_caller]
    fn defers(&mut self, key: &str, text: &str) -> String {
        let patch = self.app_patch(key, text);
        let written = self.app_writes(None, vec![patch.deferred(true)]);
        self.holds(written.is_ok(), || format!("{written:?}"));
        written.expect("just asked").token
    }
}

/// S-37: at any moment each change is in one list.
#[test]
fn v13_each_change_is_in_one_list() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1");
        script.app_makes("k2", "a=a2");
        script.pending_is(&["k1 pending", "k2 pending"]);
        script.syncs();
        script.pending_is(&[]);
        script.passes(2_000);
        script.app_sets("k1", "a=bad3");
        script.syncs();
        script.pending_is(&["k1 rejected"]);
        script.defers("k2", "a=a4");
        script.pending_is(&["k1 rejected", "k2 deferred"]);
        script.app_makes("k3", "a=a5");
        script.syncs_until_planned();
        script.pending_is(&["k1 rejected", "k2 deferred", "k3 in_flight"]);
        script.crashes();
        script.pending_is(&["k1 rejected", "k2 deferred", "k3 awaiting_ack"]);
        for _ in 0..3 {
            script.passes(60_000);
            script.syncs();
        }
        script.app_deletes("k3");
        script.app_sets("k1", "a=a6");
        script.pending_is(&["k1 pending", "k2 deferred", "k3 pending"]);
        script.syncs();
        script.pending_is(&["k2 deferred"]);
        waits::uploads(&mut script.world, None);
        script.heals();
        script.pending_is(&[]);
        script.both_are("k1", "a=a6");
        script.both_are("k2", "a=a4");
    });
}

/// V-14: not by a run of any kind, not by another app's write, not by a restart.
#[test]
fn v14_what_is_deferred_stays_until_it_is_marked() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        let kept = script.defers("k1", "a=a2");
        for mode in [None, Some(Mode::Slow)] {
            script.sends(0, |script| script.runs("s", mode));
        }
        script.sends(0, Script::rebuilds);
        script.wait_says(&kept, WaitState::Pending);
        script.crashes();
        script.sends(0, Script::syncs);
        // Somebody else's edit of it is no word to publish the draft.
        script.app_sets("k1", "b=b2");
        script.sends(0, Script::syncs);
        script.service_is(0, "k1", "a=a1 b=b1");
        script.pending_is(&["k1 deferred"]);
        let id = script.in_truth("k1").0;
        let marked = waits::uploads(&mut script.world, Some(&id));
        script.holds(marked == 1, || "it was not marked".into());
        script.sends(1, Script::syncs);
        script.wait_says(&kept, WaitState::Done);
        script.heals();
        script.both_are("k1", "a=a2 b=b2");
    });
}

/// What an open conflict holds is not sent, and is no reason to take the mark off: a delete there lets go of it.
#[test]
fn v14_a_draft_under_a_conflict_stays_a_draft() {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.policy.default = Merge::Manual), |script: &mut Script| {
            script.app_makes("k1", "a=a1 b=b1");
            script.syncs();
            script.passes(2_000);
            script.app_sets("k1", "a=a2");
            script.colleague_sets("k1", "a=a3");
            script.syncs();
            script.conflicts_are(&["a a2 a3 open"]);
            script.defers("k1", "a=a4");
            script.passes(2_000);
            script.sends(0, Script::syncs);
            script.colleague_deletes("k1");
            script.passes(2_000);
            script.sends(0, |script| script.runs("s", Some(Mode::Slow)));
            script.sends(0, Script::syncs);
            let id = script.in_truth("k1").0;
            let marked = waits::uploads(&mut script.world, Some(&id));
            script.holds(marked == 1, || "the mark is gone".into());
            script.heals();
        });
    }
}

#[test]
fn v14_what_comes_in_meets_what_is_deferred() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.defers("k1", "a=a2");
        script.colleague_sets("k1", "b=b3");
        script.passes(2_000);
        script.syncs();
        script.truth_is("k1", "a=a2 b=b3");
        script.service_is(0, "k1", "a=a1 b=b3");
        // The colleague comes to the same value: there is nothing to keep back any more.
        script.colleague_sets("k1", "a=a2");
        script.passes(2_000);
        script.syncs();
        script.pending_is(&[]);
        script.app_sets("k1", "b=b4");
        script.sends(1, Script::syncs);
        script.heals();
        script.both_are("k1", "a=a2 b=b4");
    });
}

/// S-37: "edit while upload in flight stays pending".
#[test]
fn s37_an_edit_while_its_record_is_in_flight_stays_and_goes_next() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=a2");
        script.syncs_until_taken(1);
        script.app_sets("k1", "b=b2");
        script.pending_is(&["k1 in_flight"]);
        script.rests();
        script.syncs();
        script.pending_is(&[]);
        script.heals();
        script.both_are("k1", "a=a2 b=b2");
        script.conflicts_are(&[]);
    });
}

#[test]
fn v12_taking_back_restores_what_was_agreed() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1 b=b1");
        script.app_makes("k2", "a=a3");
        script.syncs();
        script.passes(2_000);
        let (one, two) = (script.in_truth("k1").0, script.in_truth("k2").0);
        script.app_sets("k1", "a=a2");
        script.app_deletes("k2");
        script.app_makes("k3", "a=a4");
        script.pending_is(&["k1 pending", "k2 pending", "k3 pending"]);
        let done = waits::rolls_back(&mut script.world, Some(&one));
        script.holds(done.as_ref().is_ok_and(|done| done.written.writes.len() == 1), || format!("{done:?}"));
        script.truth_is("k1", "a=a1 b=b1");
        script.pending_is(&["k2 pending", "k3 pending"]);
        let done = waits::rolls_back(&mut script.world, None);
        script.holds(done.as_ref().is_ok_and(|done| done.left.is_empty()), || format!("{done:?}"));
        script.truth_is("k2", "a=a3");
        script.truth_is("k3", "gone");
        script.holds(script.of_truth("k2").is_some_and(|(id, ..)| id == two), || "it has another id".into());
        script.pending_is(&[]);
        script.sends(0, Script::syncs);
        script.sends(0, |script| script.runs("s", Some(Mode::Slow)));
        script.counts_are(2, 2);
        let again = waits::rolls_back(&mut script.world, Some(&one));
        script.holds(matches!(again, Err(Refusal::WrongState(..))), || format!("{again:?}"));
        script.takes_it_back(&["k1", "k2", "k3"]);
        script.heals();
    });
}

#[test]
fn v12_what_is_in_flight_is_not_taken_back() {
    everywhere(|script| {
        script.app_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        let id = script.in_truth("k1").0;
        script.app_sets("k1", "a=a2");
        script.syncs_until_taken(1);
        let refused = waits::rolls_back(&mut script.world, Some(&id));
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        let left = waits::rolls_back(&mut script.world, None);
        script.holds(left.as_ref().is_ok_and(|done| done.left.len() == 1), || format!("{left:?}"));
        script.crashes();
        script.pending_is(&["k1 awaiting_ack"]);
        let refused = waits::rolls_back(&mut script.world, Some(&id));
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        script.passes(60_000);
        script.syncs();
        script.heals();
        script.both_are("k1", "a=a2");
    });
}

/// V-15: the service is not touched, and no listing brings it back.
#[test]
fn v15_a_forgotten_record_stays_at_its_service() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.colleague_makes("k2", "a=a2");
        script.syncs();
        script.passes(2_000);
        let (id, _, before) = script.in_truth("k1");
        let done = waits::forgets(&mut script.world, &id);
        script.holds(done.is_ok(), || format!("{done:?}"));
        for mode in [None, Some(Mode::Slow), Some(Mode::Refresh)] {
            script.sends(0, |script| script.runs("s", mode));
            script.truth_is("k1", "gone");
            script.passes(60_000);
        }
        script.sends(0, Script::rebuilds);
        script.truth_is("k1", "gone");
        script.pending_is(&[]);
        script.service_is(0, "k1", "a=a1");
        script.app_sets("k2", "a=a3");
        let (other, ..) = script.in_truth("k2");
        let refused = waits::forgets(&mut script.world, &other);
        script.holds(matches!(refused, Err(Refusal::WrongState(..))), || format!("{refused:?}"));
        // An app that writes it again brings it back, and it is one record with that of the service.
        let written = script.app_writes(None, vec![super::script::put_again(&id, &before, "a=a4")]);
        script.holds(written.is_ok(), || format!("{written:?}"));
        script.tells_of_edit(&before, "a", "a4");
        script.syncs();
        script.heals();
        script.both_are("k1", "a=a4");
        script.both_are("k2", "a=a3");
    });
}

#[test]
fn v15_and_comes_back_when_it_changes_there() {
    everywhere(|script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        let (id, ..) = script.in_truth("k1");
        let done = waits::forgets(&mut script.world, &id);
        script.holds(done.is_ok(), || format!("{done:?}"));
        script.syncs();
        script.colleague_sets("k1", "a=a2");
        script.passes(2_000);
        script.syncs();
        script.heals();
        script.both_are("k1", "a=a2");
        script.holds(script.in_truth("k1").0 == id, || "it has another id".into());
        script.holds(waits::listed(&script.world, None, Some(State::Pending)).is_empty(), || "something is pending".into());
    });
}
