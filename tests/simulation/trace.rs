//! Owns: the trace of a schedule, one line a step, and its hash. Must never know: what the steps mean.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use mingle_core::{
    record::{Props, Value},
    replica::{Action, Answer, Packed},
    run,
};

/// The lines so far.
#[derive(Default)]
pub struct Trace {
    on: bool,
    lines: Vec<String>,
}

impl Trace {
    /// Lines are kept only where somebody reads them.
    pub fn new(on: bool) -> Self {
        Self { on, lines: Vec::new() }
    }

    pub fn on(&self) -> bool {
        self.on
    }

    pub fn line(&mut self, line: impl FnOnce() -> String) {
        if self.on {
            self.lines.push(line());
        }
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.lines.hash(&mut hasher);
        hasher.finish()
    }
}

/// Properties, short.
pub fn props(props: &Props) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::Text(text) => format!("{name}={text}"),
        other => format!("{name}={other:?}"),
    };
    props.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// What is sent, short.
pub fn action(action: &Action) -> String {
    match action {
        Action::Create { remote_id, whole, .. } => format!("create {} {{{}}}", remote_id.as_deref().unwrap_or("?"), props(whole)),
        Action::Update { remote_id, patch, unless_moved, .. } => {
            let patch: Vec<String> = patch
                .iter()
                .map(|(name, value)| match value {
                    Some(Value::Text(text)) => format!("{name}={text}"),
                    Some(other) => format!("{name}={other:?}"),
                    None => format!("{name}=-"),
                })
                .collect();
            format!("update {remote_id} {{{}}} {unless_moved:?}", patch.join(" "))
        }
        Action::Delete { remote_id, unless_moved } => format!("delete {remote_id} {unless_moved:?}"),
    }
}

/// What came back, short.
pub fn answer(answer: &Answer) -> String {
    match answer {
        Answer::ReadBack { told, read } => format!("taken, told {told:?}, read back {read:?}"),
        Answer::Taken(Some(row)) => format!("taken {row:?}"),
        other => format!("{other:?}"),
    }
}

/// What a run asks for, short.
pub fn effect(effect: &run::Effect) -> String {
    match effect {
        run::Effect::Apply { rows, asked, pass, .. } => {
            let rows: Vec<&str> = rows.iter().map(Packed::remote_id).collect();
            format!("apply {} asked {asked} pass {pass:?}", rows.join(" "))
        }
        run::Effect::Settle { answers } => {
            let answers: Vec<String> = answers.iter().map(|(link, of)| format!("{link}: {}", answer(of))).collect();
            format!("settle {}", answers.join("; "))
        }
        run::Effect::Send { errands } => {
            let errands: Vec<String> =
                errands.iter().map(|errand| format!("{}: {}", errand.link, action(&errand.action))).collect();
            format!("send {}", errands.join("; "))
        }
        other => format!("{other:?}"),
    }
}
