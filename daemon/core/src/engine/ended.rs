//! Owns: what the end of a run means: for the schedule, for its remote, for those who wait and those who listen. Must never know: how
//! a run comes to its end.

use super::{
    Answer, Effect, End, Ended, Engine, Failure, Name, Patience, RunState, RunWaited, StopReason, Timestamp, Trouble, Wish,
    Wishes, ask, limits,
};

impl Engine {
    /// A run is over: what that means for the schedule, and for those who wait.
    pub(super) fn ended(&mut self, now: Timestamp, name: &Name, effects: &mut Vec<Effect>) {
        let Some(remote) = self.desk.board().jobs.get(name).map(|job| job.plan.remote.clone()) else { return };
        let Some(sync) = self.syncs.get_mut(name) else { return };
        let Some(run) = sync.run.take() else { return };
        self.runs -= 1;
        let run_id = sync.run_id.take().unwrap_or_default();
        let outcome = run.outcome().clone();
        let mut held = None;
        let (end, trouble) = match &outcome.ended {
            Ended::Done => {
                self.desk.change_remote(&remote, |known| {
                    known.needs_login = false;
                    known.patience = None;
                });
                (End::Done, None)
            }
            // What hangs in the same place each time is tried again as what fails there is.
            Ended::Stopped(StopReason::Timeout) if !run.came_further() => (End::Failed, None),
            Ended::Stopped(reason) => (End::Stopped(*reason), None),
            Ended::Cancelled => (End::Stopped(StopReason::User), None),
            Ended::Held(why) => {
                held = Some(*why);
                let trouble = Trouble { name: why.name().into(), what: why.what(), hint: Some(why.hint(name)) };
                (End::Failed, Some(trouble))
            }
            Ended::Failed(error) => {
                match error.kind {
                    Failure::NeedsLogin => {
                        let news = self.desk.change_remote(&remote, |known| known.needs_login = true);
                        effects.extend(news.then(|| Effect::WatchLogin(remote.clone())));
                    }
                    Failure::Throttled(until) => {
                        let until = until.unwrap_or(now).min(now.plus(limits::PATIENCE_MAX));
                        self.desk.change_remote(&remote, |known| known.patience = Some(Patience { asked: now, until }));
                    }
                    Failure::Budget(until) => {
                        let until = until.min(now.plus(limits::PATIENCE_MAX));
                        self.desk.change_remote(&remote, |known| known.budget = Some(Patience { asked: now, until }));
                    }
                    _ => {}
                }
                let trouble = Trouble { name: error.kind.name().into(), what: error.what.clone(), hint: error.hint.clone() };
                (End::Failed, Some(trouble))
            }
            Ended::Broken(trouble) => (End::Failed, Some(trouble.clone())),
        };
        let news = outcome.has_news();
        if let Some(job) = self.desk.job(name) {
            job.held = held.or(job.held);
            job.end(now, end);
            if end == End::Done {
                job.fresh = outcome.fresh.or(job.fresh);
                job.learn(news);
            }
        }
        match end {
            End::Done if trouble.is_none() => sync.failing_since = None,
            End::Stopped(_) if trouble.is_none() => {}
            _ => {
                sync.failing_since.get_or_insert(now);
            }
        }
        let hung = || Trouble {
            name: Failure::Offline.name().into(),
            what: "its last run ended by `deadline` or `stall`, and had come no further than the one before".into(),
            hint: None,
        };
        sync.trouble = trouble.clone().or_else(|| (end == End::Failed).then(hung));
        // A person stopped it, or all, while it was on its way to its end.
        let taken_back = self.stopped.is_some() || self.desk.board().jobs.get(name).is_some_and(|job| job.paused);
        if let (true, Some(job)) = (taken_back, self.desk.job(name)) {
            job.request = None;
        }
        // What was asked for beside that it runs is asked of the run that goes on.
        if let (Ended::Stopped(reason), wishes) = (&outcome.ended, Wishes::left(&run))
            && reason.due_again()
            && wishes.any()
            && !taken_back
        {
            sync.asked.get_or_insert_with(|| Wish::new(self.ids.next(), Wishes::default())).wishes.join(wishes);
        }
        let stopped_by_stop = matches!(outcome.ended, Ended::Stopped(StopReason::User | StopReason::App));
        let cancelled = std::mem::take(&mut sync.cancelled);
        if stopped_by_stop
            && !cancelled
            && let Some(stopped) = &mut self.stopped
        {
            stopped.ended.insert(name.to_string());
        }
        effects.push(Effect::Over(name.clone()));
        let (status, state) = match &outcome.ended {
            Ended::Done if run.standing() > 0 => ("done_with_errors", RunState::DoneWithErrors),
            Ended::Done => ("done", RunState::Done),
            Ended::Stopped(_) => ("stopped", RunState::Stopped),
            Ended::Cancelled => ("cancelled", RunState::Cancelled),
            Ended::Failed(_) | Ended::Broken(_) | Ended::Held(_) => ("failed", RunState::Failed),
        };
        let result = match end {
            End::Done if news => "new_data",
            End::Done => "no_new_data",
            _ => "failed",
        };
        effects.push(Effect::Tell(ask::Event::Run {
            sync: name.to_string(),
            run: run_id.clone(),
            status: status.into(),
            progress: None,
            result: Some(result.into()),
            stop_reason: match outcome.ended {
                Ended::Stopped(reason) => Some(reason.name().into()),
                Ended::Cancelled => Some(StopReason::User.name().into()),
                _ => None,
            },
            error: trouble.clone(),
        }));
        let waited = RunWaited {
            state,
            why: trouble.as_ref().map(|trouble| trouble.what.clone()),
            remote: Some((remote.to_string(), trouble.map(|trouble| trouble.name))),
        };
        for id in self.waiting.remove(&run_id).unwrap_or_default() {
            effects.push(Effect::Answer(id, Ok(Answer::Waited(waited.clone()))));
        }
        self.replaced(now, name, effects);
        // The last run that a stop waited for: stopping has become stopped.
        if self.stopped.is_some() && self.quiet() {
            self.tell_daemon(effects);
        }
    }
}
