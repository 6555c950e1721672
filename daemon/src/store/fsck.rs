//! Owns: looking at every rule that a store keeps, and naming what breaks one: which record, which rule, what to do. Reading alone, one
//! state of the store, with or without a daemon beside it. Must never know: how anything is put right.
//!
//! Each rule is checked apart and streams its rows, so that memory does not grow with the store.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;

use super::{error::StoreError, ledger::HEAD, limits, open::read_only, place, schema};

mod file;
mod ledger;
mod links;
mod records;
mod sessions;
mod syncs;
mod waiting;

/// A rule: its name, and what to do where it is broken.
pub type Rule = (&'static str, &'static str);

const LINK: &str = "`mingle rebuild COLLECTION` puts away what the links say that cannot be, and fetches everything anew; where it is named \
                    again after that, restore a backup: `mingle restore FILE`";
const BACKUP: &str = "keep a copy of the store (`mingle backup FILE`) and restore an older one: `mingle restore FILE`; each sync then \
                      compares everything";

/// Every rule that is looked at, in this order.
pub const RULES: &[Rule] = &[
    ("file", "`mingle export` prints what can still be read; then restore a backup: `mingle shutdown`, `mingle restore FILE`"),
    ("schema", BACKUP),
    ("pointer", BACKUP),
    ("store", BACKUP),
    ("published", "start mingled anew: it publishes each collection as configured"),
    ("record", BACKUP),
    ("alias", BACKUP),
    ("seq", BACKUP),
    ("ledger", "the record itself is as it was; only what it was before may be told wrong, until the ledger's time is over"),
    ("link", LINK),
    ("remote_id", LINK),
    ("sent", LINK),
    ("conflict", "`mingle conflict resolve CONFLICT --keep truth` closes it"),
    ("rejection", "`mingle rejection resolve REJECTION --with retry` has the next run look at it anew"),
    ("definition", "the app that defined it defines it again, or `mingle undefine SYNC` takes it out"),
    ("budget", "none is needed: it is not known till the account's next request is answered"),
    ("answer", "none is needed: the sync's next run asks in full"),
    ("notification", "none is needed: at worst something is shown on the desktop once more"),
    ("schedule", "`mingle next SYNC --clear` takes the moment back; for the rest `mingle sync SYNC` runs it"),
    ("checkpoint", "`mingle sync SYNC --mode slow` lists everything and makes a new one"),
    ("run", "start mingled anew: it ends every run that a crash cut off"),
    ("copy", "the app's next session in the mode \"refresh\" compares its whole copy, and deletes nothing"),
    ("session", "start mingled anew: it ends every session that is open"),
    ("op", "none is needed: it goes after 24 hours; until then a repeat of that write may be refused"),
];

/// One thing that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// What breaks it: a record as COLLECTION/ID, a sync, a table.
    pub about: String,
    /// How.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

/// What a look at all rules brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What breaks a rule; of each rule at most [`limits::FINDINGS_PER_RULE_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there are, by rule.
    pub more: BTreeMap<&'static str, u64>,
    /// Records that are there.
    pub records: u64,
    /// The highest seq.
    pub seq: u64,
}

impl Report {
    /// Whether nothing breaks a rule.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Where findings are noted.
struct Notes {
    counts: BTreeMap<&'static str, u64>,
    findings: Vec<Finding>,
}

impl Notes {
    fn note(&mut self, rule: &'static str, about: impl Into<String>, what: impl Into<String>) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= limits::FINDINGS_PER_RULE_MAX {
            let hint = RULES.iter().find(|(name, _)| *name == rule).map_or("", |(_, hint)| hint);
            self.findings.push(Finding { rule, about: about.into(), what: what.into(), hint });
        }
    }

    /// A question that answers with `about, what` for each thing that breaks the rule.
    fn ask(&mut self, conn: &Connection, rule: &'static str, sql: &str) -> Result<(), StoreError> {
        let mut statement = conn.prepare(sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let about: Option<String> = row.get(0)?;
            self.note(rule, about.unwrap_or_default(), row.get::<_, String>(1)?);
        }
        Ok(())
    }
}

/// How a record `r` is named in an answer, as SQL.
const NAMED: &str = "coalesce((SELECT c.name FROM m_collection c WHERE c.collection = r.collection), '?') || '/' || r.id";

/// Looks at the store of this path. None: there is no store yet.
///
/// # Errors
/// The place is not fit, the file is another program's, or of another schema.
pub fn file(path: &Path) -> Result<Option<Report>, StoreError> {
    // Nor is there a folder for it before the first start.
    let missing = std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if missing || !place::check(path)? {
        return Ok(None);
    }
    let conn = read_only(path)?;
    match schema::check(&conn) {
        Ok(true) => {}
        Ok(false) => {
            return Err(StoreError::Place(format!(
                "the store is of schema {}, an older mingle's; start mingled once, which keeps a copy and brings it to the newest",
                schema::version(&conn)?
            )));
        }
        Err(error @ StoreError::Damaged(_)) => return Ok(Some(damaged(&error))),
        Err(error) => return Err(error),
    }
    conn.execute_batch("BEGIN")?;
    match check(&conn) {
        // What SQLite itself cannot read is the first thing to tell, and nothing behind it counts.
        Err(error @ StoreError::Damaged(_)) => Ok(Some(damaged(&error))),
        other => other.map(Some),
    }
}

fn damaged(error: &StoreError) -> Report {
    let mut notes = Notes { counts: BTreeMap::new(), findings: Vec::new() };
    notes.note("file", "store", error.to_string());
    Report { findings: notes.findings, ..Report::default() }
}

/// Looks at every rule of the store behind this connection, inside a transaction of the caller's where others write.
///
/// # Errors
/// What SQLite says; what breaks a rule is no error.
pub fn check(conn: &Connection) -> Result<Report, StoreError> {
    let mut notes = Notes { counts: BTreeMap::new(), findings: Vec::new() };
    file::check(conn, &mut notes)?;
    if notes.counts.contains_key("file") || notes.counts.contains_key("schema") {
        // What an index or a table says cannot be relied on, so the rest would be told wrong.
        return Ok(done(notes, 0, 0));
    }
    let head: u64 = conn.query_row(&format!("SELECT coalesce((SELECT {HEAD} FROM m_store), 0)"), (), |row| row.get(0))?;
    records::check(conn, &mut notes, head)?;
    ledger::check(conn, &mut notes)?;
    links::check(conn, &mut notes, head)?;
    waiting::check(conn, &mut notes)?;
    syncs::check(conn, &mut notes, head)?;
    sessions::check(conn, &mut notes, head)?;
    let records = conn.query_row("SELECT count(*) FROM m_record WHERE state = 0", (), |row| row.get(0))?;
    Ok(done(notes, records, head))
}

fn done(notes: Notes, records: u64, seq: u64) -> Report {
    let more = notes
        .counts
        .into_iter()
        .filter_map(|(rule, count)| Some((rule, count.checked_sub(limits::FINDINGS_PER_RULE_MAX).filter(|more| *more > 0)?)));
    Report { findings: notes.findings, more: more.collect(), records, seq }
}

#[cfg(test)]
mod tests;
