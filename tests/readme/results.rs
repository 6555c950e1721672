//! Owns: that README's promises and figures are those of the last runs. Must never know: how they were run.

use mingle_tests::results::{Promises, Results, readme};

use crate::pages::{page, root};

#[test]
fn the_tables_of_readme_are_those_of_the_last_runs() {
    let text = page("README.md").text;
    assert_eq!(readme(&text).expect("tables"), text, "make them anew: cargo results");
}

#[test]
fn every_promise_is_tried_where_it_says_and_every_tally_backs_one() {
    let (promises, results) = (Promises::read().expect("promises"), Results::read().expect("results"));
    let mut breaches = Vec::new();
    for promise in &promises.promise {
        let gone = promise.by.iter().filter(|place| !root().join(place).exists());
        breaches.extend(gone.map(|place| format!("{}: no {place}", promise.says)));
    }
    let named =
        |what: &String| promises.besides.contains(what) || promises.promise.iter().any(|promise| promise.tried.contains(what));
    breaches.extend(results.tried.tallies.keys().filter(|what| !named(what)).map(|what| format!("{what} backs no promise")));
    crate::none(&breaches);
}
