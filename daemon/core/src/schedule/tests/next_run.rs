//! Owns: the vectors of when a sync runs next, by time alone, in the text form of [`super::table`]. Must never know: what holds it.

use super::check;

/// WorkManager's vectors of the next run (WorkSpecTest.testCalculateNextRunTime_*), where ours is the same rule.
pub(super) const NEXT_RUN: &[&str] = &[
    // Periodic, later: last + interval.
    "every=15m last=done@-5m => waiting interval +10m",
    "every=15m last=done@-14m => waiting interval +1m",
    "every=15m last=done@-15m => start timer",
    // With flex: not before last + interval - flex, by last + interval at the latest, at the host's own moment.
    "every=1h flex=10m spread=0 last=done@-50m => waiting interval +10m",
    "every=1h flex=10m spread=500 last=done@-50m => waiting interval +5m",
    "every=1h flex=10m spread=500 last=done@-45m => waiting interval +15m",
    "every=1h flex=10m spread=500 last=done@-60m => start timer",
    // One trigger is enough: what ran in this period is not run again (testPeriodic_dedupe).
    "every=15m cron=*/5_*_*_*_* last=done@-0s => waiting cron +302s",
    // Never ran: at once.
    "every=15m => start first",
    "cron=0_3_*_*_* => start first",
    "on_start => start first",
    // The first run after an initial delay, from when it was defined; only a request or a ping passes it.
    "every=1h initial_delay=10m since=-5m => waiting initial_delay +5m",
    "every=1h initial_delay=10m since=-10m => start first",
    "every=1h flex=10m spread=500 initial_delay=10m since=-5m => waiting initial_delay +5m",
    "cron=0_3_*_*_* initial_delay=1d since=-1h => waiting initial_delay +23h",
    "on_start initial_delay=10m since=-5m call=start => waiting initial_delay +5m",
    "on_change=2s,30s every=1h initial_delay=10m since=-5m change=-3s,-3s => waiting initial_delay +5m",
    "every=1h initial_delay=10m since=-5m call=ping => start ping",
    "every=1h initial_delay=10m since=-5m request@-0s => start request",
    "every=1h initial_delay=10m since=-5m last=done@-30m => waiting interval +30m",
    "every=1h initial_delay=1h since=-5m last=failed@-10s => waiting backoff +20s",
    // An interval that adapts: between its bounds, the shortest while somebody follows.
    "every=15m max=4h last=done@-5m => waiting interval +10m",
    "every=15m max=4h pace=1h last=done@-20m => waiting interval +40m",
    "every=15m max=4h pace=9h last=done@-3h => waiting interval +1h",
    "every=15m max=4h pace=1m last=done@-5m => waiting interval +10m",
    "every=15m max=4h pace=4h followed last=done@-5m => waiting interval +10m",
    "every=15m max=4h pace=4h followed last=done@-20m => start timer",
    // Nothing makes it due by itself: a change or a request.
    "on_change=2s,30s => waiting trigger",
    "last=done@-1d => waiting trigger",
    "last=done@-1d request@-0s => start request",
    // Backoff: linear and exponential, from the end of the failed run, up to the ceiling.
    "backoff=linear,30s,5h last=failed@-10s => waiting backoff +20s",
    "backoff=linear,30s,5h last=failed@-10s failures=4 => waiting backoff +110s",
    "backoff=linear,30s,5h last=failed@-10s failures=2000 => waiting backoff +17990s",
    "backoff=exponential,30s,5h last=failed@-0s failures=1 => waiting backoff +30s",
    "backoff=exponential,30s,5h last=failed@-0s failures=2 => waiting backoff +1m",
    "backoff=exponential,30s,5h last=failed@-0s failures=5 => waiting backoff +8m",
    "backoff=exponential,30s,5h last=failed@-0s failures=100 => waiting backoff +5h",
    "backoff=exponential,30s,5h last=failed@-0s failures=4000000000 => waiting backoff +5h",
    "last=failed@-30s => start retry",
    // By the spread up to half as long again.
    "last=failed@-0s failures=2 spread=1000 => waiting backoff +89999ms",
    // Interval and change do not pass the backoff, the pause over it is due whatever else it has.
    "every=10s last=failed@-20s => waiting backoff +10s",
    "on_change=2s,30s last=failed@-20s change=-10s,-10s => waiting backoff +10s",
    "on_start call=start last=failed@-20s => waiting backoff +10s",
];

/// A moment that was given for one next run (updateNextScheduleTimeOverride*, W-11, W-12): it stands in the place of whatever time says.
const NEXT_RUN_AT: &[&str] = &[
    "every=1h last=done@-5m next=+10m => waiting next_run_at +10m",
    "every=1h last=done@-59m next=+10m => waiting next_run_at +10m",
    "every=1h last=done@-2h next=+10m => waiting next_run_at +10m",
    "every=1h last=done@-5m next=-0s => start next_run_at",
    "every=1h last=done@-5m next=-3d => start next_run_at",
    "every=1h next=+10m => waiting next_run_at +10m",
    "every=1h initial_delay=1d since=-1h next=+10m => waiting next_run_at +10m",
    "cron=0_13_*_*_* last=done@-1h next=+10m => waiting next_run_at +10m",
    "last=done@-1d next=+10m => waiting next_run_at +10m",
    "next=-0s => start next_run_at",
    // It passes a pause after a failure, either way.
    "every=1h last=failed@-10s failures=9 next=-0s => start next_run_at",
    "every=1h last=failed@-1h next=+10m => waiting next_run_at +10m",
    // Changes, a start and what was stopped wait for it; who asks, a ping and a resume do not.
    "on_change=2s,30s last=done@-1h change=-30s,-30s next=+10m => waiting next_run_at +10m",
    "on_start call=start next=+10m => waiting next_run_at +10m",
    "every=1h last=constraint:network@-1m next=+10m => waiting next_run_at +10m",
    "every=1h last=done@-5m next=+10m request@-0s => start request",
    "every=1h last=done@-5m next=+10m call=ping => start ping",
    // What must hold, holds on.
    "every=1h next=-0s paused => disabled paused",
    "every=1h next=-0s offline => blocked network",
    "every=1h next=-0s patience=-1m,+5m => waiting retry_after +5m",
    "every=1h next=-0s login => blocked needs_login",
    "every=1h next=-0s needs=charging on_battery => blocked charging",
    // While one runs it waits for the one after.
    "every=1h next=+10m running@-1m => running",
];

#[test]
fn the_next_run() {
    check(NEXT_RUN);
    check(NEXT_RUN_AT);
}
