//! Owns: answers that take their time: until a write is settled, a run has ended, a remote has answered. Must never know: the wire.

use std::{collections::BTreeSet, time::Duration};

use mingle_core::{
    ask::{Behind, Refusal, RemoteChecked, RunState, RunWaited, SyncState, SyncsWaited, Trouble, WaitState, Waited},
    engine::{Answer, Ask, AskId, Event, Lacks, Standing, Until},
    limits,
};
use tokio::sync::mpsc;

use super::{House, described};
use crate::{
    alarm, boot, clock,
    ipc::door::Later,
    remotes::{self, budget::By},
    run::Letter,
    store::{
        self, UpReplica,
        history::{self, Counts},
        marks,
    },
};

/// Of syncs that are waited for, so many that are not there yet are told, as PROTOCOL.md says; the others are counted.
const BEHIND_TOLD: usize = 100;
/// Between two looks at syncs that are waited for: each counts what waits of every one of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl House {
    /// The replicas that `up` and `both` syncs of a collection serve.
    fn up_replicas(&self, reader: &store::Reader<'_>, collection: &str) -> Vec<UpReplica> {
        let setup = self.setup();
        let several = setup.config.several();
        let syncs = several.of(collection).iter().filter(|(_, sync)| sync.direction.is_up());
        syncs
            .map(|(name, sync)| UpReplica {
                replica: marks::replica(reader, name).ok().flatten(),
                remote: sync.remote.clone(),
                carried: setup.carried.get(&sync.remote).cloned().unwrap_or_default(),
                creates: several.creates(sync),
            })
            .collect()
    }

    pub(super) fn waited(&self, token: &str) -> Result<Waited, Refusal> {
        self.read(|reader| store::waited(reader, token, &|collection| self.up_replicas(reader, collection)))
    }

    /// Until a write is settled at the remotes concerned, or the time is up.
    pub(super) fn until_settled(&self, token: String, timeout: Duration) -> Later<Waited> {
        let first = self.waited(&token);
        let house = self.clone();
        Box::pin(async move {
            let first = first?;
            let settled = async {
                let mut pulse = house.0.store.pulse();
                loop {
                    pulse.borrow_and_update();
                    let now = house.waited(&token)?;
                    // The store is gone: nothing will settle any more.
                    if now.state != WaitState::Pending || pulse.changed().await.is_err() {
                        return Ok(now);
                    }
                }
            };
            if first.state != WaitState::Pending {
                return Ok(first);
            }
            match tokio::time::timeout(timeout, settled).await {
                Ok(settled) => settled,
                Err(_) => house.waited(&token),
            }
        })
    }

    /// Until a run has ended, or the time is up.
    pub(super) fn until_ended(&self, run: String, timeout: Duration) -> Later<RunWaited> {
        let (here, answer) = (self.ask(Ask::HasRun { run: run.clone() }), self.ask(Ask::WaitRun { run: run.clone() }));
        let house = self.clone();
        Box::pin(async move {
            // Whether there is such a run is no matter of patience.
            let (timeout, sync) = match here.await? {
                Answer::Here(sync) => (timeout, Some(sync)),
                _ => (Duration::MAX, None),
            };
            match tokio::time::timeout(timeout, answer).await {
                Err(_) => {
                    // How its sync stands is why it is not over.
                    let shown = sync.and_then(|sync| house.0.board.borrow().clone().one(&sync, clock::now()));
                    Ok(RunWaited { state: RunState::Pending, why: shown.map(|shown| shown.text), remote: None })
                }
                Ok(Ok(Answer::Waited(waited))) => Ok(waited),
                Ok(Ok(_)) => {
                    let row = house.read(|reader| history::one_run(reader, &run))?;
                    Ok(described::ended(&row, house.config().syncs.get(&row.sync)))
                }
                Ok(Err(refusal)) => Err(refusal),
            }
        })
    }

    /// Until these syncs, or all that are not paused, are what is waited for; or nothing but a person helps any of those that are not.
    pub(super) fn until_synced(&self, syncs: Option<Vec<String>>, until: Until, timeout: Duration) -> Later<SyncsWaited> {
        let house = self.clone();
        Box::pin(async move {
            let (mut pulse, mut board) = (house.0.store.pulse(), house.0.board.clone());
            let settled = async {
                loop {
                    pulse.borrow_and_update();
                    board.borrow_and_update();
                    let now = house.behind(syncs.as_deref(), until)?;
                    if now.total == 0 || now.behind.iter().all(|one| one.lacks == Lacks::Person) {
                        return Ok(now);
                    }
                    let gone = tokio::select! {
                        pulse = pulse.changed() => pulse.is_err(),
                        board = board.changed() => board.is_err(),
                    };
                    // The store or the loop is gone: nothing will settle any more.
                    if gone {
                        return Ok(now);
                    }
                    // What comes in a row is looked at once.
                    alarm::pause(BETWEEN_LOOKS).await;
                }
            };
            match tokio::time::timeout(timeout, settled).await {
                Ok(settled) => settled,
                Err(_) => house.behind(syncs.as_deref(), until),
            }
        })
    }

    /// The syncs that are not yet what is waited for.
    fn behind(&self, syncs: Option<&[String]>, until: Until) -> Result<SyncsWaited, Refusal> {
        let (now, board) = (clock::now(), self.0.board.borrow().clone());
        let shown = match syncs {
            None => board.shown(now).into_iter().filter(|shown| shown.state != SyncState::Disabled).collect(),
            Some(syncs) => {
                let mut shown = Vec::new();
                for sync in syncs.iter().collect::<BTreeSet<_>>() {
                    shown.push(board.one(sync, now).ok_or_else(|| described::no_sync(sync, &self.config()))?);
                }
                shown
            }
        };
        let mut waited = SyncsWaited::default();
        for shown in shown {
            let Counts { pending, conflicts, rejections } = self.counts(&shown.sync)?;
            let standing = Standing { pending, conflicts, rejections };
            let Some(lacks) = until.lacks(&shown, standing) else { continue };
            waited.total += 1;
            waited.lacks = waited.lacks.max(Some(lacks));
            // One that a person need not decide is always among those told: it is what the wait goes on for.
            let for_another = lacks != Lacks::Person && waited.behind.iter().all(|one| one.lacks == Lacks::Person);
            if waited.behind.len() < BEHIND_TOLD || for_another {
                let (hold, trouble) = (shown.holds.into_iter().next().filter(|_| shown.run.is_none()), shown.trouble);
                waited.behind.push(Behind { sync: shown.sync.to_string(), state: shown.state, lacks, hold, trouble, standing });
            }
        }
        Ok(waited)
    }

    /// What of a sync waits.
    pub(super) fn counts(&self, sync: &str) -> Result<Counts, Refusal> {
        let config = self.config();
        let sends = config.syncs.get(sync).filter(|sync| sync.direction.is_up());
        let sends = sends.map(|sync| (sync.collection.as_str(), config.several().creates(sync)));
        self.read(|reader| history::counts(reader, sync, sends))
    }

    /// Whether a remote answers, and takes our login.
    pub(super) fn checked(&self, remote: String) -> Later<RemoteChecked> {
        let opening = boot::root(&self.config(), &self.0.means, &remote);
        let config = self.config();
        let missing = described::no_remote(&remote, &config);
        let inbox = self.0.inbox.clone();
        Box::pin(async move {
            let mut opening = opening.ok_or(missing)?;
            opening.means.http = opening.means.http.asked_by(By::person());
            let watch = clock::Stopwatch::start();
            let greeted = async { remotes::open(opening).await?.greet().await };
            let deadline = Duration::from_millis(limits::CHECK_MS_MAX);
            let trouble = match tokio::time::timeout(deadline, greeted).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(Trouble { name: error.kind.name().into(), what: error.what, hint: error.hint }),
                Err(_) => Some(Trouble { name: "broken".into(), what: "it did not answer in time".into(), hint: None }),
            };
            if trouble.is_none() {
                let _ = inbox.try_send(Letter::Event(Event::LoginChanged(remote.as_str().into())));
            }
            Ok(RemoteChecked { remote, took: watch.elapsed(), trouble })
        })
    }
}

/// Tells the loop that nobody waits any more, when the waiting ends in whatever way.
pub(super) struct Forget {
    pub id: AskId,
    pub inbox: mpsc::Sender<Letter>,
}

impl Drop for Forget {
    fn drop(&mut self) {
        // A full inbox: the entry goes with the run it waits for.
        let _ = self.inbox.try_send(Letter::Event(Event::Ask(self.id, Ask::Forget)));
    }
}
