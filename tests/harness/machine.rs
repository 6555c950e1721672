//! Owns: a machine's systemd, real and apart: the first process of a process namespace, root of its own control group, with `/etc`,
//! `/usr/bin`, `/var/lib` and `/run` that nobody else sees. Must never know: what the units are for.
//!
//! It takes root, for the namespaces. What such a machine begins with, its targets, is empty, so that it comes up in an instant. Limits
//! of memory and of processes are not held there: it is given no controllers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal};

use crate::{
    servers,
    systemd::{GROUPS, program, remove},
    tally,
    wait::until,
};

/// Targets that units name, and that a machine has: of what they stand for, nothing is needed here.
const TARGETS: &[&str] = &["sysinit", "basic", "sockets", "shutdown", "multi-user", "network-online"];

/// What it consists of.
pub struct Parts<'a> {
    /// Programs, put into `/usr/bin`.
    pub programs: &'a [&'a Path],
    /// Units, users (`*.sysusers.conf`) and folders (`*.tmpfiles.conf`), as a package brings them.
    pub units: &'a Path,
    /// Shell, run as root before it starts.
    pub prepare: &'a str,
}

/// A machine that runs. It ends with its value, and its services with it.
pub struct Machine {
    child: Child,
    first: u32,
    group: String,
    dir: tempfile::TempDir,
}

impl Machine {
    /// Starts it. None: this is not root, so it cannot be done.
    ///
    /// # Panics
    /// When systemd is not here, or does not come up.
    #[must_use]
    pub fn start(parts: &Parts<'_>) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            tally::skip("a machine's systemd", "it needs root");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("mglm").tempdir_in("/tmp").expect("a folder for a machine");
        let group = format!("mingle-test-machine-{}", dir.path().file_name().unwrap_or_default().to_string_lossy());
        let child = Self::spawn(parts, dir.path(), &group);
        let mut machine = Self { child, first: 0, group, dir };
        machine.first = until("the machine's first process", || {
            assert!(machine.child.try_wait().is_ok_and(|ended| ended.is_none()), "it ended at its start");
            let id = machine.child.id();
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            let first = children.split_whitespace().next()?.parse().ok()?;
            fs::read_to_string(format!("/proc/{first}/comm")).is_ok_and(|name| name.trim() == "systemd").then_some(first)
        });
        until("the machine to come up", || {
            machine.ctl(&["is-active", "--quiet", "multi-user.target"]).status.success().then_some(())
        });
        Some(machine)
    }

    fn spawn(parts: &Parts<'_>, dir: &Path, group: &str) -> Child {
        let (dir, units) = (dir.display(), parts.units.display());
        let join = GROUPS.map(|root| {
            format!("{{ [ -w {root}/cgroup.procs ] && mkdir -p {root}/{group} && echo $$ > {root}/{group}/cgroup.procs; }}")
        });
        let mut script = format!("set -e\n{{ {}; }} 2>/dev/null\n", join.join("; "));
        script += &format!("mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system /run/lock\nmount -t tmpfs tmpfs {dir}\n");
        for over in ["/etc", "/usr/bin"] {
            let name = over.replace('/', "");
            script += &format!(
                "mkdir {dir}/{name} {dir}/{name}-work\n\
                 mount -t overlay overlay -o lowerdir={over},upperdir={dir}/{name},workdir={dir}/{name}-work {over}\n"
            );
        }
        script += "mount -t tmpfs tmpfs /var/lib\n";
        for program in parts.programs {
            script += &format!("install -m 755 {} /usr/bin/\n", program.display());
        }
        script += &format!("mkdir {dir}/units; cp {units}/*.service {units}/*.socket {dir}/units/\n");
        for target in TARGETS {
            script += &format!("printf '[Unit]\\nDefaultDependencies=no\\n' > {dir}/units/{target}.target\n");
        }
        script += &format!("systemd-sysusers {units}/*.sysusers.conf\nsystemd-tmpfiles --create {units}/*.tmpfiles.conf\n");
        script += parts.prepare;
        script += &format!(
            "\nexec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH={dir}/units container=mingle-test \
             unshare --pid --fork --kill-child --mount-proc --ipc --uts {} --system --unit=multi-user.target --show-status=no",
            program()
        );
        let mut command = servers::tied(&Command::new("unshare"));
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        servers::spawn(command).unwrap_or_else(|error| panic!("unshare: {error}"))
    }

    /// Runs something on it, as this user; none: as root.
    ///
    /// # Panics
    /// When `nsenter` or `setpriv` is not here.
    #[must_use]
    pub fn run(&self, user: Option<&str>, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--pid", "--"]);
        if let Some(user) = user {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"]);
        }
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command.output().unwrap_or_else(|error| panic!("nsenter: {error}; `apt-get install util-linux`"))
    }

    /// `systemctl` with these words.
    #[must_use]
    pub fn ctl(&self, words: &[&str]) -> Output {
        self.run(None, &[&["systemctl", "--no-pager"][..], words].concat())
    }

    /// One property of a unit.
    #[must_use]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let output = self.ctl(&["show", "--value", &format!("--property={name}"), unit]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Writes a file there, as root.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        let script = format!("mkdir -p $(dirname {path}); printf %s \"$1\" > {path}");
        let output = self.run(None, &["sh", "-c", &script, "sh", text]);
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Where its units lie.
    #[must_use]
    pub fn units(&self) -> PathBuf {
        self.dir.path().join("units")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whatever runs there ends with its first process.
        if let Some(pid) = i32::try_from(self.first).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        } else {
            let _ = self.child.kill();
        }
        // Which ends once all of them are gone.
        let _ = self.child.wait();
        for root in GROUPS {
            remove(&PathBuf::from(root).join(&self.group));
        }
    }
}
