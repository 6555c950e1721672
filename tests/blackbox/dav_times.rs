//! Owns: records of time with a real server: what a whole appointment is made of survives edits on both sides. Must never know: how one is
//! written into a text.

use std::collections::BTreeSet;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::Dav,
};
use serde_json::{Value, json};

/// A meeting every week in a zone, with one that is left out, one that is moved, an alarm, a link, a file in it, and lines of others.
const MEETING: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Odd//1//EN\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:STANDARD\r\n\
    DTSTART:19701025T030000\r\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nTZNAME:CET\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n\
    END:STANDARD\r\nBEGIN:DAYLIGHT\r\nDTSTART:19700329T020000\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nTZNAME:CEST\r\n\
    TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:m1\r\nDTSTAMP:20260102T030405Z\r\n\
    DTSTART;TZID=Europe/Berlin:20260320T090000\r\nDTEND;TZID=Europe/Berlin:20260320T100000\r\nRRULE:FREQ=WEEKLY;COUNT=8\r\n\
    EXDATE;TZID=Europe/Berlin:20260327T090000\r\nSUMMARY:Standup\r\nLOCATION:Room 5\r\nATTACH:https://example.org/agenda.pdf\r\n\
    ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY:aGVsbG8=\r\nX-FOO;X-PAR=1:bar\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\n\
    TRIGGER:-PT15M\r\nDESCRIPTION:Reminder\r\nX-SNOOZE:1\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:m1\r\n\
    RECURRENCE-ID;TZID=Europe/Berlin:20260403T090000\r\nDTSTAMP:20260102T030405Z\r\nDTSTART;TZID=Europe/Berlin:20260403T110000\r\n\
    DTEND;TZID=Europe/Berlin:20260403T120000\r\nSUMMARY:Standup\r\nLOCATION:Room 5\r\nX-INNER:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// A birthday, of which one is on another day.
const BIRTHDAY: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Odd//1//EN\r\nBEGIN:VEVENT\r\nUID:b1\r\nDTSTAMP:20260101T000000Z\r\n\
    DTSTART;VALUE=DATE:20260320\r\nDTEND;VALUE=DATE:20260321\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Jane\r\nX-FOO:1\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:b1\r\nRECURRENCE-ID;VALUE=DATE:20280320\r\nDTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:20280322\r\n\
    DTEND;VALUE=DATE:20280323\r\nSUMMARY:Jane\r\nX-INNER:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

struct Bench {
    server: Dav,
    calendar: String,
    daemon: Daemon,
    app: App,
}

/// A calendar with one member, which is here too. `rules`: of the collection.
fn bench(member: &str, text: &str, rules: &str) -> Bench {
    let server = Dav::radicale();
    let calendar = server.calendar("Work");
    server.put(&calendar, member, text);
    let home = Home::new(Some(&format!(
        "[remote.home]\nkind = \"dav\"\nurl = \"{}\"\nauth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"dav.secret\" }} }}\n\n\
         [sync.events]\ncollection = \"events\"\nremote = \"home\"\nresource = \"{calendar}\"\ndirection = \"both\"\non_start = false\n\
         on_change = false\n{rules}",
        server.url,
        Dav::ACCOUNT.0
    )));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let mut app = daemon.app("calendar");
    app.sync("events", "done");
    Bench { server, calendar, daemon, app }
}

impl Bench {
    fn there(&self, member: &str) -> String {
        self.server.texts(&self.calendar)[member].clone()
    }

    /// Somebody else edits what is there now.
    fn edits(&self, member: &str, from: &str, to: &str) -> String {
        let text = self.there(member);
        assert!(text.contains(from), "{from}: {text}");
        let text = text.replace(from, to);
        self.server.put(&self.calendar, member, &text);
        self.there(member)
    }

    /// The lines in which the text there differs from this one, as `-` and `+`.
    fn differs(&self, member: &str, before: &str) -> BTreeSet<String> {
        let after = self.there(member);
        let left = |one: &str, other: &str, sign: char| {
            let mut others: Vec<&str> = other.lines().collect();
            let gone = one.lines().filter(move |line| match others.iter().position(|other| other == line) {
                Some(at) => {
                    others.swap_remove(at);
                    false
                }
                None => true,
            });
            gone.map(|line| format!("{sign}{line}")).collect::<Vec<_>>()
        };
        left(before, &after, '-').into_iter().chain(left(&after, before, '+')).collect()
    }

    /// Nothing is left to say, on either side.
    fn rests(&mut self, member: &str) {
        let (there, seq) = (self.there(member), self.app.must("status", json!({}))["seq"].clone());
        let row = self.app.sync("events", "done");
        assert_eq!((self.there(member), self.app.must("status", json!({}))["seq"].clone()), (there, seq), "{row}");
        assert_eq!(self.app.status("events")["pending"], json!(0));
    }

    fn conflicts(&mut self) -> Vec<Value> {
        self.app.must("conflict.list", json!({ "all": true }))["conflicts"].as_array().expect("a list").clone()
    }
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn each_side_edits_something_else_of_a_meeting_and_both_stay() {
    let mut bench = bench("m1.ics", MEETING, "");
    let here = bench.app.get("events", "m1").expect("it came");
    assert_eq!((&here["timeZone"], &here["start"]), (&json!("Europe/Berlin"), &json!("2026-03-20T09:00:00")), "{here}");
    assert_eq!(here["recurrenceOverrides"]["2026-04-03T09:00:00"]["start"], "2026-04-03T11:00:00", "{here}");
    assert_eq!(here["recurrenceOverrides"]["2026-03-27T09:00:00"], json!({ "excluded": true }));

    bench.app.patch("events", "m1", &json!({ "title": "Weekly" }));
    let theirs = bench.edits("m1.ics", "LOCATION:Room 5", "LOCATION:Room 6");
    bench.app.sync("events", "done");
    assert_eq!(bench.differs("m1.ics", &theirs), set(&["-SUMMARY:Standup", "+SUMMARY:Weekly"]));
    let here = bench.app.get("events", "m1").expect("it is here");
    assert_eq!(here["title"], "Weekly");
    assert!(here["locations"].to_string().contains("Room 6"), "{here}");
    bench.rests("m1.ics");
    assert_eq!(bench.conflicts(), Vec::<Value>::new());

    // An instance is moved here while the whole is renamed there.
    let mut overrides = here["recurrenceOverrides"].clone();
    overrides["2026-04-10T09:00:00"] = json!({ "start": "2026-04-10T15:00:00" });
    bench.app.patch("events", "m1", &json!({ "recurrenceOverrides": overrides }));
    bench.edits("m1.ics", "SUMMARY:Weekly", "SUMMARY:Our week");
    bench.app.sync("events", "done");
    let there = bench.there("m1.ics");
    for line in [
        "RECURRENCE-ID;TZID=Europe/Berlin:20260410T090000",
        "DTSTART;TZID=Europe/Berlin:20260410T150000",
        "DTSTART;TZID=Europe/Berlin:20260403T110000",
        "ATTACH:https://example.org/agenda.pdf",
        "X-FOO;X-PAR=1:bar",
        "X-SNOOZE:1",
        "X-INNER:1",
        "TZNAME:CEST",
    ] {
        assert!(there.contains(line), "{line}: {there}");
    }
    assert!(there.contains("aGVsbG8=") && !there.contains("SUMMARY:Weekly"), "{there}");
    let here = bench.app.get("events", "m1").expect("it is here");
    assert_eq!(here["title"], "Our week");
    assert_eq!(here["recurrenceOverrides"]["2026-04-10T09:00:00"]["start"], "2026-04-10T15:00:00", "{here}");
    bench.rests("m1.ics");
    assert_eq!(bench.conflicts(), Vec::<Value>::new());
}

#[test]
fn whole_days_keep_their_exceptions_when_both_sides_edit() {
    let mut bench = bench("b1.ics", BIRTHDAY, "");
    let here = bench.app.get("events", "b1").expect("it came");
    assert_eq!(here["showWithoutTime"], true, "{here}");
    assert_eq!(here["recurrenceOverrides"], json!({ "2028-03-20T00:00:00": { "start": "2028-03-22T00:00:00" } }));
    bench.app.patch("events", "b1", &json!({ "description": "cake" }));
    let theirs = bench.edits("b1.ics", "DTSTART;VALUE=DATE:20280322", "DTSTART;VALUE=DATE:20280323");
    let theirs = theirs.replace("DTEND;VALUE=DATE:20280323", "DTEND;VALUE=DATE:20280324");
    bench.server.put(&bench.calendar, "b1.ics", &theirs);
    let theirs = bench.there("b1.ics");
    bench.app.sync("events", "done");
    assert_eq!(bench.differs("b1.ics", &theirs), set(&["+DESCRIPTION:cake"]));
    let here = bench.app.get("events", "b1").expect("it is here");
    assert_eq!(here["recurrenceOverrides"], json!({ "2028-03-20T00:00:00": { "start": "2028-03-23T00:00:00" } }));
    bench.rests("b1.ics");
}

#[test]
fn the_same_on_both_sides_is_a_conflict_in_words() {
    let mut bench = bench("m1.ics", MEETING, "\n[collection.events]\nmerge = { default = \"manual\" }\n");
    bench.app.patch("events", "m1", &json!({ "title": "Ours", "description": "what is new" }));
    bench.edits("m1.ics", "SUMMARY:Standup", "SUMMARY:Theirs");
    bench.app.sync("events", "done");
    let open = bench.conflicts();
    assert_eq!(open.len(), 1, "{open:?}");
    let values = ["agreed", "truth", "theirs"].map(|name| open[0][name].clone());
    assert_eq!(values, ["Standup", "Ours", "Theirs"].map(|title| json!(title)), "{open:?}");
    let said = bench.daemon.says(0, &["conflict", "list"]);
    for part in ["events/m1.title", "\"Ours\"", "\"Theirs\"", "(home)", "mingle conflict resolve"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let why = bench.daemon.says(0, &["why", "events", "m1", "title"]);
    assert!(why.contains("Ours"), "{why}");
    // What nobody else touched went.
    let there = bench.there("m1.ics");
    assert!(there.contains("DESCRIPTION:what is new") && there.contains("SUMMARY:Theirs"), "{there}");

    // Another instance is moved on each side: they meet in one property, and of it only what differs is shown.
    let mut overrides = bench.app.get("events", "m1").expect("it is here")["recurrenceOverrides"].clone();
    overrides["2026-04-03T09:00:00"]["start"] = json!("2026-04-03T13:00:00");
    bench.app.patch("events", "m1", &json!({ "recurrenceOverrides": overrides }));
    let theirs =
        bench.edits("m1.ics", "DTSTART;TZID=Europe/Berlin:20260403T110000", "DTSTART;TZID=Europe/Berlin:20260403T140000");
    bench.server.put(
        &bench.calendar,
        "m1.ics",
        &theirs.replace("DTEND;TZID=Europe/Berlin:20260403T120000", "DTEND;TZID=Europe/Berlin:20260403T150000"),
    );
    bench.app.sync("events", "done");
    let said = bench.daemon.says(0, &["conflict", "list"]);
    let about: Vec<&str> = said.split("recurrenceOverrides").skip(1).collect();
    assert_eq!(about.len(), 1, "{said}");
    for part in ["2026-04-03T13:00:00", "2026-04-03T14:00:00", "2026-04-03T11:00:00"] {
        assert!(about[0].contains(part), "{part}: {said}");
    }
    assert!(!about[0].contains("excluded"), "{said}");
    // What is decided goes there.
    let open: Vec<_> = bench.conflicts().into_iter().filter(|one| one["open"] == true).collect();
    assert_eq!(open.len(), 2, "{open:?}");
    for one in open {
        bench.daemon.says(0, &["conflict", "resolve", one["conflict"].as_str().expect("an id"), "--keep", "truth"]);
    }
    bench.app.sync("events", "done");
    let there = bench.there("m1.ics");
    assert!(there.contains("SUMMARY:Ours") && there.contains("DTSTART;TZID=Europe/Berlin:20260403T130000"), "{there}");
    bench.rests("m1.ics");
}
