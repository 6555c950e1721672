//! Owns: a secret in the system's keyring, as a person meets it. Must never know: how the keyring is spoken to.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use mingle_tests::{
    daemon::{Daemon, Home, mingle},
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
    until("the run that the check lets begin", || Some(app.status("things")).filter(|row| row["last"]["status"] == "done"));
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
    assert_eq!(app.status("things")["state"], "waiting", "what is asked by hand changes nothing of the schedule");
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

/// Runs `mingle` with a secret on its standard input; it must end with this code. What it printed.
#[track_caller]
fn given(daemon: &Daemon, secret: &str, code: i32, words: &[&str]) -> String {
    let mut command = daemon.command(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mingle");
    child.stdin.take().expect("its standard input").write_all(secret.as_bytes()).expect("it reads a secret");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    assert!(secret.trim().is_empty() || !said.contains(secret.trim()), "{words:?} prints the secret: {said}");
    said
}

#[test]
fn a_login_keeps_the_secret_in_the_keyring_and_ends_the_waiting_and_a_logout_takes_it_out() {
    let mut keyring = Keyring::start();
    let (_server, daemon) = barred(&keyring.bus.address());
    let mut app = daemon.app("tester");
    app.put("things", "one", &json!({ "v": 1 }));
    app.sync("things", "failed");
    assert_eq!(app.status("things")["state"], "blocked");
    let login = ["remote", "login", "far"];
    let said = given(&daemon, "wrong-4X9\n", 1, &login);
    assert!(said.contains("the secret of far is in the keyring, as mingle/home") && said.contains("far: failed"), "{said}");
    assert_eq!(app.status("things")["state"], "blocked", "what is refused ends nothing");
    let said = given(&daemon, &format!("{TOKEN}\n"), 0, &login);
    assert!(said.contains("takes the credentials"), "{said}");
    assert_eq!(keyring.find(&ITEM).as_deref(), Some(TOKEN), "in place of the one before");
    // Nobody has to ask for it.
    until("the run that the login lets begin", || Some(app.status("things")).filter(|row| row["last"]["status"] == "done"));
    for bad in ["", "two\nlines"] {
        given(&daemon, bad, 1, &login);
    }
    keyring.lock();
    let said = given(&daemon, "third-5Y1", 1, &login);
    assert!(said.contains("mingle/home is locked") && said.contains("hint:"), "{said}");
    let said = given(&daemon, "", 1, &["remote", "logout", "far"]);
    assert!(said.contains("mingle/home is locked"), "{said}");
    keyring.open();
    assert_eq!(keyring.find(&ITEM).as_deref(), Some(TOKEN), "what was refused changed nothing");
    // Which is meant is not known: neither is written over, nor taken out.
    let others = [&ITEM[..], &["for", "somebody"]].concat();
    keyring.keep(&others, "another");
    given(&daemon, "third-5Y1", 1, &login);
    given(&daemon, "", 1, &["remote", "logout", "far"]);
    assert_eq!(keyring.find(&others).as_deref(), Some("another"));
    keyring.clear(&others);
    for part in ["was taken out of the keyring, as mingle/home", "was not in the keyring"] {
        let said = daemon.says(0, &["remote", "logout", "far"]);
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(keyring.find(&ITEM), None);
    app.sync("things", "failed");
    assert_eq!(app.status("things")["last"]["error"]["name"], "needs_login");
    assert!(app.get("things", "one").is_some(), "records stay");
    let said = daemon.said();
    for secret in [TOKEN, "wrong-4X9", "third-5Y1"] {
        assert!(!said.contains(secret), "the log has {secret}");
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!said.contains(bytes.trim_matches(['[', ']'])), "the log has the bytes of {secret}");
    }
}

#[test]
fn a_login_writes_the_file_that_the_configuration_names_and_says_where_others_keep_theirs() {
    let server = RestServer::start(Options { bearer: Some(TOKEN.into()), ..Options::default() }, &["things", "others"]);
    let config = |auth: &str| scripted_config(&server.url, "").replace("[sync.things]", &format!("{auth}\n\n[sync.things]"));
    let bearer = |from: &str| config(&format!("auth = {{ type = \"bearer\", token = {from} }}"));
    let mut home = Home::new(Some(&bearer("{ file = \"far.secret\" }")));
    home.set("MINGLE_LOG", "trace");
    server.write_profile(&home.config_dir());
    let daemon = home.start();
    let file = daemon.config_dir().join("far.secret");
    daemon.write("given", &format!("{TOKEN}\n"));
    let said =
        daemon.says(0, &["remote", "login", "far", "--secret-file", &daemon.config_dir().join("given").display().to_string()]);
    assert!(said.contains(&format!("the file {}", file.display())) && said.contains("takes the credentials"), "{said}");
    let mode = std::fs::metadata(&file).expect("the secret").permissions().mode() & 0o777;
    assert_eq!((std::fs::read_to_string(&file).expect("a text").trim_end(), mode), (TOKEN, 0o600));
    daemon.says(0, &["remote", "logout", "far"]);
    assert!(!file.exists());
    given(&daemon, TOKEN, 1, &["remote", "login", "nowhere"]);
    for (auth, part) in [
        (bearer("{ env = \"FAR_TOKEN\" }"), "environment variable FAR_TOKEN"),
        (bearer("{ command = [\"pass\", \"far\"] }"), "program pass"),
        (config(""), "no login in the configuration"),
    ] {
        daemon.write("config.toml", &auth);
        daemon.says(0, &["reload"]);
        let said = given(&daemon, TOKEN, 1, &["remote", "login", "far"]);
        assert!(said.contains(part) && said.contains("hint:"), "{said}");
    }
    assert!(!daemon.said().contains(TOKEN), "the log has the secret");
}

/// Gives a command a terminal, waits until it asks, types, and prints what the terminal showed. Ends as it does.
const TERMINAL: &str = r"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen = b''
while b'far: ' not in seen:
    seen += os.read(terminal, 4096)
os.write(terminal, sys.argv[1].encode())
try:
    while chunk := os.read(terminal, 4096):
        seen += chunk
except OSError:
    pass
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn on_a_terminal_a_secret_is_asked_for_and_not_shown() {
    let keyring = Keyring::start();
    let (_server, daemon) = barred(&keyring.bus.address());
    let typed = |keys: &str, code: i32| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", TERMINAL, keys]).arg(mingle()).args(["remote", "login", "far"]);
        let output = command.env_clear().envs(daemon.environment()).output().expect("Debian's python3");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let said = typed("ses\u{3}", 1);
    assert!(said.contains("nothing was given") && !said.contains("ses"), "{said}");
    assert_eq!(keyring.find(&ITEM), None);
    let said = typed(&format!("{TOKEN}x\u{7f}\r"), 0);
    assert!(said.contains("takes the credentials") && !said.contains(TOKEN), "{said}");
    assert_eq!(keyring.find(&ITEM).as_deref(), Some(TOKEN));
}
