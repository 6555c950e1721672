//! Owns: traces in which rows are missing, strange, doubled or back again: which record is which, deletes, ghosts, epochs. Must
//! never know: how two edits of one property are merged.

use mingle_core::run::Mode;

use super::{
    able, careless, named, plain,
    script::{Script, play},
    with,
};
use crate::{fake::lock, service::Faults, setup::Setup, words::KEY};

named!(
    h03_a_record_of_another_remote_is_not_made_here,
    h04_a_refresh_keeps_the_ids_and_doubles_nothing,
    h04_a_rebuild_keeps_the_ids_and_what_is_not_sent,
    h05_links_of_another_address_are_not_used,
    h10_not_shown_to_us_is_not_gone,
    h13_two_rows_of_one_identity_are_two_records,
    h13_what_lacks_its_identity_matches_nothing,
    h13_what_a_first_listing_steps_over_is_met_before_it_is_made,
    h13_an_app_may_have_taken_the_id_of_a_row,
    h14_a_row_that_a_listing_leaves_out_is_asked_for,
    h14_what_a_service_forgets_to_tell_is_found_by_a_whole_listing,
    h14_an_empty_listing_deletes_nothing,
    h15_a_late_row_of_a_deleted_record_is_no_new_record,
    h15_nor_is_one_of_a_former_id,
    h18_a_row_that_cannot_be_read_is_fetched_again,
    h20_a_restored_backup_takes_no_days_work_back_unrecorded,
    h20_and_too_much_of_it_waits_for_a_person,
);

#[test]
fn h03_a_record_of_another_remote_is_not_made_here() {
    play(&with(able(), Setup::adds_source), |script| {
        for key in ["k1", "k2", "k3"] {
            script.colleague_makes_as(1, None, key, "a=a1");
        }
        script.app_makes("k9", "a=a9");
        script.runs("t", None);
        script.sends(1, |script| {
            script.syncs();
            script.runs("s", Some(Mode::Slow));
        });
        script.counts_are(4, 1);
        script.heals();
        script.counts_are(4, 1);
    });
}

#[test]
fn h04_a_refresh_keeps_the_ids_and_doubles_nothing() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3"] {
                script.colleague_makes(key, "a=a1");
            }
            script.app_makes("k4", "a=a4");
            script.syncs();
            script.sends(0, |script| {
                script.runs("s", Some(Mode::Refresh));
                script.syncs();
            });
            script.counts_are(4, 4);
            script.heals();
            script.counts_are(4, 4);
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h04_a_rebuild_keeps_the_ids_and_what_is_not_sent() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3"] {
                script.colleague_makes(key, "a=a1");
            }
            script.app_makes("k4", "a=a4");
            script.syncs();
            // An edit, a delete and a record that are not sent yet, and what the service has since.
            script.app_sets("k1", "b=b1");
            script.app_deletes("k2");
            script.app_makes("k5", "a=a5");
            script.colleague_sets("k1", "a=a2");
            script.rebuilds();
            script.truth_is("k1", "a=a2 b=b1");
            script.truth_is("k2", "gone");
            script.truth_is("k5", "a=a5");
            script.heals();
            script.counts_are(4, 4);
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h05_links_of_another_address_are_not_used() {
    let setup = with(able(), |setup| {
        setup.services.push(setup.services[0].clone());
    });
    play(&setup, |script| {
        // Two servers, and under the same id another thing at each.
        script.colleague_makes_as(0, Some("7"), "k1", "a=a1");
        script.syncs();
        script.colleague_makes_as(1, Some("7"), "k2", "a=a2");
        script.app_sets("k1", "a=a3");
        script.world.points_at("s", 1);
        script.syncs();
        script.syncs();
        script.service_is(1, "k2", "a=a2");
        script.service_is(1, "k1", "gone");
        script.truth_is("k1", "a=a3");
        script.truth_is("k2", "a=a2");
        script.comes_to_rest();
        script.counts_are(2, 1);
        let at_second = lock(&script.world.services[1]).writes;
        script.holds(at_second == 0, || format!("{at_second} writes at another address"));
    });
}

#[test]
fn h10_not_shown_to_us_is_not_gone() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            let id = script.colleague_makes("k1", "a=a1");
            script.colleague_makes("k2", "a=a2");
            script.syncs();
            script.colleague_sets("k1", "a=a3");
            lock(&script.world.services[0]).poison(&id);
            script.syncs();
            script.rejections_are(&["down"]);
            // The token lost its scope: 404 wherever one asks.
            script.app_sets("k2", "b=b1");
            lock(&script.world.services[0]).blind = true;
            script.syncs();
            script.runs("s", Some(Mode::Slow));
            script.truth_is("k1", "a=a1");
            script.truth_is("k2", "a=a2 b=b1");
            script.conflicts_are(&[]);
            lock(&script.world.services[0]).blind = false;
            script.heals();
            script.both_are("k1", "a=a3");
            script.both_are("k2", "a=a2 b=b1");
        });
    }
}

#[test]
fn h13_two_rows_of_one_identity_are_two_records() {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.policy.identity = vec![vec![KEY.into()]]), |script| {
            script.app_makes("k1", "a=a1");
            script.colleague_makes("k1", "a=a1");
            script.sends(0, Script::syncs);
            script.counts_are(1, 1);
            // One of them is it. The next is another, and its end is not the end of the first.
            let second = script.colleague_makes("k1", "a=a2");
            script.sends(0, Script::syncs);
            script.counts_are(2, 2);
            lock(&script.world.services[0]).store(&second, None);
            script.passes(10_000);
            script.sends(0, |script| {
                script.syncs();
                script.runs("s", Some(Mode::Slow));
            });
            script.comes_to_rest();
            script.both_are("k1", "a=a1");
            script.counts_are(1, 1);
        });
    }
}

#[test]
fn h13_what_a_first_listing_steps_over_is_met_before_it_is_made() {
    for client_ids in [false, true] {
        let setup = with(plain(), |setup| {
            setup.policy.identity = vec![vec![KEY.into()]];
            (setup.services[0].page_rows, setup.services[0].client_ids) = (1, client_ids);
        });
        play(&setup, |script| {
            let ids = ["k1", "k2", "k3"].map(|key| script.colleague_makes(key, "a=a1"));
            script.app_makes("k3", "b=b3");
            // Its stamp is behind the page that is read when it is written.
            script.shows_late(&ids[2], 500);
            script.asks("s", None);
            script.goes_on_until("the listing is over", |script| script.world.trace.text().contains("s: Complete"));
            script.passes(500);
            script.rests();
            script.counts_are(3, 3);
            script.both_are("k3", "a=a1 b=b3");
            script.heals();
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h13_what_lacks_its_identity_matches_nothing() {
    for setup in [able(), plain(), careless()] {
        play(&with(setup, |setup| setup.policy.identity = vec![vec!["b".into()]]), |script| {
            script.app_makes("k1", "a=a1");
            script.colleague_makes("k2", "a=a1");
            script.syncs();
            script.heals();
            script.both_are("k1", "a=a1");
            script.both_are("k2", "a=a1");
        });
    }
}

#[test]
fn h13_an_app_may_have_taken_the_id_of_a_row() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            script.syncs();
            script.app_makes_as(Some("17"), "k1", "a=a1");
            script.colleague_makes_as(0, Some("17"), "k2", "a=a2");
            script.syncs();
            script.heals();
            script.both_are("k1", "a=a1");
            script.both_are("k2", "a=a2");
            script.counts_are(2, 2);
        });
    }
}

#[test]
fn h14_a_row_that_a_listing_leaves_out_is_asked_for() {
    play(&careless(), |script| {
        for key in ["k1", "k2", "k3"] {
            script.colleague_makes(key, "a=a1");
        }
        script.syncs();
        lock(&script.world.services[0]).faults = Faults { skips: 1, ..Faults::default() };
        script.sends(0, Script::syncs);
        script.counts_are(3, 3);
        lock(&script.world.services[0]).faults = Faults::default();
        // What is really gone goes.
        script.colleague_deletes("k2");
        script.sends(0, Script::syncs);
        script.counts_are(2, 2);
        // What we make while the listing is under way is not in it.
        script.app_makes("k4", "a=a4");
        script.sends(1, |script| {
            script.syncs();
            script.syncs();
        });
        script.counts_are(3, 3);
        script.heals();
    });
}

#[test]
fn h14_what_a_service_forgets_to_tell_is_found_by_a_whole_listing() {
    play(&able(), |script| {
        let ids = ["k1", "k2", "k3"].map(|key| script.colleague_makes(key, "a=a1"));
        script.syncs();
        script.colleague_sets("k1", "a=a2");
        script.colleague_deletes("k2");
        lock(&script.world.services[0]).untold.extend(ids);
        script.syncs();
        script.truth_is("k1", "a=a1");
        script.truth_is("k2", "a=a1");
        // It tells of changes and of deletes, and is believed for a week.
        script.passes(6 * 86_400_000);
        script.syncs();
        script.truth_is("k1", "a=a1");
        script.passes(86_400_000);
        script.sends(0, Script::syncs);
        script.both_are("k1", "a=a2");
        script.truth_is("k2", "gone");
        script.counts_are(2, 2);
        script.conflicts_are(&[]);
        script.rejections_are(&[]);
        lock(&script.world.services[0]).untold.clear();
        script.heals();
    });
}

#[test]
fn h14_an_empty_listing_deletes_nothing() {
    play(&careless(), |script| {
        for key in ["k1", "k2", "k3"] {
            script.colleague_makes(key, "a=a1");
        }
        script.syncs();
        lock(&script.world.services[0]).faults = Faults { empty: 1, ..Faults::default() };
        script.sends(0, |script| {
            script.syncs();
            script.syncs();
        });
        script.counts_are(3, 3);
        script.heals();
    });
}

#[test]
fn h15_a_late_row_of_a_deleted_record_is_no_new_record() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            let id = script.colleague_makes("k1", "a=a1");
            script.syncs();
            script.passes(2_000);
            script.app_deletes("k1");
            script.syncs();
            script.counts_are(0, 0);
            script.shows_late(&id, 20_000);
            script.sends(0, |script| {
                script.syncs();
                script.truth_is("k1", "gone");
                script.runs("s", Some(Mode::Slow));
                script.truth_is("k1", "gone");
            });
            script.heals();
            script.counts_are(0, 0);
        });
    }
}

#[test]
fn h15_nor_is_one_of_a_former_id() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            let old = script.colleague_makes("k1", "a=a1");
            script.syncs();
            script.passes(10_000);
            script.app_sets("k1", "a=a2");
            script.colleague_deletes("k1");
            script.syncs();
            script.syncs();
            // It was made anew, at some services under another id; and the end of the old one does not show yet.
            script.both_are("k1", "a=a2");
            let (new, _) = script.at_service(0, "k1");
            if new != old {
                script.shows_late(&old, 20_000);
            }
            script.sends(0, |script| {
                script.syncs();
                script.counts_are(1, 1);
                script.runs("s", Some(Mode::Slow));
                script.counts_are(1, 1);
            });
            script.heals();
            script.both_are("k1", "a=a2");
            script.counts_are(1, 1);
        });
    }
}

#[test]
fn h18_a_row_that_cannot_be_read_is_fetched_again() {
    for setup in [able(), plain(), careless()] {
        play(&setup, |script| {
            let ids = ["k1", "k2", "k3", "k4"].map(|key| script.colleague_makes(key, "a=a1"));
            lock(&script.world.services[0]).poison(&ids[1]);
            script.syncs();
            script.counts_are(3, 4);
            script.rejections_are(&["down"]);
            script.passes(60_000);
            script.syncs();
            script.counts_are(3, 4);
            script.rejections_are(&["down"]);
            lock(&script.world.services[0]).cure();
            // Under a revision that is unique per change it is what it was: that is looked at once a day.
            script.passes(86_400_000);
            script.syncs();
            script.both_are("k2", "a=a1");
            script.rejections_are(&[]);
            script.heals();
        });
    }
}

#[test]
fn h20_a_restored_backup_takes_no_days_work_back_unrecorded() {
    play(&with(able(), |setup| setup.epochs = true), |script| {
        script.colleague_makes("k1", "a=a1 b=b1");
        script.colleague_makes("k2", "a=a5");
        script.syncs();
        lock(&script.world.services[0]).back_up();
        script.app_sets("k1", "a=a2");
        script.app_makes("k3", "a=a6");
        script.syncs();
        script.both_are("k1", "a=a2 b=b1");
        script.restores();
        script.syncs();
        // Differences are decided by the policy, and each is written down; what is gone there is made again.
        script.conflicts_are(&["a a2 a1"]);
        script.heals();
        script.both_are("k1", "a=a1 b=b1");
        script.both_are("k3", "a=a6");
        script.conflicts_are(&["a a2 a1"]);
    });
}

#[test]
fn h20_and_too_much_of_it_waits_for_a_person() {
    play(&with(able(), |setup| setup.epochs = true), |script| {
        let keys: Vec<String> = (1..=12).map(|at| format!("k{at}")).collect();
        for key in &keys {
            script.colleague_makes(key, "");
        }
        script.syncs();
        lock(&script.world.services[0]).back_up();
        for key in &keys {
            script.app_sets(key, &format!("a=a{key}"));
        }
        script.syncs();
        script.restores();
        let (before, writes) = (script.world.truth(), script.writes());
        script.world.ask_run("s", None, false);
        script.rests();
        script.holds(script.world.truth() == before && script.writes() == writes, || "it was not left as it is".into());
        let name = script.history("s")[0].error.as_ref().map(|error| error.name.clone()).unwrap_or_default();
        script.holds(name == "epoch", || format!("the run ends with {name:?}"));
        // Healing insists.
        script.heals();
    });
}
