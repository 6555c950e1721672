//! Owns: what a disk can look like after a power cut: everything that was synced, and any part of what was not. Must never know: what is
//! in the files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use mingle_tests::chance::Chance;

/// Writes are torn at borders of these many bytes.
const SECTOR: usize = 512;

/// What happened, in order: as `shim.c` wrote it down.
#[derive(Clone, Debug)]
pub enum Change {
    Created(PathBuf),
    Written(PathBuf, usize, Vec<u8>),
    Cut(PathBuf, usize),
    Synced(PathBuf),
    Removed(PathBuf),
    Renamed(PathBuf, PathBuf),
    /// So many writes were acknowledged by then; a test writes this itself.
    Acknowledged(usize),
}

/// A line of a record that says that so many writes were acknowledged.
pub fn acknowledged(count: usize) -> Vec<u8> {
    let mut line = vec![b'A', 0, 0];
    line.extend(i64::try_from(count).expect("few").to_ne_bytes());
    line.extend(0_i64.to_ne_bytes());
    line
}

/// Reads a record.
pub fn changes(record: &Path) -> Vec<Change> {
    let bytes = fs::read(record).expect("the record of a disk");
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_le_bytes([rest[1], rest[2]]));
        let path = PathBuf::from(String::from_utf8_lossy(&rest[3..3 + length]).into_owned());
        let number = |at: usize| i64::from_ne_bytes(rest[3 + length + at..][..8].try_into().expect("eight bytes"));
        let (first, second) = (number(0), number(8));
        let size = |number: i64| usize::try_from(number).expect("a place in a file");
        let kind = rest[0];
        let data = if matches!(kind, b'W' | b'R') { size(second) } else { 0 };
        let body = rest[3 + length + 16..][..data].to_vec();
        rest = &rest[3 + length + 16 + data..];
        found.push(match kind {
            b'C' => Change::Created(path),
            b'W' => Change::Written(path, size(first), body),
            b'T' => Change::Cut(path, size(first)),
            b'S' => Change::Synced(path),
            b'U' => Change::Removed(path),
            b'R' => Change::Renamed(path, PathBuf::from(String::from_utf8_lossy(&body).into_owned())),
            b'A' => Change::Acknowledged(size(first)),
            other => panic!("{other} is no change"),
        });
    }
    found
}

/// How much of what was not synced is there after the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    Everything,
    /// Any part: writes left out, or torn, later ones without earlier ones.
    Some(u64),
}

#[derive(Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Default)]
struct Body {
    synced: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone)]
enum Entry {
    Made(PathBuf, usize),
    Gone(PathBuf),
}

/// A disk in the middle of its work.
#[derive(Clone, Default)]
pub struct Disk {
    bodies: Vec<Body>,
    /// As the process sees it.
    names: BTreeMap<PathBuf, usize>,
    /// As the disk has it.
    synced: BTreeMap<PathBuf, usize>,
    entries: Vec<Entry>,
}

fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn apply(bytes: &mut Vec<u8>, pending: &Pending) {
    match pending {
        Pending::Write(at, data) => write(bytes, *at, data),
        Pending::Cut(length) => bytes.resize(*length, 0),
    }
}

fn enter(names: &mut BTreeMap<PathBuf, usize>, entry: &Entry) {
    match entry {
        Entry::Made(path, body) => names.insert(path.clone(), *body),
        Entry::Gone(path) => names.remove(path),
    };
}

impl Disk {
    /// One more change.
    pub fn take(&mut self, change: &Change) {
        match change {
            Change::Created(path) => {
                self.bodies.push(Body::default());
                self.entry(Entry::Made(path.clone(), self.bodies.len() - 1));
            }
            Change::Removed(path) => self.entry(Entry::Gone(path.clone())),
            Change::Renamed(from, to) => {
                if let Some(body) = self.names.get(from).copied() {
                    self.entry(Entry::Gone(from.clone()));
                    self.entry(Entry::Made(to.clone(), body));
                }
            }
            Change::Written(path, at, data) => self.change(path, Pending::Write(*at, data.clone())),
            Change::Cut(path, length) => self.change(path, Pending::Cut(*length)),
            Change::Synced(path) => match self.names.get(path) {
                Some(body) => {
                    let body = &mut self.bodies[*body];
                    for pending in std::mem::take(&mut body.pending) {
                        apply(&mut body.synced, &pending);
                    }
                }
                // The folder: its entries.
                None => {
                    for entry in std::mem::take(&mut self.entries) {
                        enter(&mut self.synced, &entry);
                    }
                }
            },
            Change::Acknowledged(_) => {}
        }
    }

    fn entry(&mut self, entry: Entry) {
        enter(&mut self.names, &entry);
        self.entries.push(entry);
    }

    fn change(&mut self, path: &Path, pending: Pending) {
        // A file that has no name any more is not found by anybody either.
        if let Some(body) = self.names.get(path) {
            self.bodies[*body].pending.push(pending);
        }
    }

    /// What a cut leaves now.
    pub fn cut(&self, kept: Kept) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut chance = Chance::new(if let Kept::Some(seed) = kept { seed } else { 0 });
        let mut names = self.synced.clone();
        let count = match kept {
            Kept::Nothing => 0,
            Kept::Everything => self.entries.len(),
            Kept::Some(_) => usize::try_from(chance.below(self.entries.len() as u64 + 1)).expect("few"),
        };
        self.entries[..count].iter().for_each(|entry| enter(&mut names, entry));
        let mut body = |number: &usize| {
            let body = &self.bodies[*number];
            let mut bytes = body.synced.clone();
            for pending in &body.pending {
                match kept {
                    Kept::Nothing => {}
                    Kept::Everything => apply(&mut bytes, pending),
                    Kept::Some(_) => match (chance.below(10), pending) {
                        (0..4, _) => apply(&mut bytes, pending),
                        (4..7, Pending::Write(at, data)) => {
                            for (sector, part) in data.chunks(SECTOR).enumerate() {
                                if chance.below(2) == 0 {
                                    write(&mut bytes, at + sector * SECTOR, part);
                                }
                            }
                        }
                        _ => {}
                    },
                }
            }
            bytes
        };
        names.iter().map(|(path, number)| (path.clone(), body(number))).collect()
    }
}

#[test]
fn a_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    let (folder, file) = (PathBuf::from("/f"), PathBuf::from("/f/a"));
    let mut disk = Disk::default();
    disk.take(&Change::Created(file.clone()));
    disk.take(&Change::Written(file.clone(), 0, vec![1; 1_024]));
    assert_eq!(disk.cut(Kept::Nothing).len(), 0);
    disk.take(&Change::Synced(folder));
    assert_eq!(disk.cut(Kept::Nothing)[&file], Vec::<u8>::new());
    disk.take(&Change::Synced(file.clone()));
    disk.take(&Change::Written(file.clone(), 0, vec![2; 1_024]));
    assert_eq!(disk.cut(Kept::Nothing)[&file], vec![1; 1_024]);
    assert_eq!(disk.cut(Kept::Everything)[&file], vec![2; 1_024]);
    let mut seen: Vec<(u8, u8)> =
        (0..200).map(|seed| disk.cut(Kept::Some(seed))[&file].clone()).map(|b| (b[0], b[512])).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)], "whole, not at all, and torn either way");
    disk.take(&Change::Removed(file.clone()));
    assert_eq!(disk.cut(Kept::Nothing).len(), 1);
    assert_eq!(disk.cut(Kept::Everything).len(), 0);
}
