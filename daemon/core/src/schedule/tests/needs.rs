//! Owns: the tables of what a sync needs of the world: what holds it, and what ends its run. Must never know: how a line is read.

use super::*;

pub(super) const HELD: &[&str] = &[
    "every=1h offline => blocked network",
    "every=1h needs=local offline => start first",
    "every=1h offline request@-0s force person => blocked network",
    "every=1h metered => start first",
    "every=1h needs=unmetered metered => blocked network",
    "every=1h needs=unmetered metered request@-0s => blocked network",
    "every=1h needs=unmetered metered request@-0s force => start request",
    "every=1h needs=unmetered => start first",
    "every=1h needs=charging on_battery => blocked charging",
    "every=1h needs=battery battery_low => blocked battery_not_low",
    "every=1h needs=battery battery_low request@-0s force => start request",
    "every=1h needs=storage storage_low request@-0s force => blocked storage_not_low",
    "every=1h disk_shut request@-0s force => blocked disk",
    "every=1h needs=idle busy => blocked idle",
    "every=1h last=done@-1m offline => waiting interval +59m",
    "every=1h needs=local sleeps request@-0s force person => blocked sleep",
    // What is not known passes, unless the sync says otherwise; nothing else is needed then.
    "every=1h needs=unmetered,charging,battery,storage,idle => start first",
    "every=1h needs=known => blocked network",
    "every=1h needs=known,local => start first",
    "every=1h needs=known,local,charging => blocked charging",
    "every=1h needs=known,local,battery => blocked battery_not_low",
    "every=1h needs=known,local,storage => blocked storage_not_low",
    "every=1h needs=known,local,idle => blocked idle",
    "every=1h needs=known,local,idle request@-0s force => start request",
    // Windows. What else is due, is due in them.
    "every=1h window=11:00-13:00 => start first +1h",
    "every=1h window=13:00-14:00 => waiting window +1h",
    "every=1h window=13:00-14:00 request@-0s => waiting window +1h",
    "every=1h window=13:00-14:00 request@-0s force => start request",
    "every=1h window=13:00-12:00 => waiting window +1h",
    "every=1h window=tue => waiting window +12h",
    "every=1h window=tue;mon_12:30-13:00 => waiting window +30m",
    "every=1h window=13:00-14:00 last=done@-1m => waiting interval +59m",
    "every=2h window=13:00-14:00 last=done@-1m => waiting interval +119m",
    "every=1h window=13:00-14:00 offline => blocked network",
    "every=1h window=13:00-14:00 last=constraint:window@-1m => waiting window +1h",
    "every=1h window=11:00-14:00 last=constraint:window@-1m => start resume +2h",
    // What waited for its hour begins at a moment of this host's own in the first part of it.
    "every=1h window=12:00-14:00 spread=500 last=done@-2h => waiting window +450s",
    "every=1h window=12:00-12:10 spread=500 last=done@-2h => waiting window +150s",
    "every=1h window=11:50-14:00 spread=500 last=done@-2h => start timer +2h",
    "every=1h window=12:00-14:00 spread=500 last=done@-2h request@-0s => start request +2h",
];

pub(super) const ENDED: &[&str] = &[
    "every=1h running@-1m offline => stop constraint:network",
    "every=1h needs=unmetered running@-1m metered => stop constraint:network",
    "every=1h needs=unmetered request@-2m force running@-1m metered => running",
    "every=1h needs=idle running@-1m busy => stop constraint:idle",
    "every=1h running@-1m sleeps => stop constraint:sleep",
    "every=1h needs=known,local,idle running@-1m => stop constraint:idle",
    "every=1h window=11:00-14:00 running@-1m => running +2h",
    "every=1h window=11:00-14:00 deadline=30m running@-1m => running +29m",
    "every=1h window=11:00-12:00 running@-1m => stop constraint:window +23h",
    "every=1h window=11:00-12:00 request@-2m force running@-1m => running",
];

#[test]
fn what_is_needed_holds_a_sync() {
    check(HELD);
}

#[test]
fn what_is_lost_ends_a_run() {
    check(ENDED);
}

#[test]
fn a_run_that_lost_a_constraint_keeps_its_place_and_counts_no_failure() {
    let mut world = world("every=1h needs=unmetered failures=2 last=done@-2h request@-5m person running@-1m metered");
    assert_eq!(outcome(&world), "stop constraint:network");
    let job = world.board.jobs.get_mut("s").unwrap();
    let asked = job.running.as_ref().unwrap().request.unwrap();
    job.end(NOON, End::Stopped(StopReason::Constraint(Constraint::Metered)));
    assert_eq!((job.request, job.failures), (Some(asked), 2));
    assert_eq!(outcome(&world), "blocked network");
    world.conditions.metered = Some(false);
    assert_eq!(outcome(&world), "start request");
}
