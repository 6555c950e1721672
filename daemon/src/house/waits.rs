//! Owns: answers that take their time: until a write is settled, a run has ended, a remote has answered. Must never know: the wire.

use std::time::Duration;

use mingle_core::{
    ask::{RemoteChecked, RunState, RunWaited, Trouble, WaitState, Waited},
    engine::{Answer, Ask, AskId, Event},
    limits,
};
use tokio::sync::mpsc;

use super::{House, described};
use crate::{
    boot, clock,
    ipc::door::Later,
    remotes::{self, budget::By},
    run::Letter,
    store::history,
};

impl House {
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
