//! Owns: reading: a connection for each thread that reads, an unmoving state for each question, a bound on its steps.
//! Must never know: what is asked.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use mingle_core::ask::Refusal;
use rusqlite::Connection;

use super::{
    definitions::{Collection, Definitions},
    error::StoreError,
    limits,
    news::News,
    open,
    trouble::Trouble,
};

/// What a question reads from: one state of the store.
pub struct Reader<'a> {
    pub(super) conn: &'a Connection,
    pub(super) instance: Arc<str>,
    pub(super) definitions: Arc<Definitions>,
}

impl Deref for Reader<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.conn
    }
}

impl Reader<'_> {
    /// Which store this is.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The collections there are.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// The collection of that name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], which lists the collections there are.
    pub fn defined(&self, name: &str) -> Result<&Arc<Collection>, Refusal> {
        self.definitions.named(name)
    }
}

/// A connection of a thread, with the count of its steps.
struct Own {
    store: u64,
    conn: Connection,
    steps: Arc<AtomicU64>,
}

/// How many steps lie between two looks at the count.
const STEPS_COUNTED: i32 = 10_000;

thread_local! {
    /// Nearly always one; a question inside a question has a second.
    static OWN: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
    /// The questions of this thread read one state for now.
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

impl Own {
    /// Gives up the state it reads, if there is one; false: it is not to be used again.
    fn let_go(&self) -> bool {
        self.conn.is_autocommit() || self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(())).is_ok()
    }
}

/// All questions that this thread asks within `work` read the state that the first of them finds.
pub(super) fn together(work: impl FnOnce()) {
    struct End;
    // Also where it panics: a state that nobody gives up holds the log back.
    impl Drop for End {
        fn drop(&mut self) {
            TOGETHER.set(false);
            OWN.with_borrow_mut(|all| all.retain(Own::let_go));
        }
    }
    TOGETHER.set(true);
    let _end = End;
    work();
}

/// Tells stores of one process apart.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(super) fn on_this_thread<T>(
    store: u64,
    path: &Path,
    news: &News,
    work: impl Fn(&Reader<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match once(store, path, news, &work) {
        // A disk that failed once may not the next time, and what a failed read leaves behind can look like damage.
        Err(error) if error.spoils_connection() => {
            let answer = once(store, path, news, &work);
            if let Err(StoreError::Damaged(told)) = &answer {
                news.trouble(Some(Trouble::Damaged(told.clone())));
            }
            answer
        }
        answer => answer,
    }
}

fn once<T>(store: u64, path: &Path, news: &News, work: impl Fn(&Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mine = OWN.with_borrow_mut(|all| all.iter().rposition(|own| own.store == store).map(|at| all.swap_remove(at)));
    let own = match mine {
        Some(own) => own,
        None => open_one(store, path, news)?,
    };
    own.steps.store(0, Ordering::Relaxed);
    // One state for the whole question: its pages and the head it names belong together.
    if own.conn.is_autocommit() {
        own.conn.prepare_cached("BEGIN")?.execute(())?;
    }
    let answer = work(&Reader { conn: &own.conn, instance: news.instance(), definitions: news.definitions() });
    let spoiled = matches!(&answer, Err(error) if error.spoils_connection());
    if !spoiled && (TOGETHER.get() || own.let_go()) {
        OWN.with_borrow_mut(|all| {
            // A thread reads one store; connections of former ones are closed here.
            all.retain(|other| other.store == store);
            if all.len() < 2 {
                all.push(own);
            }
        });
    }
    answer
}

fn open_one(store: u64, path: &Path, news: &News) -> Result<Own, StoreError> {
    // By its path one would find another store, or none.
    if news.troubled() == Some(Trouble::Moved) {
        return Err(StoreError::Shut(Trouble::Moved));
    }
    let mut conn = open::read_only(path)?;
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    conn.progress_handler(
        STEPS_COUNTED,
        Some(move || {
            let step = u64::from(STEPS_COUNTED.unsigned_abs());
            counted.fetch_add(step, Ordering::Relaxed) >= limits::READ_STEPS_MAX
        }),
    )?;
    Ok(Own { store, conn, steps })
}

#[cfg(test)]
mod tests;
