//! Owns: that README's promises and figures are those of the last runs. Must never know: how they were run.

use mingle_tests::results::{Promises, Results, readme};

use crate::pages::{page, root};

#[test]
fn the_tables_of_readme_are_those_of_the_last_runs() {
    let text = page("README.md").text;
    let made = readme(&text).expect("tables");
    let other = made.lines().zip(text.lines()).find(|(made, there)| made != there);
    assert_eq!(other, None, "make them anew: cargo results");
    assert!(made == text, "it has more or fewer lines: cargo results makes them anew");
}

/// A goal that is missed has its profile.
#[test]
fn the_architecture_says_of_each_missed_goal_where_the_time_goes() {
    let told = page("daemon/ARCHITECTURE.md").text;
    let told = told.split("### Goals that are missed").nth(1).expect("its section");
    let results = Results::read().expect("results");
    let missed = results.figures.iter().filter(|line| line.met == "NOT MET");
    let breaches: Vec<String> = missed
        .filter(|line| !told.contains(&format!("**{}**", line.figure)))
        .map(|line| format!("{}: {}", line.figure, line.what))
        .collect();
    crate::none(&breaches);
}

/// In the run that is written down: a stage that was left out, or a try that failed, is no promise.
#[test]
fn the_last_run_tried_every_promise_and_saw_none_fail() {
    let (promises, results) = (Promises::read().expect("promises"), Results::read().expect("results"));
    crate::none(&promises.broken_by(&results.tried));
}

#[test]
fn every_figure_that_the_bench_measures_is_written_down() {
    let bench = page("tests/bench/main.rs").text;
    let list = bench.split_once("const MEASURES").and_then(|(_, rest)| rest.split_once("];")).expect("its list").0;
    let measured: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(measured.contains(&"W1") && measured.contains(&"D7"), "{measured:?}");
    let results = Results::read().expect("results");
    let told = |figure: &str| results.figures.iter().any(|line| line.figure == figure);
    crate::none(&measured.into_iter().filter(|figure| !told(figure)).map(String::from).collect::<Vec<_>>());
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
    let counted = |what: &&String| !promises.at_least.contains_key(*what);
    let tried = promises.promise.iter().flat_map(|promise| &promise.tried);
    breaches.extend(tried.filter(counted).map(|what| format!("how often {what} must be tried is not said")));
    crate::none(&breaches);
}
