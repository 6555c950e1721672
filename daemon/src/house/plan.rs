//! Owns: making a plan: may it be made now, on which copy, of which sync. Must never know: the wire, what a run would do.

use std::sync::Arc;

use mingle_core::{
    ask::{DaemonState, Plan, Refusal, RunRequest},
    limits,
    run::Order,
};
use tokio::sync::OwnedMutexGuard;

use super::{House, described};
use crate::{
    boot, clock,
    config::Config,
    ipc::door::Later,
    rehearsal::{Cast, rehearse},
    remotes::{self, Means, held::Held},
    store::{StoreError, rehearsal::Rehearsal},
};

/// The copy, and the right to have one. It goes away beside whoever gives it up: that takes a while.
struct Stage(Option<(Rehearsal, OwnedMutexGuard<()>)>);

impl Drop for Stage {
    fn drop(&mut self) {
        if let (Some(stage), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(stage));
        }
    }
}

impl House {
    /// What a run would do now.
    pub(super) fn planned(&self, request: RunRequest, most: usize) -> Later<Plan> {
        let house = self.clone();
        Box::pin(async move {
            let config = house.config();
            house.may_plan(&request.sync, &config)?;
            if tells(&config, &house.0.means, &request.sync) {
                let what = format!("{} is the work of a program, and a plan would have it done", request.sync);
                return Err(Refusal::Unsupported(what));
            }
            // One that was given up needs a moment to go away.
            let turn = tokio::time::timeout(limits::PLAN_RETRY, Arc::clone(&house.0.planning).lock_owned());
            let planning = turn.await.map_err(|_| Refusal::Busy(limits::PLAN_RETRY))?;
            let cast = cast(&config, &house.0.means, &request.sync).ok_or_else(|| described::no_sync(&request.sync, &config))?;
            let (store, as_configured) = (house.0.store.clone(), Arc::clone(&config));
            let made = tokio::task::spawn_blocking(move || {
                let copy = store.rehearsal(clock::now())?;
                boot::define(&copy.store()?, &as_configured, clock::now())?;
                Ok(Stage(Some((copy, planning))))
            });
            let made = made.await.map_err(|error| Refusal::Internal(format!("the copy for a plan ended badly: {error}")))?;
            let mut stage: Stage = made.map_err(|error: StoreError| Refusal::from(error))?;
            let Some((copy, _)) = &stage.0 else { return Err(Refusal::Internal("there is no copy for a plan".into())) };
            let order = Order {
                run: "r-plan".into(),
                direction: cast.known.spec.direction,
                mode: request.mode.unwrap_or_default(),
                trigger: "request".into(),
                force: request.force,
                accept_deletes: request.accept_deletes,
                reset: request.reset,
                ..Order::default()
            };
            let copy = copy.store().map_err(Refusal::from)?;
            let mut board = house.0.board.clone();
            let stopped = board.wait_for(|board| board.state.0 != DaemonState::Running);
            let plan = tokio::select! {
                plan = rehearse(copy, cast, order, most) => plan.map_err(Refusal::from),
                _ = stopped => Err(stopped_runs()),
            };
            // Whoever is answered finds nothing left of it.
            let gone = stage.0.take();
            let _ = tokio::task::spawn_blocking(move || drop(gone)).await;
            plan
        })
    }

    /// Somebody has stopped all that goes out, or the service has asked us to wait: then nothing is asked either.
    fn may_plan(&self, sync: &str, config: &Config) -> Result<(), Refusal> {
        let board = self.0.board.borrow().clone();
        let shown = board.one(sync, clock::now()).ok_or_else(|| described::no_sync(sync, config))?;
        if board.state.0 != DaemonState::Running {
            return Err(stopped_runs());
        }
        match shown.holds.into_iter().find(|hold| matches!(hold.name.as_str(), "retry_after" | "paused")) {
            Some(hold) => Err(Refusal::Stopped(format!("{sync}: {}", hold.needs), hold.hint)),
            None => Ok(()),
        }
    }
}

fn stopped_runs() -> Refusal {
    let hint = "`mingle restart` accepts runs again";
    Refusal::Stopped("all runs are stopped, and a plan asks the remote too".into(), Some(hint.into()))
}

/// Whether the remote of a sync is not asked, but tells: what it does then is not ours to hold back.
fn tells(config: &Config, means: &Means, sync: &str) -> bool {
    let settings = config.syncs.get(sync).and_then(|sync| config.remotes.get(&sync.remote));
    settings.and_then(|settings| remotes::look(settings, &means.config_dir).ok()).is_some_and(|seen| seen.abilities.tells)
}

fn cast(config: &Config, means: &Means, sync: &str) -> Option<Cast> {
    let settings = config.remotes.get(&config.syncs.get(sync)?.remote)?;
    let held = Arc::new(Held::new(limits::PLANNED_REQUEST_BYTES_MAX, &settings.auth));
    let means = Means { http: means.http.holding(Arc::clone(&held)), ..means.clone() };
    let known = boot::syncs(config, &means).remove(sync)?;
    // What cannot be looked at cannot be opened either, and the plan says why.
    let together = remotes::look(settings, &means.config_dir).map_or(1, |seen| seen.abilities.batch_max);
    Some(Cast { known, held, together })
}
