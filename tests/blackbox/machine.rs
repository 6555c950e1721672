//! Owns: the machine's own daemon: the system's units as they are shipped, under a real systemd that is the first process of a machine of
//! its own. Must never know: how units are written.

use std::process::Output;

use mingle_tests::{
    daemon::{mingle, mingled},
    machine::{Machine, Parts},
    wait::until,
};

const SERVICE: &str = "mingled.service";
const STATUS: &str = "mingle-status.socket";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A machine with mingle and two more users: `viewer` of the group `bars`, and `other`.
fn machine(config: &str) -> Option<Machine> {
    let units = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/system");
    let prepare = format!(
        "systemd-sysusers --inline 'g bars 7777' 'u viewer 7001' 'm viewer bars' 'u other 7002'\n\
         mkdir /etc/mingle; printf '{}' > /etc/mingle/config.toml",
        config.replace('\n', "\\n")
    );
    Machine::start(&Parts { programs: &[mingled(), mingle()], units: &units, prepare: &prepare })
}

#[track_caller]
fn ctl(machine: &Machine, words: &[&str]) {
    let output = machine.ctl(words);
    assert!(output.status.success(), "{words:?}: {}{}", text(&output), text(&machine.ctl(&["status", SERVICE])));
}

/// `mingle` with these words, by this user, at one of the sockets; with the daemon's own places.
fn asks(machine: &Machine, user: &str, socket: &str, words: &[&str]) -> (Option<i32>, String) {
    let socket = format!("MINGLE_SOCKET=/run/{socket}");
    let places =
        ["HOME=/var/lib/mingle", "XDG_CONFIG_HOME=/etc", "XDG_DATA_HOME=/var/lib", "XDG_STATE_HOME=/var/lib/mingle/state"];
    let output = machine.run(Some(user), &[&["env", &socket][..], &places, &["mingle"], words].concat());
    (output.status.code(), text(&output))
}

const OWN: &str = "mingle/mingle.sock";
const LOOK: &str = "mingle-status/status.sock";

/// Started, used by its user and by nobody else, stopped, woken by its socket, killed: as it is shipped.
#[test]
fn the_machines_own_daemon_runs_as_it_is_shipped() {
    let Some(machine) = machine("[collection.notes]\n") else { return };
    ctl(&machine, &["start", "mingled.socket", STATUS, SERVICE]);
    let pid = machine.property(SERVICE, "MainPID");
    let process = text(&machine.run(None, &["cat", &format!("/proc/{pid}/status")]));
    let uid = text(&machine.run(None, &["id", "-u", "mingle"])).trim().to_owned();
    for line in [format!("Uid:\t{uid}\t{uid}").as_str(), "NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"] {
        assert!(process.contains(line), "{line}: {process}");
    }
    let modes =
        text(&machine.run(None, &["stat", "--format=%U %a %n", "/var/lib/mingle", "/run/mingle", "/run/mingle/mingle.sock"]));
    assert_eq!(modes, "mingle 700 /var/lib/mingle\nmingle 700 /run/mingle\nmingle 600 /run/mingle/mingle.sock\n");

    assert_eq!(asks(&machine, "mingle", OWN, &["put", "notes", "n1", "{\"n\":1}"]).0, Some(0));
    let (code, said) = asks(&machine, "other", OWN, &["get", "notes", "n1"]);
    assert!(code == Some(4) && said.contains("no permission"), "{code:?}: {said}");

    // The socket outlives the service, and who asks starts it.
    ctl(&machine, &["stop", SERVICE]);
    let (code, said) = asks(&machine, "mingle", OWN, &["get", "notes", "n1"]);
    assert!(code == Some(0) && said.contains("\"n\": 1"), "{code:?}: {said}");
    // Killed, it comes again by itself.
    let before = machine.property(SERVICE, "MainPID");
    ctl(&machine, &["kill", "--signal=KILL", SERVICE]);
    until("it to be started again", || (!["0", before.as_str()].contains(&&*machine.property(SERVICE, "MainPID"))).then_some(()));
    until("its answer", || (asks(&machine, "mingle", OWN, &["status"]).0 == Some(0)).then_some(()));
}

/// The group of the configuration and that of the socket's unit have to be one: `mingle doctor` says so, and how.
#[test]
fn a_group_may_look_once_configuration_and_unit_name_it() {
    let Some(machine) = machine("[collection.notes]\n[status]\ngroup = \"bars\"\n") else { return };
    ctl(&machine, &["start", "mingled.socket", STATUS, SERVICE]);
    // There is no bus on this machine, so systemd tells nobody of its units but root.
    let told = || {
        let (_, said) = asks(&machine, "root", OWN, &["doctor"]);
        let mut lines = said.lines().skip_while(|line| !line.contains("status socket: "));
        [lines.next(), lines.next()].map(|line| line.unwrap_or_default().to_owned()).join(" ")
    };
    let said = told();
    let parts =
        ["bad   status socket: [status] group is group 7777", "write SocketGroup=7777 and SocketMode=0660 below [Socket]"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    assert_ne!(asks(&machine, "viewer", LOOK, &["status"]).0, Some(0), "the unit lets nobody in");

    machine.write(
        &machine.units().join(format!("{STATUS}.d/group.conf")).display().to_string(),
        "[Socket]\nSocketGroup=7777\nSocketMode=0660\n",
    );
    ctl(&machine, &["daemon-reload"]);
    ctl(&machine, &["stop", SERVICE, STATUS]);
    ctl(&machine, &["start", STATUS, SERVICE]);
    let said = told();
    assert!(said.contains("good  status socket: "), "{said}");
    let (code, said) = asks(&machine, "viewer", LOOK, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = asks(&machine, "viewer", LOOK, &["list", "notes"]);
    assert!(code != Some(0) && said.contains("not served on the status socket"), "{code:?}: {said}");
    let (code, said) = asks(&machine, "other", LOOK, &["status"]);
    assert!(code == Some(4) && said.contains("no permission"), "{code:?}: {said}");
}
