//! Owns: answers that are lost after the server did what it was asked, again and again: nothing is done twice, and nothing is lost.
//! Must never know: how a change in doubt is looked up.
//!
//! `MINGLE_LOST` says how many answers are lost in all (100 in a plain test run), `MINGLE_SEED` which.

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::Home,
    proxy::{End, Fault, Proxy, When},
    rest_server::{Options, RestServer},
    servers::{Kinto, PocketBase},
    tally, wait,
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
    /// What to write beside the configuration.
    scripted: Option<RestServer>,
    /// Ends with its value.
    _server: Box<dyn std::any::Any>,
}

fn scripted(options: Options) -> Counter {
    let server = RestServer::start(options, &["things"]);
    Counter {
        proxy: Proxy::before(&server.url),
        profile: RestServer::PROFILE,
        resource: "things".into(),
        auth: "",
        secret: String::new(),
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
        auth: "auth = { type = \"basic\", username = \"me\", password = { file = \"far.secret\" } }",
        secret: Kinto::ACCOUNT.1.into(),
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
        auth: "auth = { type = \"bearer\", token = { file = \"far.secret\" } }",
        secret: base.token.clone(),
        scripted: None,
        _server: Box::new(base),
    }
}

/// Until nothing waits; how many rounds that took.
#[track_caller]
fn settle(app: &mut App, what: &str) -> u32 {
    let mut round = 0;
    wait::until(what, || {
        round += 1;
        let run = app.run("things");
        let end = app.ended(&run);
        (end == "done" && app.status("things")["pending"] == 0).then_some(round)
    })
}

/// Loses so many answers; what went wrong, in words, and how many changes the server did too often or not at all.
fn check(name: &str, counter: &Counter, answers: u64, seed: u64, planted: Option<&str>) -> (u64, Vec<String>) {
    let Counter { proxy, profile, resource, auth, secret, scripted, .. } = counter;
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
    let (mut made, mut here, mut next) = (0_u64, Vec::new(), 0_u64);
    while proxy.faults() < answers {
        // On records apart, so that each change is one of its own; three lost answers at most, after which a run gives up.
        let mut free = here.clone();
        for _ in 0..=chance.below(3) {
            made += 1;
            let at = usize::try_from(chance.below(free.len().max(1) as u64)).unwrap_or(0);
            match chance.below(5) {
                0 if !free.is_empty() => {
                    let id: String = free.swap_remove(at);
                    here.retain(|one| *one != id);
                    app.delete("things", &id);
                }
                1 | 2 if !free.is_empty() => {
                    app.patch("things", &free.swap_remove(at), &json!({ "v": made }));
                }
                _ => {
                    next += 1;
                    let id = format!("n{next}");
                    app.put("things", &id, &json!({ "v": made, "of": id }));
                    here.push(id);
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
    if done != made {
        let told: Vec<String> = proxy.passed().iter().rev().take(20).map(|one| format!("{one:?}")).collect();
        wrong.push(format!("{name}: {done} changes were done of {made}; at last:\n{}", told.join("\n")));
    }
    // Nothing is lost either: what is there is what was made.
    let truth = app.all("things");
    let mut of: Vec<&Value> = truth.values().map(|record| &record["of"]).collect();
    of.sort_by_key(ToString::to_string);
    let mut expected: Vec<Value> = here.iter().map(|id| json!(id)).collect();
    expected.sort_by_key(Value::to_string);
    if of != expected.iter().collect::<Vec<_>>() {
        wrong.push(format!("{name}: there is {of:?}, made and not deleted were {expected:?}"));
    }
    (done.abs_diff(made), wrong)
}

#[test]
fn answers_lost_after_the_server_did_it_double_nothing() {
    let answers = std::env::var("MINGLE_LOST").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let seed = Chance::seed(7);
    let services: [(&str, Counter); 7] = [
        ("ids and preconditions", scripted(Options::default())),
        ("several at once", scripted(Options { batches: 10, ..Options::default() })),
        ("keys", scripted(Options { client_ids: false, keys: true, ..Options::default() })),
        ("ids of its own", scripted(Options { client_ids: false, ..Options::default() })),
        ("no preconditions, no revisions", scripted(Options::careless())),
        ("kinto", kinto()),
        ("pocketbase", pocketbase()),
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
