//! Owns: `mingle service`, `mingle doctor` and `mingle logs` from outside: with a real systemd of a user where that can be had, with a
//! scripted `systemctl` for what a real one does not do on demand. Must never know: how units are written.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Home, mingled},
    servers,
    systemd::Systemd,
    wait::{self, until},
};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

const LOCAL: &str = "[collection.notes]\n";

/// A home with this as its only `systemctl`: it writes down what it was asked, and does what `script` says.
fn with_systemctl(config: &str, script: &str) -> Home {
    let mut home = Home::new(Some(config));
    let bin = home.dir().join("bin");
    fs::create_dir(&bin).expect("a folder for programs");
    let text = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{script}\n", home.dir().join("asked").display());
    fs::write(bin.join("systemctl"), text).expect("written");
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).expect("chmod");
    let path = std::env::var("PATH").unwrap_or_default();
    home.set("PATH", format!("{}:{path}", bin.display()));
    home
}

fn asked(home: &Home) -> String {
    fs::read_to_string(home.dir().join("asked")).unwrap_or_default()
}

/// Where the units of a home lie.
fn units(home: &Home) -> std::path::PathBuf {
    home.dir().join("c/systemd/user")
}

#[test]
fn without_systemd_it_says_so_and_what_to_do() {
    let home = with_systemctl(LOCAL, "echo 'Failed to connect to bus: No medium found' >&2; exit 1");
    for words in [["service", "install"], ["service", "restart"], ["service", "status"], ["service", "uninstall"]] {
        let said = home.says(1, &words);
        assert!(said.contains("systemd does not run for this user: Failed to connect to bus"), "{said}");
        assert!(said.contains("hint: start mingled by hand"), "{said}");
    }
    assert!(!units(&home).exists(), "nothing is written where nothing can be started");
    let mut home = Home::new(Some(LOCAL));
    home.set("PATH", "/nowhere");
    assert!(home.says(1, &["service", "install"]).contains("no systemctl"));
    let said = home.says(0, &["doctor"]);
    assert!(said.contains("odd   service: this machine has no systemctl"), "{said}");
}

#[test]
fn a_bad_configuration_and_a_daemon_by_hand_are_told_before_anything_is_written() {
    let home = with_systemctl("[sync.x]\nevry = 1\n", "exit 0");
    let said = home.says(1, &["service", "install"]);
    assert!(said.contains("the configuration cannot be used") && said.contains("`mingle config check`"), "{said}");
    assert!(!units(&home).exists());
    let daemon = with_systemctl(LOCAL, "exit 0").start();
    let said = daemon.says(1, &["service", "install"]);
    assert!(said.contains("runs already, and not as a service") && said.contains("`mingle shutdown`"), "{said}");
    assert!(!units(&daemon).exists());
}

#[test]
fn secrets_of_the_environment_are_warned_of_and_what_fails_is_said() {
    let config = "[remote.far]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"http://127.0.0.1:1\"\n\
                  auth = { type = \"bearer\", token = { env = \"FAR_TOKEN\" } }\n";
    let home = with_systemctl(config, "case \"$*\" in *enable*) echo 'Unit mingled.socket is masked.' >&2; exit 1;; esac");
    let said = home.says(1, &["service", "install"]);
    assert!(said.contains("remote far") && said.contains("FAR_TOKEN") && said.contains("does not reach a service"), "{said}");
    assert!(said.contains("Unit mingled.socket is masked.") && said.contains("mingle logs"), "{said}");
    let calls = asked(&home);
    assert!(
        calls.contains("--user --no-pager daemon-reload\n")
            && calls.contains("enable --now mingled.socket mingle-status.socket mingled.service\n"),
        "{calls}"
    );
}

#[test]
fn a_purge_waits_until_everything_is_sent() {
    // The remote is not there, so what is written waits.
    let config = "[remote.far]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"http://127.0.0.1:1\"\n\n[sync.things]\n\
                  collection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n[collection.notes]\n";
    let mut daemon = with_systemctl(config, "exit 0").start();
    daemon.app("tester").put("things", "a", &json!({ "n": 1 }));
    let said = daemon.says(5, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains("nothing was deleted: not everything is sent (things: 1 pending"), "{said}");
    // Nor does it count as sent where nothing is left that would send it.
    daemon.configure("[collection.things]\n[collection.notes]\n");
    daemon.says(5, &["reload"]);
    let said = daemon.says(5, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains("not everything is sent (things: 1 changes wait for a place"), "{said}");
    daemon.configure(config);
    daemon.says(0, &["reload"]);
    daemon.app("tester").delete("things", "a");
    let aside = daemon.store().with_file_name("store.db.corrupt-1");
    fs::write(&aside, "damaged").expect("written");
    let said = daemon.says(5, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains("store.db.corrupt-1 is a damaged store"), "{said}");
    fs::remove_file(&aside).expect("removed");
    // Sent is everything now, and still a person has to mean it, and no daemon may be at work.
    let said = daemon.says(2, &["service", "uninstall", "--purge"]);
    assert!(said.contains(&daemon.store().display().to_string()) && said.contains("--yes"), "{said}");
    let said = daemon.says(1, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains("a mingled still works on the store"), "{said}");
    daemon.terminate();
    let said = daemon.says(5, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains("whether all of it is sent is not known"), "{said}");
    assert!(daemon.store().exists() && daemon.lock().exists());
}

#[test]
fn logs_are_there_with_a_daemon_and_without_and_grow_louder() {
    let mut daemon = Home::new(Some(LOCAL));
    daemon.set("PATH", "/nowhere");
    let said = daemon.says(1, &["logs"]);
    assert!(said.contains("has logged nothing yet"), "{said}");
    let mut daemon = daemon.start();
    let pid = daemon.pid();
    until("the first line", || daemon.says(0, &["logs"]).contains("INFO mingled::run: started").then_some(()));
    daemon.signal(Signal::USR2);
    until("to be louder", || daemon.says(0, &["logs"]).contains("everything is logged").then_some(()));
    daemon.signal(Signal::USR2);
    until("to be quiet again", || daemon.says(0, &["logs"]).contains("what MINGLE_LOG says").then_some(()));
    let (status, _) = daemon.terminate();
    assert!(status.success());
    let last = daemon.says(0, &["logs", "-n", "1", "--json"]);
    let line: Value = serde_json::from_str(last.lines().next().expect("a line")).expect("JSON");
    assert!(line["line"].as_str().is_some_and(|line| line.contains("INFO")), "{last}");
    assert_eq!(daemon.says(0, &["logs", "-n", "2"]).lines().count(), 2);
    assert!(pid > 0);
}

#[test]
fn doctor_looks_with_a_daemon_and_without() {
    let home = Home::new(Some(LOCAL));
    let said = home.says(0, &["doctor"]);
    for part in ["good  configuration: 0 syncs", "good  lock: free", "good  store: ", "odd   daemon: mingled is not running"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let daemon = home.start();
    let said = daemon.says(0, &["doctor"]);
    for part in [&format!("good  lock: held by process {}", daemon.pid()), "good  daemon: version ", "is sound: instance"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let report: Value = serde_json::from_str(&daemon.says(0, &["doctor", "--json"])).expect("JSON");
    assert_eq!(report["good"], true, "{report}");
    fs::set_permissions(daemon.socket().parent().expect("in a folder"), fs::Permissions::from_mode(0o755)).expect("chmod");
    let said = daemon.says(1, &["doctor"]);
    assert!(said.contains("bad   socket directory: ") && said.contains("hint: chmod 700 "), "{said}");
}

/// Below a folder that the sandbox does not replace by one of its own.
fn home() -> Home {
    let folder = servers::root();
    fs::create_dir_all(&folder).expect("a folder for homes");
    let folder = folder.canonicalize().expect("a folder for homes");
    Home::new_in(&folder, Some(LOCAL))
}

fn pid_of(systemd: &Systemd) -> i32 {
    systemd.property("mingled.service", "MainPID").parse().unwrap_or(0)
}

/// The whole life of a service under a real systemd, with the whole sandbox.
#[test]
fn a_real_systemd_starts_it_watches_it_and_lets_it_go() {
    let home = home();
    let Some(systemd) = Systemd::start(&home) else { return };
    let said = home.says(3, &["service", "status"]);
    assert!(said.contains("no service is installed"), "{said}");
    let said = home.says(0, &["service", "install"]);
    assert!(said.contains("runs, and starts at login"), "{said}");
    let diagnosis = || String::from_utf8_lossy(&systemd.ctl(&["status", "mingled.service"]).stdout).into_owned();
    let mut app = App::try_connect(&home.socket(), "tester").unwrap_or_else(|error| panic!("{error}: {}", diagnosis()));
    app.put("notes", "n1", &json!({ "n": 1 }));
    let said = home.says(0, &["service", "status"]);
    assert!(said.contains("runs as a service") && said.contains("at login  yes") && said.contains("0 syncs"), "{said}");
    assert_eq!(systemd.property("mingled.service", "Type"), "notify");
    sandboxed(pid_of(&systemd), &home);

    // Installed twice is installed once; restarted it is another process, with the same data.
    let before = pid_of(&systemd);
    home.says(0, &["service", "install"]);
    home.says(0, &["service", "restart"]);
    let after = pid_of(&systemd);
    assert!(after != before && after > 0);
    let mut app = App::try_connect(&home.socket(), "tester").expect("a connection");
    assert_eq!(app.get("notes", "n1"), Some(json!({ "n": 1 })));

    // The socket outlives the service, and the next app starts it.
    assert!(systemd.ctl(&["stop", "mingled.service"]).status.success());
    assert_eq!(systemd.property("mingled.socket", "ActiveState"), "active");
    assert!(home.socket().exists(), "a stop takes the socket along");
    let mut app = App::try_connect(&home.socket(), "tester").expect("the socket starts it");
    assert_eq!(app.get("notes", "n1"), Some(json!({ "n": 1 })));

    // So does the socket that gives no data, and what it starts serves both.
    assert!(systemd.ctl(&["stop", "mingled.service"]).status.success());
    assert_eq!(systemd.property("mingle-status.socket", "ActiveState"), "active");
    let mut bar = App::try_connect(&home.status_socket(), "bar").expect("the status socket starts it");
    bar.must("status", json!({}));
    bar.refused("denied", "get", json!({ "collection": "notes", "id": "n1" }));
    let mut app = App::try_connect(&home.socket(), "tester").expect("a connection");
    assert_eq!(app.get("notes", "n1"), Some(json!({ "n": 1 })));
    // From an install that knew no unit for it: the daemon's own makes way.
    assert!(systemd.ctl(&["stop", "mingle-status.socket", "mingled.service"]).status.success());
    fs::remove_file(units(&home).join("mingle-status.socket")).expect("removed");
    assert!(systemd.ctl(&["daemon-reload"]).status.success());
    assert!(systemd.ctl(&["start", "mingled.service"]).status.success());
    assert!(home.status_socket().exists(), "it makes its own");
    home.says(0, &["service", "install"]);
    assert_eq!(systemd.property("mingle-status.socket", "ActiveState"), "active");
    App::try_connect(&home.status_socket(), "bar").expect("the status socket");

    // Killed, it comes again by itself.
    let killed = pid_of(&systemd);
    kill(killed, Signal::KILL);
    until("it to be started again", || (![0, killed].contains(&pid_of(&systemd))).then_some(()));

    // Standing still, it is fed to nobody: the watchdog ends it.
    let drop_in = units(&home).join("mingled.service.d/watchdog.conf");
    fs::write(&drop_in, "[Service]\nWatchdogSec=2\n").expect("written");
    assert!(systemd.ctl(&["daemon-reload"]).status.success());
    home.says(0, &["service", "restart"]);
    let fed = pid_of(&systemd);
    // Nothing can be waited for: that it is not ended while it works is what is to be seen.
    wait::pass(Duration::from_secs(5));
    assert_eq!(pid_of(&systemd), fed, "a daemon that works was ended: {}", diagnosis());
    kill(fed, Signal::STOP);
    until("the watchdog", || (![0, fed].contains(&pid_of(&systemd))).then_some(()));
    App::try_connect(&home.socket(), "tester").expect("and it answers again");
    fs::remove_file(drop_in).expect("removed");

    // A configuration that is not good ends it for good, until it is.
    home.configure("[sync.x]\nevry = 1\n");
    let said = home.says(1, &["service", "restart"]);
    assert!(said.contains("mingle logs"), "{said}");
    home.configure(LOCAL);
    home.says(0, &["service", "restart"]);

    // Removed, and the data stays; then the data too.
    let said = home.says(0, &["service", "uninstall"]);
    assert!(said.contains(&home.store().display().to_string()), "{said}");
    assert!(home.store().exists());
    assert!(
        !home.socket().exists() && fs::read_dir(units(&home)).expect("readable").flatten().all(|entry| entry.path().is_dir())
    );
    home.says(0, &["service", "install", "--no-sandbox"]);
    let said = home.says(0, &["service", "uninstall", "--purge", "--yes"]);
    assert!(said.contains(&format!("  {}", home.store().display())), "{said}");
    assert!(!home.store().parent().expect("in a folder").exists() && home.config_dir().join("config.toml").exists());
}

fn kill(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("a signal to a service of ours");
}

/// As the kernel sees it: no new privileges, system calls filtered, and a file system that can be written where our files are only.
fn sandboxed(pid: i32, home: &Home) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let has = |line: &str| {
        assert!(status.lines().any(|found| found.split_whitespace().collect::<Vec<_>>().join(" ") == line), "{line}: {status}");
    };
    has("NoNewPrivs: 1");
    has("Seccomp: 2");
    has("CapBnd: 0000000000000000");
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("its mounts");
    let may_write = |path: &Path| {
        // The last mount over the longest part of the path counts: its options are the sixth word.
        let over = mounts.lines().filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            path.starts_with(words.get(4)?).then(|| (words[4].len(), words[5].to_owned()))
        });
        over.max_by_key(|(length, _)| *length).is_some_and(|(_, options)| options.split(',').any(|option| option == "rw"))
    };
    for ours in [home.store(), home.lock(), home.socket()] {
        assert!(may_write(&ours), "{} must be writable: {mounts}", ours.display());
    }
    for other in [home.config_dir(), "/usr/bin".into(), mingled().to_path_buf(), "/etc/passwd".into()] {
        assert!(!may_write(&other), "{} must not be writable: {mounts}", other.display());
    }
}
