//! Owns: contacts (kind `dav`) at a real server of several people, under logins that run out: found, listed, written, and nothing of one with
//! another. Must never know: how a login is renewed.

use std::collections::BTreeSet;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::{Dav, Gate, Oidc},
    wait::until,
};
use serde_json::{Value, json};

use super::{Login, MINGLE, kept, log_in, log_in_with};

/// A Radicale that a gate tells who asks, and a daemon that syncs the book `Friends` of whoever has logged in.
struct Bench {
    oidc: Oidc,
    gate: Gate,
    alice: Dav,
    book: String,
    daemon: Daemon,
    app: App,
}

fn bench() -> Bench {
    bench_of(MINGLE)
}

fn bench_of(program: &str) -> Bench {
    let oidc = Oidc::start(3600);
    let alice = Dav::radicale_told("alice");
    let book = alice.address_book("Friends");
    let gate = Gate::before(&alice.url, &oidc);
    let config = format!(
        "[remote.far]\nkind = \"dav\"\nurl = \"{}/\"\nauth = {{ type = \"oauth2\", issuer = \"{}\", {program} }}\n\n\
         [sync.contacts]\ncollection = \"contacts\"\nremote = \"far\"\nresource = \"Friends\"\ndirection = \"both\"\n\
         on_start = false\non_change = false\n",
        gate.url, oidc.url
    );
    let daemon = Home::new(Some(&config)).start();
    let app = daemon.app("people");
    Bench { oidc, gate, alice, book, daemon, app }
}

fn card(uid: &str, name: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nEND:VCARD\r\n")
}

fn joe(name: &str) -> Value {
    json!({ "name": { "full": name } })
}

impl Bench {
    /// What the service was asked since the last look: how often it knew nobody, and how often this was done.
    #[track_caller]
    fn asked(&self, method: &str) -> (usize, usize) {
        let passed = self.gate.passed();
        let of = |end: &dyn Fn(&str) -> bool| passed.iter().filter(|line| line.starts_with(method) && end(line)).count();
        (of(&|line| line.ends_with("401 -")), of(&|line| line.ends_with(" alice")))
    }

    /// So many renewals were asked for, and all were given.
    #[track_caller]
    fn renewed(&self, times: u64) {
        assert_eq!((self.oidc.asked("refresh_token 200"), self.oidc.asked("refresh_token 400")), (times, 0));
    }

    fn ids(&mut self) -> BTreeSet<String> {
        self.app.all("contacts").into_keys().collect()
    }
}

#[test]
fn contacts_are_found_listed_and_written_though_the_token_ends_in_the_midst_of_each() {
    let mut bench = bench();
    bench.alice.fill(&bench.book, (0..250).map(|n| (format!("c{n:03}.vcf"), card(&format!("c{n:03}"), "Somebody"))));
    log_in(&bench.daemon, "far", "alice");
    until("no request of the login", || bench.gate.passed().is_empty().then_some(()));
    bench.gate.ends("PROPFIND", 1);
    bench.app.must("remote.check", json!({ "remote": "far" }));
    let (refused, done) = bench.asked("PROPFIND");
    assert!(refused == 1 && done >= 2, "{refused} {done}");
    bench.renewed(1);
    // The collection is found, and what it holds comes too late.
    bench.gate.ends("REPORT", 0);
    bench.app.sync("contacts", "done");
    assert_eq!(bench.asked("REPORT"), (1, 1), "one request goes twice");
    assert_eq!(bench.ids().len(), 250);
    bench.renewed(2);

    bench.app.put("contacts", "joe", &joe("Joe"));
    bench.gate.ends("PUT", 0);
    bench.app.sync("contacts", "done");
    assert_eq!(bench.asked("PUT"), (1, 1));
    bench.app.patch("contacts", "joe", &json!({ "name": { "full": "Joseph" } }));
    // The text is fetched before it is edited, and another token shows who asks than the one that wrote.
    bench.gate.ends("GET", 0);
    bench.app.sync("contacts", "done");
    bench.app.delete("contacts", "c007");
    bench.gate.ends("DELETE", 0);
    bench.app.sync("contacts", "done");
    assert_eq!(bench.asked("DELETE"), (1, 1));
    bench.renewed(5);
    let there = bench.alice.texts(&bench.book);
    assert!(there.len() == 250 && there["joe.vcf"].contains("FN:Joseph") && !there.contains_key("c007.vcf"), "{}", there.len());

    // Its time is over before anything is asked.
    bench.oidc.tokens_live(8);
    bench.gate.ends("REPORT", 0);
    bench.app.sync("contacts", "done");
    bench.oidc.tokens_live(3600);
    let token = kept(&bench.daemon, "far")["tokens"]["access"].as_str().expect("a token").to_owned();
    until("the end of a token", || (!bench.oidc.is_active(&token)).then_some(()));
    let _ = bench.gate.passed();
    bench.app.put("contacts", "jim", &joe("Jim"));
    bench.app.sync("contacts", "done");
    assert_eq!(bench.asked("").0, 0, "it is renewed ahead, and nothing is refused");
    bench.renewed(7);
    assert!(bench.alice.texts(&bench.book)["jim.vcf"].contains("FN:Jim"));
    let row = bench.app.sync("contacts", "done");
    assert_eq!(row["result"], "no_new_data", "{row}");
}

#[test]
fn contacts_wait_for_a_login_that_was_ended_and_nothing_is_lost() {
    let mut bench = bench();
    bench.alice.put(&bench.book, "jane.vcf", &card("jane", "Jane"));
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("contacts", "done");
    bench.oidc.revoke(kept(&bench.daemon, "far")["tokens"]["refresh"].as_str().expect("a token"));
    // Both sides go on meanwhile, with the same person too.
    bench.app.put("contacts", "joe", &joe("Joe"));
    bench.app.patch("contacts", "jane", &json!({ "nicknames": { "k1": { "name": "JJ" } } }));
    bench.alice.put(&bench.book, "jane.vcf", &card("jane", "Jane Doe"));
    let row = bench.app.sync("contacts", "failed");
    assert_eq!(
        (&row["error"]["name"], &bench.app.status("contacts")["state"]),
        (&json!("needs_login"), &json!("blocked")),
        "{row}"
    );
    assert!(bench.daemon.says(0, &["explain", "contacts"]).contains("mingle remote login far"));
    log_in(&bench.daemon, "far", "alice");
    until("the run that the login lets begin", || {
        Some(bench.app.status("contacts")).filter(|row| row["last"]["status"] == "done")
    });
    let there = bench.alice.texts(&bench.book);
    assert!(there["joe.vcf"].contains("FN:Joe"), "{there:?}");
    assert!(there["jane.vcf"].contains("FN:Jane Doe") && there["jane.vcf"].contains("NICKNAME:JJ"), "{there:?}");
    let row = bench.app.sync("contacts", "done");
    assert_eq!(row["result"], "no_new_data", "{row}");
}

#[test]
fn contacts_of_one_person_are_never_anothers() {
    let mut bench = bench();
    let bob = bench.alice.seen_by("bob");
    let bobs = bob.address_book("Friends");
    bench.alice.put(&bench.book, "jane.vcf", &card("jane", "Jane"));
    bob.put(&bobs, "bert.vcf", &card("bert", "Bert"));
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("contacts", "done");
    bench.app.put("contacts", "waits", &joe("Waits"));
    let (hers, his) = (bench.alice.texts(&bench.book), bob.texts(&bobs));
    assert!(log_in(&bench.daemon, "far", "bob").contains("bob at"));
    bench.app.sync("contacts", "failed");
    let status = bench.app.status("contacts");
    assert_eq!(status["hold"]["name"], "account", "{status}");
    assert_eq!((bench.ids(), bench.alice.texts(&bench.book)), (["jane", "waits"].map(str::to_owned).into(), hers));
    // As she comes back it goes on.
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("contacts", "done");
    assert!(bench.alice.texts(&bench.book)["waits.vcf"].contains("FN:Waits"));
    // At a word it is his, whose book has the same name and another place.
    bench.app.put("contacts", "unsent", &joe("Unsent"));
    log_in(&bench.daemon, "far", "bob");
    bench.app.sync("contacts", "failed");
    bench.daemon.says(0, &["reset", "contacts", "--discard", "--yes"]);
    bench.app.sync("contacts", "done");
    assert_eq!((bench.ids(), bob.texts(&bobs)), (["bert".to_owned()].into(), his));
    let hers = bench.alice.texts(&bench.book);
    assert!(hers.len() == 2 && !hers.contains_key("unsent.vcf"), "{hers:?}");
}

#[test]
fn where_nobody_says_whose_login_it_is_another_login_waits_for_a_word() {
    let mut bench = bench_of("client_id = \"mingle\", scopes = [\"offline_access\"]");
    let bob = bench.alice.seen_by("bob");
    let bobs = bob.address_book("Friends");
    bench.alice.put(&bench.book, "jane.vcf", &card("jane", "Jane"));
    bob.put(&bobs, "bert.vcf", &card("bert", "Bert"));
    let refused = Login::begin_refused(&bench.daemon, &["far", "--same-person"]);
    assert!(refused.contains("no login of it was without a name"), "{refused}");
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("contacts", "done");
    bench.app.put("contacts", "waits", &joe("Waits"));
    let (hers, his) = (bench.alice.texts(&bench.book), bob.texts(&bobs));
    assert!(log_in(&bench.daemon, "far", "bob").contains("mingle remote login far --same-person"));
    for _ in 0..2 {
        // One that is held before it begins has no row in the history.
        let run = bench.app.run("contacts");
        bench.app.ended(&run);
        let status = bench.app.status("contacts");
        assert_eq!(status["hold"]["name"], "account", "{status}");
        assert_eq!((bench.ids(), bench.alice.texts(&bench.book)), (["jane", "waits"].map(str::to_owned).into(), hers.clone()));
        assert_eq!(bob.texts(&bobs), his);
        // She herself is not known again without a word.
        log_in(&bench.daemon, "far", "alice");
    }
    let said = log_in_with(&bench.daemon, &["far", "--same-person"], "alice");
    assert!(said.contains("counts as the same person's as before"), "{said}");
    bench.app.sync("contacts", "done");
    assert!(bench.alice.texts(&bench.book)["waits.vcf"].contains("FN:Waits"));
    let row = bench.app.sync("contacts", "done");
    assert_eq!(row["result"], "no_new_data", "{row}");
}
