//! Owns: a secret in the system's keyring, as a person meets it. Must never know: how the keyring is spoken to.

use mingle_tests::{
    daemon::{Daemon, Home},
    keyring::Keyring,
    rest_server::{Options, RestServer},
    servers::Kinto,
    wait::until,
};
use serde_json::json;

use crate::bench::{assert_same, kinto_config, scripted_config};

/// The attributes of the item `mingle/home`, as `docs/config.md` says them.
const ITEM: [&str; 4] = ["service", "mingle", "username", "home"];

const TOKEN: &str = "sesame-7Q2";

/// A service that lets in who has [`TOKEN`], and a daemon that has its token in the keyring.
fn barred(bus: &str) -> (RestServer, Daemon) {
    let server = RestServer::start(Options { bearer: Some(TOKEN.into()), ..Options::default() }, &["things", "others"]);
    let auth = "auth = { type = \"bearer\", token = { keyring = \"mingle/home\" } }\n\n[sync.things]";
    let mut home = Home::new(Some(&scripted_config(&server.url, "").replace("[sync.things]", auth)));
    home.set("DBUS_SESSION_BUS_ADDRESS", bus);
    home.set("MINGLE_LOG", "trace");
    server.write_profile(&home.config_dir());
    (server, home.start())
}

/// What `mingle remote check` says that is in the way, with its hint.
#[track_caller]
fn check(daemon: &Daemon, code: i32, parts: &[&str]) {
    let said = daemon.says(code, &["remote", "check", "far"]);
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn a_password_comes_from_the_keyring_for_each_run_anew() {
    let (kinto, keyring) = (Kinto::shared(), Keyring::start());
    keyring.keep(&ITEM, Kinto::ACCOUNT.1);
    let resource = kinto.collection();
    let config =
        kinto_config(&kinto.url, &resource, "notes", "").replace("{ file = \"kinto.secret\" }", "{ keyring = \"mingle/home\" }");
    let mut home = Home::new(Some(&config));
    home.set("DBUS_SESSION_BUS_ADDRESS", keyring.bus.address());
    let daemon = home.start();
    let mut app = daemon.app("tester");
    app.put("notes", "one", &json!({ "v": 1 }));
    app.sync("notes", "done");
    assert_same(&app.all("notes"), &kinto.list(&resource));
    // Another password is another account there.
    keyring.keep(&ITEM, "other");
    app.sync("notes", "failed");
    keyring.keep(&ITEM, Kinto::ACCOUNT.1);
    app.sync("notes", "done");
}

#[test]
fn what_keeps_the_keyring_from_giving_a_secret_is_said_with_a_remedy_and_nobody_is_asked() {
    let mut keyring = Keyring::start();
    let (_server, daemon) = barred(&keyring.bus.address());
    let mut app = daemon.app("tester");
    check(&daemon, 1, &["the keyring has no mingle/home", "secret-tool store"]);
    app.sync("things", "failed");
    let status = app.status("things");
    assert_eq!(status["last"]["error"]["name"], "needs_login", "{status}");
    assert_eq!(status["state"], "blocked", "{status}");
    keyring.keep(&ITEM, TOKEN);
    check(&daemon, 0, &["takes the credentials"]);
    keyring.lock();
    check(&daemon, 1, &["the keyring with mingle/home is locked", "log in at the desktop"]);
    keyring.open();
    // What has more attributes has these too.
    keyring.keep(&[&ITEM[..], &["for", "somebody"]].concat(), "another");
    check(&daemon, 1, &["has 2 items mingle/home", "secret-tool search"]);
    keyring.leave();
    check(&daemon, 1, &["nothing on the session bus keeps secrets", "gnome-keyring"]);
    keyring.bus.end();
    check(&daemon, 1, &["there is no session bus", "service install"]);
    assert_eq!(app.status("things")["state"], "waiting", "a check that went well ended it");
}

#[test]
fn a_secret_is_in_no_log_and_no_answer() {
    let keyring = Keyring::start();
    keyring.keep(&ITEM, TOKEN);
    let (_server, daemon) = barred(&keyring.bus.address());
    let mut app = daemon.app("tester");
    app.sync("things", "done");
    for words in [&["status", "--json"][..], &["history", "--json"], &["remote", "list", "--json"], &["explain", "things"]] {
        let said = daemon.says(0, words);
        assert!(!said.contains(TOKEN), "{words:?}: {said}");
    }
    let said = until("traces of the bus", || Some(daemon.said()).filter(|said| said.contains("GetSecret")));
    assert!(!said.contains(TOKEN), "the log has the secret");
    // A byte array, as a message would be shown.
    let bytes = format!("{:?}", TOKEN.as_bytes());
    assert!(!said.contains(bytes.trim_matches(['[', ']'])), "the log has the bytes of the secret");
}
