//! Owns: folders that know less than their copy had: put back from a backup, killed while they were written again, moved away and begun anew.
//! None of it deletes a record. Must never know: how a session goes.

use std::fs;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    vdir::Vdir,
    wait,
};
use rustix::process::Signal;
use serde_json::{Value, json};

const CONFIG: &str = "[collection.things]\nnested = true\nidentity = [\"uid\"]\n";
const MEMORY: &str = ".mingle.json";

fn put(app: &mut App, ids: impl IntoIterator<Item = u32>) {
    for n in ids {
        let card = json!({ "@type": "Card", "version": "1.0", "uid": format!("u{n}"), "name": { "full": format!("Card {n}") } });
        app.put("things", &format!("c{n}"), &card);
    }
}

fn memory(vdir: &Vdir) -> Value {
    serde_json::from_str(&fs::read_to_string(vdir.dir().join(MEMORY)).expect("a memory")).expect("an object")
}

/// All records are there, and each has its file.
#[track_caller]
fn all_are_there(daemon: &Daemon, vdir: &Vdir, count: usize) {
    assert_eq!((daemon.app("looks").all("things").len(), vdir.texts().len()), (count, count));
    assert_eq!(vdir.once(daemon, 0, &[]), "", "nothing is left to be said");
}

#[test]
fn a_folder_that_is_put_back_deletes_nothing_that_came_since() {
    // Few, and more than the daemon takes for deleted without a word.
    for since in [4, 26] {
        let daemon = Home::new(Some(CONFIG)).start();
        let mut app = daemon.app("writer");
        let vdir = Vdir::new(&daemon, "f", "things");
        put(&mut app, 0..3);
        vdir.once(&daemon, 0, &[]);
        let then = (vdir.texts(), fs::read_to_string(vdir.dir().join(MEMORY)).expect("a memory"));
        put(&mut app, 3..3 + since);
        vdir.once(&daemon, 0, &[]);
        vdir.texts().keys().for_each(|name| vdir.remove(name));
        then.0.iter().for_each(|(name, text)| vdir.write(name, text));
        vdir.write(MEMORY, &then.1);
        assert_eq!(vdir.once(&daemon, 0, &[]), format!("things: {since} files written\n"));
        all_are_there(&daemon, &vdir, 3 + since as usize);
        // What the memory knows, and is not there, was deleted still.
        vdir.remove("c0.vcf");
        vdir.write(MEMORY, &then.1);
        assert!(vdir.once(&daemon, 0, &[]).contains("1 delete taken"));
        all_are_there(&daemon, &vdir, 2 + since as usize);
    }
}

/// It is ended in the midst of being brought up to date: what is gone since the backup goes in the next meeting, and nothing else does.
#[test]
fn a_folder_that_is_put_back_and_ended_in_the_midst_keeps_nothing_that_is_gone() {
    for signal in [Signal::TERM, Signal::KILL] {
        let daemon = Home::new(Some(CONFIG)).start();
        let mut app = daemon.app("writer");
        let mut vdir = Vdir::new(&daemon, "f", "things");
        put(&mut app, 0..80);
        vdir.once(&daemon, 0, &[]);
        let then = (vdir.texts(), fs::read_to_string(vdir.dir().join(MEMORY)).expect("a memory"));
        (0..10).for_each(|n| drop(app.delete("things", &format!("c{n}"))));
        put(&mut app, 80..250);
        vdir.once(&daemon, 0, &[]);
        vdir.texts().keys().for_each(|name| vdir.remove(name));
        then.0.iter().for_each(|(name, text)| vdir.write(name, text));
        vdir.write(MEMORY, &then.1);
        vdir.start(&daemon);
        let anchor = |text: &str| serde_json::from_str(text).map(|memory: Value| memory["anchor"].clone()).ok();
        wait::until("its first page", || {
            let now = anchor(&fs::read_to_string(vdir.dir().join(MEMORY)).ok()?)?;
            (Some(now) != anchor(&then.1)).then_some(())
        });
        vdir.end(signal);
        let (files, c0) = (vdir.texts().len(), vdir.texts().contains_key("c0.vcf"));
        assert!(files < 250 && c0, "it was not in the midst: {files} files");
        vdir.once(&daemon, 0, &[]);
        for n in 0..10 {
            assert!(!vdir.texts().contains_key(&format!("c{n}.vcf")), "c{n}.vcf is gone after {signal:?}");
        }
        all_are_there(&daemon, &vdir, 240);
    }
}

/// What a kill leaves of `--missing restore`: a memory that was begun, no anchor, and so many files of five.
#[test]
fn files_that_were_half_written_again_are_no_deletes() {
    let daemon = Home::new(Some(CONFIG)).start();
    put(&mut daemon.app("writer"), 0..5);
    let vdir = Vdir::new(&daemon, "f", "things");
    vdir.once(&daemon, 0, &[]);
    for written in 0..5 {
        let mut left = memory(&vdir);
        for part in ["anchor", "instance"] {
            left.as_object_mut().expect("an object").remove(part);
        }
        for n in written..5 {
            left["files"].as_object_mut().expect("files").remove(&format!("c{n}.vcf"));
            vdir.remove(&format!("c{n}.vcf"));
        }
        vdir.write(MEMORY, &left.to_string());
        assert_eq!(vdir.once(&daemon, 0, &[]), format!("things: {} files written\n", 5 - written).replace("1 files", "1 file"));
        all_are_there(&daemon, &vdir, 5);
    }
}

#[test]
fn a_folder_that_was_moved_and_one_in_its_old_place_are_two() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let (old, new) = (Vdir::new(&daemon, "p", "things"), Vdir::new(&daemon, "q", "things"));
    put(&mut app, 0..3);
    old.once(&daemon, 0, &[]);
    fs::remove_dir(new.dir()).expect("removed");
    fs::rename(old.dir(), new.dir()).expect("moved");
    assert_eq!(new.once(&daemon, 0, &[]), "");
    fs::create_dir(old.dir()).expect("made anew");
    assert!(old.once(&daemon, 5, &[]).contains("--missing restore"));
    old.once(&daemon, 0, &["--missing", "restore"]);
    assert_ne!(memory(&old)["app"], memory(&new)["app"]);
    for (n, (one, other)) in [(&new, &old), (&old, &new), (&new, &old)].into_iter().enumerate() {
        one.write(&format!("n{n}.vcf"), &format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:n{n}\r\nFN:New {n}\r\nEND:VCARD\r\n"));
        assert_eq!(one.once(&daemon, 0, &[]).matches("1 new file taken").count(), 1);
        assert_eq!(other.once(&daemon, 0, &[]), "things: 1 file written\n");
        all_are_there(&daemon, one, 4 + n);
        all_are_there(&daemon, other, 4 + n);
    }
}

/// The daemon knows them under ids of the folder's own, which a memory from before cannot name: it asks, in words that help here.
#[test]
fn what_only_the_daemon_misses_is_asked_for_and_either_answer_is_heard() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "f", "things");
    put(&mut app, 0..1);
    vdir.once(&daemon, 0, &[]);
    let then = fs::read_to_string(vdir.dir().join(MEMORY)).expect("a memory");
    put(&mut app, 1..13);
    for n in 1..13 {
        vdir.write(&format!("own{n}.vcf"), &format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u{n}\r\nFN:Card {n}\r\nEND:VCARD\r\n"));
    }
    vdir.once(&daemon, 0, &[]);
    all_are_there(&daemon, &vdir, 13);
    (1..13).for_each(|n| vdir.remove(&format!("own{n}.vcf")));
    vdir.write(MEMORY, &then);
    let mut service = Vdir::new(&daemon, "g", "things");
    fs::remove_dir(service.dir()).expect("removed");
    for _ in 0..2 {
        let said = vdir.once(&daemon, 5, &[]);
        for words in
            ["does not tell of: 12 of 13 records were not pushed", "`--missing delete` deletes them", "move the folder away"]
        {
            assert!(said.contains(words), "{said}");
        }
    }
    assert_eq!(app.all("things").len(), 13);
    // They are to stay: a folder that is written anew.
    fs::rename(vdir.dir(), service.dir()).expect("moved");
    fs::create_dir(vdir.dir()).expect("made anew");
    assert_eq!(vdir.once(&daemon, 0, &["--missing", "restore"]), "things: 13 files written\n");
    all_are_there(&daemon, &vdir, 13);
    // They are not: also a service ends with these words, and nobody has to end it first.
    service.start(&daemon);
    service.until_said(&format!("`mingle vdir things {} --once` with `--missing delete` deletes them", service.dir().display()));
    assert_eq!(service.end(Signal::TERM), Some(5));
    service.once(&daemon, 0, &["--missing", "delete"]);
    assert_eq!(app.all("things").len(), 1);
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 12 files removed\n");
}
