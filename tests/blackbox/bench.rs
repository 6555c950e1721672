//! Owns: what most tests begin with: a daemon, a server, a sync between them, and comparing the two. Must never know: what is tested.

use std::{collections::BTreeMap, sync::Arc};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    servers::Kinto,
};
use serde_json::Value;

/// Nothing runs but what a test asks for.
const QUIET: &str = "on_start = false\non_change = false\n";

/// A daemon with a sync `things` to a scripted service.
pub struct Scripted {
    pub server: RestServer,
    pub daemon: Daemon,
    pub app: App,
}

/// A daemon, once it answers; `more` is added to the configuration, behind the section of the sync.
pub fn scripted(options: Options, more: &str) -> Scripted {
    let server = RestServer::start(options, &["things", "others"]);
    let home = Home::new(Some(&scripted_config(&server.url, more)));
    server.write_profile(&home.config_dir());
    let daemon = home.start();
    let app = daemon.app("tester");
    Scripted { server, daemon, app }
}

/// A sync `things` of a scripted service at this address.
pub fn scripted_config(url: &str, more: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n{QUIET}{more}\n",
        RestServer::PROFILE
    )
}

/// A daemon with a sync `notes` to a real Kinto.
pub struct WithKinto {
    pub kinto: Arc<Kinto>,
    pub resource: String,
    pub daemon: Daemon,
    pub app: App,
}

/// A daemon, once it answers; `more` is added to the configuration, behind the section of the sync.
pub fn with_kinto(more: &str) -> WithKinto {
    let kinto = Kinto::shared();
    let resource = kinto.collection();
    let home = Home::new(Some(&kinto_config(&kinto.url, &resource, "notes", more)));
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    let daemon = home.start();
    let app = daemon.app("tester");
    WithKinto { kinto, resource, daemon, app }
}

/// A sync of a collection with a Kinto.
pub fn kinto_config(url: &str, resource: &str, collection: &str, more: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"{url}\"\n\
         auth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"kinto.secret\" }} }}\n\n\
         [sync.{collection}]\ncollection = \"{collection}\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n{QUIET}{more}\n",
        Kinto::ACCOUNT.0
    )
}

impl Scripted {
    /// Kills the daemon and starts it again.
    pub fn kill_and_start(&mut self) {
        self.daemon.kill();
        self.daemon.start();
        self.app = self.daemon.app("tester");
    }

    /// Ends the daemon well and starts it again.
    pub fn start_again(&mut self) {
        let (status, _) = self.daemon.terminate();
        assert_eq!(status.code(), Some(0));
        self.daemon.start();
        self.app = self.daemon.app("tester");
    }

    /// Every record of the service, without what is its own.
    pub fn theirs(&self) -> BTreeMap<String, Value> {
        self.server.rows("things")
    }

    /// Every record must be the same on both sides.
    #[track_caller]
    pub fn assert_same(&mut self) {
        let (truth, theirs) = (self.app.all("things"), self.theirs());
        assert_same(&truth, &theirs);
    }
}

impl WithKinto {
    /// Every record must be the same on both sides.
    #[track_caller]
    pub fn assert_same(&mut self) {
        let (truth, theirs) = (self.app.all("notes"), self.kinto.list(&self.resource));
        assert_same(&truth, &theirs);
    }
}

/// Shows the first differences, not two thousand records.
#[track_caller]
pub fn assert_same(truth: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    let ids = truth.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ: Vec<String> = ids
        .into_iter()
        .filter(|id| truth.get(*id) != theirs.get(*id))
        .map(|id| format!("{id}: truth {:?}, theirs {:?}", truth.get(id), theirs.get(id)))
        .collect();
    let shown = &differ[..differ.len().min(10)];
    assert!(differ.is_empty(), "{} of {} records differ:\n{}", differ.len(), truth.len(), shown.join("\n"));
}

/// Ids `r00`, `r01`, ... with a number each.
pub fn fill(server: &RestServer, count: u32) {
    for n in 0..count {
        server.put("things", &format!("r{n:02}"), &serde_json::json!({ "n": n, "name": format!("number {n}") }));
    }
}
