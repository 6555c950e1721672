//! Owns: what becomes of what is here where a service has another history, in each way that it can be wished for, and over ends of the
//! process. Must never know: how a history is told from another.

use mingle_core::{ask::Keep, run::reset::How};

use super::{able, careless, named, plain, script::play, with};
use crate::{fake::lock, setup::Setup};

named!(
    r12_recover_overwrites_nothing_that_is_here,
    r12_discard_takes_what_is_there_and_says_what_went,
    r12_manual_waits_for_a_word,
    r12_what_is_not_sent_and_does_not_clash_is_sent,
    r12_a_reset_that_is_cut_off_ends_as_it_began,
    v11_what_is_not_sent_goes_on_a_word,
);

/// Services of all kinds, whose history can be told, under a sync that wishes this.
fn setups(how: How) -> [Setup; 3] {
    [able(), plain(), careless()].map(|setup| {
        with(setup, |setup| {
            setup.epochs = true;
            setup.syncs[0].reset = how;
        })
    })
}

#[test]
fn r12_recover_overwrites_nothing_that_is_here() {
    for setup in setups(How::Recover) {
        play(&setup, |script| {
            script.colleague_makes("k1", "a=a1 b=b1");
            script.colleague_makes("k2", "a=a5");
            script.syncs();
            lock(&script.world.services[0]).back_up();
            script.app_sets("k1", "a=a2");
            script.app_makes("k3", "a=a6");
            script.syncs();
            // Not sent when the service comes back from its backup.
            script.app_sets("k2", "b=b7");
            script.app_makes("k4", "a=a8");
            script.restores();
            script.syncs();
            script.conflicts_are(&["a a2 a1 open"]);
            script.truth_is("k1", "a=a2 b=b1");
            script.both_are("k2", "a=a5 b=b7");
            script.both_are("k3", "a=a6");
            script.both_are("k4", "a=a8");
            let open: Vec<String> = script.column("SELECT id FROM m_conflict WHERE open = 1");
            script.holds(open.len() == 1, || format!("it waits for a person: {open:?}"));
            let decided = script.resolves(None, Keep::Truth);
            script.holds(decided.is_ok(), || format!("{decided:?}"));
            script.heals();
            script.both_are("k1", "a=a2 b=b1");
        });
    }
}

#[test]
fn r12_discard_takes_what_is_there_and_says_what_went() {
    for setup in setups(How::Discard) {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3"] {
                script.colleague_makes(key, "a=a1");
            }
            script.syncs();
            lock(&script.world.services[0]).back_up();
            script.app_sets("k1", "a=a2");
            script.syncs();
            script.app_sets("k2", "a=a3");
            script.app_deletes("k3");
            script.app_makes("k4", "a=a4");
            script.restores();
            script.syncs();
            script.takes_it_back(&["k1", "k2", "k3", "k4"]);
            // What had been sent was nobody's to lose here any more; what was not sent is written down.
            script.both_are("k1", "a=a1");
            script.both_are("k2", "a=a1");
            script.both_are("k3", "a=a1");
            script.truth_is("k4", "gone");
            let told: Vec<String> = script.column("SELECT verdict FROM m_conflict");
            script.holds(told == ["discarded"; 3], || format!("it was written down as {told:?}"));
            script.heals();
        });
    }
}

#[test]
fn r12_manual_waits_for_a_word() {
    for setup in setups(How::Manual) {
        play(&setup, |script| {
            script.colleague_makes("k1", "a=a1");
            script.syncs();
            lock(&script.world.services[0]).back_up();
            script.app_sets("k1", "a=a2");
            script.syncs();
            script.app_makes("k2", "a=a3");
            script.restores();
            let (before, writes) = (script.world.truth(), script.writes());
            script.syncs();
            script.holds(script.world.truth() == before && script.writes() == writes, || "it was not left as it is".into());
            let name = script.history("s")[0].error.as_ref().map(|error| error.name.clone()).unwrap_or_default();
            script.holds(name == "epoch", || format!("the run ends with {name:?}"));
            script.resets(How::RecoverOrDiscard);
            script.conflicts_are(&["a a2 a1"]);
            script.both_are("k2", "a=a3");
            script.heals();
        });
    }
}

#[test]
fn r12_what_is_not_sent_and_does_not_clash_is_sent() {
    for setup in setups(How::RecoverOrDiscard) {
        play(&setup, |script| {
            for key in ["k1", "k2"] {
                script.colleague_makes(key, "a=a1 b=b1");
            }
            script.syncs();
            lock(&script.world.services[0]).back_up();
            script.app_sets("k1", "a=a2");
            script.app_deletes("k2");
            script.restores();
            script.syncs();
            script.both_are("k1", "a=a2 b=b1");
            script.truth_is("k2", "gone");
            script.conflicts_are(&[]);
            script.heals();
            script.counts_are(1, 1);
        });
    }
}

#[test]
fn r12_a_reset_that_is_cut_off_ends_as_it_began() {
    for (setup, steps) in setups(How::Discard).into_iter().flat_map(|setup| (0..24).map(move |steps| (setup.clone(), steps))) {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3"] {
                script.colleague_makes(key, "a=a1");
            }
            script.syncs();
            lock(&script.world.services[0]).back_up();
            script.app_sets("k1", "a=a2");
            script.syncs();
            script.app_sets("k2", "b=b3");
            script.app_makes("k4", "a=a4");
            script.restores();
            // What a person says holds until the end, not what the configuration says to the run that follows.
            script.asks_reset(How::Recover);
            script.steps(steps);
            let began: Vec<String> = script.column("SELECT json_extract(reset, '$.how') FROM m_sync WHERE reset IS NOT NULL");
            let over = script.history("s").iter().any(|run| run.reset.is_some());
            script.crashes();
            if began.is_empty() && !over {
                // It had not begun: the word was never heard.
                script.resets(How::Recover);
            } else {
                script.syncs();
            }
            script.syncs();
            script.conflicts_are(&["a a2 a1 open"]);
            script.truth_is("k2", "a=a1 b=b3");
            script.truth_is("k4", "a=a4");
            let decided = script.resolves(None, Keep::Theirs);
            script.holds(decided.is_ok(), || format!("{decided:?}"));
            // Whether the service made a record whose answer was lost is found out by and by.
            script.heals();
            script.both_are("k1", "a=a1");
            script.both_are("k2", "a=a1 b=b3");
            script.both_are("k4", "a=a4");
        });
    }
}

#[test]
fn v11_what_is_not_sent_goes_on_a_word() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            for key in ["k1", "k2"] {
                script.colleague_makes(key, "a=a1");
            }
            script.syncs();
            script.app_sets("k1", "a=a2");
            script.app_makes("k3", "a=a3");
            script.colleague_sets("k2", "a=a5");
            script.sends(0, |script| script.resets(How::Discard));
            script.takes_it_back(&["k1", "k3"]);
            script.both_are("k1", "a=a1");
            script.both_are("k2", "a=a5");
            script.truth_is("k3", "gone");
            let told: Vec<String> = script.column("SELECT verdict FROM m_conflict");
            script.holds(told == ["discarded"; 2], || format!("it was written down as {told:?}"));
            script.heals();
        });
    }
}
