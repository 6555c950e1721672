//! Owns: `mingle undo`: first what it would do, then, with --yes, doing it. Must never know: how changes are taken back.

use std::time::Duration;

use jiff::Timestamp;
use mingle_client::call::{self, UndoChange};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    why::{shown, whose},
    words::{count, duration, plain, when},
};

/// Take changes back: of a record, an app, a sync, a run, or since a time. Without --yes it only says what it would do.
///
/// All that is given must hold; a record alone means its last change. What has changed since is left as it is and named, unless --force.
/// An undo is a change like any other: the syncs send it, and it can be undone. Ends with 5 where something was left.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").args(["id", "seq", "by", "sync", "run", "since"]).multiple(true).required(true))]
pub struct Undo {
    /// In this collection; left out: in all.
    collection: Option<String>,
    /// Of this record.
    id: Option<String>,
    /// This change.
    #[arg(long, value_name = "SEQ")]
    seq: Option<u64>,
    /// Changes of this app.
    #[arg(long, value_name = "APP")]
    by: Option<String>,
    /// Changes that this sync brought.
    #[arg(long, value_name = "SYNC")]
    sync: Option<String>,
    /// Changes that this run brought.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Changes made since: a time (2026-01-02T03:04:05Z), or how long ago (10m, 2h).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Changes made until then, in the same form.
    #[arg(long, value_name = "TIME", requires = "since")]
    until: Option<String>,
    /// Also what has changed since.
    #[arg(long)]
    force: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
    /// The operation id of an undo that is repeated; of its first page.
    #[arg(long, value_name = "OP", requires = "yes")]
    op: Option<String>,
}

/// What all pages came to.
#[derive(Debug, Default)]
struct Sum {
    done: usize,
    left: usize,
    would: usize,
    token: Option<String>,
}

impl Undo {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let now = clock::now();
        let preview = !self.yes;
        let mut call = call::Undo {
            collection: self.collection,
            id: self.id,
            seq: self.seq,
            app: self.by,
            sync: self.sync,
            run: self.run,
            since_at: self.since.map(|text| moment(&text, now)).transpose()?,
            until_at: self.until.map(|text| moment(&text, now)).transpose()?,
            preview,
            force: self.force,
            cursor: None,
            op: self.op,
            instance: None,
        };
        let mut sum = Sum::default();
        loop {
            let answer = at.show(call.clone(), |answer| lines(answer, now))?;
            sum.left += answer.changes.iter().filter(|one| one.stale.is_some()).count();
            sum.would += answer.changes.iter().filter(|one| one.stale.is_none()).count();
            sum.done += answer.undone.len();
            sum.token = answer.token.filter(|_| !answer.undone.is_empty()).or(sum.token);
            let Some(cursor) = answer.cursor else { break };
            call.cursor = Some(cursor);
            // Each page is a write of its own.
            call.op = None;
        }
        if !at.json {
            at.line(&sum.said(preview))?;
        }
        Ok(if sum.left > 0 { Exit::Person } else { Exit::Done })
    }
}

impl Sum {
    fn said(&self, preview: bool) -> String {
        let left = match self.left {
            0 => String::new(),
            left => format!("; {} changed since and stay as they are (--force takes them back too)", count(left, "value")),
        };
        match (preview, self.would, self.done) {
            (true, 0, _) => format!("nothing to undo{left}"),
            (true, would, _) => format!("{} would be undone{left}; nothing is done yet: --yes does it", count(would, "change")),
            (false, _, 0) => format!("nothing was undone{left}"),
            (false, _, done) => {
                let wait = self
                    .token
                    .as_ref()
                    .map_or_else(String::new, |token| format!("; `mingle wait {token}` ends when the remotes have it"));
                format!("{} changed{left}{wait}", count(done, "record"))
            }
        }
    }
}

/// A moment, or how long ago it was.
fn moment(text: &str, now: Timestamp) -> Result<String, Failure> {
    if text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let ago = duration(text).map_err(|_| {
        Failure::said(Exit::Usage, format!("{text:?} is no time"), "write 2026-01-02T03:04:05Z, or how long ago it was: 10m, 2h")
    })?;
    Ok(before(now, ago).to_string())
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now.as_millisecond().saturating_sub(ms)).unwrap_or(Timestamp::MIN)
}

fn lines(answer: &call::UndoAnswer, now: Timestamp) -> String {
    let mut text: String = answer.changes.iter().map(|one| line(one, now)).collect();
    for one in &answer.undone {
        text.push_str(&format!("{}/{}  undone (seq {})\n", one.collection, one.id, one.seq));
    }
    plain(&text)
}

fn line(one: &UndoChange, now: Timestamp) -> String {
    let name = one.property.as_ref().map_or_else(String::new, |property| format!(".{property}"));
    let head = format!("{}/{}{name}", one.collection, one.id);
    match &one.stale {
        Some(later) => {
            format!("{head}  stays: {} changed it {} (seq {})\n", whose(&later.origin), when(&later.at, now), later.seq)
        }
        None => format!("{head}  {} -> {}  (seq {})\n", shown(one.from.as_ref()), shown(one.to.as_ref()), one.seq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    #[test]
    fn a_preview_says_what_is_done_and_what_stays() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().expect("a time");
        let raw = |text: &str| input::value(text).ok();
        let title = UndoChange {
            collection: "issues".into(),
            id: "i-1".into(),
            property: Some("title".into()),
            from: raw("\"b\""),
            to: None,
            seq: 42,
            stale: None,
        };
        let later = call::Later { seq: 43, origin: "app:editor".into(), at: "2026-01-02T11:00:00Z".into() };
        let whole = UndoChange { property: None, stale: Some(later), ..title.clone() };
        let answer = call::UndoAnswer { changes: vec![title, whole], ..call::UndoAnswer::default() };
        assert_eq!(
            lines(&answer, now),
            "issues/i-1.title  \"b\" -> (not there)  (seq 42)\nissues/i-1  stays: app editor changed it 60 min ago (seq 43)\n"
        );
        let sum = Sum { would: 1, left: 1, ..Sum::default() };
        assert!(sum.said(true).starts_with("1 change would be undone; 1 value changed since"), "{}", sum.said(true));
        assert_eq!(Sum::default().said(false), "nothing was undone");
        assert_eq!(moment("10m", now).ok().as_deref(), Some("2026-01-02T11:50:00Z"));
        assert_eq!(moment("2026-01-02T11:50:00Z", now).ok().as_deref(), Some("2026-01-02T11:50:00Z"));
        assert!(moment("yesterday", now).is_err());
    }
}
