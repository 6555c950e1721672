//! Owns: a folder that is open, and its meetings with the truth, one at a time. Must never know: what one file says; when a meeting is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use mingle_client::{
    CallError, ConnectError, Name, Options,
    blocking::Client,
    call::{AppList, Get, List},
    keeper::{DriveError, Driver},
};
use mingle_core::time::Timestamp;

use crate::{
    file,
    folder::{Folder, FolderError},
    keep::{Keep, KeepError},
    limits::{AGAIN_MAX, PASSED_OVER_ASKED_MAX, REFUSED_MAX},
    look::{Look, State},
    memory::Memory,
    watch::{Watch, WatchError},
};

/// What becomes of records whose files are not there, where that is too much to be done without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They were deleted.
    Delete,
    /// The files were lost, and are written again.
    Restore,
}

/// What a meeting did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that were written as the truth is.
    pub written: u64,
    /// Files that were taken away, because their records are gone.
    pub removed: u64,
    /// Edits of files that the truth has taken.
    pub taken: u64,
    /// New files, the same.
    pub new: u64,
    /// Files that somebody removed: their records are deleted.
    pub deleted: u64,
    /// Conflicts that were recorded.
    pub conflicts: u64,
}

/// How a meeting came out.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// What it did.
    pub counts: Counts,
    /// Files that cannot be taken and records that cannot be written, by name, and why: all that there are now.
    pub trouble: Vec<(String, String)>,
    /// Whether so much is missing that a person is asked.
    pub guarded: Guarded,
}

/// Files that are not there, and are not taken for deleted before a person says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// So many; 0: nobody is asked.
    pub missing: usize,
    /// Of so many.
    pub of: usize,
    /// After so many that went one by one, in the last while, and were taken for deleted.
    pub before: usize,
}

/// Why there was no meeting, or only half of one. What was done stays, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// No daemon.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The daemon said no, or went away.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What the folder remembered is not there.
    #[error("{} was in step with {collection} before, and what it remembers of that is not there", folder.display())]
    Forgotten {
        /// The folder.
        folder: PathBuf,
        /// The collection.
        collection: String,
    },
    /// The daemon would delete what the folder does not tell of, and asks first.
    #[error("{collection} has records that {} had before and does not tell of: {why}", folder.display())]
    Guarded {
        /// The folder.
        folder: PathBuf,
        /// The collection.
        collection: String,
        /// What the daemon says.
        why: CallError,
    },
    /// It was told to end.
    #[error("it was told to end")]
    Stopped,
}

impl MeetError {
    /// What a person may do about the folder; `once`: the command that has one meeting of it.
    #[must_use]
    pub fn hint(&self, once: &str) -> String {
        match self {
            Self::Folder(error) => error.hint(once),
            Self::Forgotten { .. } => format!(
                "is its disk mounted? If the files are lost, `{once}` with `--missing restore` writes them again; if they were deleted, with \
                 `--missing delete` it says so"
            ),
            Self::Guarded { .. } => format!(
                "`{once}` with `--missing delete` deletes them; if they are to stay, move the folder away, and with `--missing restore` it \
                 writes it anew in its place"
            ),
            Self::Connect(_) | Self::Call(_) | Self::Stopped => String::new(),
        }
    }
}

/// A folder that is open.
pub struct Vdir {
    folder: Folder,
    collection: String,
    /// The name of the app was given by a person.
    named: bool,
    /// None: it has no memory yet, or one that cannot be read.
    memory: Option<Memory>,
    app: String,
    /// What the daemon did not take, by file: the mark of the text, and why.
    refused: BTreeMap<String, (String, String)>,
    /// Files that could not be taken, and why, in the last meeting.
    unreadable: BTreeMap<String, String>,
}

impl Vdir {
    /// Opens a folder as the copy of a collection. `missing`: where what it remembers cannot be read, that is what a person said.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(folder: &Path, collection: &str, app: Option<String>, missing: Option<Missing>) -> Result<Self, FolderError> {
        let folder = Folder::open(folder)?;
        let memory = match Memory::load(&folder, collection) {
            Err(FolderError::Broken { .. }) if missing.is_some() => {
                Memory::lay_aside(&folder)?;
                None
            }
            memory => memory?,
        };
        let named = app.is_some();
        let known = memory.as_ref().map(|memory| memory.app.clone());
        let app = app.or(known).unwrap_or_else(|| name(&folder, collection));
        Ok(Self {
            folder,
            collection: collection.to_owned(),
            named,
            memory,
            app,
            refused: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        })
    }

    /// The name of the app that the folder is.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether a file is otherwise than in the last meeting.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn differs(&mut self) -> Result<bool, FolderError> {
        let Some(memory) = &mut self.memory else { return Ok(true) };
        let mut look = Look::at(&self.folder, memory)?;
        look.leave_refused(&self.refused);
        Ok(look.differs() || look.unreadable() != self.unreadable)
    }

    /// Calls whenever something in the folder may have changed, as long as the watch is kept.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn watch(&self, call: impl Fn() + Send + 'static) -> Result<Watch, WatchError> {
        Watch::new(self.folder.path(), call)
    }

    /// Brings folder and truth in step. `now_ms` is the time, since 1970; `pause` waits for so long.
    ///
    /// # Errors
    /// [`MeetError`].
    pub fn meet(
        &mut self,
        options: &Options,
        missing: Option<Missing>,
        now_ms: i64,
        (stop, pause): (&AtomicBool, &dyn Fn(Duration)),
    ) -> Result<Met, MeetError> {
        let now = Timestamp::from_unix_ms(now_ms);
        if self.folder.is_unsettled() {
            self.memory = Memory::load(&self.folder, &self.collection)?;
        }
        let mut options = Options { app: Some(self.app.clone()), ..options.clone() };
        let mut client = Client::open(&options)?;
        let was_here = self.remember(&mut client, missing)?;
        if options.app.as_ref() != Some(&self.app) {
            options.app = Some(self.app.clone());
            client = Client::open(&options)?;
        }
        self.forget_gone(&mut client)?;
        let instance = client.hello().map(|hello| hello.instance.clone());
        drop(client);
        let mut met = Met::default();
        for _ in 0..AGAIN_MAX {
            if !self.once(&options, (missing, was_here, instance.as_deref()), now, (stop, pause), &mut met)? {
                break;
            }
        }
        Ok(met)
    }

    /// Begins a memory where there is none. Whether the copy may have had what the memory does not know of, and no person said what that means.
    fn remember(&mut self, client: &mut Client, missing: Option<Missing>) -> Result<bool, MeetError> {
        if let Some(memory) = &self.memory {
            return Ok(memory.anchor.is_some() || !copies(client, &self.app, &self.collection)?.is_empty());
        }
        let before = copies(client, &self.app, &self.collection)?;
        let was_here = before.last_key_value().map(|(number, app)| (*number, app.clone()));
        match (was_here, missing) {
            (Some(_), None) => {
                return Err(MeetError::Forgotten { folder: self.folder.path().into(), collection: self.collection.clone() });
            }
            // Where nothing is left there is nothing to be known again, and the one before may have been moved away, and live.
            (Some((number, _)), Some(Missing::Restore))
                if !self.named && self.folder.names()?.iter().all(|name| file::holds(name).is_none()) =>
            {
                self.app = format!("{}-{}", self.app, number + 1);
            }
            (Some((_, app)), _) if !self.named => self.app = app,
            _ => {}
        }
        let mut memory = Memory::new(&self.folder, &self.app, &self.collection);
        // Before the first session: from here on the folder has begun.
        memory.save(&self.folder)?;
        self.memory = Some(memory);
        Ok(!before.is_empty() && missing == Some(Missing::Restore))
    }

    /// What was passed over and is gone by now is no trouble any more: of what an app has not, it is not told that it went.
    fn forget_gone(&mut self, client: &mut Client) -> Result<(), CallError> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        for id in memory.passed_over.keys().take(PASSED_OVER_ASKED_MAX).cloned().collect::<Vec<_>>() {
            match client.call(Get { collection: self.collection.clone(), id: id.clone(), ..Get::default() }) {
                Err(CallError::Refused(refusal)) if refusal.name() == Name::NotFound => drop(memory.passed_over.remove(&id)),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// One meeting; whether another one is due at once.
    fn once(
        &mut self,
        options: &Options,
        (missing, was_here, instance): (Option<Missing>, bool, Option<&str>),
        now: Timestamp,
        (stop, pause): (&AtomicBool, &dyn Fn(Duration)),
        met: &mut Met,
    ) -> Result<bool, MeetError> {
        let Some(memory) = &mut self.memory else { return Ok(false) };
        let mut driver = Driver::new(options.clone(), &[&self.collection]);
        driver.accept_deletes = missing == Some(Missing::Delete);
        let ids = || ids(options, &self.collection);
        let mut takes_none = None;
        loop {
            let same_store = memory.instance.as_deref() == instance;
            let mut keep = Keep::new(&self.folder, memory, now, (stop, pause), &self.refused);
            (keep.missing, keep.same_store) = (missing, same_store);
            keep.takes_none = takes_none.as_deref();
            keep.ids = was_here.then_some(&ids);
            keep.instance = instance.map(str::to_owned);
            let ended = driver.run(&mut keep);
            if ended.is_ok() {
                keep.over()?;
            }
            let Keep { counts, trouble, guarded, before, again, .. } = keep;
            met.counts.add(counts);
            let report = match ended {
                Ok(report) => report,
                Err(DriveError::Record { id, why, .. }) if self.refused.len() < REFUSED_MAX => {
                    // That one alone is left aside; all others have to be told again.
                    let name = told_as(&self.folder, memory, &id)?;
                    let Some((name, mark)) =
                        name.filter(|(name, mark)| self.refused.get(name).is_none_or(|(was, _)| was != mark))
                    else {
                        return Err(why.into());
                    };
                    self.refused.insert(name, (mark, why.to_string()));
                    continue;
                }
                // It goes on coming down, at least.
                Err(DriveError::Call(CallError::Refused(why))) if why.name() == Name::ReadOnly && takes_none.is_none() => {
                    takes_none = Some(why.to_string());
                    continue;
                }
                Err(DriveError::Guarded(why)) => {
                    let (folder, collection) = (self.folder.path().into(), self.collection.clone());
                    return Err(MeetError::Guarded { folder, collection, why });
                }
                Err(error) => return Err(of_drive(error)),
            };
            met.counts.conflicts += report.conflicts;
            met.guarded = Guarded { missing: guarded, of: memory.files.len(), before };
            self.unreadable.clone_from(&trouble);
            met.trouble = trouble.into_iter().chain(memory.passed_over.clone()).collect();
            return Ok(again > 0);
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.written += more.written;
        self.removed += more.removed;
        self.taken += more.taken;
        self.new += more.new;
        self.deleted += more.deleted;
        self.conflicts += more.conflicts;
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The file that was told under this id, and the mark of its text.
fn told_as(folder: &Folder, memory: &mut Memory, id: &str) -> Result<Option<(String, String)>, FolderError> {
    let look = Look::at(folder, memory)?;
    Ok(look.files.into_iter().find_map(|(name, state)| match state {
        State::Edited(now) if now.id == id => Some((name, now.mark)),
        _ => None,
    }))
}

fn of_drive(error: DriveError<KeepError>) -> MeetError {
    match error {
        DriveError::Connect(error) => error.into(),
        DriveError::Call(error) | DriveError::Guarded(error) | DriveError::Elsewhere(error) => error.into(),
        DriveError::Record { why, .. } => why.into(),
        DriveError::Keeper(KeepError::Folder(error)) => error.into(),
        DriveError::Keeper(KeepError::Connect(error)) => error.into(),
        DriveError::Keeper(KeepError::Call(error)) => error.into(),
        DriveError::Keeper(KeepError::Stopped) => MeetError::Stopped,
    }
}

/// The apps of this name that have had a copy of the collection, in order: the first of a place, and with a number those that were begun anew.
fn copies(client: &mut Client, app: &str, collection: &str) -> Result<BTreeMap<u64, String>, CallError> {
    let (mut all, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = client.call(AppList { limit: None, cursor })?;
        for known in page.apps.into_iter().filter(|known| known.copies.iter().any(|copy| copy.collection == collection)) {
            all.extend(number_of(&known.app, app).map(|number| (number, known.app)));
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Which of those that begun at a place an app is; none: of another place.
fn number_of(app: &str, first: &str) -> Option<u64> {
    match app.strip_prefix(first)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok(),
    }
}

/// The ids of all records.
fn ids(options: &Options, collection: &str) -> Result<BTreeSet<String>, KeepError> {
    let mut client = Client::open(options)?;
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = client.call(List { collection: collection.to_owned(), cursor, ..List::default() })?;
        ids.extend(page.records.into_iter().map(|record| record.id));
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(ids);
        }
    }
}

/// The name of the app that a folder is: each place is one of its own.
fn name(folder: &Folder, collection: &str) -> String {
    let mark = blake3::hash(folder.path().as_os_str().as_encoded_bytes()).to_hex();
    format!("vdir-{collection}-{}", &mark.as_str()[..8])
}
