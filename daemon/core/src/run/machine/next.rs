//! Owns: what a run does next, phase by phase, of what is free. Must never know: what an event says, how an effect is done.

use super::{Compared, Down, Effect, Ended, From, Held, Outcome, Phase, Run, Side, Step, checkpoint};
use crate::{limits, planted, replica::Failure};

impl Run {
    /// What the phase wants next, of what is free.
    pub(super) fn go_on(&mut self, effects: &mut Vec<Effect>) {
        if self.halt.is_some() {
            return self.end(effects);
        }
        if !self.ask.is_empty() {
            if !self.remote_busy && !self.store_busy {
                effects.push(Effect::Ask { remote_ids: next_asked(&mut self.ask) });
            }
            return;
        }
        match &mut self.phase {
            Phase::Opening | Phase::Finishing | Phase::Ended => {}
            Phase::Comparing { .. } => self.compare(effects),
            Phase::Copying if self.remote_busy || self.store_busy => {}
            Phase::Copying => self.begin_reset(effects),
            Phase::Discarding { .. } if self.remote_busy || self.store_busy => {}
            Phase::Discarding { after, until } => effects.push(Effect::Discard { after: *after, until: *until }),
            Phase::Repeating(down) => {
                if self.remote_busy || self.store_busy {
                    return;
                }
                let errands = std::mem::take(&mut self.terms.repeats);
                if !errands.is_empty() {
                    return effects.push(Effect::Send { errands });
                }
                self.phase = Phase::Down(down.clone());
                self.list(effects);
            }
            Phase::Down(_) => self.list(effects),
            Phase::Ghosts { .. } | Phase::Completing => {}
            Phase::Up(_) => self.send(effects),
        }
    }

    fn compare(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Comparing { down, found } = &mut self.phase else { return };
        if !self.remote_busy {
            effects.extend(down.fetch());
        }
        if !self.store_busy
            && let Some((rows, _)) = down.batch()
        {
            effects.push(Effect::Compare { rows });
        }
        if let Some(smaller) = too_large(down) {
            (*down, *found) = (smaller, Compared::default());
            return effects.extend(down.fetch());
        }
        let mut found = *found;
        if down.broken() {
            let error = down.failed.take();
            if let Some(error) = error {
                self.fail(error, effects);
            }
            return self.end(effects);
        }
        if down.whole() && !self.store_busy && !self.remote_busy && effects.is_empty() {
            // What the other history does not show at all differs most: an emptied remote is not filled again unasked.
            found.differ += self.terms.links_there.saturating_sub(found.known);
            if found.differ > self.terms.deletes_max.unwrap_or(limits::DELETES_MIN) && !self.order.force {
                self.halt = Some(Ended::Held(Held::Differs(found)));
                return self.end(effects);
            }
            // Not so different, or a person insists: it is taken, and everything is met.
            self.begin_reset(effects);
        }
    }

    /// Nothing is changed before the store is copied.
    fn begin_reset(&mut self, effects: &mut Vec<Effect>) {
        if planted::is("reset without a copy") {
            self.phase = Phase::Opening;
            return effects.push(Effect::Negotiate { accept: true });
        }
        self.phase = Phase::Copying;
        effects.push(Effect::Copy);
    }

    fn list(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Down(down) = &mut self.phase else { return };
        if !self.remote_busy {
            effects.extend(down.fetch());
        }
        if !self.store_busy
            && let Some((rows, after)) = down.batch()
        {
            // What is put in place whole is not cut.
            let at = (!down.swaps).then(|| down.listing().clone());
            self.ask_then = Some(after.clone());
            let effect = self.apply(rows, false, at, Some(after));
            effects.push(effect);
            return;
        }
        if let Some(smaller) = too_large(down) {
            *down = smaller;
            return effects.extend(down.fetch());
        }
        if down.broken() {
            let error = down.failed.take();
            if let Some(error) = error {
                self.fail(error, effects);
            }
            return self.end(effects);
        }
        if down.whole() && !self.store_busy && !self.remote_busy && effects.is_empty() {
            // Only now: "not there" is believed of who has shown us a listing under the same credentials.
            if !self.terms.ask.is_empty() {
                self.ask = std::mem::take(&mut self.terms.ask);
                return self.go_on(effects);
            }
            let listing = down.listing().clone();
            // By absence only where a whole listing was seen.
            let absence = listing.from == From::Start && self.takes_by_absence();
            let watermark = checkpoint::watermark(&listing, self.terms.cursor);
            let several = listing.from == From::Start && listing.page.is_some();
            // Once: where the remote does not know its own place, it is listed from the start again, and that has to do.
            if several && std::mem::take(&mut self.terms.catches_up) && !planted::is("made before a listing is caught up with") {
                self.caught_up_after = Some(listing.clone());
            }
            self.phase = Phase::Ghosts { watermark, began: listing.began };
            if absence {
                effects.push(Effect::Ghosts { pass: self.terms.pass, deletes_left: self.deletes_left() });
            } else {
                self.complete(effects);
            }
        }
    }

    /// The listing is over, and so is the look for what it did not show.
    pub(super) fn complete(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Ghosts { watermark, began } = &mut self.phase else { return };
        let (watermark, began) = (watermark.take(), *began);
        self.phase = Phase::Completing;
        // What an earlier run read of this listing is as old as that.
        let last = began.filter(|_| self.order.direction.brings()).map(|began| began.min(self.order.began));
        self.outcome.fresh = if planted::is("freshness by the last run") { Some(self.order.began) } else { last };
        if self.halt.is_none() {
            effects.push(Effect::Complete { watermark, began });
        }
    }

    fn send(&mut self, effects: &mut Vec<Effect>) {
        if !self.order.direction.sends() {
            self.halt = Some(Ended::Done);
            return self.end(effects);
        }
        if self.remote_busy || self.store_busy {
            return;
        }
        let Phase::Up(up) = &mut self.phase else { return };
        match up.step {
            Step::Plan => {
                up.step = Step::Wait;
                effects.push(Effect::Plan { after: up.after(), except: up.except() });
            }
            Step::Look => {
                effects.push(Effect::Ask { remote_ids: next_asked(&mut up.look) });
            }
            Step::End => {
                self.halt = Some(up.unfinished().map_or(Ended::Done, Ended::Failed));
                self.end(effects);
            }
            Step::Wait => {}
        }
    }

    /// Ends it, once nothing is under way.
    fn end(&mut self, effects: &mut Vec<Effect>) {
        if self.remote_busy || self.store_busy || matches!(self.phase, Phase::Finishing | Phase::Ended) {
            return;
        }
        if effects.iter().any(|effect| effect.side() != Side::Neither) {
            return;
        }
        if let Some(ended) = self.halt.clone() {
            self.phase = Phase::Finishing;
            self.outcome = Outcome { ended, counts: self.counts, ..self.outcome };
            effects.push(Effect::Finish(self.outcome.clone()));
        }
    }
}

/// The listing that goes on in the place of one whose pages do not fit into memory, once everything that came is applied.
fn too_large(down: &Down) -> Option<Down> {
    let failed = down.failed.as_ref().filter(|error| error.kind == Failure::TooLarge && down.broken());
    failed.and_then(|_| down.in_smaller_pages())
}

fn next_asked(ask: &mut Vec<String>) -> Vec<String> {
    let rest = ask.split_off(ask.len().min(limits::ASK_MAX));
    std::mem::replace(ask, rest)
}
