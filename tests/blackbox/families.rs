//! Owns: records that refer to each other at real services: each side has its own ids, parents come before their children, and what
//! breaks off in between comes to the same end. Must never know: how ids are translated.

use std::{collections::BTreeMap, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    proxy::{End, Fault, Proxy},
    servers::{JsonServer, Kinto, PocketBase},
    tally, wait,
};
use serde_json::{Value, json};

/// How often the daemon is killed while parents and children are on their way.
const KILLS: u64 = 4;

/// A daemon with `books` whose `author` is one of `people`, at one remote.
struct Shelf {
    daemon: Daemon,
    app: App,
}

impl Shelf {
    fn new(remote: &str, secret: &str, [people, books]: [&str; 2], reference: &str, more: &str) -> Self {
        let sync = |name: &str, resource: &str| {
            format!(
                "[sync.{name}]\ncollection = \"{name}\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n{more}\n"
            )
        };
        let config = format!(
            "[remote.far]\nkind = \"rest\"\n{remote}\n\n{}{}\n[collection.books]\nreferences = {{ author = {reference} }}\n",
            sync("people", people),
            sync("books", books)
        );
        let home = Home::new(Some(&config));
        home.write("far.secret", secret);
        let daemon = home.start();
        let app = daemon.app("librarian");
        Self { daemon, app }
    }

    fn writes(&mut self, person: &str, books: &[&str]) {
        // The children are written first.
        for book in books {
            self.app.put("books", book, &json!({ "title": book, "author": format!("id-of-{person}") }));
        }
        self.app.put("people", &format!("id-of-{person}"), &json!({ "name": person }));
    }

    /// Both syncs, in the order that is wrong for children, until neither has anything to do.
    fn syncs(&mut self) {
        for sync in ["books", "people", "books", "people"] {
            self.app.sync(sync, "done");
        }
    }

    /// Who wrote what, as the truth has it: titles and names.
    fn here(&mut self) -> BTreeMap<String, String> {
        named(&self.app.all("people"), &self.app.all("books"))
    }
}

/// The name of each book's author, by its title; what names nobody that is there is shown as it is.
fn named(people: &BTreeMap<String, Value>, books: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let author = |book: &Value| match &book["author"] {
        Value::Null => "-".into(),
        Value::String(id) if id.is_empty() => "-".into(),
        other => {
            let id = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            people.get(&id).map_or(format!("? {id}"), |person| person["name"].as_str().unwrap_or("?").to_owned())
        }
    };
    books.values().map(|book| (book["title"].as_str().unwrap_or("?").to_owned(), author(book))).collect()
}

fn expect(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(book, author)| ((*book).to_owned(), (*author).to_owned())).collect()
}

const BY_HAND: &str = "on_start = false\non_change = false";

/// C-29, S-46: a relation of PocketBase, whose ids are not ours, with deletes that take the reference along, and a daemon that is
/// killed in between.
#[test]
fn a_relation_of_pocketbase_names_the_right_record_on_both_sides() {
    let server = PocketBase::shared();
    let people = server.collection(&json!([{ "name": "name", "type": "text" }]));
    let about: Value =
        serde_json::from_str(&server.ask("GET", &format!("collections/{people}"), None).body).expect("a collection");
    let relation =
        json!({ "name": "author", "type": "relation", "collectionId": about["id"], "maxSelect": 1, "cascadeDelete": false });
    let books = server.collection(&json!([{ "name": "title", "type": "text" }, relation]));
    let remote = format!(
        "profile = \"pocketbase\"\nurl = \"{}\"\nauth = {{ type = \"bearer\", token = {{ file = \"far.secret\" }} }}",
        server.url
    );
    let mut shelf = Shelf::new(&remote, &server.token, [&people, &books], "\"people\"", BY_HAND);
    let there = || named(&server.list(&people), &server.list(&books));

    // The child is not sent before its parent, and says so.
    shelf.writes("ann", &["emma"]);
    let token = shelf.app.patch("books", "emma", &json!({ "title": "emma" }))["token"].clone();
    shelf.app.sync("books", "done");
    assert_eq!(server.list(&books).len(), 0);
    let waited = shelf.app.must("wait", json!({ "token": token, "timeout_ms": 20 }));
    let why = "deferred: its parent people \"id-of-ann\" (author) is not there yet";
    assert!(waited["why"].as_str().is_some_and(|said| said.ends_with(why)), "{waited}");
    shelf.syncs();
    assert_eq!((shelf.here(), there()), (expect(&[("emma", "ann")]), expect(&[("emma", "ann")])));

    // On the way down the child comes first, and knows its parent when that comes.
    server.put(&people, "person000000001", &json!({ "name": "bob" }));
    server.put(&books, "book00000000001", &json!({ "title": "dune", "author": "person000000001" }));
    shelf.app.sync("books", "done");
    assert_eq!(shelf.app.get("books", "book00000000001").expect("a book")["author"]["pending"], "person000000001");
    shelf.app.sync("people", "done");
    let all = expect(&[("dune", "bob"), ("emma", "ann")]);
    assert_eq!((shelf.here(), there()), (all.clone(), all));
    let row = shelf.app.sync("books", "done");
    assert_eq!((&row["up"], &row["down"]), (&json!(0), &json!(0)), "nothing is sent back: {row}");

    // Killed while parents and children are on their way.
    let mut failed = 0;
    for round in 0..KILLS {
        shelf.writes(&format!("p{round}"), &[&format!("b{round}"), &format!("c{round}")]);
        for sync in if round % 2 == 0 { ["people", "books"] } else { ["books", "people"] } {
            shelf.app.run(sync);
        }
        wait::pass(Duration::from_millis(15 * round));
        shelf.daemon.kill();
        shelf.daemon.start();
        shelf.app = shelf.daemon.app("librarian");
        shelf.syncs();
        let here = shelf.here();
        let right = here.get(&format!("b{round}")) == Some(&format!("p{round}")) && here == there();
        failed += u64::from(!right);
    }
    tally::tell("kills", KILLS, failed);
    assert_eq!((failed, there().len()), (0, 2 + 2 * KILLS as usize), "{:?} here, {:?} there", shelf.here(), there());

    // A parent that is deleted takes the reference along, and goes after its children have heard.
    shelf.app.delete("people", "id-of-ann");
    assert_eq!(shelf.here()["emma"], "-");
    let row = shelf.app.sync("people", "done");
    assert_eq!(row["up"], 0, "it waits for its children: {row}");
    shelf.syncs();
    assert_eq!((there()["emma"].as_str(), server.list(&people).len()), ("-", 1 + KILLS as usize));
    assert_eq!(shelf.here(), there());
}

/// Where we choose the ids and everything goes by itself: what is written at once comes there in its order, answers get lost, and a
/// parent takes its children along.
#[test]
fn parents_and_children_go_by_themselves_and_a_lost_answer_doubles_nothing() {
    let server = Kinto::start();
    let (people, books) = (server.collection(), server.collection());
    let proxy = Proxy::before(&server.url);
    let remote = format!(
        "profile = \"kinto\"\nurl = \"{}\"\nauth = {{ type = \"basic\", username = \"me\", password = {{ file = \"far.secret\" }} }}",
        proxy.url
    );
    let soon = "on_change = { after = \"50ms\", at_most = \"1s\" }\nbackoff = { first = \"1s\", at_most = \"2s\" }";
    let cascade = "{ collection = \"people\", on_delete = \"cascade\" }";
    let mut shelf = Shelf::new(&remote, Kinto::ACCOUNT.1, [&people, &books], cascade, soon);
    let there = || named(&server.list(&people), &server.list(&books));
    for round in 0..4 {
        match round {
            0 => {}
            1 => proxy.next("PUT", Fault::Lost(End::Closed)),
            _ => proxy.next("", Fault::Lost(End::Reset)),
        }
        // An id that is none there: the record has another.
        let (person, book) = (format!("p{round}"), format!("b {round}"));
        let puts = json!([
            { "put": { "collection": "books", "id": book, "data": { "title": book, "author": format!("id of {person}") } } },
            { "put": { "collection": "people", "id": format!("id of {person}"), "data": { "name": person } } },
        ]);
        let token = shelf.app.must("transact", json!({ "writes": puts }))["token"].clone();
        let waited = shelf.app.must("wait", json!({ "token": token, "timeout_ms": 30_000 }));
        assert_eq!(waited["state"], "done", "{waited}");
        assert_eq!(there()[&book], person);
        assert_eq!(shelf.here(), there());
    }
    let token = shelf.app.delete("people", "id of p1")["token"].clone();
    assert_eq!(shelf.here().len(), 3);
    let waited = shelf.app.must("wait", json!({ "token": token, "timeout_ms": 30_000 }));
    assert_eq!(waited["state"], "done", "{waited}");
    assert_eq!((server.list(&people).len(), there()), (3, shelf.here()));
    assert!(proxy.faults() >= 3, "answers were lost");
}

/// A service that gives numbers: a reference goes out as it comes, and a circle is not asked for.
#[test]
fn a_service_that_counts_its_records_is_told_numbers() {
    let server = JsonServer::start(
        &json!({ "people": [{ "id": 7, "name": "ann" }], "books": [{ "id": 1, "title": "emma", "author": 7 }] }),
    );
    let remote = format!("profile = \"json-server\"\nurl = \"{}\"", server.url);
    let numbers = "{ collection = \"people\", ids = \"number\" }";
    let mut shelf = Shelf::new(&remote, "", ["people", "books"], numbers, BY_HAND);
    shelf.syncs();
    assert_eq!(shelf.app.get("books", "1").expect("a book")["author"], "7", "the id of the record here");
    shelf.writes("bob", &["dune"]);
    shelf.app.patch("books", "1", &json!({ "title": "Emma" }));
    shelf.syncs();
    let books = server.list("books");
    assert_eq!(books["1"], json!({ "title": "Emma", "author": 7 }));
    assert_eq!(books.values().find(|book| book["title"] == "dune").expect("a book")["author"], 8);
    assert_eq!(shelf.here(), named(&server.list("people"), &books));
    let row = shelf.app.sync("books", "done");
    assert_eq!((&row["up"], &row["down"]), (&json!(0), &json!(0)), "{row}");
}
