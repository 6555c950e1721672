//! Owns: a witness from outside: vdirsyncer at the collections that we write to, beside us and in turns with us. Must never know: how
//! either of us writes there.

use std::collections::BTreeSet;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::{Dav, Vdirsyncer},
};
use serde_json::{Value, json};

use crate::dav::config;

const JANE: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:jane\r\nFN:Jane\r\nN:Doe;Jane;;;\r\nEMAIL;TYPE=HOME:j@example.com\r\n\
    X-ODD;A=b:c\r\nEND:VCARD\r\n";
const WEEKLY: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\nBEGIN:VEVENT\r\nUID:weekly\r\n\
    DTSTAMP:20260101T000000Z\r\nDTSTART:20260105T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY\r\nSUMMARY:Meeting\r\nX-ODD:1\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";

/// A collection that both work at.
struct Both<'a> {
    sync: &'static str,
    server: &'a Dav,
    path: String,
    they: Vdirsyncer,
}

impl Both<'_> {
    /// Neither has anything to say, nothing is to be mended, and both have what the server has.
    #[track_caller]
    fn rest(&self, app: &mut App) {
        let there = self.server.texts(&self.path);
        assert_eq!(self.they.sync(), [""; 0], "{}", self.sync);
        assert_eq!(self.they.repair(), [""; 0], "{}", self.sync);
        let row = app.sync(self.sync, "done");
        let told = (&row["result"], &row["down"], &row["up"], app.status(self.sync)["pending"].clone());
        assert_eq!(told, (&json!("no_new_data"), &json!(0), &json!(0), json!(0)), "{row}");
        assert_eq!(self.they.sync(), [""; 0], "{}", self.sync);
        assert_eq!(self.server.texts(&self.path), there, "{}: somebody wrote", self.sync);
        let texts = |of: std::collections::BTreeMap<String, String>| -> BTreeSet<String> {
            of.values().map(|text| plain(text)).collect()
        };
        assert_eq!(texts(self.they.texts()), texts(there.clone()), "{}", self.sync);
        assert_eq!(app.all(self.sync).len(), there.len(), "{}", self.sync);
    }

    /// Its file that has this line.
    #[track_caller]
    fn file(&self, line: &str) -> (String, String) {
        let mut all = self.they.texts().into_iter();
        all.find(|(_, text)| text.lines().any(|one| one == line)).unwrap_or_else(|| panic!("no file has {line}"))
    }
}

/// It writes files with the line ends of the system.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn world(server: &Dav) -> (Daemon, App, [Both<'_>; 2]) {
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    let home = Home::new(Some(&config(&server.url, &book, &calendar)));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let app = daemon.app("people");
    let both =
        |sync, path: String, is_calendar| Both { sync, they: Vdirsyncer::beside(server, &path, is_calendar), server, path };
    (daemon, app, [both("contacts", book, false), both("events", calendar, true)])
}

fn contact(name: &str) -> Value {
    json!({ "name": { "full": name }, "emails": { "k1": { "address": "x@example.com" } } })
}

fn event(title: &str) -> Value {
    json!({ "title": title, "start": "2026-03-20T12:00:00", "timeZone": "Europe/Berlin", "duration": "PT1H" })
}

#[test]
fn what_was_written_here_needs_no_mending_and_nobody_has_to_change_it() {
    let server = Dav::radicale();
    let (_daemon, mut app, [contacts, events]) = world(&server);
    server.put(&contacts.path, "jane.vcf", JANE);
    server.put(&contacts.path, "jack.vcf", &JANE.replace("jane", "jack"));
    server.put(&events.path, "weekly.ics", WEEKLY);
    server.put(&events.path, "daily.ics", &WEEKLY.replace("weekly", "daily"));
    for both in [&contacts, &events] {
        assert_eq!(both.they.sync().len(), 2);
        app.sync(both.sync, "done");
        both.rest(&mut app);
    }

    // Made, edited and deleted here.
    for (id, full) in [("joe", "Joe"), ("joy", "Joy Ünïcode, Jr.; \\ \"quoted\"")] {
        app.put("contacts", id, &contact(full));
    }
    app.patch("contacts", "jane", &json!({ "notes": { "k1": { "note": "two\nlines, and more; of them ".repeat(9) } } }));
    app.delete("contacts", "jack");
    app.put("events", "lunch", &event("Lunch"));
    app.put("events", "task", &json!({ "title": "Buy bread", "due": "2026-03-21T12:00:00", "timeZone": "Etc/UTC" }));
    let moved = json!({ "2026-01-12T09:00:00": { "title": "Meeting, elsewhere", "start": "2026-01-12T10:00:00" } });
    app.patch("events", "weekly", &json!({ "recurrenceOverrides": moved }));
    app.delete("events", "daily");
    for both in [&contacts, &events] {
        app.sync(both.sync, "done");
        // Two came, one changed, one went.
        assert_eq!(both.they.sync().len(), 4, "{}", both.sync);
        both.rest(&mut app);
        assert_eq!(both.they.texts().len(), 3);
    }
    assert!(contacts.file("UID:jane").1.contains("X-ODD;A=b:c") && events.file("UID:weekly").1.contains("X-ODD:1"));
}

#[test]
fn both_work_at_one_collection_in_turns_and_neither_answers_the_other() {
    let server = Dav::radicale();
    let (_daemon, mut app, [contacts, events]) = world(&server);
    server.put(&contacts.path, "jane.vcf", JANE);
    server.put(&events.path, "weekly.ics", WEEKLY);
    for both in [&contacts, &events] {
        both.they.sync();
        app.sync(both.sync, "done");
    }
    for round in 0..3 {
        // They edit a file, make one and remove one; we edit the same item elsewhere in it before we have heard of that.
        for (both, of, added) in [(&contacts, "UID:jane", "TITLE"), (&events, "UID:weekly", "LOCATION")] {
            let (name, text) = both.file(of);
            let kept: String = text.split_inclusive('\n').filter(|line| !line.starts_with(added)).collect();
            let line = format!("{of}\n{added}:round {round}");
            both.they.write(&name, &plain(&kept).replacen(of, &line, 1));
            let made = |number: i32| format!("made-{number}.{}", name.rsplit('.').next().unwrap_or_default());
            let other = of.trim_start_matches("UID:");
            both.they.write(&made(round), &plain(&text).replace(other, &format!("made-{round}")));
            if round > 0 {
                both.they.remove(&made(round - 1));
            }
            both.they.sync();
        }
        app.patch("contacts", "jane", &json!({ "nicknames": { "k1": { "name": format!("J{round}") } } }));
        app.patch("events", "weekly", &json!({ "title": format!("Meeting {round}") }));
        app.put("contacts", &format!("ours-{round}"), &contact("Ours"));
        app.put("events", &format!("ours-{round}"), &event("Ours"));
        if round > 0 {
            app.delete("contacts", &format!("ours-{}", round - 1));
            app.delete("events", &format!("ours-{}", round - 1));
        }
        for both in [&contacts, &events] {
            app.sync(both.sync, "done");
            both.they.sync();
            both.rest(&mut app);
            // The one that both edit, one of theirs, one of ours.
            assert_eq!(both.they.texts().len(), 3, "{} {round}", both.sync);
        }
        let jane = contacts.file("UID:jane").1;
        assert!(jane.contains(&format!("TITLE:round {round}")) && jane.contains(&format!("NICKNAME:J{round}")), "{jane}");
        let weekly = events.file("UID:weekly").1;
        assert!(weekly.contains(&format!("LOCATION:round {round}")) && weekly.contains(&format!("Meeting {round}")), "{weekly}");
        let here = (app.get("contacts", "jane").expect("she is here"), app.get("events", "weekly").expect("it is here"));
        assert_eq!(here.0["titles"]["k1"]["name"], format!("round {round}"), "{}", here.0);
        assert!(here.1["locations"].to_string().contains(&format!("round {round}")), "{}", here.1);
    }
    assert_eq!(app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
}
