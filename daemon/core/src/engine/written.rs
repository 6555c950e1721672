//! Owns: what apps say of a sync that has to be written down: what comes of it once it is, and where it could not be. Must never know: where
//! it is written, and how.
//!
//! What lets something begin counts once it is written. What keeps it from beginning counts at once, and is taken back where it could not be
//! written: either way what is in force is what a start would find, and who was refused finds everything as it was.

use super::{Answer, AskId, Effect, Engine, Name, Refusal, Request, SyncState, Timestamp};

/// What follows once something is written down.
#[derive(Clone, Debug)]
pub(super) enum Writing {
    /// This answer; what was asked is in force already.
    Answer(Answer),
    /// A sync has this moment for its next run; since when that was asked.
    Next(Name, Option<Timestamp>, Timestamp),
    /// A sync is paused: it is already, and this is how it was.
    Paused(Name, Before),
    /// A pause is over.
    Resumed(Name),
}

/// How a sync was before a pause.
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
            (Ok(()), Some(Writing::Next(name, at, asked))) => self.next_is(now, &name, at, asked),
            (Ok(()), Some(Writing::Paused(name, _))) => Ok(self.is_paused(&name, effects)),
            (Ok(()), Some(Writing::Resumed(name))) => Ok(self.resumed(now, &name)),
            (Err(refusal), Some(Writing::Paused(name, before))) => {
                self.not_paused(&name, before);
                Err(refusal)
            }
            (Err(refusal), _) => Err(refusal),
        };
        effects.push(Effect::Answer(id, answer));
    }

    fn is_paused(&mut self, name: &Name, effects: &mut Vec<Effect>) -> Answer {
        // A resume that was asked for before it may have come between.
        if let Some(job) = self.desk.job(name) {
            (job.paused, job.request) = (true, None);
        }
        if let Some(wish) = self.syncs.get_mut(name).and_then(|sync| sync.asked.take()) {
            self.never_began(name, wish.run, format!("{name} was paused before it began"), effects);
        }
        Answer::State(SyncState::Disabled)
    }

    fn resumed(&mut self, now: Timestamp, name: &Name) -> Answer {
        let ended = self.desk.job(name).is_some_and(|job| {
            let paused = std::mem::replace(&mut job.paused, false);
            job.able = Some(now);
            std::mem::replace(&mut job.pause_ended, false) && paused
        });
        // A pause that was asked for after it, and is not written yet, is one of a sync that was not paused.
        if let Some(later) = self.pause_on_its_way(name) {
            (later.paused, later.pause_ended) = (false, false);
        }
        if ended {
            self.make_due(name);
        }
        Answer::State(self.desk.look(now, name).map_or(SyncState::Waiting, |looked| looked.state))
    }

    /// A pause could not be written down: the sync is as it was, and what the pause stopped goes on.
    fn not_paused(&mut self, name: &Name, before: Before) {
        if let Some(later) = self.pause_on_its_way(name) {
            let (request, ran) = (before.request.or(later.request), before.ran || later.ran);
            *later = Before { request, ran, ..before };
            return;
        }
        let asked = self.syncs.get(name).is_some_and(|sync| sync.asked.is_some());
        let Some(job) = self.desk.job(name) else { return };
        (job.paused, job.pause_ended) = (before.paused, before.pause_ended);
        if before.paused {
            return;
        }
        if asked {
            job.request = job.request.or(before.request);
        }
        if before.ran {
            self.make_due(name);
        }
    }

    /// The first pause of a sync that is being written down.
    fn pause_on_its_way(&mut self, name: &Name) -> Option<&mut Before> {
        self.writing.values_mut().find_map(|writing| match writing {
            Writing::Paused(other, before) if other == name => Some(before),
            _ => None,
        })
    }
}
