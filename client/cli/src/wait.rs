//! Owns: `mingle wait`, and which end of a wait has which exit code. Must never know: how a write settles.

use std::time::Duration;

use mingle_client::{
    Raw,
    call::{self, Settled, WaitAnswer},
};

use crate::{
    at::At,
    clock::Deadline,
    exit::{Exit, Failure},
    interrupt,
    words::{self, plain},
};

/// Wait until the remotes have a write, or until a run has ended.
///
/// Ends with 5 where a person must decide: a remote refused the write, another value won, or rejections remain.
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// A token (w-...) that a write gave, or a run (r-...).
    #[arg(value_name = "TOKEN|RUN", value_parser = waitable)]
    what: What,
    /// Give up after this long (5s, 2m, 1h); the work goes on.
    #[arg(long, value_name = "TIME", value_parser = words::duration)]
    timeout: Option<Duration>,
}

/// What is waited for.
#[derive(Clone, Debug)]
pub enum What {
    Token(String),
    Run(String),
}

fn waitable(text: &str) -> Result<What, String> {
    match text.get(..2) {
        Some("w-") => Ok(What::Token(text.into())),
        Some("r-") => Ok(What::Run(text.into())),
        _ => Err("a token begins with w-, a run with r-".into()),
    }
}

/// The longest that one call waits: between two, a daemon that went away is noticed.
pub const SLICE: Duration = Duration::from_secs(30);

impl Wait {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        interrupt::say_that_work_goes_on("`mingle status` shows it");
        let until = Deadline::after(self.timeout);
        loop {
            let (raw, answer) = once(at, &self.what, until.left(SLICE))?;
            if answer.state != Settled::Pending || until.passed() {
                if at.json {
                    at.line(raw.get())?;
                } else {
                    at.text(&text(&answer))?;
                }
                return Ok(exit(answer.state));
            }
        }
    }
}

/// Waits for so long: the answer as it came, and read.
pub fn once(at: &mut At, what: &What, within: Duration) -> Result<(Raw, WaitAnswer), Failure> {
    let (token, run) = match what.clone() {
        What::Token(token) => (Some(token), None),
        What::Run(run) => (None, Some(run)),
    };
    let raw = at.ask(call::Wait { token, run, timeout_ms: u64::try_from(within.as_millis()).ok() })?;
    let answer = serde_json::from_str(raw.get()).map_err(|why| mingle_client::CallError::Garbled(format!("wait: {why}")))?;
    Ok((raw, answer))
}

/// The code that a wait ends with.
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
    use mingle_client::call::RemoteSettled;

    use super::*;

    #[test]
    fn every_end_has_words_and_a_code() {
        #[track_caller]
        fn check(state: Settled, code: Exit, part: &str) {
            let remote = RemoteSettled { remote: "github".into(), state, error: Some("422".into()) };
            let text = text(&WaitAnswer { state, why: Some("because".into()), remotes: vec![remote] });
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
}
