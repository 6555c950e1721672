//! Owns: logins that run out (OAuth 2) at a real authorization server, as a person meets them, and real syncs under their tokens.
//! Must never know: where mingle keeps tokens in memory, how it asks for them.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
    servers::{
        Kinto, Oidc,
        oidc::{Browser, Wish},
    },
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::assert_same;

mod batches;
mod documents;
mod held;
mod people;
mod programs;
mod trouble;

/// A Kinto that lets in who has a token of a server of its own, and a daemon that syncs `notes` with it.
struct Bench {
    oidc: Oidc,
    kinto: Kinto,
    resource: String,
    daemon: Daemon,
    app: App,
}

/// What the service is asked for: to be named, and to be renewed.
const SCOPES: &str = "scopes = [\"openid\", \"offline_access\"]";

fn bench(token_s: u64, more: &str) -> Bench {
    let oidc = Oidc::start(token_s);
    let kinto = Kinto::start_behind(&oidc.url);
    let resource = kinto.open_collection();
    let mut home = Home::new(Some(&config(&oidc, &kinto, &resource, more)));
    home.set("MINGLE_LOG", "trace");
    let daemon = home.start();
    let app = daemon.app("tester");
    Bench { oidc, kinto, resource, daemon, app }
}

fn config(oidc: &Oidc, kinto: &Kinto, resource: &str, more: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"{}\"\n\
         auth = {{ type = \"oauth2\", client_id = \"mingle\", issuer = \"{}\", {SCOPES}{more} }}\n\n\
         [sync.notes]\ncollection = \"notes\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n\
         on_start = false\non_change = false\n",
        kinto.url, oidc.url
    )
}

/// `mingle remote login` under way: where it says that a person agrees, and the code for another machine.
struct Login {
    child: Child,
    out: BufReader<ChildStdout>,
    url: String,
    code: Option<String>,
}

impl Login {
    fn begin(daemon: &Daemon, words: &[&str]) -> Self {
        Self::begin_with(daemon, words, &[])
    }

    /// One that is refused before anybody is asked; what was said.
    #[track_caller]
    fn begin_refused(daemon: &Daemon, words: &[&str]) -> String {
        daemon.says(1, &[&["remote", "login"][..], words].concat())
    }

    fn begin_with(daemon: &Daemon, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = daemon.command(&[&["remote", "login"][..], words].concat());
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mingle");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let (mut code, mut line) = (None, String::new());
        let url = loop {
            line.clear();
            if out.read_line(&mut line).expect("its output") == 0 {
                let mut said = String::new();
                child.stderr.take().expect("its complaints").read_to_string(&mut said).expect("its complaints");
                panic!("no address was shown: {said}");
            }
            if let Some(rest) = line.split("write the code ").nth(1) {
                code = rest.split(' ').next().map(str::to_owned);
            }
            if line.trim_start().starts_with("http") {
                break line.trim().to_owned();
            }
        };
        Self { child, out, url, code }
    }

    /// Waits for its end, which must have this code; what it said.
    #[track_caller]
    fn ends(mut self, code: i32) -> String {
        let status = until("the end of a login", || self.child.try_wait().expect("its end"));
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("its output");
        self.child.stderr.take().expect("its complaints").read_to_string(&mut said).expect("its complaints");
        assert_eq!(status.code(), Some(code), "{said}");
        said
    }
}

impl Bench {
    fn file(&self) -> PathBuf {
        file(&self.daemon, "far")
    }

    fn kept(&self) -> Value {
        kept(&self.daemon, "far")
    }

    /// A token that is kept: `access` or `refresh`.
    fn token(&self, of: &str) -> String {
        self.kept()["tokens"][of].as_str().expect("a token").to_owned()
    }

    #[track_caller]
    fn assert_same(&mut self) {
        let truth = self.app.all("notes");
        assert_same(&truth, &self.kinto.list(&self.resource));
    }
}

/// Where a login lies.
fn file(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.dir().join(format!("s/mingle/logins/{name}.json"))
}

fn kept(daemon: &Daemon, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(daemon, name)).expect("a login")).expect("JSON")
}

/// A service of ours that lets in whom a real authorization server knows, and a daemon with these remotes, each with a sync of its name.
fn judged(oidc: &Oidc, auth: &str, remotes: &[&str]) -> (RestServer, Daemon) {
    judged_as(oidc, auth, remotes, Options { page_rows: 2, ..Options::default() })
}

/// The same of a service that does this.
fn judged_as(oidc: &Oidc, auth: &str, remotes: &[&str], options: Options) -> (RestServer, Daemon) {
    let options = Options { judge: Some(oidc.url.clone()), ..options };
    let server = RestServer::start(options, remotes);
    let one = |name: &&str| {
        format!(
            "[remote.{name}]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\nauth = {{ type = \"oauth2\", issuer = \"{}\", {auth} }}\n\
             [sync.{name}]\ncollection = \"{name}\"\nremote = \"{name}\"\nresource = \"{name}\"\ndirection = \"both\"\n\
             on_start = false\non_change = false\n",
            RestServer::PROFILE,
            server.url,
            oidc.url
        )
    };
    let mut home = Home::new(Some(&remotes.iter().map(one).collect::<String>()));
    server.write_profile(&home.config_dir());
    home.write("program.secret", Oidc::SECRET);
    home.set("MINGLE_LOG", "trace");
    (server, home.start())
}

/// The usual program, which asks for all that there is.
const MINGLE: &str = "client_id = \"mingle\", scopes = [\"openid\", \"offline_access\"]";

#[track_caller]
fn log_in(daemon: &Daemon, remote: &str, name: &str) -> String {
    log_in_with(daemon, &[remote], name)
}

/// The same with these words to `mingle remote login`.
#[track_caller]
fn log_in_with(daemon: &Daemon, words: &[&str], name: &str) -> String {
    let login = Login::begin(daemon, words);
    let page = Browser::default().logs_in(&login.url, name);
    assert!(page.status == 200 && page.body.contains("You can close this page"), "{page:?}");
    login.ends(0)
}

#[test]
fn a_login_with_a_browser_lets_a_sync_run() {
    let mut bench = bench(3600, "");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    let row = bench.app.sync("notes", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    let said = log_in(&bench.daemon, "far", "alice");
    assert!(said.contains("alice at http://127.0.0.1") && said.contains("takes the credentials"), "{said}");
    until("the run that the login lets begin", || Some(bench.app.status("notes")).filter(|row| row["last"]["status"] == "done"));
    bench.assert_same();
    let said = bench.daemon.said();
    for of in ["access", "refresh"] {
        assert!(!said.contains(&bench.token(of)), "the log has the {of} token");
    }
    let mode = std::fs::metadata(bench.file()).expect("a login").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_login_at_another_machine_is_a_code_that_is_written_there() {
    let mut bench = bench(3600, "");
    let denied = Login::begin(&bench.daemon, &["far", "--device"]);
    let code = denied.code.clone().expect("a code");
    let _ = Browser::default().writes_code(&denied.url, &code, "alice", Wish::Deny);
    let said = denied.ends(1);
    assert!(said.contains("the login was refused at the service"), "{said}");
    let login = Login::begin(&bench.daemon, &["far", "--device"]);
    let code = login.code.clone().expect("a code");
    let _ = Browser::default().writes_code(&login.url, &code, "alice", Wish::Agree);
    let said = login.ends(0);
    assert!(said.contains("alice at") && said.contains("takes the credentials"), "{said}");
    assert!(bench.oidc.asked("device_code 400") > 0, "it was asked before anybody agreed");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    bench.assert_same();
}

#[test]
fn a_token_that_is_refused_half_way_is_renewed_and_the_run_goes_on_at_its_page() {
    let oidc = Oidc::start(3600);
    let (server, daemon) = judged(&oidc, MINGLE, &["far"]);
    let mut app = daemon.app("tester");
    for n in 0..20 {
        server.put("far", &format!("r{n:02}"), &json!({ "n": n }));
    }
    log_in(&daemon, "far", "alice");
    let pages = |log: &[String]| log.iter().filter(|line| line.starts_with("GET far?")).cloned().collect::<Vec<_>>();
    until("no request of the login", || server.log().is_empty().then_some(()));
    // The token is taken back while the third page is on its way.
    server.next("GET", Fault::Lag(Duration::ZERO));
    let token = kept(&daemon, "far")["tokens"]["access"].as_str().expect("a token").to_owned();
    for _ in 0..4 {
        server.next("GET", Fault::Lag(Duration::from_millis(300)));
    }
    let run = app.run("far");
    let mut seen = Vec::new();
    until("two pages", || {
        seen.extend(server.log());
        (pages(&seen).len() >= 2).then_some(())
    });
    oidc.revoke(&token);
    assert_eq!(app.ended(&run), "done");
    seen.extend(server.log());
    let asked = pages(&seen);
    let mut once = asked.clone();
    once.dedup();
    assert!(once.len() >= 10 && asked.len() == once.len() + 1, "one request goes twice, and no page but that: {asked:?}");
    assert_eq!((app.all("far").len(), oidc.asked("refresh_token 200")), (20, 1));
}

#[test]
fn a_token_that_runs_out_while_a_run_goes_is_renewed_ahead_and_again_and_again() {
    let mut bench = bench(4, "");
    for n in 0..30 {
        bench.app.put("notes", &format!("n{n:02}"), &json!({ "n": n }));
    }
    log_in(&bench.daemon, "far", "alice");
    let before = bench.oidc.asked("refresh_token 200");
    until("three lives of a token", || {
        bench.app.sync("notes", "done");
        (bench.oidc.asked("refresh_token 200") >= before + 3).then_some(())
    });
    assert_eq!(bench.oidc.asked("refresh_token 400"), 0);
    bench.assert_same();
}

#[test]
fn a_renewed_login_outlives_a_kill_and_one_that_was_lost_with_it_wants_a_person() {
    let mut bench = bench(4, "");
    log_in(&bench.daemon, "far", "alice");
    for round in 0..3 {
        bench.app.put("notes", "one", &json!({ "v": round }));
        let before = bench.oidc.asked("refresh_token 200");
        until("a renewal", || {
            bench.app.sync("notes", "done");
            (bench.oidc.asked("refresh_token 200") > before).then_some(())
        });
        // What was renewed is on the disk before anybody uses it.
        bench.daemon.kill();
        bench.daemon.start();
        bench.app = bench.daemon.app("tester");
    }
    assert_eq!(bench.oidc.asked("refresh_token 400"), 0);
    // The one window that is left: the service has given a new token, and the answer died with us.
    let lost = std::fs::read(bench.file()).expect("a login");
    let before = bench.oidc.asked("refresh_token 200");
    until("a renewal", || {
        bench.app.sync("notes", "done");
        (bench.oidc.asked("refresh_token 200") > before).then_some(())
    });
    bench.daemon.kill();
    std::fs::write(bench.file(), lost).expect("the login of before");
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    bench.app.put("notes", "two", &json!({ "v": 2 }));
    let row = until("the end of what is left", || {
        let run = bench.app.run("notes");
        let state = bench.app.ended(&run);
        (state == "failed").then(|| bench.app.row("notes", &run))
    });
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("notes", "done");
    bench.assert_same();
}

#[test]
fn a_login_that_was_ended_at_the_service_is_a_state_with_a_remedy_and_what_was_written_meanwhile_arrives() {
    let mut bench = bench(3600, "");
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("notes", "done");
    let (access, refresh) = (bench.token("access"), bench.token("refresh"));
    bench.oidc.revoke(&refresh);
    assert!(!bench.oidc.is_active(&access), "with the one the other has ended");
    bench.app.put("notes", "meanwhile", &json!({ "v": 1 }));
    let row = bench.app.sync("notes", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    let said = bench.daemon.says(0, &["explain", "notes"]);
    assert!(said.contains("mingle remote login far"), "{said}");
    assert_eq!(bench.app.status("notes")["state"], "blocked");
    let asked = bench.oidc.asked("refresh_token 400");
    bench.daemon.says(0, &["status"]);
    bench.app.sync("notes", "failed");
    assert!(bench.oidc.asked("refresh_token 400") <= asked + 1, "a person's try asks once");
    log_in(&bench.daemon, "far", "alice");
    until("what was written meanwhile", || bench.kinto.list(&bench.resource).contains_key("meanwhile").then_some(()));
}

#[test]
fn remotes_with_one_login_renew_it_once() {
    let oidc = Oidc::start(3600);
    let (server, daemon) = judged(&oidc, &format!("{MINGLE}, tokens = {{ file = \"shared\" }}"), &["far", "near", "third"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    let syncs = ["far", "near", "third"];
    for sync in syncs {
        server.put(sync, "one", &json!({ "v": 1 }));
        app.sync(sync, "done");
    }
    oidc.revoke(kept(&daemon, "shared")["tokens"]["access"].as_str().expect("a token"));
    let runs = syncs.map(|sync| app.run(sync));
    for run in runs {
        assert_eq!(app.ended(&run), "done");
    }
    assert_eq!(oidc.asked("refresh_token 200"), 1);
}

#[test]
fn a_login_that_is_refused_or_is_not_waited_for_leaves_nothing() {
    let bench = bench(3600, "");
    let login = Login::begin(&bench.daemon, &["far"]);
    let back = Browser::default().follows(&login.url, "alice", Wish::Deny);
    assert!(back.contains("error=access_denied"), "{back}");
    let page = Browser::default().comes_back(&back);
    assert!(page.body.contains("Not logged in"), "{page:?}");
    let said = login.ends(1);
    assert!(said.contains("refused at the service") && said.contains("hint:"), "{said}");
    assert!(!bench.file().exists());
    // Ctrl-C: nobody listens any more.
    let mut login = Login::begin(&bench.daemon, &["far"]);
    let back = Browser::default().follows(&login.url, "alice", Wish::Agree);
    let host = back.split('/').nth(2).expect("a host").to_owned();
    assert!(TcpStream::connect(&host).is_ok());
    login.child.kill().expect("an end");
    let _ = login.child.wait();
    until("an end of the listening", || TcpStream::connect(&host).is_err().then_some(()));
    assert!(!bench.file().exists());
}

#[test]
fn only_the_answer_to_the_login_that_waits_is_heard_and_of_two_logins_the_later_counts() {
    let bench = bench(3600, "");
    let first = Login::begin(&bench.daemon, &["far"]);
    let login = Login::begin(&bench.daemon, &["far"]);
    let said = first.ends(1);
    assert!(said.contains("another login was begun after this one"), "{said}");
    let mut browser = Browser::default();
    let back = browser.follows(&login.url, "alice", Wish::Agree);
    let host = back.split('/').nth(2).expect("a host").to_owned();
    let state = back.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state").to_owned();
    // Who says nothing holds nobody up.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(&host).expect("a connection")).collect();
    for stray in [
        format!("http://{host}/favicon.ico"),
        back.replace(&state, "another"),
        format!("http://{host}/?error=access_denied"),
        format!("http://{host}/?code=x"),
    ] {
        let page = browser.comes_back(&stray);
        assert_eq!(page.status, 404, "{stray}: {page:?}");
    }
    drop(silent);
    assert!(browser.comes_back(&back).body.contains("Logged in"));
    assert!(login.ends(0).contains("alice at"));
}

#[test]
fn another_person_mixes_nothing_before_a_word() {
    let mut bench = bench(3600, "");
    log_in(&bench.daemon, "far", "alice");
    bench.app.put("notes", "alices", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    bench.app.put("notes", "waits", &json!({ "v": 2 }));
    let login = Login::begin(&bench.daemon, &["far"]);
    let page = Browser::default().logs_in(&login.url, "bob");
    assert!(page.body.contains("Logged in"), "{page:?}");
    let said = login.ends(0);
    assert!(said.contains("bob at"), "{said}");
    bench.app.sync("notes", "failed");
    let status = bench.app.status("notes");
    assert_eq!(status["hold"]["name"], "account", "{status}");
    assert!(!bench.kinto.list(&bench.resource).contains_key("waits"), "nothing of the one is sent to the other");
    // It holds over a start.
    bench.daemon.kill();
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    bench.app.sync("notes", "failed");
    assert!(!bench.kinto.list(&bench.resource).contains_key("waits"));
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("notes", "done");
    bench.assert_same();
    assert!(bench.kinto.list(&bench.resource).contains_key("waits"));
}

#[test]
fn a_logout_ends_the_login_at_the_service_and_says_what_is_left() {
    let mut bench = bench(3600, "");
    log_in(&bench.daemon, "far", "alice");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    let (access, refresh) = (bench.token("access"), bench.token("refresh"));
    assert!(bench.oidc.is_active(&access) && bench.oidc.is_active(&refresh));
    let said = bench.daemon.says(0, &["remote", "logout", "far"]);
    assert!(said.contains("was taken out of the file") && !said.contains("still"), "{said}");
    assert!(!bench.oidc.is_active(&access) && !bench.oidc.is_active(&refresh));
    assert!(
        bench.kept()["tokens"].is_null() && bench.kept()["account"].as_str().is_some_and(|account| account.starts_with("alice"))
    );
    let row = bench.app.sync("notes", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    assert!(bench.daemon.says(0, &["remote", "logout", "far"]).contains("was not in the file"));
    log_in(&bench.daemon, "far", "alice");
    bench.oidc.is_down(true);
    let said = bench.daemon.says(0, &["remote", "logout", "far"]);
    assert!(said.contains("was taken out of the file") && said.contains("may still stand at the service"), "{said}");
    assert!(bench.kept()["tokens"].is_null());
    bench.oidc.is_down(false);
}

#[test]
fn a_server_of_logins_that_is_away_is_waited_for_and_nobody_has_to_log_in() {
    let oidc = Oidc::start(4);
    let options = Options { page_rows: 2, ..Options::default() };
    let (server, daemon) = judged(&oidc, MINGLE, &["far"]);
    let mut app = daemon.app("tester");
    log_in(&daemon, "far", "alice");
    // The service itself does not ask who it is: only the renewal is in the way.
    server.change(|is| *is = options);
    oidc.is_down(true);
    let row = until("a token that has run out", || {
        let run = app.run("far");
        let state = app.ended(&run);
        (state == "failed").then(|| app.row("far", &run))
    });
    assert_ne!(row["error"]["name"], "needs_login", "{row}");
    oidc.is_down(false);
    app.sync("far", "done");
}
