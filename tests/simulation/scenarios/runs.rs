//! Owns: traces of runs and their places: watermarks, batches, stops, crashes, what makes a run due. Must never know: merging.

use std::time::Duration;

use mingle_core::run::Mode;
use mingled::config::OnChange;

use super::{able, careless, named, plain, script::play, with};

named!(
    h09_a_clock_that_leads_steps_over_nothing,
    h09_nor_does_one_over_what_shows_late,
    h35_what_another_remote_brought_makes_a_sync_due,
    h35_and_what_it_brought_itself_does_not,
    h38_a_run_that_a_crash_stopped_is_due_at_once,
    h38_and_steps_over_nothing,
);

#[test]
fn h09_a_clock_that_leads_steps_over_nothing() {
    for ahead in [30_000, 120_000, -60_000] {
        play(&with(plain(), |setup| setup.services[0].date_ahead = ahead), |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            for key in ["k2", "k3", "k4"] {
                script.passes(3_000);
                script.colleague_makes(key, "a=a1");
                script.syncs();
                script.both_are(key, "a=a1");
            }
            script.passes(3_000);
            script.colleague_sets("k1", "a=a2");
            script.passes(60_000);
            script.syncs();
            script.both_are("k1", "a=a2");
            script.heals();
        });
    }
}

#[test]
fn h09_nor_does_one_over_what_shows_late() {
    play(&plain(), |script| {
        script.colleague_makes("k1", "a=a1");
        script.syncs();
        script.passes(20_000);
        let late = script.colleague_makes("k2", "a=a1");
        script.shows_late(&late, 3_000);
        script.passes(2_000);
        script.colleague_makes("k3", "a=a1");
        script.syncs();
        script.counts_are(2, 3);
        script.passes(2_000);
        script.syncs();
        script.both_are("k2", "a=a1");
        script.heals();
    });
}

fn on_change() -> Option<OnChange> {
    Some(OnChange { after: Duration::from_secs(2), at_most: Duration::from_secs(30) })
}

#[test]
fn h35_what_another_remote_brought_makes_a_sync_due() {
    let setup = with(able(), |setup| {
        setup.adds_source();
        setup.syncs[0].on_change = on_change();
    });
    play(&setup, |script| {
        script.syncs();
        let runs = script.history("s").len();
        script.colleague_makes_as(1, None, "k1", "a=a1");
        script.runs("t", None);
        script.passes(3_000);
        script.rests();
        let (now, trigger) = (script.history("s").len(), script.history("s")[0].trigger.clone());
        script.holds(now == runs + 1 && trigger == "change", || format!("{now} runs after {runs}, by {trigger}"));
        script.heals();
    });
}

#[test]
fn h35_and_what_it_brought_itself_does_not() {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.syncs[0].on_change = on_change()), |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            let runs = script.history("s").len();
            for _ in 0..5 {
                script.passes(40_000);
                script.rests();
            }
            script.holds(script.history("s").len() == runs, || "it runs for what it brought".into());
            script.app_sets("k1", "a=a2");
            script.passes(3_000);
            script.rests();
            script.both_are("k1", "a=a2");
            script.holds(script.history("s").len() == runs + 1, || "an app's write is no change".into());
            script.heals();
        });
    }
}

#[test]
fn h38_a_run_that_a_crash_stopped_is_due_at_once() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3", "k4", "k5"] {
                script.colleague_makes(key, "a=a1");
            }
            script.app_makes("k9", "a=a9");
            script.asks("s", None);
            script.goes_on_until("a part is here", |script| script.world.truth().len() == 3);
            script.crashes();
            // Nobody asks.
            script.rests();
            script.counts_are(6, 6);
            let runs = script.history("s");
            let told = |at: usize| (runs[at].status.as_str(), runs[at].stop_reason.as_deref());
            script.holds(told(1) == ("stopped", Some("crash")) && told(0) == ("done", None), || format!("{runs:?}"));
            script.heals();
        });
    }
}

/// Wherever a crash or a stop falls in a listing of several pages and batches, each row comes.
#[test]
fn h38_and_steps_over_nothing() {
    for (setup, crash) in [able(), plain(), careless()].into_iter().flat_map(|setup| [(setup.clone(), true), (setup, false)]) {
        for more in [1, 3, 5] {
            play(&with(setup.clone(), |setup| setup.services[0].page_rows = 3), |script| {
                let steps = 6 * script.seed as usize + more;
                let seven = ["k1", "k2", "k3", "k4", "k5", "k6", "k7"];
                for key in seven {
                    script.colleague_makes(key, "a=a1");
                }
                script.asks("s", None);
                script.steps(steps);
                if crash {
                    script.crashes();
                } else {
                    script.world.ask_stop();
                    script.rests();
                    script.world.ask_restart(true);
                }
                script.rests();
                script.syncs();
                script.counts_are(7, 7);
                // What changes while a later listing is cut off as well.
                script.passes(2_000);
                for key in seven {
                    script.colleague_sets(key, &format!("b=b{key}"));
                }
                script.asks("s", Some(Mode::Fast));
                script.steps(steps);
                script.crashes();
                script.rests();
                script.syncs();
                for key in seven {
                    script.both_are(key, &format!("a=a1 b=b{key}"));
                }
                script.heals();
            });
        }
    }
}
