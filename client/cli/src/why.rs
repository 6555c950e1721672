//! Owns: `mingle why`: where a value comes from, in a few lines. Must never know: how the past is kept.

use jiff::Timestamp;
use mingle_client::{
    Raw,
    call::{self, Rule, WhyOne},
};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    words::{plain, when},
};

/// Say where a value comes from: since when, whose change it was, by which rule, what lost to it.
///
/// Also of a record that was deleted. With a property, also what it was before.
#[derive(Debug, clap::Args)]
pub struct Why {
    /// The collection.
    collection: String,
    /// The record.
    id: String,
    /// Only this property.
    property: Option<String>,
}

impl Why {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, id, property } = self;
        let call = call::Why { collection: collection.clone(), id, property };
        at.show(call, |answer| said(&collection, answer, clock::now()))?;
        Ok(Exit::Done)
    }
}

/// Who made a change, as people say it.
pub fn whose(origin: &str) -> String {
    match origin.split_once(':') {
        Some(("app", name)) => format!("app {name}"),
        Some(("sync", name)) => format!("sync {name}"),
        _ => origin.to_owned(),
    }
}

/// A value on one line.
pub fn shown(value: Option<&Raw>) -> String {
    value.map_or("(not there)", |value| value.get()).replace('\n', " ")
}

fn said(collection: &str, answer: &call::WhyAnswer, now: Timestamp) -> String {
    let mut text = String::new();
    for one in &answer.why {
        let name = one.property.as_ref().map_or_else(String::new, |property| format!(".{property}"));
        let value = match (&one.property, answer.state) {
            (Some(_), _) => shown(one.value.as_ref()),
            (None, state) => format!("({state})"),
        };
        text.push_str(&format!("{collection}/{}{name}  {value}\n  {}\n", answer.id, how(one, now)));
        for lost in &one.lost {
            let (whose, state) = match lost.side {
                call::LostSide::Truth => ("the value here".to_owned(), "lost"),
                _ => (format!("that of {}", lost.replica), if lost.open { "waits" } else { "lost" }),
            };
            let value = shown(lost.value.as_ref());
            text.push_str(&format!("  {state}    {value}  {whose}, {} ({})\n", when(&lost.at, now), lost.conflict));
        }
        for before in &one.before {
            let (value, whose) = (shown(before.value.as_ref()), whose(&before.origin));
            text.push_str(&format!("  before  {value}  {whose}, {} (seq {})\n", when(&before.since_at, now), before.seq));
        }
    }
    if answer.more {
        text.push_str("there is more than fits; name a property\n");
    }
    plain(&text)
}

/// How a value came, in a sentence.
fn how(one: &WhyOne, now: Timestamp) -> String {
    let (Some(at), Some(origin), Some(seq)) = (&one.since_at, &one.origin, one.seq) else {
        return "the history has no change of it".into();
    };
    let policy = &one.policy;
    let rule = match one.rule {
        Rule::Written => "wrote it".to_owned(),
        Rule::Arrived => "brought it".to_owned(),
        Rule::Merged => format!("brought it; both sides had changed it (policy {policy})"),
        Rule::Kept => format!("made it so; it stayed when both sides had changed it (policy {policy})"),
        Rule::Open => "made it so; the other side has another value, and somebody must decide: `mingle conflict list`".to_owned(),
        Rule::Unrecorded | Rule::Unknown => "made it so".to_owned(),
    };
    format!("{} {rule}, {} (seq {seq})", whose(origin), when(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    #[test]
    fn a_value_is_explained_in_a_few_lines() {
        let now = "2026-01-02T12:00:00Z".parse().expect("a time");
        let raw = |text: &str| input::value(text).ok();
        let title = WhyOne {
            property: Some("title".into()),
            value: raw("\"b\""),
            since_at: Some("2026-01-02T11:00:00Z".into()),
            origin: Some("sync:issues".into()),
            seq: Some(42),
            rule: Rule::Merged,
            policy: "remote".into(),
            lost: vec![call::Lost {
                conflict: "c-3".into(),
                open: false,
                side: call::LostSide::Truth,
                value: raw("\"c\""),
                replica: "github".into(),
                at: "2026-01-02T11:00:00Z".into(),
            }],
            before: vec![call::Former {
                value: raw("\"c\""),
                since_at: "2026-01-02T10:00:00Z".into(),
                origin: "app:agent".into(),
                seq: 41,
            }],
        };
        let answer =
            call::WhyAnswer { id: "i-1".into(), seq: 42, state: call::RecordState::Live, why: vec![title.clone()], more: false };
        assert_eq!(
            said("issues", &answer, now),
            "issues/i-1.title  \"b\"\n  sync issues brought it; both sides had changed it (policy remote), 60 min ago (seq 42)\n  \
             lost    \"c\"  the value here, 60 min ago (c-3)\n  before  \"c\"  app agent, 2 h ago (seq 41)\n"
        );
        let whole = WhyOne { property: None, value: None, rule: Rule::Written, lost: vec![], before: vec![], ..title };
        let gone = call::WhyAnswer { state: call::RecordState::Deleted, why: vec![whole], ..answer };
        assert_eq!(said("issues", &gone, now), "issues/i-1  (deleted)\n  sync issues wrote it, 60 min ago (seq 42)\n");
    }
}
