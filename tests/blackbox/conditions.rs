//! Owns: that syncs wait for the world, and runs end by it, as the real system tells of it: each constraint off and on, services and
//! buses that come and go, a machine that sleeps, and what the configuration says instead. Must never know: how the system is asked.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use mingle_tests::{
    app::App,
    bus::{Service, SystemBus},
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
    tally,
    wait::{self, until, until_within},
};
use serde_json::{Value, json};

mod wavers;

/// Far less than the 30 s after which the daemon would look by itself: what comes in this time came by a signal.
const BY_SIGNAL: Duration = Duration::from_secs(10);
/// An answer that comes so late is still under way when whatever is tested happens.
const LATE: Duration = Duration::from_secs(100);
/// More than those 30 s, on a busy machine.
const BY_LOOK: Duration = Duration::from_secs(60);

/// More than the time for which a service that is not heard any more is believed.
const AFTER_SILENCE: Duration = Duration::from_secs(30);

/// One constraint, and a sync of its own that needs it.
struct Need {
    sync: &'static str,
    constraint: &'static str,
    /// As holds and stop reasons name it, and what is said where it is not met.
    name: &'static str,
    has: &'static str,
    service: Service,
    /// A property of that service, its type, and how it is broken and well.
    property: [&'static str; 4],
}

const NEEDS: [Need; 5] = [
    Need {
        sync: "any",
        constraint: "network = \"any\"",
        name: "network",
        has: "no network",
        service: Service::NetworkManager,
        property: ["Connectivity", "u", "1", "4"],
    },
    Need {
        sync: "cheap",
        constraint: "network = \"unmetered\"",
        name: "network",
        has: "a metered network",
        service: Service::NetworkManager,
        property: ["Metered", "u", "1", "2"],
    },
    Need {
        sync: "plugged",
        constraint: "charging = true",
        name: "charging",
        has: "on battery",
        service: Service::UPower,
        property: ["OnBattery", "b", "true", "false"],
    },
    Need {
        sync: "full",
        constraint: "battery_not_low = true",
        name: "battery_not_low",
        has: "the battery is low",
        service: Service::UPower,
        property: ["WarningLevel", "u", "3", "1"],
    },
    Need {
        sync: "calm",
        constraint: "idle = true",
        name: "idle",
        has: "somebody uses the machine",
        service: Service::Logind,
        property: ["IdleHint", "b", "false", "true"],
    },
];

impl Need {
    fn set(&self, bus: &SystemBus, value: &str) {
        let [property, kind, ..] = self.property;
        match property {
            "WarningLevel" => bus.set_battery(property, (kind, value)),
            _ => bus.set(self.service, property, (kind, value)),
        }
    }

    fn breaks(&self, bus: &SystemBus) {
        self.set(bus, self.property[2]);
    }

    fn is_well(&self, bus: &SystemBus) {
        self.set(bus, self.property[3]);
    }
}

/// A daemon on a bus, with a sync of each list under its constraints. Each is due once a year; the service is on this machine, so
/// that only those need a network that say so.
struct World {
    bus: SystemBus,
    server: RestServer,
    daemon: Daemon,
    app: App,
}

fn config(url: &str, syncs: &[(&str, &str)], more: &str) -> String {
    let remote = format!("[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n{more}\n", RestServer::PROFILE);
    let sync = |(name, constraints): &(&str, &str)| {
        format!(
            "[sync.{name}]\ncollection = \"{name}\"\nremote = \"far\"\nresource = \"{name}\"\ndirection = \"down\"\n\
             every = \"365d\"\nconstraints = {{ {constraints} }}\n"
        )
    };
    syncs.iter().map(sync).fold(remote, |all, one| all + &one)
}

/// A bus on which all three services are.
fn served() -> SystemBus {
    let mut bus = SystemBus::start();
    [Service::NetworkManager, Service::UPower, Service::Logind].iter().for_each(|service| bus.play(*service, "{}"));
    bus
}

impl World {
    fn new(bus: SystemBus, syncs: &[(&str, &str)], options: Options) -> Self {
        let server = RestServer::start(options, &syncs.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let mut home = Home::new(Some(&config(&server.url, syncs, "")));
        home.set("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        server.write_profile(&home.config_dir());
        let daemon = home.start();
        let app = daemon.app("tester");
        Self { bus, server, daemon, app }
    }

    /// The hold of this name, of all that a sync has.
    fn hold(&mut self, sync: &str, name: &str) -> Option<Value> {
        let explained = self.app.must("explain", json!({ "sync": sync }));
        explained["holds"].as_array().expect("holds").iter().find(|hold| hold["name"] == name).cloned()
    }

    #[track_caller]
    fn held_within(&mut self, sync: &str, name: &str, within: Duration) -> String {
        let found = until_within(&format!("the hold {name} of {sync}"), within, || self.hold(sync, name));
        found["has"].as_str().expect("words").to_owned()
    }

    #[track_caller]
    fn free_within(&mut self, sync: &str, name: &str, within: Duration) {
        until_within(&format!("{sync} without the hold {name}"), within, || self.hold(sync, name).is_none().then_some(()));
    }

    /// Its runs, the newest first.
    fn runs(&mut self, sync: &str) -> Vec<Value> {
        self.app.must("history", json!({ "sync": sync, "limit": 10 }))["runs"].as_array().expect("runs").clone()
    }

    #[track_caller]
    fn last_within(&mut self, sync: &str, state: &str, within: Duration) -> Value {
        let what = format!("{sync} to be {state}");
        until_within(&what, within, || self.runs(sync).first().filter(|run| run["status"] == state).cloned())
    }

    /// A service that answers the next listing late, and a run that waits for it.
    #[track_caller]
    fn is_in_a_run(&mut self, sync: &str) -> String {
        self.server.next("GET", Fault::Lag(LATE));
        let _ = self.server.log();
        let run = self.app.run(sync);
        until("a request under way", || (!self.server.log().is_empty()).then_some(()));
        run
    }
}

/// Each constraint keeps its sync from running, and no other; lets it go the moment that it is met; and is told of again afterwards.
#[test]
fn each_constraint_off_and_on() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.breaks(&bus));
    let mut world = World::new(bus, &NEEDS.map(|need| (need.sync, need.constraint)), Options::default());
    for need in &NEEDS {
        let found = world.held_within(need.sync, need.name, BY_SIGNAL);
        // Where there is no network at all, that comes first.
        assert!(found == need.has || found == "no network", "{}: {found}", need.sync);
        assert!(world.daemon.says(0, &["explain", need.sync]).contains(&found));
    }
    for place in 0..NEEDS.len() {
        NEEDS[place].is_well(&world.bus);
        world.last_within(NEEDS[place].sync, "done", BY_SIGNAL);
        for later in &NEEDS[place + 1..] {
            assert_eq!(world.runs(later.sync), Vec::<Value>::new(), "{} ran", later.sync);
        }
    }
    for need in &NEEDS {
        need.breaks(&world.bus);
        assert_eq!(world.held_within(need.sync, need.name, BY_SIGNAL), need.has);
        let state = &world.app.status(need.sync)["state"];
        assert_eq!(state, "waiting", "its interval comes first");
        need.is_well(&world.bus);
        world.free_within(need.sync, need.name, BY_SIGNAL);
    }
    assert!(world.daemon.said().contains("the system bus tells"), "{}", world.daemon.said());
}

/// A constraint lost in mid-run ends it as `constraint:NAME`; that is no failure, and it goes on by itself once it is met again.
#[test]
fn a_constraint_lost_in_mid_run_ends_it_and_it_goes_on_by_itself() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.is_well(&bus));
    let mut world = World::new(bus, &NEEDS.map(|need| (need.sync, need.constraint)), Options::default());
    NEEDS.iter().for_each(|need| drop(world.last_within(need.sync, "done", BY_SIGNAL)));
    for need in &NEEDS {
        let sync = need.sync;
        let run = world.is_in_a_run(sync);
        need.breaks(&world.bus);
        let stopped = world.last_within(sync, "stopped", BY_SIGNAL);
        let reason = format!("constraint:{}", need.name);
        assert_eq!((&stopped["run"], &stopped["stop_reason"]), (&json!(run), &json!(reason)), "{sync}: {stopped}");
        // The row of the run is there before the run is put away.
        assert_eq!(world.held_within(sync, need.name, BY_SIGNAL), need.has);
        let status = world.app.status(sync);
        assert_eq!(status["state"], "blocked", "{sync}: {status}");
        assert_eq!(world.hold(sync, "backoff"), None, "{sync}: no failure is counted");
        need.is_well(&world.bus);
        let resumed = world.last_within(sync, "done", BY_SIGNAL);
        assert_ne!(resumed["run"], stopped["run"], "{sync}");
        assert_eq!(world.runs(sync).len(), 3, "{sync}: once at first, once stopped, once resumed");
    }
}

/// Where it went on is where it was: pages that were taken are not asked for again.
#[test]
fn a_run_that_a_constraint_ended_goes_on_at_its_checkpoint() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.breaks(&bus));
    let options = Options { page_rows_max: 10, ..Options::default() };
    let mut world = World::new(bus, &[("cheap", "network = \"unmetered\"")], options);
    for n in 0..50 {
        world.server.put("cheap", &format!("r{n:02}"), &json!({ "n": n }));
    }
    // Slow enough that it is caught between two pages.
    for _ in 0..20 {
        world.server.next("GET", Fault::Lag(Duration::from_millis(700)));
    }
    let [network, metered, ..] = &NEEDS;
    network.is_well(&world.bus);
    metered.is_well(&world.bus);
    until_within("a page", BY_LOOK, || (!world.app.all("cheap").is_empty()).then_some(()));
    metered.breaks(&world.bus);
    let stopped = world.last_within("cheap", "stopped", BY_SIGNAL);
    assert_eq!(stopped["stop_reason"], "constraint:network", "{stopped}");
    let taken = world.app.all("cheap").len();
    assert!(taken < 50, "it was over before it was stopped");
    let _ = world.server.log();
    metered.is_well(&world.bus);
    world.last_within("cheap", "done", BY_LOOK);
    assert_eq!(world.app.all("cheap").len(), 50);
    let asked = world.server.log();
    let first = asked.iter().find(|line| line.contains("rows=100")).unwrap_or_else(|| panic!("no page: {asked:#?}"));
    assert!(first.contains(&format!("page={taken}&")), "{taken} were taken, and it asked {asked:#?}");
}

/// `--force` passes what costs or disturbs; nothing passes a missing network.
#[test]
fn force_passes_what_costs_and_no_missing_network() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.breaks(&bus));
    NEEDS[0].is_well(&bus);
    let closed = "window = \"mon 00:00-00:01\"";
    let mut syncs = NEEDS.map(|need| (need.sync, need.constraint)).to_vec();
    syncs.push(("late", closed));
    let mut world = World::new(bus, &syncs, Options::default());
    for sync in ["cheap", "plugged", "full", "calm", "late"] {
        let need = NEEDS.iter().find(|need| need.sync == sync);
        need.into_iter().for_each(|need| drop(world.held_within(sync, need.name, BY_SIGNAL)));
        let hint = world.daemon.says(0, &["explain", sync]);
        // At that one minute of the week there is nothing to see.
        assert!(sync == "late" || hint.contains(&format!("mingle sync {sync} --force")), "{hint}");
        world.daemon.says(0, &["sync", sync, "--force"]);
        world.last_within(sync, "done", BY_SIGNAL);
    }
    NEEDS[0].breaks(&world.bus);
    assert_eq!(world.held_within("any", "network", BY_SIGNAL), "no network");
    world.app.must("sync.run", json!({ "sync": "any", "force": true }));
    assert_eq!(world.held_within("any", "network", BY_SIGNAL), "no network");
    NEEDS[0].is_well(&world.bus);
    world.free_within("any", "network", BY_SIGNAL);
}

/// Before the machine sleeps, runs end where they can go on, and only then it may; once it is awake they go on.
#[test]
fn before_a_sleep_runs_end_and_after_it_they_go_on() {
    let mut world = World::new(served(), &[("things", "network = \"none\"")], Options::default());
    world.last_within("things", "done", BY_SIGNAL);
    assert_eq!(world.bus.inhibitors(), 1, "mingled asks to be waited for");
    for _ in 0..2 {
        let run = world.is_in_a_run("things");
        world.bus.sleeps(true);
        let stopped = world.last_within("things", "stopped", BY_SIGNAL);
        assert_eq!((&stopped["run"], &stopped["stop_reason"]), (&json!(run), &json!("constraint:sleep")), "{stopped}");
        until_within("leave to sleep", BY_SIGNAL, || (world.bus.inhibitors() == 0).then_some(()));
        // Nothing passes it.
        world.app.must("sync.run", json!({ "sync": "things", "force": true }));
        assert_eq!(world.held_within("things", "sleep", BY_SIGNAL), "the machine goes to sleep");
        world.bus.sleeps(false);
        world.last_within("things", "done", BY_SIGNAL);
        until_within("to be waited for again", BY_SIGNAL, || (world.bus.inhibitors() == 1).then_some(()));
    }
    // With nothing under way it may sleep at once.
    world.bus.sleeps(true);
    until_within("leave to sleep", BY_SIGNAL, || (world.bus.inhibitors() == 0).then_some(()));
    // A logind that comes anew knows of no sleep.
    world.bus.leave(Service::Logind);
    world.free_within("things", "sleep", BY_SIGNAL);
    world.bus.play(Service::Logind, "{}");
    until_within("to be waited for again", BY_SIGNAL, || (world.bus.inhibitors() == 1).then_some(()));
    // And only its own word counts.
    world.bus.somebody_says_it_sleeps();
    let run = world.app.run("things");
    assert_eq!(world.app.ended(&run), "done");
}

/// What is not known passes, or holds where the sync says so; services that come and go, and a bus that does, are noticed.
#[test]
fn services_and_buses_come_and_go() {
    let syncs = [("lenient", "idle = true"), ("strict", "idle = true, unknown = \"holds\"")];
    let mut world = World::new(SystemBus::start(), &syncs, Options::default());
    world.last_within("lenient", "done", BY_SIGNAL);
    assert_eq!(world.held_within("strict", "idle", BY_SIGNAL), "whether somebody uses the machine is not known");
    world.bus.play(Service::Logind, "{\"IdleHint\": true}");
    world.last_within("strict", "done", BY_SIGNAL);
    world.bus.leave(Service::Logind);
    world.held_within("strict", "idle", AFTER_SILENCE);
    assert_eq!(world.hold("lenient", "idle"), None);
    world.bus.play(Service::Logind, "{\"IdleHint\": false}");
    assert_eq!(world.held_within("lenient", "idle", BY_SIGNAL), "somebody uses the machine");
    world.bus.end();
    world.free_within("lenient", "idle", AFTER_SILENCE);
    assert_eq!(world.held_within("strict", "idle", BY_SIGNAL), "whether somebody uses the machine is not known");
    world.bus.begin();
    world.bus.play(Service::Logind, "{\"IdleHint\": true}");
    world.free_within("strict", "idle", BY_LOOK);
}

/// The configuration has the last word, at a reload too; one that names no constraint there is, is refused with the line.
#[test]
fn the_configuration_says_how_the_world_is() {
    let bus = served();
    NEEDS.iter().for_each(|need| need.breaks(&bus));
    let syncs = NEEDS.map(|need| (need.sync, need.constraint));
    let mut world = World::new(bus, &syncs, Options::default());
    let url = world.server.url.clone();
    NEEDS.iter().for_each(|need| drop(world.held_within(need.sync, need.name, BY_SIGNAL)));
    let server = "[conditions]\nnetwork = \"online\"\npower = \"external\"\nidle = \"yes\"\n";
    world.daemon.configure(&config(&url, &syncs, server));
    world.daemon.says(0, &["reload"]);
    NEEDS.iter().for_each(|need| drop(world.last_within(need.sync, "done", BY_SIGNAL)));
    let wrong = config(&url, &[("any", "netwerk = \"any\"")], server);
    world.daemon.configure(&wrong);
    let said = world.daemon.says(2, &["reload"]);
    let line = 1 + wrong.lines().position(|line| line.contains("netwerk")).expect("the line");
    for word in [format!("config.toml:{line}"), "sync.any.constraints.netwerk".into(), "did you mean `network`".into()] {
        assert!(said.contains(&word), "{word} is not in {said}");
    }
    assert_eq!(world.app.must("sync.list", json!({}))["syncs"].as_array().map(Vec::len), Some(syncs.len()), "it stays in force");
    world.daemon.configure(&config(&url, &syncs, "[conditions]\nnetwork = \"offline\"\n"));
    world.daemon.says(0, &["reload"]);
    assert_eq!(world.held_within("any", "network", BY_SIGNAL), "no network");
    assert_eq!(world.held_within("plugged", "charging", BY_SIGNAL), "on battery");
}

/// A window that is closed holds, and says when it opens; under another, which is open, the run begins at once.
#[test]
fn a_window_holds_until_it_opens() {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = |ahead: i64| now.checked_add(jiff::Span::new().hours(ahead)).expect("an hour").strftime("%H:00").to_string();
    let (closed, open) = (format!("window = \"{}-{}\"", hour(2), hour(4)), format!("window = \"{}-{}\"", hour(-1), hour(2)));
    let zone = |syncs: &[(&str, &str)], url: &str| config(url, syncs, "") + "timezone = \"UTC\"\n";
    let mut world = World::new(SystemBus::start(), &[], Options::default());
    let server = RestServer::start(Options::default(), &["things"]);
    world.daemon.configure(&zone(&[("things", &closed)], &server.url));
    world.daemon.says(0, &["reload"]);
    assert_eq!(world.held_within("things", "window", BY_SIGNAL), "it is outside of its window");
    let status = world.app.status("things");
    assert_eq!(status["state"], "waiting", "{status}");
    let opens: jiff::Timestamp = status["next_at"].as_str().expect("when it opens").parse().expect("a moment");
    assert_eq!(opens.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M:%S").to_string(), format!("{}:00", hour(2)));
    assert_eq!(world.runs("things"), Vec::<Value>::new());
    world.daemon.configure(&zone(&[("things", &open)], &server.url));
    world.daemon.says(0, &["reload"]);
    world.last_within("things", "done", BY_SIGNAL);
    // It closes in the middle of a run.
    server.next("GET", Fault::Lag(LATE));
    let _ = server.log();
    let run = world.app.run("things");
    until("a request under way", || (!server.log().is_empty()).then_some(()));
    world.daemon.configure(&zone(&[("things", &closed)], &server.url));
    world.daemon.says(0, &["reload"]);
    let stopped = world.last_within("things", "stopped", BY_SIGNAL);
    assert_eq!((&stopped["run"], &stopped["stop_reason"]), (&json!(run), &json!("constraint:window")), "{stopped}");
}

/// With a bus that has nothing to say, a daemon that has nothing to do is not woken more than for its own look.
#[test]
fn a_quiet_bus_wakes_nobody() {
    let mut world = World::new(served(), &[("things", "network = \"none\"")], Options::default());
    world.last_within("things", "done", BY_SIGNAL);
    // What a start leaves to do (memory that is given back) is over.
    wait::pass(Duration::from_secs(8));
    let before = woken(world.daemon.pid());
    let watch = wait::Watch::start();
    wait::pass(Duration::from_secs(30));
    let woken = woken(world.daemon.pid()) - before;
    eprintln!("woken {woken} times in {:?}", watch.elapsed());
    // One look in 30 s wakes the timer's thread and those that it hands the look to.
    assert!(woken <= 24, "woken {woken} times in {:?}", watch.elapsed());
}

/// How often threads of a process went to sleep by themselves: each is a time that they were woken.
fn woken(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads").flatten();
    let of = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok())
    };
    tasks.filter_map(of).sum()
}

/// A disk of a size that can be changed.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None: nobody but root may make one.
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("mgd").rand_bytes(4).tempdir_in("/tmp").expect("a folder");
        let disk = Self(dir);
        disk.mount(&format!("size={size},mode=700")).then_some(disk)
    }

    fn grows(&self, size: &str) {
        assert!(self.mount(&format!("remount,size={size}")), "the disk grows");
    }

    fn mount(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Little room on the store's disk holds a sync that needs some, and ends when there is more.
#[test]
fn little_room_on_the_disk_holds_until_there_is_more() {
    let Some(disk) = Disk::new("64m") else {
        return tally::skip("a disk with little room", "only root may mount");
    };
    let server = RestServer::start(Options::default(), &["roomy", "small"]);
    let syncs = [("roomy", "storage_not_low = true"), ("small", "")];
    let home = Home::new_in(disk.0.path(), Some(&config(&server.url, &syncs, "")));
    server.write_profile(&home.config_dir());
    let daemon = home.start();
    let app = daemon.app("tester");
    let mut world = World { bus: SystemBus::start(), server, daemon, app };
    world.last_within("small", "done", BY_SIGNAL);
    assert_eq!(world.held_within("roomy", "storage_not_low", BY_SIGNAL), "little room on the disk");
    world.app.must("sync.run", json!({ "sync": "roomy", "force": true }));
    assert_eq!(world.held_within("roomy", "storage_not_low", BY_SIGNAL), "little room on the disk");
    disk.grows("1g");
    world.last_within("roomy", "done", BY_LOOK);
    let _ = world.is_in_a_run("roomy");
    disk.grows("64m");
    let stopped = world.last_within("roomy", "stopped", BY_LOOK);
    assert_eq!(stopped["stop_reason"], "constraint:storage_not_low", "{stopped}");
    disk.grows("1g");
    world.last_within("roomy", "done", BY_LOOK);
}
