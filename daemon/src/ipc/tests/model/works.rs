//! Owns: what the door to nothing says to apps that offer to do work: it calls each once. Must never know: the wire.

use std::future::ready;

use mingle_core::{
    ask::Refusal,
    work::{Batch, Called, Said, Task},
};
use tokio::sync::mpsc;

use super::Model;
use crate::ipc::door::{Later, Works};

impl Works for Model {
    fn offer_work(
        &self,
        _: u64,
        app: &str,
        remotes: Option<Vec<String>>,
        to: mpsc::Sender<Called>,
    ) -> Result<Vec<String>, Refusal> {
        let task = Task {
            work: "k-1".into(),
            sync: "sheet".into(),
            remote: app.into(),
            resource: "box".into(),
            checkpoint: Some("{\"n\":1.0}".into()),
            deadline: None,
        };
        to.try_send(Called::Begin(task)).unwrap();
        to.try_send(Called::Stop("k-1".into())).unwrap();
        Ok(remotes.unwrap_or_default())
    }

    fn work_batch(&self, _: u64, batch: Batch) -> Later<()> {
        let over = Refusal::WrongState("over".into(), None);
        Box::pin(ready(if batch.work == "k-1" { Ok(()) } else { Err(over) }))
    }

    fn work_done(&self, _: u64, _: &str, _: Said) -> Result<(), Refusal> {
        Ok(())
    }

    fn work_leave(&self, connection: u64) {
        self.leases.lock().unwrap().push(format!("works {connection}"));
    }
}
