//! Owns: traces in which records refer to each other: whose ids stand where, who waits for whom. Must never know: how ids are
//! translated.

use mingle_core::{ask::Write, record::Value, reference::WhenGone};

use super::{
    able, careless, named, plain,
    script::{Script, play},
    with,
};
use crate::{
    fake::lock,
    family::PARENT,
    setup::Setup,
    waits,
    words::{self, KEY},
    world::COLLECTION,
};

named!(
    h21_a_child_waits_for_its_parent_and_names_it_there,
    h21_a_lost_answer_of_a_parent_is_looked_for_first,
    h21_a_crash_between_a_parent_and_its_child,
    h21_on_the_way_down_a_child_may_come_first,
    h21_a_parent_made_anew_takes_its_children_along,
    h21_a_circle_is_made_and_then_closed,
    h21_a_row_known_by_its_identity_names_itself,
    h21_a_refused_parent_holds_its_children_back,
    h21_deletes_come_children_first,
    h21_a_reference_that_never_left_holds_no_delete,
    h21_what_is_deleted_there_with_its_children_stays_deleted,
    h21_a_child_that_names_itself_in_time_outlives_its_parent,
    v15_a_forgotten_parent_is_still_a_parent_there,
    v14_a_parent_in_draft_keeps_its_children_here,
);

fn families() -> [Setup; 3] {
    [able(), plain(), careless()].map(|setup| with_family(setup, WhenGone::Nullify))
}

pub(super) fn with_family(setup: Setup, on_delete: WhenGone) -> Setup {
    with(setup, |setup| {
        setup.refers(on_delete);
    })
}

impl Script {
    /// An app lets a record refer to another, which need not be there.
    #[track_caller]
    pub(super) fn app_refers(&mut self, key: &str, to: &str) {
        self.app_gives(key, PARENT, words::text(&format!("app-{to}")));
    }

    /// A record names another (`-`: none), in the truth by its id here, at the service by its id there.
    #[track_caller]
    fn parent_is(&self, key: &str, expect: &str) {
        let here = match self.in_truth(key).2.get(PARENT) {
            Some(Value::Text(id)) => self.world.truth().into_iter().find(|(one, ..)| one == id).map(|(_, _, props)| props),
            _ => None,
        };
        let there = match self.at_service(0, key).1.get(PARENT) {
            Some(Value::Text(id)) => lock(&self.world.services[0]).props(id).cloned(),
            _ => None,
        };
        for (place, found) in [("in the truth", here), ("at the service", there)] {
            let name = found.as_ref().and_then(words::key);
            self.equals(&format!("the parent of {key} {place}"), name.as_deref().unwrap_or("-"), expect);
        }
    }
}

#[test]
fn h21_a_child_waits_for_its_parent_and_names_it_there() {
    for setup in families() {
        play(&setup, |script| {
            // The youngest is written first, and refers to what is not there yet.
            script.app_makes("k3", "a=a3");
            script.app_refers("k3", "k2");
            script.app_makes("k2", "a=a2");
            script.app_refers("k2", "k1");
            script.sends(0, |script| {
                script.syncs();
                script.counts_are(2, 0);
            });
            script.app_makes("k1", "a=a1");
            script.sends(3, Script::syncs);
            script.parent_is("k3", "k2");
            script.parent_is("k2", "k1");
            script.heals();
            script.parent_is("k3", "k2");
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h21_a_lost_answer_of_a_parent_is_looked_for_first() {
    for setup in families() {
        play(&setup, |script| {
            script.terms.loses_answers = true;
            script.app_makes("k1", "a=a1");
            script.app_makes("k2", "a=a2");
            script.app_refers("k2", "k1");
            script.loses_the_next_answer();
            script.syncs();
            script.heals();
            script.counts_are(2, 2);
            script.parent_is("k2", "k1");
        });
    }
}

#[test]
fn h21_a_crash_between_a_parent_and_its_child() {
    for setup in families() {
        for taken in [1, 2] {
            play(&setup, |script| {
                script.app_makes("k1", "a=a1");
                script.app_makes("k2", "a=a2");
                script.app_refers("k2", "k1");
                script.syncs_until_taken(taken);
                script.crashes();
                script.heals();
                script.counts_are(2, 2);
                script.parent_is("k2", "k1");
            });
        }
    }
}

#[test]
fn h21_on_the_way_down_a_child_may_come_first() {
    for setup in families() {
        play(&setup, |script| {
            script.colleague_makes_as(0, Some("900"), "k2", "a=a2");
            script.colleague_gives("k2", PARENT, words::text("901"));
            script.syncs();
            script.app_sets("k2", "b=b2");
            script.colleague_makes_as(0, Some("902"), "k3", "a=a3");
            script.colleague_gives("k3", PARENT, words::text("900"));
            script.syncs();
            script.parent_is("k3", "k2");
            script.holds(matches!(script.in_truth("k2").2.get(PARENT), Some(Value::Map(_))), || "k2 names nobody yet".into());
            script.colleague_makes_as(0, Some("901"), "k1", "a=a1");
            script.syncs();
            script.parent_is("k2", "k1");
            script.heals();
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h21_a_parent_made_anew_takes_its_children_along() {
    for setup in families() {
        play(&setup, |script| {
            script.app_makes("k1", "a=a1");
            script.app_makes("k2", "a=a2");
            script.app_refers("k2", "k1");
            script.syncs();
            let (before, _) = script.at_service(0, "k1");
            script.app_sets("k1", "a=edited");
            script.colleague_deletes("k1");
            script.syncs();
            script.runs("s", Some(mingle_core::run::Mode::Slow));
            script.syncs();
            let (after, _) = script.at_service(0, "k1");
            script.holds(script.world.setup.services[0].client_ids || before != after, || "it was not made anew".into());
            script.parent_is("k2", "k1");
            script.conflicts_are(&["*"]);
            script.heals();
            script.parent_is("k2", "k1");
        });
    }
}

#[test]
fn h21_a_circle_is_made_and_then_closed() {
    for setup in families() {
        play(&setup, |script| {
            for key in ["k1", "k2", "k3", "k4"] {
                script.app_makes(key, "a=a1");
            }
            script.app_refers("k1", "k2");
            script.app_refers("k2", "k3");
            script.app_refers("k3", "k1");
            script.app_refers("k4", "k4");
            script.syncs();
            for (key, to) in [("k1", "k2"), ("k2", "k3"), ("k3", "k1"), ("k4", "k4")] {
                script.parent_is(key, to);
            }
            // And they go, though each names another.
            script.heals();
            for key in ["k1", "k2", "k3", "k4"] {
                script.app_deletes(key);
            }
            script.comes_to_rest();
            script.counts_are(0, 0);
        });
    }
}

#[test]
fn h21_a_row_known_by_its_identity_names_itself() {
    for setup in families() {
        let setup = with(setup, |setup| setup.policy.identity = vec![vec![KEY.to_owned()]]);
        play(&setup, |script| {
            script.app_makes("k1", "a=a1");
            script.colleague_makes_as(0, Some("900"), "k1", "a=a1");
            script.colleague_gives("k1", PARENT, words::text("900"));
            script.sends(0, Script::syncs);
            script.parent_is("k1", "k1");
            script.counts_are(1, 1);
            script.heals();
        });
    }
}

#[test]
fn h21_a_refused_parent_holds_its_children_back() {
    for setup in families() {
        play(&setup, |script| {
            script.app_makes("k1", "a=bad1");
            script.app_makes("k2", "a=a2");
            script.app_refers("k2", "k1");
            script.sends(0, Script::syncs);
            script.rejections_are(&["up"]);
            script.sends(0, Script::syncs);
            script.app_sets("k1", "a=a1");
            script.sends(2, Script::syncs);
            script.rejections_are(&[]);
            script.parent_is("k2", "k1");
            script.heals();
        });
    }
}

#[test]
fn h21_deletes_come_children_first() {
    for setup in [able(), plain(), careless()] {
        for on_delete in [WhenGone::Nullify, WhenGone::Cascade] {
            play(&with_family(setup.clone(), on_delete), |script| {
                for key in ["k1", "k2", "k3"] {
                    script.app_makes(key, "a=a1");
                }
                script.app_refers("k2", "k1");
                script.app_refers("k3", "k2");
                script.syncs();
                let ids = ["k1", "k2"].map(|key| script.at_service(0, key).0);
                script.app_deletes("k1");
                script.syncs();
                let last = ids.map(|id| lock(&script.world.services[0]).rows[&id].last().map_or(0, |version| version.rev));
                script.holds(last[1] < last[0], || format!("the child is at {}, its parent at {}", last[1], last[0]));
                match on_delete {
                    WhenGone::Cascade => script.counts_are(0, 0),
                    _ => {
                        script.counts_are(2, 2);
                        script.parent_is("k2", "-");
                        script.parent_is("k3", "k2");
                    }
                }
                script.comes_to_rest();
            });
        }
    }
}

#[test]
fn h21_a_reference_that_never_left_holds_no_delete() {
    for setup in families() {
        play(&setup, |script| {
            script.app_makes("k1", "a=a1");
            script.app_makes("k2", "a=a2");
            script.syncs();
            script.passes(10_000);
            script.app_refers("k2", "k1");
            // It is written down as sent, and never leaves.
            script.syncs_until_planned();
            script.crashes();
            script.app_deletes("k1");
            for _ in 0..3 {
                script.passes(20_000);
                script.syncs();
            }
            script.counts_are(1, 1);
            script.heals();
        });
    }
}

#[test]
fn h21_what_is_deleted_there_with_its_children_stays_deleted() {
    for setup in families() {
        play(&setup, |script| {
            script.colleague_makes_as(0, Some("900"), "k2", "a=a2");
            script.colleague_makes_as(0, Some("901"), "k1", "a=a1");
            script.colleague_gives("k2", PARENT, words::text("901"));
            script.syncs();
            script.parent_is("k2", "k1");
            script.colleague_deletes("k1");
            script.syncs();
            script.runs("s", Some(mingle_core::run::Mode::Slow));
            // What the parent's end did to the child here is nothing that the child's own end could clash with.
            script.colleague_deletes("k2");
            script.syncs();
            script.heals();
            script.counts_are(0, 0);
            script.conflicts_are(&[]);
        });
    }
}

#[test]
fn h21_a_child_that_names_itself_in_time_outlives_its_parent() {
    for setup in [able(), plain(), careless()] {
        play(&with_family(setup, WhenGone::Cascade), |script| {
            script.colleague_makes_as(0, Some("900"), "k1", "a=a1");
            script.colleague_makes_as(0, Some("901"), "k2", "a=a2");
            script.colleague_gives("k2", PARENT, words::text("900"));
            script.syncs();
            script.parent_is("k2", "k1");
            script.passes(2_000);
            script.colleague_deletes("k1");
            script.colleague_gives("k2", PARENT, words::text("901"));
            // The parent's end takes the child along here, and then its row brings it back.
            script.syncs();
            script.heals();
            script.counts_are(1, 1);
            script.parent_is("k2", "k2");
        });
    }
}

#[test]
fn v15_a_forgotten_parent_is_still_a_parent_there() {
    for setup in families() {
        play(&setup, |script| {
            script.app_makes("k1", "a=a1");
            script.syncs();
            let id = script.in_truth("k1").0;
            let forgotten = waits::forgets(&mut script.world, &id);
            script.holds(forgotten.is_ok(), || format!("{forgotten:?}"));
            script.app_makes("k2", "a=a2");
            script.app_gives("k2", PARENT, words::text(&id));
            script.sends(1, Script::syncs);
            let named = match script.at_service(0, "k2").1.get(PARENT) {
                Some(Value::Text(there)) => lock(&script.world.services[0]).props(there).and_then(words::key),
                _ => None,
            };
            script.equals("the parent of k2 at the service", named.as_deref().unwrap_or("-"), "k1");
            // Another row of it brings the same record back.
            script.passes(2_000);
            script.colleague_sets("k1", "a=a3");
            script.syncs();
            script.parent_is("k2", "k1");
            script.heals();
        });
    }
}

#[test]
fn v14_a_parent_in_draft_keeps_its_children_here() {
    for setup in families() {
        play(&setup, |script| {
            script.app_makes("k1", "a=a1");
            script.app_makes("k2", "a=a2");
            script.app_refers("k2", "k1");
            script.syncs();
            let id = script.in_truth("k1").0;
            let delete = Write::Delete { collection: COLLECTION.into(), id, if_seq: None };
            let written = script.app_writes(None, vec![delete.deferred(true)]);
            script.holds(written.is_ok(), || format!("{written:?}"));
            script.sends(0, Script::syncs);
            script.counts_are(1, 2);
            waits::uploads(&mut script.world, None);
            script.comes_to_rest();
            script.counts_are(1, 1);
            script.parent_is("k2", "-");
        });
    }
}
