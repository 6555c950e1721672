//! Owns: `mingle reload`. Must never know: what a section of the configuration means.

use mingle_client::call::{self, ReloadAnswer};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::{count, plain},
};

/// Read the configuration again and apply what changed; one that is not good changes nothing.
#[derive(Debug, clap::Args)]
pub struct Reload {}

impl Reload {
    #[expect(clippy::unused_self, reason = "every subcommand is run the same way")]
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let answer = at.show(call::Reload {}, text)?;
        Ok(if answer.orphaned.is_empty() { Exit::Done } else { Exit::Person })
    }
}

fn text(answer: &ReloadAnswer) -> String {
    let mut lines = Vec::new();
    lines.extend(answer.applied.iter().map(|one| format!("{} {}", one.section, one.change)));
    lines.extend(answer.after_restart.iter().map(|key| format!("{key} is another, and holds after a new start of mingled")));
    lines.extend(answer.orphaned.iter().map(|one| {
        let changes = count(usize::try_from(one.pending).unwrap_or(usize::MAX), "change");
        format!("{}: {changes} not sent and kept; defined again, the sync sends them", one.sync)
    }));
    if lines.is_empty() {
        return "nothing has changed".into();
    }
    lines.iter().map(|line| format!("{}\n", plain(line))).collect()
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{Applied, Orphaned, SectionChange};

    use super::*;

    #[test]
    fn what_changed_is_said_and_what_did_not() {
        assert_eq!(text(&ReloadAnswer::default()), "nothing has changed");
        let answer = ReloadAnswer {
            applied: vec![Applied { section: "sync.a".into(), change: SectionChange::Removed }],
            after_restart: vec!["store.path".into()],
            orphaned: vec![Orphaned { sync: "a".into(), pending: 2 }],
        };
        let said = text(&answer);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "sync.a removed");
        assert!(lines[1].starts_with("store.path") && lines[1].contains("new start"));
        assert!(lines[2].starts_with("a: 2 changes not sent"));
    }
}
