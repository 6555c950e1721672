//! Owns: `mingle sync`: asks for runs, waits for each, and says how it came out. Must never know: how a run goes.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::{
    CallError, Name,
    call::{self, Hold, Mode, Run, ScheduleState, Settled, SyncStatus, WaitAnswer, WaitNeeds},
};
use serde_json::{Value, json};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    history, interrupt, plan,
    progress::Progress,
    status, tags,
    wait::{self, What},
    words::plain,
};

/// Run syncs now, and wait until they have ended.
///
/// Ends with 5 where a person must decide (a conflict, a rejection, a login), and with 6 where a sync waits for a condition.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// The syncs; all that are not paused where left out.
    #[arg(value_name = "SYNC")]
    syncs: Vec<String>,
    /// Every sync with this tag.
    #[arg(long, value_name = "TAG", conflicts_with = "syncs")]
    tag: Option<String>,
    /// Only ask for the runs.
    #[arg(long)]
    no_wait: bool,
    /// Wait for the end, as it does anyway.
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// fast: changes only. slow: everything, compared. refresh: forget what was agreed on, and begin anew without deletes.
    #[arg(long, value_name = "fast|slow|refresh")]
    mode: Option<Mode>,
    /// Also where the remote has another history than the one we know: both sides are merged.
    #[arg(long)]
    force: bool,
    /// Take deletes that are held back because they are many.
    #[arg(long)]
    accept_deletes: bool,
    /// Only say what would be sent and what would change here. The remote is asked, and nothing is done.
    #[arg(long, conflicts_with_all = ["no_wait", "wait"])]
    plan: bool,
}

/// How long one call waits before the holds are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How one sync came out.
#[derive(Debug)]
struct Outcome {
    exit: Exit,
    /// For people, in a line or more.
    text: String,
    /// For programs.
    json: Value,
}

impl Sync {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let names = match &self.tag {
            Some(tag) => tags::tagged(at, tag)?,
            None if self.syncs.is_empty() => every(at)?,
            None => self.syncs.clone(),
        };
        if self.plan {
            return plan::show(at, names.into_iter().map(|name| self.wish(&name)));
        }
        // Before the first run, so that its first event is seen.
        let progress = Progress::start(at.options(), &names, !self.no_wait && !at.json && !names.is_empty());
        let mut asked = Vec::new();
        let mut exit = Exit::Done;
        for name in names {
            match self.ask(at, &name) {
                Ok(answer) if self.no_wait => {
                    let queued = if answer.queued { "queued as" } else { "runs as" };
                    let text = plain(&format!("{name} {queued} {}; `mingle wait {}` ends with it", answer.run, answer.run));
                    let json = json!({"sync": name, "run": answer.run, "queued": answer.queued});
                    say(at, &Outcome { exit: Exit::Done, text, json })?;
                }
                Ok(answer) => asked.push((name, answer.run)),
                Err(Failure::Call(CallError::Refused(refusal))) if refusal.name() == Name::Stopped => {
                    progress.clear();
                    let text = plain(&format!("{name} waits: {}{}", refusal.message, what_ends_it(&refusal)));
                    say(
                        at,
                        &Outcome {
                            exit: Exit::Waits,
                            text,
                            json: json!({"sync": name, "state": "stopped", "why": refusal.message}),
                        },
                    )?;
                    exit = exit.and(Exit::Waits);
                }
                Err(other) => {
                    progress.clear();
                    return Err(other);
                }
            }
        }
        if !asked.is_empty() {
            interrupt::say_that_work_goes_on("`mingle stop` stops all runs, `mingle pause SYNC` one sync");
        }
        Ok(exit.and(see_through(at, asked, &progress, |at, name| Ok(self.ask(at, name)?.run))?))
    }

    fn ask(&self, at: &mut At, name: &str) -> Result<call::SyncRunAnswer, Failure> {
        at.call(self.wish(name))
    }

    fn wish(&self, name: &str) -> call::SyncRun {
        let Self { mode, force, accept_deletes, .. } = *self;
        call::SyncRun { sync: name.to_owned(), mode, force, accept_deletes }
    }
}

/// Waits for each run, and says how it came out. `again` asks for one of this sync once more.
pub fn see_through(
    at: &mut At,
    runs: Vec<(String, String)>,
    progress: &Progress,
    mut again: impl FnMut(&mut At, &str) -> Result<String, Failure>,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for (name, run) in runs {
        let outcome = settle(at, &name, run, &mut again)?;
        progress.clear();
        say(at, &outcome)?;
        exit = exit.and(outcome.exit);
    }
    Ok(exit)
}

/// Waits until the run has ended, or until something holds it that does not end by itself. A run that ended with its daemon is asked
/// for once more: it is this command's to see it through.
fn settle(
    at: &mut At,
    name: &str,
    mut run: String,
    mut again: impl FnMut(&mut At, &str) -> Result<String, Failure>,
) -> Result<Outcome, Failure> {
    let mut once_more = true;
    loop {
        let (_, answer) = wait::once(at, &What::Run(run.clone()), LOOK)?;
        let sync = at.call(call::Status {})?.syncs.into_iter().find(|sync| sync.sync == name);
        if answer.state != Settled::Pending {
            let ended = ended(at, name, &run)?;
            if once_more && ended.as_ref().and_then(|run| run.stop_reason.as_deref()) == Some("crash") {
                once_more = false;
                run = again(at, name)?;
                continue;
            }
            return Ok(outcome(name, &run, &answer, sync.as_ref(), ended.as_ref(), clock::now()));
        }
        if let Some(hold) = sync.as_ref().and_then(held) {
            return Ok(waits(name, &run, hold, clock::now()));
        }
    }
}

/// What to do about a refusal, unless its message says so already.
fn what_ends_it(refusal: &mingle_client::Error) -> String {
    let hint = refusal.data.hint.as_deref().unwrap_or("`mingle restart` accepts runs again");
    if refusal.message.contains("`mingle restart`") { String::new() } else { format!("; {hint}") }
}

/// Every sync that is not paused.
fn every(at: &mut At) -> Result<Vec<String>, Failure> {
    let status = at.call(call::Status {})?;
    if status.syncs.is_empty() {
        at.note(status::no_syncs(&status).trim_end());
    }
    let (off, on): (Vec<&SyncStatus>, Vec<_>) = status.syncs.iter().partition(|sync| sync.state == ScheduleState::Disabled);
    for sync in off {
        at.note(&format!("{} is paused; `mingle resume {}` lets it run again", sync.sync, sync.sync));
    }
    Ok(on.into_iter().map(|sync| sync.sync.clone()).collect())
}

fn say(at: &mut At, outcome: &Outcome) -> Result<(), Failure> {
    if at.json {
        at.line(&outcome.json.to_string())?;
    } else {
        at.text(&outcome.text)?;
    }
    at.flush()
}

/// The history's row of the run.
fn ended(at: &mut At, name: &str, run: &str) -> Result<Option<Run>, Failure> {
    let history = at.call(call::History { sync: Some(name.to_owned()), limit: Some(20), cursor: None })?;
    Ok(history.runs.into_iter().find(|row| row.run == run))
}

/// The hold that a person should hear of: not one that other runs or a few seconds end.
fn held(sync: &SyncStatus) -> Option<&Hold> {
    let lasts = |hold: &&Hold| matches!(hold.waits_for, Some(WaitNeeds::Condition | WaitNeeds::Person));
    sync.hold.as_ref().filter(|_| sync.run.is_none()).filter(lasts)
}

fn waits(name: &str, run: &str, hold: &Hold, now: Timestamp) -> Outcome {
    let exit = if hold.waits_for == Some(WaitNeeds::Person) { Exit::Person } else { Exit::Waits };
    Outcome {
        exit,
        text: plain(&format!("{name} waits: {}; `mingle explain {name}` says more", status::hold(hold, now))),
        json: json!({"sync": name, "run": run, "state": "pending", "hold": hold}),
    }
}

/// Troubles that only a person ends.
fn needs_person(name: &str) -> bool {
    matches!(name, "needs_login" | "epoch" | "account")
}

fn outcome(
    name: &str,
    run: &str,
    answer: &WaitAnswer,
    sync: Option<&SyncStatus>,
    ended: Option<&Run>,
    now: Timestamp,
) -> Outcome {
    let (conflicts, rejections) = sync.map_or((0, 0), |sync| (sync.conflicts, sync.rejections));
    let login = ended.and_then(|run| run.error.as_ref()).is_some_and(|trouble| needs_person(&trouble.name))
        || sync.and_then(|sync| sync.hold.as_ref()).is_some_and(|hold| needs_person(&hold.name));
    let exit = match wait::exit(answer.state) {
        Exit::Failed if login => Exit::Person,
        Exit::Done if conflicts > 0 || rejections > 0 => Exit::Person,
        other => other,
    };
    let mut text = format!("{name}: {}", ended.map_or_else(|| answer.state.to_string(), |run| history::short(run, now)));
    match (ended.and_then(history::why), &answer.why) {
        (Some(why), _) => text.push_str(&format!(": {why}")),
        (None, Some(why)) if answer.state != Settled::Done => text.push_str(&format!(": {why}")),
        _ => {}
    }
    if conflicts > 0 {
        text.push_str(&format!("\n  {conflicts} open in conflict: `mingle conflict list` shows them"));
    }
    if rejections > 0 {
        text.push_str(&format!("\n  {rejections} rejected: `mingle rejection list` shows them"));
    }
    let json =
        json!({"sync": name, "run": run, "state": answer.state, "why": answer.why, "remotes": answer.remotes, "last": ended});
    Outcome { exit, text: plain(&text), json }
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{RunStatus, Trouble};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn how_a_run_came_out() {
        #[track_caller]
        fn check(state: Settled, conflicts: u64, rejections: u64, trouble: Option<&str>, expect: Exit, part: &str) {
            let answer = WaitAnswer { state, ..WaitAnswer::default() };
            let sync = SyncStatus { conflicts, rejections, ..SyncStatus::default() };
            let error = trouble.map(|name| Trouble { name: name.into(), what: format!("what of {name}"), hint: None });
            let run = Run { run: "r-1".into(), status: RunStatus::Done, down: 3, error, ..Run::default() };
            let outcome = outcome("a", "r-1", &answer, Some(&sync), Some(&run), now());
            assert_eq!(outcome.exit, expect, "{outcome:?}");
            assert!(outcome.text.contains(part), "{}", outcome.text);
        }
        check(Settled::Done, 0, 0, None, Exit::Done, "a: done, 3 down");
        check(Settled::Done, 1, 0, None, Exit::Person, "mingle conflict list");
        check(Settled::Done, 0, 2, None, Exit::Person, "mingle rejection list");
        check(Settled::DoneWithErrors, 0, 1, None, Exit::Person, "1 rejected");
        check(Settled::Failed, 0, 0, Some("unreachable"), Exit::Failed, "what of unreachable");
        check(Settled::Failed, 0, 0, Some("needs_login"), Exit::Person, "what of needs_login");
        check(Settled::Stopped, 0, 0, None, Exit::Waits, "");
        check(Settled::Cancelled, 0, 0, None, Exit::Failed, "");
    }

    #[test]
    fn which_holds_end_the_waiting() {
        #[track_caller]
        fn check(waits_for: Option<WaitNeeds>, runs: bool, expect: Option<Exit>) {
            let hold = Some(Hold { name: "any".into(), waits_for, ..Hold::default() });
            let sync = SyncStatus { hold, run: runs.then(call::Progress::default), ..SyncStatus::default() };
            assert_eq!(held(&sync).map(|hold| waits("a", "r-1", hold, now()).exit), expect, "{sync:?}");
        }
        check(Some(WaitNeeds::Condition), false, Some(Exit::Waits));
        check(Some(WaitNeeds::Condition), true, None);
        check(Some(WaitNeeds::Person), false, Some(Exit::Person));
        check(Some(WaitNeeds::Time), false, None);
        check(None, false, None);
    }
}
