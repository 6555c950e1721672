//! Owns: `mingle pending`: what waits to be sent, marking it for upload, taking it back. Must never know: how it is sent.

use mingle_client::call::{self, PendingWanted};

use crate::{
    at::At,
    exit::{Exit, Failure},
    table::Table,
    words::{count, plain},
};

/// Show what syncs have yet to send, each change in one state; mark what was deferred for upload, or take it back.
///
/// States: rejected (waits for a decision), in_flight (its request is open), awaiting_ack (sent, and not known whether it was taken), deferred
/// (marked not for upload), pending (sent next).
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Pending {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Upload(Upload),
    Rollback(Rollback),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only of this sync or collection; a name that is both means the sync.
    #[arg(value_name = "SYNC|COLLECTION")]
    of: Option<String>,
    /// Only in this state.
    #[arg(long, value_name = "rejected|in_flight|awaiting_ack|deferred|pending")]
    state: Option<PendingWanted>,
}

/// Mark what was deferred for upload: these records, or all of the collection.
#[derive(Debug, clap::Args)]
struct Upload {
    /// The collection.
    collection: String,
    /// The records; none: all.
    ids: Vec<String>,
}

/// Take back what was not sent: records get what their remote last had. What is on its way stays, and is named.
#[derive(Debug, clap::Args)]
struct Rollback {
    /// Of this sync or collection; a name that is both means the sync.
    #[arg(value_name = "SYNC|COLLECTION")]
    of: String,
    /// Only of this record.
    id: Option<String>,
    /// The operation id of a call that is repeated; of its first page.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Pending {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self.action {
            None => self.list.run(at),
            Some(Action::Upload(upload)) => upload.run(at),
            Some(Action::Rollback(rollback)) => rollback.run(at),
        }
    }
}

/// A name as the sync or the collection that it is.
fn of(at: &mut At, name: Option<String>) -> Result<(Option<String>, Option<String>), Failure> {
    let Some(name) = name else { return Ok((None, None)) };
    let syncs = at.call(call::SyncList {})?.syncs;
    Ok(if syncs.iter().any(|sync| sync.sync == name) { (Some(name), None) } else { (None, Some(name)) })
}

impl List {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (sync, collection) = of(at, self.of)?;
        let mut call = call::PendingList { collection, sync, state: self.state, limit: None, cursor: None };
        let mut any = false;
        loop {
            let answer = at.show(call.clone(), |answer| text(&answer.pending))?;
            any |= !answer.pending.is_empty();
            match answer.cursor {
                Some(cursor) => call.cursor = Some(cursor),
                None if any || at.json => return Ok(Exit::Done),
                None => {
                    at.line("nothing is pending")?;
                    return Ok(Exit::Done);
                }
            }
        }
    }
}

impl Upload {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, ids } = self;
        let call = call::PendingUpload { collection, ids: (!ids.is_empty()).then_some(ids) };
        at.show(call, |answer| match answer.marked {
            0 => "nothing of it was deferred".into(),
            marked => {
                format!("{} marked for upload; the syncs send it", count(usize::try_from(marked).unwrap_or(usize::MAX), "record"))
            }
        })?;
        Ok(Exit::Done)
    }
}

impl Rollback {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let (sync, collection) = of(at, Some(self.of))?;
        let mut call = call::PendingRollback { collection, sync, id: self.id, cursor: None, op: self.op, instance: None };
        let (mut done, mut left) = (0, 0);
        loop {
            let answer = at.show(call.clone(), |answer| {
                let lines = answer.left.iter().map(|one| format!("{} stays: {}\n", one.id, one.why));
                plain(&lines.collect::<String>())
            })?;
            done += answer.rolled_back.len();
            left += answer.left.len();
            let Some(cursor) = answer.cursor else { break };
            call.cursor = Some(cursor);
            // Each page is a write of its own.
            call.op = None;
        }
        if !at.json {
            at.line(&format!("{} as the remote last had it", count(done, "record")))?;
        }
        Ok(if left > 0 { Exit::Person } else { Exit::Done })
    }
}

fn text(pending: &[call::PendingOne]) -> String {
    if pending.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["SYNC", "RECORD", "STATE", "CHANGE", "WHY"]);
    for one in pending {
        let change = match one.properties.as_slice() {
            [] => one.change.to_string(),
            properties => format!("{} {}", one.change, properties.join(",")),
        };
        let why = match (&one.rejection, &one.why) {
            (Some(rejection), Some(why)) => format!("{rejection}: {why}"),
            (_, why) => why.clone().unwrap_or_default(),
        };
        table.row([one.sync.clone(), format!("{}/{}", one.collection, one.id), one.state.to_string(), change, why]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_waits_and_why() {
        let one = call::PendingOne {
            sync: "s".into(),
            remote: "far".into(),
            collection: "issues".into(),
            id: "i-1".into(),
            state: call::PendingState::Rejected,
            change: call::PendingChange::Update,
            properties: vec!["body".into(), "title".into()],
            seq: 4,
            rejection: Some("j-1".into()),
            why: Some("422: too long".into()),
        };
        let told = text(&[one]);
        assert!(
            told.contains("issues/i-1") && told.contains("update body,title") && told.contains("j-1: 422: too long"),
            "{told}"
        );
        assert_eq!(text(&[]), "");
    }
}
