//! Owns: traces in which two people, or a person and a rule, decide. Must never know: lost answers.

use mingle_core::{
    ask::{Keep, Refusal, WaitState, Write},
    policy::{Merge, OnDelete},
    record::Value,
    run::Direction,
    run::Mode,
};

use super::{
    able, careless, named, plain,
    script::{Script, play},
    with,
};
use crate::{words, world::COLLECTION};

named!(
    h06_our_own_upload_decides_no_open_conflict,
    h17_a_put_over_a_state_that_its_app_never_saw_keeps_it,
    h22_wait_tells_the_truth,
    h24_a_refused_change_waits_and_its_correction_goes_out,
    h25_without_a_base_absence_clears_nothing,
    h25_a_record_older_than_its_sync_is_pending,
    h27_the_later_of_two_edits_stands,
    h28_a_union_takes_what_either_added_and_leaves_what_either_removed,
    h28_a_text_is_merged_line_by_line,
    h30_of_a_transaction_the_part_that_is_refused_is_told,
    h32_a_decision_on_something_that_moved_is_refused,
    h34_a_sync_that_only_sends_sends_and_takes_nothing,
    h34_and_one_that_only_brings_takes_no_writes,
    h37_an_edit_of_a_record_that_was_deleted_makes_it_once,
    h37_or_goes_with_it,
);

/// At services of all kinds, under this policy.
fn under(default: Merge, script: impl Fn(&mut Script)) {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.policy.default = default), &script);
    }
}

/// `a1` is there, and an app and a colleague both write over it.
fn clash(script: &mut Script) {
    script.colleague_makes("k1", "a=a1 b=b1");
    script.syncs();
    script.passes(2_000);
    script.app_sets("k1", "a=a2");
    script.colleague_sets("k1", "a=a3");
    script.syncs();
}

#[test]
fn h06_our_own_upload_decides_no_open_conflict() {
    under(Merge::Manual, |script| {
        clash(script);
        script.conflicts_are(&["a a2 a3 open"]);
        script.app_sets("k1", "b=b2");
        script.syncs();
        script.syncs();
        script.truth_is("k1", "a=a2 b=b2");
        script.service_is(0, "k1", "a=a3 b=b2");
        script.conflicts_are(&["a a2 a3 open"]);
        script.heals();
        let done = script.resolves(None, Keep::Truth);
        script.holds(done.is_ok(), || format!("{done:?}"));
        script.sends(1, Script::syncs);
        script.heals();
        script.both_are("k1", "a=a2 b=b2");
    });
}

#[test]
fn h17_a_put_over_a_state_that_its_app_never_saw_keeps_it() {
    under(Merge::Remote, |script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.app_reads("k1");
        script.colleague_sets("k1", "b=b2");
        script.syncs();
        let (_, seq, _) = script.in_truth("k1");
        for if_seq in [false, true] {
            let refused = script.app_puts("k1", "a=a2", if_seq, false);
            let stale = matches!(refused, Err(Refusal::Stale(_, Some(at))) if at == seq);
            script.holds(stale, || format!("put with if_seq {if_seq}: {refused:?}"));
        }
        let merged = script.app_puts("k1", "a=a2", true, true);
        script.holds(merged.is_ok(), || format!("{merged:?}"));
        script.truth_is("k1", "a=a2 b=b2");
        script.heals();
        script.both_are("k1", "a=a2 b=b2");
        script.conflicts_are(&[]);
    });
}

#[test]
fn h22_wait_tells_the_truth() {
    let setup = with(able(), |setup| setup.policy.default = Merge::Remote);
    play(&setup, |script| {
        let made = script.app_makes("k1", "a=a1 b=b1");
        script.wait_says(&made, WaitState::Pending);
        script.syncs();
        script.wait_says(&made, WaitState::Done);
        let overruled = script.app_sets("k1", "a=a2");
        script.colleague_sets("k1", "a=a3");
        script.wait_says(&overruled, WaitState::Pending);
        script.syncs();
        script.wait_says(&overruled, WaitState::Overruled);
        // What was written over before it was sent is there with what is over it.
        let first = script.app_sets("k1", "b=b2");
        let second = script.app_sets("k1", "b=b3");
        script.syncs();
        script.wait_says(&first, WaitState::Done);
        script.wait_says(&second, WaitState::Done);
        let refused = script.app_sets("k1", "b=bad4");
        script.syncs();
        script.wait_says(&refused, WaitState::Rejected);
        let lost = script.app_sets("k1", "b=b5");
        script.loses_the_next_answer();
        script.syncs_until_taken(1);
        script.crashes();
        script.wait_says(&lost, WaitState::Pending);
        script.syncs();
        script.wait_says(&lost, WaitState::Done);
        script.heals();
        script.wait_says(&overruled, WaitState::Overruled);
        script.both_are("k1", "a=a3 b=b5");
    });
}

#[test]
fn h24_a_refused_change_waits_and_its_correction_goes_out() {
    under(Merge::Remote, |script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "a=bad2");
        script.app_makes("k2", "a=a5");
        script.syncs();
        script.rejections_are(&["up"]);
        script.service_is(0, "k2", "a=a5");
        let tries = |script: &Script| script.world.trace.text().matches("422 no bad values").count();
        let tried = tries(script);
        script.syncs();
        script.runs("s", Some(Mode::Slow));
        script.holds(tries(script) == tried, || "what was refused is sent again as it is".into());
        script.truth_is("k1", "a=bad2");
        script.app_sets("k1", "a=a3");
        script.syncs();
        script.both_are("k1", "a=a3");
        script.rejections_are(&[]);
        script.heals();
    });
}

#[test]
fn h25_without_a_base_absence_clears_nothing() {
    under(Merge::Remote, |script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "b=b2");
        script.runs("s", Some(Mode::Refresh));
        script.both_are("k1", "a=a1 b=b2");
        script.heals();
        script.counts_are(1, 1);
    });
}

#[test]
fn h25_a_record_older_than_its_sync_is_pending() {
    under(Merge::Remote, |script| {
        script.colleague_makes("k2", "a=a2");
        let token = script.app_makes("k1", "a=a1");
        script.wait_says(&token, WaitState::Pending);
        script.sends(1, Script::syncs);
        script.both_are("k1", "a=a1");
        script.both_are("k2", "a=a2");
        script.wait_says(&token, WaitState::Done);
        script.heals();
    });
}

#[test]
fn h27_the_later_of_two_edits_stands() {
    for setup in [able(), plain()] {
        play(&with(setup, |setup| setup.policy.default = Merge::Newest), |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            script.colleague_sets("k1", "a=a2");
            script.passes(60_000);
            script.app_sets("k1", "a=a3");
            script.syncs();
            script.both_are("k1", "a=a3");
            script.app_sets("k1", "a=a4");
            script.passes(60_000);
            script.colleague_sets("k1", "a=a5");
            script.syncs();
            script.both_are("k1", "a=a5");
            // So close that it cannot be told: the replica's.
            script.passes(60_000);
            script.colleague_sets("k1", "a=a6");
            script.passes(1_000);
            script.app_sets("k1", "a=a7");
            script.syncs();
            script.heals();
            script.both_are("k1", "a=a6");
            script.conflicts_are(&["a a3 a2", "a a4 a5", "a a7 a6"]);
        });
    }
}

/// A list of texts.
fn list(text: &str) -> Value {
    Value::List(text.split_whitespace().map(words::text).collect())
}

/// What lists hold, in order.
fn sorted(value: &Option<Value>) -> Vec<String> {
    let Some(Value::List(values)) = value else { return Vec::new() };
    let mut texts: Vec<String> = values.iter().filter_map(|value| words::canonical(Some(value))).collect();
    texts.sort();
    texts
}

#[test]
fn h28_a_union_takes_what_either_added_and_leaves_what_either_removed() {
    for setup in [able(), plain(), careless()] {
        let setup = with(setup, |setup| setup.policy.properties.insert("list".into(), Merge::Union));
        play(&setup, |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            script.app_gives("k1", "list", list("red blue old older"));
            script.syncs();
            script.passes(2_000);
            // Both remove one and add one, in another order.
            script.app_gives("k1", "list", list("blue red ours old"));
            script.colleague_gives("k1", "list", list("older theirs blue old"));
            script.syncs();
            script.comes_to_rest();
            for value in script.values_of("k1", "list") {
                script.holds(sorted(&value) == ["blue", "old", "ours", "theirs"], || format!("{value:?}"));
            }
            // Another order is no change.
            script.colleague_gives("k1", "list", list("theirs old ours blue"));
            script.sends(0, Script::syncs);
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h28_a_text_is_merged_line_by_line() {
    for setup in [able(), plain(), careless()] {
        let setup = with(setup, |setup| setup.policy.properties.insert("text".into(), Merge::Text));
        play(&setup, |script| {
            script.colleague_makes("k1", "b=b1");
            script.syncs();
            script.app_gives("k1", "text", words::text("one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n"));
            script.syncs();
            script.passes(2_000);
            // One side has other line ends, which is no change of every line.
            script.app_gives("k1", "text", words::text("ONE\r\ntwo\r\nthree\r\nfour\r\nfive\r\n"));
            script.colleague_gives("k1", "text", words::text("one\ntwo\nthree\nfour\nFIVE\n"));
            script.syncs();
            script.comes_to_rest();
            for value in script.values_of("k1", "text") {
                let Some(Value::Text(text)) = value else { return script.holds(false, || "no text".into()) };
                script.holds(text.replace('\r', "") == "ONE\ntwo\nthree\nfour\nFIVE\n", || text.clone());
            }
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h30_of_a_transaction_the_part_that_is_refused_is_told() {
    under(Merge::Remote, |script| {
        script.app_makes("k1", "a=a1");
        script.app_makes("k2", "a=a2");
        script.syncs();
        script.passes(2_000);
        let both = vec![script.app_patch("k1", "a=a3"), script.app_patch("k2", "a=bad4")];
        let written = script.app_writes(None, both);
        script.holds(written.is_ok(), || format!("{written:?}"));
        let token = written.map(|written| written.token).unwrap_or_default();
        script.wait_says(&token, WaitState::Pending);
        script.syncs();
        script.both_are("k1", "a=a3");
        script.truth_is("k2", "a=bad4");
        script.service_is(0, "k2", "a=a2");
        script.wait_says(&token, WaitState::Rejected);
        script.rejections_are(&["up"]);
        script.heals();
    });
}

#[test]
fn h32_a_decision_on_something_that_moved_is_refused() {
    under(Merge::Manual, |script| {
        clash(script);
        let (_, looked_at, _) = script.in_truth("k1");
        script.app_sets("k1", "b=b2");
        script.app_sets("k1", "a=a4");
        let refused = script.resolves(Some(looked_at), Keep::Theirs);
        script.holds(matches!(refused, Err(Refusal::Stale(..))), || format!("{refused:?}"));
        script.truth_is("k1", "a=a4 b=b2");
        let (_, now, _) = script.in_truth("k1");
        // Another property may move meanwhile.
        script.app_sets("k1", "b=b3");
        let done = script.resolves(Some(now), Keep::Truth);
        script.holds(done.is_ok(), || format!("{done:?}"));
        script.syncs();
        script.both_are("k1", "a=a4 b=b3");
        script.heals();
    });
}

#[test]
fn h34_a_sync_that_only_sends_sends_and_takes_nothing() {
    let setup = with(able(), |setup| setup.syncs[0].direction = Direction::Up);
    play(&setup, |script| {
        script.colleague_makes_as(0, Some("app-k2"), "k2", "a=a0 c=c0");
        script.app_makes("k1", "a=a1");
        script.app_makes("k2", "a=a2");
        script.syncs();
        script.service_is(0, "k1", "a=a1");
        script.service_is(0, "k2", "a=a2 c=c0");
        script.colleague_sets("k1", "b=b9");
        script.colleague_deletes("k2");
        script.syncs();
        script.truth_is("k1", "a=a1");
        script.truth_is("k2", "a=a2");
        script.runs("s", Some(Mode::Slow));
        script.syncs();
        script.service_is(0, "k2", "a=a2");
        script.app_sets("k1", "a=a3");
        script.syncs();
        script.service_is(0, "k1", "a=a3 b=b9");
        script.heals();
        script.truth_is("k1", "a=a3");
    });
}

#[test]
fn h34_and_one_that_only_brings_takes_no_writes() {
    let setup = with(able(), |setup| setup.syncs[0].direction = Direction::Down);
    play(&setup, |script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        let patch = Write::Patch { collection: COLLECTION.into(), id: "k1".into(), patch: "{}".into(), if_seq: None };
        let refused = script.app_writes(None, vec![patch]);
        script.holds(matches!(refused, Err(Refusal::ReadOnly(_))), || format!("{refused:?}"));
        script.heals();
        script.both_are("k1", "a=a1");
    });
}

#[test]
fn h37_an_edit_of_a_record_that_was_deleted_makes_it_once() {
    under(Merge::Remote, |script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(10_000);
        script.app_sets("k1", "a=a2");
        script.colleague_deletes("k1");
        // Once by the listing where it shows the end, else by the answer to the upload; and then the record is made, once.
        script.sends(1, |script| {
            script.syncs();
            script.syncs();
        });
        script.both_are("k1", "a=a2");
        script.counts_are(1, 1);
        script.conflicts_are(&["*"]);
        script.sends(0, Script::syncs);
        script.heals();
        script.counts_are(1, 1);
    });
}

#[test]
fn h37_or_goes_with_it() {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.policy.delete = OnDelete::KeepDelete), |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            script.passes(10_000);
            script.app_sets("k1", "a=a2");
            script.colleague_deletes("k1");
            script.sends(0, |script| {
                script.syncs();
                script.syncs();
            });
            script.counts_are(0, 0);
            script.conflicts_are(&["*"]);
            script.heals();
        });
    }
}
