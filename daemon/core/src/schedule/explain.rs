//! Owns: the schedule in words for people, with durations and never clock times (who reads it knows the zone; we do not).
//! Must never know: how anything is decided.

use std::time::Duration;

use super::{Constraint, Hold, Job, Last, Look, StopReason, Trigger, Unmet, Waits};
use crate::{
    ask::{Holding, SyncState},
    time::Timestamp,
};

impl Hold {
    /// The hold with its present value, what it needs, and what a person can do about this sync, in words.
    #[must_use]
    pub fn holding(&self, sync: &str, now: Timestamp) -> Holding {
        Holding {
            name: self.name().into(),
            bar: self.bar(),
            has: self.has(now),
            needs: self.needs(now),
            until: self.until(),
            hint: self.hint(sync),
        }
    }

    fn has(&self, now: Timestamp) -> String {
        match self {
            Self::Paused => "paused by a person".into(),
            Self::Stopped(StopReason::Shutdown) => "mingled is ending".into(),
            Self::Stopped(reason) => format!("runs are stopped ({})", reason.name()),
            Self::NeedsLogin { remote } => format!("{remote} did not take our credentials, or there are none"),
            Self::History(held) => held.what(),
            Self::Interval { began, .. } => format!("last run {} ago", span(now.since(*began))),
            Self::InitialDelay { .. } => "it never ran".into(),
            Self::Cron { until } => format!("rings in {}", span(until.since(now))),
            Self::NextRunAt { until } => format!("its next run was put to a moment {} from now", span(until.since(now))),
            Self::Quiet { .. } => "changes are coming in".into(),
            Self::Backoff { failures: 1, .. } => "the last run failed".into(),
            Self::Backoff { failures, .. } => format!("the last {failures} runs failed"),
            Self::Trigger { .. } => "nothing that makes it due has happened".into(),
            Self::Demand => "nobody asks for fresh data".into(),
            Self::RetryAfter { remote, until } => format!("{remote} asks for patience, {} more", span(until.since(now))),
            Self::Budget { remote, .. } => format!("what is left of our requests to {remote} is kept for what a person asks for"),
            Self::Away { remote, app } => format!("app {app} is not there: it has not offered to do the work of {remote}"),
            Self::Constraint(unmet) => unmet.has().into(),
            Self::Opening { .. } => "its window has opened for every machine, and its own moment in it has not come".into(),
            Self::After { sync, waits } => waits.has(sync),
            Self::Overlap { with } => format!("{with} is running on the same remote, resource and collection"),
            Self::Slots { remote: Some(remote), max } => format!("{max} runs with {remote} are on"),
            Self::Slots { remote: None, max } => format!("{max} runs are on"),
        }
    }

    fn needs(&self, now: Timestamp) -> String {
        match self {
            Self::Paused => "to be resumed".into(),
            Self::Stopped(StopReason::Shutdown) => "mingled to start again".into(),
            Self::Stopped(_) => "a restart".into(),
            Self::NeedsLogin { .. } => "credentials that it takes".into(),
            Self::History(_) => "a person's word".into(),
            Self::Interval { began, until } => format!("{} since then", span(until.since(*began))),
            Self::InitialDelay { since, until } => format!("{} since it was defined", span(until.since(*since))),
            Self::Cron { .. } => "the hour".into(),
            Self::NextRunAt { .. } => "that moment".into(),
            Self::Quiet { .. } => "a quiet moment".into(),
            Self::Backoff { .. } => "the pause to end".into(),
            Self::Trigger { on_change: true } => "a change of the truth, or a request".into(),
            Self::Trigger { on_change: false } => "a request".into(),
            Self::Demand => "somebody who does, or a request".into(),
            Self::RetryAfter { .. } => "that time to pass".into(),
            Self::Budget { until, .. } => format!("more of them, in {}", span(until.since(now))),
            Self::Away { .. } => "it to come and offer".into(),
            Self::After { .. } => "a run of it that ends well".into(),
            Self::Constraint(Unmet { until: Some(until), .. }) => {
                format!("its window, which opens in {}", span(until.since(now)))
            }
            Self::Constraint(unmet) => unmet.constraint.needs().into(),
            Self::Opening { until } => format!("that moment, in {}", span(until.since(now))),
            Self::Overlap { .. } => "its end".into(),
            Self::Slots { .. } => "one of them to end".into(),
        }
    }

    fn hint(&self, sync: &str) -> Option<String> {
        let hint = match self {
            Self::Paused => Some("`mingle resume SYNC`"),
            Self::Stopped(StopReason::Shutdown) => None,
            Self::Stopped(_) => Some("`mingle restart` accepts runs again"),
            Self::NeedsLogin { remote } => {
                return Some(format!(
                    "`mingle remote login {remote}`; `mingle sync {sync}` tries at once what was put right otherwise"
                ));
            }
            Self::History(held) => return Some(held.hint(sync)),
            Self::NextRunAt { .. } => Some("`mingle next SYNC --clear` takes it back; `mingle sync SYNC` does not wait for it"),
            Self::Interval { .. }
            | Self::InitialDelay { .. }
            | Self::Cron { .. }
            | Self::Backoff { .. }
            | Self::Trigger { .. } => Some("`mingle sync SYNC` does not wait for it"),
            Self::Demand => {
                Some("`mingle sync SYNC` does not wait for it; reads with --max-age and watches with --fresh ask for fresh data")
            }
            Self::After { sync, waits } => return waits.hint(sync),
            Self::Budget { .. } => Some("`mingle budget` shows who used them; `mingle sync SYNC` takes of the rest"),
            Self::Away { remote, .. } => {
                return Some(format!("start it; with a `command` in [remote.{remote}] it is started when it is needed"));
            }
            Self::RetryAfter { .. } => Some("a server's own wait is never skipped"),
            Self::Constraint(unmet) => unmet.constraint.hint(),
            Self::Opening { .. } => Constraint::Window.hint(),
            Self::Quiet { .. } | Self::Overlap { .. } | Self::Slots { .. } => None,
        };
        hint.map(|hint| hint.replace("SYNC", sync))
    }
}

impl Waits {
    fn has(self, sync: &str) -> String {
        match self {
            Self::Runs => format!("{sync} goes first, and runs"),
            Self::Due => format!("{sync} goes first, and is due"),
            Self::Never => format!("{sync} goes first, and never ran"),
            Self::Failed => format!("{sync} goes first, and its last run failed"),
            Self::Stopped => format!("{sync} goes first, and its last run was stopped"),
        }
    }

    fn hint(self, sync: &str) -> Option<String> {
        match self {
            Self::Runs | Self::Due => None,
            Self::Never | Self::Failed | Self::Stopped => Some(format!("`mingle explain {sync}` says what that waits for")),
        }
    }
}

impl Unmet {
    fn has(self) -> &'static str {
        match self.constraint {
            Constraint::Offline | Constraint::Metered if self.unknown => "the network is not known",
            Constraint::Charging | Constraint::BatteryLow if self.unknown => "the power is not known",
            Constraint::StorageLow if self.unknown => "the room on the disk is not known",
            Constraint::NotIdle if self.unknown => "whether somebody uses the machine is not known",
            Constraint::Offline => "no network",
            Constraint::Metered => "a metered network",
            Constraint::Charging => "on battery",
            Constraint::BatteryLow => "the battery is low",
            Constraint::StorageLow => "little room on the disk",
            Constraint::DiskShut => "the store takes no writes",
            Constraint::NotIdle => "somebody uses the machine",
            Constraint::Window => "it is outside of its window",
            Constraint::Sleep => "the machine goes to sleep",
        }
    }
}

impl Constraint {
    fn needs(self) -> &'static str {
        match self {
            Self::Offline => "a network",
            Self::Metered => "an unmetered network",
            Self::Charging => "external power",
            Self::BatteryLow => "a battery that is not low",
            Self::StorageLow => "room on the disk",
            Self::DiskShut => "a disk that takes writes",
            Self::NotIdle => "an idle machine",
            Self::Window => "its window",
            Self::Sleep => "the machine to wake",
        }
    }

    fn hint(self) -> Option<&'static str> {
        match self {
            Self::Offline | Self::Sleep => None,
            Self::Metered | Self::Charging | Self::BatteryLow | Self::NotIdle | Self::Window => {
                Some("`mingle sync SYNC --force` runs all the same")
            }
            Self::StorageLow => Some("make room where the store is"),
            Self::DiskShut => {
                Some("`mingle status` says what is wrong with the disk; once it takes writes, the sync goes on by itself")
            }
        }
    }
}

/// The decision about one sync, in a few sentences.
#[must_use]
pub fn text(sync: &str, job: &Job, look: &Look, now: Timestamp) -> String {
    let mut said = Vec::new();
    said.push(match (look.state, &job.running) {
        (_, Some(running)) => match running.stopping {
            Some(reason) => format!("{sync} has run for {} and is stopping ({}).", span(now.since(running.began)), reason.name()),
            None => format!("{sync} has run for {}.", span(now.since(running.began))),
        },
        (SyncState::Disabled, _) => format!("{sync} is disabled."),
        (SyncState::Waiting, _) => match look.next {
            Some(next) => format!("{sync} waits and is due in {}.", span(next.since(now))),
            None => format!("{sync} waits."),
        },
        (SyncState::Blocked, _) => format!("{sync} is blocked."),
        (SyncState::Ready | SyncState::Running, _) => format!("{sync} is about to run."),
    });
    for hold in &look.holds {
        let Holding { name, has, needs, hint, .. } = hold.holding(sync, now);
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        said.push(format!("{name}: {has}; needs {needs}{hint}."));
    }
    if job.request.is_some() {
        said.push(if job.running.is_some() { "One more run is asked for." } else { "A run is asked for." }.into());
    }
    said.extend(job.demand.as_ref().map(|demand| {
        let who = demand.by.as_deref().unwrap_or("an unnamed app");
        let more = if demand.count > 1 { format!(", the strictest of {}", demand.count) } else { String::new() };
        format!("{who} wants it no older than {}{more}.", span(demand.age))
    }));
    said.push(match job.last {
        Last::Never => "It never ran.".into(),
        Last::Done { began } => format!("The last run began {} ago and is done.", span(now.since(began))),
        Last::Failed { ended } => format!("The last run failed {} ago.", span(now.since(ended))),
        Last::Stopped { began, reason } => {
            format!("The last run began {} ago and was stopped ({}).", span(now.since(began)), reason.name())
        }
    });
    said.join(" ")
}

impl Trigger {
    /// What made a run due, in words that fit after "due ".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::First => "because it never ran",
            Self::Timer => "by its interval",
            Self::Cron => "by its cron expression",
            Self::Change => "by changes of the truth",
            Self::Startup => "at start-up",
            Self::Ping => "by a ping",
            Self::Request => "by request",
            Self::Demand => "because a reader wants it fresher",
            Self::NextRunAt => "because its next run was given this moment",
            Self::Retry => "again after a failure",
            Self::Resume => "because the run before was stopped",
        }
    }
}

/// A duration by its two largest units: `3 d 4 h`, `12 min`, `850 ms`.
fn span(of: Duration) -> String {
    let ms = of.as_millis();
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let seconds = of.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let (largest, _) = units.iter().enumerate().find(|(_, (_, size))| seconds >= *size).unwrap_or((3, &("s", 1)));
    let (name, size) = units[largest];
    let head = format!("{} {name}", seconds / size);
    match units.get(largest + 1) {
        Some((next, next_size)) if seconds % size >= *next_size => format!("{head} {} {next}", seconds % size / next_size),
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let check = |ms: u64, expect: &str| assert_eq!(span(Duration::from_millis(ms)), expect);
        check(0, "0 ms");
        check(850, "850 ms");
        check(59_999, "59 s");
        check(60_000, "1 min");
        check(61_000, "1 min 1 s");
        check(3_600_000, "1 h");
        check(3_661_000, "1 h 1 min");
        check(3_601_000, "1 h");
        check(100 * 86_400_000 + 7_200_000, "100 d 2 h");
    }
}
