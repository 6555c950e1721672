//! Owns: traces of syncs with a filter: what comes, what leaves, and that nothing is deleted at the service. Must never know: how filters
//! are written.

use mingle_core::{
    ask::{Is, Test},
    filter::Filter,
    record::Value,
    run::Mode,
};

use super::{able, careless, named, plain, script::Script, script::play, with};

named!(
    v10_a_filter_limits_what_comes,
    v10_what_is_not_sent_does_not_leave,
    r13_a_changed_filter_looks_at_everything_anew,
    r13_a_listing_under_another_filter_does_not_go_on,
);

/// Records whose `a` is this.
pub(super) fn only(a: &str) -> Filter {
    let test = Test { property: "a".into(), is: Is::Eq(Value::Text(a.into())) };
    Filter { text: format!("a={a}"), tests: vec![test] }
}

/// At services of all kinds, with a filter from the start.
fn filtered(script: impl Fn(&mut Script)) {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.syncs[0].filter = only("a1")), &script);
    }
}

/// V-10, A-30.
#[test]
fn v10_a_filter_limits_what_comes() {
    filtered(|script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.colleague_makes("k2", "a=a2 b=b2");
        script.syncs();
        script.counts_are(1, 2);
        script.truth_is("k1", "a=a1 b=b1");
        let id = script.in_truth("k1").0;
        // One leaves, and one comes; neither is touched at the service.
        script.passes(2_000);
        script.colleague_sets("k1", "a=a3");
        script.colleague_sets("k2", "a=a1");
        script.passes(2_000);
        script.sends(0, Script::syncs);
        script.truth_is("k1", "gone");
        script.truth_is("k2", "a=a1 b=b2");
        script.sends(0, |script| script.runs("s", Some(Mode::Slow)));
        script.counts_are(1, 2);
        script.app_sets("k2", "b=b4");
        script.syncs();
        script.both_are("k2", "a=a1 b=b4");
        // It is the same record that comes back.
        script.passes(2_000);
        script.colleague_sets("k1", "a=a1");
        script.passes(2_000);
        script.syncs();
        script.truth_is("k1", "a=a1 b=b1");
        script.holds(script.in_truth("k1").0 == id, || "it has another id".into());
        script.comes_to_rest();
    });
}

/// Nothing pending is lost: what an app wrote is sent before its record leaves.
#[test]
fn v10_what_is_not_sent_does_not_leave() {
    filtered(|script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.syncs();
        script.passes(2_000);
        script.app_sets("k1", "b=b2");
        script.colleague_sets("k1", "a=a3");
        script.passes(2_000);
        script.syncs();
        script.service_is(0, "k1", "a=a3 b=b2");
        script.passes(2_000);
        script.syncs();
        script.passes(2_000);
        script.sends(0, |script| script.runs("s", Some(Mode::Slow)));
        script.truth_is("k1", "gone");
        script.counts_are(0, 1);
        // What is made here and does not fit is sent, and leaves.
        script.app_makes("k2", "a=a5");
        script.syncs();
        script.service_is(0, "k2", "a=a5");
        script.passes(2_000);
        script.runs("s", Some(Mode::Slow));
        script.counts_are(0, 2);
        script.comes_to_rest();
    });
}

/// what does not fit any more is told as left, what fits now comes, and the service keeps all of it.
#[test]
fn r13_a_changed_filter_looks_at_everything_anew() {
    filtered(|script| {
        for n in 1..5 {
            script.colleague_makes(&format!("k{n}"), &format!("a=a{} b=b{n}", 1 + n % 2));
        }
        script.syncs();
        script.counts_are(2, 4);
        script.passes(2_000);
        script.app_sets("k2", "b=b9");
        for (filter, count) in [(only("a2"), 3), (only("a3"), 0), (Filter::default(), 4), (only("a1"), 2)] {
            script.world.filters("s", filter);
            script.rests();
            script.passes(2_000);
            script.syncs();
            script.passes(60_000);
            script.syncs();
            // Under the first of them an edit goes out on the way, and its record leaves behind it.
            let here = script.world.truth().len();
            script.holds(here == count || (count == 3 && here == 2), || format!("{here} records, not {count}"));
            script.service_is(0, "k2", "a=a1 b=b9");
        }
        script.counts_are(2, 4);
        script.comes_to_rest();
    });
}

#[test]
fn r13_a_listing_under_another_filter_does_not_go_on() {
    play(&with(able(), |setup| setup.services[0].page_rows = 1), |script| {
        for n in 1..7 {
            script.colleague_makes(&format!("k{n}"), &format!("a=a{} b=b{n}", 1 + n % 2));
        }
        script.world.filters("s", only("a1"));
        script.asks("s", None);
        script.goes_on_until("some of it is here", |script| script.world.truth().len() > 1);
        script.world.filters("s", only("a2"));
        script.rests();
        script.syncs();
        let fits =
            |script: &Script| script.world.truth().iter().all(|(_, _, props)| props.get("a") == Some(&Value::Text("a2".into())));
        script.holds(fits(script), || "what does not fit is here".into());
        script.counts_are(3, 6);
        script.comes_to_rest();
    });
}
