//! Owns: what a look at the folder shows, held against what it remembers: what is as it was, what was edited, what is missing, and what
//! cannot be read. Must never know: sessions; what is done about any of it.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{limits::deletes_max, planted};

use crate::{
    file,
    folder::{Folder, FolderError, Found},
    memory::{Known, Memory},
};

/// One file that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// As it was last in step.
    InStep,
    /// Somebody wrote it: as it is in step from here on.
    Edited(Known),
    /// It cannot be taken.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// A file that the memory does not know: its mark, and its UID, or why it cannot be read. No texts: there may be any number of them.
type New = (String, String, Result<Option<String>, String>);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Each file that is there.
    pub files: BTreeMap<String, State>,
    /// The marks of all that could be read at all.
    pub marks: BTreeMap<String, String>,
    /// Files that were in step and are not there.
    pub missing: Vec<String>,
}

impl Look {
    /// Looks. A file that was renamed keeps its id in the memory.
    pub fn at(folder: &Folder, memory: &mut Memory) -> Result<Self, FolderError> {
        let mut look = Self::default();
        let mut new = Vec::new();
        for name in folder.names()? {
            let Some(holds) = file::holds(&name) else {
                if file::is_kept(&name) {
                    let why = "an edit that was made while another one came; take from it what you miss, and remove it";
                    look.files.insert(name, State::Unreadable { why: why.into() });
                }
                continue;
            };
            let (known, found) = (memory.files.get(&name), folder.read(&name)?);
            let state = match found {
                None => continue,
                Some(Found::Odd(why)) => State::Unreadable { why },
                Some(Found::Bytes(bytes)) => {
                    let mark = file::mark(&bytes);
                    look.marks.insert(name.clone(), mark.clone());
                    let uid = || file::read(holds, &bytes).map(|props| file::uid(&props));
                    match known {
                        Some(known) if known.mark == mark => State::InStep,
                        Some(known) => match uid() {
                            Ok(uid) => State::Edited(Known { id: known.id.clone(), mark, uid }),
                            Err(why) => State::Unreadable { why },
                        },
                        None => {
                            let uid = uid();
                            new.push((name, mark, uid));
                            continue;
                        }
                    }
                }
            };
            look.files.insert(name, state);
        }
        look.missing = memory.files.keys().filter(|name| !look.files.contains_key(*name)).cloned().collect();
        look.take_new(memory, new);
        Ok(look)
    }

    fn take_new(&mut self, memory: &mut Memory, new: Vec<New>) {
        let uid_of = |state: &State, known: Option<&Known>| match state {
            State::Edited(now) => now.uid.clone(),
            _ => known.and_then(|known| known.uid.clone()),
        };
        let there = self.files.iter();
        let mut uids: BTreeMap<String, String> =
            there.filter_map(|(name, state)| Some((uid_of(state, memory.files.get(name))?, name.clone()))).collect();
        let mut ids: BTreeSet<String> = self.files.keys().filter_map(|name| Some(memory.files.get(name)?.id.clone())).collect();
        for (name, mark, uid) in new {
            let Some(holds) = file::holds(&name) else { continue };
            let state = match uid {
                Err(why) => State::Unreadable { why },
                Ok(uid) => {
                    let twin = uid.as_ref().and_then(|uid| uids.get(uid));
                    if let Some(twin) = twin {
                        State::Unreadable { why: format!("it has the UID of {twin}; give one of them another") }
                    } else {
                        let id = self.renamed(memory, &name, &mark, uid.as_deref());
                        let id = id.unwrap_or_else(|| file::id_of(holds, &name));
                        if ids.contains(&id) {
                            State::Unreadable { why: "its name is that of another one, written otherwise; rename it".into() }
                        } else if memory.files.get(&name).is_some_and(|known| known.mark == mark) {
                            State::InStep
                        } else {
                            State::Edited(Known { id, mark, uid })
                        }
                    }
                }
            };
            if let Some(uid) = uid_of(&state, memory.files.get(&name)) {
                uids.insert(uid, name.clone());
            }
            if let State::Edited(now) = &state {
                ids.insert(now.id.clone());
            }
            self.files.insert(name, state);
        }
    }

    /// The id of the file that has this name now; none: it is a new one.
    fn renamed(&mut self, memory: &mut Memory, name: &str, mark: &str, uid: Option<&str>) -> Option<String> {
        let is_it = |one: &String| {
            let same = |known: &Known| known.mark == mark || (uid.is_some() && known.uid.as_deref() == uid);
            file::holds(one) == file::holds(name) && memory.files.get(one).is_some_and(same)
        };
        let at = self.missing.iter().position(is_it).filter(|_| !planted::is("renamed is deleted and new"))?;
        let was = self.missing.remove(at);
        let known = memory.files.get(&was).cloned();
        memory.set(&was, None);
        memory.set(name, known.clone());
        known.map(|known| known.id)
    }

    /// Whether something was edited, or is missing.
    pub fn differs(&self) -> bool {
        !self.missing.is_empty() || self.files.values().any(|state| matches!(state, State::Edited(_)))
    }

    /// What cannot be taken, and why.
    pub fn unreadable(&self) -> BTreeMap<String, String> {
        let all = self.files.iter().filter_map(|(name, state)| match state {
            State::Unreadable { why } => Some((name.clone(), why.clone())),
            _ => None,
        });
        all.collect()
    }

    /// Takes what the daemon refused (by file: its mark then, and why) for what it is, as long as it is the same.
    pub fn leave_refused(&mut self, refused: &BTreeMap<String, (String, String)>) {
        for (name, state) in &mut self.files {
            if let State::Edited(now) = state
                && let Some((_, why)) = refused.get(name).filter(|(mark, _)| *mark == now.mark)
            {
                *state = State::Unreadable { why: why.clone() };
            }
        }
    }

    /// Whether so much is missing, of so many that are known and after so many that went before, that a person is asked first: more than may
    /// be deleted without a word, or all there was.
    pub fn is_much_missing(&self, known: usize, before: usize) -> bool {
        let missing = self.missing.len();
        let all = missing == known && missing > 1;
        let many = missing > 0 && (missing + before) as u64 > deletes_max((known + before) as u64);
        (all || many) && !planted::is("missing files are deletes")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn card(uid: &str, name: &str) -> String {
        format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nEND:VCARD\r\n")
    }

    /// A folder, with what it remembers of these files (name, uid).
    fn folder(dir: &tempfile::TempDir, known: &[(&str, &str)]) -> (Folder, Memory) {
        let folder = Folder::open(dir.path()).expect("a folder");
        let mut memory = Memory::new(&folder, "a", "c");
        for (name, uid) in known {
            let text = card(uid, "Jane");
            fs::write(dir.path().join(name), &text).expect("written");
            let id = file::id_of(mingle_text::Holds::Cards, name);
            memory.set(name, Some(Known { id, mark: file::mark(text.as_bytes()), uid: Some((*uid).to_owned()) }));
        }
        (folder, memory)
    }

    /// After this was done: each file with what it is, then what is missing.
    #[track_caller]
    fn check(known: &[(&str, &str)], done: impl FnOnce(&std::path::Path), expect: &str) {
        let dir = tempfile::tempdir().expect("a folder");
        let (folder, mut memory) = folder(&dir, known);
        done(dir.path());
        let look = Look::at(&folder, &mut memory).expect("looked at");
        let mut told: Vec<String> = look
            .files
            .iter()
            .map(|(name, state)| match state {
                State::InStep => format!("{name} in step as {}", memory.files[name].id),
                State::Edited(now) => format!("{name} edited as {}", now.id),
                State::Unreadable { why } => format!("{name}: {why}"),
            })
            .collect();
        told.extend(look.missing.iter().map(|name| format!("no {name}")));
        assert_eq!(told.join("; "), expect);
    }

    #[test]
    fn what_was_done_to_the_files_is_seen() {
        let write =
            |name: &'static str, text: String| move |dir: &std::path::Path| fs::write(dir.join(name), text).expect("written");
        let rename = |from: &'static str, to: &'static str| {
            move |dir: &std::path::Path| fs::rename(dir.join(from), dir.join(to)).expect("renamed")
        };
        let jane = &[("a.vcf", "u")];
        check(jane, |_| {}, "a.vcf in step as a");
        check(jane, write("a.vcf", card("u", "Joe")), "a.vcf edited as a");
        check(jane, write("b.vcf", card("v", "Joe")), "a.vcf in step as a; b.vcf edited as b");
        check(jane, write("a.vcf", "BEGIN:VCARD\r\n".into()), "a.vcf: it ends in the midst");
        check(jane, |dir| fs::remove_file(dir.join("a.vcf")).expect("removed"), "no a.vcf");
        // Renamed, also with an edit, it is the same one.
        check(jane, rename("a.vcf", "b.vcf"), "b.vcf in step as a");
        check(
            jane,
            |dir| {
                fs::remove_file(dir.join("a.vcf")).expect("removed");
                fs::write(dir.join("b.vcf"), card("u", "Joe")).expect("written");
            },
            "b.vcf edited as a",
        );
        // A copy is none.
        check(
            jane,
            write("b.vcf", card("u", "Joe")),
            "a.vcf in step as a; b.vcf: it has the UID of a.vcf; give one of them another",
        );
        // What is kept of two edits is told until it is gone.
        check(
            jane,
            write("a.vcf.kept", card("u", "Joe")),
            "a.vcf in step as a; a.vcf.kept: an edit that was made while another one came; take from it what you miss, and remove it",
        );
        check(jane, write("a.txt.kept", card("u", "Joe")), "a.vcf in step as a");
        // Other names are not looked at; nor are folders taken for files.
        check(jane, write(".b.vcf", card("v", "Joe")), "a.vcf in step as a");
        check(jane, write("b.vcf.tmp", card("v", "Joe")), "a.vcf in step as a");
        check(jane, |dir| fs::create_dir(dir.join("b.vcf")).expect("made"), "a.vcf in step as a; b.vcf: it is no file");
        check(
            &[("a.vcf", "u"), ("b.vcf", "v")],
            |dir| {
                fs::rename(dir.join("a.vcf"), dir.join("t")).expect("renamed");
                fs::rename(dir.join("b.vcf"), dir.join("a.vcf")).expect("renamed");
                fs::rename(dir.join("t"), dir.join("b.vcf")).expect("renamed");
            },
            "a.vcf edited as a; b.vcf edited as b",
        );
    }

    #[test]
    fn much_is_all_or_more_than_one_may_delete_without_a_word() {
        #[track_caller]
        fn check(missing: usize, (known, before): (usize, usize), expect: bool) {
            let look = Look { missing: vec![String::new(); missing], ..Look::default() };
            assert_eq!(look.is_much_missing(known, before), expect, "{missing} of {known} after {before}");
        }
        check(0, (0, 0), false);
        check(1, (1, 0), false);
        check(2, (2, 0), true);
        check(2, (3, 0), false);
        check(10, (11, 0), false);
        check(11, (12, 0), true);
        check(11, (55, 0), false);
        check(12, (55, 0), true);
        // One by one they are as many.
        check(1, (3, 9), false);
        check(1, (45, 10), false);
        check(1, (44, 11), true);
        check(1, (40, 10), true);
        check(0, (40, 20), false);
    }

    /// The tables above find each bug that is planted here.
    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("missing files are deletes"));
        let much = std::panic::catch_unwind(much_is_all_or_more_than_one_may_delete_without_a_word).is_ok();
        planted::set_here(Some("renamed is deleted and new"));
        let renamed = std::panic::catch_unwind(what_was_done_to_the_files_is_seen).is_ok();
        planted::set_here(None);
        assert!(!much && !renamed, "{much} {renamed}");
    }
}
