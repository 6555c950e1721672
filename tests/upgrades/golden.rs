//! Owns: stores of every schema that there was, opened by today's daemon: everything is there, and goes on. Must never know: how one schema
//! becomes the next.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::RestServer,
};
use mingled::{
    boot,
    config::{self, Where},
    environment::Environment,
    known::BuiltIn,
    remotes::http,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::story;

/// One store of long ago.
pub struct Golden {
    pub name: String,
    sql: String,
    told: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrades/stores")
}

impl Golden {
    /// All that there are.
    pub fn all() -> Vec<Self> {
        let mut names: Vec<PathBuf> = fs::read_dir(folder())
            .expect("the folder of stores")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|end| end == "sql"))
            .collect();
        names.sort();
        names.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let told = serde_json::from_str(&text(&path.with_extension("json"))).expect("what was told");
        Self { name: path.file_stem().expect("named").to_string_lossy().into_owned(), sql: text(path), told }
    }

    /// The service as it was, and a home with the store in its place; no daemon runs yet.
    pub fn home(&self) -> (RestServer, Home) {
        self.home_in(Path::new("/tmp"))
    }

    /// The same, in a folder that is there.
    pub fn home_in(&self, folder: &Path) -> (RestServer, Home) {
        let server = RestServer::restored(story::options(), &self.told["service"]);
        let home = Home::new_in(folder, Some(&story::config(&server.url)));
        server.write_profile(&home.config_dir());
        let place = home.store();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(place.parent().expect("a folder"))
            .expect("a folder for a store");
        let url = self.told["url"].as_str().expect("an address");
        let mut sql = self.sql.replace(url, &server.url);
        // The service answers elsewhere than then. What names a history of it has the address in it, and must be made as it was made
        // then: another history would be compared anew, and what was not sent would lose.
        let (then, now) = (histories(&home, url), histories(&home, &server.url));
        for (sync, history) in then {
            assert!(sql.contains(&history), "{}: the history of {sync} has another name today: {history}", self.name);
            sql = sql.replace(&history, &now[&sync]);
        }
        load(&place, &sql);
        it_was_just_now(&place);
        (server, home)
    }

    /// What apps saw of it then, with the service where it is now.
    fn seen(&self, server: &RestServer) -> Value {
        let url = self.told["url"].as_str().expect("an address");
        serde_json::from_str(&self.told["seen"].to_string().replace(url, &server.url)).expect("what was seen")
    }
}

/// By what each sync knows the history that it goes on with, with the service at this address.
fn histories(home: &Home, url: &str) -> BTreeMap<String, String> {
    home.configure(&story::config(url));
    let env: Environment = home.environment().into_iter().collect();
    let config = config::load(&Where::Directory(home.config_dir()), &BuiltIn::of(&env)).expect("a configuration");
    let http = http::Client::new(http::Patience::default()).expect("a client");
    let syncs = boot::syncs(&config, &boot::means(http, &home.config_dir(), home.config_dir().join("logins"), None));
    syncs.iter().map(|(name, known)| (name.to_string(), known.spec.history.clone())).collect()
}

fn load(place: &Path, sql: &str) {
    let conn = Connection::open(place).expect("a file");
    conn.execute_batch("PRAGMA foreign_keys = off").expect("a setting");
    conn.execute_batch(sql).expect("the store as it was");
    conn.close().expect("written");
    fs::set_permissions(place, fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// Whenever this is run: the answers of ops are kept for a day, the ledger and tombstones for months, an app's copy for half a year.
fn it_was_just_now(place: &Path) {
    let conn = Connection::open(place).expect("the store");
    let passed: i64 = conn
        .query_row("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) - max(at) FROM m_ledger", (), |row| row.get(0))
        .expect("how long it was ago");
    for (table, column) in [("m_op", "at"), ("m_ledger", "at"), ("m_copy", "used")] {
        let there = conn.table_exists(None, table).expect("an answer");
        if there {
            conn.execute(&format!("UPDATE {table} SET {column} = {column} + ?1"), [passed]).expect("moved");
        }
    }
    conn.close().expect("written");
}

/// A store as SQL that makes it again.
fn dump(place: &Path) -> String {
    let conn = Connection::open(place).expect("a store");
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).expect("a number");
    let mut sql = format!(
        "PRAGMA application_id = {};\nPRAGMA user_version = {};\nBEGIN;\n",
        number("application_id"),
        number("user_version")
    );
    for kind in ["table", "index", "view"] {
        let mut made = conn
            .prepare("SELECT name, sql FROM sqlite_master WHERE type = ?1 AND sql IS NOT NULL ORDER BY name")
            .expect("a question");
        let made: Vec<(String, String)> =
            made.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows").map(|row| row.expect("a row")).collect();
        for (name, text) in made {
            writeln!(sql, "{text};").expect("text");
            if kind == "table" {
                rows(&conn, &name, &mut sql);
            }
        }
    }
    sql + "COMMIT;\n"
}

fn rows(conn: &Connection, table: &str, sql: &mut String) {
    let columns: Vec<String> = conn
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut asked| asked.query_map([table], |row| row.get(0))?.collect())
        .expect("columns");
    let quoted: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
    let question = format!("SELECT {} FROM {table} ORDER BY rowid", quoted.join(" || ', ' || "));
    let mut asked = conn.prepare(&question).expect("a question");
    let mut rows = asked.query(()).expect("rows");
    while let Some(row) = rows.next().expect("a row") {
        let values: String = row.get(0).expect("values");
        writeln!(sql, "INSERT INTO {table} ({}) VALUES ({values});", columns.join(", ")).expect("text");
    }
}

/// What the tables are made of: their words without comments, quotes and the way they are spaced.
pub fn shape(place: &Path) -> (i64, BTreeMap<String, String>) {
    let conn = Connection::open(place).expect("a store");
    let version = conn.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a number");
    let mut asked = conn
        .prepare("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'm_by_*' AND type <> 'view'")
        .expect("a question");
    let words = |sql: String| {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
        let bare = lines.collect::<Vec<_>>().join(" ").replace('"', "").replace(['(', ')', ','], " ");
        bare.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let rows = asked.query_map((), |row| Ok((row.get(0)?, words(row.get(1)?)))).expect("rows");
    (version, rows.map(|row| row.expect("a row")).collect())
}

/// Everything that was told then is told now; more may be.
#[track_caller]
pub fn holds(then: &Value, now: &Value, place: &str) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (name, value) in then {
                let is = now.get(name).unwrap_or_else(|| panic!("{place}.{name} is not told any more; it was {value}"));
                holds(value, is, &format!("{place}.{name}"));
            }
        }
        (Value::Array(then), Value::Array(now)) => {
            assert_eq!(then.len(), now.len(), "{place}: {then:?} was told then, {now:?} now");
            then.iter().zip(now).enumerate().for_each(|(at, (then, now))| holds(then, now, &format!("{place}[{at}]")));
        }
        _ => assert_eq!(then, now, "{place}"),
    }
}

/// Copies of before, beside the store.
pub fn kept(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.parent().expect("a folder")).expect("its files");
    let is_one = |path: &PathBuf| path.to_string_lossy().contains("store.db.before-upgrade-");
    entries.map(|entry| entry.expect("a file").path()).filter(is_one).collect()
}

/// Everything is as it was left, and goes on where it stopped.
#[track_caller]
pub fn goes_on(golden: &Golden, server: &RestServer, daemon: &Daemon) {
    let name = &golden.name;
    let mut app = daemon.app("tester");
    let seen = golden.seen(server);
    let now = story::see(&mut app);
    let op = seen["op"].clone();
    let mut then = seen.clone();
    let then_object = then.as_object_mut().expect("an object");
    then_object.remove("op");
    let keeper = then_object.remove("keeper");
    holds(&then, &now, name);
    // An op of then is still known, and a position of then is still one.
    let again =
        json!({ "collection": "notes", "id": "n3", "data": { "once": 1 }, "op": "an-op-of-then", "instance": seen["instance"] });
    holds(&op, &app.must("put", again), name);
    if let Some(keeper) = keeper {
        keeps_on(name, &keeper, daemon, &mut app);
    }
    let changes = app.must("changes", json!({ "since": 3, "collections": ["notes"] }));
    assert_eq!(
        (changes["fresh"].as_bool().unwrap_or(false), changes["changes"].as_array().map(Vec::len)),
        (false, Some(2)),
        "{name}"
    );
    let said = daemon.says(0, &["sql", "--json", "SELECT count(*) AS n FROM things WHERE title GLOB 'number*'"]);
    assert!(said.contains("\"n\":"), "{name}: {said}");

    // What was not sent is sent; what was refused stands; what nobody decided waits.
    assert_eq!(app.status("others")["state"], "disabled", "{name}: a pause holds");
    app.sync("things", "done_with_errors");
    let theirs = server.rows("things");
    assert_eq!(
        (&theirs["r4"]["n"], &theirs["r5"]["n"], &theirs["new"]["n"]),
        (&json!("in doubt"), &json!("not sent"), &json!(9)),
        "{name}"
    );
    assert!(!theirs.contains_key("r6") && !theirs.contains_key("r3") && !theirs.contains_key("refused"), "{name}: {theirs:?}");
    assert_eq!((&theirs["r1"]["title"], &theirs["r2"]["n"]), (&json!("theirs"), &json!("kept")), "{name}");
    let conflict =
        now["conflicts"].as_array().and_then(|all| all.iter().find(|one| one["open"] == true)).expect("an open one").clone();
    app.must("conflict.resolve", json!({ "conflict": conflict["conflict"], "keep": "truth" }));
    let rejection = &now["rejections"][0]["rejection"];
    app.must("rejection.resolve", json!({ "rejection": rejection, "with": "rollback" }));
    app.sync("things", "done");
    assert_eq!(app.all("things"), server.rows("things"), "{name}");
    app.must("sync.resume", json!({ "sync": "others" }));
    server.put("others", "o8", &json!({ "n": 2 }));
    app.sync("others", "done");
    assert_eq!(app.all("others"), server.rows("others"), "{name}");
}

/// The app with a copy of its own goes on from what it committed, and is known by the ids and forms that it has.
#[track_caller]
fn keeps_on(name: &str, kept: &Value, daemon: &Daemon, app: &mut App) {
    assert_eq!(json!(app.all("copied")), kept["copied"], "{name}");
    let mut keeper = daemon.app("keeper");
    let begun = keeper.must("session.begin", json!({ "collections": ["copied"], "anchor": kept["anchor"] }));
    assert_eq!(begun["mode"], "fast", "{name}: {begun}");
    let session = begun["session"].clone();
    // It has not changed what it calls so, and has it in a form of its own.
    let same = json!({ "put": { "collection": "copied", "id": "own", "data": { "n": "both", "phone": "0-2" } } });
    keeper.must("session.push", json!({ "session": session, "changes": [same] }));
    let met = keeper.must("session.mingle", json!({ "session": session }));
    assert_eq!((&met["changed"], &met["conflicts"]), (&json!(0), &json!(0)), "{name}: {met}");
    let lacks = keeper.must("session.pull", json!({ "session": session }))["records"].take();
    assert_eq!(lacks, kept["lacks"], "{name}: what it had not committed is shown again, and nothing else");
    keeper.must("session.finish", json!({ "session": session }));
}

#[test]
fn every_store_there_ever_was_opens_and_goes_on() {
    let newest = newest();
    for golden in Golden::all() {
        let (server, home) = golden.home();
        let before = shape(&home.store());
        let older = before != newest;
        let said = home.says(0, &["doctor"]);
        assert_eq!(said.contains("of an older mingle"), older, "{}: {said}", golden.name);
        let daemon = home.start();
        let copies = kept(&daemon.store());
        assert_eq!(copies.len(), usize::from(older), "{}: {copies:?}", golden.name);
        if let Some(copy) = copies.first() {
            assert_eq!(shape(copy), before, "{}", golden.name);
            let name = copy.display().to_string();
            assert!(daemon.said().contains(&name), "{}", daemon.said());
            let said = daemon.says(0, &["doctor"]);
            assert!(said.contains(&name), "{said}");
        }
        goes_on(&golden, &server, &daemon);
        let mut daemon = daemon;
        daemon.terminate();
        assert_eq!(shape(&daemon.store()), newest, "{}: an upgraded store equals a new one", golden.name);
        // A second start finds nothing to do.
        daemon.start();
        assert_eq!(kept(&daemon.store()).len(), usize::from(older));
    }
}

/// What a store of today is made of.
pub fn newest() -> (i64, BTreeMap<String, String>) {
    let mut daemon = Home::new(Some("")).start();
    daemon.terminate();
    shape(&daemon.store())
}

/// The story is played on today's daemon as well, so that its store can be written down when it is released.
#[test]
fn the_newest_schema_has_its_golden_store() {
    let by = std::env::var_os("MINGLE_GOLDEN_BY").map(PathBuf::from);
    let (server, daemon, seen) = story::play(by.as_deref());
    if let Some(name) = std::env::var_os("MINGLE_GOLDEN") {
        let told = json!({ "url": server.url, "service": server.dump(), "seen": seen });
        let place = folder().join(name);
        assert!(!place.with_extension("sql").exists(), "{} is there, and is never edited", place.display());
        fs::write(place.with_extension("sql"), dump(&daemon.store())).expect("the store");
        fs::write(place.with_extension("json"), serde_json::to_string_pretty(&told).expect("JSON") + "\n")
            .expect("what was told");
        return;
    }
    let newest = shape(&daemon.store());
    let known = Golden::all().iter().any(|golden| shape(&golden.home().1.store()) == newest);
    assert!(
        known,
        "schema {} has no golden store in tests/upgrades/stores, or its SQL was changed after it was written down: \
         a new schema is a new step; MINGLE_GOLDEN={} cargo test -p mingle-tests --test upgrades newest",
        newest.0, newest.0
    );
}
