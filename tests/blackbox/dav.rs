//! Owns: contacts and appointments through a whole daemon and a real server, and back. Must never know: how either is written there.

use mingle_tests::{daemon::Home, proxy::Proxy, servers::Dav};
use serde_json::json;

const QUIET: &str = "direction = \"both\"\non_start = false\non_change = false\n";

/// Settings of kind `dav` with a sync each of an address book and of a calendar.
pub fn config(url: &str, book: &str, calendar: &str) -> String {
    format!(
        "[remote.home]\nkind = \"dav\"\nurl = \"{url}\"\n\
         auth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"dav.secret\" }} }}\n\n\
         [sync.contacts]\ncollection = \"contacts\"\nremote = \"home\"\nresource = \"{book}\"\n{QUIET}\n\
         [sync.events]\ncollection = \"events\"\nremote = \"home\"\nresource = \"{calendar}\"\n{QUIET}",
        Dav::ACCOUNT.0
    )
}

#[test]
fn contacts_and_events_go_both_ways_and_odd_lines_stay() {
    go_both_ways(&Dav::radicale());
}

#[test]
fn contacts_and_events_go_both_ways_where_no_changes_are_told() {
    go_both_ways(&Dav::sabre());
}

fn go_both_ways(server: &Dav) {
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    let jane =
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:jane\r\nFN:Jane\r\nEMAIL;TYPE=HOME:j@example.com\r\nX-ODD;A=b:c\r\nEND:VCARD\r\n";
    server.put(&book, "jane.vcf", jane);
    let home = Home::new(Some(&config(&server.url, &book, "Work")));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let mut app = daemon.app("people");
    app.sync("contacts", "done");
    app.sync("events", "done");
    let here = app.get("contacts", "jane").expect("she came down");
    assert_eq!(here["emails"]["k1"]["address"], "j@example.com");
    assert!(here.get("vCard").is_none(), "{here}");

    // Both sides edit her at once, each something else; and each side makes somebody.
    app.patch("contacts", "jane", &json!({ "nicknames": { "k1": { "name": "JJ" } } }));
    server.put(&book, "jane.vcf", &jane.replace("j@example.com", "jane@example.com"));
    app.put("contacts", "joe", &json!({ "name": { "full": "Joe" } }));
    app.put(
        "events",
        "e1",
        &json!({ "title": "Lunch", "start": "2026-03-20T12:00:00", "timeZone": "Etc/UTC", "duration": "PT1H" }),
    );
    // A plan asks in DAV's own ways, and only what would change something is held back.
    let before = server.texts(&book);
    let plan = app.must("plan", json!({ "sync": "contacts" }));
    let requests = plan["requests"].as_array().expect("a list");
    assert!(requests.len() == 2 && requests.iter().all(|one| one["method"] == "PUT"), "{plan}");
    assert_eq!(server.texts(&book), before);
    app.sync("contacts", "done");
    app.sync("events", "done");
    let there = server.texts(&book);
    for line in ["EMAIL;TYPE=HOME:jane@example.com", "NICKNAME:JJ", "X-ODD;A=b:c"] {
        assert!(there["jane.vcf"].contains(line), "{line}: {}", there["jane.vcf"]);
    }
    assert!(there["joe.vcf"].contains("FN:Joe"), "{}", there["joe.vcf"]);
    assert!(server.texts(&calendar)["e1.ics"].contains("SUMMARY:Lunch"));
    let here = app.get("contacts", "jane").expect("she is here");
    assert_eq!((&here["emails"]["k1"]["address"], &here["nicknames"]["k1"]["name"]), (&json!("jane@example.com"), &json!("JJ")));

    // Nothing is left to say.
    for _ in 0..2 {
        let row = app.sync("contacts", "done");
        assert_eq!((&row["result"], app.status("contacts")["pending"].clone()), (&json!("no_new_data"), json!(0)), "{row}");
    }
    assert_eq!(server.texts(&book), there);

    // Deletes go both ways.
    app.delete("contacts", "joe");
    server.delete(&book, "jane.vcf");
    app.sync("contacts", "done");
    app.sync("contacts", "done");
    assert!(server.texts(&book).is_empty() && app.all("contacts").is_empty());

    // What has no place in a card is refused, stays here, and says so.
    app.put("contacts", "odd", &json!({ "name": "no object" }));
    app.sync("contacts", "done_with_errors");
    let listed = app.must("rejection.list", json!({ "sync": "contacts" }));
    let why = listed["rejections"][0]["what"].to_string();
    assert!(why.contains("name has no place in a vCard"), "{listed}");
    assert!(server.texts(&book).is_empty() && app.get("contacts", "odd").is_some());
}

#[test]
fn a_run_of_nothing_is_one_question_and_a_collection_that_moved_is_found_again() {
    let server = Dav::radicale();
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    let weekly = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:e1\r\nDTSTAMP:20260101T000000Z\r\n\
        DTSTART:20260320T120000Z\r\nSUMMARY:Lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    server.put(&calendar, "e1.ics", weekly);
    let proxy = Proxy::before(&server.url);
    // By its name: it has to be looked for.
    let home = Home::new(Some(&config(&proxy.url, &book, "Work")));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let mut app = daemon.app("people");
    app.sync("events", "done");
    let found = proxy.passed();
    assert!(found.iter().any(|one| one.method == "PROPFIND"), "{found:?}");
    for _ in 0..3 {
        let row = app.sync("events", "done");
        let asked = proxy.passed();
        assert!(asked.len() == 1 && asked[0].method == "REPORT" && row["down"] == 0, "{asked:?} {row}");
    }

    // Another one has its name now, elsewhere: the run that misses it says so, the next one looks for it.
    assert!((200..300).contains(&server.ask("DELETE", &calendar, &[], None).status));
    let moved = server.calendar("Work");
    server.put(&moved, "e1.ics", &weekly.replace("Lunch", "Dinner"));
    app.sync("events", "failed");
    app.sync("events", "done");
    assert_eq!(app.get("events", "e1").expect("it is here")["title"], "Dinner");
    assert_eq!(server.texts(&moved).len(), 1);
}
