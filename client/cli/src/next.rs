//! Owns: `mingle next`. Must never know: what makes a sync due otherwise.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::call;

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    status,
    words::{duration, plain, when},
};

/// Give the next run of a sync a moment; the runs after it are as its schedule says.
///
/// Until then neither its interval nor a change begins a run, and at that moment neither they nor a pause after a failure hold it;
/// constraints do. `mingle sync` does not wait for it. A moment that is past is now.
#[derive(Debug, clap::Args)]
pub struct Next {
    /// The sync.
    sync: String,
    /// A time (2026-01-02T03:04:05Z), or in how long (10m, 2h).
    #[arg(value_name = "TIME", required_unless_present = "clear", conflicts_with = "clear")]
    at: Option<String>,
    /// Take the moment back: the schedule says when.
    #[arg(long)]
    clear: bool,
}

impl Next {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync, at: moment, clear: _ } = self;
        let now = clock::now();
        let moment = moment.map(|text| parsed(&text, now)).transpose()?;
        at.show(call::SyncNext { sync, at: moment }, |answer| plain(&text(answer, clock::now())))?;
        Ok(Exit::Done)
    }
}

/// The moment that a person wrote: a time, or in how long it is.
pub fn parsed(text: &str, now: Timestamp) -> Result<String, Failure> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.to_string());
    }
    let ahead = duration(text).map_err(|_| {
        Failure::said(Exit::Usage, format!("{text:?} is no time"), "write 2026-01-02T03:04:05Z, or in how long it is: 10m, 2h")
    })?;
    Ok(after(now, ahead).to_string())
}

fn after(now: Timestamp, ahead: Duration) -> Timestamp {
    let ms = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now.as_millisecond().saturating_add(ms)).unwrap_or(Timestamp::MAX)
}

fn text(answer: &call::SyncNextAnswer, now: Timestamp) -> String {
    let next = answer.next_at.as_ref().map(|at| format!(", and runs {}", when(at, now))).unwrap_or_default();
    let hold = answer.hold.as_ref().map(|hold| format!("; {}", status::hold(hold, now))).unwrap_or_default();
    format!("{} is {}{next}{hold}", answer.sync, answer.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_lie_ahead() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a time");
        let check = |text: &str, expect: &str| assert_eq!(parsed(text, now).expect("a time"), expect, "{text}");
        check("10m", "2026-01-02T12:10:00Z");
        check("2026-02-03T04:05:06+01:00", "2026-02-03T03:05:06Z");
        assert_eq!(parsed("soon", now).expect_err("no time").exit(), Exit::Usage);
    }
}
