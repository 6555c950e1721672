//! Owns: anything, fed to whatever reads what others wrote: nothing panics, hangs, or takes memory without end. Must never know: what is
//! read.
//!
//! `MINGLE_FUZZ` says how many inputs each target is fed (10,000), `MINGLE_FUZZ_SECONDS` how long it may take (4), `MINGLE_SEED` which. What
//! breaks a target is written into its folder in `corpus/`, and fed first from then on.

use std::time::Duration;

use mingle_tests::fuzz::{TARGETS, feed};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn fed(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    feed(target, number("MINGLE_FUZZ", 10_000), Duration::from_secs(number("MINGLE_FUZZ_SECONDS", 4)));
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            fed(stringify!($name));
        })*

        #[test]
        fn no_target_is_forgotten() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets!(frames, messages, configuration, profile, page, dav, document, checkpoint, cursor, mingle, store);
