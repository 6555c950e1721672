//! Owns: work that apps do, between core words and wire words. Must never know: what becomes of it.

use std::time::Duration;

use mingle_core::work::{Batch, Said, Task};
use mingle_proto::{Error, Raw, call, event};
use serde_json::value::RawValue;

use super::{invalid, ms};

/// `work`.
pub(in crate::ipc) fn work(task: Task) -> serde_json::Result<event::Work> {
    let Task { work, sync, remote, resource, checkpoint, deadline } = task;
    let checkpoint = checkpoint.map(RawValue::from_string).transpose()?.unwrap_or_default();
    Ok(event::Work { work, sync, remote, resource, checkpoint, deadline_ms: deadline.map(ms) })
}

/// `worker.batch`.
pub(in crate::ipc) fn batch(batch: call::WorkerBatch) -> Batch {
    let call::WorkerBatch { work, batch: number, rows, checkpoint } = batch;
    let text = |raw: Raw| raw.get().to_owned();
    Batch { work, number, rows: rows.into_iter().map(text).collect(), checkpoint: checkpoint.map(text) }
}

/// What `worker.done` says of which work.
pub(in crate::ipc) fn said(done: call::WorkerDone) -> Result<(String, Said), Error> {
    let call::WorkerDone { work, result, error, retry_after_ms } = done;
    let failed = result == call::RunResult::Failed;
    if !failed && (error.is_some() || retry_after_ms.is_some()) {
        return Err(invalid("error and retry_after_ms are for work that failed", "result: failed, or leave them out"));
    }
    let said = match result {
        call::RunResult::NewData => Said::NewData,
        call::RunResult::NoNewData => Said::NoNewData,
        call::RunResult::Unknown => {
            return Err(invalid("no such result", "new_data, no_new_data or failed"));
        }
        call::RunResult::Failed => Said::Failed { why: error, retry_after: retry_after_ms.map(Duration::from_millis) },
    };
    Ok((work, said))
}
