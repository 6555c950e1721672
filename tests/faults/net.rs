//! Owns: faults of networks and of HTTP between the real daemon and servers: what most of these tests begin with.
//! Must never know: which fault it is.

mod line;
mod loss;
mod lost;
mod names;
mod profiles;
mod services;
mod tls;

use std::collections::BTreeMap;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    proxy::Proxy,
    rest_server::{Options, RestServer},
};
use serde_json::{Value, json};

/// Nothing runs but what a test asks for, and a pause after a failure is short.
pub const QUIET: &str = "on_start = false\non_change = false\nbackoff = { first = \"50ms\", at_most = \"200ms\" }\n";

/// A daemon with a sync `things` to a scripted service behind a proxy.
pub struct Bench {
    pub server: RestServer,
    pub proxy: Proxy,
    pub daemon: Daemon,
    pub app: App,
    /// The service takes our ids: records have the same on both sides.
    by_id: bool,
}

/// A daemon, once it answers; `more` is added to the configuration, behind the section of the sync.
pub fn bench(options: Options, more: &str) -> Bench {
    let by_id = options.client_ids;
    let server = RestServer::start(options, &["things"]);
    let proxy = Proxy::before(&server.url);
    let home = Home::new(Some(&config(&proxy.url, more)));
    server.write_profile(&home.config_dir());
    let daemon = home.start();
    let app = daemon.app("tester");
    Bench { server, proxy, daemon, app, by_id }
}

/// A sync `things` of a scripted service at this address.
pub fn config(url: &str, more: &str) -> String {
    format!(
        "[conditions]\nnetwork = \"online\"\n\n[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n{QUIET}{more}\n",
        RestServer::PROFILE
    )
}

impl Bench {
    /// Ids `r00`, `r01`, ... with a number each, at the service.
    pub fn fill(&self, count: u32) {
        for n in 0..count {
            self.server.put("things", &format!("r{n:02}"), &json!({ "n": n }));
        }
    }

    /// Kills the daemon and starts it again.
    pub fn kill_and_start(&mut self) {
        self.daemon.kill();
        self.daemon.start();
        self.app = self.daemon.app("tester");
    }

    /// Asks for a run and waits for its end: how it ended.
    pub fn run(&mut self) -> String {
        let run = self.app.run("things");
        self.app.ended(&run)
    }

    /// Runs until everything is settled, three rounds at most; then both sides must be equal.
    #[track_caller]
    pub fn settle(&mut self) {
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(self.run());
            let status = self.app.status("things");
            if ends.last().is_some_and(|end| end == "done") && status["pending"] == 0 {
                return self.assert_same();
            }
        }
        panic!("not settled in three rounds: {ends:?}; {}", self.app.status("things"));
    }

    /// Every record must be the same on both sides.
    #[track_caller]
    pub fn assert_same(&mut self) {
        let (mut truth, mut theirs) = (self.app.all("things"), self.server.rows("things"));
        if !self.by_id {
            (truth, theirs) = (by_content(&truth), by_content(&theirs));
        }
        assert_eq!(differing(&truth, &theirs), Vec::<String>::new());
    }
}

/// Records under what they hold, with a number for those that hold the same.
pub fn by_content(records: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    for record in records.values() {
        let same = (0..).map(|n| format!("{record} {n}")).find(|key| !out.contains_key(key));
        out.insert(same.unwrap_or_default(), record.clone());
    }
    out
}

/// The first records that differ, in words.
pub fn differing(truth: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) -> Vec<String> {
    let ids: std::collections::BTreeSet<&String> = truth.keys().chain(theirs.keys()).collect();
    let differ = ids.into_iter().filter(|id| truth.get(*id) != theirs.get(*id)).take(10);
    differ.map(|id| format!("{id}: truth {:?}, theirs {:?}", truth.get(id), theirs.get(id))).collect()
}
