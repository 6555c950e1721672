//! Owns: every trap of HTTP against every profile, on its real server: what a listing is answered with changes and deletes nothing.
//! Must never know: what the traps are.

use std::time::Duration;

use mingle_core::replica::Failure;
use mingle_tests::{
    app::App,
    daemon::Home,
    proxy::{Fault, Proxy, When},
    rest_server::{Options, RestServer},
    servers::{JsonServer, Kinto, PocketBase, Roundup},
    tally,
    trackers::{self, GitHub, GitLab},
    trap::{self, Listed, Play},
};
use serde_json::json;

use super::QUIET;

/// Above what a run may delete without asking, so that the guard would be seen.
const RECORDS: usize = 12;

/// A profile with its server, which holds [`RECORDS`] records.
struct Service {
    /// Of its remote, its sync and its collection.
    name: String,
    profile: &'static str,
    resource: String,
    auth: String,
    proxy: Proxy,
    /// What the path of a listing ends with.
    lists: String,
    /// Ends with its value.
    _server: Box<dyn std::any::Any>,
}

fn service(name: &'static str, url: &str, resource: &str, auth: &str, lists: &str, server: impl std::any::Any) -> Service {
    let (proxy, _server) = (Proxy::before(url), Box::new(server));
    Service {
        name: name.replace('-', "_"),
        profile: name,
        resource: resource.into(),
        auth: auth.into(),
        proxy,
        lists: lists.into(),
        _server,
    }
}

fn scripted(name: &'static str, options: Options) -> (Service, RestServer) {
    // The daemon reads one profile for each: the name of a file.
    let server = RestServer::start(options, &["things"]);
    for n in 0..RECORDS {
        server.put("things", &format!("r{n:02}"), &json!({ "n": n }));
    }
    (service(name, &server.url, "things", "", "/things", ()), server)
}

fn services() -> Vec<Service> {
    let title = |n: usize| json!({ "title": format!("number {n}") });
    let kinto = Kinto::shared();
    let collection = kinto.collection();
    let base = PocketBase::shared();
    let table = base.collection(&json!([{ "name": "title", "type": "text" }]));
    let plain = JsonServer::shared();
    let list = plain.empty_list();
    let (roundup, github, gitlab) = (Roundup::start(), GitHub::start(), GitLab::start());
    for n in 0..RECORDS {
        kinto.put(&collection, &format!("r{n:02}"), &title(n));
        base.put(&table, &format!("theirs{n:0>9}"), &title(n));
        plain.put(&list, &format!("r{n:02}"), &title(n));
        let _ = roundup.open(&title(n));
        github.open(&title(n));
        gitlab.open(&title(n));
    }
    let basic = |(name, file): (&str, &str)| {
        format!("auth = {{ type = \"basic\", username = \"{name}\", password = {{ file = \"{file}.secret\" }} }}\n")
    };
    let bearer = |file: &str| format!("auth = {{ type = \"bearer\", token = {{ file = \"{file}.secret\" }} }}\n");
    vec![
        service("kinto", &kinto.url, &collection, &basic((Kinto::ACCOUNT.0, "kinto")), "/records", kinto.clone()),
        service("pocketbase", &base.url, &table, &bearer("pocketbase"), "/records", base.clone()),
        service("json-server", &plain.url, &list, "", &format!("/{list}"), plain.clone()),
        service("roundup", &roundup.url.clone(), "issue", &basic((Roundup::ACCOUNT.0, "roundup")), "/issue", roundup),
        service("github-issues", &github.url.clone(), "issues", &bearer("tracker"), "/issues", github),
        service("gitlab-issues", &gitlab.url.clone(), "issues", &bearer("tracker"), "/issues", gitlab),
    ]
}

/// The bytes of every trap that ends by itself and whose listing fails, and of some more that only a listing meets.
fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let whole = |play: &[Play]| -> Option<Vec<u8>> {
        let parts = play.iter().map(|step| match step {
            Play::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        parts.collect::<Option<Vec<&[u8]>>>().map(|parts| parts.concat())
    };
    // Patience is the remote's as a whole, and would hold all that follow; `patience_outlives_the_daemon` has it.
    let fails = |list: Listed| matches!(list, Listed::Fails(kind) if !matches!(kind, Failure::Throttled(_)));
    let mut all: Vec<_> = trap::traps()
        .into_iter()
        .filter(|trap| fails(trap.list))
        .filter_map(|trap| Some((trap.name, whole(&trap.play)?)))
        .collect();
    let json = |body: &str| mingle_tests::wire::response(200, &[("content-type", "application/json")], body);
    all.push(("an empty list of every form", json(r#"{"rows":[],"data":[],"items":[],"page":1,"totalItems":0}"#)));
    all.push(("a list of one stranger", json(r#"{"rows":[{"id":"new","rev":1}],"data":{"collection":[]}}"#)));
    all
}

impl Service {
    /// How many pages were asked for since that was last asked.
    fn pages(&self) -> usize {
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        self.proxy.passed().iter().filter(|one| one.method == "GET" && path(&one.target).ends_with(&self.lists)).count()
    }
}

fn count(app: &mut App, service: &Service) -> usize {
    app.all(&service.name).len()
}

/// Every run is asked for, and ends.
fn run(app: &mut App, services: &[Service]) -> Vec<String> {
    let runs: Vec<String> = services.iter().map(|service| app.run(&service.name)).collect();
    runs.iter().map(|run| app.ended(run)).collect()
}

/// Every run ends well.
#[track_caller]
fn run_well(app: &mut App, services: &[Service]) {
    let ends = run(app, services);
    let bad = services.iter().zip(ends).filter(|(_, end)| end != "done");
    let bad: Vec<String> = bad.map(|(service, end)| format!("{}: {end}: {}", service.name, app.status(&service.name))).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Lets these fall into every trap: how many tries that were, and what went wrong.
fn fall_in(mut services: Vec<Service>, planted: Option<&str>) -> (u64, Vec<String>) {
    let (able, able_server) = scripted("able", Options::default());
    let (careless, careless_server) = scripted("careless", Options::careless());
    let mut home = Home::new(None);
    if let Some(bug) = planted {
        home.set("MINGLE_PLANTED", bug);
    }
    for (service, server) in [(&able, &able_server), (&careless, &careless_server)] {
        server.write_profile(&home.config_dir());
        let dir = home.config_dir().join("profiles");
        std::fs::rename(dir.join(format!("{}.toml", RestServer::PROFILE)), dir.join(format!("{}.toml", service.profile)))
            .expect("a profile of its own name");
    }
    services.extend([able, careless]);
    let mut config = String::new();
    for Service { name, profile, resource, auth, proxy, .. } in &services {
        config += &format!(
            "[remote.{name}]\nkind = \"rest\"\nprofile = \"{profile}\"\nurl = \"{}\"\n{auth}\n\
             [sync.{name}]\ncollection = \"{name}\"\nremote = \"{name}\"\nresource = \"{resource}\"\ndirection = \"both\"\n{QUIET}\n",
            proxy.url
        );
    }
    home.configure(&config);
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    if services.iter().any(|service| service.profile == "pocketbase") {
        home.write("pocketbase.secret", &PocketBase::shared().token);
    }
    home.write("roundup.secret", Roundup::ACCOUNT.1);
    home.write("tracker.secret", trackers::TOKEN);
    let daemon = home.start();
    let mut app = daemon.app("tester");
    run_well(&mut app, &services);
    let before: Vec<_> = services.iter().map(|service| app.all(&service.name)).collect();
    // Some are greeted with a page: the listing is the last that a run without news asks for.
    services.iter().for_each(|service| drop(service.proxy.passed()));
    run_well(&mut app, &services);
    let pages: Vec<usize> = services.iter().map(Service::pages).collect();
    assert!(services.iter().all(|service| count(&mut app, service) == RECORDS));
    let (mut tries, mut wrong) = (0, Vec::new());
    for (trap, bytes) in answers() {
        for (service, pages) in services.iter().zip(&pages) {
            let when = || When { method: "GET", path_ends: service.lists.clone(), ..When::default() };
            for _ in 1..*pages {
                service.proxy.next_like(when(), Fault::Delay(Duration::ZERO));
            }
            // Twice: a question whose connection broke is put again.
            for _ in 0..2 {
                service.proxy.next_like(when(), Fault::Instead(bytes.clone()));
            }
        }
        let ends = run(&mut app, &services);
        for ((service, before), end) in services.iter().zip(&before).zip(ends) {
            tries += 1;
            let met = service.proxy.waiting() < 2;
            service.proxy.heal();
            let mut now = app.all(&service.name);
            // Who believes the stranger believes a whole and well typed answer: it is a record like any other.
            now.retain(|id, _| before.contains_key(id));
            if now != *before || !met {
                wrong.push(format!("{}: {trap}: {} of {} are left, {end}, met: {met}", service.name, now.len(), before.len()));
            }
        }
    }
    // And afterwards everything goes on.
    if wrong.is_empty() {
        run_well(&mut app, &services);
    }
    (tries, wrong)
}

#[test]
fn no_trap_deletes_or_changes_a_record_of_any_profile() {
    let (tries, wrong) = fall_in(services(), None);
    tally::tell("traps", tries, wrong.len() as u64);
    assert!(wrong.is_empty(), "{} of {tries}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a record that is deleted would be seen.
#[cfg(feature = "planted")]
#[test]
fn planted_deletes_without_asking_are_seen() {
    let (_, wrong) = fall_in(Vec::new(), Some("ghost without asking"));
    assert!(!wrong.is_empty(), "nothing was deleted in spite of it");
}
