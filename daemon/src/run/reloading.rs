//! Owns: putting a configuration in force that was read again, one at a time. Must never know: what changed in it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use mingle_core::{
    ask::{Redefine, Refusal, Reloaded},
    engine::Event,
};

use super::{Letter, Office, RedefineAsked, ReloadAsked};
use crate::{
    clock,
    config::Config,
    house::Setup,
    reload::{self, Again, Before, Prepared},
};

/// Reloads that are asked for: one is under way, and all that come meanwhile are one more. What apps define is one reload each, in turn.
#[derive(Default)]
pub(super) struct Reloads {
    under_way: Option<UnderWay>,
    next: Option<Vec<ReloadAsked>>,
    changes: VecDeque<(Redefine, RedefineAsked)>,
    accounts: Option<Vec<ReloadAsked>>,
}

/// Who waits for the one that is under way.
enum UnderWay {
    Reload(Vec<ReloadAsked>),
    Redefine(RedefineAsked),
    Accounts(Vec<ReloadAsked>),
}

/// Past this many that wait for a reload, or to define something, the next is told `busy`.
const ASKED_MAX: usize = 64;

impl Office {
    /// Somebody asks for a reload.
    pub(super) fn reload(&mut self, asked: Option<ReloadAsked>) {
        if self.reloads.under_way.is_none() {
            self.reloads.under_way = Some(UnderWay::Reload(asked.into_iter().collect()));
            return self.read_again(Again::Files);
        }
        Self::wait(&mut self.reloads.next, asked);
    }

    /// Whose the logins of remotes are is looked at again.
    pub(super) fn accounts(&mut self, asked: Option<ReloadAsked>) {
        if self.reloads.under_way.is_none() {
            self.reloads.under_way = Some(UnderWay::Accounts(asked.into_iter().collect()));
            return self.read_again(Again::Accounts);
        }
        Self::wait(&mut self.reloads.accounts, asked);
    }

    /// For the next one, with all who wait for it.
    fn wait(next: &mut Option<Vec<ReloadAsked>>, asked: Option<ReloadAsked>) {
        let waiting = next.get_or_insert_default();
        match asked {
            Some(asked) if waiting.len() >= ASKED_MAX => {
                let _ = asked.send(Err(Refusal::Busy(Duration::from_secs(1))));
            }
            Some(asked) => waiting.push(asked),
            None => {}
        }
    }

    /// An app changes the syncs that apps define.
    pub(super) fn redefine(&mut self, change: Redefine, asked: RedefineAsked) {
        if self.reloads.under_way.is_none() {
            self.reloads.under_way = Some(UnderWay::Redefine(asked));
            self.read_again(Again::Change(change));
        } else if self.reloads.changes.len() >= ASKED_MAX {
            // Whoever asked may be gone.
            let _ = asked.send(Err(Refusal::Busy(Duration::from_secs(1))));
        } else {
            self.reloads.changes.push_back((change, asked));
        }
    }

    /// Reads beside the loop: a slow disk must not hold up a run.
    fn read_again(&mut self, again: Again) {
        let before = Before {
            config: Arc::clone(&self.config),
            syncs: self.syncs.clone(),
            means: self.means.clone(),
            store: self.store.clone(),
            host: clock::host(),
        };
        let inbox = self.inbox.clone();
        self.tasks.spawn(async move {
            let reading = tokio::task::spawn_blocking(move || reload::prepare(&before, &again, clock::now()));
            let prepared = match reading.await {
                Ok(prepared) => prepared,
                Err(error) => Err(Refusal::Internal(format!("reading the configuration again: {error}"))),
            };
            let _ = inbox.send(Letter::Reloaded(Box::new(prepared))).await;
        });
    }

    /// The files were read: what is good is put in force, what is not leaves everything as it was.
    pub(super) fn reloaded(&mut self, prepared: Result<Prepared, Refusal>) {
        let redefines = matches!(self.reloads.under_way, Some(UnderWay::Redefine(_)));
        let redefined = prepared.as_ref().ok().and_then(|prepared| prepared.redefined);
        let accounts = matches!(self.reloads.under_way, Some(UnderWay::Accounts(_)));
        let answer = prepared.map(|prepared| self.put_in_force(prepared, accounts));
        match &answer {
            // Nothing of the files was read.
            Ok(_) if accounts => {}
            Ok(reloaded) => {
                self.house.notices().is_over("config", "config.toml");
                tracing::info!(applied = ?reloaded.applied, after_restart = ?reloaded.after_restart, "the configuration was read again");
                for (sync, pending) in &reloaded.orphaned {
                    tracing::warn!(sync, pending, "a sync is gone while changes waited; what it knows of the remote is kept");
                }
            }
            // What an app asked for in vain concerns nobody else.
            Err(_) if redefines => {}
            Err(Refusal::Invalid(what, hint)) => {
                let hint = format!("{what}: {}", hint.as_deref().unwrap_or_default());
                tracing::warn!("{hint}");
                self.house.notices().stands("config", "config.toml", hint);
            }
            Err(refusal) => tracing::error!(?refusal, "the configuration was not read again"),
        }
        // Whoever asked may be gone.
        match self.reloads.under_way.take() {
            Some(UnderWay::Reload(waiting) | UnderWay::Accounts(waiting)) => waiting.into_iter().for_each(|asked| {
                let _ = asked.send(answer.clone());
            }),
            Some(UnderWay::Redefine(asked)) => {
                let none = || Refusal::Internal("a change that came to nothing".into());
                let _ = asked.send(answer.and_then(|_| redefined.ok_or_else(none)));
            }
            None => {}
        }
        if let Some(next) = self.reloads.accounts.take() {
            self.reloads.under_way = Some(UnderWay::Accounts(next));
            self.read_again(Again::Accounts);
        } else if let Some((change, asked)) = self.reloads.changes.pop_front() {
            self.redefine(change, asked);
        } else if let Some(next) = self.reloads.next.take() {
            self.reloads.under_way = Some(UnderWay::Reload(next));
            self.read_again(Again::Files);
        }
    }

    /// People are told of syncs that are gone while changes waited.
    pub(super) fn tell_orphaned(&self, orphaned: &[(String, u64)]) {
        for (sync, pending) in orphaned {
            let hint = format!(
                "{pending} changes wait for a place that no sync of the configuration speaks with any more; defined again as it was, it sends them"
            );
            self.house.notices().stands("orphaned", sync, hint);
        }
    }

    /// People are told of syncs that apps defined and that cannot be as things are.
    pub(super) fn tell_left_out(&self, left_out: &[(String, String)]) {
        let notices = self.house.notices();
        notices.only("definition", &left_out.iter().map(|(sync, _)| sync.as_str()).collect::<Vec<_>>());
        for (sync, what) in left_out {
            let hint = format!(
                "it was defined by an app, and cannot be as the configuration is: {what}; `mingle undefine {sync}` takes it out"
            );
            notices.stands("definition", sync, hint);
        }
    }

    /// `accounts`: nothing but whose logins they are was read.
    fn put_in_force(&mut self, prepared: Prepared, accounts: bool) -> Reloaded {
        let Prepared { config, syncs, defined, remotes, reloaded, left_out, .. } = prepared;
        // What is read once stays as it was read: the next reload is held against what is in force.
        let config = Config { store: self.config.store.clone(), status: self.config.status.clone(), ..config };
        self.weather.watched.give(config.conditions);
        self.config = Arc::new(config);
        self.means.workers.keep(&self.config.remotes);
        self.syncs = syncs;
        self.diary.only(&self.syncs);
        let number = self.setup.borrow().number + 1;
        self.setup.send_replace(Arc::new(Setup::new(number, Arc::clone(&self.config), &self.means)));
        self.listen_for_what_is_sent();
        // What is new starts by the conditions that came with it.
        self.handle(Event::Conditions(self.weather.now()));
        self.offers_changed();
        self.handle(Event::Defined(defined));
        for remote in remotes {
            self.handle(Event::LoginChanged(remote));
        }
        self.ring_for_crons();
        if self.alarm.zones_changed() {
            self.zones_changed();
        }
        self.board.send_replace(Arc::new(self.engine.copy()));
        if accounts {
            return reloaded;
        }
        let notices = self.house.notices();
        self.tell_left_out(&left_out);
        self.tell_orphaned(&reloaded.orphaned);
        // What came back is no orphan.
        let still = |sync: &str| reloaded.orphaned.iter().any(|(one, _)| one == sync);
        for sync in notices.about("orphaned").iter().filter(|sync| self.syncs.contains_key(sync.as_str()) && !still(sync)) {
            notices.is_over("orphaned", sync);
        }
        notices.only("restart_needed", &reloaded.after_restart.iter().map(String::as_str).collect::<Vec<_>>());
        for key in &reloaded.after_restart {
            notices.stands(
                "restart_needed",
                key,
                format!("{key} is another in the configuration, and holds after a new start of mingled"),
            );
        }
        self.house.granted_anew();
        reloaded
    }
}
