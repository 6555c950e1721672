//! Owns: `mingle remote`. Must never know: how a remote is spoken to.

use std::time::Duration;

use mingle_client::call::{self, RemoteCheckAnswer, RemoteStatus};
use serde_json::Value;

use crate::{
    at::At,
    exit::{Exit, Failure},
    login::{Login, Logout},
    table::Table,
    words::{plain, span},
};

/// List the remotes, ask whether they answer, log in and out.
#[derive(Debug, clap::Subcommand)]
pub enum Remote {
    List(List),
    Show(Show),
    Check(Check),
    Login(Login),
    Logout(Logout),
}

/// Show what a remote can do, and how: what every sync with it is built on.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The remote.
    #[arg(value_name = "REMOTE")]
    remote: String,
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
            Self::Show(show) => show.run(at),
            Self::Check(check) => check.run(at),
            Self::Login(login) => login.run(at),
            Self::Logout(logout) => logout.run(at),
        }
    }
}

impl Show {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let remotes = at.call(call::RemoteList {})?.remotes;
        let names: Vec<&str> = remotes.iter().map(|remote| remote.remote.as_str()).collect();
        let Some(remote) = remotes.iter().find(|remote| remote.remote == self.remote) else {
            let hint =
                if names.is_empty() { "none is configured".into() } else { format!("the remotes are {}", names.join(", ")) };
            return Err(Failure::said(Exit::Failed, format!("no remote {:?}", self.remote), &hint));
        };
        if at.json {
            at.line(&serde_json::to_string(remote).map_err(std::io::Error::from)?)?;
        } else {
            at.line(&shown(remote))?;
        }
        Ok(Exit::Done)
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

/// A line for each thing that is known of it.
fn shown(remote: &RemoteStatus) -> String {
    let mut lines = vec![("kind".to_owned(), remote.kind.clone())];
    lines.extend(remote.profile.iter().map(|profile| ("profile".to_owned(), profile.clone())));
    lines.push(("url".into(), remote.url.clone()));
    lines.extend(remote.abilities.iter().map(|(name, how)| {
        let how = match how {
            Value::Bool(can) => if *can { "yes" } else { "no" }.to_owned(),
            Value::String(how) => how.clone(),
            other => other.to_string(),
        };
        (name.clone(), how)
    }));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines.iter().map(|(name, how)| plain(&format!("{name:width$}  {how}")));
    lines.collect::<Vec<_>>().join("\n")
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

pub fn checked(answer: &RemoteCheckAnswer) -> String {
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
            login: None,
            abilities: abilities.into_iter().map(|(name, how)| (name.to_owned(), how)).collect(),
        };
        let text = list(std::slice::from_ref(&remote));
        assert!(
            text.contains("github  rest  -        https://x  batch, cursor=since\n  writes here are not conditional"),
            "{text}"
        );
        let shown = shown(&remote);
        assert!(shown.contains("url                 https://x\n") && shown.contains("patch               no"), "{shown}");
        let answer = RemoteCheckAnswer { remote: "a".into(), ok: false, what: "401".into(), hint: Some("h".into()), took_ms: 80 };
        assert_eq!(checked(&answer), "a: failed (80 ms): 401\n  hint: h");
    }
}
