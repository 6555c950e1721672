//! Owns: `mingle rebuild`: asks for it, says what stays, and waits for the runs. Must never know: how a collection is fetched anew.

use mingle_client::call::{self, RebuildAnswer};

use crate::{
    at::At,
    exit::{Exit, Failure},
    interrupt,
    progress::Progress,
    sync,
    words::{count, plain},
};

/// Fetch a collection anew from its remotes, for when what is here is thought to be wrong.
///
/// Changes that are not sent yet, conflicts and rejections stay, and meet what is fetched as always; of what differs otherwise the remote's
/// word counts. A record that a remote does not show any more is asked for by id before it goes, and too many at once wait for a person.
/// Waits until the runs have ended, with the exit codes of `mingle sync`.
#[derive(Debug, clap::Args)]
pub struct Rebuild {
    /// The collection.
    collection: String,
    /// Only ask for the runs.
    #[arg(long)]
    no_wait: bool,
    /// Only say what would be kept.
    #[arg(long, conflicts_with = "no_wait")]
    plan: bool,
}

impl Rebuild {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, no_wait, plan } = self;
        let answer = at.show(call::Rebuild { collection: collection.clone(), plan }, |answer| {
            if plan { kept(&collection, answer) } else { begun(&collection, answer, no_wait) }
        })?;
        if plan || no_wait {
            return Ok(Exit::Done);
        }
        at.flush()?;
        interrupt::say_that_work_goes_on("`mingle stop` stops all runs, `mingle pause SYNC` one sync");
        let names: Vec<String> = answer.runs.iter().map(|run| run.sync.clone()).collect();
        let progress = Progress::start(at.options(), &names, !at.json);
        let runs = answer.runs.into_iter().map(|run| (run.sync, run.run)).collect();
        // Whether the run that ended with its daemon came so far is not asked: to begin anew is right either way.
        sync::see_through(at, runs, &progress, |at, name| {
            let answer = at.call(call::Rebuild { collection: collection.clone(), plan: false })?;
            let of_it = answer.runs.into_iter().find(|run| run.sync == name);
            of_it.map(|run| run.run).ok_or_else(|| Failure::said(Exit::Failed, format!("{name} is no sync any more"), ""))
        })
    }
}

/// What is not at a remote yet, or waits for a person.
fn stays(answer: &RebuildAnswer) -> String {
    let number = |n: u64, what: &str| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    let parts = [
        number(answer.unsent, "change") + " not sent yet",
        number(answer.conflicts, "open conflict"),
        number(answer.rejections, "rejection"),
    ];
    parts.join(", ")
}

fn kept(collection: &str, answer: &RebuildAnswer) -> String {
    plain(&format!("{collection}: {} would be kept; everything else would be fetched anew; nothing is done", stays(answer)))
}

fn begun(collection: &str, answer: &RebuildAnswer, no_wait: bool) -> String {
    let mut text = format!("{collection}: {} stay; everything else is fetched anew", stays(answer));
    for run in answer.runs.iter().filter(|_| no_wait) {
        let queued = if run.queued { "queued as" } else { "runs as" };
        text.push_str(&format!("\n  {} {queued} {}; `mingle wait {}` ends with it", run.sync, run.run, run.run));
    }
    plain(&text)
}

#[cfg(test)]
mod tests {
    use mingle_client::call::RebuildRun;

    use super::*;

    #[test]
    fn what_stays_is_said() {
        let run = RebuildRun { sync: "far".into(), run: "r-1".into(), queued: true };
        let answer = RebuildAnswer { runs: vec![run], unsent: 1, conflicts: 0, rejections: 2 };
        let counted = "1 change not sent yet, 0 open conflicts, 2 rejections";
        assert!(kept("things", &answer).starts_with(&format!("things: {counted} would be kept")));
        assert!(begun("things", &answer, false).ends_with("fetched anew"));
        let told = begun("things", &answer, true);
        assert!(told.contains(counted) && told.ends_with("far queued as r-1; `mingle wait r-1` ends with it"), "{told}");
    }
}
