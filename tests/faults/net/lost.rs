//! Owns: answers that are lost after the server did what it was asked, again and again: nothing is done twice, and nothing is lost.
//! Must never know: how a change in doubt is looked up.
//!
//! `MINGLE_LOST` says how many answers are lost in all (100 in a plain test run), `MINGLE_SEED` which.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::Home,
    proxy::{End, Fault, Proxy, When},
    rest_server::{Options, RestServer},
    servers::{JsonServer, Kinto, PocketBase, Roundup},
    tally,
    trackers::{self, GitHub, GitLab},
    wait,
};
use serde_json::{Value, json};

use super::QUIET;

/// Where changes are counted: a change that was done twice counts twice.
struct Counter {
    proxy: Proxy,
    profile: &'static str,
    resource: String,
    auth: &'static str,
    secret: String,
    form: Form,
    /// Whether its abilities promise deletes: where they do not, a record is changed instead.
    deletes: bool,
    /// What to write beside the configuration.
    scripted: Option<RestServer>,
    /// Ends with its value.
    _server: Box<dyn std::any::Any>,
}

/// How a record says which one it is and which change it had last.
#[derive(Clone, Copy)]
enum Form {
    /// In a property each.
    Plain,
    /// In its title: `n3 17`.
    Titled,
    /// So too, and it is closed: a service where all that is made is open first takes that with a change of its own.
    Closed,
}

impl Form {
    fn record(self, of: &str, made: u64) -> Value {
        match self {
            Self::Plain => json!({ "v": made, "of": of }),
            Self::Titled => json!({ "title": format!("{of} {made}") }),
            Self::Closed => json!({ "title": format!("{of} {made}"), "state": "closed" }),
        }
    }

    /// Which one it is, and which change it had last.
    fn read(self, record: &Value) -> (String, u64) {
        match self {
            Self::Plain => (record["of"].as_str().unwrap_or_default().to_owned(), record["v"].as_u64().unwrap_or(0)),
            Self::Closed if record["state"] != "closed" => (format!("{} is not closed", record["title"]), 0),
            Self::Titled | Self::Closed => {
                let (of, made) = record["title"].as_str().and_then(|title| title.split_once(' ')).unwrap_or_default();
                (of.to_owned(), made.parse().unwrap_or(0))
            }
        }
    }

    /// How many changes of the server make one record.
    fn makes(self) -> u64 {
        1 + u64::from(matches!(self, Self::Closed))
    }
}

const BASIC: &str = "auth = { type = \"basic\", username = \"me\", password = { file = \"far.secret\" } }";
const BEARER: &str = "auth = { type = \"bearer\", token = { file = \"far.secret\" } }";

fn scripted(options: Options) -> Counter {
    let server = RestServer::start(options, &["things"]);
    Counter {
        proxy: Proxy::before(&server.url),
        profile: RestServer::PROFILE,
        resource: "things".into(),
        auth: "",
        secret: String::new(),
        form: Form::Plain,
        deletes: true,
        scripted: Some(server),
        _server: Box::new(()),
    }
}

fn kinto() -> Counter {
    let kinto = Kinto::shared();
    Counter {
        proxy: Proxy::before(&kinto.url),
        profile: "kinto",
        resource: kinto.collection(),
        auth: BASIC,
        secret: Kinto::ACCOUNT.1.into(),
        form: Form::Plain,
        deletes: true,
        scripted: None,
        _server: Box::new(kinto),
    }
}

fn pocketbase() -> Counter {
    let base = PocketBase::shared();
    Counter {
        proxy: Proxy::before(&base.url),
        profile: "pocketbase",
        resource: base.collection(&json!([{ "name": "v", "type": "number" }, { "name": "of", "type": "text" }])),
        auth: BEARER,
        secret: base.token.clone(),
        form: Form::Plain,
        deletes: true,
        scripted: None,
        _server: Box::new(base),
    }
}

fn json_server() -> Counter {
    let server = JsonServer::shared();
    Counter {
        proxy: Proxy::before(&server.url),
        profile: "json-server",
        resource: server.empty_list(),
        auth: "",
        secret: String::new(),
        form: Form::Plain,
        deletes: true,
        scripted: None,
        _server: Box::new(server),
    }
}

fn roundup() -> Counter {
    // It takes writes from pages that it knows alone, and to it the proxy is one.
    let between = RefCell::new(None);
    let server = Roundup::known_as(|url| {
        let proxy = Proxy::before(&format!("{url}/rest/data"));
        let known = proxy.url.trim_end_matches("/rest/data").to_owned();
        between.replace(Some(proxy));
        known
    });
    Counter {
        proxy: between.into_inner().expect("a proxy before it"),
        profile: "roundup",
        resource: "issue".into(),
        auth: "auth = { type = \"basic\", username = \"admin\", password = { file = \"far.secret\" } }",
        secret: Roundup::ACCOUNT.1.into(),
        form: Form::Titled,
        deletes: true,
        scripted: None,
        _server: Box::new(server),
    }
}

fn tracker(profile: &'static str, url: &str, deletes: bool, server: impl std::any::Any) -> Counter {
    Counter {
        proxy: Proxy::before(url),
        profile,
        resource: "issues".into(),
        auth: BEARER,
        secret: trackers::TOKEN.into(),
        form: Form::Closed,
        deletes,
        scripted: None,
        _server: Box::new(server),
    }
}

fn github() -> Counter {
    let server = GitHub::start();
    // Its pace has a test of its own.
    server.pace(usize::MAX, Duration::ZERO);
    tracker("github-issues", &server.url.clone(), false, server)
}

fn gitlab() -> Counter {
    let server = GitLab::start();
    tracker("gitlab-issues", &server.url.clone(), true, server)
}

/// Until nothing waits; how many rounds that took.
#[track_caller]
fn settle(app: &mut App, what: &str) -> u32 {
    let mut round = 0;
    wait::until(what, || {
        round += 1;
        let run = app.run("things");
        let end = app.ended(&run);
        // Nothing here is for a person to decide.
        assert_ne!(end, "done_with_errors", "{what}: {}", app.must("rejection.list", json!({})));
        (end == "done" && app.status("things")["pending"] == 0).then_some(round)
    })
}

/// Loses so many answers; what went wrong, in words, and how many changes the server did too often or not at all.
fn check(name: &str, counter: &Counter, answers: u64, seed: u64, planted: Option<&str>) -> (u64, Vec<String>) {
    let Counter { proxy, profile, resource, auth, secret, form, deletes, scripted, .. } = counter;
    let mut home = Home::new(Some(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{profile}\"\nurl = \"{}\"\n{auth}\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n{QUIET}\n",
        proxy.url
    )));
    if let Some(server) = scripted {
        server.write_profile(&home.config_dir());
    }
    home.write("far.secret", secret);
    if let Some(bug) = planted {
        home.set("MINGLE_PLANTED", bug);
    }
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let mut chance = Chance::new(seed);
    // Names of records here, each with which one it is and the change that it had last.
    let (mut made, mut here, mut next) = (0_u64, BTreeMap::<String, (String, u64)>::new(), 0_u64);
    let mut changes = 0;
    while proxy.faults() < answers {
        // On records apart, so that each change is one of its own; three lost answers at most, after which a run gives up.
        let mut free: Vec<String> = here.keys().cloned().collect();
        for _ in 0..=chance.below(3) {
            made += 1;
            changes += 1;
            let at = usize::try_from(chance.below(free.len().max(1) as u64)).unwrap_or(0);
            match chance.below(5) {
                0 if !free.is_empty() && *deletes => {
                    let id = free.swap_remove(at);
                    here.remove(&id);
                    app.delete("things", &id);
                }
                0..=2 if !free.is_empty() => {
                    let id = free.swap_remove(at);
                    let known = here.get_mut(&id).expect("a record of ours");
                    known.1 = made;
                    app.patch("things", &id, &form.record(&known.0, made));
                }
                _ => {
                    next += 1;
                    changes += form.makes() - 1;
                    let id = format!("n{next}");
                    app.put("things", &id, &form.record(&id, made));
                    here.insert(id.clone(), (id, made));
                }
            }
            let end = if chance.below(2) == 0 { End::Reset } else { End::Closed };
            proxy.next_like(When { changes: true, ..When::default() }, Fault::Lost(end));
        }
        settle(&mut app, "the changes to be settled");
    }
    let mut wrong = Vec::new();
    // What was answered from memory was not done again.
    let done = scripted.as_ref().map_or_else(|| proxy.done(), RestServer::changes);
    if done != changes {
        let told: Vec<String> = proxy.passed().iter().rev().take(20).map(|one| format!("{one:?}")).collect();
        wrong.push(format!("{name}: {done} changes were done of {changes}; at last:\n{}", told.join("\n")));
    }
    // Nothing is lost either: what is there is what was made.
    let mut there: Vec<(String, u64)> = app.all("things").values().map(|record| form.read(record)).collect();
    there.sort();
    let mut expected: Vec<(String, u64)> = here.into_values().collect();
    expected.sort();
    if there != expected {
        wrong.push(format!("{name}: there is {there:?}, made and not deleted were {expected:?}"));
    }
    (done.abs_diff(changes), wrong)
}

#[test]
fn answers_lost_after_the_server_did_it_double_nothing() {
    let answers = std::env::var("MINGLE_LOST").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let seed = Chance::seed(7);
    let services: [(&str, Counter); 11] = [
        ("ids and preconditions", scripted(Options::default())),
        ("several at once", scripted(Options { batches: 10, ..Options::default() })),
        ("keys", scripted(Options { client_ids: false, keys: true, ..Options::default() })),
        ("ids of its own", scripted(Options { client_ids: false, ..Options::default() })),
        ("no preconditions, no revisions", scripted(Options::careless())),
        ("kinto", kinto()),
        ("pocketbase", pocketbase()),
        ("json-server", json_server()),
        ("roundup", roundup()),
        ("github-issues", github()),
        ("gitlab-issues", gitlab()),
    ];
    let each = u64::div_ceil(answers, services.len() as u64);
    let (mut lost, mut failed, mut wrong) = (0, 0, Vec::new());
    for (name, counter) in &services {
        let watch = wait::Watch::start();
        let (off, words) = check(name, counter, each, seed, None);
        lost += counter.proxy.faults();
        failed += off;
        wrong.extend(words);
        eprintln!("lost answers: {name}: {} in {:.1} s, seed {seed}", counter.proxy.faults(), watch.elapsed().as_secs_f64());
    }
    tally::tell("lost-responses", lost, failed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a repeat under another key would be seen.
#[cfg(feature = "planted")]
#[test]
fn planted_keys_that_are_made_anew_double_creates() {
    let counter = scripted(Options { client_ids: false, keys: true, ..Options::default() });
    let (_, wrong) = check("planted", &counter, 20, 7, Some("key made anew at each repeat"));
    assert!(!wrong.is_empty(), "the counter is exact in spite of it");
}

/// Whether a change that is done twice would be seen.
#[cfg(feature = "planted")]
#[test]
fn planted_creates_that_are_not_looked_for_are_doubled() {
    let counter = scripted(Options { client_ids: false, ..Options::default() });
    let bug = Some("unlinked row not offered to unknown creates");
    let (_, wrong) = check("planted", &counter, 20, 7, bug);
    assert!(!wrong.is_empty(), "the counter is exact in spite of it");
}
