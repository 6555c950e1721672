//! Owns: traces in which a create arrives long after its answer was given up, or twice, with the record deleted here meanwhile.
//! Must never know: rules between two people.

use mingled::store::history;

use super::{
    able, named,
    script::{Script, play},
    with,
};
use crate::{waits, world::COLLECTION};

named!(
    h12_a_create_that_arrives_after_it_was_looked_for_does_not_bring_the_record_back,
    h12_nor_one_that_the_service_has_already_when_it_is_sent_again,
    h12_nor_one_that_arrives_twice,
    h12_nor_one_that_is_deleted_before_that_is_seen,
    h12_and_one_that_has_not_arrived_is_waited_for_by_nobody,
    h12_nor_is_an_update_that_was_taken_back_before_it_arrived,
);

/// Longer than a run, and than it takes to be looked for.
const LATE: i64 = 20_000;

/// Services that take ids of ours, with conditional writes and without.
fn everywhere(script: impl Fn(&mut Script)) {
    for setup in [able(), with(able(), |setup| setup.services[0].conditional = false)] {
        play(&setup, &script);
    }
}

/// A record whose create is under way, its answer given up, and the record looked for in vain.
fn looked_for(script: &mut Script) {
    script.syncs();
    script.app_makes("k1", "a=a1");
    script.holds_the_next_create_back(LATE);
    script.asks("s", None);
    script.goes_on_until("it was looked for", |script| {
        script.world.trace.text().split_once("asked true").is_some_and(|(_, rest)| rest.contains("-> Applied"))
    });
    script.counts_are(1, 0);
}

/// The same, and it is about to be sent again when it arrives.
fn sent_again(script: &mut Script) {
    looked_for(script);
    let plans = |script: &Script| script.world.trace.text().matches("s: Plan").count();
    let before = plans(script);
    script.goes_on_until("what to send is planned", |script| plans(script) > before);
    script.passes_until_it_arrives(LATE);
}

fn is_gone(script: &mut Script) {
    script.heals();
    script.both_are("k1", "gone");
    script.conflicts_are(&[]);
    script.rejections_are(&[]);
}

#[test]
fn h12_a_create_that_arrives_after_it_was_looked_for_does_not_bring_the_record_back() {
    everywhere(|script| {
        looked_for(script);
        script.app_deletes("k1");
        script.rests();
        script.passes(LATE);
        script.syncs();
        is_gone(script);
    });
}

#[test]
fn h12_nor_one_that_the_service_has_already_when_it_is_sent_again() {
    everywhere(|script| {
        sent_again(script);
        script.app_deletes("k1");
        script.rests();
        is_gone(script);
    });
}

/// A record whose create is about to be sent, and arrives twice: what is answered is that the service has it already.
fn doubled(script: &mut Script) {
    script.syncs();
    script.app_makes("k1", "a=a1");
    script.doubles_the_next_create();
    script.syncs_until_planned();
}

#[test]
fn h12_nor_one_that_arrives_twice() {
    everywhere(|script| {
        doubled(script);
        script.goes_on_until("the service has it", |script| script.of_service(0, "k1").is_some());
        script.app_deletes("k1");
        script.rests();
        is_gone(script);
    });
}

#[test]
fn h12_nor_one_that_is_deleted_before_that_is_seen() {
    everywhere(|script| {
        doubled(script);
        let settled = |script: &Script| script.world.trace.text().matches("s -> Settled").count();
        let before = settled(script);
        script.goes_on_until("it is settled", |script| settled(script) > before);
        script.app_deletes("k1");
        script.rests();
        is_gone(script);
    });
}

/// Whoever asks how many changes wait is not told of one that nobody wants any more.
#[test]
fn h12_and_one_that_has_not_arrived_is_waited_for_by_nobody() {
    play(&able(), |script| {
        looked_for(script);
        script.app_deletes("k1");
        script.rests();
        nothing_is_pending(script);
        is_gone(script);
    });
}

fn nothing_is_pending(script: &Script) {
    let counts =
        script.world.store.read(|reader| history::counts(reader, "s", Some((COLLECTION, mingle_core::run::Creates::Unlinked))));
    let pending = counts.expect("it counts").pending;
    script.holds(pending == 0, || format!("{pending} changes wait"));
    let listed = waits::listed(&script.world, None, None);
    script.holds(listed.is_empty(), || format!("{listed:?} waits"));
}

/// Nothing differs any more, and where writes are not conditional it may still arrive.
#[test]
fn h12_nor_is_an_update_that_was_taken_back_before_it_arrived() {
    everywhere(|script| {
        script.syncs();
        script.app_makes("k1", "a=a1");
        script.syncs();
        script.app_sets("k1", "b=b1");
        script.syncs_until_planned();
        script.crashes();
        script.app_sets("k1", "b=");
        script.syncs();
        nothing_is_pending(script);
        script.heals();
        script.both_are("k1", "a=a1");
        script.conflicts_are(&[]);
        script.rejections_are(&[]);
    });
}
