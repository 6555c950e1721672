//! Owns: a real server that tells no changes, laid out as clouds of its engine are: what each run asks it, what its deletes come to, and
//! writing where somebody else writes, or where what is written is rewritten. Must never know: how it is asked.

use std::time::Duration;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    proxy::{End, Fault, Passed, Proxy},
    servers::Dav,
    wait::until,
};
use serde_json::json;

use crate::dav::config;

struct Bench {
    server: Dav,
    book: String,
    calendar: String,
    proxy: Proxy,
    daemon: Daemon,
    app: App,
}

/// An account that is reached through this door of the server.
fn bench(door: &str) -> Bench {
    let server = Dav::sabre();
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    let proxy = Proxy::before(&format!("{}{door}", server.url));
    let home = Home::new(Some(&config(&proxy.url, "Friends", "Work")));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let app = daemon.app("people");
    Bench { server, book, calendar, proxy, daemon, app }
}

impl Bench {
    fn put(&self, name: &str, lines: &str) {
        let text = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:{name}\r\n{lines}END:VCARD\r\n");
        self.server.put(&self.book, &format!("{name}.vcf"), &text);
    }

    fn card(&self, name: &str) -> String {
        self.server.texts(&self.book)[&format!("{name}.vcf")].clone()
    }

    /// What was asked since, by method.
    fn asked(&self) -> Vec<String> {
        self.proxy.passed().into_iter().map(|one| one.method).collect()
    }

    /// Changes that were sent since, and what was said to them.
    fn sent(&self) -> Vec<Passed> {
        self.proxy.passed().into_iter().filter(|one| matches!(one.method.as_str(), "PUT" | "DELETE")).collect()
    }

    fn nicked(&mut self, name: &str) {
        self.app.patch("contacts", name, &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    }
}

#[test]
fn a_run_of_nothing_is_one_question_and_one_of_something_lists_what_is_there() {
    let mut bench = bench("");
    ["a", "b", "c"].into_iter().for_each(|name| bench.put(name, ""));
    bench.app.sync("contacts", "done");
    let _ = bench.asked();
    for _ in 0..3 {
        let row = bench.app.sync("contacts", "done");
        assert_eq!((bench.asked(), &row["result"]), (vec!["PROPFIND".to_owned()], &json!("no_new_data")), "{row}");
    }
    // One more, one less, one other: those alone are told to apps.
    let seq = bench.app.must("status", json!({}))["seq"].as_u64().expect("a number");
    bench.put("d", "");
    bench.put("a", "NICKNAME:new\r\n");
    bench.server.delete(&bench.book, "b.vcf");
    bench.app.sync("contacts", "done");
    assert_eq!(bench.app.all("contacts").into_keys().collect::<Vec<_>>(), ["a", "c", "d"]);
    assert_eq!(bench.app.get("contacts", "a").expect("it is here")["nicknames"]["k1"]["name"], "new");
    assert_eq!(bench.app.must("status", json!({}))["seq"].as_u64(), Some(seq + 3));
    assert!(bench.sent().is_empty());
    // What went is asked for by itself before it goes here.
    bench.server.delete(&bench.book, "c.vcf");
    bench.app.sync("contacts", "done");
    let passed = bench.proxy.passed();
    assert!(
        passed.iter().any(|one| one.method == "GET" && one.target.ends_with("/c.vcf") && one.status == Some(404)),
        "{passed:?}"
    );
    assert_eq!(bench.app.get("contacts", "c"), None);
    // What goes here goes there.
    bench.app.delete("contacts", "d");
    bench.app.sync("contacts", "done");
    assert_eq!(bench.server.texts(&bench.book).into_keys().collect::<Vec<_>>(), ["a.vcf"]);
    bench.app.sync("contacts", "done");
    let _ = bench.asked();
    bench.app.sync("contacts", "done");
    assert_eq!(bench.asked(), ["PROPFIND"]);
}

#[test]
fn what_more_members_hold_than_fit_on_a_page_comes_in_one_answer() {
    let mut bench = bench("");
    (0..120).for_each(|nth| bench.put(&format!("m{nth:03}"), ""));
    bench.app.sync("contacts", "done");
    assert_eq!(bench.app.all("contacts").len(), 120);
    assert_eq!(bench.asked().iter().filter(|method| *method == "REPORT").count(), 1);
}

#[test]
fn many_that_are_missing_wait_for_a_person() {
    let mut bench = bench("");
    let name = |nth: usize| format!("m{nth:02}");
    (0..80).for_each(|nth| bench.put(&name(nth), ""));
    bench.app.sync("contacts", "done");
    (0..30).for_each(|nth| bench.server.delete(&bench.book, &format!("{}.vcf", name(nth))));
    bench.app.sync("contacts", "done_with_errors");
    assert_eq!(bench.app.all("contacts").len(), 64, "a fifth may go");
    let rejected = bench.app.must("rejection.list", json!({ "sync": "contacts" }))["rejections"].clone();
    assert!(
        rejected.as_array().is_some_and(|all| all.len() == 14 && all.iter().all(|one| one["side"] == "delete")),
        "{rejected}"
    );
    bench.daemon.says(0, &["sync", "contacts", "--accept-deletes"]);
    assert_eq!(bench.app.all("contacts").len(), 50);
    assert!(bench.sent().is_empty(), "nothing was asked of the server for that");
    // A collection that is not there takes nothing with it.
    assert!((200..300).contains(&bench.server.ask("DELETE", &bench.book, &[], None).status));
    let error = bench.app.sync("contacts", "failed")["error"].clone();
    assert_eq!((&error["name"], bench.app.all("contacts").len()), (&json!("denied"), 50), "{error}");
}

#[test]
fn who_writes_while_we_write_is_not_written_over() {
    let mut bench = bench("");
    bench.put("a", "");
    bench.app.sync("contacts", "done");
    bench.nicked("a");
    // Ours has looked, and is on its way.
    bench.proxy.next("PUT", Fault::Delay(Duration::from_secs(2)));
    let run = bench.app.run("contacts");
    until("our change on its way", || (bench.proxy.waiting() == 0).then_some(()));
    bench.put("a", "NOTE:theirs\r\n");
    let _ = bench.app.ended(&run);
    bench.app.sync("contacts", "done");
    let statuses: Vec<_> = bench.sent().into_iter().map(|one| one.status).collect();
    assert_eq!(statuses, [Some(412), Some(204)]);
    let text = bench.card("a");
    assert!(text.contains("NOTE:theirs") && text.contains("NICKNAME:nick"), "{text}");
    let here = bench.app.get("contacts", "a").expect("it is here");
    assert_eq!((&here["notes"]["k1"]["note"], &here["nicknames"]["k1"]["name"]), (&json!("theirs"), &json!("nick")));

    // A delete there, while ours is on its way, meets an edit: what was edited stays, and is made there again.
    bench.app.patch("contacts", "a", &json!({ "nicknames": { "k1": { "name": "other" } } }));
    bench.proxy.next("PUT", Fault::Delay(Duration::from_secs(2)));
    let run = bench.app.run("contacts");
    until("our change on its way", || (bench.proxy.waiting() == 0).then_some(()));
    bench.server.delete(&bench.book, "a.vcf");
    let _ = bench.app.ended(&run);
    bench.app.sync("contacts", "done");
    assert!(bench.card("a").contains("NICKNAME:other"));
    assert_eq!(bench.app.status("contacts")["pending"], json!(0));
}

#[test]
fn an_answer_that_is_lost_makes_nothing_twice() {
    let mut bench = bench("");
    bench.proxy.next("PUT", Fault::Lost(End::Closed));
    bench.app.put("contacts", "a", &json!({ "name": { "full": "Ann" } }));
    let run = bench.app.run("contacts");
    let _ = bench.app.ended(&run);
    bench.app.sync("contacts", "done");
    assert_eq!(bench.server.texts(&bench.book).len(), 1);
    bench.proxy.next("PUT", Fault::Lost(End::Closed));
    bench.nicked("a");
    let run = bench.app.run("contacts");
    let _ = bench.app.ended(&run);
    bench.app.sync("contacts", "done");
    assert_eq!(bench.card("a").matches("NICKNAME:nick").count(), 1);
    assert_eq!((bench.app.status("contacts")["pending"].clone(), bench.app.all("contacts").len()), (json!(0), 1));
}

#[test]
fn what_is_written_anew_there_comes_to_rest() {
    // Behind this door no answer to a change tells a revision, and what is kept is not what was sent.
    let mut bench = bench("/anew/");
    bench.put("a", "item1.tel;type=home:1\r\nX-ODD;A=b:a\\,b\r\n");
    bench.app.sync("contacts", "done");
    bench.nicked("a");
    bench.app.put("contacts", "b", &json!({ "name": { "full": "Bea" }, "notes": { "k1": { "note": "x".repeat(200) } } }));
    bench.app.put(
        "events",
        "e",
        &json!({ "title": "Lunch", "start": "2026-03-20T12:00:00", "timeZone": "Europe/Berlin", "duration": "PT1H" }),
    );
    bench.app.sync("contacts", "done");
    bench.app.sync("events", "done");
    let text = bench.card("a");
    assert!(text.contains("NICKNAME:nick") && text.contains("ITEM1.TEL;TYPE=home:1"), "{text}");
    let (contacts, events) = (bench.server.texts(&bench.book), bench.server.texts(&bench.calendar));
    assert!(contacts.len() == 2 && events.len() == 1);
    let _ = bench.sent();
    for _ in 0..2 {
        for sync in ["contacts", "events"] {
            let row = bench.app.sync(sync, "done");
            assert_eq!(bench.app.status(sync)["pending"], json!(0), "{row}");
        }
    }
    assert!(bench.sent().is_empty());
    assert_eq!((bench.server.texts(&bench.book), bench.server.texts(&bench.calendar)), (contacts, events));
    // And what was written anew can be edited again, on both sides.
    bench.app.patch("contacts", "a", &json!({ "nicknames": { "k1": { "name": "other" } } }));
    let theirs = bench.card("a").replace("FN:a", "FN:Ann");
    bench.server.put(&bench.book, "a.vcf", &theirs);
    bench.app.sync("contacts", "done");
    let text = bench.card("a");
    assert!(text.contains("NICKNAME:other") && text.contains("FN:Ann"), "{text}");
    assert_eq!(bench.app.get("contacts", "a").expect("it is here")["name"]["full"], "Ann");
}

#[test]
fn what_is_refused_there_says_why_in_the_words_of_the_server() {
    let mut bench = bench("");
    let only = "<c:mkcalendar xmlns:c=\"urn:ietf:params:xml:ns:caldav\" xmlns:d=\"DAV:\"><d:set><d:prop><d:displayname>Work</d:displayname>\
        <c:supported-calendar-component-set><c:comp name=\"VEVENT\"/></c:supported-calendar-component-set></d:prop></d:set></c:mkcalendar>";
    assert!((200..300).contains(&bench.server.ask("DELETE", &bench.calendar, &[], None).status));
    assert_eq!(bench.server.ask("MKCALENDAR", &bench.calendar, &[("content-type", "application/xml")], Some(only)).status, 201);
    bench.app.put("events", "t", &json!({ "title": "Buy", "due": "2026-03-20T12:00:00" }));
    bench.app.sync("events", "done_with_errors");
    let rejected = bench.app.must("rejection.list", json!({ "sync": "events" }))["rejections"][0]["what"].to_string();
    for part in ["HTTP 403", "supported-calendar-component", "only supports VEVENT", "found a VTODO"] {
        assert!(rejected.contains(part), "{part}: {rejected}");
    }
    assert!(bench.app.get("events", "t").is_some());
    assert!(bench.server.texts(&bench.calendar).is_empty());
}
