//! Owns: an offer to work over a connection of its own, and its way to a new one. Must never know: what the work is.

use std::future::poll_fn;

use mingle_proto::{
    Raw,
    call::{WorkerDone, WorkerOffer},
};

use super::{SubscribeError, wire::Wire};
use crate::{CallError, Options, work::Work};

/// An offer to work: it is called as long as this is there. Where the daemon goes away, with [`Options::reconnect_within`] the offer is made
/// again.
#[derive(Debug)]
pub struct Worker {
    wire: Wire,
    options: Options,
    ask: WorkerOffer,
    remotes: Vec<String>,
}

impl Worker {
    pub(super) async fn open(options: &Options, remotes: Option<Vec<String>>) -> Result<Self, SubscribeError> {
        let ask = WorkerOffer { remotes };
        let (wire, answer, _) = Wire::open(options, &ask).await?;
        Ok(Self { wire, options: options.clone(), ask, remotes: answer.remotes })
    }

    /// The remotes that the offer was for when it was made.
    #[must_use]
    pub fn remotes(&self) -> &[String] {
        &self.remotes
    }

    /// Waits for the next work. May be dropped and asked again: no call is lost.
    ///
    /// # Errors
    /// [`CallError`]: the connection is lost, and there is no other in time.
    pub async fn next_work(&mut self) -> Result<Work, CallError> {
        loop {
            if let Some(work) = self.wire.works.take() {
                return Ok(work);
            }
            let heard = match self.wire.send().await {
                Ok(()) => poll_fn(|context| self.wire.poll_heard(context)).await,
                Err(error) => Err(error),
            };
            match (heard, self.options.reconnect_within) {
                (Ok(heard), _) => self.wire.works.hear(heard),
                (Err(error), Some(patience)) if error.is_lost() => {
                    let (wire, answer, _) = Wire::again(&self.options, &self.ask, patience).await?;
                    (self.wire, self.remotes) = (wire, answer.remotes);
                }
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Hands over the next batch of a work: records `{id, data}` and deletes `{id, deleted: true}`, up to 500. Once this returns they are in
    /// the truth, and `checkpoint` is what the next work has. Dropped in the middle, it may have been taken: end the work then.
    ///
    /// # Errors
    /// [`CallError`]: refused (then the work is over; `wrong_state`: it was before), or lost with the connection, and the work with it.
    pub async fn batch(&mut self, work: &mut Work, rows: Vec<Raw>, checkpoint: Option<Raw>) -> Result<(), CallError> {
        let call = work.batch(rows, checkpoint);
        self.wire.call(&call, None).await.map(drop)
    }

    /// Says how a work came out: [`Work::done`], [`Work::failed`].
    ///
    /// # Errors
    /// [`CallError`]: refused (`wrong_state`: it was over before), or lost.
    pub async fn ends(&mut self, done: WorkerDone) -> Result<(), CallError> {
        self.wire.call(&done, None).await.map(drop)
    }
}
