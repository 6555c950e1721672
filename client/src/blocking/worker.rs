//! Owns: an offer to work over a connection of its own, and its way to a new one. Must never know: what the work is.

use mingle_proto::{
    Raw,
    call::{WorkerDone, WorkerOffer},
};

use super::{Client, HELLO_WITHIN, Line, SubscribeError, read, reopen};
use crate::{CallError, Options, work::Work};

/// An offer to work: it is called as long as this is there. Where the daemon goes away, with [`Options::reconnect_within`] the offer is made
/// again.
#[derive(Debug)]
pub struct Worker {
    line: Line,
    options: Options,
    ask: WorkerOffer,
    remotes: Vec<String>,
}

impl Worker {
    pub(super) fn open(options: &Options, remotes: Option<Vec<String>>) -> Result<Self, SubscribeError> {
        let ask = WorkerOffer { remotes };
        let (line, remotes) = offered(Client::open(options)?, &ask)?;
        Ok(Self { line, options: options.clone(), ask, remotes })
    }

    /// The remotes that the offer was for when it was made.
    #[must_use]
    pub fn remotes(&self) -> &[String] {
        &self.remotes
    }

    /// Waits for the next work.
    ///
    /// # Errors
    /// [`CallError`]: the connection is lost, and there is no other in time.
    pub fn next_work(&mut self) -> Result<Work, CallError> {
        loop {
            if let Some(work) = self.line.works.take() {
                return Ok(work);
            }
            let heard = match &self.line.broken {
                Some(why) => Err(CallError::Lost { why: why.clone(), op: None }),
                None => self.line.heard(None),
            };
            match (heard, self.options.reconnect_within) {
                (Ok(heard), _) => self.line.works.hear(heard),
                (Err(error), Some(patience)) if error.is_lost() => {
                    let client =
                        reopen(&self.options, patience).map_err(|error| CallError::Lost { why: error.to_string(), op: None })?;
                    (self.line, self.remotes) = offered(client, &self.ask)?;
                }
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Hands over the next batch of a work: records `{id, data}` and deletes `{id, deleted: true}`, up to 500. Once this returns they are in
    /// the truth, and `checkpoint` is what the next work has.
    ///
    /// # Errors
    /// [`CallError`]: refused (then the work is over; `wrong_state`: it was before), or lost with the connection, and the work with it.
    pub fn batch(&mut self, work: &mut Work, rows: Vec<Raw>, checkpoint: Option<Raw>) -> Result<(), CallError> {
        let call = work.batch(rows, checkpoint);
        self.line.ask(&call, None).map(drop)
    }

    /// Says how a work came out: [`Work::done`], [`Work::failed`].
    ///
    /// # Errors
    /// [`CallError`]: refused (`wrong_state`: it was over before), or lost.
    #[expect(clippy::needless_pass_by_value, reason = "it is said once")]
    pub fn ends(&mut self, done: WorkerDone) -> Result<(), CallError> {
        self.line.ask(&done, None).map(drop)
    }
}

/// Makes the offer; for which remotes it is.
fn offered(mut client: Client, ask: &WorkerOffer) -> Result<(Line, Vec<String>), CallError> {
    let answer = client.line.ask(ask, Some(HELLO_WITHIN))?;
    let remotes = read::<WorkerOffer>(&answer)?.remotes;
    Ok((client.line, remotes))
}
