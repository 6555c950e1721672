//! Owns: the socket that gives no data: what is served there, what is never said there, and who may come. Must never know: how it is
//! served.

use std::{
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use mingle_tests::{
    app::App,
    daemon::Home,
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::scripted;

/// Words that stand in records, ids, properties, secrets and what a service says of them; none may be heard.
const MARK: &str = "xyzzy";

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// What each method is asked with.
fn params(method: &str) -> Value {
    match method {
        "hello" => json!({ "app": "bar", "protocol": 1 }),
        "sync.reset" => json!({ "sync": "things", "how": "recover" }),
        "explain" | "sync.get" | "sync.cancel" => json!({ "sync": "things" }),
        "subscribe" => json!({ "topics": ["run", "sync"] }),
        _ => json!({}),
    }
}

#[test]
fn it_shows_and_steers_and_says_nothing_of_records() {
    let options = Options { bearer: Some(format!("{MARK}-secret")), ..Options::default() };
    let mut world = scripted(options, "");
    world.daemon.write("secret", &format!("{MARK}-secret"));
    let config = crate::bench::scripted_config(&world.server.url, "")
        .replace("\n\n[sync", "\nauth = { type = \"bearer\", token = { file = \"secret\" } }\n\n[sync");
    world.daemon.configure(&config);
    world.app.must("reload", json!({}));
    world.server.put("things", &format!("{MARK}-1"), &json!({ (format!("{MARK}_prop")): format!("{MARK} value") }));
    world.app.sync("things", "done");
    let mut bar = App::try_connect(&world.daemon.status_socket(), "bar").expect("the status socket");
    let mut heard = vec![bar.must("subscribe", json!({ "topics": ["run", "sync"] }))];

    // A run that fails with words of the service, a conflict, a rejection.
    world.app.put("things", &format!("{MARK}-2"), &json!({ "n": 1 }));
    world.server.next("PUT", Fault::Status(400, vec![("x-why", format!("{MARK} is bad"))]));
    world.app.sync("things", "done_with_errors");
    world.server.next("GET", Fault::Body(format!("{{\"{MARK}\":")));
    world.app.sync("things", "failed");
    heard.push(bar.hear("the end of the failed run", |message| message["params"]["status"] == "failed"));

    let abilities = bar.must("hello", json!({ "app": "bar", "protocol": 1 }))["abilities"].clone();
    let served = ["hello", "subscribe", "status", "stop", "restart", "rpc.discover", "sync.list", "explain", "history"];
    assert_eq!(abilities, json!(served));
    for method in mingle_proto::METHODS {
        let answer = bar.ask(method.name, &params(method.name)).expect("an answer");
        match answer {
            Ok(answer) => {
                assert!(served.contains(&method.name), "{} is served", method.name);
                heard.push(answer);
            }
            Err(error) => {
                assert!(!served.contains(&method.name), "{}: {error}", method.name);
                assert_eq!(error["data"]["name"], "denied", "{}", method.name);
                heard.push(error);
            }
        }
    }
    // `restart` was the last word about runs; nothing else was steered.
    assert_eq!(world.app.must("status", json!({}))["state"], "running");
    for refused in [
        json!({ "collections": ["things"] }),
        json!({ "collections": ["things"], "topics": ["run"] }),
        json!({}),
        json!({ "topics": ["conflict"] }),
        json!({ "topics": ["rejection"] }),
        json!({ "topics": ["attention"] }),
    ] {
        heard.push(bar.refused("denied", "subscribe", refused));
    }
    let failed = heard.iter().any(|message| {
        message["params"]["error"]["name"] == message["params"]["error"]["what"] && !message["params"]["error"].is_null()
    });
    assert!(failed, "a failed run is told by the name of its error");
    for message in &heard {
        assert!(!message.to_string().contains(MARK), "{message}");
    }
    // The owner hears what the service said.
    let runs = world.app.must("history", json!({ "sync": "things" }));
    assert_ne!(runs["runs"][0]["error"]["what"], runs["runs"][0]["error"]["name"], "{runs}");
}

#[test]
fn a_lease_by_the_status_socket_is_one_of_its_own() {
    let mut world = scripted(Options::default(), "");
    // Connections of both sockets are numbered together: one's end does not end the other's lease.
    let mut bar = App::try_connect(&world.daemon.status_socket(), "bar").expect("the status socket");
    let mut app = world.daemon.app("app");
    bar.must("stop", json!({ "lease": true }));
    app.must("stop", json!({ "lease": true }));
    drop(app);
    until("one lease to end", || {
        let status = world.app.must("status", json!({}));
        let there = status["apps"].as_array().expect("apps").iter().any(|one| one["app"] == "app");
        (!there).then(|| assert_eq!(status["state"], "stopped"))
    });
    drop(bar);
    until("runs to be accepted", || (world.app.must("status", json!({}))["state"] == "running").then_some(()));
}

#[test]
fn it_is_the_owners_and_a_groups_where_the_configuration_says_so() {
    let daemon = Home::new(None).start();
    let socket = daemon.status_socket();
    assert_eq!((mode(&socket), mode(socket.parent().expect("its folder"))), (0o600, 0o700));
    daemon.says(2, &["status", "--no-such"]);
    drop(daemon);

    // For a group it lies where that group may come.
    let place = tempfile::Builder::new().prefix("mgls").rand_bytes(6).tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let socket = place.path().join("status/status.sock");
    let root = rustix::process::geteuid().is_root();
    let group = if root { 54_321 } else { rustix::process::getegid().as_raw() };
    let mut home = Home::new(Some(&format!("[status]\ngroup = \"{group}\"\n")));
    home.set("MINGLE_STATUS_SOCKET", socket.display().to_string());
    let mut daemon = home.start();
    let about = std::fs::symlink_metadata(&socket).expect("it is there");
    assert_eq!((mode(&socket), mode(socket.parent().expect("its folder")), about.gid()), (0o660, 0o750, group));
    let mut app = daemon.app("tester");
    assert_eq!(app.must("status", json!({}))["attention"], json!([]));

    // Others by the system's own rules: a member gets in, a stranger does not. Only root can be somebody else.
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.sendall(b'{\"id\":1,\"method\":\"status\"}\\n')\nprint(s.makefile().readline())";
    let as_user = |group: u32| {
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(&socket).uid(54_322).gid(group);
        python.output().expect("python3")
    };
    if root {
        let member = as_user(group);
        assert!(String::from_utf8_lossy(&member.stdout).contains("\"state\":\"running\""), "{member:?}");
        let stranger = as_user(54_323);
        assert!(
            !stranger.status.success() && String::from_utf8_lossy(&stranger.stderr).contains("PermissionError"),
            "{stranger:?}"
        );
        // What is for apps stays closed to the member.
        assert_eq!(mode(&daemon.socket()), 0o600);
    } else {
        mingle_tests::tally::skip("who comes as another user", "only root can be somebody else");
    }
    daemon.kill();
    daemon.start();
    assert!(socket.exists(), "what a crash left is replaced");
}

#[test]
fn a_daemon_whose_status_socket_cannot_be_goes_on_and_says_so() {
    let home = Home::new(None);
    std::fs::create_dir_all(home.status_socket().parent().expect("its folder")).expect("made");
    std::fs::set_permissions(home.status_socket().parent().expect("its folder"), std::fs::Permissions::from_mode(0o700))
        .expect("chmod");
    std::fs::write(home.status_socket(), "mine").expect("written");
    let daemon = home.start();
    let status = daemon.app("tester").must("status", json!({}));
    let one = &status["attention"][0];
    assert_eq!(one["name"], "status_socket", "{status}");
    assert!(one["hint"].as_str().is_some_and(|hint| hint.contains("no socket") && hint.contains("move it away")), "{one}");
    assert_eq!(std::fs::read_to_string(daemon.status_socket()).expect("still there"), "mine");
}
