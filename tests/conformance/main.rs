//! Owns: one suite for every remote kind and profile: what its abilities promise is what is tested, against real servers.
//! Must never know: the engine.

mod batches;
mod bench;
mod benches;
mod dav_bench;
mod dav_only;
mod doubt;
mod kinto_only;
mod laws;
mod pocketbase_only;
mod profiles;
mod tls;
mod trackers_only;
mod traps;
mod words;

use std::collections::BTreeSet;

/// Runs every law on every bench, each as a test of its own.
macro_rules! suite {
    ($($bench:ident: [$($law:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $bench {
            $(#[test]
            fn $law() {
                let said = crate::bench::run(crate::benches::$bench, crate::laws::$law);
                eprintln!("{}: {}: {said:?}", stringify!($bench), stringify!($law));
            })+
        })+

        /// A law that finds nothing of its kind passes; here each must find it somewhere. The benches are asked in turn until one has it.
        #[test]
        fn every_law_has_a_say_somewhere() {
            let (mut all, mut heard) = (BTreeSet::new(), BTreeSet::new());
            $($(
                let law = stringify!($law);
                all.insert(law);
                if !heard.contains(law) && bench::run(benches::$bench, laws::$law) == bench::Say::Had {
                    heard.insert(law);
                }
            )+)+
            assert_eq!(all.difference(&heard).collect::<Vec<_>>(), [&""; 0], "these hold nobody to anything");
        }
    };
}

/// The laws, once; the benches, once.
macro_rules! every_law_on {
    ($($bench:ident),+ $(,)?) => {
        suite! {
            $($bench: [
                greets_alike_twice,
                lists_every_page,
                lists_nothing_where_nothing_is,
                goes_on_from_a_token,
                goes_on_from_a_stamp,
                misses_nothing_that_moves_while_it_pages,
                refuses_a_token_that_it_never_gave,
                gets_by_id,
                creates_under_our_id_once,
                takes_every_id_it_promises_to_take,
                makes_what_is_asked_twice_under_a_key_once,
                creates_under_its_own_id,
                updates_what_did_not_move,
                clears_what_an_update_clears,
                refuses_an_update_of_what_moved,
                updates_nothing_that_is_gone,
                deletes_what_did_not_move,
                refuses_a_delete_of_what_moved,
                deletes_nothing_that_is_gone,
                settles_each_of_several_changes_by_itself,
                shows_a_new_revision_for_each_change,
                shows_when_it_was_changed,
                keeps_values,
                keeps_what_is_its_own_to_itself,
                says_that_a_resource_is_not_there,
                says_that_credentials_are_missing,
                says_that_it_is_another_kind_of_server,
                says_that_it_is_offline,
            ]),+
        }
    };
}

every_law_on!(
    able,
    batching,
    keyed,
    careless,
    patching,
    silent,
    stamped,
    linked,
    headed,
    addressed,
    numbered,
    offset,
    kinto,
    json_server,
    pocketbase,
    github_issues,
    gitlab_issues,
    roundup,
    radicale,
    xandikos,
    sabre
);
