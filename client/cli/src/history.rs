//! Owns: `mingle history`, and how a run is said in a row. Must never know: how runs go.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::call::{self, Run};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    table::Table,
    words::{bytes, plain, span, when},
};

/// Show past runs, the latest first.
#[derive(Debug, clap::Args)]
pub struct History {
    /// Only of this sync.
    sync: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl History {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let call = call::History { sync: self.sync, limit: Some(self.limit), cursor: None };
        at.show(call, |answer| match answer.runs.as_slice() {
            [] => "no run yet".into(),
            runs => text(runs, clock::now()),
        })?;
        Ok(Exit::Done)
    }
}

/// One row a run, and what went wrong below it.
pub fn text(runs: &[Run], now: Timestamp) -> String {
    let mut table = Table::new(&[
        "RUN",
        "SYNC",
        "STATUS",
        "ENDED",
        "TRIGGER",
        "DOWN",
        "UP",
        "REJECTED",
        "CONFLICTS",
        "BYTES",
        "SENT",
        "REQUESTS",
    ]);
    for run in runs {
        let ended = run.ended_at.as_deref().map_or_else(|| "-".into(), |at| when(at, now));
        let numbers = [run.down, run.up, run.rejected, run.conflicts].map(|n| n.to_string());
        let [down, up, rejected, conflicts] = numbers;
        table.row([
            run.run.clone(),
            run.sync.clone(),
            status(run),
            ended,
            run.trigger.clone(),
            down,
            up,
            rejected,
            conflicts,
            bytes(run.bytes),
            run.bytes_up.map_or_else(|| "-".into(), bytes),
            requests(run),
        ]);
        if let Some(before) = before(run) {
            table.remark(&before);
        }
        if let Some(reset) = reset(run) {
            table.remark(&reset);
        }
        if let Some(why) = why(run) {
            table.remark(&why);
        }
    }
    table.text()
}

/// `done`, `stopped (crash)`.
fn status(run: &Run) -> String {
    match &run.stop_reason {
        Some(reason) => format!("{} ({reason})", run.status),
        None => run.status.to_string(),
    }
}

/// `14`, `14 (11 unchanged)`.
fn requests(run: &Run) -> String {
    let unchanged = run.not_modified.filter(|count| *count > 0).map(|count| format!(" ({count} unchanged)")).unwrap_or_default();
    run.requests.map_or_else(|| "-".into(), |count| format!("{count}{unchanged}"))
}

/// What came before it: failures, and what held its sync.
fn before(run: &Run) -> Option<String> {
    let attempt = run.attempt.filter(|attempt| *attempt > 1).map(|attempt| format!("attempt {attempt}"));
    let waited = run.waited_ms.map(|ms| {
        let by = run.waited_for.as_deref().map(|by| format!(" for {by}")).unwrap_or_default();
        format!("waited {}{by}", span(Duration::from_millis(ms)))
    });
    let said: Vec<String> = attempt.into_iter().chain(waited).collect();
    (!said.is_empty()).then(|| plain(&said.join(", ")))
}

/// That a run was a reset, and where the store as it was before is.
fn reset(run: &Run) -> Option<String> {
    let reset = run.reset.as_ref()?;
    let copy = reset.copy.as_ref().map(|copy| format!("; the store as it was before: {copy}")).unwrap_or_default();
    let why = match reset.why.as_str() {
        "epoch" => "the remote has another history",
        "account" => "the account is another one",
        _ => "somebody asked for it",
    };
    Some(plain(&format!("reset ({}): {why}{copy}", reset.how)))
}

/// What went wrong, and what to do about it.
pub fn why(run: &Run) -> Option<String> {
    let trouble = run.error.as_ref()?;
    let hint = trouble.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(plain(&format!("{}{hint}", trouble.what)))
}

/// A run in a few words: `done 2 min ago, 3 down, 1 up`.
pub fn short(run: &Run, now: Timestamp) -> String {
    let mut text = status(run);
    if let Some(at) = &run.ended_at {
        text.push_str(&format!(" {}", when(at, now)));
    }
    for (n, what) in [(run.down, "down"), (run.up, "up"), (run.rejected, "rejected"), (run.conflicts, "in conflict")] {
        if n > 0 {
            text.push_str(&format!(", {n} {what}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{RunReset, RunStatus, Trouble};

    use super::*;

    #[test]
    fn a_run_in_a_row_and_in_a_few_words() {
        let now = "2026-01-02T12:00:00Z".parse().expect("a time");
        let run = Run {
            run: "r-7".into(),
            sync: "issues".into(),
            status: RunStatus::Failed,
            trigger: "timer".into(),
            stop_reason: Some("auth".into()),
            ended_at: Some("2026-01-02T11:55:00Z".into()),
            down: 3,
            bytes: 2048,
            bytes_up: Some(100),
            bytes_down: Some(1948),
            requests: Some(14),
            not_modified: Some(11),
            error: Some(Trouble { name: "needs_login".into(), what: "401".into(), hint: Some("look at auth".into()) }),
            ..Run::default()
        };
        assert_eq!(short(&run, now), "failed (auth) 5 min ago, 3 down");
        let text = text(&[run], now);
        let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "r-7 issues failed (auth) 5 min ago timer 3 0 0 0 2 KiB 100 B 14 (11 unchanged)");
        assert_eq!(lines[2], "401; look at auth");
        let run = Run { attempt: Some(3), waited_ms: Some(61_000), waited_for: Some("network".into()), ..Run::default() };
        let text = super::text(std::slice::from_ref(&run), now);
        let ends: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().rev().take(2).collect();
        assert_eq!(ends, ["-", "-"], "not written down: {text}");
        assert!(super::text(&[run], now).contains("attempt 3, waited 61 s for network"));
        let first = Run { attempt: Some(1), ..Run::default() };
        assert!(!super::text(&[first], now).contains("attempt"));
        let reset = RunReset { how: "discard".into(), why: "epoch".into(), copy: Some("/x".into()) };
        let told = super::text(&[Run { reset: Some(reset), ..Run::default() }], now);
        assert!(told.contains("reset (discard): the remote has another history; the store as it was before: /x"), "{told}");
    }
}
