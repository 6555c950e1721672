//! Owns: documents and lists as remotes (kind `http`), as those meet them who have one: what changed, what vanished, what is no document,
//! and what readers see meanwhile. Must never know: how a document is read.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    wire::{self, Served},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// What the server answers.
#[derive(Clone)]
struct Shows {
    status: u16,
    of: &'static str,
    etag: &'static str,
    body: String,
    /// It announces so many bytes more than it sends.
    lacks: usize,
}

impl Shows {
    fn json(etag: &'static str, body: &Value) -> Self {
        Self { status: 200, of: "application/json", etag, body: body.to_string(), lacks: 0 }
    }

    fn text(of: &'static str, body: &str) -> Self {
        Self { status: 200, of, etag: "", body: body.to_owned(), lacks: 0 }
    }
}

/// A daemon whose one sync `doc` is of a document.
struct World {
    shows: Arc<Mutex<Shows>>,
    daemon: Daemon,
    app: App,
    _server: Served,
}

fn config(url: &str, keys: &str, sync: &str) -> String {
    format!(
        "[remote.site]\nkind = \"http\"\nurl = \"{url}\"\n{keys}\n\n[collection.things]\ncolumns = [\"gen\"]\n\n\
         [sync.doc]\ncollection = \"things\"\nremote = \"site\"\nresource = \"doc?x=1\"\non_start = false\n{sync}\n"
    )
}

fn world(keys: &str, first: Shows) -> World {
    let shows = Arc::new(Mutex::new(first));
    let answers = Arc::clone(&shows);
    let server = wire::serve(Arc::new(move |request, line| {
        let shows = answers.lock().expect("what to show").clone();
        assert_eq!((request.path.join("/").as_str(), request.parameter("x")), ("doc", Some("1")), "the address");
        let known = !shows.etag.is_empty() && request.header("if-none-match") == Some(shows.etag);
        let mut headers = vec![("content-type", shows.of)];
        if !shows.etag.is_empty() {
            headers.push(("etag", shows.etag));
        }
        if known && shows.status == 200 {
            return line.send(&wire::response(304, &headers, ""));
        }
        let whole = wire::response(shows.status, &headers, &format!("{}{}", shows.body, " ".repeat(shows.lacks)));
        line.send(&whole[..whole.len() - shows.lacks]) && shows.lacks == 0
    }));
    let daemon = Home::new(Some(&config(&server.url, keys, "direction = \"down\""))).start();
    let app = daemon.app("reader");
    World { shows, daemon, app, _server: server }
}

impl World {
    fn show(&self, shows: Shows) {
        *self.shows.lock().expect("what to show") = shows;
    }

    fn all(&mut self) -> Value {
        json!(self.app.all("things"))
    }

    /// The run asks once, and is told that nothing changed.
    #[track_caller]
    fn unchanged(&mut self) {
        let run = self.app.sync("doc", "done");
        let told = ["requests", "not_modified", "bytes_down"].map(|key| run[key].as_u64().expect("a number"));
        assert_eq!((told, &run["result"]), ([1, 1, 0], &json!("no_new_data")), "{run}");
    }

    /// The run fails, says this, and changes nothing.
    #[track_caller]
    fn fails(&mut self, part: &str) {
        let before = self.all();
        let run = self.app.sync("doc", "failed");
        assert!(run["error"]["what"].as_str().is_some_and(|what| what.contains(part)), "{part}: {run}");
        assert_eq!(self.all(), before, "{part}");
    }

    fn good(&self) {
        let said = self.daemon.says(0, &["fsck"]);
        assert!(said.ends_with("every rule holds\n"), "{said}");
    }
}

#[test]
fn a_list_is_asked_only_for_whether_it_changed_and_what_it_shows_is_here() {
    let mut world = world("", Shows::json("\"1\"", &json!([{ "id": "a", "n": 1 }, { "id": "b", "n": 1 }])));
    let run = world.app.sync("doc", "done");
    assert_eq!((&run["down"], &run["requests"]), (&json!(2), &json!(1)), "{run}");
    assert_eq!(world.all(), json!({ "a": { "n": 1 }, "b": { "n": 1 } }));
    world.unchanged();
    for _ in 0..2 {
        world.daemon.kill();
        world.daemon.start();
        world.app = world.daemon.app("reader");
        world.unchanged();
    }

    // An edit, a delete, a new one: one request.
    world.show(Shows::json("\"2\"", &json!([{ "id": "a", "n": 2 }, { "id": "c", "n": 1 }])));
    let run = world.app.sync("doc", "done");
    assert_eq!((&run["down"], &run["requests"]), (&json!(3), &json!(1)), "{run}");
    assert_eq!(world.all(), json!({ "a": { "n": 2 }, "c": { "n": 1 } }));
    world.unchanged();

    // A validator that changes by itself is no news, and the new one counts.
    world.show(Shows::json("W/\"other\"", &json!([{ "id": "a", "n": 2 }, { "id": "c", "n": 1 }])));
    let run = world.app.sync("doc", "done");
    assert_eq!((&run["result"], &run["requests"], &run["not_modified"]), (&json!("no_new_data"), &json!(1), &json!(0)), "{run}");
    world.unchanged();

    // What was deleted comes back under its id.
    world.show(Shows::json("\"3\"", &json!([{ "id": "a", "n": 2 }, { "id": "b", "n": 3 }])));
    world.app.sync("doc", "done");
    assert_eq!(world.all(), json!({ "a": { "n": 2 }, "b": { "n": 3 } }));
    world.unchanged();
    // A person may ask whether it is there, and for all of it anew.
    world.daemon.says(0, &["remote", "check", "site"]);
    world.daemon.says(0, &["sync", "doc", "--mode", "slow"]);
    world.unchanged();
    world.good();
}

#[test]
fn what_is_no_document_changes_nothing_and_is_named() {
    let list = json!([{ "id": "a", "n": 1 }, { "id": "b", "n": 1 }]);
    let good = Shows::json("\"1\"", &list);
    let mut world = world("", good.clone());
    world.app.sync("doc", "done");
    let other = Shows { etag: "\"2\"", ..good.clone() };
    for status in [404, 410] {
        world.show(Shows { status, ..other.clone() });
        world.fails("is not there");
    }
    world.show(Shows { status: 206, ..other.clone() });
    world.fails("no whole document");
    world.show(Shows::text("text/html", "<html>Log in</html>"));
    world.fails("a web page (HTML)");
    world.show(Shows::text("application/json", "<!DOCTYPE html><html>Log in</html>"));
    world.fails("a web page (HTML)");
    world.show(Shows::json("\"2\"", &json!({ "error": "down" })));
    world.fails("where the list should be");
    world.show(Shows::text("application/json", "[{\"id\":\"a\",\"n\":1},"));
    world.fails("ends too early");
    world.show(Shows { lacks: 10, ..other.clone() });
    world.fails("body");
    world.show(Shows::text("application/json", "[{\"n\":1}]"));
    world.fails("no id at /id");
    world.show(Shows { status: 401, ..other });
    world.fails("refuses the credentials");

    // An empty list is one that a person looks at first.
    world.show(Shows::json("\"3\"", &json!([])));
    let run = world.app.sync("doc", "done_with_errors");
    assert_eq!((&run["rejected"], world.app.all("things").len()), (&json!(2), 2), "{run}");
    // The last good one is here all along, and good again.
    world.show(good);
    world.app.sync("doc", "done");
    assert_eq!(world.all(), json!({ "a": { "n": 1 }, "b": { "n": 1 } }));
    world.show(Shows::json("\"3\"", &json!([])));
    world.app.sync("doc", "done_with_errors");
    world.daemon.says(0, &["sync", "doc", "--accept-deletes"]);
    assert_eq!(world.all(), json!({}));
    world.good();
}

/// Readers see the document before or the document after, never some of both.
#[test]
fn readers_never_see_half_a_document() {
    const ROWS: usize = 1_900;
    let document = |generation: usize| -> Value {
        let rows = (0..ROWS).map(|n| json!({ "id": format!("r{}", generation * 5 + n), "gen": generation }));
        rows.collect()
    };
    let mut world = world("", Shows::json("\"0\"", &document(0)));
    world.app.sync("doc", "done");
    let (ended, path) = (Arc::new(AtomicBool::new(false)), world.daemon.store());
    let until = Arc::clone(&ended);
    let reader = std::thread::spawn(move || {
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
        let (mut looks, mut seen) = (0, std::collections::BTreeSet::new());
        while !until.load(Ordering::Relaxed) {
            let sql = "SELECT count(*), min(gen), max(gen) FROM things";
            let look =
                store.query_row(sql, (), |row| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?, row.get::<_, usize>(2)?)));
            let (count, least, most) = look.expect("a look");
            assert_eq!((count, least), (ROWS, most), "half a document");
            looks += 1;
            seen.insert(most);
        }
        (looks, seen.len())
    });
    for (generation, etag) in [(1, "\"1\""), (2, "\"2\""), (3, "\"3\"")] {
        world.show(Shows::json(etag, &document(generation)));
        world.app.sync("doc", "done");
    }
    ended.store(true, Ordering::Relaxed);
    let (looks, seen) = reader.join().expect("it never saw half a document");
    assert!(looks > 3 && seen > 1, "{looks} looks, {seen} documents");
    world.good();
}

#[test]
fn tables_are_read_with_their_quotes_and_doubled_ids_are_named() {
    let table = "\u{feff}code;name\r\nde;\"Deutschland; \"\"neu\"\"\"\r\nfr;France\r\n";
    let mut world = world("id = \"code\"", Shows::text("text/csv; charset=utf-8", table));
    world.app.sync("doc", "done");
    assert_eq!(world.all(), json!({ "de": { "name": "Deutschland; \"neu\"" }, "fr": { "name": "France" } }));
    // No validator: it is read each time, and the same is no news.
    let run = world.app.sync("doc", "done");
    assert_eq!((&run["result"], &run["not_modified"]), (&json!("no_new_data"), &json!(0)), "{run}");
    // Two rows with one id that differ: neither counts, and none goes.
    world.show(Shows::text("text/csv", "code;name\nde;Allemagne\nfr;France\nde;Germany\n"));
    world.app.sync("doc", "done_with_errors");
    let listed = world.app.must("rejection.list", json!({ "sync": "doc" }));
    assert!(listed["rejections"][0]["what"].to_string().contains("more than once"), "{listed}");
    assert_eq!(world.all(), json!({ "de": { "name": "Deutschland; \"neu\"" }, "fr": { "name": "France" } }));
    world.show(Shows::text("text/csv", "code;name\nde;Germany\nfr;France\n"));
    world.app.sync("doc", "done");
    assert_eq!(world.all()["de"], json!({ "name": "Germany" }));
    world.good();
}

#[test]
fn settings_are_one_record_and_entries_of_a_feed_stay() {
    let mut world = world("document = \"settings\"", Shows::json("\"1\"", &json!({ "dark": true, "size": 3 })));
    world.app.sync("doc", "done");
    world.show(Shows::json("\"2\"", &json!({ "dark": false })));
    world.app.sync("doc", "done");
    assert_eq!(world.all(), json!({ "settings": { "dark": false } }));
    world.good();

    let feed = |items: &[u32]| {
        let items: String = items.iter().map(|n| format!("<item><guid>g{n}</guid><title>T{n}</title></item>")).collect();
        Shows::text("application/rss+xml", &format!("<rss version=\"2.0\"><channel><title>x</title>{items}</channel></rss>"))
    };
    let mut world = self::world("format = \"rss\"", feed(&[1, 2]));
    world.app.sync("doc", "done");
    world.show(feed(&[3, 2]));
    world.app.sync("doc", "done");
    assert_eq!(world.all(), json!({ "g1": { "title": "T1" }, "g2": { "title": "T2" }, "g3": { "title": "T3" } }));
    world.show(feed(&[]));
    world.app.sync("doc", "done");
    assert_eq!(world.app.all("things").len(), 3);
    world.good();
}

#[test]
fn a_published_calendar_is_a_record_for_each_uid_and_what_leaves_it_goes() {
    let calendar = |inside: &str| {
        let zone = "BEGIN:VTIMEZONE\nTZID:Ours\nBEGIN:STANDARD\nDTSTART:19701025T030000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\n\
            END:STANDARD\nEND:VTIMEZONE\n";
        let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nX-WR-CALNAME:Town\n{zone}{inside}END:VCALENDAR\n");
        Shows::text("text/calendar; charset=utf-8", &text.replace('\n', "\r\n"))
    };
    let event = |uid: &str, lines: &str| {
        format!("BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\nDTSTART;TZID=Ours:20260105T090000\n{lines}END:VEVENT\n")
    };
    let moved = "RECURRENCE-ID;TZID=Ours:20260112T090000\nSUMMARY:Moved\n";
    let market = event("market", "SUMMARY:Market\nRRULE:FREQ=WEEKLY\n") + &event("market", moved);
    let task = "BEGIN:VTODO\nUID:hall\nSUMMARY:Clean the hall\nEND:VTODO\n";
    let mut world = world("", calendar(&format!("{market}{}{task}", event("fair", "SUMMARY:Fa\n ir\n"))));
    world.app.sync("doc", "done");
    let all = world.all();
    let of = |id: &str, at: &str| all[id].pointer(at).cloned().unwrap_or_default();
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(3), "{all}");
    assert_eq!(
        (of("fair", "/title"), of("hall", "/@type"), of("market", "/title")),
        (json!("Fair"), json!("Task"), json!("Market"))
    );
    assert_eq!(of("market", "/recurrenceOverrides/2026-01-12T09:00:00/title"), "Moved", "{all}");
    // It has no validator: the same text is no news, and neither is another order.
    let run = world.app.sync("doc", "done");
    assert_eq!(run["result"], "no_new_data", "{run}");
    world.show(calendar(&format!("{task}{}{market}", event("fair", "SUMMARY:Fair\n"))));
    let run = world.app.sync("doc", "done");
    assert_eq!((&run["result"], world.all()), (&json!("no_new_data"), all.clone()), "{run}");
    // One event changes, one leaves; a journal is none.
    let journal = "BEGIN:VJOURNAL\nUID:j\nSUMMARY:x\nEND:VJOURNAL\n";
    world.show(calendar(&format!("{}{task}{journal}", event("fair", "SUMMARY:Great fair\n"))));
    world.app.sync("doc", "done");
    let now = world.all();
    assert_eq!((now.as_object().map(serde_json::Map::len), &now["fair"]["title"]), (Some(2), &json!("Great fair")), "{now}");
    assert_eq!(now["hall"], all["hall"]);
    // One that was cut short is no calendar, and neither is a page for people.
    let whole = calendar(&event("fair", "SUMMARY:x\n"));
    world.show(Shows { body: whole.body[..whole.body.len() - 16].to_owned(), ..whole });
    world.fails("cut short");
    world.show(Shows::text("text/calendar", "<html>please log in</html>"));
    world.fails("web page");
    world.good();
}

#[test]
fn a_document_takes_nothing_and_says_so() {
    let home = Home::new(Some(&config("https://example.org", "", "direction = \"both\"")));
    let said = home.says(78, &["config", "check"]);
    assert!(said.contains("takes no writes"), "{said}");
    home.configure(&config("https://example.org", "format = \"cvs\"", "direction = \"down\""));
    let said = home.says(78, &["config", "check"]);
    assert!(said.contains("`cvs` is not known here") && said.contains("csv"), "{said}");
    home.configure(&config("https://example.org", "profile = \"kinto\"", "direction = \"down\""));
    assert!(home.says(78, &["config", "check"]).contains("`profile` says nothing"));
}
