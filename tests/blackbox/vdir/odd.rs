//! Owns: folders in which something is wrong: files that cannot be read, files that are gone, a memory that is gone, a daemon that is.
//! Must never know: how it remembers.

use std::{fs, process::Command};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    vdir::Vdir,
    wait,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::holds;

const CONFIG: &str = "[collection.things]\nnested = true\n";

fn card(uid: &str, name: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nEND:VCARD\r\n")
}

fn full(name: &str) -> Value {
    json!({ "@type": "Card", "name": { "full": name } })
}

#[test]
fn what_cannot_be_read_is_named_left_alone_and_taken_once_mended() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "f", "things");
    vdir.write("jane.vcf", &card("jane", "Jane"));
    vdir.write("joe.vcf", &card("joe", "Joe"));
    vdir.once(&daemon, 0, &[]);
    let two = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTART:20300101T000000Z\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nUID:b\r\nDTSTART:20300101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let long = format!("NOTE:{}\r\nEND:VCARD", "x".repeat(2 << 20));
    for (name, text, why) in [
        ("jane.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:jane\r\nFN:Ja".to_owned(), "it ends in the midst"),
        ("two.ics", two.to_owned(), "it holds several events"),
        ("twin.vcf", card("joe", "Joe again"), "it has the UID of joe.vcf"),
        ("long.vcf", card("long", "Long").replace("END:VCARD", &long), "bytes are more than a request may have"),
        ("empty.ics", String::new(), "it ends in the midst"),
    ] {
        vdir.write(name, &text);
        let said = vdir.once(&daemon, 5, &[]);
        assert!(said.contains(&format!("{name}: ")) && said.contains(why), "{name}: {said}");
        assert_eq!(vdir.texts()[name], text, "{name} is left as it is");
        if name != "jane.vcf" {
            vdir.remove(name);
        }
    }
    fs::write(vdir.dir().join("odd.vcf"), b"BEGIN:VCARD\r\nFN:\xff\r\nEND:VCARD\r\n").expect("written");
    assert!(vdir.once(&daemon, 5, &[]).contains("odd.vcf: it is not UTF-8"));
    vdir.remove("odd.vcf");
    assert_eq!(app.all("things").len(), 2, "nothing of it came, and nobody went");

    // The others go on, and so does the one record elsewhere.
    app.patch("things", "jane", &json!({ "nicknames": { "k1": { "name": "JJ" } } }));
    app.patch("things", "joe", &json!({ "nicknames": { "k1": { "name": "Jo" } } }));
    assert!(vdir.once(&daemon, 5, &[]).contains("things: 1 file written\n"));
    holds(&vdir.texts()["joe.vcf"], &["NICKNAME:Jo"]);
    vdir.write("jane.vcf", &card("jane", "Jane Doe"));
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 file written, 1 edit taken\n");
    holds(&vdir.texts()["jane.vcf"], &["NICKNAME:JJ", "FN:Jane Doe"]);
    assert_eq!(app.get("things", "jane").expect("there")["name"]["full"], "Jane Doe");

    // A record that is no such text is passed over, and the others are not.
    app.put("things", "odd", &json!({ "name": "no object" }));
    app.put("things", "a/b", &full("Slash"));
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains("odd: name has no place in a vCard") && said.contains("1 file written"), "{said}");
    holds(&vdir.texts()["a%2Fb.vcf"], &["FN:Slash"]);
    assert!(vdir.once(&daemon, 5, &[]).contains("odd: "), "it is told each time");
    app.delete("things", "odd");
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
}

#[test]
fn names_ends_of_lines_and_folds_are_the_files_own() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "f", "things");
    let text = format!("\u{feff}{}", card("u1", "Jane\r\n  Doe").replace("\r\n", "\n"));
    vdir.write("other name.vcf", &text);
    vdir.once(&daemon, 0, &[]);
    assert_eq!(app.get("things", "other name").expect("there")["name"]["full"], "Jane Doe");
    app.patch("things", "other name", &json!({ "nicknames": { "k1": { "name": "JJ" } } }));
    vdir.once(&daemon, 0, &[]);
    let now = vdir.texts().remove("other name.vcf").expect("its file");
    assert_eq!(now.replace("NICKNAME:JJ\n", ""), text, "only that line came");
    // A tool gives it another name: it is the same one.
    fs::rename(vdir.dir().join("other name.vcf"), vdir.dir().join("jane.vcf")).expect("renamed");
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
    app.patch("things", "other name", &json!({ "nicknames": null }));
    vdir.once(&daemon, 0, &[]);
    assert_eq!((vdir.texts().len(), &vdir.texts()["jane.vcf"]), (1, &text));
    assert_eq!(app.all("things").len(), 1);
}

/// A folder of another tool: what the truth has too is known by its UID, whatever the file is called.
#[test]
fn a_folder_that_has_the_files_already_doubles_nothing() {
    let daemon = Home::new(Some("[collection.things]\nnested = true\nidentity = [\"uid\"]\n")).start();
    let mut app = daemon.app("writer");
    let jane = json!({ "@type": "Card", "version": "1.0", "uid": "jane", "name": { "full": "Jane" } });
    app.put("things", "jane", &jane);
    let vdir = Vdir::new(&daemon, "f", "things");
    let text = card("jane", "Jane").replace("END:", "X-ODD:1\r\nEND:");
    vdir.write("other.vcf", &text);
    vdir.write("joe.vcf", &card("joe", "Joe"));
    vdir.once(&daemon, 0, &[]);
    assert_eq!(app.all("things").into_keys().collect::<Vec<_>>(), ["jane", "joe"]);
    assert_eq!((vdir.texts().len(), &vdir.texts()["other.vcf"]), (2, &text));
    app.patch("things", "jane", &json!({ "nicknames": { "k1": { "name": "JJ" } } }));
    vdir.once(&daemon, 0, &[]);
    assert_eq!((vdir.texts().len(), vdir.texts()["other.vcf"].replace("NICKNAME:JJ\r\n", "")), (2, text));
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
}

/// A file that somebody renamed, then a record of that name: it has another one.
#[test]
fn a_name_that_another_record_has_is_no_end() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "f", "things");
    app.put("things", "c1", &full("One"));
    vdir.once(&daemon, 0, &[]);
    fs::rename(vdir.dir().join("c1.vcf"), vdir.dir().join("c9.vcf")).expect("renamed");
    app.put("things", "c9", &full("Nine"));
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 file written\n");
    holds(&vdir.texts()["c9.vcf"], &["FN:One"]);
    holds(&vdir.texts()["c9-2.vcf"], &["FN:Nine"]);
    app.patch("things", "c9", &json!({ "name": { "full": "Nine again" } }));
    vdir.once(&daemon, 0, &[]);
    holds(&vdir.texts()["c9-2.vcf"], &["FN:Nine again"]);
    assert_eq!((vdir.texts().len(), app.all("things").len()), (2, 2));
}

/// Another process of the same app has a session for longer than a meeting has patience: the next one is tried later.
#[test]
fn a_meeting_that_is_refused_is_tried_again() {
    let daemon = Home::new(Some(CONFIG)).start();
    daemon.app("writer").put("things", "c0", &full("Card"));
    let mut vdir = Vdir::new(&daemon, "f", "things");
    vdir.start(&daemon);
    vdir.until_said("1 file written");
    let memory: Value =
        wait::until("its memory", || serde_json::from_str(&fs::read_to_string(vdir.dir().join(".mingle.json")).ok()?).ok());
    let mut other = daemon.app(memory["app"].as_str().expect("a name"));
    let session = wait::until("a session", || other.ask("session.begin", &json!({ "collections": ["things"] })).ok()?.ok());
    vdir.write("c1.vcf", &card("c1", "Made meanwhile"));
    vdir.until_said("; it is tried again");
    other.must("session.cancel", json!({ "session": session["session"] }));
    vdir.until_said("it goes on");
    vdir.until_said("1 new file taken");
    assert_eq!(vdir.end(Signal::TERM), Some(0));
    assert_eq!(daemon.app("looks").all("things").len(), 2);
}

/// A folder that is in step with three cards.
fn with_three(daemon: &Daemon) -> (App, Vdir) {
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(daemon, "f", "things");
    for n in 0..3 {
        app.put("things", &format!("c{n}"), &full(&format!("Card {n}")));
    }
    vdir.once(daemon, 0, &[]);
    (app, vdir)
}

#[test]
fn nothing_is_deleted_in_silence() {
    let daemon = Home::new(Some(CONFIG)).start();
    let (mut app, mut vdir) = with_three(&daemon);
    // One is one that somebody deleted.
    vdir.remove("c0.vcf");
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 delete taken\n");
    // All at once is asked for, and all else goes on meanwhile.
    vdir.remove("c1.vcf");
    vdir.remove("c2.vcf");
    app.put("things", "c3", &full("Card 3"));
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains("2 of 3 files are not there") && said.contains("`--missing restore`"), "{said}");
    assert_eq!((app.all("things").len(), vdir.texts().len()), (3, 1));
    assert_eq!(vdir.once(&daemon, 0, &["--missing", "restore"]), "things: 2 files written\n");
    ["c1.vcf", "c2.vcf", "c3.vcf"].iter().for_each(|name| vdir.remove(name));
    vdir.start(&daemon);
    vdir.until_said("3 of 3 files are not there");
    assert_eq!(app.all("things").len(), 3);
    let said = vdir.once(&daemon, 1, &["--missing", "delete"]);
    assert!(said.contains("another `mingle vdir` has"), "{said}");
    assert_eq!(vdir.end(Signal::INT), Some(0));
    assert_eq!(vdir.once(&daemon, 0, &["--missing", "delete"]), "things: 3 deletes taken\n");
    assert!(app.all("things").is_empty());
}

/// What is told is done as it is told, by a shell, with this answer: what it says.
#[track_caller]
fn answered(daemon: &Daemon, told: &str, answer: &str) -> String {
    assert!(told.contains(&format!("with `{answer}`")), "{told}");
    let command = told.split('`').find(|part| part.starts_with("mingle vdir ")).unwrap_or_else(|| panic!("no command: {told}"));
    let script = format!("printf '%s\\n' {command} {answer}");
    let words = Command::new("/bin/sh").args(["-c", &script]).output().expect("a shell").stdout;
    let words = String::from_utf8(words).expect("words");
    daemon.says(0, &words.lines().skip(1).collect::<Vec<_>>())
}

#[test]
fn the_command_that_is_told_answers_for_the_folder_that_it_is_told_of() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "Jane's cards", "things");
    (0..3).for_each(|n| drop(app.put("things", &format!("c{n}"), &full(&format!("Card {n}")))));
    vdir.once(&daemon, 0, &[]);
    // The files are gone; what it remembers is gone, with some of them; that cannot be read.
    let (none, memory) = (None, ".mingle.json");
    for (left, gone) in [(none, &["c0.vcf", "c1.vcf", "c2.vcf"][..]), (none, &[memory, "c1.vcf"]), (Some("{"), &["c2.vcf"])] {
        gone.iter().for_each(|name| vdir.remove(name));
        left.into_iter().for_each(|text| vdir.write(memory, text));
        let said = answered(&daemon, &vdir.once(&daemon, 5, &[]), "--missing restore");
        let files = if gone.len() == 3 { "3 files" } else { "1 file" };
        assert!(said.contains(&format!("things: {files} written")), "{gone:?}: {said}");
        assert_eq!((app.all("things").len(), vdir.texts().len()), (3, 3));
    }
    ["c0.vcf", "c1.vcf", "c2.vcf"].iter().for_each(|name| vdir.remove(name));
    assert_eq!(answered(&daemon, &vdir.once(&daemon, 5, &[]), "--missing delete"), "things: 3 deletes taken\n");
    assert!(app.all("things").is_empty());
}

/// A tool that removes them one after the other comes to the same end as one that removes them at once, also over restarts.
#[test]
fn files_that_go_one_by_one_count_together() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("writer");
    let vdir = Vdir::new(&daemon, "f", "things");
    (0..14).for_each(|n| drop(app.put("things", &format!("c{n}"), &full(&format!("Card {n}")))));
    vdir.once(&daemon, 0, &[]);
    for n in 0..10 {
        vdir.remove(&format!("c{n}.vcf"));
        assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 delete taken\n");
    }
    vdir.remove("c10.vcf");
    for _ in 0..2 {
        let said = vdir.once(&daemon, 5, &[]);
        assert!(
            said.contains("1 of 4 files are not there, after 10 that were deleted in the last hour, and nothing is deleted"),
            "{said}"
        );
    }
    assert_eq!(app.all("things").len(), 4);
    // An hour later it is asked still.
    let memory = fs::read_to_string(vdir.dir().join(".mingle.json")).expect("a memory");
    let mut memory: Value = serde_json::from_str(&memory).expect("an object");
    memory["deleted_ms"] = json!([1]);
    vdir.write(".mingle.json", &memory.to_string());
    assert!(vdir.once(&daemon, 5, &[]).contains("1 of 4 files are not there, and nothing is deleted"));
    // An answer is one for all that went.
    assert_eq!(vdir.once(&daemon, 0, &["--missing", "restore"]), "things: 1 file written\n");
    vdir.remove("c10.vcf");
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 delete taken\n");
    assert_eq!(app.all("things").len(), 3);
}

/// A kill left an edit between two names, and the file was edited again since: both are there, and it is told until a person has looked.
#[test]
fn of_two_edits_and_one_place_both_stay() {
    let daemon = Home::new(Some(CONFIG)).start();
    let (mut app, vdir) = with_three(&daemon);
    vdir.write(".mingle.journal", "{\"file\":\"c0.vcf\",\"known\":null}\n");
    vdir.write(".mingle.out", &card("c0", "First edit"));
    vdir.write("c0.vcf", &card("c0", "Second edit"));
    for said in [vdir.once(&daemon, 5, &[]), vdir.once(&daemon, 5, &[])] {
        assert!(said.contains("c0.vcf.kept: an edit that was made while another one came"), "{said}");
    }
    assert_eq!(app.get("things", "c0").expect("there")["name"]["full"], "Second edit");
    assert_eq!(fs::read_to_string(vdir.dir().join("c0.vcf.kept")).expect("kept"), card("c0", "First edit"));
    vdir.remove("c0.vcf.kept");
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
    assert_eq!((app.all("things").len(), vdir.texts().len()), (3, 3));
}

/// What a folder is called and which colour it has lies in it too, and is no item.
#[test]
fn its_name_and_its_colour_are_no_items_and_stay() {
    let daemon = Home::new(Some(CONFIG)).start();
    let (mut app, vdir) = with_three(&daemon);
    let of_folder = [("displayname", "Things"), ("color", "#ff0000")];
    of_folder.iter().for_each(|(name, text)| vdir.write(name, text));
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
    app.patch("things", "c0", &json!({ "name": { "full": "Joe" } }));
    app.delete("things", "c1");
    assert_eq!(vdir.once(&daemon, 0, &[]), "things: 1 file written, 1 file removed\n");
    vdir.remove(".mingle.json");
    vdir.once(&daemon, 0, &["--missing", "restore"]);
    for (name, text) in of_folder {
        assert_eq!(fs::read_to_string(vdir.dir().join(name)).expect("there"), text);
    }
    assert_eq!(app.all("things").len(), 2);
}

#[test]
fn a_memory_that_is_gone_or_older_undoes_nothing() {
    let daemon = Home::new(Some(CONFIG)).start();
    let (mut app, mut vdir) = with_three(&daemon);
    let whole = |name: &str| fs::read(vdir.dir().join(name)).expect("a file");
    let then: Vec<(&str, Vec<u8>)> = [".mingle.json", "c0.vcf", "c1.vcf", "c2.vcf"].map(|name| (name, whole(name))).into();

    // Everything is gone, as where a disk is not mounted; and where the memory alone is.
    for gone in [&["c0.vcf", "c1.vcf", "c2.vcf", ".mingle.json"][..], &[".mingle.json", "c1.vcf"]] {
        gone.iter().for_each(|name| vdir.remove(name));
        let said = vdir.once(&daemon, 5, &[]);
        assert!(said.contains("what it remembers of that is not there") && said.contains("is its disk mounted?"), "{said}");
        assert_eq!(app.all("things").len(), 3);
        vdir.once(&daemon, 0, &["--missing", "restore"]);
        assert_eq!((app.all("things").len(), vdir.texts().len()), (3, 3));
    }
    vdir.write(".mingle.json", "{\"form\":");
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains(".mingle.json says cannot be read") && said.contains("`--missing restore`"), "{said}");
    vdir.once(&daemon, 0, &["--missing", "restore"]);
    assert_eq!(vdir.once(&daemon, 0, &[]), "");

    // Put back to an earlier state, the folder takes what came since, and does not undo it; an edit in it is one.
    app.patch("things", "c1", &json!({ "nicknames": { "k1": { "name": "New" } } }));
    app.delete("things", "c2");
    vdir.once(&daemon, 0, &[]);
    for (name, bytes) in &then {
        fs::write(vdir.dir().join(name), bytes).expect("put back");
    }
    vdir.write("c0.vcf", &card("c0", "Edited"));
    vdir.once(&daemon, 0, &[]);
    assert_eq!(app.get("things", "c1").expect("there")["nicknames"]["k1"]["name"], "New");
    assert_eq!(app.get("things", "c0").expect("there")["name"]["full"], "Edited");
    assert!(app.get("things", "c2").is_none() && vdir.texts().len() == 2, "{:?}", vdir.texts().keys());
    holds(&vdir.texts()["c1.vcf"], &["NICKNAME:New"]);

    // A folder that goes while it runs is no word on anything.
    vdir.start(&daemon);
    wait::until("it to be in step", || daemon.says(0, &["app", "list"]).contains("vdir-things").then_some(()));
    vdir.write("c4.vcf", &card("c4", "Here"));
    vdir.until_said("1 new file taken");
    fs::rename(vdir.dir(), vdir.dir().with_extension("away")).expect("moved away");
    vdir.until_said("is gone, or another folder is in its place");
    assert_eq!(app.all("things").len(), 3);
}

#[test]
fn a_daemon_that_is_away_is_waited_for_and_each_is_said_once() {
    let mut daemon = Home::new(Some(CONFIG)).start();
    daemon.app("writer").put("things", "c0", &full("Card"));
    let mut vdir = Vdir::new(&daemon, "f", "things");
    vdir.start(&daemon);
    vdir.until_said("1 file written");
    daemon.kill();
    vdir.until_said("mingled went away; waiting for it");
    vdir.write("c1.vcf", &card("c1", "Made meanwhile"));
    let said = daemon.says(3, &["vdir", "things", "other", "--once"]);
    assert!(said.contains("mingled is not running"), "{said}");
    daemon.start();
    vdir.until_said("1 new file taken");
    assert_eq!(daemon.app("looks").all("things").len(), 2);
    assert_eq!(vdir.end(Signal::TERM), Some(0));
    for once in ["mingled went away", "mingled is there", "1 file written"] {
        assert_eq!(vdir.said().matches(once).count(), 1, "{}", vdir.said());
    }
    // Another collection has a folder of its own, and a copy of a folder is none.
    let said = daemon.says(1, &["vdir", "others", &vdir.dir().display().to_string(), "--once"]);
    assert!(said.contains("holds things, and not others"), "{said}");
    let copy = Vdir::new(&daemon, "copy", "things");
    copy.write(".mingle.json", &fs::read_to_string(vdir.dir().join(".mingle.json")).expect("its memory"));
    let said = copy.once(&daemon, 1, &[]);
    assert!(said.contains("is a copy of"), "{said}");
    let said = copy.once(&daemon, 1, &["--json"]);
    assert!(said.contains("is a copy of"), "{said}");
}
