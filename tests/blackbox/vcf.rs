//! Owns: a real second app: a folder of `.vcf` files that is kept in step through sessions while khard and others edit it.
//! Must never know: how the daemon keeps a session.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use mingle_client::{Options, keeper::Report};
use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::Khard,
    vcf_folder::{VcfFolder, card},
};
use serde_json::{Value, json};

const CONFIG: &str = "[collection.contacts]\nnested = true\nmerge = { default = \"remote\", updated = \"max\" }\n";

/// A card with lines that nobody here knows.
const GRACE: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:grace\r\nFN:Grace Hopper\r\nN:Hopper;Grace;;;\r\n\
    EMAIL;TYPE=WORK:grace@navy.example\r\nTEL;TYPE=HOME:+1 555 0100\r\nX-SHOE-SIZE;X-UNIT=EU:38\r\n\
    X-MOTTO:Ask forgiveness\\, not permission\r\nEND:VCARD\r\n";

/// A template of khard's for a contact.
const ADA: &str =
    "First name: Ada\nLast name: Lovelace\nEmail:\n    work: ada@engine.example\nPhone:\n    home: \"+44 20 7946 0001\"\n";

struct Book {
    dir: PathBuf,
    khard: Khard,
    options: Options,
}

impl Book {
    fn new(daemon: &Daemon, name: &str) -> Self {
        let dir = daemon.dir().join(name);
        fs::create_dir(&dir).expect("a folder of contacts");
        let options =
            Options { socket: Some(daemon.socket()), reconnect_within: Some(Duration::from_secs(60)), ..Options::app(name) };
        Self { khard: Khard::over(&dir), dir, options }
    }

    fn run(&self) -> Report {
        VcfFolder::open(&self.dir, "contacts").expect("its memory").run(self.options.clone()).expect("in step")
    }

    /// Until a run has nothing left to do.
    fn in_step(&self) {
        while self.run().later > 0 {}
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = vcf_files(&self.dir).iter().map(|path| fs::read_to_string(path).expect("a file")).collect();
        names.sort();
        names
    }

    /// The text of the contact with this uid.
    fn file(&self, uid: &str) -> String {
        let line = format!("UID:{uid}\r\n");
        let found = self.files().into_iter().find(|text| text.contains(&line));
        found.unwrap_or_else(|| panic!("no file of {uid}: {:#?}", self.files()))
    }

    /// The uid of the contact of this name.
    fn uid(&self, name: &str) -> String {
        let line = format!("FN:{name}\r\n");
        let text = self.files().into_iter().find(|text| text.contains(&line)).expect("a contact of that name");
        card(&text).expect("a card")["uid"].as_str().expect("a uid").to_owned()
    }
}

fn vcf_files(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path());
    all.filter(|path| path.extension().is_some_and(|ext| ext == "vcf")).collect()
}

fn patch(writer: &mut App, id: &str, patch: &Value) {
    writer.must("patch", json!({ "collection": "contacts", "id": id, "patch": patch }));
}

/// The card has these lines, whatever parameters stand between name and value.
#[track_caller]
fn holds(text: &str, lines: &[&str]) {
    for line in lines {
        let (name, value) = line.split_once(':').expect("name:value");
        let fits = |one: &str| one == *line || (one.starts_with(&format!("{name};")) && one.ends_with(&format!(":{value}")));
        assert!(text.lines().any(fits), "no line {line:?} in\n{text}");
    }
}

#[test]
fn khard_and_others_edit_one_address_book() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut writer = daemon.app("writer");
    let home = Book::new(&daemon, "home");
    home.khard.new_contact(ADA);
    fs::write(home.dir.join("grace.vcf"), GRACE).expect("a file");
    let report = home.run();
    assert_eq!((report.pushed, report.changed, report.stored, report.later), (2, 2, 0, 0), "{report:?}");
    let ada = home.uid("Ada Lovelace");
    assert_eq!(writer.get("contacts", &ada).expect("there")["name"]["full"], "Ada Lovelace");
    assert_eq!(
        home.run(),
        Report { mode: report.mode.map(|_| mingle_client::call::SessionMode::Fast), sessions: 1, ..Report::default() }
    );

    // Different properties of one contact, edited on both sides: both stay, at both sides, and so do lines that nobody knows.
    home.khard.edit("grace", "Nickname", "Nickname : Amazing Grace");
    patch(&mut writer, "grace", &json!({ "titles": { "k1": { "kind": "title", "name": "Rear admiral" } } }));
    let report = home.run();
    assert_eq!((report.pushed, report.conflicts, report.stored, report.later), (1, 0, 1, 0), "{report:?}");
    let unknown = ["X-SHOE-SIZE;X-UNIT=EU:38", "X-MOTTO:Ask forgiveness\\, not permission"];
    holds(&home.file("grace"), &["NICKNAME:Amazing Grace", "TITLE:Rear admiral", "FN:Grace Hopper", "VERSION:3.0"]);
    holds(&home.file("grace"), &unknown);
    let shown = home.khard.shows("grace");
    assert!(shown.contains("Rear admiral") && shown.contains("Amazing Grace"), "{shown}");
    let grace = writer.get("contacts", "grace").expect("there");
    assert!(grace["nicknames"].to_string().contains("Amazing Grace"), "{grace:#}");
    assert!(grace["titles"].to_string().contains("Rear admiral"), "{grace:#}");
    let quiet = home.run();
    assert_eq!((quiet.pushed, quiet.changed, quiet.stored), (0, 0, 0), "what it wrote is no edit: {quiet:?}");

    // A second folder, of another app: khard edits one property here and another there.
    let work = Book::new(&daemon, "work");
    assert_eq!(work.run().stored, 2);
    holds(&work.file("grace"), &unknown);
    home.khard.edit("grace", "Role", "Role : Programmer");
    work.khard.edit("grace", "Organisation", "Organisation : US Navy");
    home.in_step();
    work.in_step();
    home.in_step();
    for book in [&home, &work] {
        holds(&book.file("grace"), &["ROLE:Programmer", "ORG:US Navy", "NICKNAME:Amazing Grace", "TITLE:Rear admiral"]);
        holds(&book.file("grace"), &unknown);
        assert!(book.khard.shows("grace").contains("US Navy"));
    }
    // When a card was edited last both say; nothing else of it clashed.
    let clashes = writer.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    assert!(clashes.as_array().expect("a list").iter().all(|one| one["property"] == "updated"), "{clashes}");

    // One property on both sides: the truth stands, and what lost is kept.
    home.khard.edit("grace", "Role", "Role : Teacher");
    work.khard.edit("grace", "Role", "Role : Admiral");
    home.in_step();
    work.in_step();
    home.in_step();
    for book in [&home, &work] {
        holds(&book.file("grace"), &["ROLE:Teacher"]);
    }
    let lost = writer.must("conflict.list", json!({ "all": true }))["conflicts"].to_string();
    assert!(lost.contains("Admiral"), "{lost}");

    // Contacts are made and removed on all sides.
    writer.put("contacts", "mary", &json!({ "@type": "Card", "version": "1.0", "name": { "full": "Mary Somerville" } }));
    work.khard.remove(&ada);
    home.in_step();
    work.in_step();
    home.in_step();
    for book in [&home, &work] {
        assert_eq!(book.files().len(), 2, "{:#?}", book.files());
        assert!(book.khard.says(&["list"], "").contains("Mary Somerville"));
    }
    writer.delete("contacts", "mary");
    home.in_step();
    work.in_step();
    assert_eq!((home.files().len(), work.files().len(), writer.all("contacts").len()), (1, 1, 1));
    // A file that is no card any more is no word on the contact.
    let path = vcf_files(&home.dir).remove(0);
    let whole = fs::read_to_string(&path).expect("a file");
    fs::write(&path, "half a li").expect("written");
    home.in_step();
    assert_eq!(writer.all("contacts").len(), 1);
    fs::write(&path, whole).expect("written");
    home.in_step();
    assert_eq!(work.run().changed, 0);
    holds(&work.file("grace"), &["ROLE:Teacher"]);
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// khard edits files, we edit the truth, and the app runs all the while: what each did is there in the end.
#[test]
fn edits_made_while_it_runs_all_stay() {
    let daemon = Home::new(Some(CONFIG)).start();
    let mut writer = daemon.app("writer");
    let book = Arc::new(Book::new(&daemon, "home"));
    fs::write(book.dir.join("grace.vcf"), GRACE).expect("a file");
    book.in_step();
    let over = Arc::new(AtomicBool::new(false));
    let runs = std::thread::spawn({
        let (book, over) = (Arc::clone(&book), Arc::clone(&over));
        move || {
            while !over.load(SeqCst) {
                book.run();
            }
        }
    });
    for round in 0..3 {
        book.khard.edit("grace", "Nickname", &format!("Nickname : Grace {round}"));
        for n in 0..5 {
            let title = format!("Title {round} {n}");
            patch(&mut writer, "grace", &json!({ "titles": { "k1": { "kind": "title", "name": title } } }));
        }
    }
    over.store(true, SeqCst);
    runs.join().expect("it ran");
    book.in_step();
    let grace = writer.get("contacts", "grace").expect("there");
    assert!(grace["nicknames"].to_string().contains("Grace 2") && grace["titles"].to_string().contains("Title 2 4"), "{grace:#}");
    holds(&book.file("grace"), &["NICKNAME:Grace 2", "X-SHOE-SIZE;X-UNIT=EU:38"]);
    assert!(book.khard.shows("grace").contains("Title 2 4"));
    assert_eq!(writer.all("contacts").len(), 1);
}
