//! Owns: how much is asked of a server of address books, where one answer shows what is listed and what that holds, and where it does not. Must
//! never know: how an answer is read.

use std::collections::BTreeMap;

use mingle_tests::dav_book::{Book, Breaks, card};
use serde_json::json;

use crate::dav_odd::{Bench, bench, some, with_note};

const LOOK: &str = "PROPFIND /me/books/one/";
const CHANGES: &str = "REPORT /me/books/one/ changes";
const ALL: &str = "REPORT /me/books/one/ all";
const SOME: &str = "REPORT /me/books/one/";

/// More cards than one page has, in a book.
const MANY: usize = 250;

fn many(book: Book) -> Bench {
    let bench = bench(book);
    (0..MANY).for_each(|number| bench.server.book().put(&name(number), &name(number)));
    bench
}

fn name(number: usize) -> String {
    format!("c{number:03}")
}

impl Bench {
    /// A run that does what it is there for: what was asked for it. Here is then what is there.
    fn asked_for(&mut self) -> Vec<String> {
        let _ = self.server.asked();
        self.app.sync("people", "done");
        let asked = self.server.asked();
        let here: BTreeMap<String, Option<String>> = self
            .app
            .all("people")
            .into_iter()
            .map(|(id, card)| (format!("{id}.vcf"), card["name"]["full"].as_str().map(str::to_owned)))
            .collect();
        let book = self.server.book();
        for (name, full) in &here {
            let text = book.text(name).unwrap_or_else(|| panic!("{name} is not there"));
            assert!(full.as_ref().is_some_and(|full| text.contains(&format!("FN:{full}\r\n"))), "{name}: {full:?}");
        }
        assert_eq!(here.len(), book.len());
        asked
    }
}

#[test]
fn what_changed_comes_with_what_it_holds_in_one_answer() {
    let mut bench = many(Book::new(Some(500), None).that_shows());
    assert_eq!(bench.asked_for(), [LOOK, CHANGES]);
    bench.server.book().put("c100", "another");
    assert_eq!(bench.asked_for(), [CHANGES]);
    // That it is gone is looked at once more, before it goes here.
    bench.server.book().delete("c101.vcf");
    assert_eq!(bench.asked_for(), [CHANGES, "GET /me/books/one/c101.vcf", LOOK]);
    assert_eq!(bench.quiet_run(), [CHANGES]);
    // Nor in pieces: the next goes on where the last one ended.
    let mut bench = many(Book::new(Some(100), None).that_shows());
    assert_eq!(bench.asked_for(), [LOOK, CHANGES, CHANGES, CHANGES]);
}

#[test]
fn where_a_listing_is_of_names_one_question_brings_all_and_what_it_leaves_out_is_asked_for_by_name() {
    for (at_once, by_name) in [(MANY, 0), (120, 2), (1, 3), (0, 3)] {
        for (book, listed) in [(Book::new(Some(500), None), vec![LOOK, CHANGES]), (Book::default(), vec![LOOK, LOOK, LOOK])] {
            let mut bench = many(book.showing_at_once(at_once));
            let expect = [listed, vec![ALL], vec![SOME; by_name]].concat();
            assert_eq!(bench.asked_for(), expect, "{at_once}");
            // Who tells no changes is listed whole again.
            let last = if bench.server.book().tells_changes() || at_once < MANY { SOME } else { ALL };
            bench.server.book().put("c100", "another");
            let asked = bench.asked_for();
            assert_eq!(asked.last().map(String::as_str), Some(last), "{asked:?}");
        }
    }
    // A few are asked for by name at once.
    let few: Vec<String> = (0..100).map(name).collect();
    let few: Vec<&str> = few.iter().map(String::as_str).collect();
    let mut bench = some(&few, Book::new(Some(500), None).showing_at_once(MANY));
    assert_eq!(bench.asked_for(), [LOOK, CHANGES, SOME]);
}

#[test]
fn a_server_that_cannot_show_both_is_asked_for_names_from_then_on() {
    let mut bench = many(Book::new(Some(500), Some(Breaks::RefusesTexts)).that_shows());
    assert_eq!(bench.asked_for(), [LOOK, CHANGES, CHANGES, ALL, SOME, SOME, SOME]);
    bench.server.book().put("c100", "another");
    assert_eq!(bench.asked_for(), [CHANGES, SOME]);

    // What is nothing is not what they hold.
    let mut bench = many(Book::new(Some(500), Some(Breaks::BlankTexts)).that_shows().showing_at_once(MANY));
    let row = bench.app.sync("people", "done_with_errors");
    assert_eq!(bench.server.asked()[..3], [LOOK, CHANGES, ALL]);
    assert_eq!(row["rejected"], json!(MANY), "they are blank by name too");
}

#[test]
fn what_is_too_much_for_one_answer_comes_in_several() {
    let mut bench = bench(Book::new(Some(500), None).that_shows().showing_at_once(MANY));
    for number in 0..120 {
        bench.server.book().put_bytes(&format!("{}.vcf", name(number)), with_note(90_000).as_bytes());
    }
    bench.app.sync("people", "done");
    assert_eq!(bench.ids().len(), 120);
    let asked = bench.server.asked();
    assert_eq!(asked[..4], [LOOK, CHANGES, CHANGES, ALL]);
    // A page of them is too much as well: then they are listed again, for smaller ones.
    assert!(asked[4..].iter().all(|asked| asked == SOME || asked == CHANGES), "{asked:?}");
}

#[test]
fn one_that_spoils_what_is_listed_takes_nothing_else_with_it() {
    let mut bench = many(Book::new(Some(500), None).that_shows().showing_at_once(MANY));
    bench.server.book().put_bytes("c007.vcf", &[card("bell").as_bytes(), b"NOTE:\x07"].concat());
    bench.app.sync("people", "done_with_errors");
    assert_eq!(bench.ids().len(), MANY - 1);
    let left: Vec<String> = bench.rejected().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ["c007"]);
    // It is mended, and nothing was lost meanwhile.
    bench.server.book().put("c007", "mended");
    bench.app.patch("people", "c008", &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    bench.asked_for();
    assert!(bench.server.book().text("c008.vcf").is_some_and(|text| text.contains("NICKNAME:nick")));
}

#[test]
fn what_is_to_be_edited_is_read_at_once() {
    let mut bench = many(Book::new(Some(500), None).that_shows());
    bench.asked_for();
    let edit = |bench: &mut Bench, ids: &[&str], nick: &str| {
        for id in ids {
            bench.app.patch("people", id, &json!({ "nicknames": { "k1": { "name": nick } } }));
        }
    };
    let of = |method: &str, ids: &[&str]| ids.iter().map(|id| format!("{method} /me/books/one/{id}.vcf")).collect::<Vec<_>>();
    edit(&mut bench, &["c001", "c002", "c003"], "nick");
    let asked = bench.asked_for();
    assert_eq!(asked[..2], [CHANGES, SOME]);
    for id in ["c001", "c002", "c003"] {
        let at = |method: &str| asked.iter().position(|asked| asked == &of(method, &[id])[0]);
        assert!(at("PUT").is_some() && at("PUT") < at("GET"), "what came of it is looked at by itself: {asked:?}");
        let text = bench.server.book().text(&format!("{id}.vcf")).expect("it is there");
        assert_eq!(text, card(id).replace("END:", "NICKNAME:nick\r\nEND:"));
    }
    // One is read by itself, and what the server does not show with others too.
    edit(&mut bench, &["c004"], "one");
    assert_eq!(bench.asked_for()[1..], [of("GET", &["c004"]), of("PUT", &["c004"]), of("GET", &["c004"])].concat());
    bench.server.book().hidden = vec!["c006.vcf".into()];
    edit(&mut bench, &["c005", "c006"], "two");
    let asked = bench.asked_for();
    let looked = |id: &str| asked.iter().filter(|asked| *asked == &of("GET", &[id])[0]).count();
    assert_eq!((looked("c005"), looked("c006")), (1, 2), "{asked:?}");
    for id in ["c005", "c006"] {
        assert!(bench.server.book().text(&format!("{id}.vcf")).is_some_and(|text| text.contains("NICKNAME:two")));
    }
}

#[test]
fn a_card_that_a_server_shows_in_two_versions_loses_nothing_by_an_edit() {
    let mut bench = some(&["a"], Book::new(Some(500), Some(Breaks::ConvertsCards)).that_shows());
    let rest = "BDAY:--0412\r\nANNIVERSARY:20100605\r\nKIND:individual\r\nEND:";
    bench.server.book().put_bytes("b.vcf", card("b").replace("VERSION:3.0", "VERSION:4.0").replace("END:", rest).as_bytes());
    bench.app.sync("people", "done");
    let before = bench.app.get("people", "b").expect("it is there");
    bench.app.patch("people", "b", &json!({ "nicknames": { "k1": { "name": "nick" } } }));
    bench.app.sync("people", "done");
    let mut after = bench.app.get("people", "b").expect("it is there");
    assert!(after.as_object_mut().and_then(|card| card.remove("nicknames")).is_some());
    assert_eq!(after, before);
}

#[test]
fn a_server_in_trouble_is_not_taken_for_members_that_it_does_not_show() {
    let mut bench = some(&["a"], Book::new(Some(500), None));
    bench.app.sync("people", "done");
    (0..100).for_each(|number| bench.server.book().put(&name(number), "new"));
    bench.server.book().breaks = Some(Breaks::Members(500));
    let _ = bench.server.asked();
    bench.app.sync("people", "failed");
    let asked = bench.server.asked().len();
    assert!(asked < 40 && bench.rejected().is_empty() && bench.ids() == ["a"], "{asked}");
    bench.server.book().breaks = None;
    bench.app.sync("people", "done");
    assert_eq!(bench.ids().len(), 101);
}

#[test]
fn a_server_that_says_not_found_where_it_is_asked_for_texts_is_asked_for_names() {
    let mut bench = many(Book::new(Some(500), Some(Breaks::HidesTexts)).that_shows());
    assert_eq!(bench.asked_for(), [LOOK, CHANGES, CHANGES, ALL, SOME, SOME, SOME]);
}
