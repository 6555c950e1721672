//! Owns: what apps say of a sync that has to be written down: what comes of it once it is, and where it could not be. Must never know: where
//! it is written, and how.
//!
//! A pause and its end count at once, and the last word is taken back where it was not written for sure; the moment of a next run counts once it
//! is written. Writes may be answered in any order: what is in force is the last that was said.

use super::{Answer, AskId, Effect, Engine, Name, Refusal, Request, Timestamp};

/// What follows once something is written down.
#[derive(Clone, Debug)]
pub(super) enum Writing {
    /// This answer; what was asked is in force already.
    Answer(Answer),
    /// A sync has this moment for its next run; since when that was asked.
    Next(Name, Option<Timestamp>, Timestamp),
    /// A sync is paused, or is not any more: it is already, and this is how it was.
    Pause(Name, Before, Answer),
}

/// How a sync was before a pause, or before its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) paused: bool,
    pub(super) pause_ended: bool,
    pub(super) request: Option<Request>,
    /// A run was on, which the pause stops.
    pub(super) ran: bool,
}

impl Engine {
    /// What was to be written down is, or why not.
    pub(super) fn written(&mut self, now: Timestamp, id: AskId, written: Result<(), Refusal>, effects: &mut Vec<Effect>) {
        let answer = match (written, self.writing.remove(&id)) {
            (Ok(()), None) => return,
            (Ok(()), Some(Writing::Answer(answer))) => Ok(self.fresh(answer)),
            (Ok(()), Some(Writing::Next(name, at, asked))) => self.next_is(now, id, &name, at, asked),
            (Ok(()), Some(Writing::Pause(name, _, answer))) => {
                self.tells_queued(&name, effects);
                Ok(answer)
            }
            // It may be there after a start: what was said last stays in force, and whoever said it can say it again.
            (Err(refusal @ Refusal::Unknown(_)), Some(Writing::Pause(name, ..))) => {
                self.tells_queued(&name, effects);
                Err(refusal)
            }
            (Err(refusal), Some(Writing::Pause(name, before, _))) => {
                self.takes_back(id, &name, before);
                self.tells_queued(&name, effects);
                Err(refusal)
            }
            (Err(refusal), _) => Err(refusal),
        };
        effects.push(Effect::Answer(id, answer));
    }

    /// Of a sync that is paused, and stays so, what is queued never begins.
    fn tells_queued(&mut self, name: &Name, effects: &mut Vec<Effect>) {
        let being_written = self.writing.values().any(|one| matches!(one, Writing::Pause(other, ..) if other == name));
        let Some(job) = self.desk.job(name).filter(|job| job.paused && !being_written) else { return };
        job.request = None;
        if let Some(wish) = self.syncs.get_mut(name).and_then(|sync| sync.asked.take()) {
            self.never_began(name, wish.run, format!("{name} was paused before it began"), effects);
        }
    }

    /// A pause, or its end, could not be written down: the sync is as it was, unless something else was said since.
    fn takes_back(&mut self, id: AskId, name: &Name, before: Before) {
        let later = self.writing.range_mut(id..).find_map(|(_, one)| match one {
            Writing::Pause(other, before, _) if other == name => Some(before),
            _ => None,
        });
        if let Some(later) = later {
            // What comes back, should that not be written either.
            let (request, ran) = (before.request.or(later.request), before.ran || later.ran);
            *later = Before { request, ran, ..before };
            return;
        }
        let asked = match self.syncs.get(name) {
            Some(sync) if sync.said == id => sync.asked.is_some(),
            _ => return,
        };
        let Some(job) = self.desk.job(name) else { return };
        let was = job.paused;
        (job.paused, job.pause_ended) = (before.paused, before.pause_ended);
        if before.paused || !was {
            return;
        }
        if asked {
            job.request = job.request.or(before.request);
        }
        if before.ran {
            self.make_due(name);
        }
    }
}
