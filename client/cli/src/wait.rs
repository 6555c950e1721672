//! Owns: `mingle wait`, and which end of a wait has which exit code. Must never know: how a write settles.

use std::time::Duration;

use mingle_client::{
    Raw,
    call::{self, Settled, SyncReaches, WaitAnswer, WaitNeeds},
};

use crate::{
    at::At,
    clock::{self, Deadline},
    exit::{Exit, Failure},
    interrupt, status,
    words::{self, plain},
};

/// Wait until the remotes have a write, until a run has ended, or until syncs are synced.
///
/// A sync is synced when it neither runs nor is due, nothing of it is pending, no conflict is open and no rejection stands, and its last run
/// ended well. Waiting begins no run: `mingle sync` does. Ends with 5 where a person must decide: a remote refused the write, another value
/// won, conflicts or rejections remain, a login is needed. Ends with 6, after the timeout, where a sync waits for a condition.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// A token (w-...) that a write gave, a run (r-...), or syncs by name.
    #[arg(value_name = "TOKEN|RUN|SYNC", required_unless_present = "all", conflicts_with = "all")]
    what: Vec<String>,
    /// Every sync that is not paused.
    #[arg(long)]
    all: bool,
    /// Of syncs: not before a run that begins after this command did.
    #[arg(long)]
    fresh: bool,
    /// Of syncs: until each is in this state instead.
    #[arg(long, value_name = "STATE", conflicts_with_all = ["all", "fresh"])]
    state: Option<SyncReaches>,
    /// Give up after this long (5s, 2m, 1h); the work goes on.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    timeout: Option<Duration>,
}

/// What is waited for.
#[derive(Clone, Debug)]
pub enum What {
    Token(String),
    Run(String),
    /// These, or all, since then, in this state.
    Syncs(Option<Vec<String>>, Option<String>, Option<SyncReaches>),
}

/// What is meant: no sync has a - in its name.
fn meant(wait: &Wait) -> Result<What, String> {
    let Wait { what, all, fresh, state, .. } = wait;
    let since = fresh.then(|| clock::now().to_string());
    let (one, of_syncs) = (what.len() == 1, *fresh || state.is_some());
    match what.first().map(|first| (first.get(..2), first)) {
        Some((Some("w-"), token)) if one && !of_syncs => Ok(What::Token(token.clone())),
        Some((Some("r-"), run)) if one && !of_syncs => Ok(What::Run(run.clone())),
        _ if what.iter().any(|name| name.contains('-')) => {
            Err("a token begins with w-, a run with r-, and one of these is waited for alone; a sync's name has no -".into())
        }
        _ => Ok(What::Syncs((!all).then(|| what.clone()), since, *state)),
    }
}

/// The longest that one call waits: between two, a daemon that went away is noticed.
pub const SLICE: Duration = Duration::from_secs(30);

impl Wait {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        interrupt::say_that_work_goes_on("`mingle status` shows it");
        let until = Deadline::after(self.timeout);
        let what = meant(&self).map_err(|what| Failure::said(Exit::Usage, what, "`mingle wait --help` shows how"))?;
        loop {
            let (raw, answer) = once(at, &what, until.left(SLICE))?;
            if answer.state != Settled::Pending || only_a_person(&answer) || until.passed() {
                if at.json {
                    at.line(raw.get())?;
                } else {
                    at.text(&text(&answer))?;
                }
                return Ok(end(&answer));
            }
        }
    }
}

/// Waits for so long: the answer as it came, and read.
pub fn once(at: &mut At, what: &What, within: Duration) -> Result<(Raw, WaitAnswer), Failure> {
    let mut call = call::Wait { timeout_ms: u64::try_from(within.as_millis()).ok(), ..call::Wait::default() };
    match what.clone() {
        What::Token(token) => call.token = Some(token),
        What::Run(run) => call.run = Some(run),
        What::Syncs(syncs, since_at, reaches) => call = call::Wait { all: syncs.is_none(), syncs, since_at, reaches, ..call },
    }
    let raw = at.ask(call)?;
    let answer = serde_json::from_str(raw.get()).map_err(|why| mingle_client::CallError::Garbled(format!("wait: {why}")))?;
    Ok((raw, answer))
}

/// Whether none of the syncs that are waited for gets on without a person.
fn only_a_person(answer: &WaitAnswer) -> bool {
    !answer.syncs.is_empty() && answer.syncs.iter().all(|sync| sync.needs == WaitNeeds::Person)
}

/// The code that this wait ends with.
fn end(answer: &WaitAnswer) -> Exit {
    match (answer.state, answer.needs) {
        (Settled::Pending, Some(WaitNeeds::Person)) => Exit::Person,
        (Settled::Pending, Some(WaitNeeds::Condition)) => Exit::Waits,
        (state, _) => exit(state),
    }
}

/// The code that a wait for a write or a run ends with.
pub const fn exit(state: Settled) -> Exit {
    match state {
        Settled::Done => Exit::Done,
        Settled::Rejected | Settled::Overruled | Settled::DoneWithErrors => Exit::Person,
        Settled::Failed | Settled::Cancelled | Settled::Unknown => Exit::Failed,
        Settled::Stopped => Exit::Waits,
        Settled::Pending => Exit::Timeout,
    }
}

fn text(answer: &WaitAnswer) -> String {
    let mut text = answer.state.to_string();
    if let Some(why) = &answer.why {
        text.push_str(&format!(": {why}"));
    }
    // One remote's reason is the reason of the whole: it is not said twice.
    let told = |error: &Option<String>| answer.why.as_ref().zip(error.as_ref()).is_some_and(|(why, error)| why.contains(error));
    for remote in answer.remotes.iter().filter(|remote| !told(&remote.error)) {
        let error = remote.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        text.push_str(&format!("\n  {}: {}{error}", remote.remote, remote.state));
    }
    if let Some(total) = answer.syncs_total.filter(|total| *total > 0) {
        text = format!("pending: {total} not synced");
        let now = clock::now();
        for sync in &answer.syncs {
            text.push_str(&format!("\n  {} is {} (needs {})", sync.sync, sync.state, sync.needs));
            text.extend(sync.hold.as_ref().map(|hold| format!("; {}", status::hold(hold, now))));
            text.extend(sync.error.as_ref().map(|error| format!("; its last run: {}", error.what)));
            let counts = [(sync.pending, "to be sent"), (sync.conflicts, "in conflict"), (sync.rejections, "rejected")];
            text.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("; {count} {what}")));
        }
    }
    match answer.state {
        Settled::Rejected | Settled::DoneWithErrors => text.push_str("\n`mingle rejection list` shows what can be done"),
        Settled::Overruled => text.push_str("\n`mingle conflict list` shows what won"),
        Settled::Pending => text.push_str("\nthe work goes on"),
        _ => {}
    }
    plain(&text)
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{RemoteSettled, SyncBehind};

    use super::*;

    #[test]
    fn every_end_has_words_and_a_code() {
        #[track_caller]
        fn check(state: Settled, code: Exit, part: &str) {
            let remote = RemoteSettled { remote: "github".into(), state, error: Some("422".into()) };
            let text = text(&WaitAnswer { state, why: Some("because".into()), remotes: vec![remote], ..WaitAnswer::default() });
            assert!(text.starts_with(&format!("{state}: because\n  github: {state}: 422")) && text.contains(part), "{text}");
            assert_eq!(exit(state), code, "{state}");
        }
        check(Settled::Done, Exit::Done, "");
        check(Settled::Pending, Exit::Timeout, "the work goes on");
        check(Settled::Rejected, Exit::Person, "mingle rejection list");
        check(Settled::Overruled, Exit::Person, "mingle conflict list");
        check(Settled::DoneWithErrors, Exit::Person, "mingle rejection list");
        check(Settled::Failed, Exit::Failed, "");
        check(Settled::Stopped, Exit::Waits, "");
        check(Settled::Cancelled, Exit::Failed, "");
    }

    #[test]
    fn syncs_that_are_not_synced_have_words_and_a_code() {
        #[track_caller]
        fn check(needs: &[WaitNeeds], code: Exit, alone: bool) {
            let one =
                |needs: &WaitNeeds| SyncBehind { sync: needs.to_string(), needs: *needs, pending: 2, ..SyncBehind::default() };
            let syncs: Vec<SyncBehind> = needs.iter().map(one).collect();
            let answer = WaitAnswer {
                syncs_total: Some(syncs.len() as u64),
                needs: needs.iter().copied().max(),
                syncs,
                ..WaitAnswer::default()
            };
            assert_eq!((end(&answer), only_a_person(&answer)), (code, alone), "{answer:?}");
            let text = text(&answer);
            assert!(text.contains(&format!("pending: {} not synced\n  {} is waiting", needs.len(), needs[0])), "{text}");
            assert!(text.contains("2 to be sent") && text.contains("the work goes on"), "{text}");
        }
        check(&[WaitNeeds::Time], Exit::Timeout, false);
        check(&[WaitNeeds::Time, WaitNeeds::Condition], Exit::Waits, false);
        check(&[WaitNeeds::Person, WaitNeeds::Condition], Exit::Person, false);
        check(&[WaitNeeds::Person], Exit::Person, true);
        let done = WaitAnswer { state: Settled::Done, syncs_total: Some(0), ..WaitAnswer::default() };
        assert_eq!((end(&done), text(&done).as_str()), (Exit::Done, "done"));
    }
}
