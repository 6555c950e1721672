//! Owns: which program a login was given to, what that shows of itself, and where tokens lie. Must never know: how a program is registered.

use mingle_tests::{
    daemon::Home,
    keyring::Keyring,
    rest_server::{Fault, Options, RestServer},
    servers::Oidc,
    wait::until,
};
use serde_json::{Value, json};

use super::{MINGLE, judged, log_in};

#[test]
fn a_program_with_a_secret_shows_it_and_tokens_may_lie_in_the_keyring() {
    let (oidc, keyring) = (Oidc::start(3600), Keyring::start());
    let auth = "client_id = \"mingle-secret\", client_secret = { file = \"program.secret\" }, scopes = [\"openid\", \"offline_access\"], \
                tokens = { keyring = \"mingle/far\" }";
    let options = Options { judge: Some(oidc.url.clone()), ..Options::default() };
    let server = RestServer::start(options, &["far"]);
    let config = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\nauth = {{ type = \"oauth2\", issuer = \"{}\", {auth} }}\n\
         [sync.far]\ncollection = \"far\"\nremote = \"far\"\nresource = \"far\"\ndirection = \"both\"\non_start = false\non_change = false\n",
        RestServer::PROFILE,
        server.url,
        oidc.url
    );
    let mut home = Home::new(Some(&config));
    home.write("program.secret", Oidc::SECRET);
    home.set("DBUS_SESSION_BUS_ADDRESS", keyring.bus.address());
    server.write_profile(&home.config_dir());
    let mut daemon = home.start();
    let said = log_in(&daemon, "far", "alice");
    assert!(said.contains("the keyring, as mingle/far"), "{said}");
    let item = ["service", "mingle", "username", "far"];
    assert!(keyring.find(&item).is_some_and(|text| text.contains("\"access\"")));
    daemon.kill();
    daemon.start();
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    server.next("GET", Fault::Status(401, Vec::new()));
    app.sync("far", "done");
    assert_eq!(oidc.asked("refresh_token 200"), 1);
    let folder = daemon.dir().join("s/mingle/logins");
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    let has_tokens = |file: &std::path::PathBuf| std::fs::read_to_string(file).expect("a text").contains("tokens");
    assert!(!files.iter().any(has_tokens), "no token lies in a file");
    // A logout that the disk does not take leaves the login, to be ended by the next.
    let kept: Value = serde_json::from_str(&keyring.find(&item).expect("a login")).expect("JSON");
    let access = kept["tokens"]["access"].as_str().expect("a token");
    let in_the_way = files[0].with_extension("json.new");
    std::fs::create_dir(&in_the_way).expect("something in the way");
    assert!(daemon.says(1, &["remote", "logout", "far"]).contains("is not written"));
    assert!(keyring.find(&item).is_some() && oidc.is_active(access));
    std::fs::remove_dir(&in_the_way).expect("a way that is free");
    assert!(daemon.says(0, &["remote", "logout", "far"]).contains("was taken out of the keyring"));
    assert!(keyring.find(&item).is_none() && !oidc.is_active(access));
    // It is told without the keyring.
    let found = daemon.mingle(&["doctor"]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("far: nobody is logged in"), "{found:?}");
}

#[test]
fn a_program_whose_secret_is_mended_is_asked_again_after_a_reload() {
    let oidc = Oidc::start(3600);
    let auth =
        "client_id = \"mingle-secret\", client_secret = { file = \"program.secret\" }, scopes = [\"openid\", \"offline_access\"]";
    let (server, daemon) = judged(&oidc, auth, &["far"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    daemon.write("program.secret", "another");
    server.next("GET", Fault::Status(401, Vec::new()));
    let row = app.sync("far", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    assert!(row["error"]["hint"].as_str().is_some_and(|hint| hint.contains("client_secret in [remote.far]")), "{row}");
    daemon.write("mended.secret", Oidc::SECRET);
    let config = std::fs::read_to_string(daemon.config_dir().join("config.toml")).expect("a configuration");
    daemon.configure(&config.replace("program.secret", "mended.secret"));
    // What begins after a reload is no person's run.
    server.next("GET", Fault::Status(401, Vec::new()));
    daemon.says(0, &["reload"]);
    until("the run that a reload lets begin", || Some(app.status("far")).filter(|row| row["last"]["status"] == "done"));
    assert_eq!(oidc.asked("refresh_token 200"), 1);
}

#[test]
fn a_token_follows_no_remote_to_another_address() {
    let oidc = Oidc::start(3600);
    let (first, daemon) = judged(&oidc, MINGLE, &["far"]);
    let second = RestServer::start(Options { judge: Some(oidc.url.clone()), ..Options::default() }, &["far"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    let config = std::fs::read_to_string(daemon.config_dir().join("config.toml")).expect("a configuration");
    daemon.configure(&config.replace(&first.url, &second.url));
    daemon.says(0, &["reload"]);
    let told = app.must("remote.check", json!({ "remote": "far" }));
    let what = told["what"].as_str().unwrap_or_default();
    assert!(told["ok"] == false && what.contains(&format!("its url is at {} now", second.url)), "{told}");
    assert!(second.log().is_empty(), "it was asked something");
    let found = daemon.mingle(&["doctor"]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("the url is another now"), "{found:?}");
    log_in(&daemon, "far", "alice");
    assert_eq!(app.must("remote.check", json!({ "remote": "far" }))["ok"], true);
}
