//! Owns: of how many records the end would be told by a session's silence, counted in reads, so that nobody waits for the writer. Must never
//! know: who waits for the count, how what was pushed meets the truth.

use mingle_core::{
    ask::{Refusal, Speaker},
    planted,
    session::{Mode, State, guards},
};
use rusqlite::{params, types::Value};

use super::{Open, filter::Excuses, find};
use crate::store::{error::StoreError, limits::UNSAID_RECORDS_MAX, reader::Reader};

/// How far the count has come.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// The place of the copy that is counted.
    at: usize,
    /// The last that was looked at, by the order of the question; none: the first is next.
    after: Option<Value>,
    of: u64,
    deletes: u64,
}

/// Whether what is not pushed in a session is to be counted before it may mingle.
pub(super) fn counts(open: &Open) -> bool {
    open.mode.absence_deletes() && !planted::is("absence without the guard")
}

/// Counts on, over [`UNSAID_RECORDS_MAX`] records; none: it is through, and the session may mingle. Others write between two of these: the
/// count says whether somebody is to be asked, and deletes nothing.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Guarded`]: deletes that nobody said one by one are asked for, where they are many.
pub fn unsaid(reader: &Reader<'_>, who: &Speaker, session: &str, from: Counted) -> Result<Option<Counted>, StoreError> {
    // To replace the truth is to delete also what the app never had. Its records are in the order of their ids, which never change.
    const WHOLE: &str = "SELECT r.id, r.record, r.state = 0, l.missing > 0,
           EXISTS (SELECT 1 FROM m_push p WHERE p.session = ?2 AND p.replica = ?1 AND p.id = l.remote_id)
         FROM m_copy c JOIN m_record r ON r.collection = c.collection LEFT JOIN m_link l ON l.record = r.record AND l.replica = ?1
         WHERE c.replica = ?1 AND r.id > coalesce(?3, '') ORDER BY r.id LIMIT ?4";
    const HAD: &str = "SELECT l.link, l.record, l.remote_id IS NOT NULL AND l.base IN (0, 1) AND r.state = 0, l.missing > 0,
           EXISTS (SELECT 1 FROM m_push p WHERE p.session = ?2 AND p.replica = ?1 AND p.id = l.remote_id)
         FROM m_link l INDEXED BY m_link_copies CROSS JOIN m_record r USING (record)
         WHERE l.replica = ?1 AND l.replica < 0 AND l.link > coalesce(?3, 0) ORDER BY l.link LIMIT ?4";
    let open = find(reader, who, session)?;
    let Some(replica) = open.replicas.get(from.at).filter(|_| open.state == State::Pushing && counts(&open)) else {
        return Ok(None);
    };
    let excuses = Excuses::of(reader, *replica)?;
    let mut statement = reader.prepare_cached(if open.mode == Mode::PushTruth { WHOLE } else { HAD })?;
    let mut rows = statement.query(params![replica, open.session, from.after, UNSAID_RECORDS_MAX])?;
    let (mut counted, mut looked) = (from, 0);
    while let Some(row) = rows.next()? {
        looked += 1;
        counted.after = Some(row.get(0)?);
        let (there, pushed): (bool, bool) = (row.get(2)?, row.get(4)?);
        // What is not to be in this copy is not missed in it.
        if there && (pushed || !excuses.has(reader, row.get(1)?, row.get::<_, Option<bool>>(3)?.unwrap_or_default())?) {
            counted.of += 1;
            counted.deletes += u64::from(!pushed);
        }
    }
    if looked == UNSAID_RECORDS_MAX {
        return Ok(Some(counted));
    }
    if guards(counted.deletes, counted.of) {
        let told = format!("{} of {} records were not pushed, and would be deleted", counted.deletes, counted.of);
        return Err(Refusal::Guarded(told).into());
    }
    Ok(Some(Counted { at: counted.at + 1, ..Counted::default() }))
}
