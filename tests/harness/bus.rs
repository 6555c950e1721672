//! Owns: a bus of a test's own, and on it NetworkManager, UPower, logind and a desktop as python-dbusmock's templates play them. Must never
//! know: what a test asks of it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{
    servers::{spawn, tied},
    wait::until,
};

/// Debian's Python: the one whose packages are `python3-dbus` and `python3-dbusmock`.
const PYTHON: &str = "/usr/bin/python3";

/// What changes a service that is played.
const MOCK: &str = "org.freedesktop.DBus.Mock";

/// A service that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Networks.
    NetworkManager,
    /// Power.
    UPower,
    /// Sessions and sleep.
    Logind,
    /// What shows things on a desktop; what it is asked is written down.
    Notifications,
}

impl Service {
    fn template(self) -> &'static str {
        match self {
            Self::NetworkManager => "networkmanager",
            Self::UPower => "upower",
            Self::Logind => "logind",
            Self::Notifications => "notification_daemon",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NetworkManager => "org.freedesktop.NetworkManager",
            Self::UPower => "org.freedesktop.UPower",
            Self::Logind => "org.freedesktop.login1",
            Self::Notifications => "org.freedesktop.Notifications",
        }
    }

    fn path(self) -> String {
        format!("/{}", self.name().replace('.', "/"))
    }

    fn interface(self) -> String {
        format!("{}{}", self.name(), if self == Self::Logind { ".Manager" } else { "" })
    }
}

/// The bus. It ends with its value, and all that is on it.
pub struct SystemBus {
    dir: tempfile::TempDir,
    bus: Option<Child>,
    played: BTreeMap<Service, Child>,
}

impl SystemBus {
    /// With nothing on it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("mglbus").tempdir_in("/tmp").expect("a folder for a bus");
        let mut bus = Self { dir, bus: None, played: BTreeMap::new() };
        bus.begin();
        bus
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("bus")
    }

    /// Starts it, or starts it again where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub fn begin(&mut self) {
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>\n\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
             <allow own=\"*\"/></policy></busconfig>\n",
            self.address()
        );
        let file = self.dir.path().join("bus.conf");
        fs::write(&file, config).expect("a configuration of a bus");
        let _ = fs::remove_file(self.socket());
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg(format!("--config-file={}", file.display()));
        self.bus = Some(started(&command, "dbus-daemon (Debian: dbus-daemon)"));
        until("a bus", || self.busctl(&["status"]).is_some().then_some(()));
    }

    /// Ends it, and with it all that is on it.
    pub fn end(&mut self) {
        self.bus.iter_mut().chain(self.played.values_mut()).for_each(kill);
        self.bus = None;
        self.played.clear();
    }

    /// A service comes, with these properties of its template (a JSON object).
    ///
    /// # Panics
    /// When it does not.
    pub fn play(&mut self, service: Service, properties: &str) {
        let mut command = Command::new(PYTHON);
        let bus = if service == Service::Notifications { "--session" } else { "--system" };
        command.args(["-m", "dbusmock", bus, "--template", service.template(), "-p", properties, "--logfile"]);
        command.arg(self.log(service));
        let mut with_address = tied(&command);
        with_address.env("DBUS_SYSTEM_BUS_ADDRESS", self.address()).env("DBUS_SESSION_BUS_ADDRESS", self.address());
        with_address.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = spawn(with_address).expect("Debian's python3 with python3-dbusmock");
        until("a service on the bus (Debian: python3-dbusmock)", || {
            assert!(matches!(child.try_wait(), Ok(None)), "python3-dbusmock does not play {service:?}: is it installed?");
            self.busctl(&["call", service.name(), &service.path(), "org.freedesktop.DBus.Peer", "Ping"]).map(drop)
        });
        self.played.insert(service, child);
        if service == Service::NetworkManager {
            // Its template knows of no metered networks.
            let (path, interface) = (service.path(), service.interface());
            let words = ["call", service.name(), &path, MOCK, "AddProperty", "ssv", &interface, "Metered", "u", "2"];
            self.busctl(&words).expect("another property");
        }
    }

    fn log(&self, service: Service) -> std::path::PathBuf {
        self.dir.path().join(service.template())
    }

    /// What was shown on the desktop so far, with title and body.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log(Service::Notifications)).unwrap_or_default();
        // A body has lines of its own, and each call begins with the time.
        let mut calls: Vec<String> = Vec::new();
        for line in log.lines() {
            match calls.last_mut() {
                Some(call) if !line.starts_with(|one: char| one.is_ascii_digit()) => *call += &format!("\n{line}"),
                _ => calls.push(line.to_owned()),
            }
        }
        calls.retain(|call| call.contains(" Notify "));
        calls
    }

    /// A service goes.
    pub fn leave(&mut self, service: Service) {
        self.played.remove(&service).iter_mut().for_each(kill);
    }

    /// A property of a service is another now, and it says so. `value`: its signature, and how busctl writes it.
    ///
    /// # Panics
    /// When the service does not take it.
    #[track_caller]
    pub fn set(&self, service: Service, property: &str, value: (&str, &str)) {
        self.update(service, &service.path(), &service.interface(), property, value);
    }

    /// The same of the battery that is shown.
    ///
    /// # Panics
    /// When the service does not take it.
    #[track_caller]
    pub fn set_battery(&self, property: &str, value: (&str, &str)) {
        let path = "/org/freedesktop/UPower/devices/DisplayDevice";
        self.update(Service::UPower, path, "org.freedesktop.UPower.Device", property, value);
    }

    #[track_caller]
    fn update(&self, service: Service, path: &str, interface: &str, property: &str, (signature, value): (&str, &str)) {
        let mock = "org.freedesktop.DBus.Mock";
        let words =
            ["call", service.name(), path, mock, "UpdateProperties", "sa{sv}", interface, "1", property, signature, value];
        self.busctl(&words).unwrap_or_else(|| panic!("{service:?} does not take {property}"));
    }

    /// logind says that the machine goes to sleep, or is awake again.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn sleeps(&self, sleeps: bool) {
        let (service, manager, flag) = (Service::Logind, "org.freedesktop.login1.Manager", sleeps.to_string());
        let path = service.path();
        let object = ["call", service.name(), &path, MOCK, "EmitSignal", "sssav"];
        self.busctl(&[&object[..], &[manager, "PrepareForSleep", "b", "1", "b", &flag]].concat()).expect("logind says so");
    }

    /// Somebody who is not logind says that the machine goes to sleep.
    ///
    /// # Panics
    /// When the bus does not take it.
    #[track_caller]
    pub fn somebody_says_it_sleeps(&self) {
        let path = Service::Logind.path();
        let words = ["emit", &path, "org.freedesktop.login1.Manager", "PrepareForSleep", "b", "true"];
        self.busctl(&words).expect("the bus takes any signal");
    }

    /// How many hold up a sleep.
    ///
    /// # Panics
    /// When logind does not say.
    #[track_caller]
    #[must_use]
    pub fn inhibitors(&self) -> usize {
        let (service, manager) = (Service::Logind, "org.freedesktop.login1.Manager");
        let told = self.busctl(&["call", service.name(), &service.path(), manager, "ListInhibitors"]).expect("logind");
        // `a(ssssuu) COUNT ..`
        told.split_whitespace().nth(1).and_then(|count| count.parse().ok()).expect("a count")
    }

    /// What busctl prints; none: it failed.
    pub(crate) fn busctl(&self, words: &[&str]) -> Option<String> {
        let mut command = Command::new("busctl");
        command.arg(format!("--address={}", self.address())).arg("--timeout=10").args(words);
        let output = command.stdin(Stdio::null()).output().expect("busctl (Debian: systemd)");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for SystemBus {
    fn drop(&mut self) {
        self.end();
    }
}

fn started(command: &Command, who: &str) -> Child {
    assert!(Path::new(PYTHON).exists(), "{PYTHON} is not there (Debian: python3)");
    let mut command = tied(command);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    spawn(command).unwrap_or_else(|error| panic!("{who}: {error}"))
}

fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
