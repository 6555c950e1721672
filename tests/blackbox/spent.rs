//! Owns: what a user sees of what a run asked of its service: requests, and bytes each way. Must never know: how it is counted.

use std::sync::{Arc, Mutex, PoisonError};

use mingle_tests::{
    daemon::Home,
    servers::Kinto,
    trackers::{self, GitHub},
    wire::{self, Served},
};
use serde_json::{Value, json};

use crate::bench::kinto_config;

/// Counts what passes: requests, and the bytes of bodies there and back.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<(u64, u64, u64)>>);

impl Counted {
    /// What passed since it was last asked.
    fn taken(&self) -> (u64, u64, u64) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Something before a Kinto that passes each request on, and counts.
fn counting(kinto: &Kinto) -> (Served, Counted) {
    let (counted, origin) = (Counted::default(), kinto.url.trim_end_matches("/v1").to_owned());
    let count = counted.clone();
    let served = wire::serve(Arc::new(move |request, line| {
        let path: Vec<String> = request.path.iter().map(|part| escaped(part)).collect();
        let query: Vec<String> =
            request.query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let url = format!("{origin}/{}?{}", path.join("/"), query.join("&"));
        let passed = ["authorization", "if-match", "if-none-match"];
        let headers: Vec<(&str, &str)> = passed.iter().filter_map(|name| Some((*name, request.header(name)?))).collect();
        let body = Some(request.body.as_str()).filter(|body| !body.is_empty());
        let answer = wire::ask(&request.method, &url, &headers, body).expect("Kinto answers");
        {
            let mut count = count.0.lock().unwrap_or_else(PoisonError::into_inner);
            count.0 += 1;
            count.1 += request.body.len() as u64;
            count.2 += answer.body.len() as u64;
        }
        let own = ["content-length", "connection", "transfer-encoding"];
        let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        line.send(&wire::response(answer.status, &headers, &answer.body))
    }));
    (served, counted)
}

fn number(run: &Value, key: &str) -> u64 {
    run[key].as_u64().unwrap_or_else(|| panic!("{key}: {run}"))
}

#[test]
fn the_history_says_what_a_run_sent_and_received_as_the_service_counts_it() {
    let kinto = Kinto::shared();
    let resource = kinto.collection();
    let (served, counted) = counting(&kinto);
    let home = Home::new(Some(&kinto_config(&format!("{}/v1", served.url), &resource, "notes", "")));
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    kinto.put(&resource, "there", &json!({ "name": "made there" }));
    for what in ["brings", "sends", "finds nothing"] {
        if what == "sends" {
            for n in 0..5 {
                app.put("notes", &format!("n{n}"), &json!({ "name": "made here", "n": n }));
            }
        }
        let _ = counted.taken();
        let run = app.sync("notes", "done");
        let (requests, up, down) = counted.taken();
        let told = (number(&run, "requests"), number(&run, "bytes_up"), number(&run, "bytes_down"));
        assert_eq!(told, (requests, up, down), "{what}: {run}");
        assert_eq!((number(&run, "bytes"), number(&run, "not_modified")), (up + down, 0), "{what}: {run}");
        assert_eq!(up > 0, what == "sends", "{what}: {run}");
    }
    let said = daemon.says(0, &["history", "notes"]);
    assert!(said.contains("SENT") && said.contains("REQUESTS"), "{said}");
    // What was counted is in the store.
    daemon.kill();
    daemon.start();
    let runs = daemon.app("tester").must("history", json!({ "sync": "notes" }))["runs"].clone();
    assert_eq!(runs.as_array().map(Vec::len), Some(3));
    assert!(runs.as_array().expect("a list").iter().all(|run| number(run, "requests") > 0), "{runs}");
}

#[test]
fn what_is_answered_with_nothing_has_changed_is_a_request_and_no_bytes() {
    let server = GitHub::start();
    server.open(&json!({ "title": "a" }));
    let home = Home::new(Some(&format!(
        "[remote.one]\nkind = \"rest\"\nprofile = \"github-issues\"\nurl = \"{}\"\n\
         auth = {{ type = \"bearer\", token = {{ file = \"token\" }} }}\n\n\
         [sync.one]\ncollection = \"one\"\nremote = \"one\"\nresource = \"issues\"\ndirection = \"down\"\non_start = false\n",
        server.url
    )));
    home.write("token", trackers::TOKEN);
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let mut last = Value::Null;
    for _ in 0..4 {
        let _ = server.log();
        last = app.sync("one", "done");
        let log = server.log();
        let unchanged = log.iter().filter(|line| line.ends_with(" 304")).count() as u64;
        assert_eq!((number(&last, "requests"), number(&last, "not_modified")), (log.len() as u64, unchanged), "{last} {log:?}");
    }
    assert!(number(&last, "not_modified") > 0, "{last}");
    assert!(daemon.says(0, &["history", "one"]).contains(" unchanged)"));
}
