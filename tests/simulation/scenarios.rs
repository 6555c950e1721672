//! Owns: the traces that broke drafts of the design (holes.md, H1 to H41), each as a scenario or with the place that tries it, and
//! the tables by which older systems were tried. Must never know: how a world is made.
//!
//! A scenario drives the same world, people and oracle as the schedules from seeds, with a fixed service and a short script. What is
//! tried beside the code, and what is not built, stands in the lists below; none of the traces can be forgotten.

mod answers;
mod decisions;
mod families;
mod filtered;
mod late;
mod matrices;
mod mirrors;
mod outcome;
mod resets;
mod rows;
mod runs;
mod script;
mod waiting;
mod withdrawn;

use std::collections::BTreeSet;

use mingle_core::{
    filter::Filter,
    policy::Policy,
    run::{Creates, Direction, reset::How},
};

use crate::{
    service::{Character, Cursor, Faults},
    setup::{Setup, SyncSetup},
};

/// A scenario, by its name; the name begins with its trace.
pub type Named = (&'static str, fn());

/// The scenarios of a file, by their names.
macro_rules! named {
    ($($name:ident),* $(,)?) => {
        pub const ALL: &[super::Named] = &[$((stringify!($name), $name)),*];
    };
}
use named;

/// Every scenario.
pub fn all() -> impl Iterator<Item = Named> {
    [
        answers::ALL,
        decisions::ALL,
        families::ALL,
        filtered::ALL,
        late::ALL,
        rows::ALL,
        runs::ALL,
        waiting::ALL,
        mirrors::ALL,
        withdrawn::ALL,
        // Whole tables, and many kills each: last, so that others find first what they find.
        matrices::ALL,
        resets::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// How many traces holes.md has.
const TRACES: u32 = 41;

/// Traces that are tried beside the code: number, file, test.
const BESIDE: &[(u32, &str, &str)] = &[
    // An error is never a no.
    (10, "tests/conformance/laws.rs", "says_that_a_resource_is_not_there"),
    // Positions, tokens, ops belong to an instance of the store, and another one is told.
    (11, "daemon/src/store/write/tests.rs", "a_write_for_another_instance_is_stale"),
    (11, "daemon/src/store/cursor.rs", "a_cursor_reads_as_it_was_written_and_only_where_it_belongs"),
    (11, "daemon/src/store/hand/tests.rs", "what_was_acknowledged_is_there_after_any_end"),
    (11, "tests/blackbox/copies.rs", "a_backup_under_load_restores_to_a_whole_store"),
    // Tombstones stay until all have passed.
    (15, "daemon/src/store/purge/tests.rs", "a_tombstone_stays_until_all_have_passed_and_its_time_is_over"),
    // Inferred deletes pass a guard.
    (19, "tests/blackbox/hostile.rs", "many_records_missing_at_once_wait_for_a_person"),
    (22, "daemon/src/store/wait/tests.rs", "a_token_is_answered_from_the_link"),
    (25, "daemon/core/src/mingle/tests.rs", "without_a_base_absence_clears_nothing"),
    (27, "daemon/core/src/mingle/tests.rs", "policies_decide_what_both_changed"),
    (28, "daemon/core/src/mingle/tests.rs", "policies_decide_what_both_changed"),
    (29, "daemon/src/store/write/tests.rs", "an_op_is_done_once"),
    (29, "daemon/src/store/write/tests.rs", "an_op_of_long_ago_is_not_done"),
    (30, "daemon/src/store/write/tests.rs", "several_writes_are_all_done_or_none"),
    // What was pulled is agreed on as it was then, and the truth's side is told whatever it became since.
    (31, "daemon/src/store/sync/session/tests.rs", "whatever_breaks_off_all_end_with_the_same"),
    (32, "daemon/src/store/decide/tests.rs", "a_decision_on_something_that_moved_is_stale"),
    // What leaves an app's view is told as left.
    (33, "daemon/src/store/feed/tests.rs", "what_is_forgotten_has_left"),
    (26, "daemon/src/store/undo/tests.rs", "by_record_app_run_and_time"),
    (36, "tests/conformance/batches.rs", "what_is_not_known_of_a_batch_is_not_known_of_any_of_it"),
    (36, "tests/conformance/doubt.rs", "a_lost_answer_is_no_answer"),
    (39, "daemon/src/store/purge/tests.rs", "planted_bugs_are_found"),
    (39, "daemon/src/store/feed/tests.rs", "every_copy_becomes_the_truth"),
    // What is not sent is sent, or what became of it is recorded.
    (41, "daemon/src/store/sync/reset/tests.rs", "recover_or_discard_leaves_it_to_the_policy_and_records_it"),
    (40, "daemon/src/store/purge/tests.rs", "the_ledger_goes_but_for_the_newest_and_what_still_counts"),
];

/// Traces, or parts of them, of what is not built.
const NOT_BUILT: &[(u32, &str)] = &[(23, "bulk"), (32, "review")];

/// A service that does all that one can wish for.
fn able() -> Setup {
    setup(Character {
        cursor: Cursor::Token,
        tombstones: true,
        conditional: true,
        client_ids: true,
        keys: false,
        batch: 1,
        grain: 1,
        skew: 0,
        lag: 0,
        date_ahead: 0,
        tidies: false,
        shouts: false,
        adds: false,
        silent: 0,
        tells_created: true,
        page_rows: 2,
        errands_max: 2,
        lacks: None,
        later: None,
    })
}

/// One with coarse stamps, which makes the ids, and takes every write.
fn plain() -> Setup {
    with(able(), |setup| {
        let character = &mut setup.services[0];
        (character.cursor, character.grain) = (Cursor::Stamp, 1_000);
        (character.conditional, character.client_ids) = (false, false);
    })
}

/// One that has nothing but whole listings.
fn careless() -> Setup {
    with(plain(), |setup| {
        let character = &mut setup.services[0];
        (character.cursor, character.tombstones) = (Cursor::Whole, false);
        character.tells_created = false;
    })
}

fn setup(character: Character) -> Setup {
    let both = SyncSetup {
        name: "s",
        service: 0,
        direction: Direction::Both,
        on_change: None,
        every: None,
        filter: Filter::default(),
        reset: How::default(),
        creates: Creates::Unlinked,
    };
    Setup {
        services: vec![character],
        faults: Faults::default(),
        syncs: vec![both],
        policy: Policy::default(),
        moves: 0,
        crashes: 0,
        bad_values: 0,
        epochs: false,
        defers: 0,
        keepers: 0,
        founders: 0,
    }
}

/// The same, but for this.
fn with<T>(mut setup: Setup, change: impl FnOnce(&mut Setup) -> T) -> Setup {
    change(&mut setup);
    setup
}

/// The files of scenarios, as they are written.
const FILES: &[&str] = &[
    include_str!("scenarios/answers.rs"),
    include_str!("scenarios/decisions.rs"),
    include_str!("scenarios/families.rs"),
    include_str!("scenarios/filtered.rs"),
    include_str!("scenarios/late.rs"),
    include_str!("scenarios/matrices.rs"),
    include_str!("scenarios/resets.rs"),
    include_str!("scenarios/mirrors.rs"),
    include_str!("scenarios/rows.rs"),
    include_str!("scenarios/runs.rs"),
    include_str!("scenarios/waiting.rs"),
    include_str!("scenarios/withdrawn.rs"),
];

#[test]
fn no_trace_is_forgotten() {
    let number = |name: &str| name.strip_prefix('h').and_then(|rest| rest.split('_').next()?.parse::<u32>().ok());
    let played: BTreeSet<u32> = all().filter_map(|(name, _)| number(name)).collect();
    let beside: BTreeSet<u32> = BESIDE.iter().map(|(trace, ..)| *trace).collect();
    let not_built: BTreeSet<u32> = NOT_BUILT.iter().map(|(trace, _)| *trace).collect();
    let told: BTreeSet<u32> = played.iter().chain(&beside).chain(&not_built).copied().collect();
    assert_eq!(told, (1..=TRACES).collect(), "each trace is a scenario, or tried beside the code, or not built");
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (trace, file, test) in BESIDE {
        let text = std::fs::read_to_string(top.join(file)).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}(")), "H{trace}: no {test} in {file}");
    }
    let tests: usize = FILES.iter().map(|text| text.matches("#[test]").count()).sum();
    assert_eq!(tests, all().count(), "every scenario stands in the list of its file");
}

/// The first scenario that fails here.
#[cfg(feature = "planted")]
pub fn first_failing() -> Option<&'static str> {
    all().find(|(_, scenario)| std::panic::catch_unwind(scenario).is_err()).map(|(name, _)| name)
}
