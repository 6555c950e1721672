//! Owns: what a remote sees of a fleet (D6 of the figures). Must never know: how a host chooses its moment.

use std::time::Duration;

use mingle_tests::fleet::{Crowd, Story, play};

const HOSTS: u32 = 100_000;
const QUARTER: Duration = Duration::from_secs(900);
const HOUR: Duration = Duration::from_secs(3_600);

#[track_caller]
fn check(story: Story, every: Duration, most: f64) {
    let Crowd { mean, peak, in_vain } = play(HOSTS, every, story);
    super::report(&format!(
        "fleet: {story:?} every {every:?}: mean {mean:.0}/s, peak {:.2} x, in vain {:.2} x",
        peak / mean,
        in_vain / mean
    ));
    assert!(peak > 0.9 * mean && peak <= most * mean, "{story:?}: {peak} a second at the most, {mean} in the mean");
}

#[test]
fn a_fleet_comes_evenly() {
    check(Story::Steady, QUARTER, 1.2);
}

#[test]
fn a_fleet_comes_back_evenly_after_an_outage() {
    check(Story::Outage(HOUR), QUARTER, 2.0);
}

#[test]
fn a_fleet_that_starts_at_once_comes_evenly() {
    check(Story::Boot(HOUR * 12), QUARTER, 2.0);
}
