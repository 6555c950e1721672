//! Owns: a calendar of a real server as a folder that khal and todoman edit, with kills in between. Must never know: how a text is edited.

use mingle_tests::{
    daemon::{Daemon, Home},
    servers::{Dav, Pim},
    vdir::Vdir,
    wait,
};
use rustix::process::Signal;
use serde_json::json;

use super::{changed, holds};

const LUNCH: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Odd//1//EN\r\nX-WR-CALNAME:Work\r\nBEGIN:VEVENT\r\nUID:lunch\r\n\
    DTSTAMP:20260101T000000Z\r\nDTSTART:20301130T120000Z\r\nDTEND:20301130T130000Z\r\nSUMMARY:Lunch\r\nX-ODD;A=b:c\r\nEND:VEVENT\r\n\
    END:VCALENDAR\r\n";
const BREAD: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VTODO\r\nUID:bread\r\nDTSTAMP:20260101T000000Z\r\n\
    SUMMARY:Buy bread\r\nSTATUS:NEEDS-ACTION\r\nX-OC-HIDESUBTASKS:1\r\nEND:VTODO\r\nEND:VCALENDAR\r\n";

struct Calendar {
    server: Dav,
    path: String,
    vdir: Vdir,
    daemon: Daemon,
    pim: Pim,
}

impl Calendar {
    fn new() -> Self {
        let server = Dav::radicale();
        let path = server.calendar("Work");
        server.put(&path, "lunch.ics", LUNCH);
        server.put(&path, "bread.ics", BREAD);
        let (url, name) = (&server.url, Dav::ACCOUNT.0);
        let home = Home::new(Some(&format!(
            "[remote.home]\nkind = \"dav\"\nurl = \"{url}\"\n\
             auth = {{ type = \"basic\", username = \"{name}\", password = {{ file = \"dav.secret\" }} }}\n\
             [collection.events]\nnested = true\n\
             [sync.events]\ncollection = \"events\"\nremote = \"home\"\nresource = \"Work\"\ndirection = \"both\"\non_start = false\n\
             on_change = false\n"
        )));
        home.write("dav.secret", Dav::ACCOUNT.1);
        let daemon = home.start();
        let vdir = Vdir::new(&daemon, "cal", "events");
        let pim = Pim::over(vdir.dir());
        let calendar = Self { server, path, vdir, daemon, pim };
        calendar.sync();
        calendar
    }

    fn sync(&self) {
        self.daemon.app("harness").sync("events", "done");
    }

    /// Folder, truth, server, truth, folder.
    fn round(&self) {
        self.vdir.once(&self.daemon, 0, &[]);
        self.sync();
        self.sync();
        self.vdir.once(&self.daemon, 0, &[]);
    }

    #[track_caller]
    fn there(&self, member: &str) -> String {
        let mut texts = self.server.texts(&self.path);
        texts.remove(member).unwrap_or_else(|| panic!("no {member}: {texts:#?}"))
    }
}

#[test]
fn an_edit_of_khal_arrives_as_its_property_alone() {
    let calendar = Calendar::new();
    assert_eq!(calendar.vdir.once(&calendar.daemon, 0, &[]), "events: 2 files written\n");
    let listed = calendar.pim.khal(&["list", "2030-11-30", "1d"], "");
    assert!(listed.contains("12:00-13:00 Lunch"), "{listed}");

    // At the same moment another property is edited at the server: both stay, and every other line is as it was.
    let before =
        calendar.there("lunch.ics").replace("DTEND:20301130T130000Z\r\n", "DTEND:20301130T130000Z\r\nLOCATION:Corner\r\n");
    calendar.pim.retitle("Lunch", "Lunch with Max");
    calendar.server.put(&calendar.path, "lunch.ics", &before);
    let stored = calendar.there("lunch.ics");
    calendar.round();
    let (gone, come) = changed(&stored, &calendar.there("lunch.ics"));
    assert_eq!(gone, ["SUMMARY:Lunch"]);
    assert!(come.contains(&"SUMMARY:Lunch with Max".to_owned()), "{come:?}");
    // khal counts its edits, which is an edit as well; nothing else came.
    assert!(come.iter().all(|line| line.starts_with("SUMMARY:") || line.starts_with("SEQUENCE:")), "{come:?}");
    holds(&calendar.there("lunch.ics"), &["LOCATION:Corner", "X-ODD;A=b:c", "X-WR-CALNAME:Work"]);
    let file = calendar.vdir.texts().remove("lunch.ics").expect("its file");
    holds(&file, &["SUMMARY:Lunch with Max", "LOCATION:Corner"]);
    let shown = calendar.pim.khal(&["list", "2030-11-30", "1d", "--format", "{title} at {location}"], "");
    assert!(shown.contains("Lunch with Max at Corner"), "{shown}");

    // What comes from the server replaces only its own lines of the file.
    let theirs = calendar.there("lunch.ics").replace("LOCATION:Corner", "LOCATION:Market");
    calendar.server.put(&calendar.path, "lunch.ics", &theirs);
    calendar.round();
    let now = calendar.vdir.texts().remove("lunch.ics").expect("its file");
    assert_eq!(changed(&file, &now), (vec!["LOCATION:Corner".to_owned()], vec!["LOCATION:Market".to_owned()]));
    let mut app = calendar.daemon.app("looks");
    assert_eq!(app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
}

#[test]
fn tasks_and_deletes_go_both_ways() {
    let calendar = Calendar::new();
    calendar.round();
    // One is done here, one is new, and one is made at the server.
    assert!(calendar.pim.todo(&["list"]).contains("Buy bread"));
    calendar.pim.todo(&["done", "1"]);
    calendar.pim.todo(&["new", "-l", "cal", "Milk"]);
    calendar.pim.khal(&["new", "2030-12-01", "10:00", "11:00", "Dentist"], "");
    calendar.server.put(&calendar.path, "tea.ics", &BREAD.replace("bread", "tea"));
    let before = calendar.there("bread.ics");
    calendar.round();
    let (gone, come) = changed(&before, &calendar.there("bread.ics"));
    assert_eq!(gone, ["STATUS:NEEDS-ACTION"]);
    holds(&come.join("\n"), &["STATUS:COMPLETED", "PERCENT-COMPLETE:100"]);
    holds(&calendar.there("bread.ics"), &["X-OC-HIDESUBTASKS:1"]);
    let there = calendar.server.texts(&calendar.path);
    let named =
        |what: &str| there.iter().find(|(_, text)| text.contains(what)).unwrap_or_else(|| panic!("no {what}: {there:#?}"));
    let (milk, dentist) = (named("SUMMARY:Milk"), named("SUMMARY:Dentist"));
    // Radicale lists the name as an address has it.
    let milk = milk.0.replace("%40", "@");
    assert!(calendar.vdir.texts().contains_key(&milk), "a file gives its name to the member: {milk}");
    holds(dentist.1, &["DTSTART:20301201T100000Z"]);
    assert_eq!(calendar.vdir.texts().len(), 5);
    assert!(calendar.pim.todo(&["list"]).contains("Buy tea"));

    // What is removed there goes here, and what is removed here goes there.
    calendar.server.delete(&calendar.path, "tea.ics");
    calendar.vdir.remove(&milk);
    calendar.sync();
    assert_eq!(calendar.vdir.once(&calendar.daemon, 0, &[]), "events: 1 file removed, 1 delete taken\n");
    calendar.sync();
    assert_eq!(calendar.server.texts(&calendar.path).len(), 3);
    assert_eq!(calendar.vdir.texts().len(), 3);
    assert!(!calendar.pim.todo(&["list"]).contains("Milk"));
}

/// Both processes are killed whenever it comes: nothing is lost, and nothing is there twice.
#[test]
fn kills_in_between_lose_nothing_and_double_nothing() {
    let mut calendar = Calendar::new();
    calendar.vdir.start(&calendar.daemon);
    calendar.vdir.until_said("2 files written");
    for n in 0..12 {
        let text = BREAD.replace("bread", &format!("b{n}"));
        calendar.vdir.write(&format!("b{n}.ics"), &text);
        let mut app = calendar.daemon.app("writer");
        app.put("events", &format!("t{n}"), &json!({ "@type": "Task", "title": format!("Task {n}") }));
        match n % 3 {
            0 => {
                calendar.vdir.end(Signal::KILL);
                calendar.vdir.start(&calendar.daemon);
                // Where it finds no daemon when it starts, it says so and ends.
                wait::until("it to be connected", || {
                    let all = app.must("app.list", json!({}))["apps"].take();
                    let is_it = |one: &serde_json::Value| one["app"].as_str().is_some_and(|name| name.starts_with("vdir-"));
                    let there = all.as_array()?.iter().any(|one| is_it(one) && one["connections"].as_u64() > Some(0));
                    there.then_some(())
                });
            }
            1 => {
                calendar.daemon.kill();
                calendar.daemon.start();
            }
            _ => {}
        }
    }
    let mut app = calendar.daemon.app("looks");
    wait::until("everything to be on both sides", || {
        (app.all("events").len() == 26 && calendar.vdir.texts().len() == 26).then_some(())
    });
    assert_eq!(calendar.vdir.end(Signal::TERM), Some(0));
    assert_eq!(calendar.vdir.once(&calendar.daemon, 0, &[]), "");
    assert_eq!((app.all("events").len(), calendar.vdir.texts().len()), (26, 26));
    assert_eq!(app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
    calendar.sync();
    assert_eq!(calendar.server.texts(&calendar.path).len(), 26);
}
