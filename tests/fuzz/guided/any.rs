//! Owns: one target for libFuzzer, which the environment names (`MINGLE_TARGET`). Must never know: what it is fed with.
#![no_main]

use std::sync::OnceLock;

use mingle_tests::fuzz::{TARGETS, Target};

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("MINGLE_TARGET").expect("MINGLE_TARGET names a target");
        TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target is called {name}"))
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| (target().feed)(input));
