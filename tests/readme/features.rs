//! Owns: that the page of features has every row of every older system, with tests that are there. Must never know: what a test shows.

use mingle_tests::features::{COMMAND, Features};

use crate::pages::page;

#[test]
fn every_row_of_every_system_stands_there_once() {
    let features = Features::read().expect("tests/features");
    crate::none(&features.breaches());
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let features = Features::read().expect("tests/features");
    crate::none(&features.tests_that_are_missing());
}

#[test]
fn the_page_of_features_is_that_of_its_rows() {
    let made = Features::read().expect("tests/features").page();
    assert_eq!(page("daemon/docs/features.md").text, made, "make it anew: {COMMAND}");
}
