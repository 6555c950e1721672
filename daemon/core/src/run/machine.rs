//! Owns: the order of a run and where a stop takes hold. Must never know: how an effect is done.

use super::{
    Applied, Compared, Counts, DeletesLeft, Effect, Ended, Event, Held, Mode, Order, Outcome, Progress, Resume, Terms, Watermark,
    checkpoint,
    down::Down,
    up::{Step, Up, bars},
};
use crate::{
    planted,
    replica::{Answer, Asked, Errand, Failure, From, Packed, Page, RemoteError, Row},
    time::Timestamp,
};

mod next;
mod side;

use side::Side;

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    order: Order,
    terms: Terms,
    phase: Phase,
    counts: Counts,
    /// How it will end, once nothing is under way.
    halt: Option<Ended>,
    /// Something is under way at the remote.
    remote_busy: bool,
    /// Something is under way in the store.
    store_busy: bool,
    /// Deletes inferred so far.
    deletes: u64,
    /// Its listing has a place where it goes on, or is whole.
    pub(super) listed: bool,
    /// Its listing is whole.
    pub(super) completed: bool,
    /// To be asked for by id, and the position that holds once what was asked is applied.
    ask: Vec<String>,
    ask_then: Option<Resume>,
    /// The whole listing that is to be caught up with.
    caught_up_after: Option<Resume>,
    /// The page and the row of it at which its listing began, and whether it came past them.
    at: (Option<String>, usize),
    moved: bool,
    outcome: Outcome,
    standing: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    Opening,
    /// Another history: rows are compared, nothing is applied.
    Comparing {
        down: Down,
        found: Compared,
    },
    /// A reset is to begin, and the store is copied first.
    Copying,
    /// What is not sent goes; next is what was not looked at yet.
    Discarding {
        after: u64,
        until: u64,
    },
    /// Creates whose answers are outstanding are repeated under their keys, and then it is listed.
    Repeating(Down),
    Down(Down),
    /// What a whole listing did not show is looked for. The position it leaves is taken after that: it passes tombstones that only this
    /// look finds.
    Ghosts {
        watermark: Option<Watermark>,
        began: Option<Timestamp>,
    },
    Completing,
    Up(Up),
    Finishing,
    Ended,
}

impl Run {
    /// A run that has not begun.
    #[must_use]
    pub fn new(order: Order) -> Self {
        Self {
            order,
            terms: Terms::default(),
            phase: Phase::Opening,
            counts: Counts::default(),
            halt: None,
            remote_busy: false,
            store_busy: false,
            deletes: 0,
            listed: false,
            completed: false,
            ask: Vec::new(),
            ask_then: None,
            caught_up_after: None,
            at: (None, 0),
            moved: false,
            outcome: Outcome::default(),
            standing: 0,
        }
    }

    /// What it was asked to do.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Rejections of its sync that stood when it ended.
    #[must_use]
    pub fn standing(&self) -> u64 {
        self.standing
    }

    /// Whether it is over.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Whether it was told to end and has not yet.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.halt.is_some() && !self.ended()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the store is being copied.
    #[must_use]
    pub fn copies(&self) -> bool {
        matches!(self.phase, Phase::Copying)
    }

    /// Whether the next run begins further than this one did: something was taken, or its listing goes on at another place. Of whoever
    /// tells that is another checkpoint: a page without one is a sign of life.
    #[must_use]
    pub fn came_further(&self) -> bool {
        self.counts.down + self.counts.up > 0 || (self.moved && !self.completed)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (phase, (done, total)) = match &self.phase {
            Phase::Opening | Phase::Repeating(_) => ("opening", (0, None)),
            Phase::Comparing { down, .. } => ("comparing", down.progress()),
            Phase::Copying => ("copying", (0, None)),
            Phase::Discarding { .. } => ("discarding", (0, None)),
            Phase::Down(down) => ("down", down.progress()),
            Phase::Ghosts { .. } | Phase::Completing => ("ghosts", (0, None)),
            Phase::Up(up) => ("up", up.progress()),
            Phase::Finishing | Phase::Ended => ("finishing", (0, None)),
        };
        Progress { phase, done, total }
    }

    /// Takes an event, says what to do next.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.completed |= matches!(event, Event::Completed { .. });
        self.listed |= self.completed || matches!(&event, Event::Applied(applied) if applied.ask.is_empty());
        match event.side() {
            Side::Remote => self.remote_busy = false,
            Side::Store => self.store_busy = false,
            Side::Neither => {}
        }
        self.take(event, &mut effects);
        self.mark(&effects);
        if effects.iter().all(|effect| *effect == Effect::Hurry) {
            self.go_on(&mut effects);
            self.mark(&effects);
        }
        effects
    }

    fn mark(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect.side() {
                Side::Remote => self.remote_busy = true,
                Side::Store => self.store_busy = true,
                Side::Neither => {}
            }
        }
    }

    /// What the event itself says.
    fn take(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Start => effects.push(Effect::Begin),
            Event::Begun => {
                if self.halt.is_none() {
                    effects.push(Effect::Open);
                }
            }
            Event::Opened(Ok(())) => {
                if self.halt.is_none() {
                    effects.push(Effect::Negotiate { accept: false });
                }
            }
            Event::Opened(Err(error)) => self.fail(error, effects),
            Event::Negotiated(terms) => self.negotiated(*terms),
            Event::Copied => {
                self.phase = Phase::Opening;
                if self.halt.is_none() {
                    effects.push(Effect::Negotiate { accept: true });
                }
            }
            Event::Discarded { after, conflicts, changed } => {
                self.counts.conflicts += conflicts;
                self.counts.down += changed;
                if let Phase::Discarding { after: at, .. } = &mut self.phase {
                    match after {
                        Some(after) => *at = after,
                        None => self.begins_listing(),
                    }
                }
            }
            Event::Page(page) => self.came(page),
            Event::Compared(compared) => {
                if let Phase::Comparing { down, found } = &mut self.phase {
                    found.differ += compared.differ;
                    found.known += compared.known;
                    let at = down.listing().clone();
                    down.applied(at);
                }
            }
            Event::Applied(applied) => self.applied(applied, effects),
            Event::Asked { asked, failed } => {
                // What was answered counts: on a bad line nothing would ever be settled if one lost answer took all with it.
                if failed.is_some() {
                    self.ask_then = None;
                }
                // The checkpoint moves only once the last row that was in doubt has been asked for.
                let resume = if self.ask.is_empty() { self.ask_then.clone() } else { None };
                if failed.is_none() || !asked.is_empty() {
                    effects.push(self.apply(rows(asked), true, None, resume));
                }
                if let Some(error) = failed {
                    self.fail(error, effects);
                }
            }
            Event::Completed { rejected, watermark, .. } => {
                self.counts.rejected += rejected;
                let whole = self.caught_up_after.take();
                let then = whole.and_then(|whole| checkpoint::catch_up(whole, watermark.as_ref(), self.terms.cursor));
                self.phase = match then {
                    Some(then) => Phase::Down(Down::beyond(then, self.terms.page_rows.max(1))),
                    None => Phase::Up(Up::default()),
                };
            }
            Event::Ghosts { remote_ids, guarded } => {
                self.counts.rejected += guarded;
                self.ask = remote_ids;
                if self.ask.is_empty() {
                    self.complete(effects);
                }
            }
            Event::Planned(planned) => {
                self.counts.rejected += planned.rejected;
                if let Phase::Up(up) = &mut self.phase {
                    let errands = up.planned(planned);
                    // What is committed as sent leaves, or is settled as not sent: never forgotten.
                    if errands.is_empty() {
                    } else if self.halt.is_some() {
                        let unsent =
                            |errand: Errand| (errand.link, Answer::Unsent(RemoteError::new(Failure::Stopped, "stopped")));
                        effects.push(Effect::Settle { answers: errands.into_iter().map(unsent).collect() });
                    } else {
                        effects.push(Effect::Send { errands });
                    }
                }
            }
            Event::Sent(answers) => {
                let fatal = match &mut self.phase {
                    Phase::Up(up) => up.answered(&answers),
                    // One that stays in doubt is repeated by the next run; the others go on.
                    _ => answers.iter().find_map(|(_, answer)| match answer {
                        Answer::Unknown(error) | Answer::Unsent(error) => bars(error).then(|| error.clone()),
                        _ => None,
                    }),
                };
                // What came must be written down before a stop takes hold.
                effects.push(Effect::Settle { answers });
                if let Some(error) = fatal {
                    self.fail(error, effects);
                }
            }
            Event::Settled(settled) => {
                self.counts.up += settled.taken;
                self.counts.down += settled.changed;
                self.counts.conflicts += settled.conflicts;
                self.counts.rejected += settled.rejected;
                if let Phase::Up(up) = &mut self.phase {
                    up.settled(settled);
                }
            }
            Event::Finished { standing } => {
                self.standing = standing;
                self.phase = Phase::Ended;
            }
            Event::StoreFailed(trouble) => self.halt(Ended::Broken(trouble), effects),
            Event::Stop(reason) => self.halt(Ended::Stopped(reason), effects),
            Event::Cancel => self.halt(Ended::Cancelled, effects),
        }
    }

    fn fail(&mut self, error: RemoteError, effects: &mut Vec<Effect>) {
        if error.kind != Failure::Stopped {
            self.halt(Ended::Failed(error), effects);
        }
    }

    fn halt(&mut self, ended: Ended, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Finishing) {
            // The history row could not be written: there is nothing left to do here; boot recovery closes it.
            if matches!(ended, Ended::Broken(_)) {
                self.outcome.ended = ended;
                self.phase = Phase::Ended;
            }
            return;
        }
        // A run on its way to a resumable end can still be ended for good.
        if ended == Ended::Cancelled && matches!(self.halt, Some(Ended::Stopped(_))) {
            self.halt = Some(ended);
        } else if self.halt.is_none() && !self.ended() {
            self.halt = Some(ended);
            if self.remote_busy {
                effects.push(Effect::Hurry);
            }
        }
    }

    fn negotiated(&mut self, terms: Terms) {
        self.terms = terms;
        if let Some(held) = self.terms.held {
            self.halt.get_or_insert(Ended::Held(held));
        } else if self.terms.compare_first {
            let down = Down::new(Resume::default(), self.terms.page_rows.max(1));
            self.phase = Phase::Comparing { down, found: Compared::default() };
        } else if self.terms.copy_first {
            self.phase = Phase::Copying;
        } else if let Some(until) = self.terms.discard {
            self.phase = Phase::Discarding { after: 0, until };
        } else {
            self.begins_listing();
        }
        if planted::is("404 as gone") {
            self.ask = std::mem::take(&mut self.terms.ask);
        }
    }

    /// The listing begins, or goes on where it was.
    fn begins_listing(&mut self) {
        let terms = &self.terms;
        let start = Resume { from: terms.from.clone(), pass: terms.pass, began: terms.began, ..Resume::default() };
        let at = terms.resume.clone().unwrap_or(start);
        self.at = (at.page.clone(), at.rows);
        let down = Down::new(at, terms.page_rows.max(1));
        self.phase = if terms.repeats.is_empty() { Phase::Down(down) } else { Phase::Repeating(down) };
    }

    fn came(&mut self, page: Result<Page, RemoteError>) {
        let (Phase::Down(down) | Phase::Comparing { down, .. }) = &mut self.phase else { return };
        match page {
            Ok(page) => {
                self.outcome.said_news |= page.news;
                down.came(Ok(page));
            }
            Err(error) if error.kind == Failure::Stopped => {}
            Err(error) if error.kind == Failure::CheckpointRefused && down.listing().from != From::Start => {
                // The remote lost our place: everything, compared.
                *down = Down::new(
                    Resume { pass: self.terms.pass, began: self.terms.began, ..Resume::default() },
                    self.terms.page_rows.max(1),
                );
            }
            Err(error) => down.came(Err(error)),
        }
    }

    fn applied(&mut self, applied: Applied, effects: &mut Vec<Effect>) {
        self.counts.down += applied.changed;
        self.counts.conflicts += applied.conflicts;
        self.counts.rejected += applied.rejected;
        self.deletes += applied.deletes;
        match &mut self.phase {
            Phase::Down(down) => {
                if !applied.left.is_empty() {
                    self.ask_then = Some(down.put_back(applied.left));
                }
                if !applied.ask.is_empty() {
                    self.ask = applied.ask;
                } else if self.ask.is_empty()
                    && let Some(after) = self.ask_then.take()
                {
                    self.moved |= !down.stays && (after.page != self.at.0 || after.rows > self.at.1);
                    down.applied(after);
                }
            }
            Phase::Ghosts { .. } if self.ask.is_empty() => self.complete(effects),
            Phase::Up(up) => up.looked(),
            _ => {}
        }
    }

    fn apply(&self, rows: Vec<Packed>, asked: bool, at: Option<Resume>, resume: Option<Resume>) -> Effect {
        let pass = match &self.phase {
            Phase::Down(down) => (down.listing().from == From::Start).then_some(self.terms.pass),
            Phase::Ghosts { .. } => Some(self.terms.pass),
            _ => None,
        };
        let swaps = matches!(&self.phase, Phase::Down(down) if down.swaps) && !asked && pass.is_some() && self.takes_by_absence();
        let (at, resume) = (at.map(Box::new), resume.map(Box::new));
        Effect::Apply { rows, asked, pass, at, swaps, resume, deletes_left: self.deletes_left() }
    }

    /// Whether what a whole listing does not show is gone: of who is asked, not of who tells; a refresh deletes nothing.
    fn takes_by_absence(&self) -> bool {
        let tells = self.terms.tells && !planted::is("not told is gone");
        !tells && self.order.mode != Mode::Refresh && self.terms.mode != Mode::Refresh
    }

    fn deletes_left(&self) -> DeletesLeft {
        match self.terms.deletes_max {
            _ if self.order.accept_deletes => DeletesLeft::Counted(u64::MAX),
            Some(most) => DeletesLeft::Counted(most.saturating_sub(self.deletes)),
            None => DeletesLeft::AfterTaken(self.deletes),
        }
    }
}

/// What was asked for by id, as rows.
fn rows(asked: Vec<(String, Asked)>) -> Vec<Packed> {
    let row = |(remote_id, asked)| match asked {
        Asked::There(row) => row,
        Asked::Gone => Row::gone(remote_id),
    };
    asked.into_iter().map(|one| Packed::of(&row(one))).collect()
}
