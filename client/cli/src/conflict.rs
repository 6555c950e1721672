//! Owns: `mingle conflict`. Must never know: how a merge decides.

use jiff::Timestamp;
use mingle_client::{
    Raw,
    call::{self, Keep, Merge, Unsettled},
};

use crate::{
    apart::apart,
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
    /// All of them, each with what this merge rule would have made of it, and how many it would have settled. Nothing changes.
    #[arg(long, value_name = "RULE")]
    under: Option<Merge>,
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
        let mut call = call::ConflictList { collection: self.collection, all: self.all, under: self.under, cursor: None };
        let (mut any, mut under) = (false, None);
        loop {
            let answer = at.show(call.clone(), |answer| {
                answer.conflicts.iter().map(|conflict| text(conflict, call.under, clock::now())).collect()
            })?;
            any |= !answer.conflicts.is_empty();
            under = under.or(answer.under);
            if answer.cursor.is_some() {
                call.cursor = answer.cursor;
                continue;
            }
            match under {
                _ if at.json => {}
                _ if !any => at.line("no conflict")?,
                Some(under) => at.line(&sum(under))?,
                None => {}
            }
            return Ok(Exit::Done);
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

/// What a rule would have come to.
fn sum(under: call::Under) -> String {
    let call::Under { rule, settled, of, more } = under;
    let only = if more { format!(" (the newest {of}; there are older ones)") } else { String::new() };
    format!("`{rule}` would have settled {settled} of {of}{only}")
}

/// What a rule would have made of one, in a few words.
fn would(would: &call::Would) -> String {
    match (would.settled, &would.value, would.why) {
        (true, Some(value), _) if value.get() != "null" => value.get().replace('\n', " "),
        (true, _, _) => "(not there)".to_owned(),
        (false, _, Some(Unsettled::Person)) => "(a person would decide)".to_owned(),
        (false, _, Some(Unsettled::Stamps)) => "(which side was later is not kept)".to_owned(),
        (false, _, Some(Unsettled::Unknown) | None) => "(not settled)".to_owned(),
    }
}

/// A conflict in a few lines: what it is about, then the three values, and what the rule that was asked about would have made of it.
fn text(conflict: &call::Conflict, under: Option<Merge>, now: Timestamp) -> String {
    let what = match &conflict.property {
        Some(property) => format!(".{property}"),
        None => " (a delete met an edit)".into(),
    };
    let state = if conflict.open { "open".to_owned() } else { format!("decided: {}", conflict.verdict) };
    let head =
        format!("{}  {}/{}{what}  {state}, {}", conflict.conflict, conflict.collection, conflict.id, when(&conflict.at, now));
    let gone = if conflict.property.is_some() { "(not there)" } else { "(gone)" };
    let values = [&conflict.truth, &conflict.theirs, &conflict.agreed];
    let (values, left_out) = apart(values.map(|value| value.as_ref().map(|raw| raw.get())));
    let [truth, theirs, agreed] = values.map(|value| value.unwrap_or_else(|| gone.to_owned()));
    let mut text = format!("{head}\n  truth   {truth}\n  theirs  {theirs}  ({})\n  agreed  {agreed}\n", conflict.replica);
    if left_out {
        text.push_str("  (what they have alike is left out)\n");
    }
    if let (Some(rule), Some(one)) = (under, &conflict.would) {
        text.push_str(&format!("  {rule:<6}  {}  (what it would have been)\n", would(one)));
    }
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
            would: None,
        };
        assert_eq!(
            text(&conflict, None, now),
            "c-3  issues/i-1.title  open, 60 min ago\n  truth   \"b\"\n  theirs  \"c\"  (github)\n  agreed  (not there)\n  \
             `mingle conflict resolve c-3 --keep truth|theirs|agreed` decides it\n"
        );
        let several = call::Conflict {
            truth: raw(r#"{"k1":{"address":"a"},"k2":1}"#),
            theirs: raw(r#"{"k1":{"address":"b"},"k2":1}"#),
            ..conflict.clone()
        };
        let said = text(&several, None, now);
        assert!(
            said.contains(r#"theirs  {"k1":{"address":"b"}}  (github)"#) && said.contains("(what they have alike is left out)"),
            "{said}"
        );
        let decided = call::Conflict { open: false, property: None, theirs: None, verdict: "truth".into(), ..conflict };
        let text = text(&decided, None, now);
        assert!(text.contains("(a delete met an edit)  decided: truth") && text.contains("theirs  (gone)"), "{text}");
        assert!(!text.contains("resolve"), "{text}");
    }

    #[test]
    fn a_rule_is_told_with_each_and_at_the_end() {
        #[track_caller]
        fn check(settled: bool, value: Option<Raw>, why: Option<Unsettled>, expect: &str) {
            let told = would(&call::Would { settled, value, why });
            assert_eq!(told, expect);
            let conflict = call::Conflict {
                would: Some(call::Would { settled, why, ..call::Would::default() }),
                ..call::Conflict::default()
            };
            let now = "2026-01-02T12:00:00Z".parse().expect("a time");
            assert!(text(&conflict, Some(Merge::Max), now).contains("\n  max     ("), "{conflict:?}");
            assert!(!text(&conflict, None, now).contains("max"), "{conflict:?}");
        }
        check(true, raw("[\"a\"]"), None, "[\"a\"]");
        check(true, raw("null"), None, "(not there)");
        check(false, None, Some(Unsettled::Person), "(a person would decide)");
        check(false, None, Some(Unsettled::Stamps), "(which side was later is not kept)");
        check(false, None, Some(Unsettled::Unknown), "(not settled)");
        let under = call::Under { rule: Merge::Union, settled: 37, of: 40, more: false };
        assert_eq!(sum(under), "`union` would have settled 37 of 40");
        let more = call::Under { more: true, ..under };
        assert_eq!(sum(more), "`union` would have settled 37 of 40 (the newest 40; there are older ones)");
    }
}
