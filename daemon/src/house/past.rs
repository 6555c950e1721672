//! Owns: taking changes back, from the question to the write, and what else is asked of a long past. Must never know: the wire, which
//! changes the ledger has.

use mingle_core::{
    ask::{Refusal, Replayed, Undo, UndoPage, Undone, Which, Writer},
    policy::Merge,
};

use super::House;
use crate::{
    clock::Stopwatch,
    ipc::door::Later,
    store::{self, undo},
};

impl House {
    /// What an undo would do. The ledger may be long, so it is not read on a thread that serves apps.
    pub(super) fn would_undo(&self, asked: Undo) -> Later<UndoPage> {
        self.aside(move |house| house.read(|reader| undo::preview(reader, &asked)))
    }

    /// Looks up which changes are meant, then writes; what changed in between is met as it is then.
    pub(super) fn take_back(&self, writer: Writer, asked: Undo) -> Later<Undone> {
        let (house, looked) = (self.clone(), asked.clone());
        let chosen = self.aside(move |house| house.read(|reader| undo::choose(reader, &looked)));
        Box::pin(async move {
            let chosen = chosen.await?;
            house.decide(move |tx| undo::undo(tx, &writer, &asked, &chosen)).await
        })
    }

    /// Conflicts under another rule. Texts that are merged again take their time, too much for a thread that serves apps.
    pub(super) fn conflicts_aside(&self, which: Which, rule: Merge) -> Later<Replayed> {
        self.aside(move |house| {
            let watch = Stopwatch::start();
            house.read(|reader| store::conflicts_under(reader, &which, rule, || watch.elapsed()))
        })
    }

    /// A read that may take long, on a thread of its own.
    pub(super) fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static) -> Later<T> {
        let house = self.clone();
        let work = tokio::task::spawn_blocking(move || work(&house));
        Box::pin(async move { work.await.map_err(|error| Refusal::Internal(format!("a long read ended badly: {error}")))? })
    }
}
