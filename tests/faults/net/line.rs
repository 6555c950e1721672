//! Owns: what a network does to connections, one fault after the other: cut, reset, silent, slow, late, doubled, stopped one way.
//! Must never know: how the daemon notices.

use std::time::Duration;

use mingle_tests::{
    daemon::Home,
    proxy::{End, Fault, Way},
    rest_server::{Options, RestServer},
    tally,
    wait::{self, Watch, until, until_within},
    wire,
};
use serde_json::json;

use super::{bench, config};

/// What a fault is put into: a question about all, about one, a change.
const INTO: [&str; 2] = ["GET", "PUT"];

/// A sync of edits on both sides meets the fault wherever it can; then both sides are equal, and nothing is there twice.
#[track_caller]
fn check(options: Options, fault: &Fault, repeats: usize) {
    let mut bench = bench(options, "");
    bench.fill(5);
    bench.settle();
    for method in INTO {
        for skip in 0..4 {
            bench.server.patch("things", "r01", &json!({ "theirs": format!("{method}{skip}") }));
            bench.app.patch("things", "r02", &json!({ "ours": format!("{method}{skip}") }));
            bench.app.put("things", &format!("n-{}-{skip}", method.to_lowercase()), &json!({ "v": skip }));
            for _ in 0..skip {
                bench.proxy.next(method, Fault::Delay(Duration::ZERO));
            }
            for _ in 0..repeats {
                bench.proxy.next(method, fault.clone());
            }
            let run = bench.app.run("things");
            let end = bench.app.ended(&run);
            assert!(["done", "failed"].contains(&end.as_str()), "{fault:?}: {end}");
            bench.proxy.heal();
            bench.settle();
            assert_eq!(bench.app.status("things")["rejections"], 0, "{fault:?} into {method} {skip}");
        }
    }
    assert_eq!(bench.server.rows("things").len(), 5 + 8, "{fault:?}: nothing is there twice");
    assert!(bench.proxy.faults() > 8, "{fault:?} met {} requests", bench.proxy.faults());
    let all = bench.app.must("conflict.list", json!({ "all": true }));
    assert_eq!(all["conflicts"], json!([]), "{fault:?}: nobody conflicts with themselves");
}

#[test]
fn a_connection_that_ends_anywhere_is_no_answer_and_doubles_nothing() {
    for end in [End::Closed, End::Reset] {
        check(Options::default(), &Fault::Unheard(end), 2);
        check(Options::default(), &Fault::Lost(end), 2);
        for bytes in [0, 1, 20, 200, usize::MAX] {
            check(Options::default(), &Fault::Truncated(bytes, end), 1);
        }
    }
    check(Options::careless(), &Fault::Truncated(150, End::Reset), 1);
    check(Options { client_ids: false, ..Options::default() }, &Fault::Truncated(usize::MAX, End::Closed), 1);
}

#[test]
fn what_comes_late_twice_or_in_crumbs_is_taken_once() {
    check(Options::default(), &Fault::Delay(Duration::from_millis(120)), 3);
    check(Options::default(), &Fault::Trickle(7, Duration::from_millis(2)), 3);
    check(Options::default(), &Fault::AnsweredTwice, 3);
    check(Options::default(), &Fault::Typed("text/html"), 1);
    check(Options::default(), &Fault::Replaced(wire::response(502, &[("content-type", "text/html")], "<html>")), 1);
    check(Options::default(), &Fault::Instead(wire::response(503, &[], "")), 1);
}

/// A proxy in between, or a client that repeats by itself, lets the server hear a change twice.
#[test]
fn a_request_that_arrives_twice_is_done_once() {
    check(Options::default(), &Fault::Twice, 3);
    check(Options::careless(), &Fault::Twice, 3);
}

/// Answers to changes that were sent together come in any order.
#[test]
fn answers_in_another_order_belong_to_their_questions() {
    let mut bench = bench(Options::default(), "");
    for n in 0..24_u64 {
        bench.app.put("things", &format!("o{n:02}"), &json!({ "v": n }));
        bench.proxy.next("PUT", Fault::Delay(Duration::from_millis((n * 37) % 90)));
    }
    assert_eq!(bench.run(), "done");
    bench.assert_same();
    let sent = bench.proxy.passed().iter().filter(|one| one.method == "PUT").count();
    assert_eq!(sent, 24);
}

/// Partitions of either kind under edits on both sides; what is held back arrives late.
#[test]
fn a_partition_either_way_loses_and_doubles_nothing() {
    let mut bench = bench(Options::default(), "every = \"1s\"\n");
    bench.fill(3);
    bench.settle();
    let mut n = 0;
    for way in [Way::In, Way::Out, Way::Both, Way::In, Way::Out] {
        bench.proxy.partition(way);
        let watch = Watch::start();
        while watch.elapsed() < Duration::from_millis(700) {
            n += 1;
            bench.app.put("things", &format!("p{n}"), &json!({ "n": n }));
            bench.app.patch("things", "r00", &json!({ "ours": n }));
            bench.server.patch("things", "r01", &json!({ "theirs": n }));
            wait::pass(Duration::from_millis(60));
        }
        // A person stops in the middle of it: at once, whatever hangs.
        let stop = Watch::start();
        bench.app.must("stop", json!({}));
        until_within("the stop", Duration::from_secs(2), || {
            (bench.app.must("status", json!({}))["state"] == "stopped").then_some(())
        });
        assert!(stop.elapsed() < Duration::from_secs(2));
        bench.app.must("restart", json!({ "resync_stopped": true }));
        bench.proxy.heal();
        until("both sides to be equal", || {
            let equal = bench.app.all("things") == bench.server.rows("things");
            (equal && bench.app.status("things")["pending"] == 0).then_some(())
        });
    }
    assert_eq!(bench.app.all("things").len(), 3 + n);
    assert_eq!(bench.app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
}

/// A run that hears nothing is ended, told as such, and tried again. (Two seconds here: one until the run, one of silence; the rest of
/// the bound is for a busy machine.)
#[test]
fn a_stall_is_told_in_status() {
    let mut bench = bench(Options::default(), "every = \"1s\"\nstall = \"1s\"\n");
    bench.fill(3);
    bench.settle();
    bench.proxy.partition(Way::Both);
    bench.app.put("things", "a", &json!({ "v": 1 }));
    let watch = Watch::start();
    let told = until_within("the stall to be told", Duration::from_secs(8), || {
        let status = bench.app.status("things");
        (status["last"]["stop_reason"] == "timeout").then_some(status)
    });
    eprintln!("a stall was told after {:?}", watch.elapsed());
    assert_eq!((&told["last"]["status"], &told["pending"]), (&json!("stopped"), &json!(1)), "{told}");
    bench.proxy.heal();
    until("the record at the service", || bench.server.rows("things").remove("a"));
    bench.settle();
}

/// A line of few bytes a second: a run goes on, shows how far it is, and stops at once.
#[test]
fn a_slow_line_shows_progress_and_can_be_stopped() {
    let mut bench = bench(Options { page_rows_max: 20, ..Options::default() }, "");
    for n in 0..400 {
        bench.server.put("things", &format!("r{n:03}"), &json!({ "n": n, "text": "x".repeat(60) }));
    }
    bench.proxy.slow_down(4_000);
    let run = bench.app.run("things");
    let mut seen = 0;
    for _ in 0..3 {
        let before = seen;
        seen = until_within("progress", Duration::from_secs(15), || {
            let seq = bench.app.must("status", json!({}))["seq"].as_u64().unwrap_or(0);
            (seq > before).then_some(seq)
        });
    }
    let watch = Watch::start();
    bench.app.must("stop", json!({}));
    assert_eq!(bench.app.ended(&run), "stopped");
    assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
    bench.proxy.heal();
    bench.app.must("restart", json!({}));
    bench.settle();
    assert_eq!(bench.app.all("things").len(), 400);
}

/// Connections that were kept are dead, as after a suspend: questions are put again, and no change is doubled.
#[test]
fn connections_that_died_meanwhile_cost_nothing() {
    let mut bench = bench(Options::default(), "");
    for n in 0..20 {
        bench.app.put("things", &format!("d{n}"), &json!({ "v": n }));
        bench.settle();
        bench.proxy.drop_connections();
    }
    assert_eq!(bench.proxy.done(), 20, "each change once");
}

/// No network at all: a network name space of its own, in which nothing is up.
#[test]
fn no_network_is_offline_and_sends_nothing() {
    let server = RestServer::start(Options::default(), &["things"]);
    let home = Home::new(Some(&config(&server.url, "")));
    server.write_profile(&home.config_dir());
    let alone = std::process::Command::new("unshare").args(["-n", "true"]).status();
    if !alone.is_ok_and(|status| status.success()) {
        return tally::skip("no network", "a network name space of its own needs root and unshare");
    }
    // Address by address: nothing is up; then what routes can say.
    let routes: [(&str, Option<&str>); 4] = [
        ("127.0.0.1:9", None),
        ("192.0.2.1", Some("prohibit")),
        ("192.0.2.1", Some("blackhole")),
        ("192.0.2.1", Some("unreachable")),
    ];
    for (address, route) in routes {
        home.configure(&config(&format!("http://{address}"), "").replace("profile", "insecure = true\nprofile"));
        let mut wrapped = std::process::Command::new("unshare");
        let up = route.map_or_else(String::new, |kind| format!("ip link set lo up && ip route add {kind} 192.0.2.0/24 && "));
        let daemon = home.mingled();
        wrapped.args(["-n", "sh", "-c", &format!("{up}exec \"$@\""), "sh"]);
        wrapped.arg(daemon.get_program()).args(daemon.get_args());
        wrapped.env_clear().envs(home.environment()).current_dir(home.dir());
        wrapped.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = mingle_tests::servers::spawn(wrapped).expect("a daemon without a network");
        let mut app = until("mingled to answer", || mingle_tests::app::App::try_connect(&home.socket(), "tester").ok());
        let watch = Watch::start();
        app.put("things", "a", &json!({ "v": 1 }));
        let row = app.sync("things", "failed");
        assert_eq!(row["error"]["name"], "offline", "{address} {route:?}: {row}");
        assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
        assert_eq!(app.status("things")["pending"], 1);
        child.kill().expect("our own child");
        child.wait().expect("its end");
    }
    assert_eq!(server.log(), Vec::<String>::new());
    // Back on the network, everything goes its way.
    home.configure(&config(&server.url, ""));
    let daemon = home.start();
    daemon.app("tester").sync("things", "done");
    assert_eq!(server.rows("things")["a"], json!({ "v": 1 }));
}

#[test]
fn a_name_that_nobody_knows_is_offline() {
    let home = Home::new(Some(&config("https://nowhere.invalid", "")));
    RestServer::start(Options::default(), &["things"]).write_profile(&home.config_dir());
    let daemon = home.start();
    let mut app = daemon.app("tester");
    app.put("things", "a", &json!({ "v": 1 }));
    let row = app.sync("things", "failed");
    assert_eq!(row["error"]["name"], "offline", "{row}");
    assert!(row["error"]["what"].as_str().is_some_and(|what| what.contains("nowhere.invalid")), "{row}");
    assert_eq!(app.status("things")["pending"], 1);
}

/// What the environment says of proxies counts for other hosts, and not for this one.
#[test]
fn the_systems_proxy_is_for_other_hosts() {
    let (tell, told) = std::sync::mpsc::channel();
    let between = wire::serve(std::sync::Arc::new(move |request, line| {
        let _ = tell.send(request.path.join("/"));
        line.send(&wire::response(502, &[], ""))
    }));
    let server = RestServer::start(Options::default(), &["things"]);
    let far = config("http://far.invalid", "").replace("profile", "insecure = true\nprofile");
    for (text, through) in [(config(&server.url, ""), false), (far, true)] {
        let mut home = Home::new(Some(&text));
        server.write_profile(&home.config_dir());
        home.set("http_proxy", between.url.as_str());
        let daemon = home.start();
        let mut app = daemon.app("tester");
        let row = app.sync("things", if through { "failed" } else { "done" });
        if through {
            assert_eq!(row["error"]["name"], "server", "{row}");
            let asked = told.recv_timeout(wait::LONG).expect("a request to the proxy");
            assert!(asked.contains("far.invalid"), "{asked}");
        } else {
            assert!(told.try_recv().is_err(), "this very host is asked directly");
        }
    }
}

/// Somebody on the sixth version of the network's protocol alone, who passes everything on to a place of the fourth.
fn on_version_six(to: &str) -> Option<String> {
    let listener = std::net::TcpListener::bind("[::1]:0").ok()?;
    let url = format!("http://{}", listener.local_addr().ok()?);
    let to = to.strip_prefix("http://").expect("an address").to_owned();
    std::thread::spawn(move || {
        for mut here in listener.incoming().flatten() {
            let Ok(mut there) = std::net::TcpStream::connect(&to) else { continue };
            let (Ok(mut back), Ok(mut from)) = (here.try_clone(), there.try_clone()) else { continue };
            std::thread::spawn(move || std::io::copy(&mut here, &mut there));
            std::thread::spawn(move || std::io::copy(&mut from, &mut back));
        }
    });
    Some(url)
}

/// A proxy, and a service, that have an address of the sixth version and no other.
#[test]
fn a_proxy_and_a_service_on_version_six_alone_are_reached() {
    let (tell, told) = std::sync::mpsc::channel();
    let between = wire::serve(std::sync::Arc::new(move |request, line| {
        let _ = tell.send(request.path.join("/"));
        line.send(&wire::response(502, &[], ""))
    }));
    let server = RestServer::start(Options::default(), &["things"]);
    let (Some(proxy), Some(six)) = (on_version_six(&between.url), on_version_six(&server.url)) else {
        return tally::skip("a network of version six", "this machine has no [::1]");
    };
    let far = config("http://far.invalid", "").replace("profile", "insecure = true\nprofile");
    for (text, through) in [(config(&six, ""), false), (far, true)] {
        let mut home = Home::new(Some(&text));
        server.write_profile(&home.config_dir());
        home.set("http_proxy", proxy.as_str());
        let daemon = home.start();
        let mut app = daemon.app("tester");
        app.put("things", "a", &json!({ "v": 1 }));
        let row = app.sync("things", if through { "failed" } else { "done" });
        if through {
            assert_eq!(row["error"]["name"], "server", "{row}");
            assert!(told.recv_timeout(wait::LONG).expect("a request to the proxy").contains("far.invalid"));
        } else {
            assert!(told.try_recv().is_err(), "this very host is asked directly");
            assert_eq!(server.rows("things")["a"], json!({ "v": 1 }));
        }
    }
}
