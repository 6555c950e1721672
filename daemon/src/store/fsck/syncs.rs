//! Owns: the rules of checkpoints, runs and answers of ops. Must never know: when a sync runs.

use mingle_core::{
    limits,
    run::{Creates, Mode},
};
use rusqlite::Connection;

use super::Notes;
use crate::store::{
    budgets,
    error::StoreError,
    op,
    sync::{read_checkpoint, reset::reads_as_reset},
};

const STATUS: &[&str] = &["stopped", "done", "done_with_errors", "failed", "cancelled"];

pub(super) fn check(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    checkpoints(conn, notes, head)?;
    definitions(conn, notes)?;
    budgets_read(conn, notes)?;
    answers(conn, notes)?;
    runs(conn, notes)?;
    ops(conn, notes, head)
}

fn checkpoints(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    let mut statement = conn.prepare(
        "SELECT name, replica, epoch, watermark, resume, complete, pass, up_scanned, creates, reset, fresh FROM m_sync",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let replica: Option<i64> = row.get(1)?;
        let [epoch, watermark, resume, complete]: [Option<String>; 4] = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        let (read_watermark, read_resume) = read_checkpoint(watermark.as_deref(), resume.as_deref());
        if watermark.is_some() != read_watermark.is_some() || resume.is_some() != read_resume.is_some() {
            notes.note("checkpoint", &name, "its position does not read");
        }
        let placed = watermark.is_some() || resume.is_some() || complete.is_some();
        if placed && (epoch.is_none() || replica.is_none()) {
            notes.note("checkpoint", &name, "it has a position, and it is not said in which history");
        }
        let creates: String = row.get(8)?;
        if ![Creates::Never, Creates::Unlinked, Creates::All].iter().any(|one| one.name() == creates) {
            notes.note("checkpoint", &name, format!("nothing is called creates {creates:?}"));
        }
        if row.get::<_, Option<String>>(9)?.is_some_and(|text| !reads_as_reset(&text)) {
            notes.note("checkpoint", &name, "the reset that is under way does not read");
        }
        if row.get::<_, Option<i64>>(10)?.is_some_and(|fresh| fresh < 0 || replica.is_none()) {
            notes.note("checkpoint", &name, "how fresh it is does not read, or is said of no place");
        }
        let (pass, scanned): (i64, i64) = (row.get(6)?, row.get(7)?);
        if pass < 0 || scanned < 0 || u64::try_from(scanned).is_ok_and(|scanned| scanned > head) {
            notes.note("checkpoint", &name, format!("it has looked at records up to seq {scanned}, and the highest is {head}"));
        }
    }
    Ok(())
}

fn definitions(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    notes.ask(
        conn,
        "definition",
        "SELECT sync, iif(generation < 1, 'it was defined ' || generation || ' times', 'it does not read') FROM m_defined
         WHERE generation < 1 OR NOT json_valid(definition) OR json_type(definition) <> 'object'",
    )?;
    notes.ask(
        conn,
        "schedule",
        "SELECT sync, iif(anew > (SELECT max(run) FROM m_run), 'it began anew after a run that is yet to come', 'a moment of it is no time')
         FROM m_schedule WHERE anew > (SELECT max(run) FROM m_run) OR anew < 0 OR next < 0 OR pinged < 0",
    )?;
    let mut statement = conn.prepare("SELECT id, wishes FROM m_run WHERE wishes IS NOT NULL")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if Mode::parse(&row.get::<_, String>(1)?).is_none() {
            notes.note("run", &row.get::<_, String>(0)?, "what was wished of it does not read");
        }
    }
    Ok(())
}

fn budgets_read(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT account, known FROM m_budget")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if !budgets::reads(&row.get::<_, String>(1)?) {
            notes.note("budget", row.get::<_, String>(0)?, "what is known of it does not read");
        }
    }
    Ok(())
}

fn answers(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    notes.ask(
        conn,
        "answer",
        &format!(
            "SELECT sync, 'an answer that is kept for it cannot be one' FROM m_answer
             WHERE length(name) <> 32 OR validator = '' OR length(body) > {} OR length(head) > {} OR at < 0",
            limits::KEPT_BYTES_MAX,
            limits::KEPT_HEAD_BYTES_MAX
        ),
    )?;
    notes.ask(
        conn,
        "answer",
        &format!(
            "SELECT 'all', count(*) || ' answers are kept, and there is room for {0}' FROM m_answer HAVING count(*) > {0}",
            limits::KEPT_ALL_ANSWERS_MAX
        ),
    )
}

fn runs(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let known: Vec<String> = STATUS.iter().map(|status| format!("'{status}'")).collect();
    notes.ask(
        conn,
        "run",
        &format!(
            "SELECT sync || ' ' || id, 'it is ' || status || CASE WHEN ended IS NULL THEN ', and not over' ELSE ', and over' END
             FROM m_run WHERE (ended IS NULL AND status <> 'running') OR (ended IS NOT NULL AND status NOT IN ({}))",
            known.join(", ")
        ),
    )?;
    notes.ask(
        conn,
        "run",
        "SELECT sync || ' ' || id, 'what it asked of its remote does not add up' FROM m_run
         WHERE min(bytes_up, requests, not_modified) < 0 OR bytes_up > bytes OR not_modified > requests",
    )?;
    notes.ask(conn, "notification", "SELECT name || ' ' || about, 'it was shown at no time' FROM m_shown WHERE at < 0")?;
    notes.ask(
        conn,
        "run",
        "SELECT sync, count(*) || ' runs of it are under way at once' FROM m_run WHERE ended IS NULL GROUP BY sync HAVING count(*) > 1",
    )
}

fn ops(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT app, op, hash, answer FROM m_op")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (app, name): (String, String) = (row.get(0)?, row.get(1)?);
        let (hash, answer): (Vec<u8>, String) = (row.get(2)?, row.get(3)?);
        let reads = hash.len() == size_of::<op::Hash>()
            && op::read(&answer, &name).is_ok_and(|written| written.writes.iter().all(|one| one.seq <= head));
        if !reads {
            notes.note("op", format!("{app} {name}"), "the answer that was kept for a repeat of that write does not read");
        }
    }
    Ok(())
}
