//! Owns: folders that know less than their copy had: put back from a backup, killed while they were written again, moved away and begun anew.
//! None of it deletes a record. Must never know: how a session goes.

use std::fs;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    vdir::Vdir,
};
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
