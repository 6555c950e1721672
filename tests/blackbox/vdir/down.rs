//! Owns: a folder of a collection that only comes down: what is done to its files is named and stays, and the rest goes on. Must never know:
//! how a session goes.

use std::fs;

use mingle_tests::{daemon::Home, servers::Dav, vdir::Vdir};

fn event(uid: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n\
         DTSTART:20301130T120000Z\r\nSUMMARY:Event {uid}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

#[test]
fn a_collection_that_only_comes_down_goes_on_coming_down() {
    let server = Dav::radicale();
    let path = server.calendar("Holidays");
    server.put(&path, "a.ics", &event("a"));
    server.put(&path, "b.ics", &event("b"));
    let home = Home::new(Some(&format!(
        "[remote.home]\nkind = \"dav\"\nurl = \"{}\"\n\
         auth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"dav.secret\" }} }}\n\
         [collection.events]\nnested = true\n\
         [sync.events]\ncollection = \"events\"\nremote = \"home\"\nresource = \"Holidays\"\ndirection = \"down\"\non_start = false\n",
        server.url,
        Dav::ACCOUNT.0
    )));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let sync = || daemon.app("harness").sync("events", "done");
    sync();
    let vdir = Vdir::new(&daemon, "cal", "events");
    // A file that was there before is named from the first meeting on.
    vdir.write("own.ics", &event("own"));
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains("events: 2 files written\n") && said.contains("own.ics: it was edited here, and "), "{said}");
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains("own.ics: it was edited here, and "), "{said}");
    assert_eq!(vdir.texts()["own.ics"], event("own"));
    vdir.remove("own.ics");
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
    let names: Vec<String> = vdir.texts().into_keys().collect();
    let edited = vdir.texts()[&names[0]].replace("Event", "Edited");

    // An edit and a new file are named, and what comes comes; what was removed is written again.
    vdir.write(&names[0], &edited);
    vdir.write("mine.ics", &event("mine"));
    vdir.remove(&names[1]);
    server.put(&path, "c.ics", &event("c"));
    sync();
    let said = vdir.once(&daemon, 5, &[]);
    for name in [&names[0], "mine.ics"] {
        assert!(said.contains(&format!("{name}: it was edited here, and events takes no writes")), "{said}");
    }
    assert!(said.contains("events: 2 files written\n"), "{said}");
    let stays = || {
        assert_eq!((vdir.texts().len(), &vdir.texts()[&names[0]]), (4, &edited));
        assert_eq!(vdir.texts()["mine.ics"], event("mine"));
    };
    stays();

    // The same where all of it is taken anew.
    let memory = fs::read_to_string(vdir.dir().join(".mingle.json")).expect("a memory");
    let mut memory: serde_json::Value = serde_json::from_str(&memory).expect("an object");
    memory["anchor"] = "a-0".into();
    vdir.write(".mingle.json", &memory.to_string());
    let said = vdir.once(&daemon, 5, &[]);
    assert!(said.contains(&format!("{}: it was edited here", names[0])) && !said.contains("written"), "{said}");
    stays();

    // Without the edits it is in step again.
    vdir.remove(&names[0]);
    vdir.remove("mine.ics");
    assert_eq!(vdir.once(&daemon, 0, &[]), "events: 1 file written\n");
    assert_eq!(vdir.once(&daemon, 0, &[]), "");
}
