//! Owns: what a folder remembers of itself, in the folder, so that a kill at any moment leaves nothing that is taken for an edit, and no
//! edit that is not. Must never know: what a record is, how a session goes.
//!
//! The memory is one file, put in place whole. What is written between two of these stands in a journal before it is done: after a kill a
//! file that is as the journal says is ours, and any other is not. A power cut is no kill: the journal is not flushed before it is acted on,
//! so what was written and removed since the last memory may then be taken for edits and deletes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use mingle_core::{planted, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    file,
    folder::{Folder, FolderError, Found},
    limits::DELETES_WINDOW,
};

const MEMORY: &str = ".mingle.json";
const JOURNAL: &str = ".mingle.journal";
/// A memory that could not be read is kept under this name.
const BROKEN: &str = ".mingle.broken";
/// The form of the memory; another one is not read.
const FORM: u32 = 1;

/// A file that was in step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The id of its record.
    pub id: String,
    /// The mark of its text, as it was last in step.
    pub mark: String,
    /// What its text says that it is, wherever it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// What a folder remembers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    form: u32,
    /// The name of the app that the folder is.
    pub app: String,
    /// The collection that it is a copy of.
    pub collection: String,
    /// Where the folder was.
    folder: PathBuf,
    /// The store that it was last in step with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Where the copy stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// What was in step, by the name of the file.
    pub files: BTreeMap<String, Known>,
    /// The same by id.
    #[serde(skip)]
    ids: BTreeMap<String, String>,
    /// Records that the truth is to show again: what it has not shown when a meeting is through is gone. It outlives the meeting that asked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unshown: BTreeSet<String>,
    /// Records that have no file, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, String>,
    /// When files were taken for deleted without a word of a person, since 1970: those of [`DELETES_WINDOW`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deleted_ms: Vec<i64>,
    /// A person is asked what it means that files are not there; it stays so until there is an answer, or they are back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
    /// The mark of what is on the disk; none: it was not put there since it was read.
    #[serde(skip)]
    saved: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    file: String,
    known: Option<Known>,
}

impl Memory {
    /// Of a folder that begins.
    pub fn new(folder: &Folder, app: &str, collection: &str) -> Self {
        let (app, collection) = (app.to_owned(), collection.to_owned());
        Self { form: FORM, app, collection, folder: folder.path().into(), ..Self::default() }
    }

    /// What the folder remembers; none: nothing.
    pub fn load(folder: &Folder, collection: &str) -> Result<Option<Self>, FolderError> {
        let mut memory = Self::read(folder.path(), folder.own(MEMORY)?)?;
        // First: nothing is moved in a folder that is not ours.
        if let Some(memory) = &mut memory {
            memory.is_of(folder, collection)?;
        }
        let lines = Self::settle(folder, memory.as_ref())?;
        let Some(mut memory) = memory else { return Ok(None) };
        for line in lines {
            let now = match folder.read(&line.file)? {
                Some(Found::Bytes(bytes)) => Some(file::mark(&bytes)),
                Some(Found::Odd(_)) => continue,
                None => None,
            };
            if now.as_ref() == line.known.as_ref().map(|known| &known.mark) {
                memory.set(&line.file, line.known);
            }
        }
        Ok(Some(memory))
    }

    /// Whether it is the memory of this folder, as the copy of this collection. A folder that was moved is the same one.
    fn is_of(&mut self, folder: &Folder, collection: &str) -> Result<(), FolderError> {
        let path = || folder.path().to_owned();
        if self.collection != collection {
            return Err(FolderError::Other { path: path(), holds: self.collection.clone(), wanted: collection.into() });
        }
        if self.folder != folder.path() {
            let there = std::fs::read(self.folder.join(MEMORY)).ok().map(Found::Bytes);
            if Self::read(&self.folder, there).is_ok_and(|other| other.is_some_and(|other| other.app == self.app)) {
                return Err(FolderError::Copied { path: path(), of: self.folder.clone() });
            }
            self.folder = path();
        }
        Ok(())
    }

    /// What the journal says, once whatever a kill left in the midst of its last line is settled.
    fn settle(folder: &Folder, memory: Option<&Self>) -> Result<Vec<Line>, FolderError> {
        let lines: Vec<Line> = match folder.own(JOURNAL)? {
            Some(Found::Odd(why)) => return Err(FolderError::Broken { path: folder.path().join(JOURNAL), why }),
            // Half a line was never acted on.
            Some(Found::Bytes(bytes)) => {
                String::from_utf8_lossy(&bytes).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
            }
            None => Vec::new(),
        };
        if folder.is_unsettled() {
            let known = memory.into_iter().flat_map(|memory| memory.files.values());
            let marks: BTreeSet<&String> =
                known.chain(lines.iter().filter_map(|line| line.known.as_ref())).map(|known| &known.mark).collect();
            folder.settle(lines.last().map(|line| line.file.as_str()), &|bytes| marks.contains(&file::mark(bytes)))?;
        }
        Ok(lines)
    }

    fn read(folder: &Path, found: Option<Found>) -> Result<Option<Self>, FolderError> {
        let broken = |why: String| FolderError::Broken { path: folder.join(MEMORY), why };
        let mut memory: Self = match found {
            None => return Ok(None),
            Some(Found::Odd(why)) => return Err(broken(why)),
            Some(Found::Bytes(bytes)) => serde_json::from_slice(&bytes).map_err(|why| broken(why.to_string()))?,
        };
        if memory.form != FORM {
            return Err(broken(format!("it has form {}, of another release", memory.form)));
        }
        memory.ids = memory.files.iter().map(|(file, known)| (known.id.clone(), file.clone())).collect();
        Ok(Some(memory))
    }

    /// Lays aside one that cannot be read.
    pub fn lay_aside(folder: &Folder) -> Result<(), FolderError> {
        if let Some(Found::Bytes(bytes)) = folder.own(MEMORY)? {
            folder.write(BROKEN, &bytes)?;
        }
        Self::settle(folder, None)?;
        folder.remove(MEMORY)?;
        folder.remove(JOURNAL)
    }

    /// Whether the folder still has one.
    pub fn is_there(folder: &Folder) -> Result<bool, FolderError> {
        Ok(folder.own(MEMORY)?.is_some())
    }

    /// Puts it on the disk, where that has another one.
    pub fn save(&mut self, folder: &Folder) -> Result<(), FolderError> {
        let text = serde_json::to_vec(self)
            .map_err(|why| FolderError::Io { path: folder.path().join(MEMORY), why: std::io::Error::other(why) })?;
        let mark = file::mark(&text);
        // Before the journal goes: what it says is in here.
        if self.saved.as_ref() != Some(&mark) {
            folder.write(MEMORY, &text)?;
            folder.sync()?;
            self.saved = Some(mark);
        }
        folder.remove(JOURNAL)
    }

    /// Says before it is done what becomes of a file; none: it goes.
    pub fn will_be(folder: &Folder, file: &str, known: Option<&Known>) -> Result<(), FolderError> {
        let line = Line { file: file.to_owned(), known: known.cloned() };
        let text = serde_json::to_string(&line)
            .map_err(|why| FolderError::Io { path: folder.path().join(JOURNAL), why: std::io::Error::other(why) })?;
        folder.add(JOURNAL, &format!("{text}\n"))
    }

    /// A file is in step so; none: it is no more.
    pub fn set(&mut self, file: &str, known: Option<Known>) {
        if let Some(was) = self.files.remove(file)
            && self.ids.get(&was.id).is_some_and(|of| of == file)
        {
            self.ids.remove(&was.id);
        }
        if let Some(known) = known {
            self.ids.insert(known.id.clone(), file.to_owned());
            self.files.insert(file.to_owned(), known);
        }
    }

    /// A file was taken for deleted, and nobody had said so.
    pub fn count_delete(&mut self, now: Timestamp) {
        self.deleted_ms.push(now.unix_ms());
    }

    /// A person said what the deletes mean: they count no more.
    pub fn forget_deletes(&mut self) {
        self.deleted_ms.clear();
    }

    /// How many there were in the last while.
    pub fn deletes(&mut self, now: Timestamp) -> usize {
        // One of a time to come was counted before the clock was set back.
        self.deleted_ms.iter_mut().for_each(|at| *at = (*at).min(now.unix_ms()));
        self.deleted_ms.retain(|at| now.since(Timestamp::from_unix_ms(*at)) < DELETES_WINDOW);
        if planted::is("deletes are counted at one look") { 0 } else { self.deleted_ms.len() }
    }

    /// The file of a record.
    pub fn file_of(&self, id: &str) -> Option<(&String, &Known)> {
        self.files.get_key_value(self.ids.get(id)?)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;

    fn known(id: &str, text: &str) -> Known {
        Known { id: id.into(), mark: file::mark(text.as_bytes()), uid: None }
    }

    /// A folder with `a.vcf`, that was in step as `old`; then what a process says in its journal and does before it is killed. What it
    /// remembers of that file afterwards: as it was, as it was to be, or nothing.
    #[track_caller]
    fn check(says: Option<Option<&str>>, does: Option<&str>, expect: Option<&str>) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        fs::write(dir.path().join("a.vcf"), "old").expect("written");
        let mut memory = Memory::new(&folder, "app", "c");
        memory.set("a.vcf", Some(known("a", "old")));
        memory.save(&folder).expect("saved");
        if let Some(says) = says {
            Memory::will_be(&folder, "a.vcf", says.map(|text| known("a", text)).as_ref()).expect("said");
        }
        match does {
            Some(text) => fs::write(dir.path().join("a.vcf"), text).expect("written"),
            None => fs::remove_file(dir.path().join("a.vcf")).expect("removed"),
        }
        // Killed in the midst of the next line.
        folder.add(JOURNAL, "{\"file\":\"a.v").expect("half a line");
        let memory = Memory::load(&folder, "c").expect("read").expect("there");
        assert_eq!(memory.files.get("a.vcf"), expect.map(|text| known("a", text)).as_ref(), "{says:?} {does:?}");
        assert_eq!(memory.file_of("a").is_some(), expect.is_some());
    }

    #[test]
    fn after_a_kill_what_we_wrote_is_ours_and_nothing_else_is() {
        check(None, Some("old"), Some("old"));
        // Said, and not done; said and done; said, and somebody did something else.
        check(Some(Some("new")), Some("old"), Some("old"));
        check(Some(Some("new")), Some("new"), Some("new"));
        check(Some(Some("new")), Some("edited"), Some("old"));
        check(Some(None), Some("old"), Some("old"));
        check(Some(None), None, None);
        check(Some(Some("new")), None, Some("old"));
        // Nothing was said: it was somebody else.
        check(None, None, Some("old"));
        check(None, Some("edited"), Some("old"));
    }

    #[test]
    fn what_is_on_the_disk_is_not_written_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        let mut memory = Memory::new(&folder, "app", "c");
        let mut saved = |change: &dyn Fn(&mut Memory)| {
            change(&mut memory);
            Memory::will_be(&folder, "a.vcf", None).expect("said");
            memory.save(&folder).expect("saved");
            assert!(!dir.path().join(JOURNAL).exists(), "what was said is over");
            fs::metadata(dir.path().join(MEMORY)).expect("a memory").ino()
        };
        let first = saved(&|_| {});
        assert_eq!(saved(&|_| {}), first);
        let second = saved(&|memory| memory.set("a.vcf", Some(known("a", "text"))));
        assert_ne!(second, first);
        assert_eq!(saved(&|_| {}), second);
    }

    #[test]
    fn deletes_are_counted_for_a_while_and_over_restarts() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        let at = |minutes: i64| Timestamp::from_unix_ms(minutes * 60_000);
        let mut memory = Memory::new(&folder, "app", "c");
        [10, 30, 200].into_iter().for_each(|minutes| memory.count_delete(at(minutes)));
        memory.save(&folder).expect("saved");
        let mut memory = Memory::load(&folder, "c").expect("read").expect("there");
        // The clock was set back meanwhile: what was counted then was counted now.
        assert_eq!(memory.deletes(at(60)), 3);
        assert_eq!(memory.deletes(at(89)), 2);
        assert_eq!(memory.deletes(at(119)), 1);
        assert_eq!(memory.deletes(at(120)), 0);
        memory.count_delete(at(121));
        memory.forget_deletes();
        assert_eq!(memory.deletes(at(121)), 0);
    }

    /// The table above finds the bug that is planted here.
    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("deletes are counted at one look"));
        let found = std::panic::catch_unwind(deletes_are_counted_for_a_while_and_over_restarts).is_err();
        planted::set_here(None);
        assert!(found);
    }

    #[test]
    fn one_that_cannot_be_meant_is_refused() {
        #[track_caller]
        fn check(text: &str, collection: &str, expect: &str) {
            let dir = tempfile::tempdir().expect("a folder");
            let folder = Folder::open(dir.path()).expect("opened");
            fs::write(dir.path().join(MEMORY), text).expect("written");
            let error = Memory::load(&folder, collection).expect_err("refused").to_string();
            assert!(error.contains(expect), "{error}");
        }
        let good = r#"{"form":1,"app":"a","collection":"c","folder":"/nowhere","files":{}}"#;
        check("", "c", "cannot be read");
        check(&good[..40], "c", "cannot be read");
        check(&good.replace("1", "2"), "c", "form 2");
        check(good, "d", "holds c, and not d");
    }

    #[test]
    fn a_folder_that_is_refused_is_left_as_it_is() {
        #[track_caller]
        fn check(copied: bool, collection: &str, expect: &str) {
            let (dir, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
            let (folder, of) = (Folder::open(dir.path()).expect("opened"), Folder::open(other.path()).expect("opened"));
            Memory::new(if copied { &of } else { &folder }, "app", "c").save(&of).expect("saved");
            let memory = fs::read(other.path().join(MEMORY)).expect("its memory");
            fs::write(dir.path().join(MEMORY), memory).expect("copied");
            // Killed between two names.
            fs::write(dir.path().join(".mingle.out"), "an edit").expect("written");
            folder.add(JOURNAL, "{\"file\":\"a.vcf\",\"known\":null}\n").expect("said");
            let names = || folder.names().expect("names");
            let before = names();
            let error = Memory::load(&folder, collection).expect_err("refused").to_string();
            assert!(error.contains(expect), "{error}");
            assert_eq!(names(), before, "{expect}");
        }
        check(false, "d", "holds c, and not d");
        check(true, "c", "is a copy of");
    }

    #[test]
    fn one_process_has_a_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Folder::open(dir.path()).expect("opened");
        assert!(matches!(Folder::open(dir.path()), Err(FolderError::Taken(_))));
        drop(first);
        Folder::open(dir.path()).expect("free again");
    }

    #[test]
    fn one_that_is_larger_than_a_file_may_be_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        let mut memory = Memory::new(&folder, "app", "c");
        memory.passed_over.insert("a".into(), "x".repeat(usize::try_from(crate::limits::FILE_BYTES_MAX).expect("a size")));
        memory.save(&folder).expect("saved");
        fs::write(dir.path().join("a.vcf"), "new").expect("written");
        let long = known(&"y".repeat(usize::try_from(crate::limits::FILE_BYTES_MAX).expect("a size")), "other");
        Memory::will_be(&folder, "b.vcf", Some(&long)).expect("said");
        Memory::will_be(&folder, "a.vcf", Some(&known("a", "new"))).expect("said");
        let memory = Memory::load(&folder, "c").expect("read").expect("there");
        assert_eq!(memory.files.get("a.vcf"), Some(&known("a", "new")));
    }
}
