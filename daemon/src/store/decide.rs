//! Owns: what a decision about a conflict or a rejection does. Each is a write like any other: with an op, an answer and a token.
//! Must never know: who decides, when the next run is.

mod conflict;
mod rejection;

use mingle_core::ask::{Writer, Written, WrittenOne};

pub use self::{conflict::resolve_conflict, rejection::resolve_rejection};

use super::{
    error::StoreError,
    op,
    tx::{Origin, Tx},
    write,
};

/// Does a decision once: a repeat of a known op returns the first answer. `request` is what was asked, for the op's hash.
fn once(
    tx: &mut Tx<'_>,
    writer: &Writer,
    request: &str,
    work: impl FnOnce(&mut Tx<'_>, &Origin) -> Result<Option<(i64, WrittenOne)>, StoreError>,
) -> Result<Written, StoreError> {
    once_all(tx, writer, request, |tx, origin| Ok(work(tx, origin)?.into_iter().collect()))
}

/// As [`once`], of several records.
pub(super) fn once_all(
    tx: &mut Tx<'_>,
    writer: &Writer,
    request: &str,
    work: impl FnOnce(&mut Tx<'_>, &Origin) -> Result<Vec<(i64, WrittenOne)>, StoreError>,
) -> Result<Written, StoreError> {
    write::check_instance(tx, writer)?;
    let hash = *blake3::hash(request.as_bytes()).as_bytes();
    if let Some(op) = &writer.op {
        op::check(op)?;
        if let Some(answer) = op::seen(tx, &writer.app, op, &hash)? {
            return Ok(answer);
        }
    }
    let first = tx.seq() + 1;
    let done = work(tx, &Origin::App(writer.app.clone()))?;
    let (records, writes) = done.into_iter().map(|(record, one)| ((record, one.seq), one)).unzip();
    let written = write::answer(tx, writer, writes, records, first);
    op::keep(tx, writer, &hash, &written)?;
    Ok(written)
}

#[cfg(test)]
mod tests;
