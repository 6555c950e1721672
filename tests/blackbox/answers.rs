//! Owns: answers that are kept and must not be gone on with: those that do not say what follows them, lead nowhere, tell a login, or are of what is
//! not there any more. Must never know: how they are kept.

use mingle_tests::{
    daemon::Home,
    rest_server::{Fault, Options, Paging, RestServer},
};
use serde_json::json;

use crate::{
    bench::{scripted, scripted_config},
    unchanged::{number, plain, settled, shows, stored},
};

/// Many frameworks make the `ETag` of the body alone, and tell what follows it in a header, which a 304 of theirs does not have.
#[test]
fn what_came_behind_a_page_that_did_not_change_is_found() {
    for paging in [Paging::Link, Paging::Header] {
        let options = Options { plain_etags: true, paging, page_rows: 4, ..plain() };
        let mut bench = scripted(options, "");
        for n in 0..4 {
            bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
        }
        // The only page is full, and nothing follows it.
        bench.app.sync("things", "done");
        let run = bench.app.sync("things", "done");
        // It is greeted with one row, which names the next.
        assert_eq!(number(&run, "not_modified"), 1, "whether anything follows it is not known: {run}");
        bench.server.put("things", "r4", &json!({ "n": 4 }));
        bench.app.sync("things", "done");
        assert_eq!(bench.app.all("things"), bench.server.rows("things"), "{paging:?}: it lies behind a page that is the same");
        settled(&mut bench.app);
        for n in 5..9 {
            bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
            bench.app.sync("things", "done");
            assert_eq!(bench.app.all("things"), bench.server.rows("things"), "{paging:?} {n}");
        }
        bench.server.delete("things", "r8");
        bench.app.sync("things", "done");
        assert_eq!(bench.app.all("things"), bench.server.rows("things"), "{paging:?}");
    }
}

/// Where a kept answer leads is not there any more: one run fails, and the next does not go there again.
#[test]
fn a_kept_answer_that_leads_nowhere_is_not_followed_twice() {
    let mut bench = scripted(Options { page_rows: 2, ..plain() }, "");
    for n in 0..3 {
        bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
    }
    settled(&mut bench.app);
    // The greeting, which is two requests, and the first page go well.
    for _ in 0..3 {
        bench.server.next("GET", Fault::Lag(std::time::Duration::ZERO));
    }
    bench.server.next("GET", Fault::Status(404, vec![]));
    let run = bench.app.run("things");
    assert_eq!(bench.app.ended(&run), "failed");
    let run = bench.app.sync("things", "done");
    assert_eq!(number(&run, "not_modified"), 0, "{run}");
    assert_eq!(bench.app.all("things"), bench.server.rows("things"));
    settled(&mut bench.app);
}

/// What stands in each answer, and in no record.
const ANSWER: &str = "\"rows\":[";

/// A login that stands in addresses is repeated in those of next pages; one that stands in a header, by whoever likes to.
#[test]
fn an_answer_that_tells_the_login_is_not_kept() {
    const SECRET: &str = "not for the store";
    let query = "auth = { type = \"query\", name = \"key\", secret = { file = \"secret\" } }\n[sync.things]";
    let header = "auth = { type = \"header\", name = \"x-key\", secret = { file = \"secret\" } }\n[sync.things]";
    for (auth, paging, told) in
        [(query, Paging::Link, ""), (query, Paging::Address, ""), (header, Paging::Cursor, SECRET), (header, Paging::Cursor, "")]
    {
        let server = RestServer::start(Options { page_rows: 2, paging, ..plain() }, &["things"]);
        let home = Home::new(Some(&scripted_config(&server.url, "").replace("[sync.things]", auth)));
        home.write("secret", SECRET);
        server.write_profile(&home.config_dir());
        for n in 0..5 {
            server.put("things", &format!("r{n}"), &json!({ "n": n, "told": told }));
        }
        let mut daemon = home.start();
        let mut app = daemon.app("tester");
        app.sync("things", "done");
        let run = app.sync("things", "done");
        let keeps = auth == header && told.is_empty();
        assert_eq!(number(&run, "not_modified") > 0, keeps, "{auth} {paging:?} {told}: {run}");
        assert_eq!(app.all("things"), server.rows("things"));
        let bytes = stored(&daemon);
        assert_eq!(shows(&bytes, ANSWER), keeps, "{auth} {paging:?} {told}");
        assert!(
            !told.is_empty() || !(shows(&bytes, SECRET) || shows(&bytes, &SECRET.replace(' ', "+"))),
            "the login is in the store"
        );
        // A backup is of the truth alone.
        let backup = daemon.dir().join("backup.db");
        daemon.says(0, &["backup", &backup.display().to_string()]);
        assert!(!shows(&std::fs::read(&backup).expect("a backup"), ANSWER), "answers are in a backup");
        daemon.terminate();
    }
}

/// What answers are known again by lies beside the store, for its owner alone; without it nothing is known again, or nothing kept.
#[test]
fn without_its_key_no_answer_is_known_again() {
    let mut bench = scripted(plain(), "");
    bench.server.put("things", "a", &json!({ "n": 1 }));
    settled(&mut bench.app);
    let key = bench.daemon.dir().join("s/mingle/marks.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).expect("a key").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = |bench: &mut crate::bench::Scripted| {
        bench.daemon.start();
        bench.app = bench.daemon.app("tester");
        let run = bench.app.sync("things", "done");
        number(&run, "not_modified") > 0
    };
    bench.daemon.terminate();
    assert!(again(&mut bench));
    bench.daemon.terminate();
    std::fs::remove_file(&key).expect("removed");
    assert!(!again(&mut bench), "another key");
    settled(&mut bench.app);
    bench.daemon.terminate();
    assert!(again(&mut bench));
    // Where none can be made.
    bench.daemon.terminate();
    std::fs::remove_file(&key).expect("removed");
    std::fs::create_dir(&key).expect("a directory");
    assert!(!again(&mut bench));
    assert_eq!(number(&bench.app.sync("things", "done"), "not_modified"), 0, "nothing is kept");
}

#[test]
fn answers_go_with_their_sync_and_with_a_record_that_is_forgotten() {
    let mut bench = scripted(plain(), "");
    for n in 0..3 {
        bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
    }
    settled(&mut bench.app);
    let record = bench.app.all("things").into_keys().next().expect("a record");
    bench.app.must("forget", json!({ "collection": "things", "id": record }));
    let run = bench.app.sync("things", "done");
    assert_eq!((number(&run, "not_modified"), bench.app.all("things").len()), (0, 2), "{run}");
    settled(&mut bench.app);
    let config = scripted_config(&bench.server.url, "");
    let (without, _) = config.split_once("[sync.things]").expect("a sync");
    for restarts in [false, true] {
        for config in [without, config.as_str()] {
            bench.daemon.configure(config);
            if restarts {
                bench.daemon.terminate();
                bench.daemon.start();
            } else {
                bench.daemon.says(0, &["reload"]);
            }
        }
        bench.app = bench.daemon.app("tester");
        let run = bench.app.sync("things", "done");
        assert_eq!(number(&run, "not_modified"), 0, "it was gone meanwhile: {run}");
        settled(&mut bench.app);
    }
}
