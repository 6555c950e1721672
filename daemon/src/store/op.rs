//! Owns: operation ids: a repeat of a write gets the first answer. Must never know: what the write was.

use mingle_core::{
    ask::{Refusal, Writer, Written, WrittenOne},
    planted,
};
use rusqlite::OptionalExtension;

use super::{error::StoreError, ids, limits, tx::Tx};

/// A request's hash: over its canonical form, so that the same request written otherwise is the same.
pub(super) type Hash = [u8; 32];

/// Checks an op that an app gave.
pub(super) fn check(op: &str) -> Result<(), Refusal> {
    if op.is_empty() || op.len() > limits::OP_BYTES_MAX || op.chars().any(char::is_control) {
        return Err(Refusal::Invalid(
            format!("op must have 1 to {} bytes and no control characters", limits::OP_BYTES_MAX),
            Some("a UUIDv7 is best: it is protected for ever".into()),
        ));
    }
    Ok(())
}

/// The answer this op got, where it was used; none: go on, the op is new.
///
/// Refused: an op of another request (`op_reused`), and a UUIDv7 older than answers are kept: whether it was done cannot be told
/// any more, so it is not done (`stale`).
pub(super) fn seen(tx: &Tx<'_>, app: &str, op: &str, hash: &Hash) -> Result<Option<Written>, StoreError> {
    let mut statement = tx.conn.prepare_cached("SELECT hash, answer FROM m_op WHERE app = ?1 AND op = ?2")?;
    let found: Option<(Vec<u8>, String)> = statement.query_row((app, op), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        Some((before, answer)) if before == hash => Ok(Some(read(&answer, op)?)),
        Some(_) => {
            Err(Refusal::OpReused(format!("op {op:?} was used for another request; make a new one for each write")).into())
        }
        None => match ids::moment_of(op) {
            Some(made) if tx.now.since(made) > limits::OP_KEPT => Err(Refusal::Stale(
                "the op is older than 24 h and not known: whether it was done before cannot be told; read, then write anew"
                    .into(),
                None,
            )
            .into()),
            _ => Ok(None),
        },
    }
}

/// Keeps the answer, in the transaction of the write itself.
pub(super) fn keep(tx: &Tx<'_>, writer: &Writer, hash: &Hash, written: &Written) -> Result<(), StoreError> {
    if planted::is("op forgotten") {
        return Ok(());
    }
    let mut statement = tx.conn.prepare_cached("INSERT INTO m_op (app, op, hash, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute((&writer.app, &written.op, &hash[..], answer(written), tx.now.unix_ms()))?;
    Ok(())
}

fn answer(written: &Written) -> String {
    let mut out = String::with_capacity(64 + written.token.len());
    out.push_str(&written.token);
    for one in &written.writes {
        // Ids have no control characters, so a line is a write.
        out.push_str(&format!("\n{} {}", one.seq, one.id));
    }
    out
}

/// Reads a kept answer.
pub(super) fn read(answer: &str, op: &str) -> Result<Written, StoreError> {
    let broken = || StoreError::Corrupt("a kept answer is not in its form".into());
    let mut lines = answer.split('\n');
    let token = lines.next().ok_or_else(broken)?.to_owned();
    let writes = lines
        .map(|line| {
            let (seq, id) = line.split_once(' ').ok_or_else(broken)?;
            Ok(WrittenOne { id: id.to_owned(), seq: seq.parse().map_err(|_| broken())? })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Written { writes, token, op: op.to_owned() })
}
