//! Owns: a cgroup for one daemon, of memory or of processes: made, entered, read, taken away; of version 1 or 2, whichever the machine has.
//! Must never know: what the daemon does in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A group that nobody else is in. It goes with its value.
pub struct Cage {
    path: PathBuf,
    unified: bool,
}

impl Cage {
    /// One of so many bytes; none where this machine does not let us make one (it takes root, as a rule).
    pub fn of(bytes: u64) -> Option<Self> {
        let name = format!("mingle-faults-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/memory").join(&name);
        if old.parent().is_some_and(Path::is_dir) {
            let cage = Self { path: old, unified: false };
            return cage.made(&[("memory.limit_in_bytes", bytes)]);
        }
        let cage = Self { path: Path::new("/sys/fs/cgroup").join(name), unified: true };
        // Swap would hide what does not fit.
        cage.made(&[("memory.max", bytes), ("memory.swap.max", 0)])
    }

    /// One where as many processes and threads may be as are in it, once [`Cage::close`] says so; none where it cannot be made.
    pub fn of_processes() -> Option<Self> {
        let name = format!("mingle-faults-pids-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/pids").join(&name);
        if old.parent().is_some_and(Path::is_dir) {
            return Self { path: old, unified: false }.made(&[]);
        }
        let cage = Self { path: Path::new("/sys/fs/cgroup").join(name), unified: true }.made(&[])?;
        cage.path.join("pids.max").exists().then_some(cage)
    }

    /// From now on no process or thread more than there are, or as many as may be wanted.
    pub fn close(&self, closed: bool) {
        let now = fs::read_to_string(self.path.join("pids.current")).expect("how many there are");
        fs::write(self.path.join("pids.max"), if closed { now.trim() } else { "max" }).expect("a limit of processes");
    }

    fn made(self, limits: &[(&str, u64)]) -> Option<Self> {
        fs::create_dir(&self.path).ok()?;
        for (name, value) in limits {
            let written = fs::write(self.path.join(name), value.to_string());
            // A machine without swap has no file for it.
            if written.is_err() && !name.contains("swap") {
                return None;
            }
        }
        Some(self)
    }

    /// The words before a command that put it inside.
    pub fn words(&self) -> Vec<String> {
        let enter = format!("echo $$ > '{}' && exec \"$@\"", self.path.join("cgroup.procs").display());
        ["/bin/sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
    }

    /// How often the system killed somebody in it for memory.
    pub fn kills(&self) -> u64 {
        let name = if self.unified { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.path.join(name)).expect("what happened in the cage");
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).expect("how often it killed")
    }

    /// Who is in it.
    pub fn inside(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // It is busy until the last process in it is gone; then a group without anybody in it does no harm.
        let _ = fs::remove_dir(&self.path);
    }
}
