//! Owns: what a folder tells of files that change while it tells. Must never know: how a session goes.

use std::{fs, path::Path};

use super::*;

const TEXT: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:Jane\r\nEND:VCARD\r\n";

/// A folder with a file that was in step, in a meeting; what is done while it pauses.
fn with_keep<T>(in_pause: impl Fn(&Path), test: impl FnOnce(&mut Keep<'_>, &Path) -> T) -> T {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::open(dir.path()).expect("opened");
    let mut memory = Memory::new(&folder, "app", "c");
    memory.set("a.vcf", Some(Known { id: "a".into(), mark: file::mark(TEXT.as_bytes()), uid: None }));
    memory.save(&folder).expect("saved");
    let pause = |_| in_pause(dir.path());
    let (stop, refused) = (AtomicBool::new(false), BTreeMap::new());
    let mut keep = Keep::new(&folder, &mut memory, Timestamp::from_unix_ms(0), (&stop, &pause), &refused);
    test(&mut keep, dir.path())
}

/// A file that was in step is gone, and comes back while it is waited for, or does not: how many deletes are told.
#[track_caller]
fn check(comes_back: bool, expect: usize) {
    let in_pause = |dir: &Path| {
        if comes_back {
            fs::write(dir.join("a.vcf"), TEXT).expect("written");
        }
    };
    let told = with_keep(in_pause, |keep, _| {
        keep.changes().expect("told").filter(|change| matches!(change, Ok(Change::Delete { .. }))).count()
    });
    assert_eq!(told, expect);
}

#[test]
fn a_file_is_looked_for_twice_before_it_counts_as_deleted() {
    check(true, 0);
    check(false, 1);
}

/// Where everything is told, silence is a delete: so of a file that is another one when its turn comes, or gone, it is said that nothing is
/// said of it.
#[test]
fn what_changes_between_the_look_and_its_turn_is_no_delete() {
    for then in [None, Some("BEGIN:VCARD\r\n"), Some(&*TEXT.replace("Jane", "Joe"))] {
        with_keep(
            |_| {},
            |keep, dir| {
                fs::write(dir.join("a.vcf"), TEXT).expect("written");
                let mut records = keep.records("c").expect("looked at");
                match then {
                    Some(text) => fs::write(dir.join("a.vcf"), text).expect("written"),
                    None => fs::remove_file(dir.join("a.vcf")).expect("removed"),
                }
                assert!(records.next().is_none(), "{then:?}");
                drop(records);
                let told: Vec<Change> = keep.changes().expect("told").map(|change| change.expect("told")).collect();
                assert!(matches!(&told[..], [Change::Lost { id, again: false, .. }] if id == "a"), "{then:?}: {told:?}");
                assert_eq!(keep.again, 1, "another meeting is due");
            },
        );
    }
}

/// The test above finds the bug that is planted here.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    planted::set_here(Some("silence about what changed meanwhile"));
    let found = std::panic::catch_unwind(what_changes_between_the_look_and_its_turn_is_no_delete).is_err();
    planted::set_here(None);
    assert!(found);
}
