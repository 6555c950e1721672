//! Owns: reading the published views of the store's file, beside the daemon and without it. Must never know: base tables, writing.
//!
//! The socket is the contract, and costs about ten microseconds more than SQLite itself: use this for questions that only SQL can ask.
//! Every question sees one state of the store. A read holds the store's log back, so a snapshot has a limit ([`Reader::within`]), and
//! the daemon names whoever reads without end. What is promised here are the views that PROTOCOL.md describes, and nothing else: base
//! tables cannot be read. Grants do not hold for a file: who may read it reads all of it.
//!
//! ```no_run
//! use mingle_client::reader::Reader;
//! let mut reader = Reader::open("/home/me/.local/share/mingle/store.db".as_ref())?;
//! let open: i64 = reader.snapshot(|now| now.one("SELECT count(*) FROM issues WHERE state = ?1", ["open"]))?;
//! # Ok::<(), mingle_client::reader::ReadError>(())
//! ```

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use rusqlite;
use rusqlite::{
    Connection, OpenFlags, Params, Row,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    types::{FromSql, ValueRef},
};

/// The oldest SQLite without the bug that damages a log under two checkpointers.
const SQLITE_MIN: i32 = 3_051_003;
/// How long a snapshot may last unless [`Reader::within`] says otherwise.
const WITHIN: Duration = Duration::from_secs(5);
/// How many steps of SQLite's machine lie between two looks at the time.
const STEPS: i32 = 1_000;

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("there is no store at {}", .0.display())]
    NoStore(PathBuf),
    /// SQLite is too old to read beside others.
    #[error("SQLite {0} may damage a store that others write; 3.51.3 or newer is needed")]
    Old(String),
    /// The snapshot lasted too long and was ended.
    #[error("the read took longer than {} ms and was ended, so that the store's log can be folded back", .0.as_millis())]
    TooLong(Duration),
    /// It asks for something else than the published views.
    #[error("only the published views can be read: {0}")]
    NotPublished(String),
    /// What SQLite says.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
}

/// A store's file, for reading.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
    within: Duration,
    /// When the snapshot of this moment ends, in milliseconds since `began`; none: 0.
    ends: Arc<AtomicU64>,
    began: Instant,
}

/// A published view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name: that of the collection.
    pub name: String,
    /// `id`, `seq`, `data`, then one for each property that the configuration publishes.
    pub columns: Vec<String>,
}

impl Reader {
    /// Opens the store's file. `mingled places store` prints where it is.
    ///
    /// # Errors
    /// [`ReadError::NoStore`], [`ReadError::Old`], and what SQLite says.
    pub fn open(store: &Path) -> Result<Self, ReadError> {
        if rusqlite::version_number() < SQLITE_MIN {
            return Err(ReadError::Old(rusqlite::version().to_owned()));
        }
        if !store.is_file() {
            return Err(ReadError::NoStore(store.to_owned()));
        }
        let mut conn = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.pragma_update(None, "query_only", "on")?;
        conn.pragma_update(None, "trusted_schema", "off")?;
        conn.pragma_update(None, "mmap_size", 0)?;
        conn.pragma_update(None, "temp_store", "memory")?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        let (ends, began) = (Arc::new(AtomicU64::new(0)), now());
        let until = Arc::clone(&ends);
        let over = move || match until.load(Ordering::Relaxed) {
            0 => false,
            ends => millis(began.elapsed()) >= ends,
        };
        conn.progress_handler(STEPS, Some(over))?;
        conn.authorizer(Some(published))?;
        Ok(Self { conn, within: WITHIN, ends, began })
    }

    /// Another limit for a snapshot. While it lasts, the store's log only grows.
    #[must_use]
    pub const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The published views, by name.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn views(&mut self) -> Result<Vec<View>, ReadError> {
        // Our own question about names, not the app's.
        self.conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        let found = views(&self.conn);
        self.conn.authorizer(Some(published))?;
        Ok(found?)
    }

    /// Reads from one unmoving state of the store.
    ///
    /// # Errors
    /// What `read` returns; [`ReadError::TooLong`] where SQLite is still at it when the time is over.
    pub fn snapshot<T>(&mut self, read: impl FnOnce(&Snapshot<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let until = millis(self.began.elapsed().saturating_add(self.within)).max(1);
        self.ends.store(until, Ordering::Relaxed);
        // A transaction that is dropped is rolled back: nothing is left open, whatever `read` does.
        let transaction = self.conn.transaction()?;
        let answer = read(&Snapshot { conn: &transaction });
        self.ends.store(0, Ordering::Relaxed);
        drop(transaction);
        answer.map_err(|error| match error {
            ReadError::Sql(error) => told(error, self.within),
            other => other,
        })
    }
}

/// One state of the store.
#[derive(Debug)]
pub struct Snapshot<'a> {
    conn: &'a Connection,
}

impl Snapshot<'_> {
    /// One value: the first column of the first row.
    ///
    /// # Errors
    /// What SQLite says, also where there is no row.
    pub fn one<T: FromSql>(&self, sql: &str, params: impl Params) -> Result<T, ReadError> {
        Ok(self.conn.prepare(sql)?.query_row(params, |row| row.get(0))?)
    }

    /// Every row, one after the other, whatever its columns are. Their names.
    ///
    /// # Errors
    /// What SQLite says, and what `each` returns.
    pub fn cells(
        &self,
        sql: &str,
        mut each: impl FnMut(&[String], Vec<Cell>) -> Result<(), ReadError>,
    ) -> Result<Vec<String>, ReadError> {
        let mut statement = self.conn.prepare(sql)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells: Result<Vec<Cell>, ReadError> = (0..names.len()).map(|at| Cell::read(row, at)).collect();
            each(&names, cells?)?;
        }
        Ok(names)
    }

    /// Every row, one after the other. The names of the columns.
    ///
    /// # Errors
    /// What SQLite says, and what `each` returns.
    pub fn rows(
        &self,
        sql: &str,
        params: impl Params,
        mut each: impl FnMut(&Row<'_>) -> Result<(), ReadError>,
    ) -> Result<Vec<String>, ReadError> {
        let mut statement = self.conn.prepare(sql)?;
        let names = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(names)
    }
}

/// A value as SQL has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    fn read(row: &Row<'_>, at: usize) -> Result<Self, ReadError> {
        Ok(match row.get_ref(at)? {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        })
    }
}

/// A table of ours may be read by a view alone; nothing may be changed, attached or set.
fn published(asked: AuthContext<'_>) -> Authorization {
    match asked.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
            Authorization::Allow
        }
        AuthAction::Read { table_name, .. } => {
            let base = table_name.starts_with("m_") || table_name.starts_with("sqlite_");
            if !base || asked.accessor.is_some() { Authorization::Allow } else { Authorization::Deny }
        }
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

fn views(conn: &Connection) -> rusqlite::Result<Vec<View>> {
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut columns = conn.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
    names
        .into_iter()
        .map(|name| {
            let columns = columns.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(View { name, columns })
        })
        .collect()
}

fn told(error: rusqlite::Error, within: Duration) -> ReadError {
    use rusqlite::ErrorCode::{AuthorizationForStatementDenied, OperationInterrupted};
    match error.sqlite_error_code() {
        Some(OperationInterrupted) => ReadError::TooLong(within),
        Some(AuthorizationForStatementDenied) => ReadError::NotPublished(error.to_string()),
        _ if ["prohibited", "not authorized"].iter().any(|words| error.to_string().contains(words)) => {
            ReadError::NotPublished(error.to_string())
        }
        _ => ReadError::Sql(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "an app has a clock of its own: how long it reads is its own affair")]
fn now() -> Instant {
    Instant::now()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
