//! Owns: checking the files for service managers, with systemd's own tools. Must never know: how to install them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::tree::root;

/// Each unit of systemd, whose manager it is for, and how exposed it may be (of 100; a bare unit has 96).
const UNITS: [(&str, &[&str], u32); 3] = [
    // What a unit of a user reaches without a user namespace.
    ("user", &["--user"], 64),
    // With what `mingle service install` adds.
    ("user with hardening.conf", &["--user"], 17),
    ("system", &[], 12),
];

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The values of a key in a unit file, in the order of their lines.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// Runs a tool that must be there: a check that is left out in silence is none.
fn tool(name: &str, package: &str, args: &[&str], runtime: &Path) -> Output {
    let output = Command::new(name).args(args).env("XDG_RUNTIME_DIR", runtime).output();
    output.unwrap_or_else(|error| panic!("{name}: {error}; install it with `apt-get install {package}`"))
}

#[test]
fn units_agree_with_the_daemon() {
    for kind in ["user", "system"] {
        let (service, socket) =
            (text(&format!("systemd/{kind}/mingled.service")), text(&format!("systemd/{kind}/mingled.socket")));
        let no_restart = values(&service, "RestartPreventExitStatus").join(" ");
        for code in [2, mingled::start::EXIT_CONFIG, mingled::start::EXIT_LOCKED] {
            assert!(
                no_restart.split(' ').any(|word| word == code.to_string()),
                "{kind}: {code} is not in RestartPreventExitStatus"
            );
        }
        assert_eq!(values(&service, "Type"), ["notify"]);
        assert_eq!(values(&service, "WatchdogSec"), ["60"]);
        assert_eq!(values(&service, "UMask"), ["0077"]);
        assert_eq!(
            values(&service, "RuntimeDirectory"),
            [""; 0],
            "{kind}: it would take the socket along when the service stops"
        );
        assert_eq!(values(&service, "ExecStart"), ["/usr/bin/mingled"]);
        assert_eq!((values(&socket, "SocketMode"), values(&socket, "DirectoryMode")), (vec!["0600"], vec!["0700"]));
        // Both are handed over together, and told apart by their names.
        let status = text(&format!("systemd/{kind}/mingle-status.socket"));
        assert_eq!(values(&status, "FileDescriptorName"), ["mingle-status"]);
        assert_eq!((values(&status, "Service"), values(&status, "SocketMode")), (vec!["mingled.service"], vec!["0600"]));
        assert_eq!(values(&service, "Wants").iter().filter(|units| units.contains("mingle-status.socket")).count(), 1);
        assert_eq!(values(&service, "Also"), ["mingled.socket mingle-status.socket"]);
    }
    let place = mingle_proto::place::socket(|name| (name == "XDG_RUNTIME_DIR").then(|| "/t".into())).expect("a place");
    let socket = text("systemd/user/mingled.socket");
    assert_eq!(values(&socket, "ListenStream"), [place.socket.display().to_string().replace("/t/", "%t/")]);
    let status = mingle_proto::place::status(&place).display().to_string().replace("/t/", "%t/");
    assert_eq!(values(&text("systemd/user/mingle-status.socket"), "ListenStream"), [status]);
}

/// The daemon of a machine finds its places by variables, and the socket of its unit by the same.
#[test]
fn the_system_unit_names_one_place_for_each_thing() {
    let service = text("systemd/system/mingled.service");
    let environment = values(&service, "Environment").join(" ");
    let environment: mingled::environment::Environment = environment.split(' ').filter_map(|pair| pair.split_once('=')).collect();
    let paths = mingled::paths::Paths::find(&environment).expect("places");
    assert_eq!(paths.config_file(), Path::new("/etc/mingle/config.toml"));
    assert_eq!(paths.store_file(), Path::new("/var/lib/mingle/store.db"));
    assert_eq!(paths.lock_file(), Path::new("/var/lib/mingle/state/mingle/mingled.lock"));
    let socket = text("systemd/system/mingled.socket");
    assert_eq!(values(&socket, "ListenStream"), [paths.socket.display().to_string()]);
    let status = text("systemd/system/mingle-status.socket");
    for for_a_group in [false, true] {
        assert_eq!(values(&status, "ListenStream"), [paths.status_socket(for_a_group).display().to_string()]);
    }
    assert_eq!(values(&service, "StateDirectory"), ["mingle"]);
    // The folder of the socket must be the user's own: a socket unit would make it root's.
    let user = values(&service, "User").join("");
    let folders = text("systemd/system/mingle.tmpfiles.conf");
    assert!(folders.lines().any(|line| line.split_whitespace().eq(["d", "/run/mingle", "0700", &user, &user])), "{folders}");
    let users = text("systemd/system/mingle.sysusers.conf");
    assert!(users.lines().any(|line| line.starts_with(&format!("u {user} "))), "{users}");
}

#[test]
fn systemd_accepts_the_units_and_their_exposure_is_bounded() {
    for (name, manager, exposure) in UNITS {
        let room = tempfile::tempdir().expect("a directory for the test");
        let path = |name: &str| room.path().join(name).display().to_string();
        let kind = name.split(' ').next().unwrap_or(name);
        // The daemon need not be installed where the files are checked.
        let service = text(&format!("systemd/{kind}/mingled.service")).replace("/usr/bin/mingled", "/bin/true");
        fs::write(path("mingled.service"), service).expect("written");
        fs::write(path("mingled.socket"), text(&format!("systemd/{kind}/mingled.socket"))).expect("written");
        fs::write(path("mingle-status.socket"), text(&format!("systemd/{kind}/mingle-status.socket"))).expect("written");
        if name.ends_with("hardening.conf") {
            fs::create_dir(path("mingled.service.d")).expect("made");
            fs::write(path("mingled.service.d/hardening.conf"), text("systemd/user/mingled.service.d/hardening.conf"))
                .expect("written");
        }
        let (service, socket, status) = (path("mingled.service"), path("mingled.socket"), path("mingle-status.socket"));
        let analyze = |words: &[&str]| tool("systemd-analyze", "systemd", &[manager, words].concat(), room.path());
        let output = analyze(&["verify", "--man=no", &service, &socket, &status]);
        let said = String::from_utf8_lossy(&output.stderr);
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains("mingle")).collect();
        assert!(output.status.success() && about_us.is_empty(), "{name}: {said}");

        let rated =
            |exposure: u32| analyze(&["security", "--offline=true", &format!("--threshold={exposure}"), "--no-pager", &service]);
        let output = rated(exposure);
        assert!(
            output.status.success(),
            "{name}: more exposed than {exposure} of 100\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!rated(exposure / 2).status.success(), "{name}: the gate lets everything through");
    }
}

/// A folder of files is served by the command that people run, with the socket of the daemon and no other.
#[test]
fn systemd_accepts_the_unit_of_folders() {
    let room = tempfile::tempdir().expect("a directory for the test");
    let unit = text("systemd/user/mingle-vdir@.service");
    assert_eq!(values(&unit, "ExecStart"), ["/usr/bin/mingle vdir %i"]);
    assert_eq!(values(&unit, "RestrictAddressFamilies"), ["AF_UNIX"]);
    let path = room.path().join("mingle-vdir@contacts.service").display().to_string();
    fs::write(&path, unit.replace("/usr/bin/mingle", "/bin/true")).expect("written");
    let output = tool("systemd-analyze", "systemd", &["--user", "verify", "--man=no", &path], room.path());
    let said = String::from_utf8_lossy(&output.stderr);
    let about_us: Vec<&str> = said.lines().filter(|line| line.contains("mingle")).collect();
    assert!(output.status.success() && about_us.is_empty(), "{said}");
}

#[test]
fn the_plist_can_be_read() {
    let room = tempfile::tempdir().expect("a directory for the test");
    let script = "import plistlib,sys; p=plistlib.load(open(sys.argv[1],'rb')); \
                  print(p['Label'], p['Umask'], p['KeepAlive']['SuccessfulExit'], p['ProgramArguments'], p['ExitTimeOut'])";
    let path = root().join("launchd/org.mingle.mingled.plist");
    let output = tool("python3", "python3", &["-c", script, &path.display().to_string()], room.path());
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = "org.mingle.mingled 63 False ['/usr/local/bin/mingled'] 15";
    assert_eq!(said.trim(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        path.file_stem().and_then(|name| name.to_str()),
        Some("org.mingle.mingled"),
        "launchd wants the label as the name"
    );
}
