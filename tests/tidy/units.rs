//! Owns: checking the files for service managers, with their own tools where these are there. Must never know: how to install them.

use std::{
    fs,
    process::{Command, Output},
};

use crate::tree::root;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The values of a key in a unit file, in the order of their lines.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// None: the tool is not on this machine.
fn tool(name: &str, args: &[&str], runtime: &std::path::Path) -> Option<Output> {
    match Command::new(name).args(args).env("XDG_RUNTIME_DIR", runtime).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{name} is not on this machine: its part of the check is left out");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn units_agree_with_the_daemon() {
    let (service, socket) = (text("systemd/mingled.service"), text("systemd/mingled.socket"));
    let no_restart = values(&service, "RestartPreventExitStatus").join(" ");
    for code in [2, mingled::start::EXIT_CONFIG, mingled::start::EXIT_LOCKED] {
        assert!(no_restart.split(' ').any(|word| word == code.to_string()), "{code} is not in RestartPreventExitStatus");
    }
    assert_eq!(values(&service, "Type"), ["notify"]);
    assert_eq!(values(&service, "UMask"), ["0077"]);
    assert_eq!(values(&service, "RuntimeDirectory"), [""; 0], "it would take the socket along when the service stops");
    let place = mingle_proto::place::socket(|name| (name == "XDG_RUNTIME_DIR").then(|| "/t".into())).expect("a place");
    assert_eq!(values(&socket, "ListenStream"), [place.socket.display().to_string().replace("/t/", "%t/")]);
    assert_eq!((values(&socket, "SocketMode"), values(&socket, "DirectoryMode")), (vec!["0600"], vec!["0700"]));
}

#[test]
fn systemd_accepts_the_units() {
    let room = tempfile::tempdir().expect("a directory for the test");
    let path = |name: &str| room.path().join(name).display().to_string();
    // The daemon need not be installed where the files are checked.
    let service = text("systemd/mingled.service").replace("%h/.cargo/bin/mingled", "/bin/true");
    fs::write(path("mingled.service"), service).expect("written");
    fs::write(path("mingled.socket"), text("systemd/mingled.socket")).expect("written");
    let (service, socket) = (path("mingled.service"), path("mingled.socket"));
    if let Some(output) = tool("systemd-analyze", &["--user", "verify", "--man=no", &service, &socket], room.path()) {
        let said = String::from_utf8_lossy(&output.stderr);
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains("mingled")).collect();
        assert!(output.status.success() && about_us.is_empty(), "{said}");
    }
    // 6.5 of 10 is what a user unit reaches without namespaces; a bare one has 9.6.
    let args = ["--user", "security", "--offline=true", "--threshold=65", "--no-pager", &service];
    if let Some(output) = tool("systemd-analyze", &args, room.path()) {
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_plist_can_be_read() {
    let room = tempfile::tempdir().expect("a directory for the test");
    let script = "import plistlib,sys; p=plistlib.load(open(sys.argv[1],'rb')); print(p['Label'], p['Umask'], p['KeepAlive']['SuccessfulExit'])";
    let path = root().join("launchd/org.mingle.mingled.plist").display().to_string();
    if let Some(output) = tool("python3", &["-c", script, &path], room.path()) {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), "org.mingle.mingled 63 False", "{}", String::from_utf8_lossy(&output.stderr));
    }
}
