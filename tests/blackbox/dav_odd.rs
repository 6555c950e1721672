//! Owns: address books and calendars that hold odd things, or are served badly: what must come of it, as a person sees it. Must never know: how
//! an answer is read.

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    dav_book::{Book, Breaks, ServedBook, card},
};
use serde_json::{Value, json};

pub struct Bench {
    pub server: ServedBook,
    pub daemon: Daemon,
    pub app: App,
}

/// A book under one sync, which runs when it is asked to.
pub fn bench(book: Book) -> Bench {
    let server = book.serve();
    let config = format!(
        "[remote.home]\nkind = \"dav\"\nurl = \"{}\"\n\n[sync.people]\ncollection = \"people\"\nremote = \"home\"\nresource = \"/me/books/one/\"\n\
         direction = \"both\"\non_start = false\non_change = false\n",
        server.url
    );
    let daemon = Home::new(Some(&config)).start();
    let app = daemon.app("odd");
    Bench { server, daemon, app }
}

/// Some cards of one letter each.
pub fn some(names: &[&str], book: Book) -> Bench {
    let bench = bench(book);
    names.iter().for_each(|name| bench.server.book().put(name, name));
    bench
}

impl Bench {
    pub fn ids(&mut self) -> Vec<String> {
        self.app.all("people").into_keys().collect()
    }

    fn seq(&mut self) -> Value {
        self.app.must("status", json!({}))["seq"].clone()
    }

    /// How many requests one more run takes, which changes nothing.
    pub fn quiet_run(&mut self) -> Vec<String> {
        let (seq, _) = (self.seq(), self.server.asked());
        self.app.sync("people", "done");
        assert_eq!((self.seq(), self.app.status("people")["pending"].clone()), (seq, json!(0)));
        self.server.asked()
    }

    /// What stands against members, by their ids.
    pub fn rejected(&mut self) -> Vec<(String, String)> {
        let listed = self.app.must("rejection.list", json!({ "sync": "people" }));
        let all = listed["rejections"].as_array().expect("a list").iter();
        let word = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let mut all: Vec<_> = all.map(|one| (word(one, "remote_id"), word(one, "what"))).collect();
        all.sort();
        all
    }
}

/// A card with a note, that would be about so many bytes.
pub fn with_note(bytes: usize) -> String {
    card("big").replace("FN:big", &format!("FN:big\r\nNOTE:{}", "tell ".repeat(bytes / 5)))
}

#[test]
fn odd_members_are_told_one_by_one_and_nothing_is_lost() {
    odd_members(Book::default(), 2);
    odd_members(Book::new(Some(100), None).that_shows(), 1);
}

/// `quiet` is how many questions a run takes that finds nothing new.
fn odd_members(book: Book, quiet: usize) {
    let mut bench = some(&["a"], book);
    let odd: [(&str, Vec<u8>, Option<&str>); 10] = [
        ("cut.vcf", card("cut").as_bytes()[..40].to_vec(), Some("it ends in the midst")),
        (
            "latin.vcf",
            [&b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:l\r\nFN:J"[..], b"\xfcrgen\r\nEND:VCARD\r\n"].concat(),
            Some("not UTF-8"),
        ),
        ("page.vcf", b"<html>".to_vec(), Some("does not begin with BEGIN")),
        ("empty.vcf", Vec::new(), Some("it ends in the midst")),
        ("large.vcf", with_note(1 << 20).into_bytes(), Some("more than 1048576")),
        ("big.vcf", with_note(900_000).into_bytes(), None),
        ("mark.vcf", format!("\u{feff}{}", card("mark")).into_bytes(), None),
        (
            "fold.vcf",
            [&b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:f\r\nFN:J"[..], b"\xc3\r\n \xbcrgen\r\nX-ODD:1\r\nEND:VCARD\r\n"].concat(),
            None,
        ),
        // Who is the same by its uid is not by its address; and a uid is no address.
        ("one.vcf", card("one").into_bytes(), None),
        ("two.vcf", card("two").into_bytes(), None),
    ];
    for (name, bytes, _) in &odd {
        bench.server.book().put_bytes(name, bytes);
    }
    bench.app.sync("people", "done_with_errors");
    assert_eq!(bench.ids(), ["a", "big", "fold", "mark", "one", "two"]);
    let rejected = bench.rejected();
    let mut expect: Vec<_> = odd.iter().filter_map(|(name, _, why)| Some((name.trim_end_matches(".vcf"), (*why)?))).collect();
    expect.sort_unstable();
    for ((id, what), (name, why)) in rejected.iter().zip(&expect) {
        assert!(id == name && what.contains(why), "{id}: {what}");
    }
    assert_eq!(rejected.len(), expect.len(), "{rejected:?}");
    assert_eq!(bench.app.get("people", "fold").expect("he is there")["name"]["full"], "Jürgen");
    assert_eq!(bench.app.get("people", "two").expect("it is there")["uid"], "u");

    // They are not asked for again and again: what cannot be read is what it was, until it changes or somebody wants it.
    let (seq, _) = (bench.seq(), bench.server.asked());
    bench.app.sync("people", "done_with_errors");
    assert_eq!((bench.seq(), bench.server.asked().len()), (seq, quiet), "what it is, where that is asked, and what is there");

    // What can be read can be edited, and keeps what it had.
    let edits = [("mark", "\u{feff}BEGIN:VCARD"), ("fold", "X-ODD:1"), ("big", "tell tell"), ("one", "UID:u")];
    for (id, _) in edits {
        bench.app.patch("people", id, &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    }
    bench.app.sync("people", "done_with_errors");
    for (id, part) in edits {
        let text = bench.server.book().text(&format!("{id}.vcf")).expect("it is there");
        assert!(text.contains(part) && text.contains("NICKNAME:nick"), "{id}: {}", text.chars().take(200).collect::<String>());
    }
    // Nothing is written over what cannot be read, and what is mended comes.
    for (name, bytes, why) in &odd {
        let now = bench.server.book().text(name);
        assert!(why.is_none() || now.as_deref() == Some(&*String::from_utf8_lossy(bytes)), "{name}");
    }
    bench.server.book().put("cut", "whole again");
    bench.server.book().delete("page.vcf");
    bench.app.sync("people", "done_with_errors");
    assert_eq!(bench.app.get("people", "cut").expect("it came")["name"]["full"], "whole again");
    let left: Vec<_> = bench.rejected().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ["empty", "large", "latin"]);
}

#[test]
fn a_host_that_is_no_such_server_is_named_so() {
    for (breaks, parts) in [
        (Breaks::LoginPage, ["is not a CardDAV or CalDAV server", "this is a login page"]),
        (Breaks::Digest, ["asks for Digest", "(HTTP 401)"]),
    ] {
        // From the first run on.
        let row = some(&["a"], Book::new(None, Some(breaks))).app.sync("people", "failed");
        let said = row["error"].to_string();
        assert!(parts.iter().all(|part| said.contains(part)) && row["error"]["hint"].is_string(), "{said}");
        // Or later, where the collection was known: nothing that is here goes.
        let mut bench = some(&["a"], Book::default());
        bench.app.sync("people", "done");
        bench.server.book().breaks = Some(breaks);
        let row = bench.app.sync("people", "failed");
        let said = row["error"].to_string();
        assert!(said.contains(parts[1]) && row["error"]["hint"].is_string(), "{said}");
        assert_eq!(bench.ids(), ["a"]);
        assert_eq!(bench.app.status("people")["pending"], json!(0));
    }
}

#[test]
fn what_somebody_else_has_locked_is_sent_once_the_lock_is_gone() {
    let mut bench = some(&["a", "b"], Book::default());
    bench.app.sync("people", "done");
    bench.server.book().breaks = Some(Breaks::Locked);
    bench.app.patch("people", "a", &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    bench.app.delete("people", "b");
    let error = bench.app.sync("people", "failed")["error"].to_string();
    assert!(error.contains("is locked by somebody else (HTTP 423)"), "{error}");
    assert_eq!(bench.app.status("people")["pending"], json!(2));
    bench.server.book().breaks = None;
    bench.app.sync("people", "done");
    assert!(bench.server.book().text("a.vcf").is_some_and(|text| text.contains("NICKNAME:nick")));
    assert_eq!(bench.server.book().text("b.vcf"), None);
}

#[test]
fn a_collection_that_vanishes_takes_nothing_with_it() {
    for status in [403, 404, 410] {
        let mut bench = some(&["a", "b"], Book::default());
        bench.app.sync("people", "done");
        bench.app.patch("people", "a", &json!({ "nicknames": { "k1": { "name": "nick" } } }));
        let seq = bench.seq();
        bench.server.book().breaks = Some(Breaks::Vanished(status));
        for mode in ["fast", "slow"] {
            let run = bench.app.must("sync.run", json!({ "sync": "people", "mode": mode }))["run"].clone();
            let run = run.as_str().expect("a run").to_owned();
            assert_eq!(bench.app.ended(&run), "failed", "{status} {mode}");
            let error = bench.app.row("people", &run)["error"].clone();
            assert!(error["name"] == "denied" && error["what"].to_string().contains("/me/books/one"), "{error}");
        }
        // It is said to a person, and what was not sent waits.
        let explained = bench.app.must("explain", json!({ "sync": "people" }));
        assert!(bench.ids() == ["a", "b"] && bench.seq() == seq, "{explained}");
        assert_eq!(bench.app.status("people")["pending"], json!(1));
        bench.server.book().breaks = None;
        bench.app.sync("people", "done");
        assert!(bench.server.book().text("a.vcf").is_some_and(|text| text.contains("NICKNAME:nick")));
    }
}

#[test]
fn revisions_that_change_by_themselves_are_no_changes() {
    let mut bench = some(&["a", "b"], Book::new(None, Some(Breaks::Flaps)));
    bench.app.sync("people", "done");
    let asked = bench.quiet_run();
    assert!(asked.len() <= 5 && asked.iter().all(|asked| !asked.starts_with("PUT")), "{asked:?}");
    assert_eq!(bench.quiet_run(), asked);
    bench.app.patch("people", "a", &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    bench.app.sync("people", "done");
    assert!(bench.server.book().text("a.vcf").is_some_and(|text| text.contains("NICKNAME:nick")));
}

#[test]
fn a_server_that_refuses_its_own_tokens_costs_little_where_nothing_changed() {
    let mut bench = some(&["a", "b", "c"], Book::new(Some(10), Some(Breaks::RefusesTokens)));
    bench.app.sync("people", "done");
    bench.server.book().put("b", "new");
    bench.server.book().delete("c.vcf");
    bench.app.sync("people", "done");
    assert_eq!(bench.ids(), ["a", "b"]);
    assert_eq!(bench.app.get("people", "b").expect("it is there")["name"]["full"], "new");
    assert_eq!(bench.quiet_run(), ["PROPFIND /me/books/one/"; 2], "what it is, and what is there");
}

#[test]
fn where_nothing_changed_a_run_is_one_request_if_the_server_has_a_mark_of_it() {
    const LOOK: &str = "PROPFIND /me/books/one/";
    for (book, asked) in [
        (Book::new(Some(10), None), &["REPORT /me/books/one/ changes"][..]),
        (Book::new(None, None).with_marks(), &[LOOK]),
        (Book::new(Some(10), Some(Breaks::NoToken)).with_marks(), &[LOOK]),
        (Book::new(None, None), &[LOOK, LOOK]),
    ] {
        let mut bench = some(&["a", "b", "c"], book);
        bench.app.sync("people", "done");
        assert_eq!(bench.quiet_run(), asked);
        bench.server.book().put("b", "new");
        bench.server.book().delete("c.vcf");
        bench.app.sync("people", "done");
        assert_eq!(bench.ids(), ["a", "b"]);
        assert_eq!(bench.app.get("people", "b").expect("it is there")["name"]["full"], "new");
        assert_eq!(bench.quiet_run(), asked);
    }
}

#[test]
fn what_a_server_forgets_to_tell_is_found_by_a_whole_listing() {
    let mut bench = some(&["a", "b", "c"], Book::new(Some(10), None));
    bench.app.sync("people", "done");
    bench.server.book().breaks = Some(Breaks::Forgets);
    bench.server.book().put("b", "new");
    bench.server.book().delete("c.vcf");
    bench.app.sync("people", "done");
    assert_eq!(bench.ids(), ["a", "b", "c"], "nobody told");
    bench.daemon.says(0, &["sync", "people", "--mode", "slow"]);
    assert_eq!(bench.ids(), ["a", "b"]);
    assert_eq!(bench.app.get("people", "b").expect("it is there")["name"]["full"], "new");
}
