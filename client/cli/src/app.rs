//! Owns: `mingle app`: the apps that are known, and forgetting the copy of one. Must never know: how a copy is kept.

use jiff::Timestamp;
use mingle_client::call::{self, AppCopy, AppKnown, SessionMode};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    table::Table,
    words::{plain, when},
};

/// Show the apps that are known, and forget the copy that one keeps.
#[derive(Debug, clap::Subcommand)]
pub enum App {
    List(List),
    Reset(Reset),
}

/// Show the apps: what each may do, whether it is connected, and what it keeps a copy of.
///
/// Shown are those that the configuration names, that are connected, or that keep a copy of their own.
#[derive(Debug, clap::Args)]
pub struct List {}

/// Forget the copy that an app keeps: its next session begins anew.
///
/// What it brought stays, as do other apps' copies, open conflicts and what is not sent yet. In a collection without `identity` the app has to
/// begin with an empty copy, or its records are doubled.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// The app.
    #[arg(value_name = "NAME")]
    name: String,
    /// Only of these collections.
    #[arg(value_name = "COLLECTION")]
    collections: Vec<String>,
}

impl App {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::List(_) => list(at)?,
            Self::Reset(Reset { name, collections }) => {
                let call = call::AppReset { app: name.clone(), collections: (!collections.is_empty()).then_some(collections) };
                at.show(call, |answer| forgotten(&name, &answer.collections))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn list(at: &mut At) -> Result<(), Failure> {
    let mut call = call::AppList { limit: None, cursor: None };
    loop {
        let answer = at.show(call.clone(), |answer| text(&answer.apps, clock::now()))?;
        let Some(cursor) = answer.cursor else { return Ok(()) };
        call.cursor = Some(cursor);
    }
}

fn forgotten(name: &str, collections: &[String]) -> String {
    match collections {
        [] => plain(&format!("{name} keeps no such copy; nothing is done")),
        names => plain(&format!("{name}: its copy of {} is forgotten; its next session there begins anew", names.join(", "))),
    }
}

fn text(apps: &[AppKnown], now: Timestamp) -> String {
    if apps.is_empty() {
        return "no app is known".into();
    }
    let mut table = Table::new(&["APP", "CONNECTED", "MAY"]);
    for app in apps {
        let connected = match (&app.session, app.connections) {
            (Some(session), _) => format!("in a session ({})", session.state),
            (None, 0) => "no".into(),
            (None, 1) => "yes".into(),
            (None, many) => format!("{many} times"),
        };
        let may: Vec<String> = app
            .grants
            .iter()
            .map(|(collection, grant)| if collection == "*" { format!("{grant} all") } else { format!("{grant} {collection}") })
            .collect();
        table.row([app.app.clone(), connected, if may.is_empty() { "nothing".into() } else { may.join(", ") }]);
        app.copies.iter().for_each(|copy| table.remark(&kept(copy, now)));
    }
    table.text()
}

/// What is known of a copy, in a line.
fn kept(copy: &AppCopy, now: Timestamp) -> String {
    let since = copy.since_at.as_ref().map_or(String::new(), |since| format!(" (known {})", when(since, now)));
    let whole = match copy.next {
        SessionMode::Fast => "whole".to_owned(),
        SessionMode::PullTruth => "waits for a pull of the truth".to_owned(),
        _ => "begins anew".to_owned(),
    };
    let last = copy.last.as_ref().map_or("no session yet".to_owned(), |last| {
        let mode = last.mode.as_ref().map_or(String::new(), |mode| format!("{mode} "));
        let ended = last.ended.as_ref().map_or(String::new(), |ended| format!(", {ended}"));
        format!("last {mode}session {}{ended}", when(&last.began_at, now))
    });
    let filter = copy.filter.as_ref().and_then(|filter| serde_json::to_string(filter).ok());
    let only = filter.map_or(String::new(), |filter| format!(" where {filter}"));
    let waits = if copy.filter_waits { "; the filter holds from the next session on" } else { "" };
    format!("keeps {}{only}{since}: {whole}; {last}{waits}", copy.collection)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mingle_client::call::{AppCopySession, AppSession, Grant, SessionEnd, SessionState};

    use super::*;

    #[test]
    fn an_app_is_a_row_and_each_copy_a_line() {
        let now = "2026-01-02T12:00:00Z".parse().expect("a time");
        let last = AppCopySession {
            began_at: "2026-01-02T11:50:00Z".into(),
            mode: Some(SessionMode::Slow),
            ended: Some(SessionEnd::Left),
        };
        let copy = |next, last, filter: Option<&str>| AppCopy {
            collection: "cards".into(),
            since_at: Some("2026-01-02T09:00:00Z".into()),
            next,
            last,
            filter_waits: filter.is_some(),
            filter: filter.map(|filter| serde_json::from_str(filter).expect("a filter")),
        };
        let one = AppKnown {
            app: "phone".into(),
            grants: BTreeMap::from([("cards".into(), Grant::Read)]),
            connections: 1,
            session: None,
            copies: vec![copy(SessionMode::Fast, Some(last), Some(r#"{"n":{"gt":3}}"#)), copy(SessionMode::Slow, None, None)],
        };
        let open = AppSession { state: SessionState::Pushing, mode: SessionMode::Fast };
        let other = AppKnown { app: "desk".into(), session: Some(open), ..AppKnown::default() };
        assert_eq!(
            text(&[one, other], now),
            "APP    CONNECTED               MAY\n\
             phone  yes                     read cards\n  \
             keeps cards where {\"n\":{\"gt\":3}} (known 3 h ago): whole; last slow session 10 min ago, left; the filter holds from the next session on\n  \
             keeps cards (known 3 h ago): begins anew; no session yet\n\
             desk   in a session (pushing)  nothing\n"
        );
        assert_eq!(text(&[], now), "no app is known");
    }

    #[test]
    fn what_was_forgotten_is_said() {
        assert!(forgotten("phone", &["a".into(), "b".into()]).starts_with("phone: its copy of a, b is forgotten"));
        assert!(forgotten("phone", &[]).ends_with("nothing is done"));
    }
}
