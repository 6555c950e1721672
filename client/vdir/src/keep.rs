//! Owns: the folder as the copy of an app: what it tells a session, and what it does with what it is shown. Must never know: when a session
//! is, what a person is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use mingle_client::{
    CallError, ConnectError, Raw,
    call::PulledRecord,
    keeper::{Change, Each, Keeper, Record, Renamed, Report, Step, Stored},
};
use mingle_core::{
    planted,
    record::{Props, Value},
    time::Timestamp,
};
use mingle_text::{Holds, json};

use crate::{
    file,
    folder::{Folder, FolderError, Found},
    limits::LOOK_AGAIN_AFTER,
    look::{Look, State},
    meet::{Counts, Missing},
    memory::{Known, Memory},
};

/// Why a session is given up.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No daemon to be asked what the truth has.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It did not say what the truth has.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It was told to end.
    #[error("it was told to end")]
    Stopped,
}

/// One meeting of a folder.
pub struct Keep<'a> {
    pub folder: &'a Folder,
    pub memory: &'a mut Memory,
    pub now: Timestamp,
    /// Waits for so long.
    pub pause: &'a dyn Fn(Duration),
    /// What a person said of files that are not there.
    pub missing: Option<Missing>,
    /// Asks which ids the truth has; none: whatever the folder does not tell of was never in it, or was deleted by a person's word.
    pub ids: Option<&'a dyn Fn() -> Result<BTreeSet<String>, KeepError>>,
    /// The store is the one that the folder was last in step with: where it wants all told, the folder is older than what it has of it.
    pub same_store: bool,
    /// The store of this meeting.
    pub instance: Option<String>,
    /// The truth takes no writes, and why: files that were edited are named, and stay.
    pub takes_none: Option<&'a str>,
    /// What the daemon does not take, by file: its mark then, and why.
    pub refused: &'a BTreeMap<String, (String, String)>,
    pub stop: &'a AtomicBool,
    pub counts: Counts,
    /// What is wrong with single files, by name, as it is now.
    pub trouble: BTreeMap<String, String>,
    /// So much is missing that a person is asked.
    pub guarded: usize,
    /// So many files went before, in the last while.
    pub before: usize,
    /// Files that were edited after they had been looked at: one more meeting takes them.
    pub again: u64,
    look: Look,
    /// Everything was told, and not only what is otherwise.
    whole: bool,
    /// Ids that the truth has, where everything is told.
    truth: BTreeSet<String>,
    /// What was told of; none: that it is gone.
    told: BTreeMap<String, Option<Known>>,
    /// Ids of files that changed between the look at them and their turn.
    unsaid: BTreeSet<String>,
    /// Records that this session asks to be shown again.
    asked: BTreeSet<String>,
    /// Records whose files were edited and stay so, though all is taken anew.
    aside: BTreeSet<String>,
}

impl<'a> Keep<'a> {
    /// A meeting that has not begun.
    pub fn new(
        folder: &'a Folder,
        memory: &'a mut Memory,
        now: Timestamp,
        (stop, pause): (&'a AtomicBool, &'a dyn Fn(Duration)),
        refused: &'a BTreeMap<String, (String, String)>,
    ) -> Self {
        Self {
            folder,
            memory,
            now,
            pause,
            missing: None,
            ids: None,
            takes_none: None,
            same_store: false,
            instance: None,
            refused,
            stop,
            counts: Counts::default(),
            trouble: BTreeMap::new(),
            guarded: 0,
            before: 0,
            again: 0,
            look: Look::default(),
            whole: false,
            truth: BTreeSet::new(),
            told: BTreeMap::new(),
            unsaid: BTreeSet::new(),
            asked: BTreeSet::new(),
            aside: BTreeSet::new(),
        }
    }

    /// The end of a meeting that came through. A record that was to be shown again, in this meeting or in one that was cut short, and was not
    /// is gone: an end that the copy has taken before is not shown twice.
    pub fn over(&mut self) -> Result<(), FolderError> {
        let unshown = self.memory.unshown.clone();
        for id in &unshown {
            // Where its file was edited, the next meeting tells that, or finds it as it was.
            if !matches!(self.end(id)?, Stored::Later) {
                self.memory.unshown.remove(id);
            }
        }
        if unshown == self.memory.unshown { Ok(()) } else { self.memory.save(self.folder) }
    }

    /// Looks at the folder, and at what is wrong in it.
    fn look(&mut self) -> Result<(), FolderError> {
        self.look = Look::at(self.folder, self.memory)?;
        if !self.look.missing.is_empty() {
            (self.pause)(LOOK_AGAIN_AFTER);
            self.look = Look::at(self.folder, self.memory)?;
        }
        if !Memory::is_there(self.folder)? {
            return Err(FolderError::Gone(self.folder.path().into()));
        }
        self.look.leave_refused(self.refused);
        self.trouble = self.look.unreadable();
        self.before = self.memory.deletes(self.now);
        // Who was asked is asked until there is an answer: neither time nor a few files that are back are one.
        let much = self.memory.asks || self.look.is_much_missing(self.memory.files.len(), self.before);
        let asks = much && self.missing.is_none() && self.takes_none.is_none();
        self.guarded = if asks { self.look.missing.len() } else { 0 };
        if let Some(why) = self.takes_none {
            let edited = self.look.files.iter().filter(|(_, state)| matches!(state, State::Edited(_)));
            self.trouble.extend(edited.map(|(name, _)| (name.clone(), format!("it was edited here, and {why}"))));
        }
        Ok(())
    }

    /// Whether what was not edited since is to be shown again, and not told: the folder was put back to an earlier state (a backup), and the
    /// truth, and what is agreed, went on. As edits they would undo what came since.
    fn is_put_back(&self) -> bool {
        self.whole && self.same_store && self.memory.anchor.is_some()
    }

    /// Whether files that are not there are shown again: a person said so, or nobody may delete their records.
    fn is_to_come_back(&self) -> bool {
        self.missing == Some(Missing::Restore) || self.takes_none.is_some()
    }

    /// A file as a record, as it was looked at, read when its turn comes: there may be any number of them. None: it is another one by now, and
    /// the next meeting tells it.
    fn tell(&mut self, name: &str) -> Result<Option<Record>, KeepError> {
        let (now, is_edit) = match self.look.files.get(name) {
            Some(State::Edited(now)) => (now.clone(), true),
            Some(State::InStep) => match self.memory.files.get(name) {
                Some(known) => (known.clone(), false),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let props = match (self.folder.read(name)?, file::holds(name)) {
            (Some(Found::Bytes(bytes)), Some(holds)) if file::mark(&bytes) == now.mark => file::read(holds, &bytes).ok(),
            _ => None,
        };
        let Some(props) = props else {
            self.again += 1;
            self.unsaid.insert(now.id);
            return Ok(None);
        };
        let record = self.said(&now.id, &props);
        if is_edit {
            self.told.insert(name.to_owned(), Some(now));
        }
        Ok(Some(record))
    }

    fn said(&self, id: &str, props: &Props) -> Record {
        Record { collection: self.memory.collection.clone(), id: id.to_owned(), data: raw(props) }
    }

    fn lost(&self, id: &str, again: bool) -> Change {
        Change::Lost { collection: self.memory.collection.clone(), id: id.to_owned(), again }
    }

    /// What the files of the folder are, where they are one thing.
    fn neighbours(&self) -> Option<Holds> {
        let mut all = self.memory.files.keys().filter_map(|name| file::holds(name));
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// Later: it is not as it was last in step. Where that came after the look, one more meeting takes it.
    fn later(&mut self, name: &str, mark: Option<&String>) -> Stored {
        if self.look.marks.get(name) != mark {
            self.again += 1;
        } else if mark.is_some() {
            let why = "the truth has something else for it, and it is not as it was last in step";
            self.trouble.entry(name.to_owned()).or_insert_with(|| why.into());
        }
        Stored::Later
    }

    /// Later: somebody wrote the file between the look at it and its turn.
    fn edited_meanwhile(&mut self) -> Stored {
        self.again += 1;
        Stored::Later
    }

    /// The name of a new file: the one of its id, unless a file that is another record has that.
    fn free_name(&self, holds: Holds, id: &str) -> Result<String, String> {
        let name = file::name_of(holds, id)?;
        let (mut free, mut number) = (name.clone(), 1);
        while self.memory.files.contains_key(&free) {
            number += 1;
            free = file::name_beside(holds, &name, number)?;
        }
        Ok(free)
    }

    fn pass_over(&mut self, id: &str, why: String) -> Stored {
        self.memory.passed_over.insert(id.to_owned(), why);
        Stored::Refused
    }

    fn take(&mut self, id: &str, data: &Raw) -> Result<Stored, FolderError> {
        let record = match json::parse_object(data.get()) {
            Ok(record) => record,
            Err(why) => return Ok(self.pass_over(id, why.to_string())),
        };
        let known = self.memory.file_of(id).map(|(name, known)| (name.clone(), known.clone()));
        let neighbours = || known.as_ref().map_or_else(|| self.neighbours(), |(name, _)| file::holds(name));
        let holds = match file::kind(&record, neighbours) {
            Ok(holds) => holds,
            Err(why) => return Ok(self.pass_over(id, why)),
        };
        let (name, was) = match known {
            Some((name, known)) if file::holds(&name) == Some(holds) => (name, Some(known.mark)),
            Some((name, _)) => return Ok(self.pass_over(id, format!("it was another thing before, and {name} cannot become it"))),
            None => match self.free_name(holds, id) {
                Ok(name) => (name, None),
                Err(why) => return Ok(self.pass_over(id, why)),
            },
        };
        let there = self.folder.read(&name)?;
        let mark = match &there {
            Some(Found::Bytes(bytes)) => Some(file::mark(bytes)),
            Some(Found::Odd(_)) => return Ok(Stored::Later),
            None => None,
        };
        if self.aside.contains(id) {
            return Ok(Stored::Refused);
        }
        if mark != was {
            return Ok(self.later(&name, mark.as_ref()));
        }
        let text = match &there {
            Some(Found::Bytes(bytes)) => file::turned(holds, bytes, &record),
            _ => file::made(holds, &record, id, self.now),
        };
        let shown = text.and_then(|text| Ok((file::read(holds, &text)?, text)));
        let (shown, text) = match shown {
            Ok(shown) => shown,
            Err(why) => return Ok(self.pass_over(id, why)),
        };
        let now = Known { id: id.to_owned(), mark: file::mark(&text), uid: file::uid(&shown) };
        if Some(&now.mark) != mark.as_ref() {
            Memory::will_be(self.folder, &name, Some(&now))?;
            let was = match &there {
                Some(Found::Bytes(bytes)) => Some(&bytes[..]),
                _ => None,
            };
            if !self.folder.write_over(&name, was, &text)? {
                return Ok(self.edited_meanwhile());
            }
            self.counts.written += 1;
        }
        self.memory.set(&name, Some(now));
        self.memory.passed_over.remove(id);
        let data = (shown != without_nulls(&record)).then(|| raw(&shown));
        Ok(Stored::As { data, id: None })
    }

    fn end(&mut self, id: &str) -> Result<Stored, FolderError> {
        self.memory.passed_over.remove(id);
        let Some((name, known)) = self.memory.file_of(id) else { return Ok(Stored::AsShown) };
        let (name, was) = (name.clone(), known.mark.clone());
        match self.folder.read(&name)? {
            Some(Found::Odd(_)) => return Ok(Stored::Later),
            // Gone here too: nothing is left to be said.
            None => {}
            Some(Found::Bytes(bytes)) => {
                let mark = file::mark(&bytes);
                if mark != was {
                    return Ok(self.later(&name, Some(&mark)));
                }
                Memory::will_be(self.folder, &name, None)?;
                if !self.folder.remove_was(&name, &bytes)? {
                    return Ok(self.edited_meanwhile());
                }
                self.counts.removed += 1;
            }
        }
        self.memory.set(&name, None);
        Ok(Stored::AsShown)
    }
}

fn raw(props: &Props) -> Raw {
    serde_json::value::RawValue::from_string(json::write(props)).unwrap_or_default()
}

fn without_nulls(record: &Props) -> Props {
    record.iter().filter(|(_, value)| **value != Value::Null).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Keeper for Keep<'_> {
    type Error = KeepError;

    fn anchor(&mut self) -> Result<Option<String>, KeepError> {
        self.whole = false;
        self.aside.clear();
        self.truth.clear();
        self.told.clear();
        self.unsaid.clear();
        self.asked.clear();
        Ok(self.memory.anchor.clone())
    }

    fn records<'a>(&'a mut self, _: &str) -> Result<Each<'a, Record, KeepError>, KeepError> {
        self.look()?;
        self.whole = true;
        self.truth = self.ids.map_or_else(|| Ok(BTreeSet::new()), |ids| ids())?;
        let back = self.is_put_back();
        let is_told = move |(name, state): (&String, &State)| match state {
            State::InStep => (!back).then(|| name.clone()),
            State::Edited(_) => Some(name.clone()),
            State::Unreadable { .. } => None,
        };
        let names: Vec<String> = self.look.files.iter().filter_map(is_told).collect();
        Ok(Box::new(names.into_iter().filter_map(move |name| self.tell(&name).transpose())))
    }

    fn changes<'a>(&'a mut self) -> Result<Each<'a, Change, KeepError>, KeepError> {
        if !self.whole {
            self.look()?;
        }
        let (mut edited, mut all) = (Vec::new(), Vec::new());
        for (name, state) in &self.look.files {
            match state {
                State::Edited(_) if self.takes_none.is_some() => {}
                State::Edited(_) if !self.whole => edited.push(name.clone()),
                State::InStep if self.is_put_back() => {
                    let Some(known) = self.memory.files.get(name) else { continue };
                    all.push(self.lost(&known.id, true));
                    self.asked.insert(known.id.clone());
                }
                // No word on its record's end.
                State::Unreadable { .. } if self.whole => {
                    let known = self.memory.files.get(name).map(|known| &known.id);
                    all.extend(known.map(|id| self.lost(id, false)));
                }
                _ => {}
            }
        }
        for name in &self.look.missing {
            let Some(known) = self.memory.files.get(name) else { continue };
            match self.missing {
                _ if self.guarded > 0 => all.extend(self.whole.then(|| self.lost(&known.id, false))),
                _ if self.is_to_come_back() => {
                    self.told.insert(name.clone(), None);
                    all.push(self.lost(&known.id, true));
                }
                _ => {
                    self.told.insert(name.clone(), None);
                    all.push(Change::Delete { collection: self.memory.collection.clone(), id: known.id.clone() });
                }
            }
        }
        if self.whole {
            // A memory that is older than the copy (a backup, a kill) does not know that it had them: silence would be their end.
            let there: BTreeSet<&String> = self.memory.files.values().map(|known| &known.id).collect();
            let told: BTreeSet<&String> = self.told.values().flatten().map(|now| &now.id).chain(&self.unsaid).collect();
            let lost = self.truth.iter().filter(|id| !there.contains(id) && !told.contains(id));
            all.extend(lost.map(|id| self.lost(id, true)));
            let unsaid = self.unsaid.iter().filter(|_| !planted::is("silence about what changed meanwhile"));
            all.extend(unsaid.map(|id| self.lost(id, false)));
        }
        let edited = edited.into_iter().filter_map(move |name| self.tell(&name).transpose());
        Ok(Box::new(edited.map(|one| one.map(Change::Put)).chain(all.into_iter().map(Ok))))
    }

    fn pushed(&mut self) -> Result<(), KeepError> {
        // Before the first anchor is kept: from there on nothing else says that they were asked for.
        if self.whole {
            self.memory.unshown = std::mem::take(&mut self.asked);
        }
        for (name, told) in std::mem::take(&mut self.told) {
            match (&told, self.memory.files.contains_key(&name)) {
                (Some(_), true) => self.counts.taken += 1,
                // The folder forgot it, and the truth did not.
                (Some(now), false) if self.truth.contains(&now.id) => {}
                (Some(_), false) => self.counts.new += 1,
                (None, _) if !self.is_to_come_back() => {
                    self.counts.deleted += 1;
                    self.memory.count_delete(self.now);
                }
                (None, _) => {}
            }
            if let Some(now) = &told {
                self.memory.unshown.remove(&now.id);
            }
            self.memory.set(&name, told);
        }
        if self.missing.is_some() {
            self.memory.forget_deletes();
        }
        self.memory.asks = self.guarded > 0;
        Ok(self.memory.save(self.folder)?)
    }

    fn apply(&mut self, record: &PulledRecord) -> Result<Stored, KeepError> {
        if self.stop.load(SeqCst) {
            return Err(KeepError::Stopped);
        }
        self.folder.is_there()?;
        self.memory.unshown.remove(&record.id);
        Ok(match &record.data {
            Some(data) => self.take(&record.id, data)?,
            None => self.end(&record.id)?,
        })
    }

    fn save(&mut self) -> Result<(), KeepError> {
        self.folder.sync()?;
        Ok(self.memory.save(self.folder)?)
    }

    fn keep(&mut self, anchor: &str, _: &[Renamed]) -> Result<(), KeepError> {
        self.memory.anchor = Some(anchor.to_owned());
        self.memory.instance.clone_from(&self.instance);
        Ok(self.memory.save(self.folder)?)
    }

    fn empty(&mut self, _: &str) -> Result<(), KeepError> {
        self.folder.is_there()?;
        self.look()?;
        self.memory.unshown.clear();
        for (name, state) in &self.look.files {
            let id = self.memory.files.get(name).map(|known| known.id.clone());
            if *state == State::InStep {
                // It stays until it is shown otherwise, so that no reader finds the folder empty; what is not shown is gone.
                self.memory.unshown.extend(id);
            } else {
                // An edit that nobody has taken, of a file that was there before too, is all that there is of it.
                self.aside.extend(id);
                let why = "it was edited here, and the collection is taken anew without that";
                self.trouble.entry(name.clone()).or_insert_with(|| why.into());
            }
        }
        for name in std::mem::take(&mut self.look.missing) {
            self.memory.set(&name, None);
        }
        (self.guarded, self.memory.asks) = (0, false);
        Ok(self.memory.save(self.folder)?)
    }

    fn reached(&mut self, _: Step, _: &Report) -> Result<(), KeepError> {
        if self.stop.load(SeqCst) { Err(KeepError::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
