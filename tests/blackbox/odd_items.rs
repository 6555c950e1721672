//! Owns: odd cards and odd calendar items, as others leave them at a server: each is edited here in one place, and nothing else of it
//! changes there, or it says that it cannot be and nothing of it changes at all. Must never know: how a text is edited.

mod cards;
mod events;

use std::collections::BTreeMap;

use mingle_tests::{app::App, daemon::Home, servers::Dav};
use serde_json::{Value, json};

use crate::dav::config;

/// An item as somebody put it.
struct Odd {
    /// What is odd about it: also the name of the member, where it has no other one.
    what: &'static str,
    text: String,
    /// What becomes of it: at a server that writes items anew, at one that keeps them as they are, and at one that does and takes less.
    becomes: [Becomes; 3],
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// The server does not take it.
    NotTaken,
    /// One line of it changes.
    Edited,
    /// It is a rejection with these words.
    Unread(&'static str),
}

use Becomes::{Edited, NotTaken, Unread};

/// What all have, and what becomes of it.
const LINES: [(&str, &str); 2] = [("NOTE:odd", "NOTE:even"), ("SUMMARY:odd", "SUMMARY:even")];

/// Puts all, edits each, and looks what became of them.
fn check(server: &Dav, which: usize, sync: &str, items: &[Odd]) {
    let (book, calendar) = (server.address_book("Friends"), server.calendar("Work"));
    let home = Home::new(Some(&config(&server.url, &book, &calendar)));
    home.write("dav.secret", Dav::ACCOUNT.1);
    let daemon = home.start();
    let mut app = daemon.app("people");
    let (path, ending, of, (line, edited), patch) = match sync {
        "contacts" => (book, "vcf", "text/vcard", LINES[0], json!({ "notes": { "k1": { "note": "even" } } })),
        _ => (calendar, "ics", "text/calendar", LINES[1], json!({ "title": "even" })),
    };
    let name = |item: &Odd| item.what.replace(' ', "-");
    for item in items {
        let at = format!("{path}{}.{ending}", name(item));
        // Whether it takes it shows in what it has then.
        let _ = server.ask("PUT", &at, &[("content-type", of)], Some(&item.text));
    }
    let before = server.texts(&path);
    let run = app.run(sync);
    app.ended(&run);
    let rejected = |app: &mut App| -> BTreeMap<String, String> {
        let listed = app.must("rejection.list", json!({ "sync": sync }));
        let all = listed["rejections"].as_array().expect("a list");
        all.iter()
            .map(|one| (one["remote_id"].as_str().or(one["id"].as_str()).unwrap_or_default().to_owned(), one["what"].to_string()))
            .collect()
    };
    let unread = rejected(&mut app);
    let here = app.all(sync);
    for id in here.keys() {
        app.patch(sync, id, &patch);
    }
    let run = app.run(sync);
    app.ended(&run);
    let refused = rejected(&mut app);
    let after = server.texts(&path);
    let mut wrong = Vec::new();
    for item in items {
        let (id, member) = (name(item), format!("{}.{ending}", name(item)));
        let expect = item.becomes[which];
        let (was, is) = (before.get(&member), after.get(&member));
        let words = |part: &str, of: &BTreeMap<String, String>| of.get(&id).is_some_and(|what| what.contains(part));
        let fits = match expect {
            NotTaken => was.is_none(),
            // The line that we write ends with CR and LF, and empty lines around are none.
            Edited => was.zip(is).is_some_and(|(was, is)| {
                let plain = |text: &str| text.trim().replacen(&format!("{edited}\r\n"), &format!("{edited}\n"), 1);
                plain(is) == plain(&was.replacen(line, edited, 1)) && is != was
            }),
            Unread(part) => was == is && was.is_some() && !here.contains_key(&id) && words(part, &unread),
        };
        if !fits {
            wrong.push(format!(
                "{}: not {expect:?}: taken {}, here {}, unread {:?}, refused {:?}\nbefore {was:?}\nafter  {is:?}",
                item.what,
                was.is_some(),
                here.get(&id).map_or_else(|| "no".to_owned(), Value::to_string),
                unread.get(&id),
                refused.get(&id)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), items.len(), wrong.join("\n"));
    // And then there is nothing more to say, to anybody.
    let run = app.run(sync);
    app.ended(&run);
    assert_eq!(app.row(sync, &run)["up"], json!(0));
    assert_eq!(server.texts(&path), after);
}

#[test]
fn odd_cards_go_through_radicale_unharmed() {
    check(&Dav::shared_radicale(), 0, "contacts", &cards::all());
}

#[test]
fn odd_cards_go_through_xandikos_unharmed() {
    check(&Dav::shared_xandikos(), 1, "contacts", &cards::all());
}

#[test]
fn odd_events_go_through_radicale_unharmed() {
    check(&Dav::shared_radicale(), 0, "events", &events::all());
}

#[test]
fn odd_events_go_through_xandikos_unharmed() {
    check(&Dav::shared_xandikos(), 1, "events", &events::all());
}

#[test]
fn odd_cards_go_through_sabre_unharmed() {
    check(&Dav::shared_sabre(), 2, "contacts", &cards::all());
}

#[test]
fn odd_events_go_through_sabre_unharmed() {
    check(&Dav::shared_sabre(), 2, "events", &events::all());
}
