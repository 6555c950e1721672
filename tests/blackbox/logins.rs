//! Owns: logins that run out (OAuth 2) at a real authorization server, as a person meets them, and real syncs under their tokens.
//! Must never know: where mingle keeps tokens in memory, how it asks for them.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdout, Stdio},
};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::{
        Kinto, Oidc,
        oidc::{Browser, Wish},
    },
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::assert_same;

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
        let mut command = daemon.command(&[&["remote", "login"][..], words].concat());
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
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("its output");
        self.child.stderr.take().expect("its complaints").read_to_string(&mut said).expect("its complaints");
        assert_eq!(self.child.wait().expect("its end").code(), Some(code), "{said}");
        said
    }
}

impl Bench {
    /// Somebody logs in with a browser on this machine; what `mingle` said in the end.
    #[track_caller]
    fn log_in(&self, name: &str) -> String {
        let login = Login::begin(&self.daemon, &["far"]);
        let page = Browser::default().logs_in(&login.url, name);
        assert!(page.status == 200 && page.body.contains("You can close this page"), "{page:?}");
        login.ends(0)
    }

    fn file(&self) -> PathBuf {
        self.daemon.dir().join("s/mingle/logins/far.json")
    }

    fn kept(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.file()).expect("a login")).expect("JSON")
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

#[test]
fn a_login_with_a_browser_lets_a_sync_run() {
    let mut bench = bench(3600, "");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    let row = bench.app.sync("notes", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    let said = bench.log_in("alice");
    assert!(said.contains("alice at http://127.0.0.1") && said.contains("takes the credentials"), "{said}");
    until("the run that the login lets begin", || Some(bench.app.status("notes")).filter(|row| row["last"]["status"] == "done"));
    bench.assert_same();
}
