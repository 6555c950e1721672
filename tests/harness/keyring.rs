//! Owns: a real keyring (gnome-keyring) of a test's own, on a session bus of a test's own. Must never know: what a test keeps in it.

use std::{
    io::Write as _,
    process::{Child, Command, Output, Stdio},
};

use crate::{
    bus::SystemBus,
    servers::{spawn, tied},
    wait::until,
};

/// What opens the keyring of a test.
const PASSWORD: &[u8] = b"open";

/// Where it answers on its bus.
const SECRETS: &str = "org.freedesktop.secrets";

/// Its only lasting collection, as gnome-keyring names it.
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";

/// A keyring on a bus. Both end with their value.
pub struct Keyring {
    /// The session bus that it is on.
    pub bus: SystemBus,
    dir: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Keyring {
    /// Empty, and open.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("mglring").tempdir_in("/tmp").expect("a folder for a keyring");
        let mut keyring = Self { bus: SystemBus::start(), dir, daemon: None };
        keyring.open();
        keyring
    }

    /// It comes, or comes anew, and its password is given.
    ///
    /// # Panics
    /// When it does not start.
    pub fn open(&mut self) {
        self.leave();
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets", "--unlock"]);
        let mut command = tied(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.at_home(&mut command);
        let mut daemon = spawn(command).expect("gnome-keyring-daemon (Debian: gnome-keyring)");
        let mut stdin = daemon.stdin.take().expect("its standard input");
        stdin.write_all(PASSWORD).expect("it reads its password");
        drop(stdin);
        self.daemon = Some(daemon);
        until("an open keyring (Debian: gnome-keyring)", || self.is_locked().is_some_and(|locked| !locked).then_some(()));
    }

    /// It goes, and keeps what it has.
    pub fn leave(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            until("its name to be free", || self.is_locked().is_none().then_some(()));
        }
    }

    /// It is locked, as when nobody has logged in.
    ///
    /// # Panics
    /// When it does not lock.
    pub fn lock(&self) {
        let words = ["call", SECRETS, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service", "Lock", "ao", "1", LOGIN];
        self.bus.busctl(&words).expect("the keyring takes it");
        until("a locked keyring", || self.is_locked().filter(|locked| *locked));
    }

    fn is_locked(&self) -> Option<bool> {
        let words = ["get-property", SECRETS, LOGIN, "org.freedesktop.Secret.Collection", "Locked"];
        self.bus.busctl(&words).map(|said| said.trim() == "b true")
    }

    /// Keeps a secret there, as a person does with `secret-tool`; an item with just these attributes is written over.
    ///
    /// # Panics
    /// When it is not taken.
    pub fn keep(&self, attributes: &[&str], secret: &str) {
        let output = self.secret_tool(&[&["store", "--label=of a test"], attributes].concat(), secret);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What `secret-tool` finds there.
    #[must_use]
    pub fn find(&self, attributes: &[&str]) -> Option<String> {
        let output = self.secret_tool(&[&["lookup"], attributes].concat(), "");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Takes out what has these attributes.
    ///
    /// # Panics
    /// When it is not there.
    pub fn clear(&self, attributes: &[&str]) {
        assert!(self.secret_tool(&[&["clear"], attributes].concat(), "").status.success(), "{attributes:?} is not there");
    }

    fn secret_tool(&self, words: &[&str], input: &str) -> Output {
        let mut command = tied(&Command::new("secret-tool"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.at_home(&mut command);
        let mut child = spawn(command).expect("secret-tool (Debian: libsecret-tools)");
        child.stdin.take().expect("its standard input").write_all(input.as_bytes()).expect("it reads a secret");
        child.wait_with_output().expect("it ends")
    }

    fn at_home(&self, command: &mut Command) {
        let home = self.dir.path();
        command.env_remove("DISPLAY").env("HOME", home).env("XDG_RUNTIME_DIR", home);
        command.env("XDG_DATA_HOME", home.join("d")).env("XDG_CONFIG_HOME", home.join("c"));
        command.env("DBUS_SESSION_BUS_ADDRESS", self.bus.address());
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        // Before the bus, which would leave it alone with its files.
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
