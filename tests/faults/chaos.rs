//! Owns: chaos with real processes (T5): one daemon, five apps in processes of their own, a service behind a proxy; edits at all
//! places under partitions, kills, pauses and restarts. Then all is healed: within three rounds everybody reads the same, nothing
//! waits, and whatever was acknowledged is accounted for. Must never know: how any of it is done.
//!
//! `MINGLE_CHAOS` says how often (2 in a plain test run, on each service in turn), `MINGLE_CHAOS_SECONDS` how long each (4),
//! `MINGLE_SEED` what happens.

mod far;
mod history;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use mingle_tests::{
    chance::Chance,
    daemon::{Daemon, Home},
    proxy::{End, Fault, Passed, Proxy, Way},
    rest_server::{Options, RestServer},
    servers::{self, Kinto, PocketBase},
    tally,
    wait::{self, Watch, until_within},
    wire,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::{
    far::Far,
    history::{History, Told},
};

/// Apps at once.
const APPS: u64 = 5;
/// Whatever is done to somebody lasts so long at most.
const FAULT: Duration = Duration::from_millis(1200);
/// One in so many requests meets a fault.
const FAULT_IN: u64 = 3;
/// Rounds after which everything must be settled.
const ROUNDS: usize = 3;

type Shared = Arc<Mutex<History>>;

fn lock(history: &Shared) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An app's process.
struct Process {
    child: Child,
    line: Option<ChildStdin>,
    reader: JoinHandle<Option<Value>>,
    quiet: Arc<AtomicBool>,
}

impl Process {
    fn start(daemon: &Daemon, name: &str, seed: u64, history: &Shared) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-app"));
        command.arg(daemon.socket()).arg(name).arg(seed.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = servers::spawn(command).expect("an app");
        let line = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("its lines")).lines();
        let quiet = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (history, quiet) = (Arc::clone(history), Arc::clone(&quiet));
            move || {
                let mut mirror = None;
                // A line that a kill cut off was not acknowledged to anybody.
                for line in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<Value>(&line).ok()) {
                    if line["quiet"] == true {
                        quiet.store(true, SeqCst);
                    } else if line.get("mirror").is_some() {
                        mirror = Some(line["mirror"].clone());
                    } else {
                        lock(&history).heard(&line);
                    }
                }
                mirror
            }
        });
        Self { child, line, reader, quiet }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("a signal to our own child");
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("its end");
        self.reader.join().expect("its reader");
    }

    fn stop_editing(&mut self) {
        if let Some(mut line) = self.line.take() {
            line.write_all(b"enough\n").expect("its ear");
        }
    }

    /// What it read in the end.
    fn mirror(mut self) -> Option<Value> {
        until_within("an app to end", Duration::from_secs(60), || self.child.try_wait().ok().flatten());
        self.reader.join().expect("its reader")
    }
}

/// What one chaos came to.
struct Report {
    acknowledged: usize,
    conflicts: usize,
    faults: u64,
    rounds: usize,
    wrong: Vec<String>,
}

fn configured(far: &Far, proxy: &Proxy) -> Home {
    let (profile, resource, auth) = match far {
        Far::Scripted(_) => (RestServer::PROFILE, "things", ""),
        Far::Kinto(_, collection) => (
            "kinto",
            collection.as_str(),
            "auth = { type = \"basic\", username = \"me\", password = { file = \"kinto.secret\" } }",
        ),
        Far::PocketBase(_, collection) => {
            ("pocketbase", collection.as_str(), "auth = { type = \"bearer\", token = { file = \"pocketbase.secret\" } }")
        }
    };
    let home = Home::new(Some(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{profile}\"\nurl = \"{}\"\n{auth}\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\nevery = \"1s\"\n\
         stall = \"3s\"\non_change = {{ after = \"10ms\", at_most = \"50ms\" }}\nbackoff = {{ first = \"50ms\", at_most = \"400ms\" }}\n",
        proxy.url
    )));
    if let Far::Scripted(server) = far {
        server.write_profile(&home.config_dir());
    }
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    if let Far::PocketBase(base, _) = far {
        home.write("pocketbase.secret", &base.token);
    }
    home
}

/// What requests meet by chance, all along.
fn faults() -> Vec<Fault> {
    let mut all: Vec<Fault> = [End::Closed, End::Reset]
        .into_iter()
        .flat_map(|end| [Fault::Unheard(end), Fault::Lost(end), Fault::Truncated(120, end)])
        .collect();
    // Mostly it is late, so that somebody edits while a request is under way.
    all.extend([5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150].map(|ms| Fault::Delay(Duration::from_millis(ms))));
    all.push(Fault::Trickle(40, Duration::from_millis(2)));
    all.push(Fault::Twice);
    all.push(Fault::Typed("text/html"));
    all.push(Fault::Instead(wire::response(503, &[], "")));
    all.push(Fault::Replaced(wire::response(500, &[], "")));
    all
}

/// Does one thing to somebody, and takes it back.
fn strike(
    chance: &mut Chance,
    daemon: &mut Daemon,
    apps: &mut Vec<Process>,
    proxy: &Proxy,
    mut start: impl FnMut(&Daemon) -> Process,
) {
    let time = chance.time(FAULT);
    let at = usize::try_from(chance.below(APPS)).unwrap_or(0);
    match chance.below(9) {
        0 => proxy.partition(Way::In),
        1 => proxy.partition(Way::Out),
        2 => proxy.partition(Way::Both),
        3 | 4 => {
            daemon.kill();
            wait::pass(time / 4);
            daemon.start();
        }
        5 => {
            daemon.terminate();
            daemon.start();
        }
        6 => {
            daemon.freeze();
            wait::pass(time);
            daemon.signal(Signal::CONT);
        }
        7 => {
            apps.swap_remove(at).kill();
            apps.push(start(daemon));
        }
        _ => {
            apps[at].signal(Signal::STOP);
            wait::pass(time);
            apps[at].signal(Signal::CONT);
            proxy.drop_connections();
        }
    }
    wait::pass(time);
}

/// One chaos of this length, with a bug planted in the daemon or none.
fn chaos(far: Far, seed: u64, length: Duration, planted: Option<&str>) -> Report {
    let far = Arc::new(far);
    let proxy = Proxy::before(far.url());
    let mut home = configured(&far, &proxy);
    if let Some(bug) = planted {
        home.set("MINGLE_PLANTED", bug);
    }
    let mut daemon = home.start();
    let mut chance = Chance::new(seed);
    let history = Shared::default();
    let mut lives = 0;
    let mut start = |daemon: &Daemon| {
        lives += 1;
        Process::start(daemon, &format!("c{}x{lives}", lives % APPS), seed.wrapping_add(lives), &history)
    };
    let mut apps: Vec<Process> = (0..APPS).map(|_| start(&daemon)).collect();
    let over = Arc::new(AtomicBool::new(false));
    let user = std::thread::spawn({
        let (far, over, history) = (Arc::clone(&far), Arc::clone(&over), Arc::clone(&history));
        let mut chance = Chance::new(seed ^ 0xfa);
        move || {
            for count in 1.. {
                if over.load(SeqCst) {
                    break;
                }
                let mut of_ours = History::default();
                far.edit(&mut chance, count, &mut of_ours);
                lock(&history).take(of_ours);
                wait::pass(chance.time(Duration::from_millis(80)));
            }
        }
    });
    let watch = Watch::start();
    proxy.draw(seed, FAULT_IN, faults());
    while watch.elapsed() < length {
        strike(&mut chance, &mut daemon, &mut apps, &proxy, &mut start);
        // A partition ends, and what it held back arrives; requests go on meeting faults.
        let met = proxy.faults();
        proxy.heal();
        proxy.draw(seed.wrapping_add(met), FAULT_IN, faults());
    }
    // Heal: nobody edits any more.
    proxy.heal();
    over.store(true, SeqCst);
    user.join().expect("the user at the service");
    apps.iter_mut().for_each(Process::stop_editing);
    until_within("the apps to be quiet", Duration::from_secs(60), || apps.iter().all(|app| app.quiet.load(SeqCst)).then_some(()));
    let mut wrong = Vec::new();
    let mut app = daemon.app("looker");
    let mut rounds = 0;
    let settled = loop {
        rounds += 1;
        let run = app.run("things");
        let end = app.ended(&run);
        let status = app.status("things");
        let (truth, theirs) = (far.compared(&app.all("things")), far.compared(&far.all()));
        let equal = truth == theirs;
        if equal && end == "done" && status["pending"] == 0 && status["rejections"] == 0 {
            break true;
        }
        if rounds == ROUNDS {
            wrong.push(format!("stuck: after {ROUNDS} rounds {end}, equal: {equal}, {status}"));
            wrong.extend(crate::net::differing(&truth, &theirs));
            wrong.push(app.must("rejection.list", json!({}))["rejections"].to_string());
            break false;
        }
    };
    // Everybody reads the same: each app its own mirror, fed by the subscription that went through all of it.
    app.put("things", "the-end", &json!({}));
    let truth = app.all("things");
    for (at, process) in apps.into_iter().enumerate() {
        match process.mirror() {
            Some(mirror) if mirror == json!(truth) => {}
            Some(mirror) => {
                let mirror = mirror.as_object().into_iter().flatten().map(|(id, data)| (id.clone(), data.clone())).collect();
                wrong.push(format!("app {at} reads otherwise: {:?}", crate::net::differing(&truth, &mirror)));
            }
            None => wrong.push(format!("app {at} did not tell what it read")),
        }
    }
    if settled {
        let run = app.run("things");
        let _ = app.ended(&run);
        wrong.extend(crate::net::differing(&far.compared(&app.all("things")), &far.compared(&far.all())));
    }
    assert_eq!(daemon.terminate().0.code(), Some(0));
    let told = Told::by(&daemon.store()).expect("the store");
    let history = lock(&history);
    let passed: Vec<Passed> = proxy.passed().into_iter().filter(Passed::changes).collect();
    let (mut made, mut made_again) = (BTreeSet::new(), BTreeSet::new());
    for one in passed.iter().filter(|one| one.status == Some(201)) {
        let id = one.target.rsplit('/').next().unwrap_or_default().to_owned();
        if !made.insert(id.clone()) {
            made_again.insert(id);
        }
    }
    wrong.extend(history.unaccounted(&truth, &told, &made_again));
    if !wrong.is_empty() {
        let passed: Vec<String> = passed.iter().map(|one| format!("{one:?}")).collect();
        wrong.push(format!("changes that went by:\n  {}", passed.join("\n  ")));
    }
    Report { acknowledged: history.len(), conflicts: told.conflicted, faults: proxy.faults(), rounds, wrong }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A service, in turn: one of ours, and two real ones, of which the second takes no preconditions.
fn service(at: u64) -> (&'static str, Far) {
    match at % 3 {
        0 => ("own", Far::Scripted(RestServer::start(Options::default(), &["things"]))),
        1 => {
            let kinto = Kinto::shared();
            let collection = kinto.collection();
            ("kinto", Far::Kinto(kinto, collection))
        }
        _ => {
            let base = PocketBase::shared();
            let fields: Value = ["p0", "p1", "p2"].into_iter().map(|name| json!({ "name": name, "type": "json" })).collect();
            let collection = base.collection(&fields);
            ("pocketbase", Far::PocketBase(base, collection))
        }
    }
}

#[test]
fn after_any_chaos_everybody_reads_the_same_and_nothing_is_lost() {
    let (times, length) = (number("MINGLE_CHAOS", 2), Duration::from_secs(number("MINGLE_CHAOS_SECONDS", 4)));
    let first = Chance::seed(23);
    let mut failed = Vec::new();
    // The real service stays for all of them.
    let _kinto = Kinto::shared();
    let all: Vec<u64> = (0..times).collect();
    // Two at a time: most of one is waiting.
    for pair in all.chunks(2) {
        let ended: Vec<(u64, &str, Report)> = std::thread::scope(|scope| {
            let begin = |at: &u64| {
                let (seed, (name, far)) = (first.wrapping_add(*at), service(*at));
                scope.spawn(move || (seed, name, chaos(far, seed, length, None)))
            };
            let begun: Vec<_> = pair.iter().map(begin).collect();
            begun.into_iter().map(|one| one.join().expect("a chaos that comes to its end")).collect()
        });
        for (seed, name, report) in ended {
            eprintln!(
                "chaos, seed {seed}: {name}: {} acknowledged, {} conflicts, {} requests met a fault, settled in {} rounds, {} wrong",
                report.acknowledged,
                report.conflicts,
                report.faults,
                report.rounds,
                report.wrong.len()
            );
            assert!(report.acknowledged > 20, "seed {seed}: only {} edits", report.acknowledged);
            if !report.wrong.is_empty() {
                failed.push(format!("seed {seed}, {name}:\n{}", report.wrong.join("\n")));
            }
        }
    }
    tally::tell("chaos", times, failed.len() as u64);
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// Whether chaos can see anything at all: a bug that takes restarts, several apps and commits between them must show, mostly within six
/// (a busy processor lets apps come again in other orders).
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_show_in_chaos() {
    for bug in mingle_core::planted::found_by(mingle_core::planted::Finder::Chaos) {
        let first = Chance::seed(23);
        let found = (first..first + 24).find_map(|seed| {
            let far = Far::Scripted(RestServer::start(Options::default(), &["things"]));
            let report = chaos(far, seed, Duration::from_secs(4), Some(bug));
            report.wrong.into_iter().next().map(|wrong| (seed, wrong))
        });
        eprintln!("chaos, planted: {bug}: {found:?}");
        assert!(found.is_some(), "chaos does not see {bug:?}");
    }
}
