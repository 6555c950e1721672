//! Owns: `mingle remote`. Must never know: how a remote is spoken to.

use std::time::Duration;

use mingle_client::call::{self, RemoteCheckAnswer, RemoteStatus};
use serde_json::Value;

use crate::{
    at::At,
    exit::{Exit, Failure},
    table::Table,
    words::{plain, span},
};

/// List the remotes, and ask whether they answer.
#[derive(Debug, clap::Subcommand)]
pub enum Remote {
    List(List),
    Check(Check),
}

/// Show the remotes and what each can do.
#[derive(Debug, clap::Args)]
pub struct List {}

/// Ask remotes whether they answer and take the credentials.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The remotes; all where left out.
    #[arg(value_name = "REMOTE")]
    remotes: Vec<String>,
}

impl Remote {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::List(_) => {
                at.show(call::RemoteList {}, |answer| list(&answer.remotes))?;
                Ok(Exit::Done)
            }
            Self::Check(check) => check.run(at),
        }
    }
}

impl Check {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let names = if self.remotes.is_empty() {
            at.call(call::RemoteList {})?.remotes.into_iter().map(|remote| remote.remote).collect()
        } else {
            self.remotes
        };
        if names.is_empty() {
            at.note("no remote is configured; `mingle config path` says where they would be");
        }
        let mut exit = Exit::Done;
        for remote in names {
            let answer = at.show(call::RemoteCheck { remote }, checked)?;
            at.flush()?;
            exit = exit.and(if answer.ok { Exit::Done } else { Exit::Failed });
        }
        Ok(exit)
    }
}

fn list(remotes: &[RemoteStatus]) -> String {
    if remotes.is_empty() {
        return "no remote is configured; `mingle config path` says where they would be".into();
    }
    let mut table = Table::new(&["REMOTE", "KIND", "PROFILE", "URL", "ABILITIES"]);
    for remote in remotes {
        let profile = remote.profile.clone().unwrap_or_else(|| "-".into());
        table.row([remote.remote.clone(), remote.kind.clone(), profile, remote.url.clone(), abilities(remote)]);
        if remote.abilities.get("conditional_writes") == Some(&Value::Bool(false)) {
            table.remark(
                "writes here are not conditional: a change that another makes between our look and our write can be lost",
            );
        }
    }
    table.text()
}

/// What it can, and how: `batch, cursor=since`. What it cannot is left out.
fn abilities(remote: &RemoteStatus) -> String {
    let said = remote.abilities.iter().filter_map(|(name, how)| match how {
        Value::Bool(true) => Some(name.clone()),
        Value::Bool(false) | Value::Null => None,
        Value::String(how) => Some(format!("{name}={how}")),
        other => Some(format!("{name}={other}")),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn checked(answer: &RemoteCheckAnswer) -> String {
    let took = span(Duration::from_millis(answer.took_ms));
    let hint = answer.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    let verdict = if answer.ok { "ok" } else { "failed" };
    plain(&format!("{}: {verdict} ({took}): {}{hint}", answer.remote, answer.what))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn remotes_in_rows() {
        let abilities =
            [("batch", json!(true)), ("patch", json!(false)), ("cursor", json!("since")), ("conditional_writes", json!(false))];
        let remote = RemoteStatus {
            remote: "github".into(),
            kind: "rest".into(),
            profile: None,
            url: "https://x".into(),
            abilities: abilities.into_iter().map(|(name, how)| (name.to_owned(), how)).collect(),
        };
        let text = list(&[remote]);
        assert!(
            text.contains("github  rest  -        https://x  batch, cursor=since\n  writes here are not conditional"),
            "{text}"
        );
        let answer = RemoteCheckAnswer { remote: "a".into(), ok: false, what: "401".into(), hint: Some("h".into()), took_ms: 80 };
        assert_eq!(checked(&answer), "a: failed (80 ms): 401\n  hint: h");
    }
}
