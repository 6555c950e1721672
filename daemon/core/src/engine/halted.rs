//! Owns: stops: written down or for as long as a connection lasts, several at once, and their ends. Must never know: how answers
//! travel, what a connection is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, AskId, DaemonState, Effect, Engine, Halted, Mark, Name, StopReason, Timestamp, Writing};

/// Who stopped, and when.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) since: Timestamp,
    pub(super) by: Option<String>,
}

/// Runs are not accepted as long as anybody holds this.
#[derive(Clone, Debug, Default)]
pub(super) struct Stopped {
    /// The stop that holds until a restart.
    written: Option<Holder>,
    /// Stops that end with a connection, by its number.
    leases: BTreeMap<u64, Holder>,
    /// Syncs whose runs these stops ended.
    pub(super) ended: BTreeSet<String>,
}

impl Stopped {
    /// One that holds until a restart.
    pub(super) fn written(holder: Holder, ended: Vec<String>) -> Self {
        Self { written: Some(holder), leases: BTreeMap::new(), ended: ended.into_iter().collect() }
    }

    /// Whom to name: the stop that only a restart ends, else the oldest lease.
    pub(super) fn holder(&self) -> Option<&Holder> {
        self.written.as_ref().or_else(|| self.leases.values().min_by_key(|holder| holder.since))
    }

    /// Whether it ends by itself, with the connections that hold it.
    pub(super) fn leased(&self) -> bool {
        self.written.is_none()
    }

    fn holds(&self) -> bool {
        self.written.is_some() || !self.leases.is_empty()
    }
}

impl Engine {
    pub(super) fn stop(&mut self, now: Timestamp, id: AskId, by: Option<String>, lease: Option<u64>, effects: &mut Vec<Effect>) {
        let holder = Holder { since: now, by };
        if !self.shutting_down {
            self.set_stopped(Some(StopReason::User));
        }
        let stopped = self.stopped.get_or_insert_default();
        match lease {
            Some(lease) => stopped.leases.entry(lease).or_insert(holder),
            None => stopped.written.get_or_insert(holder),
        };
        let (mut runs, mut queued) = (Vec::new(), Vec::new());
        for (name, sync) in &mut self.syncs {
            runs.extend(sync.run_id.clone());
            if sync.run.is_some() {
                stopped.ended.insert(name.to_string());
            }
            // A queued run never begins, and who waits for it is told so.
            if let Some(wish) = sync.asked.take() {
                if let Some(job) = self.desk.job(name) {
                    job.request = None;
                }
                stopped.ended.insert(name.to_string());
                runs.push(wish.run.clone());
                queued.push((name.clone(), wish.run));
            }
        }
        for (name, run) in queued {
            self.never_began(&name, run, "runs were stopped before it began".into(), effects);
        }
        let answer = Answer::Halted(Halted { state: DaemonState::Stopping, runs });
        if lease.is_some() {
            // It ends with a connection, so there is nothing that a start would have to know.
            let answer = self.fresh(answer);
            effects.push(Effect::Answer(id, Ok(answer)));
        } else {
            effects.push(Effect::Write(id, self.mark()));
            self.writing.insert(id, Writing::Answer(answer));
        }
        self.tell_daemon(effects);
    }

    fn mark(&self) -> Mark {
        let stopped = self.stopped.as_ref().and_then(|stopped| Some((stopped.written.clone()?, &stopped.ended)));
        match stopped {
            None => Mark::Running,
            Some((Holder { since, by }, ended)) => Mark::Stopped { since, by, ended: ended.iter().cloned().collect() },
        }
    }

    /// Ends the stop that was written down, and the asker's own. Leases of others hold: they stopped for something that goes on.
    pub(super) fn restart(&mut self, id: AskId, resync_stopped: bool, lease: Option<u64>, effects: &mut Vec<Effect>) {
        let mut ended = BTreeSet::new();
        if let Some(stopped) = &mut self.stopped {
            stopped.written = None;
            if let Some(lease) = lease {
                stopped.leases.remove(&lease);
            }
            ended = std::mem::take(&mut stopped.ended);
        }
        self.lift();
        let mut runs = Vec::new();
        if resync_stopped {
            for name in ended {
                let Some((key, _)) = self.syncs.get_key_value(name.as_str()) else { continue };
                let key: Name = key.clone();
                runs.extend(self.make_due(&key));
            }
        }
        effects.push(Effect::Write(id, Mark::Running));
        let answer = Answer::Halted(Halted { state: DaemonState::Running, runs });
        self.writing.insert(id, Writing::Answer(answer));
        self.tell_daemon(effects);
    }

    /// A connection is gone, and with it the stop that it held.
    pub(super) fn released(&mut self, lease: u64, effects: &mut Vec<Effect>) {
        let Some(stopped) = &mut self.stopped else { return };
        if stopped.leases.remove(&lease).is_some() {
            self.lift();
            self.tell_daemon(effects);
        }
    }

    /// Accepts runs again where nobody holds a stop any more.
    fn lift(&mut self) {
        if self.stopped.as_ref().is_some_and(|stopped| !stopped.holds()) {
            self.stopped = None;
        }
        if self.stopped.is_none() && !self.shutting_down {
            self.set_stopped(None);
        }
    }
}
