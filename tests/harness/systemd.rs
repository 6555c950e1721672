//! Owns: a systemd of a user, real and apart: in a mount namespace and a control group of its own, with the folders of one home.
//! Must never know: the units that a test gives it.
//!
//! It takes root, for the namespace. The machine's own systemd, where there is one, does not hear of it.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};

use crate::{
    daemon::Home,
    servers, tally,
    wait::{self, until},
};

/// Where control groups are, by the ways that kernels are set up.
pub(crate) const GROUPS: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Where Debian and others put it.
const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// A manager that runs. It ends with its value, and its services with it.
pub struct Systemd {
    child: Child,
    group: String,
    environment: Vec<(String, String)>,
}

impl Systemd {
    /// Starts it in this home. None: this is not root, so it cannot be done.
    ///
    /// # Panics
    /// When systemd is not on this machine, or does not come up.
    #[must_use]
    pub fn start(home: &Home) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            tally::skip("a systemd apart from the machine's", "it needs root");
            return None;
        }
        let program = program();
        let group =
            format!("mingle-test-{}-{}", std::process::id(), home.dir().file_name().unwrap_or_default().to_string_lossy());
        // It refuses to run where the machine was not booted with systemd, by one folder below /run; and it would take every process
        // of its own group for one of its services.
        let join = GROUPS.map(|root| {
            format!("{{ [ -w {root}/cgroup.procs ] && mkdir -p {root}/{group} && echo $$ > {root}/{group}/cgroup.procs; }}")
        });
        let script = format!(
            "{{ {}; }} 2>/dev/null; mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec {program} --user",
            join.join("; ")
        );
        let mut command = servers::tied(&Command::new("unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let environment = home.environment();
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = servers::spawn(command).unwrap_or_else(|error| panic!("systemd: {error}"));
        let mut systemd = Self { child, group, environment };
        until("systemd to come up", || {
            assert!(systemd.child.try_wait().is_ok_and(|ended| ended.is_none()), "systemd ended at its start");
            systemd.ctl(&["show", "--property=Version"]).status.success().then_some(())
        });
        Some(systemd)
    }

    /// `systemctl --user` with these words.
    ///
    /// # Panics
    /// When it is not on this machine.
    #[must_use]
    pub fn ctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new("systemctl");
        command.args(["--user", "--no-pager"]).args(words).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.output().unwrap_or_else(|error| panic!("systemctl: {error}; `apt-get install systemd`"))
    }

    /// One property of a unit.
    #[must_use]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let output = self.ctl(&["show", "--value", &format!("--property={name}"), unit]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It stops its services, and goes.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let watch = wait::Watch::start();
        while matches!(self.child.try_wait(), Ok(None)) && watch.elapsed() < Duration::from_secs(20) {
            wait::pass(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for root in GROUPS {
            remove(&PathBuf::from(root).join(&self.group));
        }
    }
}

/// systemd itself.
pub(crate) fn program() -> &'static str {
    let program = PROGRAMS.iter().find(|path| fs::metadata(path).is_ok());
    program.unwrap_or_else(|| panic!("systemd is not on this machine: `apt-get install systemd`"))
}

/// A control group goes once those below it are gone.
pub(crate) fn remove(group: &std::path::Path) {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.path().is_dir() {
            remove(&below.path());
        }
    }
    let _ = fs::remove_dir(group);
}
