//! Owns: two folders of contacts, which khard edits, and other apps beside them. Must never know: how the daemon keeps a session.

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::Khard,
    vdir::Vdir,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::holds;

const CONFIG: &str = "[collection.contacts]\nnested = true\n";

/// A card with lines that nobody here knows.
const GRACE: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:grace\r\nFN:Grace Hopper\r\nN:Hopper;Grace;;;\r\n\
    EMAIL;TYPE=WORK:grace@navy.example\r\nTEL;TYPE=HOME:+1 555 0100\r\nX-SHOE-SIZE;X-UNIT=EU:38\r\n\
    X-MOTTO:Ask forgiveness\\, not permission\r\nEND:VCARD\r\n";
const UNKNOWN: [&str; 2] = ["X-SHOE-SIZE;X-UNIT=EU:38", "X-MOTTO:Ask forgiveness\\, not permission"];

/// A template of khard's for a contact.
const ADA: &str =
    "First name: Ada\nLast name: Lovelace\nEmail:\n    work: ada@engine.example\nPhone:\n    home: \"+44 20 7946 0001\"\n";

struct Book {
    vdir: Vdir,
    khard: Khard,
}

impl Book {
    fn new(daemon: &Daemon, name: &str) -> Self {
        let vdir = Vdir::new(daemon, name, "contacts");
        Self { khard: Khard::over(vdir.dir()), vdir }
    }

    /// The text of the contact with this uid.
    #[track_caller]
    fn file(&self, uid: &str) -> String {
        let line = format!("UID:{uid}\r\n");
        let texts = self.vdir.texts();
        texts.values().find(|text| text.contains(&line)).unwrap_or_else(|| panic!("no file of {uid}: {texts:#?}")).clone()
    }
}

fn patch(writer: &mut App, id: &str, patch: &Value) {
    writer.must("patch", json!({ "collection": "contacts", "id": id, "patch": patch }));
}

#[test]
fn khard_and_others_edit_one_address_book() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut writer = daemon.app("writer");
    let home = Book::new(&daemon, "home");
    home.khard.new_contact(ADA);
    home.vdir.write("grace.vcf", GRACE);
    assert_eq!(home.vdir.once(&daemon, 0, &[]), "contacts: 2 new files taken\n");
    let all = writer.all("contacts");
    let ada = all.iter().find(|(_, card)| card["name"]["full"] == "Ada Lovelace").expect("she is there").0.clone();
    assert_eq!(home.vdir.once(&daemon, 0, &[]), "", "nothing is left to be said");

    // Different properties of one contact, edited on both sides: both stay, at both sides, and so do lines that nobody knows.
    home.khard.edit("grace", "Nickname", "Nickname : Amazing Grace");
    patch(&mut writer, "grace", &json!({ "titles": { "k1": { "kind": "title", "name": "Rear admiral" } } }));
    assert_eq!(home.vdir.once(&daemon, 0, &[]), "contacts: 1 file written, 1 edit taken\n");
    holds(&home.file("grace"), &["NICKNAME:Amazing Grace", "TITLE:Rear admiral", "FN:Grace Hopper", "VERSION:3.0"]);
    holds(&home.file("grace"), &UNKNOWN);
    let shown = home.khard.shows("grace");
    assert!(shown.contains("Rear admiral") && shown.contains("Amazing Grace"), "{shown}");
    let grace = writer.get("contacts", "grace").expect("there");
    assert!(grace["nicknames"].to_string().contains("Amazing Grace"), "{grace:#}");
    assert!(grace["titles"].to_string().contains("Rear admiral"), "{grace:#}");
    assert_eq!(home.vdir.once(&daemon, 0, &[]), "", "what it wrote is no edit");

    // A second folder: khard edits one property here and another there.
    let work = Book::new(&daemon, "work");
    assert_eq!(work.vdir.once(&daemon, 0, &[]), "contacts: 2 files written\n");
    home.khard.edit("grace", "Role", "Role : Programmer");
    work.khard.edit("grace", "Note", "Note : US Navy");
    let in_step = || {
        for book in [&home, &work, &home] {
            book.vdir.once(&daemon, 0, &[]);
        }
    };
    in_step();
    for book in [&home, &work] {
        holds(&book.file("grace"), &["ROLE:Programmer", "NOTE:US Navy", "NICKNAME:Amazing Grace", "TITLE:Rear admiral"]);
        assert!(book.khard.shows("grace").contains("US Navy"));
    }
    holds(&home.file("grace"), &UNKNOWN);
    let clashes = writer.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    assert_eq!(clashes, json!([]));

    // One property on both sides: the truth stands, what lost is kept, and whoever runs it is told.
    home.khard.edit("grace", "Role", "Role : Teacher");
    work.khard.edit("grace", "Role", "Role : Admiral");
    home.vdir.once(&daemon, 0, &[]);
    let said = work.vdir.once(&daemon, 5, &[]);
    assert!(said.contains("1 conflict (`mingle conflict list`)"), "{said}");
    in_step();
    for book in [&home, &work] {
        holds(&book.file("grace"), &["ROLE:Teacher"]);
    }
    let lost = writer.must("conflict.list", json!({ "all": true }))["conflicts"].to_string();
    assert!(lost.contains("Admiral"), "{lost}");

    // Contacts are made and removed on all sides.
    writer.put("contacts", "mary", &json!({ "@type": "Card", "version": "1.0", "name": { "full": "Mary Somerville" } }));
    work.khard.remove(&ada);
    in_step();
    for book in [&home, &work] {
        assert_eq!(book.vdir.texts().len(), 2, "{:#?}", book.vdir.texts());
        assert!(book.khard.says(&["list"], "").contains("Mary Somerville"));
    }
    writer.delete("contacts", "mary");
    in_step();
    assert_eq!((home.vdir.texts().len(), work.vdir.texts().len(), writer.all("contacts").len()), (1, 1, 1));
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// khard edits files, we edit the truth, and it runs all the while: what each did is there in the end.
#[test]
fn edits_made_while_it_runs_all_stay() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut writer = daemon.app("writer");
    let mut book = Book::new(&daemon, "home");
    book.vdir.write("grace.vcf", GRACE);
    book.vdir.start(&daemon);
    book.vdir.until_said("1 new file taken");
    for round in 0..3 {
        book.khard.edit("grace", "Nickname", &format!("Nickname : Grace {round}"));
        for n in 0..5 {
            let title = format!("Title {round} {n}");
            patch(&mut writer, "grace", &json!({ "titles": { "k1": { "kind": "title", "name": title } } }));
        }
    }
    mingle_tests::wait::until("both sides to have both", || {
        let grace = writer.get("contacts", "grace").expect("there").to_string();
        let (text, both) = (book.file("grace"), ["Grace 2", "Title 2 4"]);
        both.iter().all(|one| grace.contains(one) && text.contains(one)).then_some(())
    });
    assert_eq!(book.vdir.end(Signal::TERM), Some(0));
    assert_eq!(book.vdir.once(&daemon, 0, &[]), "");
    holds(&book.file("grace"), &["NICKNAME:Grace 2", "X-SHOE-SIZE;X-UNIT=EU:38"]);
    assert!(book.khard.shows("grace").contains("Title 2 4"));
    assert_eq!(writer.all("contacts").len(), 1);
}
