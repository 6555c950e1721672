//! Owns: what a folder tells of files that change while it tells, and what it knows after a meeting that was cut short. Must never know: how a
//! session goes.

use std::{fs, path::Path};

use mingle_client::call::ChangeKind;

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

/// What comes after a meeting that was cut short.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// The record is shown.
    Shown,
    /// It is not: it is gone.
    Silent,
    /// It is not, and the system keeps its file from going at first.
    Refused,
    /// Somebody edited the file before the next meeting.
    Edited,
    /// Somebody does so in the midst of it.
    EditedLate,
}

/// A folder asks to be shown its file again: it was put back, or all is taken anew. It is killed once a page of the rest is agreed; then
/// comes another meeting. Whether the file is there.
#[track_caller]
fn check_cut_short(anew: bool, then: Then, expect: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let (stop, refused) = (AtomicBool::new(false), BTreeMap::new());
    let meeting = |test: &dyn Fn(&mut Keep<'_>)| {
        let folder = Folder::open(dir.path()).expect("opened");
        let mut memory = Memory::load(&folder, "c").expect("read").unwrap_or_else(|| {
            let mut memory = Memory::new(&folder, "app", "c");
            memory.anchor = Some("of the backup".into());
            memory.set("a.vcf", Some(Known { id: "a".into(), mark: file::mark(TEXT.as_bytes()), uid: None }));
            memory
        });
        let mut keep = Keep::new(&folder, &mut memory, Timestamp::from_unix_ms(0), (&stop, &|_| {}), &refused);
        keep.same_store = true;
        keep.anchor().expect("an anchor");
        test(&mut keep);
    };
    let (path, out) = (dir.path().join("a.vcf"), dir.path().join(".mingle.out"));
    let edit = || fs::write(&path, TEXT.replace("Jane", "Joe")).expect("edited");
    fs::write(&path, TEXT).expect("written");
    meeting(&|keep| {
        keep.memory.save(keep.folder).expect("saved");
        if anew {
            keep.pushed().expect("heard");
            keep.empty("c").expect("emptied");
        } else {
            assert_eq!(keep.records("c").expect("looked at").count(), 0);
            assert_eq!(keep.changes().expect("told").count(), 1);
            keep.pushed().expect("heard");
        }
        keep.save().expect("saved");
        keep.keep("of its first page", &[]).expect("kept");
    });
    if then == Then::Edited {
        edit();
    }
    meeting(&|keep| {
        let told = keep.changes().expect("told").count();
        assert_eq!(told, usize::from(then == Then::Edited), "only an edit is told");
        keep.pushed().expect("heard");
        match then {
            Then::Shown => {
                let props = file::read(Holds::Cards, TEXT.as_bytes()).expect("a card");
                let (collection, id) = ("c".into(), "a".into());
                let record = PulledRecord { collection, id, seq: 1, kind: ChangeKind::Updated, data: Some(raw(&props)) };
                keep.apply(&record).expect("applied");
                keep.save().expect("saved");
            }
            Then::Refused => {
                fs::create_dir(&out).expect("in its way");
                keep.over().expect_err("kept from going");
                fs::remove_dir(&out).expect("out of its way");
            }
            Then::EditedLate => edit(),
            Then::Silent | Then::Edited => {}
        }
        keep.over().expect("over");
    });
    assert_eq!(path.exists(), expect, "anew: {anew}, {then:?}");
    let open = then == Then::EditedLate;
    meeting(&|keep| assert_eq!(!keep.memory.unshown.is_empty(), open, "anew: {anew}, {then:?}: it stays open"));
}

#[test]
fn what_was_to_be_shown_again_is_known_after_a_meeting_that_was_cut_short() {
    for anew in [false, true] {
        check_cut_short(anew, Then::Shown, true);
        check_cut_short(anew, Then::Silent, false);
        check_cut_short(anew, Then::Refused, false);
        // An edit is one, whatever its record became.
        check_cut_short(anew, Then::Edited, true);
        check_cut_short(anew, Then::EditedLate, true);
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
