//! Owns: the rules of apps that keep their own copy: how far each copy has come, and what an open session holds. Must never know: what a
//! call does in which state.

use std::collections::BTreeSet;

use mingle_core::session::{Ended, Mode, State};
use rusqlite::Connection;

use super::Notes;
use crate::{
    json,
    store::{error::StoreError, sync::session::read_filter},
};

pub(super) fn check(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    copies(conn, notes, head)?;
    sessions(conn, notes)?;
    pushed(conn, notes)?;
    taken(conn, notes)
}

fn copies(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    let mut statement = conn.prepare(
        "SELECT m.app || ' ' || coalesce(c.name, '?'), m.replica, m.scanned, m.pass, m.owed, m.mode, m.ended, m.filter, m.stood
         FROM m_copy m LEFT JOIN m_collection c USING (collection)",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        let [replica, scanned, pass, owed]: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        if replica >= 0 {
            notes.note("copy", &about, "it lies at the place of a remote");
        }
        if u64::try_from(scanned).map_or(true, |at| at > head) {
            notes.note("copy", &about, format!("it was compared up to seq {scanned}, and the highest is {head}"));
        }
        if pass < 0 || !(0..=1).contains(&owed) {
            notes.note("copy", &about, format!("it is in session {pass}, and owed {owed}"));
        }
        for filter in [row.get(7)?, row.get(8)?] {
            if read_filter(filter).is_err() {
                notes.note("copy", &about, "its filter does not read; the app can say another one");
            }
        }
        let (mode, ended): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
        if mode.as_deref().is_some_and(|mode| Mode::of(mode).is_none())
            || ended.as_deref().is_some_and(|end| Ended::of(end).is_none())
        {
            notes.note("copy", &about, format!("no session was of the mode {mode:?}, with the end {ended:?}"));
        }
    }
    notes.ask(
        conn,
        "copy",
        "SELECT p.remote, 'a place of an app that keeps no copy there' FROM m_replica p
         WHERE p.replica < 0 AND p.identity <> 'forgotten:' || p.replica
           AND NOT EXISTS (SELECT 1 FROM m_copy m WHERE m.replica = p.replica)",
    )
}

fn sessions(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT app || ' ' || id, app, state, mode, replicas, ends FROM m_session")?;
    let mut of_app = conn.prepare("SELECT 1 FROM m_copy WHERE replica = ?1 AND app = ?2")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let [about, app, state, mode, replicas]: [String; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let ends: i64 = row.get(5)?;
        if State::of(&state).is_none_or(State::is_over) || Mode::of(&mode).is_none() || !(0..=2).contains(&ends) {
            notes.note("session", &about, format!("no open session is {state:?}, of the mode {mode:?}, with the end {ends}"));
        }
        let Ok(replicas) = serde_json::from_str::<Vec<i64>>(&replicas) else {
            notes.note("session", &about, "of which collections it is does not read");
            continue;
        };
        let own: BTreeSet<i64> = replicas.iter().copied().collect();
        if own.is_empty() || own.len() != replicas.len() {
            notes.note("session", &about, "it is of no collection, or of one twice");
        }
        for replica in own {
            if !of_app.exists((replica, &app))? {
                notes.note("session", &about, format!("it is of the copy {replica}, which is not its app's"));
            }
        }
    }
    Ok(())
}

fn pushed(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(
        "SELECT coalesce(s.app || ' ' || s.id, '?'), p.id, p.what, p.data, s.state IN ('pushing', 'mingling'),
           EXISTS (SELECT 1 FROM json_each(s.replicas) r WHERE r.value = p.replica)
         FROM m_push p LEFT JOIN m_session s USING (session) WHERE s.session IS NULL OR json_valid(s.replicas)",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let [about, id, what]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let data: Option<String> = row.get(3)?;
        let reads = match what.as_str() {
            "put" => data.is_some_and(|text| json::parse_object(&text).is_ok()),
            "delete" | "lost" | "given_up" => data.is_none(),
            _ => false,
        };
        if !reads {
            notes.note("session", &about, format!("what was pushed of {id} does not read"));
        }
        if !row.get::<_, Option<bool>>(4)?.unwrap_or(false) || !row.get::<_, bool>(5)? {
            notes.note("session", &about, format!("{id} waits to be mingled, and this session does not do it"));
        }
    }
    Ok(())
}

fn taken(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    // A record that was purged meanwhile has no link any more.
    let mut statement = conn.prepare(
        "SELECT coalesce(s.app || ' ' || s.id, '?'), t.link, t.what, t.form, s.state = 'pulling',
           EXISTS (SELECT 1 FROM json_each(s.replicas) r WHERE r.value = t.replica) AND coalesce(k.replica, t.replica) = t.replica
         FROM m_take t LEFT JOIN m_session s USING (session) LEFT JOIN m_link k USING (link)
         WHERE s.session IS NULL OR json_valid(s.replicas)",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        let link: i64 = row.get(1)?;
        let (what, form): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let reads = match what.as_str() {
            "accept" => form.is_none_or(|text| json::parse_object(&text).is_ok()),
            "refuse" | "lost" | "given_up" => form.is_none(),
            _ => false,
        };
        if !reads {
            notes.note("session", &about, format!("what was taken of link {link} does not read"));
        }
        if !row.get::<_, Option<bool>>(4)?.unwrap_or(false) || !row.get::<_, bool>(5)? {
            notes.note("session", &about, format!("link {link} waits for a commit, and this session does not show it"));
        }
    }
    Ok(())
}
