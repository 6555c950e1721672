//! Owns: what a service is asked again only for whether it changed, over restarts and kills, and when it is asked in full. Must never know:
//! where answers are kept.

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    proxy::Proxy,
    rest_server::{Fault, Options, RestServer},
    servers::Kinto,
};
use serde_json::{Value, json};

use crate::bench::{kinto_config, scripted, scripted_config};

pub fn number(run: &Value, key: &str) -> u64 {
    run[key].as_u64().unwrap_or_else(|| panic!("{key}: {run}"))
}

/// A service whose listings have an `ETag`.
fn telling() -> Options {
    Options { etags: true, ..Options::default() }
}

/// The same, which can only list everything.
pub fn plain() -> Options {
    Options { etags: true, ..Options::careless() }
}

/// A daemon whose service says nothing of itself: whatever it is asked for is the listing. It is greeted with one row of it.
fn unnamed(options: Options) -> (RestServer, Daemon) {
    let server = RestServer::start(options, &["things"]);
    let home = Home::new(Some(&scripted_config(&server.url, "")));
    server.write_profile(&home.config_dir());
    let place = home.config_dir().join("profiles").join(format!("{}.toml", RestServer::PROFILE));
    let text = std::fs::read_to_string(&place).expect("a profile");
    let (head, rest) = text.split_once("[identify]").expect("what it says of itself");
    let (_, list) = rest.split_once("[list]").expect("its listing");
    std::fs::write(&place, format!("{head}[list]{list}")).expect("written");
    let daemon = home.start();
    (server, daemon)
}

/// Runs until the listing has not changed: the question is another one until nothing more is brought or sent.
pub fn settled(app: &mut App) {
    let unchanged = (0..4).any(|_| number(&app.sync("things", "done"), "not_modified") > 0);
    assert!(unchanged, "it is never unchanged: {}", app.must("history", json!({ "sync": "things" })));
}

/// All bytes of the store, those of its log included.
pub fn stored(daemon: &Daemon) -> Vec<u8> {
    let store = daemon.store();
    let log = store.with_file_name(format!("{}-wal", store.file_name().expect("a name").to_string_lossy()));
    let mut bytes = std::fs::read(&store).expect("the store");
    bytes.extend(std::fs::read(log).unwrap_or_default());
    bytes
}

pub fn shows(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn good(daemon: &Daemon) {
    let said = daemon.says(0, &["fsck"]);
    assert!(said.ends_with("every rule holds\n"), "{said}");
}

#[test]
fn after_a_restart_nothing_is_downloaded_again_where_nothing_changed() {
    for options in [telling(), plain()] {
        let (server, mut daemon) = unnamed(options);
        for n in 0..5 {
            server.put("things", &format!("r{n}"), &json!({ "n": n }));
        }
        let mut app = daemon.app("tester");
        settled(&mut app);
        let titles = app.all("things");
        for kill in [true, false] {
            if kill {
                daemon.kill();
            } else {
                let _ = daemon.terminate();
            }
            daemon.start();
            app = daemon.app("tester");
            let run = app.sync("things", "done");
            assert_eq!((number(&run, "not_modified"), number(&run, "bytes_down")), (number(&run, "requests"), 0), "{run}");
            assert_eq!((&run["result"], app.all("things")), (&json!("no_new_data"), titles.clone()), "{run}");
        }
        // What changed while nobody was there comes, once, and nothing else is lost: an edit, a delete, a new one.
        daemon.kill();
        server.put("things", "r1", &json!({ "n": "theirs" }));
        server.put("things", "new", &json!({ "n": 9 }));
        server.delete("things", "r2");
        daemon.start();
        app = daemon.app("tester");
        let run = app.sync("things", "done");
        assert!(number(&run, "bytes_down") > 0 && number(&run, "not_modified") < number(&run, "requests"), "{run}");
        assert_eq!((&run["down"], app.all("things")), (&json!(3), server.rows("things")), "{run}");
        // An edit of ours in between is sent, and is no news when it is listed.
        settled(&mut app);
        daemon.kill();
        daemon.start();
        app = daemon.app("tester");
        let ours = app.all("things").into_keys().next().expect("a record");
        app.patch("things", &ours, &json!({ "ours": true }));
        let run = app.sync("things", "done");
        assert_eq!((&run["up"], &run["down"]), (&json!(1), &json!(0)), "{run}");
        settled(&mut app);
        assert_eq!(app.all("things"), server.rows("things"));
        good(&daemon);
    }
}

/// Pages of a listing that is cut in the middle, and goes on after a kill.
#[test]
fn a_listing_that_was_cut_loses_no_page() {
    for options in [telling(), plain()] {
        let mut bench = scripted(Options { page_rows: 2, ..options }, "");
        for n in 0..7 {
            bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
        }
        settled(&mut bench.app);
        for round in 0..3 {
            for n in 0..7 {
                bench.server.patch("things", &format!("r{n}"), &json!({ "round": round }));
            }
            // The greeting, and the first pages, go well.
            for _ in 0..1 + round {
                bench.server.next("GET", Fault::Lag(std::time::Duration::ZERO));
            }
            bench.server.next("GET", Fault::CutBefore);
            // A question whose connection broke is put again.
            bench.server.next("GET", Fault::CutBefore);
            let run = bench.app.run("things");
            assert_eq!(bench.app.ended(&run), "failed");
            bench.daemon.kill();
            bench.daemon.start();
            bench.app = bench.daemon.app("tester");
            bench.app.sync("things", "done");
            assert_eq!(bench.app.all("things"), bench.server.rows("things"), "round {round}");
        }
        settled(&mut bench.app);
        good(&bench.daemon);
    }
}

/// A row that is refused here, and a delete that waits for a person, are not forgotten where nothing changed there.
#[test]
fn what_waits_is_looked_at_though_nothing_changed() {
    let (server, mut daemon) = unnamed(plain());
    for n in 0..30 {
        server.put("things", &format!("r{n:02}"), &json!({ "n": n }));
    }
    let mut app = daemon.app("tester");
    settled(&mut app);
    // More deletes than are taken unasked: the listing is the same each time, and they wait.
    for n in 0..15 {
        server.delete("things", &format!("r{n:02}"));
    }
    app.sync("things", "done_with_errors");
    let waiting = app.all("things").len();
    assert!((16..30).contains(&waiting), "{waiting}");
    daemon.kill();
    daemon.start();
    app = daemon.app("tester");
    let run = app.sync("things", "done_with_errors");
    assert!(number(&run, "not_modified") > 0, "{run}");
    assert_eq!(app.all("things").len(), waiting, "nobody has decided");
    daemon.says(0, &["sync", "things", "--accept-deletes"]);
    assert_eq!(app.all("things"), server.rows("things"));
    good(&daemon);
}

#[test]
fn what_is_not_to_be_gone_on_with_is_asked_in_full() {
    let token = || Options { bearer: Some("one".into()), ..telling() };
    let config = |url: &str, more: &str| {
        scripted_config(url, more)
            .replace("[sync.things]", "auth = { type = \"bearer\", token = { file = \"token\" } }\n[sync.things]")
    };
    let server = RestServer::start(token(), &["things"]);
    let home = Home::new(Some(&config(&server.url, "")));
    home.write("token", "one");
    server.write_profile(&home.config_dir());
    for n in 0..4 {
        server.put("things", &format!("r{n}"), &json!({ "n": n, "open": n % 2 == 0 }));
    }
    let mut daemon = home.start();
    let backup = daemon.dir().join("backup.db").display().to_string();
    let profile = daemon.config_dir().join("profiles").join(format!("{}.toml", RestServer::PROFILE));
    let text = std::fs::read_to_string(&profile).expect("a profile");
    // What is known only once the service was greeted leaves the greeting unchanged, which is a row of the listing; and what is compared
    // first is listed twice, the second time with what came the first.
    type Change<'a> = (&'a str, u64, Box<dyn Fn(&mut Daemon) + 'a>);
    let says =
        |words: &'static [&'static str]| -> Box<dyn Fn(&mut Daemon) + '_> { Box::new(move |daemon| drop(daemon.says(0, words))) };
    let changes: Vec<Change<'_>> = vec![
        ("a slow run", 0, says(&["sync", "things", "--mode", "slow"])),
        ("a rebuild", 0, says(&["rebuild", "things"])),
        ("a reset", 0, says(&["reset", "things", "--recover"])),
        (
            "another filter",
            1,
            Box::new(|daemon| {
                daemon.configure(&config(&server.url, "filter = { open = true }\n"));
                daemon.says(0, &["reload"]);
            }),
        ),
        (
            "another profile",
            2,
            Box::new(|daemon| {
                std::fs::write(&profile, text.replace("version = 1", "version = 2")).expect("written");
                daemon.says(0, &["reload"]);
            }),
        ),
        (
            "another login",
            0,
            Box::new(|daemon| {
                server.change(|options| options.bearer = Some("two".into()));
                daemon.write("token", "two");
            }),
        ),
        (
            "a restored backup",
            0,
            Box::new(|daemon| {
                daemon.says(0, &["backup", &backup]);
                daemon.terminate();
                daemon.says(0, &["restore", &backup]);
                daemon.start();
            }),
        ),
    ];
    for (what, unchanged, change) in changes {
        let mut app = daemon.app("tester");
        settled(&mut app);
        daemon.kill();
        daemon.start();
        app = daemon.app("tester");
        let run = app.sync("things", "done");
        assert_eq!(number(&run, "not_modified"), 2, "{what}, before: {run}");
        let before = run["run"].clone();
        change(&mut daemon);
        app = daemon.app("tester");
        let newest = |app: &mut App| app.must("history", json!({ "sync": "things", "limit": 1 }))["runs"][0].clone();
        let mut run = newest(&mut app);
        if run["run"] == before {
            run = app.sync("things", "done");
        }
        assert_eq!((&run["status"], number(&run, "not_modified")), (&json!("done"), unchanged), "{what}: {run}");
        good(&daemon);
    }
}

/// The service's history is another one, and an answer of the former happens to have the same mark.
#[test]
fn an_answer_of_another_history_is_not_taken_for_one_of_this() {
    let mut bench = scripted(plain(), "");
    bench.server.put("things", "a", &json!({ "n": 1 }));
    settled(&mut bench.app);
    bench.server.forget();
    bench.server.put("things", "a", &json!({ "n": 1 }));
    bench.daemon.kill();
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    let run = bench.app.sync("things", "done");
    // It is compared first, and then taken: only the second of the two may go on with the first.
    assert!(number(&run, "bytes_down") > 0 && number(&run, "not_modified") < number(&run, "requests") - 1, "{run}");
    assert_eq!(bench.app.all("things"), bench.server.rows("things"));
}

/// Two syncs at one place, each with a filter of its own, and a third as somebody else: each goes on with its own answers.
#[test]
fn syncs_at_one_place_do_not_go_on_with_each_others_answers() {
    let server = RestServer::start(plain(), &["things"]);
    for n in 0..6 {
        server.put("things", &format!("r{n}"), &json!({ "n": n }));
    }
    let sync = |name: &str, remote: &str, filter: &str| {
        format!(
            "[sync.{name}]\ncollection = \"{name}\"\nremote = \"{remote}\"\nresource = \"things\"\ndirection = \"down\"\non_start = false\n{filter}\n"
        )
    };
    let remote = |name: &str, auth: &str| {
        format!("[remote.{name}]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n{auth}\n", RestServer::PROFILE, server.url)
    };
    let config = [
        remote("far", ""),
        remote("same", ""),
        remote("near", "auth = { type = \"basic\", username = \"me\", password = { file = \"secret\" } }"),
        sync("few", "far", "filter = { n = { lt = 2 } }"),
        sync("many", "same", "filter = { n = { gt = 1 } }"),
        sync("all", "near", ""),
    ];
    let home = Home::new(Some(&config.concat()));
    home.write("secret", "of mine");
    server.write_profile(&home.config_dir());
    let mut daemon = home.start();
    let syncs = [("few", 2), ("many", 4), ("all", 6)];
    for restarted in [false, true] {
        let mut app = daemon.app("tester");
        for (sync, count) in syncs {
            let run = app.sync(sync, "done");
            assert_eq!(
                (number(&run, "not_modified"), app.all(sync).len()),
                (if restarted { 2 } else { 0 }, count),
                "{sync}: {run}"
            );
        }
        daemon.kill();
        daemon.start();
    }
    // Nothing of what was asked is in the store in a form that tells the login.
    let stored = stored(&daemon);
    assert!(!shows(&stored, "of mine") && !shows(&stored, "Basic "), "a login lies in the store");
}

#[test]
fn a_real_kinto_says_that_nothing_changed_after_a_restart_and_tells_what_did() {
    let kinto = Kinto::shared();
    let resource = kinto.collection();
    let proxy = Proxy::before(&kinto.url);
    let home = Home::new(Some(&kinto_config(&proxy.url, &resource, "things", "")));
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    kinto.put(&resource, "there", &json!({ "name": "made there" }));
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    settled(&mut app);
    daemon.kill();
    daemon.start();
    app = daemon.app("tester");
    drop(proxy.passed());
    let listed = || -> Vec<Option<u16>> {
        proxy.passed().into_iter().filter(|one| one.target.contains("/records")).map(|one| one.status).collect()
    };
    let run = app.sync("things", "done");
    assert_eq!((listed(), number(&run, "not_modified")), (vec![Some(304)], 1), "{run}");
    daemon.kill();
    kinto.patch(&resource, "there", &json!({ "name": "changed" }));
    kinto.put(&resource, "new", &json!({ "name": "new" }));
    daemon.start();
    app = daemon.app("tester");
    let run = app.sync("things", "done");
    assert_eq!((listed(), &run["down"]), (vec![Some(200)], &json!(2)), "{run}");
    assert_eq!(app.all("things"), kinto.list(&resource));
    kinto.delete(&resource, "there");
    app.sync("things", "done");
    assert_eq!(app.all("things"), kinto.list(&resource));
    good(&daemon);
}
