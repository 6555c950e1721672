//! Owns: `mingle explain`. Must never know: how the schedule decides.

use jiff::Timestamp;
use mingle_client::call::{self, ExplainAnswer};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    history, status,
    words::{plain, when},
};

/// Say every reason why a sync does not run now, and when it will.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The sync.
    sync: String,
}

impl Explain {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.show(call::Explain { sync: self.sync }, |answer| text(answer, clock::now()))?;
        Ok(Exit::Done)
    }
}

fn text(answer: &ExplainAnswer, now: Timestamp) -> String {
    let mut text = format!("{}\n", plain(answer.text.trim_end()));
    // What the text names already is not said twice.
    for hold in answer.holds.iter().filter(|hold| !answer.text.contains(&hold.name)) {
        text.push_str(&format!("  {}\n", plain(&status::hold(hold, now))));
    }
    if let Some(next_at) = &answer.next_at {
        text.push_str(&format!("  next: {}\n", when(next_at, now)));
    }
    if !answer.last.is_empty() {
        text.push_str(&format!("\n{}", history::text(&answer.last, now)));
    }
    text
}

#[cfg(test)]
mod tests {
    use mingle_client::call::{Hold, Run};

    use super::*;

    #[test]
    fn everything_is_said() {
        let hold = Hold { name: "battery_not_low".into(), has: "14 %".into(), needs: "20 %".into(), ..Hold::default() };
        let answer = ExplainAnswer {
            sync: "issues".into(),
            text: "issues waits for the battery".into(),
            holds: vec![hold],
            next_at: Some("2026-01-02T12:03:00Z".into()),
            last: vec![Run { run: "r-7".into(), sync: "issues".into(), trigger: "timer".into(), ..Run::default() }],
            ..ExplainAnswer::default()
        };
        let text = text(&answer, "2026-01-02T12:00:00Z".parse().expect("a time"));
        for part in ["issues waits for the battery\n", "  battery_not_low: 14 %, needs 20 %\n", "  next: in 3 min\n", "r-7"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
