//! Owns: what of CardDAV and CalDAV no law speaks of: finding a collection, servers that tell no changes or not all at once, and that what
//! no record shows stays as it is. Must never know: the engine.

use std::sync::{Arc, Mutex};

use mingle_core::replica::{Action, Answer, Failure, From, Packed, Precondition, RowState};
use mingle_tests::{
    dav_book::{Book, Breaks},
    servers::Dav,
    wire::{self, Request},
};
use mingled::remotes::{self, Opening, Remote};

use crate::{
    bench::{all, change, create, delete, held, means, props, taken, there, update},
    dav_bench::settings,
};

async fn open(url: &str, resource: &str) -> Box<dyn Remote> {
    let folder = tempfile::tempdir().expect("a folder");
    let means = means(folder.path().to_path_buf());
    let opening = Opening { settings: settings(url), resource: resource.into(), place: Default::default(), means };
    remotes::open(opening).await.expect("settings that fit")
}

fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime
        .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(60), what).await })
        .expect("an end within a minute")
}

/// Odd lines in all places; the server keeps what it is sent of them.
const EVENT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Odd//1//EN\r\nX-WR-CALNAME:Work\r\nBEGIN:VEVENT\r\nUID:e1\r\n\
    DTSTAMP:20260102T030405Z\r\nDTSTART:20260320T090000Z\r\nDTEND:20260320T100000Z\r\nRRULE:FREQ=WEEKLY;COUNT=6\r\nSUMMARY:Standup\r\n\
    LOCATION:Room 5\r\nX-FOO;X-PAR=1:bar\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nDESCRIPTION:Reminder\r\nX-SNOOZE:1\r\n\
    END:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

#[test]
fn events_and_tasks_come_and_go_and_what_no_record_shows_stays() {
    let server = Dav::shared_radicale();
    let calendar = server.calendar("Work");
    server.put(&calendar, "e1.ics", EVENT);
    run(async {
        let remote = open(&server.url, &calendar).await;
        let event = there(remote.as_ref(), "e1").await;
        assert_eq!(held(&event)["title"], mingle_core::record::Value::Text("Standup".into()));
        assert!(["id", "vCard", "iCalendar"].iter().all(|own| !held(&event).contains_key(*own)));

        let before = server.texts(&calendar)["e1.ics"].clone();
        let mut whole = held(&event).clone();
        whole.insert("title".into(), mingle_core::record::Value::Text("Weekly".into()));
        let after = taken(update(remote.as_ref(), &event, &mingled::json::write(&whole)).await);
        assert_eq!(held(&after)["title"], mingle_core::record::Value::Text("Weekly".into()));
        let text = server.texts(&calendar)["e1.ics"].clone();
        let lines = |text: &str| text.replace("SUMMARY:Standup", "SUMMARY:Weekly").lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&text), lines(&before), "one line differs");

        let task = r#"{"@type":"Task","title":"Buy","due":"2026-01-05T00:00:00","progress":"needs-action"}"#;
        let made = taken(create(remote.as_ref(), Some("t1"), task).await);
        assert_eq!(made.remote_id, "t1");
        assert!(server.texts(&calendar)["t1.ics"].contains("BEGIN:VTODO"));
        let mut whole = held(&made).clone();
        whole.insert("progress".into(), mingle_core::record::Value::Text("completed".into()));
        taken(update(remote.as_ref(), &made, &mingled::json::write(&whole)).await);
        assert!(server.texts(&calendar)["t1.ics"].contains("STATUS:COMPLETED"));
        let made = there(remote.as_ref(), "t1").await;
        assert_eq!(delete(remote.as_ref(), &made).await, Answer::Taken(None));
        let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
        // It may be told that it is gone, and not otherwise.
        let live = rows.iter().filter(|row| row.state != RowState::Gone);
        assert_eq!(live.map(|row| row.remote_id.as_str()).collect::<Vec<_>>(), ["e1"]);
    });
}

#[test]
fn what_would_be_lost_is_refused_and_what_is_there_stays() {
    let server = Dav::shared_radicale();
    let book = server.address_book("Friends");
    server.put(
        &book,
        "a.vcf",
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:A\r\nPHOTO;ENCODING=b;TYPE=JPEG:aGVsbG8=\r\nEND:VCARD\r\n",
    );
    run(async {
        let remote = open(&server.url, &book).await;
        let row = there(remote.as_ref(), "a").await;
        let before = server.texts(&book);
        let mut whole = held(&row).clone();
        whole.insert("media".into(), mingle_core::record::Value::List(Vec::new()));
        match update(remote.as_ref(), &row, &mingled::json::write(&whole)).await {
            Answer::Refused(why) => assert!(why.contains("the change of media cannot be written without losing"), "{why}"),
            other => panic!("{other:?}"),
        }
        match create(remote.as_ref(), Some("b"), r#"{"name":"no object"}"#).await {
            Answer::Refused(why) => assert!(why.contains("name has no place in a vCard"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(server.texts(&book), before);
    });
}

#[test]
fn a_collection_is_found_by_its_name_and_one_that_is_not_there_is_told_with_those_that_are() {
    let server = Dav::radicale();
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work & play"));
    server.put(&book, "a.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:A\r\nEND:VCARD\r\n");
    run(async {
        let last = book.trim_matches('/').rsplit('/').next().expect("a name");
        for resource in [book.as_str(), book.trim_matches('/'), last, "Friends"] {
            let remote = open(&server.url, resource).await;
            let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
            assert_eq!(rows.len(), 1, "{resource}");
        }
        assert!(open(&server.url, "Work & play").await.greet().await.is_ok());
        let error = open(&server.url, "Foes").await.greet().await.expect_err("not there");
        assert_eq!(error.kind, Failure::Denied);
        let hint = error.hint.expect("what there is");
        assert!([&*book, &*calendar, "Friends", "Work & play"].iter().all(|part| hint.contains(part)), "{hint}");
        // Two of one name are two.
        let other = server.address_book("Friends");
        let hint = open(&server.url, "Friends").await.greet().await.expect_err("which?").hint.expect("which there are");
        assert!(hint.contains("several") && hint.contains(&book) && hint.contains(&other), "{hint}");
    });
}

#[test]
fn a_collection_of_an_account_is_found_from_whatever_a_person_knows_of_it() {
    let server = Dav::sabre();
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    run(async {
        let last = |path: &str| path.trim_matches('/').rsplit('/').next().expect("a name").to_owned();
        for at in
            ["", "/", "/remote.php/dav", "/remote.php/dav/", "/remote.php/dav/principals/me/", "/remote.php/dav/calendars/me"]
        {
            let url = format!("{}{at}", server.url);
            for (resource, path) in [("Friends", &book), ("Work", &calendar), (&last(&book), &book), (&calendar, &calendar)] {
                let found = open(&url, resource).await.greet().await.unwrap_or_else(|error| panic!("{at} {resource}: {error}"));
                assert_eq!(found.instance, path.trim_matches('/'), "{at} {resource}");
            }
        }
        let below = open(&format!("{}/remote.php/dav", server.url), &format!("calendars/me/{}", last(&calendar))).await;
        assert_eq!(below.greet().await.expect("it is there").instance, calendar.trim_matches('/'));
        let hint = open(&server.url, "Foes").await.greet().await.expect_err("not there").hint.expect("what there is");
        assert!(hint.contains(&book) && hint.contains("(Work)"), "{hint}");
        // Which takes no password but by Digest says so, wherever it is met.
        let error = open(&format!("{}/digest/", server.url), "Friends").await.greet().await.expect_err("Digest");
        assert!(error.kind == Failure::NeedsLogin && error.what.contains("asks for Digest"), "{error}");
    });
}

#[test]
fn a_server_that_tells_no_changes_is_listed_whole_when_something_changed_and_not_else() {
    let server = Book::default().serve();
    for name in ["a", "b", "c"] {
        server.book().put(name, "rust");
    }
    run(async {
        // From the host alone: it says where the account begins, that says where its address books are, and one has this name.
        let remote = open(&server.url, "one").await;
        let (rows, pages) = all(remote.as_ref(), &From::Start, 2).await;
        assert_eq!(rows.len(), 3);
        let from = From::Token(pages[0].token.clone().expect("a token"));
        let _ = server.asked();
        let (rows, pages) = all(remote.as_ref(), &from, 2).await;
        assert!(rows.is_empty() && pages[0].token.clone().map(From::Token) == Some(from.clone()), "nothing changed");
        assert_eq!(server.asked(), ["PROPFIND /me/books/one/"], "one question");
        server.book().put("b", "go");
        let error = remote.list(&from, None, 2).await.expect_err("something changed");
        assert_eq!(error.kind, Failure::CheckpointRefused);
        let (rows, _) = all(remote.as_ref(), &From::Start, 2).await;
        let names: Vec<_> = rows.iter().map(|row| format!("{:?}", held(row)["name"])).collect();
        assert!(rows.len() == 3 && names[1].contains("go"), "{names:?}");
    });
}

#[test]
fn a_server_that_tells_changes_a_few_at_a_time_is_asked_until_it_told_all() {
    let server = Book::new(Some(2), None).serve();
    for name in ["a", "b", "c", "d", "e"] {
        server.book().put(name, "rust");
    }
    run(async {
        let remote = open(&server.url, "/me/books/one/").await;
        let (rows, pages) = all(remote.as_ref(), &From::Start, 10).await;
        assert_eq!(rows.len(), 5);
        let from = From::Token(pages[0].token.clone().expect("a token"));
        assert_eq!(all(remote.as_ref(), &from, 10).await.0, []);
        let told = server.book().asked.iter().filter(|asked| asked.ends_with("changes")).count();
        assert_eq!(told, 4, "three for all, one for nothing");
        // One that says the same again and again is not followed for ever.
        server.book().cut = Some(0);
        let error = remote.list(&From::Start, None, 10).await.expect_err("it does not get on");
        assert!(error.kind == Failure::Nonsense && error.what.contains("does not get on"), "{error}");
    });
}

#[test]
fn a_member_that_spoils_the_answer_or_is_not_shown_concerns_itself_alone() {
    let server = Book::default().serve();
    for nth in 0..20 {
        let who = match nth {
            7 => "bell \u{7}",
            _ => "rust",
        };
        server.book().put(&format!("m{nth:02}"), who);
    }
    server.book().denied.push("m11.vcf".into());
    run(async {
        let remote = open(&server.url, "/me/books/one/").await;
        let (rows, _) = all(remote.as_ref(), &From::Start, 50).await;
        assert_eq!(rows.len(), 20);
        for (nth, row) in rows.iter().enumerate() {
            match (nth, &row.state) {
                (11, RowState::Unreadable(why)) => assert!(why.contains("HTTP 403"), "{why}"),
                (11, other) => panic!("{other:?}"),
                (_, state) => assert!(matches!(state, RowState::Live(_)), "{nth}: {state:?}"),
            }
        }
        let asked = server.book().asked.len();
        assert!(asked < 20, "the bad ones were found by halves, with {asked} questions");
    });
}

#[test]
fn a_question_that_is_refused_over_one_member_is_asked_by_halves() {
    for status in [403, 404, 415, 500] {
        let server = Book::new(None, Some(Breaks::OverOne(status))).serve();
        for nth in 0..32 {
            server.book().put(&format!("m{nth:02}"), "rust");
        }
        server.book().denied.push("m05.vcf".into());
        run(async {
            let remote = open(&server.url, "/me/books/one/").await;
            let first = remote.list(&From::Start, None, 16).await.unwrap_or_else(|error| panic!("{status}: {error}"));
            // One goes before it is asked for.
            server.book().delete("m20.vcf");
            let next = first.next.clone().expect("a second page");
            let second = remote.list(&From::Start, Some(&next), 16).await.unwrap_or_else(|error| panic!("{status}: {error}"));
            let rows: Vec<_> = first.rows.iter().chain(&second.rows).map(Packed::open).collect();
            assert_eq!(rows.len(), 32);
            for row in rows {
                match (row.remote_id.as_str(), &row.state) {
                    ("m05", RowState::Unreadable(why)) => assert!(why.contains("HTTP 403"), "{why}"),
                    ("m20", state) => assert_eq!(state, &RowState::Gone),
                    (id, state) => assert!(matches!(state, RowState::Live(_)) && id != "m05", "{id}: {state:?}"),
                }
            }
            let asked = server.asked().len();
            assert!(asked < 40, "two are found by halves, with {asked} questions");
            // Where all is refused, the collection is not there: nothing of it is taken for gone, and it is not asked for one by one.
            server.book().breaks = Some(Breaks::Vanished(status));
            let error = remote.list(&From::Start, Some(&next), 16).await.expect_err("it is not there");
            assert!(error.what.contains("/me/books/one/") && server.asked().len() < 4, "{error}");
        });
    }
}

#[test]
fn a_member_that_goes_while_it_is_listed_is_gone_and_no_other() {
    let server = Dav::shared_sabre();
    let book = server.address_book("Friends");
    for name in ["a", "b", "c", "d"] {
        server.put(&book, &format!("{name}.vcf"), &format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:A\r\nEND:VCARD\r\n"));
    }
    run(async {
        let remote = open(&server.url, &book).await;
        let first = remote.list(&From::Start, None, 2).await.expect("the first page");
        server.delete(&book, "c.vcf");
        let second = remote.list(&From::Start, first.next.as_deref(), 2).await.expect("the second page");
        let rows: Vec<_> = first.rows.iter().chain(&second.rows).map(Packed::open).collect();
        let gone = rows.iter().filter(|row| row.state == RowState::Gone).map(|row| row.remote_id.as_str());
        assert_eq!((rows.len(), gone.collect::<Vec<_>>()), (4, vec!["c"]));
    });
}

#[test]
fn a_server_that_breaks_where_it_tells_changes_is_listed_whole() {
    let server = Book::new(Some(10), Some(Breaks::NoToken)).serve();
    server.book().put("a", "rust");
    run(async {
        let remote = open(&server.url, "/me/books/one/").await;
        let (rows, pages) = all(remote.as_ref(), &From::Start, 10).await;
        assert_eq!(rows.len(), 1);
        let from = From::Token(pages[0].token.clone().expect("a token of ours"));
        assert_eq!(all(remote.as_ref(), &from, 10).await.0, [], "and it stands for what is there");
        server.book().breaks = Some(Breaks::OverTokens);
        let (_, pages) = all(remote.as_ref(), &From::Start, 10).await;
        let from = From::Token(pages[0].token.clone().expect("a token"));
        let error = remote.list(&from, None, 10).await.expect_err("it breaks over it");
        assert_eq!(error.kind, Failure::CheckpointRefused);
    });
}

#[test]
fn a_host_that_knows_no_dav_at_its_root_says_where_the_account_begins() {
    for status in [405, 501] {
        let mut book = Book::default();
        book.put("a", "rust");
        let book = Mutex::new(book);
        let server = wire::serve(Arc::new(move |request: &Request, line| {
            let root = request.path.iter().all(|part| part.is_empty() || part == "one");
            line.send(&if root { wire::response(status, &[], "") } else { book.lock().expect("no panic").answer(request) })
        }));
        run(async {
            let remote = open(&server.url, "one").await;
            assert_eq!(all(remote.as_ref(), &From::Start, 10).await.0.len(), 1, "{status}");
        });
    }
}

#[test]
fn a_member_that_cannot_be_read_concerns_itself_alone_and_is_never_written_over() {
    let server = Dav::shared_radicale();
    let calendar = server.calendar("Odd");
    server.put(&calendar, "e1.ics", EVENT);
    let journal = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VJOURNAL\r\nUID:j1\r\nDTSTAMP:20260102T030405Z\r\nSUMMARY:Dear\r\n\
        END:VJOURNAL\r\nEND:VCALENDAR\r\n";
    server.put(&calendar, "j1.ics", journal);
    run(async {
        let remote = open(&server.url, &calendar).await;
        let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
        assert!(matches!(rows[0].state, RowState::Live(_)), "{:?}", rows[0]);
        assert!(matches!(&rows[1].state, RowState::Unreadable(why) if why.contains("no event")), "{:?}", rows[1]);
        let before = server.texts(&calendar);
        let mut over = change(remote.as_ref(), &rows[0], r#"{"title":"mine"}"#);
        let Action::Update { remote_id, unless_moved, .. } = &mut over else { panic!("an update") };
        remote_id.clone_from(&rows[1].remote_id);
        *unless_moved = Precondition::Revision(rows[1].revision.clone().expect("a revision"));
        assert!(matches!(remote.send(&over).await, Answer::Refused(_)));
        let made = create(remote.as_ref(), Some("j1"), &mingled::json::write(&props(r#"{"title":"T"}"#))).await;
        assert!(!matches!(made, Answer::Taken(_)), "{made:?}");
        assert_eq!(server.texts(&calendar), before);
    });
}
