//! Owns: `mingle reset`: asks for it, says what it is about, and waits for the runs. Must never know: how anything is compared.

use mingle_client::call::{self, ResetHow, SyncStatus};

use crate::{
    at::At,
    exit::{Exit, Failure},
    interrupt,
    progress::Progress,
    sync,
    words::{count, plain},
};

/// Begin anew with a remote that has another history, or another account; or drop what is not sent.
///
/// The store is copied beside itself first, and `mingle history` names the copy. Then everything is fetched and compared. Waits until the
/// runs have ended, with the exit codes of `mingle sync`. Without --yes, --discard only says what would go.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("how").required(true))]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub struct Reset {
    /// The syncs.
    #[arg(value_name = "SYNC", group = "which", conflicts_with = "all")]
    syncs: Vec<String>,
    /// All of them.
    #[arg(long, group = "which")]
    all: bool,
    /// Overwrite nothing that is here: what differs is an open conflict, what is not sent and does not clash is sent.
    #[arg(long, group = "how")]
    recover: bool,
    /// Take what the remote has. What is not sent is written down as conflicts, which can be taken up again, and goes.
    #[arg(long, group = "how")]
    discard: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// Only ask for the runs.
    #[arg(long)]
    no_wait: bool,
}

impl Reset {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let how = if self.discard { ResetHow::Discard } else { ResetHow::Recover };
        let all = if self.all || (self.discard && !self.yes) { at.call(call::Status {})?.syncs } else { Vec::new() };
        let names = if self.all { all.iter().map(|sync| sync.sync.clone()).collect() } else { self.syncs.clone() };
        if self.discard && !self.yes {
            for name in &names {
                at.text(&would(name, all.iter().find(|sync| sync.sync == *name)))?;
            }
            at.flush()?;
            return Ok(Exit::Done);
        }
        let progress = Progress::start(at.options(), &names, !self.no_wait && !at.json && !names.is_empty());
        let mut asked = Vec::new();
        for name in names {
            let answer = at.call(call::SyncReset { sync: name.clone(), how })?;
            if self.no_wait {
                let queued = if answer.queued { "queued as" } else { "runs as" };
                at.text(&plain(&format!("{name} {queued} {}; `mingle wait {}` ends with it", answer.run, answer.run)))?;
            } else {
                asked.push((name, answer.run));
            }
        }
        at.flush()?;
        if asked.is_empty() {
            return Ok(Exit::Done);
        }
        interrupt::say_that_work_goes_on("`mingle stop` stops all runs, `mingle cancel SYNC` takes back what has not begun");
        sync::see_through(at, asked, &progress, |at, name| Ok(at.call(goes_on(name))?.run))
    }
}

/// What is asked for where a run ended with its daemon: no second word. The first was heard when the run began, and goes on; a second would
/// take away what was written since.
fn goes_on(name: &str) -> call::SyncRun {
    call::SyncRun { sync: name.to_owned(), mode: None, force: false, accept_deletes: false }
}

/// What would go.
fn would(name: &str, sync: Option<&SyncStatus>) -> String {
    let Some(sync) = sync else { return plain(&format!("{name}: there is no such sync")) };
    let number = |n: u64, what: &str| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    plain(&format!(
        "{name}: {} not sent yet and {} would be written down as discarded, and go; what the remote has would be fetched anew; nothing is done \
         yet: --yes does it",
        number(sync.pending, "change"),
        number(sync.conflicts, "open conflict")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_not_said_twice() {
        use call::Call as _;
        assert_eq!(call::SyncRun::METHOD, "sync.run");
        let said = serde_json::to_value(goes_on("a")).unwrap();
        assert_eq!(said, serde_json::json!({ "sync": "a" }), "as if nobody had said anything");
    }

    #[test]
    fn what_would_go_is_said() {
        let sync = SyncStatus { sync: "a".into(), pending: 2, conflicts: 1, ..SyncStatus::default() };
        let told = would("a", Some(&sync));
        assert!(told.starts_with("a: 2 changes not sent yet and 1 open conflict would be written down"), "{told}");
        assert_eq!(would("b", None), "b: there is no such sync");
    }
}
