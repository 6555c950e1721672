//! Owns: tokio-cron-scheduler at work: a thread with a runtime of its own, so that when it ends nothing of it is left (its own
//! `shutdown` leaves eight tasks behind). Must never know: when anything rings (`table`), what comes of it.

use std::{io, pin::Pin, sync::Arc, thread};

use mingle_core::limits::CRON_CHANNEL;
use tokio::sync::{RwLock, mpsc, oneshot};
use tokio_cron_scheduler::{
    JobCode, JobScheduler, JobSchedulerError, JobToRunAsync, PinnedGetFuture, SimpleNotificationCode, SimpleNotificationStore,
    ToCode,
};
use uuid::Uuid;

use super::{Bell, table::Table};

/// The running scheduler. Dropped: it is told to end, and waited for.
pub(super) struct Ringer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ringer {
    /// Starts it on this table.
    pub(super) fn start(table: Table, bells: mpsc::Sender<Bell>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let run = move || {
            if let Err(error) = runtime.block_on(ring(table, bells, stopped)) {
                tracing::warn!(%error, "the bell of cron expressions is silent; the timer takes its place");
            }
        };
        let thread = thread::Builder::new().name("cron".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Whether it has ended by itself.
    pub(super) fn is_silent(&self) -> bool {
        self.thread.as_ref().is_none_or(thread::JoinHandle::is_finished)
    }
}

impl Drop for Ringer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the bell of cron expressions had panicked; the timer took its place");
        }
    }
}

async fn ring(table: Table, bells: mpsc::Sender<Bell>, stopped: oneshot::Receiver<()>) -> Result<(), JobSchedulerError> {
    let mut scheduler = JobScheduler::new_with_storage_and_code(
        Box::new(table.clone()),
        Box::new(SimpleNotificationStore::default()),
        Box::new(Code::new(table, bells)),
        Box::new(SimpleNotificationCode::default()),
        CRON_CHANNEL,
    )
    .await?;
    scheduler.start().await?;
    // Either way the sender is gone, and that is the message.
    let _ = stopped.await;
    scheduler.shutdown().await
}

/// One code for all rows: it says whose row it was, if there is room, and nothing in it can wait or fail.
struct Code(Arc<RwLock<Box<JobToRunAsync>>>);

impl Code {
    fn new(table: Table, bells: mpsc::Sender<Bell>) -> Self {
        let run = move |id: Uuid, _: JobScheduler| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            if let Some(sync) = table.sync(id) {
                // Full: whoever hears those before looks at the whole board. Closed: nobody listens any more.
                let _ = bells.try_send(Bell::Due(sync));
            }
            Box::pin(std::future::ready(()))
        };
        Self(Arc::new(RwLock::new(Box::new(run))))
    }
}

impl ToCode<Box<JobToRunAsync>> for Code {
    fn init(&mut self, _: &tokio_cron_scheduler::Context) -> Pin<Box<dyn Future<Output = Result<(), JobSchedulerError>> + Send>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn get(&mut self, _: Uuid) -> PinnedGetFuture<Box<JobToRunAsync>> {
        Box::pin(std::future::ready(Ok(Some(self.0.clone()))))
    }
}

impl JobCode for Code {}
