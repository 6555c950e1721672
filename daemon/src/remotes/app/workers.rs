//! Owns: which apps offer to do work, and the work that is under way with each. In memory: an offer ends with its connection, and so with
//! this process. Must never know: the wire, what a batch holds, when work is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::{
    ask::Refusal,
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
    work::{Batch, Batches, Called, OVER, Said, Task},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{super::Place, started::Started};

/// Every offer, and every work that is under way.
pub struct Workers {
    inside: Mutex<Inside>,
    /// Changes whenever offers do.
    offers: watch::Sender<u64>,
    began: Timestamp,
    /// The apps that we started.
    pub(super) started: Started,
}

#[derive(Default)]
struct Inside {
    /// By connection: each has one offer.
    offers: BTreeMap<u64, Offer>,
    works: BTreeMap<String, UnderWay>,
    /// Offers and works so far.
    number: u64,
}

struct Offer {
    app: String,
    /// The remotes that were named; none: all of the app's.
    named: Option<BTreeSet<String>>,
    /// The last one is called.
    number: u64,
    to: mpsc::Sender<Called>,
}

impl Offer {
    fn is_for(&self, app: &str, remote: &str) -> bool {
        self.app == app && self.named.as_ref().is_none_or(|named| named.contains(remote))
    }
}

struct UnderWay {
    connection: u64,
    batches: Batches,
    to: mpsc::Sender<Called>,
    heard: mpsc::Sender<Heard>,
}

/// What comes of a work.
pub(super) enum Heard {
    /// Some of what it brings.
    Batch {
        /// Each as JSON.
        rows: Vec<String>,
        /// As JSON.
        checkpoint: Option<String>,
        /// Answered once it is applied, or is not to be; dropped: it is not applied.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// A batch was refused: why.
    Refused(String),
    /// Its end.
    Done(Said),
}

/// What an app is asked for.
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    pub(super) resource: &'a str,
    pub(super) checkpoint: Option<String>,
}

/// A work that an app does, for the run that asked for it. Dropped before its end, the app is told to stop.
pub(super) struct Handle {
    work: String,
    workers: Arc<Workers>,
    heard: mpsc::Receiver<Heard>,
}

impl Handle {
    /// What comes next; none: the app is gone. Dropped, it loses nothing.
    pub(super) async fn heard(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(one) = self.workers.inside().works.remove(&self.work) {
            // Who does not hear of it has its next batch refused.
            let _ = one.to.try_send(Called::Stop(self.work.clone()));
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::new(Timestamp::default(), None)
    }
}

impl Workers {
    /// Without any offer. `began` makes the names of works those of this process; `socket`: where apps that are started find us.
    #[must_use]
    pub fn new(began: Timestamp, socket: Option<PathBuf>) -> Self {
        Self { inside: Mutex::default(), offers: watch::Sender::new(0), began, started: Started::new(socket) }
    }

    /// Changes whenever offers do.
    #[must_use]
    pub fn offers(&self) -> watch::Receiver<u64> {
        self.offers.subscribe()
    }

    /// An app does this work from now on; what it offered before by this connection, no more. Of several offers the last is called, and the
    /// one before it again when that is gone: an app may be started anew beside one that hangs.
    pub fn offer(&self, connection: u64, app: &str, named: Option<Vec<String>>, to: mpsc::Sender<Called>) {
        {
            let mut inside = self.inside();
            inside.number += 1;
            let offer =
                Offer { app: app.into(), named: named.map(|names| names.into_iter().collect()), number: inside.number, to };
            inside.offers.insert(connection, offer);
        }
        self.offers.send_modify(|number| *number += 1);
    }

    /// A connection is gone, with what it did.
    pub fn leave(&self, connection: u64) {
        {
            let mut inside = self.inside();
            inside.offers.remove(&connection);
            inside.works.retain(|_, one| one.connection != connection);
        }
        self.offers.send_modify(|number| *number += 1);
    }

    /// Whether an app offers to do the work of a remote.
    #[must_use]
    pub fn has(&self, app: &str, remote: &str) -> bool {
        self.inside().offers.values().any(|offer| offer.is_for(app, remote))
    }

    /// Calls an app; none: it does not offer.
    pub(super) fn call(self: &Arc<Self>, app: &str, asked: &Asked<'_>) -> Result<Option<Handle>, RemoteError> {
        let Asked { place, resource, checkpoint } = asked;
        let mut inside = self.inside();
        let offers = inside.offers.iter().filter(|(_, offer)| offer.is_for(app, &place.remote));
        let Some((connection, to)) =
            offers.max_by_key(|(_, offer)| offer.number).map(|(connection, offer)| (*connection, offer.to.clone()))
        else {
            return Ok(None);
        };
        inside.number += 1;
        let work = format!("k-{:x}-{}", self.began.unix_ms(), inside.number);
        let task = Task {
            work: work.clone(),
            sync: place.sync.clone(),
            remote: place.remote.clone(),
            resource: (*resource).to_owned(),
            checkpoint: checkpoint.clone(),
            deadline: place.deadline,
        };
        if to.try_send(Called::Begin(task)).is_err() {
            let what = format!("app {app} takes no call: it has not read {} that came before", limits::WORK_CALLS_MAX);
            return Err(RemoteError::new(Failure::Broken, what).hint("it hangs, or is going: start it anew"));
        }
        // Beside the batches there is always room for the end.
        let (sender, heard) = mpsc::channel(limits::WORK_BATCHES_MAX + 2);
        inside.works.insert(work.clone(), UnderWay { connection, batches: Batches::default(), to, heard: sender });
        drop(inside);
        Ok(Some(Handle { work, workers: Arc::clone(self), heard }))
    }

    /// Takes a batch, to be applied.
    ///
    /// # Errors
    /// What is wrong with it. Then no other of its work is taken.
    pub fn batch(&self, connection: u64, batch: Batch) -> Result<oneshot::Receiver<Result<(), Refusal>>, Refusal> {
        let Batch { work, number, rows, checkpoint } = batch;
        let mut inside = self.inside();
        let one = of(&mut inside.works, &work, connection)?;
        let waiting = one.heard.max_capacity() - one.heard.capacity();
        let was_over = one.batches.is_over();
        if let Err(refusal) = one.batches.take(number, rows.len(), waiting) {
            if !was_over {
                let _ = one.heard.try_send(Heard::Refused(words(&refusal)));
            }
            return Err(refusal);
        }
        let (answer, answered) = oneshot::channel();
        one.heard.try_send(Heard::Batch { rows, checkpoint, answer }).map_err(|_| over(&work))?;
        Ok(answered)
    }

    /// Takes the end of a work.
    ///
    /// # Errors
    /// It is over already, or is no work of this connection.
    pub fn done(&self, connection: u64, work: &str, said: Said) -> Result<(), Refusal> {
        let mut inside = self.inside();
        let one = of(&mut inside.works, work, connection)?;
        if one.batches.is_over() {
            return Err(over(work));
        }
        one.heard.try_send(Heard::Done(said)).map_err(|_| over(work))?;
        inside.works.remove(work);
        Ok(())
    }

    /// Ends the apps that we started, and waits for them a little: we end.
    pub async fn close(&self) {
        self.started.close().await;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(works: &'a mut BTreeMap<String, UnderWay>, work: &str, connection: u64) -> Result<&'a mut UnderWay, Refusal> {
    works.get_mut(work).filter(|one| one.connection == connection).ok_or_else(|| over(work))
}

/// It was ended here (a stop, a deadline, an error), or never was.
pub(super) fn over(work: &str) -> Refusal {
    Refusal::WrongState(format!("{work:?} is no work under way of this connection"), Some(OVER.into()))
}

fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Invalid(what, _) | Refusal::TooLarge(what) | Refusal::WrongState(what, _) => what.clone(),
        other => format!("{other:?}"),
    }
}
