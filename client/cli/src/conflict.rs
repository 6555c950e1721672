//! Owns: `mingle conflict`. Must never know: how a merge decides.

use jiff::Timestamp;
use mingle_client::{
    Raw,
    call::{self, Keep},
};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    input, put,
    words::{plain, when},
};

/// List and decide conflicts: properties that both sides changed differently.
#[derive(Debug, clap::Subcommand)]
pub enum Conflict {
    List(List),
    Resolve(Resolve),
}

/// Show conflicts that wait for a decision.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of this collection.
    collection: Option<String>,
    /// Also those that are decided.
    #[arg(long)]
    all: bool,
}

/// Decide a conflict.
#[derive(Debug, clap::Args)]
pub struct Resolve {
    /// The conflict, as listed.
    conflict: String,
    /// The value that stays: what is here (truth), what came (theirs), what was before (agreed).
    #[arg(long, value_name = "truth|theirs|agreed", required_unless_present = "value", conflicts_with = "value")]
    keep: Option<Keep>,
    /// Another value, as JSON.
    #[arg(long, value_name = "JSON", value_parser = input::value)]
    value: Option<Raw>,
    /// Only if the record's seq is this.
    #[arg(long, value_name = "SEQ")]
    if_seq: Option<u64>,
    /// The operation id of a write that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Conflict {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(at),
            Self::Resolve(resolve) => resolve.run(at),
        }
    }
}

impl List {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut call = call::ConflictList { collection: self.collection, all: self.all, cursor: None };
        let mut any = false;
        loop {
            let answer =
                at.show(call.clone(), |answer| answer.conflicts.iter().map(|conflict| text(conflict, clock::now())).collect())?;
            any |= !answer.conflicts.is_empty();
            match answer.cursor {
                Some(cursor) => call.cursor = Some(cursor),
                None if any || at.json => return Ok(Exit::Done),
                None => {
                    at.line("no conflict")?;
                    return Ok(Exit::Done);
                }
            }
        }
    }
}

impl Resolve {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { conflict, keep, value, if_seq, op } = self;
        let call = call::ConflictResolve { conflict: conflict.clone(), if_seq, keep, value, op, instance: None };
        let written =
            at.show(call, |written| format!("{} is decided: {}", plain(&conflict), put::said("the record", written, false)));
        let (wire, ours) =
            ("`mingle conflict list` shows", "`mingle conflict list --all` shows those that are decided too, without --all");
        written.map_err(|failure| failure.reworded(wire, ours))?;
        Ok(Exit::Done)
    }
}

/// A conflict in a few lines: what it is about, then the three values.
fn text(conflict: &call::Conflict, now: Timestamp) -> String {
    let what = match &conflict.property {
        Some(property) => format!(".{property}"),
        None => " (a delete met an edit)".into(),
    };
    let state = if conflict.open { "open".to_owned() } else { format!("decided: {}", conflict.verdict) };
    let head =
        format!("{}  {}/{}{what}  {state}, {}", conflict.conflict, conflict.collection, conflict.id, when(&conflict.at, now));
    let gone = if conflict.property.is_some() { "(not there)" } else { "(gone)" };
    let value = |value: &Option<Raw>| value.as_ref().map_or(gone, |value| value.get()).replace('\n', " ");
    let mut text =
        format!("{head}\n  truth   {}\n  theirs  {}  ({})\n", value(&conflict.truth), value(&conflict.theirs), conflict.replica);
    text.push_str(&format!("  agreed  {}\n", value(&conflict.agreed)));
    if conflict.open {
        text.push_str(&format!("  `mingle conflict resolve {} --keep truth|theirs|agreed` decides it\n", conflict.conflict));
    }
    plain(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Option<Raw> {
        input::value(text).ok()
    }

    #[test]
    fn a_conflict_shows_its_three_values() {
        let now = "2026-01-02T12:00:00Z".parse().expect("a time");
        let conflict = call::Conflict {
            conflict: "c-3".into(),
            open: true,
            collection: "issues".into(),
            id: "i-1".into(),
            property: Some("title".into()),
            agreed: None,
            truth: raw("\"b\""),
            theirs: raw("\"c\""),
            replica: "github".into(),
            verdict: "manual".into(),
            seq: 41,
            at: "2026-01-02T11:00:00Z".into(),
        };
        assert_eq!(
            text(&conflict, now),
            "c-3  issues/i-1.title  open, 60 min ago\n  truth   \"b\"\n  theirs  \"c\"  (github)\n  agreed  (not there)\n  \
             `mingle conflict resolve c-3 --keep truth|theirs|agreed` decides it\n"
        );
        let decided = call::Conflict { open: false, property: None, theirs: None, verdict: "truth".into(), ..conflict };
        let text = text(&decided, now);
        assert!(text.contains("(a delete met an edit)  decided: truth") && text.contains("theirs  (gone)"), "{text}");
        assert!(!text.contains("resolve"), "{text}");
    }
}
