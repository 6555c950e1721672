//! Owns: the rounds of sending: plan, send, settle, look, until nothing is behind or the bound is reached.
//! Must never know: what an errand holds.

use std::collections::BTreeMap;

use super::{Planned, Settled};
use crate::{
    limits, planted,
    replica::{Answer, Errand, Failure, RemoteError},
};

/// Sending under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Up {
    round: u32,
    after: u64,
    more: bool,
    tries: BTreeMap<i64, u32>,
    /// Links of this round that need another.
    again: u64,
    /// Links of this round that wait for another, and whether anything was taken in it that they may have waited for.
    waits: u64,
    taken: bool,
    /// What to read by id before the next plan.
    pub(super) look: Vec<String>,
    pub(super) step: Step,
    done: u64,
    behind: u64,
    /// The last answer that was not an answer, of this round.
    pub(super) doubt: Option<RemoteError>,
    doubts: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Plan,
    /// Something is under way.
    Wait,
    /// Links to read by id.
    Look,
    /// Nothing is left, or nothing more can be done now.
    End,
}

/// Whether nothing else will come through either, as long as this is so.
pub(super) fn bars(error: &RemoteError) -> bool {
    matches!(error.kind, Failure::Offline | Failure::Throttled(_) | Failure::Budget(_) | Failure::NeedsLogin | Failure::Denied)
}

impl Up {
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.done, Some(self.done + self.behind))
    }

    pub(super) fn after(&self) -> u64 {
        self.after
    }

    /// Links that were tried too often in this run.
    pub(super) fn except(&self) -> Vec<i64> {
        self.tries.iter().filter(|(_, tries)| **tries >= limits::ERRAND_TRIES_MAX).map(|(link, _)| *link).collect()
    }

    /// Takes a plan; returns what to send now.
    pub(super) fn planned(&mut self, planned: Planned) -> Vec<Errand> {
        self.after = planned.after;
        self.more = planned.more;
        self.behind = planned.behind;
        self.waits += planned.waits;
        self.again += planned.again + planned.look.len() as u64;
        self.look.extend(planned.look);
        for errand in &planned.errands {
            *self.tries.entry(errand.link).or_default() += 1;
        }
        self.step = Step::Wait;
        if planned.errands.is_empty() {
            self.next();
        }
        planned.errands
    }

    /// Looks at answers before they are settled; returns what ends the run.
    pub(super) fn answered(&mut self, answers: &[(i64, Answer)]) -> Option<RemoteError> {
        let mut fatal = None;
        // One lost answer to a batch is one doubt.
        let mut said: Vec<&RemoteError> = Vec::new();
        for (_, answer) in answers {
            let (Answer::Unknown(error) | Answer::Unsent(error)) = answer else { continue };
            match error.kind {
                _ if bars(error) => {
                    fatal.get_or_insert_with(|| error.clone());
                }
                _ => {
                    if !said.contains(&error) {
                        said.push(error);
                        self.doubts += 1;
                    }
                    self.again += 1;
                    self.doubt = Some(error.clone());
                }
            }
        }
        if self.doubts >= limits::DOUBTS_MAX { fatal.or_else(|| self.doubt.clone()) } else { fatal }
    }

    pub(super) fn settled(&mut self, settled: Settled) {
        self.done += settled.taken;
        self.taken |= settled.taken > 0;
        self.behind = self.behind.saturating_sub(settled.taken);
        self.again += settled.again + settled.look.len() as u64;
        self.look.extend(settled.look);
        self.next();
    }

    /// Rows that were looked at are applied.
    pub(super) fn looked(&mut self) {
        self.next();
    }

    fn next(&mut self) {
        self.step = if !self.look.is_empty() {
            Step::Look
        } else if self.more {
            Step::Plan
        } else if self.waits > 0 && self.taken && !planted::is("who waited is left for the next run") {
            // Each such round has sent something: it ends with the records there are.
            self.begin_round();
            Step::Plan
        } else if self.again > 0 && self.round < limits::ROUNDS_MAX {
            self.round += 1;
            self.begin_round();
            Step::Plan
        } else {
            Step::End
        };
    }

    fn begin_round(&mut self) {
        (self.again, self.after, self.waits, self.taken) = (0, 0, 0, false);
        self.doubt = None;
    }

    /// Why the run may not call itself done.
    pub(super) fn unfinished(&self) -> Option<RemoteError> {
        self.doubt.clone().or_else(|| {
            (self.again > 0).then(|| RemoteError::new(Failure::Broken, "records kept changing at the remote while we sent"))
        })
    }
}
