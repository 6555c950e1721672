//! Owns: doing what a run asks for: each effect ends in exactly one event, also when it panics. Must never know: why it is asked for.
//!
//! The simulation calls [`perform`] with a store in memory and fake remotes: nothing here is done a second time for tests.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    FutureExt, StreamExt,
    stream::{self, FuturesUnordered},
};
use mingle_core::{
    ask::{Refusal, Trouble},
    budget::Class,
    engine::Mark,
    limits,
    replica::{Action, Answer, Errand, Failure, RemoteError},
    run::{Counts, Effect, Event, Order},
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use crate::{
    remotes::{Pending, Remote, budget::By, kept::Kept, meter::Meter, wrap},
    store::{
        self, Store, StoreError, answers, marks, moments,
        sync::{self, Ground, SyncSpec},
    },
};

/// Opens the remote of a sync: fetches its secret, makes a connection. Called anew for each run.
pub trait Opener: Send + Sync {
    /// The remote, ready to be greeted; what is asked of it is asked for `by`.
    fn open(&self, by: By) -> Pending<'_, Result<Arc<dyn Remote>, RemoteError>>;
}

/// Begins the measure of one transaction; what it returns says when that has been long enough.
pub type Pace = dyn Fn() -> Box<dyn FnMut() -> bool + Send> + Send + Sync;

/// What one run stands on while it goes.
pub struct Site {
    store: Store,
    spec: Arc<SyncSpec>,
    order: Order,
    opener: Arc<dyn Opener>,
    /// Cancelled: whatever is under way at the remote ends at once.
    hurry: CancellationToken,
    found: Mutex<FoundSoFar>,
    pace: Arc<Pace>,
    /// What is asked of the remote.
    meter: Arc<Meter>,
    /// Answers that are kept: those of before, and those that it brings.
    kept: Arc<Kept>,
    /// Of each page that was listed, the rows that are not applied yet; the oldest first.
    pages: Mutex<VecDeque<usize>>,
}

#[derive(Default, Clone)]
struct FoundSoFar {
    remote: Option<Arc<dyn Remote>>,
    epoch: String,
    /// The store was copied, for a reset that is to begin.
    kept: Option<sync::Kept>,
    ground: Option<Arc<Ground>>,
}

impl Site {
    /// For one run. `pace`: how long one of its transactions may be.
    #[must_use]
    pub fn new(store: Store, spec: Arc<SyncSpec>, order: Order, opener: Arc<dyn Opener>, pace: Arc<Pace>) -> Self {
        let (hurry, found, meter, kept) = (CancellationToken::new(), Mutex::default(), Arc::default(), Arc::default());
        Self { store, spec, order, opener, hurry, found, pace, meter, kept, pages: Mutex::default() }
    }

    /// Ends what is under way at the remote. The effect's own event tells how far it came.
    pub fn hurry(&self) {
        self.hurry.cancel();
    }

    fn found(&self) -> FoundSoFar {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many rows were listed (none: of no page), or applied.
    fn rows(&self, listed: Option<usize>, applied: usize) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        // A page without rows is applied as well: with its position.
        pages.extend(listed.map(|rows| rows.max(1)));
        if let Some(first) = pages.front_mut() {
            *first = first.saturating_sub(applied);
        }
        while pages.front() == Some(&0) {
            pages.pop_front();
            if let Some(remote) = self.found().remote {
                remote.page_is_applied();
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut FoundSoFar)) {
        change(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Does one effect. [`Effect::Hurry`] ends in no event of its own: it is [`Site::hurry`].
pub async fn perform(site: Arc<Site>, effect: Effect, now: Timestamp) -> Event {
    let remote_side = matches!(effect, Effect::Open | Effect::Fetch { .. } | Effect::Ask { .. } | Effect::Send { .. });
    let shape = Shape::of(&effect);
    let done = AssertUnwindSafe(one(&site, effect, now)).catch_unwind().await;
    match done {
        Ok(event) => event,
        Err(_) if remote_side => shape.panicked(),
        Err(_) => Event::StoreFailed(Trouble {
            name: "internal".into(),
            what: "a part of the run panicked".into(),
            hint: Some("the log has the place; please report it".into()),
        }),
    }
}

/// Which event an effect on the remote's side ends in when it panics.
enum Shape {
    Open,
    Fetch,
    Ask,
    Send(Vec<i64>),
    Store,
}

impl Shape {
    fn of(effect: &Effect) -> Self {
        match effect {
            Effect::Open => Self::Open,
            Effect::Fetch { .. } => Self::Fetch,
            Effect::Ask { .. } => Self::Ask,
            Effect::Send { errands } => Self::Send(errands.iter().map(|errand| errand.link).collect()),
            _ => Self::Store,
        }
    }

    fn panicked(self) -> Event {
        let error = RemoteError::new(Failure::Nonsense, "a part of the run panicked at what the remote sent");
        match self {
            Self::Open | Self::Store => Event::Opened(Err(error)),
            Self::Fetch => Event::Page(Err(error)),
            Self::Ask => Event::Asked { asked: Vec::new(), failed: Some(error) },
            Self::Send(links) => Event::Sent(links.into_iter().map(|link| (link, Answer::Unknown(error.clone()))).collect()),
        }
    }
}

fn stopped() -> RemoteError {
    RemoteError::new(Failure::Stopped, "stopped")
}

fn trouble(error: StoreError) -> Event {
    tracing::warn!(%error, "a run's work in the store failed");
    let hint = match &error {
        StoreError::Full => Some("free some space; the sync goes on by itself"),
        StoreError::NoRoom { .. } => Some("nothing was changed; free so much there, and the next try goes on"),
        _ => None,
    };
    let what = error.to_string();
    let name = match Refusal::from(error) {
        Refusal::DiskFull(_) => Trouble::DISK_FULL,
        Refusal::Busy(_) => "busy",
        Refusal::ReadOnly(_) | Refusal::Shut(..) => Trouble::READ_ONLY,
        Refusal::Unknown(_) => "outcome_unknown",
        _ => "internal",
    };
    Event::StoreFailed(Trouble { name: name.into(), what, hint: hint.map(str::to_owned) })
}

async fn one(site: &Arc<Site>, effect: Effect, now: Timestamp) -> Event {
    match effect {
        Effect::Hurry => Event::Start,
        Effect::Open => Event::Opened(open(site, now).await),
        Effect::Fetch { from, page, rows } => {
            let Some(remote) = site.found().remote else { return Event::Page(Err(stopped())) };
            #[cfg(feature = "planted")]
            let unchanged = site.meter.so_far().not_modified;
            let listed = until_hurried(site, remote.list(&from, page.as_deref(), rows)).await;
            #[cfg(feature = "planted")]
            let listed = kept::too_early(site, unchanged, listed, now).await;
            if let Some(Ok(page)) = &listed {
                site.meter.received(page.told);
                site.rows(Some(page.rows.len()), 0);
            }
            Event::Page(listed.unwrap_or_else(|| Err(stopped())))
        }
        Effect::Ask { remote_ids } => ask(site, remote_ids).await,
        Effect::Send { errands } => Event::Sent(send(site, errands).await),
        other => match in_store(site, other, now).await {
            Ok(event) => event,
            Err(error) => trouble(error),
        },
    }
}

async fn until_hurried<T>(site: &Site, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = site.hurry.cancelled() => None,
        done = work => Some(done),
    }
}

async fn open(site: &Site, now: Timestamp) -> Result<(), RemoteError> {
    kept::take_up(site);
    let work = async {
        let class = if site.order.person { Class::Interactive } else { Class::Background };
        let (meter, kept) = (Arc::clone(&site.meter), Arc::clone(&site.kept));
        let by = By { sync: site.spec.name.as_str().into(), class, meter, kept };
        let remote = site.opener.open(by).await?;
        let greeting = remote.greet().await?;
        Ok((remote, greeting))
    };
    let (remote, greeting) = until_hurried(site, work).await.unwrap_or_else(|| Err(stopped()))?;
    if let Some(theirs) = greeting.server_time {
        let off = theirs.since(now).max(now.since(theirs));
        if off > limits::CLOCKS_APART_MAX {
            let (sync, minutes) = (&*site.spec.name, off.as_secs() / 60);
            tracing::warn!(
                sync,
                minutes,
                "its clock and ours differ: stamps and `newest` compare times that do not mean the same"
            );
        }
    }
    site.note(|found| {
        found.epoch = sync::epoch(&site.spec, &greeting.instance);
        found.remote = Some(remote);
    });
    Ok(())
}

/// Asks for records by id, as many at once as the remote likes, up to the first that fails.
async fn ask(site: &Site, remote_ids: Vec<String>) -> Event {
    let mut asked = Vec::with_capacity(remote_ids.len());
    let Some(remote) = site.found().remote else { return Event::Asked { asked, failed: Some(stopped()) } };
    let at_once = remote.abilities().errands_max.max(1);
    let remote = &remote;
    let mut answers = stream::iter(remote_ids)
        .map(|remote_id| async move {
            let answer = until_hurried(site, remote.get(&remote_id)).await.unwrap_or_else(|| Err(stopped()));
            (remote_id, answer)
        })
        .buffered(at_once);
    while let Some((remote_id, answer)) = answers.next().await {
        match answer {
            Ok(answer) => asked.push((remote_id, answer)),
            Err(error) => return Event::Asked { asked, failed: Some(error) },
        }
    }
    Event::Asked { asked, failed: None }
}

/// Sends errands, as many at once as the remote likes. Once one shows that the others cannot succeed either, those that have not
/// left are not sent.
async fn send(site: &Site, errands: Vec<Errand>) -> Vec<(i64, Answer)> {
    let Some(remote) = site.found().remote else {
        return errands.into_iter().map(|errand| (errand.link, Answer::Unsent(stopped()))).collect();
    };
    let actions: Vec<&Action> = errands.iter().map(|errand| &errand.action).collect();
    let _ = until_hurried(site, remote.look_ahead(&actions)).await;
    let (at_once, together) = (remote.abilities().errands_max.max(1), remote.abilities().batch_max.max(1));
    let mut waiting = VecDeque::from(errands);
    let mut under_way = FuturesUnordered::new();
    let mut answers = Vec::new();
    let mut barred: Option<RemoteError> = None;
    loop {
        if site.hurry.is_cancelled() {
            barred.get_or_insert_with(stopped);
        }
        while barred.is_none() && under_way.len() < at_once {
            let some: Vec<Errand> = waiting.drain(..waiting.len().min(together)).collect();
            if some.is_empty() {
                break;
            }
            let remote = Arc::clone(&remote);
            under_way.push(async move {
                let (links, actions): (Vec<i64>, Vec<Action>) =
                    some.into_iter().map(|errand| (errand.link, errand.action)).unzip();
                let answered = until_hurried(site, wrap::carry(remote.as_ref(), &actions)).await;
                let answered = answered.unwrap_or_else(|| vec![Answer::Unknown(stopped()); links.len()]);
                links.into_iter().zip(answered).collect::<Vec<_>>()
            });
        }
        let Some(answered) = under_way.next().await else { break };
        for (_, answer) in &answered {
            if let Answer::Unsent(error) | Answer::Unknown(error) = answer
                && matches!(error.kind, Failure::Offline | Failure::Throttled(_) | Failure::Budget(_) | Failure::NeedsLogin)
            {
                barred.get_or_insert_with(|| error.clone());
            }
        }
        answers.extend(answered);
    }
    let barred = barred.unwrap_or_else(stopped);
    answers.extend(waiting.into_iter().map(|errand| (errand.link, Answer::Unsent(barred.clone()))));
    answers
}

async fn in_store(site: &Arc<Site>, effect: Effect, now: Timestamp) -> Result<Event, StoreError> {
    let found = site.found();
    let spec = Arc::clone(&site.spec);
    let store = &site.store;
    let ground = || found.ground.clone().ok_or(StoreError::Closed);
    let background = store::Class::Background;
    Ok(match effect {
        Effect::Begin => {
            let order = site.order.clone();
            store.write(background, now, move |tx| sync::begin(tx, &spec.name, &order)).await?;
            Event::Begun
        }
        Effect::Negotiate { accept } => {
            let remote = found.remote.clone().ok_or(StoreError::Closed)?;
            let abilities = Arc::new(remote.abilities().clone());
            let order = site.order.clone();
            let epoch = found.epoch.clone();
            // What was not copied is not accepted: unless a test has planted just that.
            let kept = accept.then(|| found.kept.clone().unwrap_or_default());
            let negotiated =
                store.write(background, now, move |tx| sync::negotiate(tx, &spec, &abilities, &epoch, &order, kept.as_ref()));
            let (ground, terms) = negotiated.await?;
            site.note(|found| found.ground = Some(Arc::new(ground)));
            if terms.asks_anew {
                site.kept.forget_former();
            }
            Event::Negotiated(Box::new(terms))
        }
        Effect::Copy => {
            let mut copy = None;
            if let Some(path) = store.file().map(Path::to_owned) {
                let copied = tokio::task::spawn_blocking(move || Store::keep_before_reset(&path, now)).await;
                copy = Some(copied.map_err(|_| StoreError::Panicked)??.display().to_string());
            }
            site.note(|found| found.kept = Some(sync::Kept(copy)));
            Event::Copied
        }
        Effect::Discard { after, until } => {
            let (ground, run) = (ground()?, site.order.run.clone());
            let write = store.write(background, now, move |tx| {
                let done = sync::reset::discard(tx, &ground, after, until)?;
                let (down, conflicts) = (done.changed, done.conflicts);
                sync::count(tx, &run, &Counts { down, conflicts, ..Counts::default() })?;
                Ok(done)
            });
            let sync::reset::Discarded { after, conflicts, changed } = write.await?;
            Event::Discarded { after, conflicts, changed }
        }
        Effect::Compare { rows } => {
            let (ground, count) = (ground()?, rows.len());
            let compared = store.write(background, now, move |tx| sync::compare(tx.conn(), &ground, &rows)).await?;
            site.rows(None, count.max(1));
            Event::Compared(compared)
        }
        Effect::Apply { rows, asked, pass, at, swaps, resume, deletes_left } => {
            let (ground, run, pace) = (ground()?, site.order.run.clone(), Arc::clone(&site.pace));
            #[cfg(feature = "planted")]
            if mingle_core::planted::is("checkpoint before batch") {
                let (ground, resume) = (Arc::clone(&ground), resume.clone());
                let write = store.write(background, now, move |tx| {
                    let batch = sync::Batch {
                        asked,
                        pass,
                        at: None,
                        swaps: false,
                        resume: resume.as_deref(),
                        deletes_left: mingle_core::run::DeletesLeft::Counted(0),
                    };
                    sync::apply(tx, &ground, Vec::new(), &batch, || false)
                });
                write.await?;
                // A moment in which the process may die.
                tokio::task::yield_now().await;
            }
            let (count, traffic) = (rows.len(), site.meter.so_far());
            let write = store.write(background, now, move |tx| {
                let batch = sync::Batch { asked, pass, at: at.as_deref(), swaps, resume: resume.as_deref(), deletes_left };
                let applied = sync::apply(tx, &ground, rows, &batch, pace())?;
                let (down, conflicts, rejected) = (applied.changed, applied.conflicts, applied.rejected);
                sync::count(tx, &run, &Counts { down, conflicts, rejected, ..Counts::default() })?;
                sync::spent(tx, &run, &traffic)?;
                Ok(applied)
            });
            let applied = write.await?;
            // What was asked for by id is of no page.
            site.rows(None, if asked { 0 } else { count.max(1) - applied.left.len() });
            Event::Applied(applied)
        }
        Effect::Complete { watermark, began } => {
            let (ground, run) = (ground()?, site.order.run.clone());
            let write = store.write(background, now, move |tx| {
                let (rejected, watermark, reset) = sync::complete(tx, &ground, watermark.as_ref(), began)?;
                sync::count(tx, &run, &Counts { rejected, ..Counts::default() })?;
                Ok((rejected, watermark, reset))
            });
            let (rejected, watermark, reset) = write.await?;
            kept::keep(site, now).await;
            Event::Completed { rejected, watermark, reset }
        }
        Effect::Ghosts { pass, deletes_left } => {
            let (ground, run) = (ground()?, site.order.run.clone());
            let write = store.write(background, now, move |tx| {
                let most = sync::deletes_left(tx, &ground, deletes_left, 0)?;
                let (remote_ids, guarded) = sync::ghosts(tx, &ground, pass, most)?;
                sync::count(tx, &run, &Counts { rejected: guarded, ..Counts::default() })?;
                Ok((remote_ids, guarded))
            });
            let (remote_ids, guarded) = write.await?;
            Event::Ghosts { remote_ids, guarded }
        }
        Effect::Plan { after, except } => {
            let (ground, run) = (ground()?, site.order.run.clone());
            let write = store.write(background, now, move |tx| {
                let planned = sync::plan(tx, &ground, after, &except)?;
                sync::count(tx, &run, &Counts { rejected: planned.rejected, ..Counts::default() })?;
                Ok(planned)
            });
            Event::Planned(write.await?)
        }
        Effect::Settle { answers } => {
            let (ground, run, traffic) = (ground()?, site.order.run.clone(), site.meter.so_far());
            let write = store.write(background, now, move |tx| {
                let settled = sync::settle(tx, &ground, &answers)?;
                let (up, down, conflicts, rejected) = (settled.taken, settled.changed, settled.conflicts, settled.rejected);
                sync::count(tx, &run, &Counts { up, down, conflicts, rejected })?;
                sync::spent(tx, &run, &traffic)?;
                Ok(settled)
            });
            Event::Settled(write.await?)
        }
        Effect::Finish(outcome) => {
            let (run, traffic) = (site.order.run.clone(), site.meter.so_far());
            let misled = kept::misled(&outcome, &traffic);
            let write = store.write(background, now, move |tx| {
                if misled {
                    answers::forget(tx, &spec.name)?;
                }
                sync::spent(tx, &run, &traffic)?;
                sync::finish(tx, &run, &spec.name, &outcome)
            });
            Event::Finished { standing: write.await? }
        }
        Effect::Hurry | Effect::Open | Effect::Fetch { .. } | Effect::Ask { .. } | Effect::Send { .. } => Event::Start,
    })
}

/// Writes down what holds over a restart. It is in the store's queue when this returns: of two marks, the later one stays.
///
/// # Errors
/// What the store says.
pub fn write_down(store: &Store, mark: Mark, now: Timestamp) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
    let written = store.write(store::Class::Interactive, now, move |tx| match mark {
        Mark::Stopped { since, by, ended } => marks::set_stopped(tx, Some(&marks::StopMark { since, by, ended })),
        Mark::Running => marks::set_stopped(tx, None),
        Mark::Paused { sync, since, by, ended } => marks::set_paused(tx, &sync, Some((since, by, ended))),
        Mark::Resumed { sync } => marks::set_paused(tx, &sync, None),
        Mark::Next { sync, at } => moments::set_next(tx, &sync, at),
        Mark::Pinged { syncs } => moments::pinged(tx, &syncs),
    });
    async move { written.await.map_err(Refusal::from) }
}

mod kept;
#[cfg(test)]
mod tests;
