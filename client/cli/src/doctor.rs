//! Owns: `mingle doctor`: what `mingled doctor` finds without a daemon, and what a running one says of itself and its remotes.
//! Must never know: how any of it is looked at.

use mingle_client::{
    blocking::Client,
    call::{self, StatusAnswer},
};
use serde_json::{Value, json};

use crate::{
    at::At,
    exit::{Exit, Failure},
    program, service,
    words::plain,
};

/// Look at everything that mingle needs, with a daemon or without: programs, configuration, places, lock, store, clock, service,
/// remotes.
///
/// Ends with 1 where something keeps it from its work.
#[derive(Debug, clap::Args)]
pub struct Doctor {}

/// What was found, one after the other.
struct Findings(Vec<Value>);

impl Findings {
    fn note(&mut self, about: &str, state: &str, what: impl AsRef<str>, hint: impl AsRef<str>) {
        self.0.push(json!({"about": about, "state": state, "what": what.as_ref(), "hint": hint.as_ref()}));
    }

    fn failed(&mut self, about: &str, state: &str, failure: &Failure) {
        self.note(about, state, failure.to_string(), failure.hint());
    }
}

impl Doctor {
    #[expect(clippy::unused_self, reason = "every subcommand is run the same way")]
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut found = Findings(Vec::new());
        let own = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
        found.note("mingle", "good", format!("version {}, {own}", env!("CARGO_PKG_VERSION")), "");
        match program::facts(&["doctor".into(), "--json".into()]) {
            Ok(report) => {
                found.0.extend(report["findings"].as_array().cloned().unwrap_or_default());
                found.0.extend(service::status_group::finding(report["status_group"].as_u64()));
            }
            Err(failure) => found.failed("mingled", "bad", &failure),
        }
        found.0.push(service::finding());
        daemon(at, &mut found);
        let good = !found.0.iter().any(|one| one["state"] == "bad");
        if at.json {
            at.line(&json!({"good": good, "findings": found.0}).to_string())?;
        } else {
            for one in &found.0 {
                let text = |key: &str| plain(one[key].as_str().unwrap_or_default());
                at.line(&format!("{:4}  {}: {}", text("state"), text("about"), text("what")))?;
                if !text("hint").is_empty() {
                    at.line(&format!("      hint: {}", text("hint")))?;
                }
            }
        }
        Ok(if good { Exit::Done } else { Exit::Failed })
    }
}

/// What a running daemon says; that none runs is odd, and keeps nothing from its work once it does.
fn daemon(at: &mut At, found: &mut Findings) {
    if let Err(error) = Client::open(at.options()) {
        let state = if error.is_absence() { "odd" } else { "bad" };
        return found.failed("daemon", state, &error.into());
    }
    match at.call(call::Status {}) {
        Ok(status) => told(found, &status),
        Err(failure) => return found.failed("daemon", "bad", &failure),
    }
    let remotes = match at.call(call::RemoteList {}) {
        Ok(answer) => answer.remotes,
        Err(failure) => return found.failed("remotes", "bad", &failure),
    };
    for remote in remotes {
        match at.call(call::RemoteCheck { remote: remote.remote.clone() }) {
            Ok(answer) if answer.ok => found.note("remote", "good", format!("{} answers", remote.remote), ""),
            Ok(answer) => {
                let what = format!("{}: {}", remote.remote, answer.what);
                found.note("remote", "odd", what, answer.hint.unwrap_or_default());
            }
            Err(failure) => found.failed("remote", "odd", &failure),
        }
    }
}

fn told(found: &mut Findings, status: &StatusAnswer) {
    let what = format!("version {} answers; it is {}, with {} syncs", status.build, status.state, status.syncs.len());
    if status.build == env!("CARGO_PKG_VERSION") {
        found.note("daemon", "good", what, "");
    } else {
        let hint = "`mingle service restart` starts the one that is installed";
        found.note("daemon", "odd", format!("{what}; this is mingle {}", env!("CARGO_PKG_VERSION")), hint);
    }
    for attention in &status.attention {
        found.note("attention", "odd", format!("{}: {}", attention.name, attention.about), &attention.hint);
    }
}
