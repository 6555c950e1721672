//! Owns: what apps ask of runs: run, pause, resume, wait. Must never know: how answers travel.

use super::{
    Accepted, Answer, Ask, AskId, Before, Direction, Effect, Engine, Halted, How, Mark, Name, Refusal, Request, RunRequest,
    RunState, RunWaited, StopReason, SyncState, Timestamp, Trigger, Wishes, Writing, ask,
};

/// The run that is asked for: its id, and what is wished of it.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) run: String,
    pub(super) wishes: Wishes,
    pub(super) reset: Option<How>,
}

impl Wish {
    pub(super) fn new(run: String, wishes: Wishes) -> Self {
        Self { run, wishes, reset: None }
    }
}

impl Engine {
    pub(super) fn asked(&mut self, now: Timestamp, id: AskId, question: Ask, effects: &mut Vec<Effect>) {
        match question {
            Ask::RunSync(request) => {
                let answer = self.run_sync(now, &request);
                effects.push(Effect::Answer(id, answer));
            }
            Ask::Rebuild { collection } => {
                let answer = self.rebuild(now, &collection);
                effects.push(Effect::Answer(id, answer));
            }
            Ask::Stop { by, lease } => self.stop(now, id, by, lease, effects),
            Ask::Restart { resync_stopped, lease } => self.restart(id, resync_stopped, lease, effects),
            Ask::Pause { sync, by } => self.pause(now, id, sync, by, effects),
            Ask::Resume { sync } => self.resume(now, id, sync, effects),
            Ask::Cancel { sync, by: _ } => {
                let answer = self.cancel(now, &sync, effects);
                effects.push(Effect::Answer(id, answer));
            }
            Ask::Ping { syncs, remote } => self.ping(now, id, &syncs, remote.as_deref(), effects),
            Ask::NextRun { sync, at } => self.next_run(now, id, sync, at, effects),
            Ask::ReadFresh { collection, since } => {
                self.read_fresh(&collection, since);
                effects.push(Effect::Answer(id, Ok(Answer::Noted)));
            }
            Ask::HasRun { run } => {
                let answer = self.whose_run(&run).map_or(Answer::NotHere, |sync| Answer::Here(sync.clone()));
                effects.push(Effect::Answer(id, Ok(answer)));
            }
            Ask::WaitRun { run } if self.whose_run(&run).is_some() => self.waiting.entry(run).or_default().push(id),
            Ask::WaitRun { .. } => effects.push(Effect::Answer(id, Ok(Answer::NotHere))),
            Ask::Forget => self.waiting.retain(|_, waiting| {
                waiting.retain(|one| *one != id);
                !waiting.is_empty()
            }),
        }
    }

    /// The sync of which this run is queued or on.
    fn whose_run(&self, run: &str) -> Option<&Name> {
        let of =
            |sync: &super::Sync| sync.run_id.as_deref() == Some(run) || sync.asked.as_ref().is_some_and(|wish| wish.run == run);
        self.syncs.iter().find(|(_, sync)| of(sync)).map(|(name, _)| name)
    }

    pub(super) fn named(&self, sync: &str) -> Result<Name, Refusal> {
        self.syncs.get_key_value(sync).map(|(name, _)| name.clone()).ok_or_else(|| {
            let names: Vec<&str> = self.syncs.keys().map(|name| &**name).take(20).collect();
            let known = if names.is_empty() {
                "there are no syncs; a [sync.NAME] in config.toml makes one".into()
            } else {
                format!("the syncs are {}", names.join(", "))
            };
            Refusal::NotFound(format!("no sync {sync:?}"), Some(known))
        })
    }

    /// Why a run of this sync is not even asked for; none: it may be.
    pub(super) fn refused(&self, name: &Name) -> Option<Refusal> {
        if self.shutting_down {
            return Some(Refusal::Stopped("mingled is going down".into(), None));
        }
        if self.stopped.is_some() {
            return Some(Refusal::Stopped("runs are stopped".into(), Some("`mingle restart` accepts them again".into())));
        }
        let paused = self.desk.board().jobs.get(name).is_some_and(|job| job.paused);
        paused.then(|| Refusal::Stopped(format!("{name} is paused"), Some(format!("`mingle resume {name}` takes that back"))))
    }

    pub(super) fn run_sync(&mut self, now: Timestamp, request: &RunRequest) -> Result<Answer, Refusal> {
        let name = self.named(&request.sync)?;
        if let Some(refusal) = self.refused(&name) {
            return Err(refusal);
        }
        let (Some(sync), Some(job)) = (self.syncs.get_mut(&name), self.desk.job(&name)) else {
            return Err(Refusal::Internal("a sync without a job".into()));
        };
        if request.reset == Some(How::Discard) && sync.direction == Direction::Up {
            let what = format!("{name} only sends: nothing would come in the place of what is discarded");
            let hint = format!("`mingle pending rollback {name}` takes back what is not sent");
            return Err(Refusal::Invalid(what, Some(hint)));
        }
        let mode = request.mode.unwrap_or_default();
        // Requests that wait become one, which does what each of them asks.
        let wish = sync.asked.get_or_insert_with(|| Wish::new(self.ids.next(), Wishes::default()));
        wish.wishes.join(Wishes { mode, force: request.force, accept_deletes: request.accept_deletes });
        // Of two words the one that keeps more of what is here.
        wish.reset = wish.reset.into_iter().chain(request.reset).min();
        let run = wish.run.clone();
        job.ask(Request { at: now, person: true, force: request.force, reset: request.reset.is_some() });
        let state = self.desk.look(now, &name).map(|looked| looked.state);
        Ok(Answer::Accepted(Accepted { run, queued: state != Some(SyncState::Ready) }))
    }

    /// Makes a sync due at once, under an id that can be waited for.
    pub(super) fn make_due(&mut self, name: &Name) -> Option<String> {
        let job = self.desk.job(name)?;
        if job.paused {
            return None;
        }
        job.call(Trigger::Resume);
        let sync = self.syncs.get_mut(name)?;
        let wish = sync.asked.get_or_insert_with(|| Wish::new(self.ids.next(), Wishes::default()));
        Some(wish.run.clone())
    }

    /// Nothing of it begins from now on; once that is written down, what was queued is told so.
    fn pause(&mut self, now: Timestamp, id: AskId, sync: String, by: Option<String>, effects: &mut Vec<Effect>) {
        let name = match self.named(&sync) {
            Ok(name) => name,
            Err(refusal) => return effects.push(Effect::Answer(id, Err(refusal))),
        };
        let before = self.before(id, &name);
        let queued = self.syncs.get(&name).is_some_and(|sync| sync.asked.is_some());
        // Paused twice: what the first pause ended is still to come back.
        let ended = before.ran || queued || before.paused && before.pause_ended;
        if let Some(job) = self.desk.job(&name) {
            (job.paused, job.pause_ended, job.request) = (true, ended, None);
        }
        effects.push(Effect::Write(id, Mark::Paused { sync, since: now, by, ended }));
        self.writing.insert(id, Writing::Pause(name, before, Answer::State(SyncState::Disabled)));
    }

    fn resume(&mut self, now: Timestamp, id: AskId, sync: String, effects: &mut Vec<Effect>) {
        let name = match self.named(&sync) {
            Ok(name) => name,
            Err(refusal) => return effects.push(Effect::Answer(id, Err(refusal))),
        };
        let before = self.before(id, &name);
        if let Some(job) = self.desk.job(&name) {
            (job.paused, job.pause_ended, job.able) = (false, false, Some(now));
        }
        if before.paused && before.pause_ended {
            self.make_due(&name);
        }
        let state = self.desk.look(now, &name).map_or(SyncState::Waiting, |looked| looked.state);
        effects.push(Effect::Write(id, Mark::Resumed { sync }));
        self.writing.insert(id, Writing::Pause(name, before, Answer::State(state)));
    }

    /// How it is before it is paused, or is not any more, by this word.
    fn before(&mut self, id: AskId, name: &Name) -> Before {
        let ran = self.syncs.get_mut(name).is_some_and(|sync| {
            sync.said = id;
            sync.run.is_some()
        });
        let job = self.desk.board().jobs.get(name);
        let of = |job: &super::Job| Before { paused: job.paused, pause_ended: job.pause_ended, request: job.request, ran };
        job.map_or(Before { paused: false, pause_ended: false, request: None, ran }, of)
    }

    /// A run that was promised does not begin: who waits is told, and it ends as every run does.
    pub(super) fn never_began(&mut self, name: &Name, run: String, why: String, effects: &mut Vec<Effect>) {
        self.never_begins(name, run, RunState::Stopped, why, Some(StopReason::User), effects);
    }

    pub(super) fn never_begins(
        &mut self,
        name: &Name,
        run: String,
        state: RunState,
        why: String,
        reason: Option<StopReason>,
        effects: &mut Vec<Effect>,
    ) {
        let waited = RunWaited { state, why: Some(why), remote: None };
        for waiting in self.waiting.remove(&run).unwrap_or_default() {
            effects.push(Effect::Answer(waiting, Ok(Answer::Waited(waited.clone()))));
        }
        effects.push(Effect::Tell(ask::Event::Run {
            sync: name.to_string(),
            run: run.clone(),
            status: if state == RunState::Cancelled { "cancelled" } else { "stopped" }.into(),
            progress: None,
            result: Some("failed".into()),
            stop_reason: reason.map(|reason| reason.name().into()),
            error: None,
        }));
        effects.push(Effect::NeverBegan { run, sync: name.to_string(), reason });
    }

    /// An answer that waited for a write, with what is so now.
    pub(super) fn fresh(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Halted(halted) => Answer::Halted(Halted { state: self.state().0, ..halted }),
            other => other,
        }
    }

    pub(super) fn tell_daemon(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Tell(ask::Event::Sync {
            sync: None,
            state: None,
            daemon: Some(self.state().0),
            hold: None,
            next: None,
        }));
    }
}
