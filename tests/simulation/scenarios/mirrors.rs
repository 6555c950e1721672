//! Owns: several remotes of one collection: who makes a new record, what mirrors have, whose record a row is. Must never know: runs of one
//! remote alone.

use mingle_core::{
    ask::{WaitState, Write},
    reference::WhenGone,
    run::{Creates, Direction, Mode},
};

use super::{able, careless, families::with_family, named, plain, script::play, with};
use crate::{
    fake::lock,
    family::PARENT,
    setup::{Setup, SyncSetup},
    waits,
    words::{self, KEY},
    world::COLLECTION,
};

named!(
    h03_what_one_remote_brings_is_not_made_at_the_other,
    h03_new_records_are_made_at_home_alone,
    h03_a_mirror_makes_what_others_bring_and_make,
    h03_a_mirror_that_is_first_keeps_the_place_at_home,
    h03_who_becomes_a_mirror_makes_what_was_there_before,
    h13_a_mirror_knows_its_records_by_identity,
    h13_and_takes_none_that_has_a_place_there,
    h13_who_is_no_mirror_takes_nothing_of_others,
    h21_what_one_remote_alone_knows_holds_nothing_up_at_another,
    h04_a_place_at_another_address_is_none_here,
    h03_who_is_a_mirror_no_more_makes_nothing_more,
    h03_a_place_kept_is_not_let_go_by_who_only_brings,
    h04_who_goes_elsewhere_takes_nothing_of_others_along,
    h13_an_id_alone_makes_nobody_the_same,
    h13_two_that_prove_to_be_one_become_one,
    h16_two_that_write_the_same_in_two_ways_come_to_rest,
);

/// A second service like the first, with a sync `t` that makes this there.
pub(super) fn second(setup: Setup, creates: Creates) -> Setup {
    with(setup, |setup| {
        let like_the_first = setup.services[0].clone();
        setup.services.push(like_the_first);
        setup.mirrored(false);
        setup.syncs[1].creates = creates;
    })
}

/// The same, where records are known by their key.
fn known_by_key(setup: Setup, creates: Creates) -> Setup {
    with(second(setup, creates), |setup| setup.policy.identity = vec![vec![KEY.into()]])
}

#[test]
fn h03_what_one_remote_brings_is_not_made_at_the_other() {
    for setup in [able(), plain(), careless()] {
        play(&second(setup, Creates::Never), |script| {
            script.colleague_makes("k1", "a=a1");
            script.colleague_makes_as(1, None, "k2", "a=b1");
            for _ in 0..2 {
                script.runs("t", None);
                script.runs("s", None);
            }
            script.counts_at(2, &[1, 1]);
            // An edit goes where its record is.
            script.passes(5_000);
            script.app_sets("k1", "a=a2");
            script.app_sets("k2", "a=b2");
            script.runs("s", None);
            script.runs("t", None);
            script.is_at(0, "k1", "a=a2");
            script.is_at(1, "k2", "a=b2");
            script.comes_to_rest();
            script.counts_at(2, &[1, 1]);
        });
    }
}

#[test]
fn h03_new_records_are_made_at_home_alone() {
    play(&second(able(), Creates::Never), |script| {
        let token = script.app_makes("k1", "a=a1");
        // Who has no part in it runs first, and changes nothing.
        script.runs("t", None);
        script.wait_says(&token, WaitState::Pending);
        script.runs("s", None);
        script.wait_says(&token, WaitState::Done);
        script.runs("t", None);
        script.counts_at(1, &[1, 0]);
        script.comes_to_rest();
        script.counts_at(1, &[1, 0]);
    });
}

#[test]
fn h03_a_mirror_makes_what_others_bring_and_make() {
    for setup in [able(), plain(), careless()] {
        play(&second(setup, Creates::All), |script| {
            script.colleague_makes("k1", "a=a1");
            script.app_makes("k2", "a=b1");
            script.colleague_makes_as(1, None, "k3", "a=c1");
            script.runs("s", None);
            script.runs("t", None);
            // The first is no mirror: what the other had is not made there.
            script.counts_at(3, &[2, 3]);
            script.passes(60_000);
            script.colleague_sets_at(1, "k1", "a=a2");
            script.runs("t", None);
            script.runs("s", None);
            script.is_at(0, "k1", "a=a2");
            script.passes(60_000);
            script.app_deletes("k2");
            script.runs("s", None);
            script.runs("t", None);
            script.comes_to_rest();
            script.counts_at(2, &[1, 2]);
        });
    }
}

#[test]
fn h03_a_mirror_that_is_first_keeps_the_place_at_home() {
    for setup in [able(), plain()] {
        play(&second(setup, Creates::All), |script| {
            lock(&script.world.services[0]).locked = true;
            let token = script.app_makes("k1", "a=a1");
            script.runs("t", None);
            script.counts_at(1, &[0, 1]);
            script.wait_says(&token, WaitState::Pending);
            lock(&script.world.services[0]).locked = false;
            script.world.logged_in(0);
            script.rests();
            script.runs("s", None);
            script.counts_at(1, &[1, 1]);
            script.heals();
        });
    }
}

#[test]
fn h03_who_becomes_a_mirror_makes_what_was_there_before() {
    play(&second(able(), Creates::Never), |script| {
        script.colleague_makes("k1", "a=a1");
        script.app_makes("k2", "a=b1");
        script.runs("s", None);
        script.runs("t", None);
        script.counts_at(2, &[2, 0]);
        script.world.makes("t", Creates::All);
        script.terms.mirrored = true;
        script.rests();
        script.runs("t", None);
        script.counts_at(2, &[2, 2]);
        script.heals();
    });
}

#[test]
fn h13_a_mirror_knows_its_records_by_identity() {
    for (setup, first) in [able(), plain(), careless()].into_iter().flat_map(|setup| [(setup.clone(), "s"), (setup, "t")]) {
        play(&known_by_key(setup, Creates::All), |script| {
            script.colleague_makes("k1", "a=a1");
            script.colleague_makes_as(1, None, "k1", "a=a1");
            for sync in [first, "s", "t"] {
                script.runs(sync, None);
            }
            script.counts_at(1, &[1, 1]);
            // It was known as it came: no second record was made, to be found out later.
            let count = |sql: &str| script.world.store.read(|reader| Ok(reader.query_row(sql, (), |row| row.get::<_, i64>(0))?));
            let aliases = count("SELECT count(*) FROM m_alias").expect("the store reads");
            script.holds(aliases == 0, || format!("{aliases} aliases"));
            script.passes(60_000);
            script.colleague_sets_at(1, "k1", "a=a2");
            script.runs("t", None);
            script.runs("s", None);
            script.is_at(0, "k1", "a=a2");
            script.heals();
        });
    }
}

#[test]
fn h13_and_takes_none_that_has_a_place_there() {
    play(&known_by_key(able(), Creates::All), |script| {
        script.colleague_makes("k1", "a=a1");
        script.runs("s", None);
        script.runs("t", None);
        script.counts_at(1, &[1, 1]);
        // Somebody makes another of that name there: it is another.
        script.colleague_makes_as(1, None, "k1", "a=a9");
        script.runs("t", None);
        script.counts_at(2, &[1, 2]);
        script.comes_to_rest();
        script.counts_at(2, &[1, 2]);
    });
}

#[test]
fn h13_who_is_no_mirror_takes_nothing_of_others() {
    play(&known_by_key(able(), Creates::Never), |script| {
        script.colleague_makes("k1", "a=a1");
        script.colleague_makes_as(1, None, "k1", "a=b1");
        script.runs("s", None);
        script.runs("t", None);
        script.counts_at(2, &[1, 1]);
        script.comes_to_rest();
        script.counts_at(2, &[1, 1]);
    });
}

/// One writes in small letters, the other in capitals. What an app writes is in the form of the first that takes it; what one of them
/// brings stays so, and counts as equal to what the other made of it, until somebody writes another value.
#[test]
fn h16_two_that_write_the_same_in_two_ways_come_to_rest() {
    for setup in [able(), plain(), careless()] {
        let setup = with(second(setup, Creates::All), |setup| {
            (setup.services[0].tidies, setup.services[1].tidies, setup.services[1].shouts) = (true, true, true);
            setup.syncs[0].creates = Creates::All;
        });
        play(&setup, |script| {
            script.colleague_makes("k1", "a=A1");
            let both = |script: &mut crate::scenarios::script::Script| {
                for sync in ["s", "t", "s", "t"] {
                    script.passes(20_000);
                    script.runs(sync, None);
                }
            };
            both(script);
            script.is_at(0, "k1", "a=a1");
            script.service_is(1, "k1", "a=A1");
            // Nothing more is sent, whoever runs, and however: what each has counts as what is here.
            script.sends(0, |script| {
                both(script);
                script.runs("t", Some(Mode::Slow));
                script.runs("s", Some(Mode::Slow));
            });
            // Not even where everything that was agreed is forgotten: the form that it had there is still another form of it.
            script.sends(0, |script| {
                script.runs("t", Some(Mode::Refresh));
                script.runs("s", Some(Mode::Refresh));
                both(script);
            });
            script.conflicts_are(&[]);
            script.is_at(0, "k1", "a=a1");
            script.service_is(1, "k1", "a=A1");
            // Another property goes there and back beside it.
            script.app_sets("k1", "b=b1");
            both(script);
            script.service_is(1, "k1", "a=A1 b=B1");
            // The other changes it: now its form is the one here.
            script.colleague_sets_at(1, "k1", "a=a2");
            both(script);
            script.truth_is("k1", "a=A2 b=b1");
            script.service_is(0, "k1", "a=a2 b=b1");
            script.sends(0, both);
            script.colleague_sets_at(0, "k1", "a=a3");
            both(script);
            script.is_at(0, "k1", "a=a3 b=b1");
            script.service_is(1, "k1", "a=A3 b=B1");
            // Deleted by the one, it is gone at the other.
            script.colleague_deletes("k1");
            both(script);
            script.runs("s", Some(Mode::Slow));
            both(script);
            script.counts_at(0, &[0, 0]);
            script.heals();
        });
    }
}

/// A record of one service refers to what that one does not show (yet). At the other it is made without that reference, and gets it when
/// what it names is there.
#[test]
fn h21_what_one_remote_alone_knows_holds_nothing_up_at_another() {
    for setup in [able(), plain(), careless()] {
        play(&with_family(second(setup, Creates::All), WhenGone::Nullify), |script| {
            script.colleague_makes("k1", "a=a1");
            script.colleague_gives("k1", PARENT, words::text("999"));
            for sync in ["s", "t"] {
                script.runs(sync, None);
            }
            script.service_is(1, "k1", "a=a1");
            // Edits of the rest go on, and nothing is sent again and again for the reference.
            script.passes(20_000);
            script.app_sets("k1", "a=a2");
            for sync in ["t", "s", "t"] {
                script.passes(20_000);
                script.runs(sync, None);
            }
            script.service_is(1, "k1", "a=a2");
            script.service_is(0, "k1", "a=a2 p=999");
            script.colleague_makes_as(0, Some("999"), "k2", "a=b1");
            for sync in ["s", "t", "t"] {
                script.passes(20_000);
                script.runs(sync, None);
            }
            let (parent, _) = script.at_service(1, "k2");
            script.service_is(1, "k1", &format!("a=a2 p={parent}"));
            script.heals();
        });
    }
}

/// The home was configured with an address that was never its own; what waited there is new at the right one.
#[test]
fn h04_a_place_at_another_address_is_none_here() {
    let setup = with(second(able(), Creates::All), |setup| {
        let like_the_first = setup.services[0].clone();
        setup.services.push(like_the_first);
        setup.syncs[0].service = 2;
    });
    play(&setup, |script| {
        lock(&script.world.services[2]).locked = true;
        let token = script.app_makes("k1", "a=a1");
        script.runs("t", None);
        script.runs("s", None);
        script.counts_at(1, &[0, 1, 0]);
        script.world.points_at("s", 0);
        script.rests();
        script.runs("s", None);
        script.counts_at(1, &[1, 1, 0]);
        script.wait_says(&token, WaitState::Done);
        script.comes_to_rest();
    });
}

#[test]
fn h03_who_is_a_mirror_no_more_makes_nothing_more() {
    play(&second(able(), Creates::All), |script| {
        for key in ["k1", "k2", "k3"] {
            script.colleague_makes(key, "a=a1");
        }
        script.runs("s", None);
        // They have their places there, and nothing was sent.
        script.asks("t", None);
        script.goes_on_until("what to send is planned", |script| script.world.trace.text().contains("t: Plan"));
        lock(&script.world.services[1]).locked = true;
        script.rests();
        script.counts_at(3, &[3, 0]);
        lock(&script.world.services[1]).locked = false;
        script.world.logged_in(1);
        script.world.makes("t", Creates::Never);
        script.rests();
        for _ in 0..2 {
            script.passes(60_000);
            script.runs("t", None);
            script.runs("s", None);
        }
        script.counts_at(3, &[3, 0]);
        script.holds(waits::listed(&script.world, Some("t"), None).is_empty(), || "something is pending there".into());
        script.comes_to_rest();
        script.counts_at(3, &[3, 0]);
    });
}

/// In a sync that only sends, a row is the record of its id; not one that another remote has.
#[test]
fn h13_an_id_alone_makes_nobody_the_same() {
    let setup = with(second(plain(), Creates::All), |setup| setup.syncs[1].direction = Direction::Up);
    play(&setup, |script| {
        script.colleague_makes_as(0, Some("5"), "k1", "a=a1");
        script.colleague_makes_as(1, Some("5"), "k2", "a=b1");
        script.runs("s", None);
        script.runs("t", None);
        script.service_is(1, "k2", "a=b1");
        script.service_is(1, "k1", "a=a1");
        script.comes_to_rest();
        script.service_is(1, "k2", "a=b1");
    });
}

/// What each brought before anything told that it is one becomes one once something does, also where a request about it is under way, or a
/// mirror is about to make what it has.
#[test]
fn h13_two_that_prove_to_be_one_become_one() {
    let by_a = |setup: Setup| with(second(setup, Creates::All), |setup| setup.policy.identity = vec![vec!["a".into()]]);
    for (setup, told_by) in [able(), plain(), careless()].into_iter().flat_map(|setup| [(setup.clone(), "app"), (setup, "home")])
    {
        play(&by_a(setup), |script| {
            script.colleague_makes_as(1, None, "k1", "a=a1 b=b1");
            script.runs("t", None);
            script.colleague_makes("k1", "c=c1");
            script.runs("s", None);
            script.counts_at(2, &[1, 1]);
            script.passes(60_000);
            let home = script.world.truth().into_iter().find(|(_, _, props)| !props.contains_key("a")).map(|(id, ..)| id);
            let patch = |id| Write::Patch { collection: COLLECTION.into(), id, patch: r#"{"a":"a1"}"#.into(), if_seq: None };
            match told_by {
                "app" => drop(script.app_writes(None, home.map(patch).into_iter().collect())),
                _ => script.colleague_sets("k1", "a=a1"),
            }
            script.rests();
            script.runs("s", None);
            script.runs("t", None);
            script.counts_at(1, &[1, 1]);
            script.is_at(0, "k1", "a=a1 b=b1 c=c1");
            script.is_at(1, "k1", "a=a1 b=b1 c=c1");
            script.comes_to_rest();
            script.counts_at(1, &[1, 1]);
        });
    }
}

/// Two syncs of the home's service: `in` brings, and `s` sends.
fn brought_apart(setup: Setup) -> Setup {
    with(second(setup, Creates::All), |setup| {
        let brings = SyncSetup { name: "in", direction: Direction::Down, creates: Creates::Never, ..setup.syncs[0].clone() };
        setup.syncs.push(brings);
    })
}

#[test]
fn h03_a_place_kept_is_not_let_go_by_who_only_brings() {
    play(&brought_apart(able()), |script| {
        script.app_makes("k1", "a=a1");
        script.runs("t", None);
        script.counts_at(1, &[0, 1]);
        script.runs("in", None);
        script.runs("s", None);
        script.counts_at(1, &[1, 1]);
        script.heals();
    });
}

#[test]
fn h04_who_goes_elsewhere_takes_nothing_of_others_along() {
    let setup = with(brought_apart(able()), |setup| {
        let like_the_first = setup.services[0].clone();
        setup.services.push(like_the_first);
    });
    play(&setup, |script| {
        script.runs("in", None);
        script.app_makes("k1", "a=a1");
        script.runs("t", None);
        script.world.points_at("in", 2);
        script.rests();
        script.runs("in", None);
        script.runs("s", None);
        script.counts_at(1, &[1, 1, 0]);
        script.comes_to_rest();
    });
}
