//! Owns: `client/python/mingle.py` against the real daemon: that it knows every word of the protocol, checks what the Rust client checks,
//! and loses or doubles nothing where the daemon is killed in the middle of a call or of a subscription.
//! Must never know: anything inside the daemon.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::Duration,
};

use mingle_proto::{METHODS, error::Name, place};
use mingle_tests::{
    chance::Chance,
    daemon::{Daemon, Home, mingled},
    python::Python,
    rest_server::{Fault, Options},
    wait::{self, Watch, until},
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::scripted;

/// Collections that no sync fills.
const LOCAL: &str = "[collection.notes]\n[collection.lines]\n";

/// Methods without a function of their own, each with the reason.
const WITHOUT: &[(&str, &str)] = &[
    ("cancel", "a client has one call at a time, and an interrupt ends it"),
    ("worker.batch", "it is a function of the work"),
    ("worker.done", "it is a function of the work"),
];

/// A Python in the home of this daemon, with a client `c`.
fn python(home: &Home) -> Python {
    let mut python = Python::start(&home.environment());
    python.does(&format!("mingle.os.environ['PATH'] += ':{}'", programs()));
    python.does("c = mingle.Client('py')");
    python
}

/// The folder of this build's programs.
fn programs() -> String {
    mingled().parent().expect("in a folder").display().to_string()
}

#[test]
fn it_knows_every_method_every_parameter_and_every_error() {
    let mut python = Python::start(&[]);
    python.does("import inspect");
    let mut breaches = Vec::new();
    for method in METHODS.iter().filter(|method| !["hello"].contains(&method.name)) {
        if WITHOUT.iter().any(|(name, _)| *name == method.name) {
            continue;
        }
        let function = method.name.replace('.', "_");
        let parameters = python.does(&format!(
            "list(inspect.signature(getattr(mingle.Client, '{function}')).parameters) if hasattr(mingle.Client, '{function}') else None"
        ));
        let Some(parameters) = parameters.as_array() else {
            breaches.push(format!("mingle.py has no function {function}"));
            continue;
        };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../proto/fixtures/{}.jsonl", method.name));
        for line in fs::read_to_string(fixtures).expect("fixtures").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            for name in line["params"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
                // Words of Python, and one word for the two that `wait` tells apart by their first letter.
                let told = match name {
                    "with" => "with_",
                    "timeout_ms" => "timeout",
                    "max_age_ms" => "max_age",
                    "fresh_ms" => "fresh",
                    "token" | "run" if function == "wait" => "what",
                    name => name,
                };
                if !parameters.contains(&json!(told)) {
                    breaches.push(format!("{function} of mingle.py has no parameter {told}"));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
    let known: Vec<Value> = Name::ALL.iter().filter(|name| **name != Name::Unknown).map(|name| json!(name.word())).collect();
    assert_eq!(python.does("sorted(mingle._REFUSALS)").as_array().map(Vec::len), Some(known.len()));
    for name in known {
        let raised = python.does(&format!("mingle._refused({{'message': 'm', 'data': {{'name': {name}}}}}).name"));
        assert_eq!(raised, name);
        assert_ne!(python.does(&format!("type(mingle._refused({{'data': {{'name': {name}}}}})).__name__")), "Refused", "{name}");
    }
    assert_eq!(python.does("type(mingle._refused({'message': 'm', 'data': {'name': 'new'}})).__name__"), "Refused");
}

/// The same environment must lead both clients to the same place, or to a refusal.
#[test]
fn it_finds_the_socket_where_the_rust_client_does() {
    let mut python = Python::start(&[]);
    let long = format!("/{}", "r".repeat(90));
    let tables: [&[(&str, &str)]; 10] = [
        &[],
        &[("MINGLE_SOCKET", "/x/y.sock"), ("XDG_RUNTIME_DIR", "/run/user/7")],
        &[("MINGLE_SOCKET", "rel/y.sock"), ("HOME", "/h")],
        &[("MINGLE_SOCKET", ""), ("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/h")],
        &[("XDG_RUNTIME_DIR", ""), ("XDG_STATE_HOME", "/s"), ("HOME", "/h")],
        &[("XDG_RUNTIME_DIR", "rel"), ("HOME", "/h")],
        &[("XDG_STATE_HOME", "rel"), ("HOME", "/h")],
        &[("HOME", "rel")],
        &[("XDG_RUNTIME_DIR", &long)],
        &[("HOME", "/ä")],
    ];
    for table in tables {
        let environment: BTreeMap<&str, &str> = table.iter().copied().collect();
        let rust = place::socket(|name| environment.get(name).map(OsString::from));
        let code = format!("mingle.socket_path({})", json!(environment));
        match rust {
            Ok(place) => assert_eq!(python.does(&code), json!(place.socket.to_str()), "{table:?}"),
            Err(no) => {
                let raised = python.raises("NoPlace", &code);
                assert_eq!((&raised["message"], &raised["hint"]), (&json!(no.to_string()), &json!(no.hint())), "{table:?}");
            }
        }
    }
}

#[test]
fn it_trusts_no_place_that_others_can_reach() {
    let daemon = Daemon::with(LOCAL);
    let mut python = python(&daemon);
    let directory = daemon.socket().parent().expect("in a directory").to_path_buf();
    let mode = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("chmod");
    mode(0o755);
    let raised = python.raises("NoPermission", "mingle.Client('py')");
    assert!(raised["message"].as_str().is_some_and(|text| text.contains("mode 755")), "{raised}");
    assert_eq!(raised["hint"], format!("close it with `chmod 700 {}`", directory.display()));
    mode(0o700);
    let link = daemon.config_dir().join("link");
    symlink(&directory, &link).expect("a link");
    let linked = python.raises("NoPermission", &format!("mingle.Client('py', path='{}/mingle.sock')", link.display()));
    assert!(linked["message"].as_str().is_some_and(|text| text.contains("no directory")), "{linked}");
    python.does("mingle._check_peer(c._line.socket, c.path, mingle.os.geteuid())");
    // Root may listen for us, another user may not: what the system says of who listens is put in its place here, since the tests
    // may be root themselves.
    python.does("class Listens:\n    def __init__(self, uid): self.uid = uid\n    def getsockopt(self, *_): return mingle.struct.pack('iII', 7, self.uid, 0)\n");
    python.does("mingle._check_peer(Listens(0), c.path, 1000)");
    let other = python.raises("NoPermission", "mingle._check_peer(Listens(1001), c.path, 1000)");
    assert!(other["message"].as_str().is_some_and(|text| text.contains("listens there")), "{other}");
    let other = python.raises("NoPermission", "mingle._check_directory(c.path, mingle.os.geteuid() + 1)");
    assert!(other["message"].as_str().is_some_and(|text| text.contains("belongs to user")), "{other}");
}

#[test]
fn no_daemon_is_told_apart_from_no_mingled() {
    let home = Home::new(Some(LOCAL));
    let mut python = Python::start(&home.environment());
    python.does("mingle.os.environ['PATH'] = '/nowhere'");
    let raised = python.raises("NotInstalled", "mingle.Client('py')");
    assert!(raised["kinds"].as_array().is_some_and(|kinds| kinds.contains(&json!("ConnectError"))), "{raised}");
    python.does(&format!("mingle.os.environ['PATH'] = '{}'", programs()));
    let raised = python.raises("NotRunning", "mingle.Client('py')");
    assert_eq!(raised["hint"], format!("start it with `{}/mingled`", programs()));
}

#[test]
fn every_call_on_a_real_daemon() {
    let mut bench = scripted(
        Options::default(),
        "[collection.things]\nmerge = { default = \"manual\" }\n[app.reader]\ngrants = { things = \"read\" }\n",
    );
    let mut py = python(&bench.daemon);
    assert_eq!(py.does("c.hello['protocol']"), 1);
    assert_eq!(py.does("c.instance == c.status()['instance']"), true);
    py.does("w = c.put('things', {'a': 1, 'b': 1}, 'r1')");
    assert_eq!(py.does("c.get('things', 'r1')['data']"), json!({ "a": 1, "b": 1 }));
    py.does("run = c.sync_run('things')['run']");
    assert_eq!(py.does("c.wait(run, timeout=30)['state']"), "done");
    assert_eq!(py.does("c.wait(w['token'], timeout=30)['state']"), "done");
    assert_eq!(bench.theirs()["r1"], json!({ "a": 1, "b": 1 }));

    // A conflict, decided.
    bench.server.patch("things", "r1", &json!({ "a": 2 }));
    py.does("c.patch('things', 'r1', {'a': 3, 'b': None})");
    py.does("c.wait(c.sync_run('things', mode='slow')['run'], timeout=30)");
    py.does("found = c.conflict_list('things')['conflicts']");
    assert_eq!(py.does("[(one['property'], one['truth'], one['theirs']) for one in found]"), json!([["a", 3, 2]]));
    py.does("c.conflict_resolve(found[0]['conflict'], value=None)");
    assert_eq!(py.does("c.conflict_list()['conflicts']"), json!([]));
    assert_eq!(py.does("c.get('things', 'r1')['data']"), json!({ "a": null }));
    assert_eq!(py.does("[one['open'] for one in c.conflict_list(all=True)['conflicts']]"), json!([false]));

    // What another rule would have made of it.
    py.does("under = c.conflict_list('things', under='max')");
    assert_eq!(py.does("under['under']"), json!({ "rule": "max", "settled": 1, "of": 1 }));
    assert_eq!(py.does("under['conflicts'][0]['would']"), json!({ "settled": true, "value": 3 }));

    // Where a value comes from, and taking it back.
    assert_eq!(py.does("[c.why('things', 'r1', 'a')['why'][0][key] for key in ('value', 'rule')]"), json!([null, "written"]));
    assert_eq!(
        py.does("[(one['property'], one['to']) for one in c.undo('things', 'r1', preview=True)['changes']]"),
        json!([["a", 3]])
    );
    assert_eq!(py.does("len(c.undo('things', 'r1')['undone'])"), 1);
    assert_eq!(py.does("c.get('things', 'r1')['data']"), json!({ "a": 3 }));
    py.does("c.put('things', {'a': None}, 'r1', overwrite=True)");

    // What waits to be sent.
    py.does("c.put('things', {'draft': 1}, 'p1', defer=True)");
    let deferred = "[(one['id'], one['state']) for one in c.pending_list('things', state='deferred')['pending']]";
    assert_eq!(py.does(deferred), json!([["p1", "deferred"]]));
    assert_eq!(py.does("c.pending_upload('things', ['p1'])['marked']"), 1);
    assert_eq!(py.does("[one['id'] for one in c.pending_rollback('things', 'p1')['rolled_back']]"), json!(["p1"]));
    py.raises("NotFound", "c.get('things', 'p1')");
    py.raises("NotFound", "c.forget('things', 'p1')");

    // A copy of its own, in step with the truth.
    py.does("s = c.session(['things'])");
    py.does("s.push([{'put': {'collection': 'things', 'id': 'own', 'data': {'own': 1}}}]), s.mingle()");
    assert_eq!(py.does("[s.mode, [one['id'] for one in s.pull() if s.accept(one)]]"), json!(["slow", ["r1"]]));
    assert_eq!(py.does("s.finish()['state']"), "finished");
    py.does("t = c.session(['things'], anchor=s.anchor)");
    assert_eq!(
        py.does("[t.mode, t.mingle()['changed'], list(t.pull()), t.cancel()['state']]"),
        json!(["fast", 0, [], "cancelled"])
    );

    // What is known of apps.
    assert_eq!(py.does("[one['next'] for one in c.app_register(['things'])['copies']]"), json!(["fast"]));
    assert_eq!(py.does("[one['id'] for one in c.changes(0, ids={'things': ['own', 'nobody']})['changes']]"), json!(["own"]));
    let filtered = "c.app_register(['things'], filters={'things': {'own': 1}})['copies'][0]['filter']";
    assert_eq!(py.does(filtered), json!({ "own": 1 }));
    assert_eq!(py.does("c.app_register(['things'], filters={'things': None})['copies'][0].get('filter')"), json!(null));
    let ended = "[one['last']['ended'] for app in c.app_list()['apps'] for one in app.get('copies', [])]";
    assert_eq!(py.does(ended), json!(["cancelled"]));
    let reset = "[c.app_reset(one['app'])['collections'] for one in c.app_list()['apps'] if one.get('copies')]";
    assert_eq!(py.does(reset), json!([["things"]]));
    py.raises("NotFound", "c.app_reset('nobody')");
    py.does("c.delete('things', 'own')");

    // A write that the service refuses.
    assert_eq!(py.does("c.wait(c.sync_run('things')['run'], timeout=30)['state']"), "done");
    bench.server.next("PUT", Fault::Status(422, Vec::new()));
    py.does("c.put('things', {'bad': 1}, 'r2')");
    assert_eq!(py.does("c.wait(c.sync_run('things')['run'], timeout=30)['state']"), "done_with_errors");
    py.does("refused = c.rejection_list('things')['rejections']");
    assert_eq!(py.does("[(one['side'], one['id']) for one in refused]"), json!([["up", "r2"]]));
    py.does("c.rejection_resolve(refused[0]['rejection'], 'retry')");
    until("the refused write at the service", || bench.theirs().contains_key("r2").then_some(()));

    // Pages, filters, the feed, all or nothing.
    py.does("c.transact([{'put': {'collection': 'things', 'id': f'n{n:03}', 'data': {'n': n}}} for n in range(250)])");
    py.does("page = c.list('things', {'n': {'gte': 240}}, order=['-n'], limit=3)");
    assert_eq!(py.does("[one['data']['n'] for one in page['records']]"), json!([249, 248, 247]));
    assert_eq!(
        py.does("[r['data']['n'] for r in c.records('things', {'n': {'lt': 240}}, order=['n'])] == list(range(240))"),
        true
    );
    assert_eq!(py.does("len(c.changes(0, collections=['things'], limit=1000)['changes'])"), 252);
    py.does("c.delete('things', 'n000')");
    py.raises("NotFound", "c.get('things', 'n000')");
    py.raises("NotFound", "c.transact([{'delete': {'collection': 'things', 'id': 'n001'}}, {'patch': {'collection': 'things', 'id': 'x', 'patch': {}}}])");
    py.does("c.get('things', 'n001')");

    // The syncs, and the whole.
    assert_eq!(py.does("c.sync_pause('things')['state']"), "disabled");
    assert_eq!(py.does("c.explain('things')['holds'][0]['name']"), "paused");
    py.does("c.sync_resume('things')");
    assert_eq!(py.does("[one['sync'] for one in c.sync_ping('things', 'things')]"), json!(["things"]));
    assert_eq!(py.does("[one['sync'] for one in c.sync_ping(remote='far')]"), json!(["things"]));
    assert_eq!(py.does("c.sync_list()['syncs'][0]['sync']"), "things");
    assert_eq!(py.does("c.history('things', limit=1)['runs'][0]['sync']"), "things");
    assert_eq!(py.does("c.remote_list()['remotes'][0]['remote']"), "far");
    assert_eq!(py.does("c.remote_budget()['budgets'][0]['remotes']"), json!(["far"]));
    assert_eq!(py.does("c.remote_check('far')['ok']"), true);
    py.raises("WrongState", "c.remote_login('far', 's')");
    py.raises("WrongState", "c.remote_logout('far')");
    py.does("mine = {'collection': 'mine', 'remote': 'far', 'resource': 'mine', 'direction': 'down'}");
    assert_eq!(py.does("c.sync_define('mine', mine)['outcome']"), "created");
    assert_eq!(py.does("c.sync_define('mine', mine, if_exists='keep', next_run_at='2030-01-01T00:00:00Z')['outcome']"), "kept");
    assert_eq!(py.does("c.sync_remove('mine')['pending']"), 0);
    py.does("c.stop()");
    let stopped = py.raises("Stopped", "c.sync_run('things')");
    assert_eq!((&stopped["name"], &stopped["retryable"]), (&json!("stopped"), &json!(false)));
    assert!(stopped["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{stopped}");
    py.does("c.restart()");

    // Each refusal by its name.
    let stale = py.raises("Stale", "c.put('things', {}, 'r1', if_seq=1)");
    assert_eq!(stale["seq"], py.does("c.get('things', 'r1')['seq']"));
    py.does("c.put('things', {}, 'o1', op='op-1')");
    py.raises("OpReused", "c.put('things', {'other': 1}, 'o1', op='op-1')");
    py.raises("Denied", "mingle.Client('reader').put('things', {})");
    py.raises("Denied", "mingle.Client().put('things', {})");
    py.raises("Invalid", "c.list('things', {'n': {'near': 3}})");
    py.raises("Invalid", "c.put('things', {'n': float('nan')})");
    py.raises("Invalid", "c.put('things', {'text': '\\ud800'})");
    py.raises("TooLarge", "c.put('things', {'text': 'x' * (1 << 20)})");
    py.raises("Method", "c.call('hover')");
    py.raises("NotFound", "c.explain('nothing')");
    // The end, told in order.
    py.does("c.shutdown()");
    assert!(bench.daemon.ended().success());
    py.raises("NotRunning", "c.patience = 0; c.status()");
}

#[test]
fn numbers_come_back_as_they_were() {
    let daemon = Daemon::with(LOCAL);
    let mut py = python(&daemon);
    let digits = "1234567890".repeat(500);
    let written = format!(
        r#"{{"a":1.25,"b":0.1234567890123456789012345,"c":{digits},"d":1e400,"e":-0.0,"f":18446744073709551616,"g":[0.1]}}"#
    );
    daemon.app("tester").put("notes", "n1", &serde_json::from_str(&written).expect("JSON"));
    py.does("read = c.get('notes', 'n1')");
    // What is read and written again is no change: it gets no new seq.
    assert_eq!(py.does("c.put('notes', read['data'], 'n1', overwrite=True)['seq'] == read['seq']"), true);
    py.does("read['data']['a'] = 1.5; c.put('notes', read['data'], 'n1', overwrite=True)");
    let mut expected: Value = serde_json::from_str(&written).expect("JSON");
    expected["a"] = json!(1.5);
    let there = daemon.app("tester").get("notes", "n1").expect("the record");
    for (key, value) in expected.as_object().expect("an object") {
        let (there, value) = (there[key].to_string(), value.to_string());
        assert!(there == value || key == "d" && there.to_lowercase() == "1e+400", "{key}: {there}, expected {value}");
    }
}

/// Each write is one record that the daemon names: a lost answer that is repeated would show as one more.
#[test]
fn writes_through_kills_are_done_once_each() {
    let mut daemon = Daemon::with(LOCAL);
    let mut chance = Chance::new(Chance::seed(3));
    let mut py = python(&daemon);
    py.does("c.patience = 30");
    let writes = 400;
    py.tell(&format!("[c.put('lines', {{'n': n}})['id'] for n in range({writes})]"));
    let mut looker = Python::start(&daemon.environment());
    let kills = 12;
    for _ in 0..kills {
        looker.does("c = mingle.Client('looker')");
        let had = looker.does("c.status()['seq']").as_u64().expect("a seq");
        until("more writes, or their end", || {
            let seq = looker.does("c.status()['seq']").as_u64().expect("a seq");
            (seq > had + 5 || seq >= writes).then_some(())
        });
        wait::pass(chance.time(Duration::from_millis(10)));
        daemon.kill();
        // So that calls meet a closed door, and not only a broken line.
        wait::pass(chance.time(Duration::from_millis(60)));
        daemon.start();
    }
    let answer = py.answer();
    let ids = answer["value"].as_array().unwrap_or_else(|| panic!("{answer}")).len();
    assert_eq!(ids as u64, writes);
    let there = daemon.app("tester").all("lines");
    assert_eq!(there.len() as u64, writes, "more: one was done twice; fewer: one was lost");
    let numbers: std::collections::BTreeSet<u64> = there.values().filter_map(|one| one["n"].as_u64()).collect();
    assert_eq!(numbers.len() as u64, writes);
}

/// Ends the daemon, and starts it with another store.
fn renew(daemon: &mut Daemon) {
    daemon.terminate();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", daemon.store().display()));
    }
    daemon.start();
}

#[test]
fn a_subscription_goes_on_over_kills_and_misses_nothing() {
    let mut daemon = Daemon::with(LOCAL);
    let mut py = python(&daemon);
    py.does("view, stream = {}, c.subscribe(['notes'], data=True, patience=30)");
    py.does(
        "def follow(until):\n    for update in stream:\n        if update['fresh']: view.clear()\n        for one in update['changes']:\n            if one['kind'] in ('deleted', 'left'): view.pop(one['id'], None)\n            else: view[one['id']] = one['data']['n']\n        if not update['more'] and update['seq'] >= until: return update['seq']\n",
    );
    for round in 0..6 {
        let mut app = daemon.app("tester");
        for n in 0..30 {
            app.put("notes", &format!("n{}", (n * 7 + round) % 40), &json!({ "n": round * 100 + n }));
        }
        let seq = app.delete("notes", &format!("n{}", round % 6 + 20))["seq"].as_u64().expect("a seq");
        py.tell(&format!("follow({seq})"));
        if round % 2 == 0 {
            daemon.kill();
        } else {
            let (status, _) = daemon.terminate();
            assert!(status.success());
        }
        daemon.start();
        let answer = py.answer();
        assert_eq!(answer["value"], json!(seq), "{answer}");
        let expected: BTreeMap<String, Value> =
            daemon.app("tester").all("notes").into_iter().map(|(id, mut data)| (id, data["n"].take())).collect();
        assert_eq!(py.does("view"), json!(expected), "round {round}");
    }
    // Another store: what the app had is void, and it is told so.
    renew(&mut daemon);
    assert_eq!(py.does("stream.next(30)['fresh']"), true, "an empty store says it too");
    daemon.app("tester").put("notes", "new", &json!({ "n": 1 }));
    assert_eq!(py.does("[(one['id'], one['kind']) for one in stream.next(30)['changes']]"), json!([["new", "created"]]));
    assert_eq!(py.does("stream.next(0)"), Value::Null);

    // Nothing was under way, so the next write goes to the new store. A seq of the old one means nothing there: refused, not done.
    py.does("c.put('notes', {'n': 2}, 'other')");
    py.does("known = c.get('notes', 'other')");
    renew(&mut daemon);
    py.raises("Stale", "c.put('notes', {'n': 3}, 'other', if_seq=0)");
    py.raises("NotFound", "c.get('notes', 'other')");
    py.does("c.put('notes', {'n': 3}, 'other', if_seq=0)");
}

/// What `daemon/docs/python.md` tells people to write does what it says there.
#[test]
fn the_page_about_python_holds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/docs/python.md");
    let page = fs::read_to_string(page).expect("the page");
    let blocks: Vec<&str> = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [begin, watch, careful] = blocks[..] else { panic!("the page has {} blocks", blocks.len()) };
    let bench = scripted(Options::default(), "[collection.tasks]\n");
    let mut py = python(&bench.daemon);
    // There is no remote for tasks, so what the page waits for cannot be waited for here.
    py.raises("Unsupported", begin);
    py.does(begin.split("print(tasks.wait").next().unwrap_or_default());
    py.does(&begin[begin.find("for record").expect("it reads")..]);
    py.does(&format!("threading.Thread(target=exec, args=({}, globals()), daemon=True).start()", json!(watch)));
    py.does("tasks.put('tasks', {'title': 'Call'}, 't-1')");
    until("the change in the view", || {
        (py.does("sorted(one['title'] for one in view.values()) if 'view' in globals() else None")
            == json!(["Buy bread", "Buy bread", "Call"]))
        .then_some(())
    });
    py.does(careful);
    assert_eq!(py.does("tasks.get('tasks', 't-1')['data']"), json!({ "title": "Buy rolls" }));
}

#[test]
fn topics_arrive_and_a_wait_outlives_the_daemon() {
    let mut bench = scripted(Options::default(), "");
    let mut py = python(&bench.daemon);
    py.does("c.patience = 30; stream = c.subscribe(topics=['run'])");
    bench.server.next("PUT", Fault::Lag(Duration::from_secs(2)));
    py.does("w = c.put('things', {'n': 1}, 'r1'); c.sync_run('things')");
    assert_eq!(py.does("type(stream.next(30)).__name__"), "Event");
    until("the upload to be in flight", || bench.server.log().iter().any(|line| line.starts_with("PUT")).then_some(()));
    py.tell("c.wait(w['token'], timeout=60)['state']");
    bench.daemon.kill();
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    bench.app.sync("things", "done");
    let answer = py.answer();
    assert_eq!(answer["value"], "done", "{answer}");
    py.does("stream.close()");
    assert_eq!(py.does("stream.next(5)"), Value::Null);
}

#[test]
fn patience_ends_and_the_op_makes_a_repeat_safe() {
    let mut daemon = Daemon::with(LOCAL);
    let mut py = python(&daemon);
    py.does("c.patience = 0.5; c.put('notes', {'n': 1}, 'n1')");
    daemon.freeze();
    // Taken by the system, and heard by nobody: whether it is done is not known.
    let late = py.raises("Late", "c.call('put', {'collection': 'notes', 'data': {'n': 2}}, timeout=0.3)");
    let op = late["op"].as_str().expect("the op of a write").to_owned();
    daemon.kill();
    let watch = Watch::start();
    let lost = py.raises("NotRunning", "c.get('notes', 'n1')");
    assert!(lost["hint"].as_str().is_some_and(|hint| hint.contains("mingled")), "{lost}");
    let waited = watch.elapsed();
    assert!(waited > Duration::from_millis(400) && waited < Duration::from_secs(5), "patience took {waited:?}");
    daemon.start();
    py.does("c.get('notes', 'n1')");
    daemon.freeze();
    py.tell("c.put('notes', {'n': 3}, op='mine')");
    // Nothing tells from outside that it has been sent; before that, its end would be another one.
    wait::pass(Duration::from_secs(1));
    daemon.kill();
    let lost = py.answer();
    assert_eq!((&lost["raised"], &lost["op"]), (&json!("Lost"), &json!("mine")), "{lost}");
    assert!(lost["hint"].as_str().is_some_and(|hint| hint.contains("op='mine'")), "{lost}");
    daemon.start();
    for _ in 0..2 {
        py.does("c.put('notes', {'n': 3}, op='mine')");
        py.does(&format!("c.put('notes', {{'n': 2}}, op='{op}')"));
    }
    assert_eq!(daemon.app("tester").all("notes").len(), 3);
    // An interrupted call leaves nothing behind that the next one could take for its own.
    // Where the tests run in the background, this signal is ignored from birth.
    py.does("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)");
    daemon.freeze();
    py.does(
        "def interrupted():\n    threading.Timer(0.3, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)).start()\n    try: c.get('notes', 'n1')\n    except KeyboardInterrupt: return 'interrupted'\n",
    );
    assert_eq!(py.does("interrupted()"), "interrupted");
    daemon.signal(Signal::CONT);
    assert_eq!(py.does("c.status()['state']"), "running");
}
