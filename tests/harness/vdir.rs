//! Owns: `mingle vdir` as a process over a folder: run once, or kept running and ended in every way. Must never know: what it does there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal};

use crate::{
    daemon::Home,
    servers,
    wait::{self, until_within},
};

/// A folder that is in step with a collection whenever `mingle vdir` runs over it.
pub struct Vdir {
    dir: PathBuf,
    collection: String,
    child: Option<Child>,
}

impl Vdir {
    /// A folder of this name in a home.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(home: &Home, name: &str, collection: &str) -> Self {
        let dir = home.dir().join(name);
        fs::create_dir(&dir).expect("a folder of files");
        Self { dir, collection: collection.into(), child: None }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One meeting, with these words more; it must end with this code. What it said.
    ///
    /// # Panics
    /// When it ends with another one.
    #[track_caller]
    pub fn once(&self, home: &Home, code: i32, words: &[&str]) -> String {
        let dir = self.dir.display().to_string();
        home.says(code, &[&["vdir", &self.collection, &dir, "--once"], words].concat())
    }

    /// Starts it, to run until it is ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&mut self, home: &Home) {
        let log = File::options().append(true).create(true).open(self.log()).expect("a file for what it says");
        let again = log.try_clone().expect("a file for what it says");
        let mut command = home.command(&["vdir", &self.collection, &self.dir.display().to_string()]);
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        self.child = Some(servers::spawn(command).unwrap_or_else(|error| panic!("mingle vdir does not start: {error}")));
    }

    /// What it said while it ran.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.with_extension("said")
    }

    /// Waits until it has said this.
    ///
    /// # Panics
    /// When it does not in time.
    #[track_caller]
    pub fn until_said(&self, what: &str) {
        let look = || self.said().contains(what).then_some(());
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until_within("mingle vdir to say it", wait::LONG, look);
        }));
        assert!(found.is_ok(), "it never said {what:?}, but:\n{}", self.said());
    }

    /// Bytes that it has held in memory at most since it started.
    ///
    /// # Panics
    /// When it does not run, or the system does not tell.
    #[must_use]
    pub fn resident_bytes_most(&self) -> u64 {
        let pid = self.child.as_ref().expect("mingle vdir runs").id();
        servers::status_bytes(pid, "VmHWM:")
    }

    /// Ends it by a signal; its code where it ended by itself.
    ///
    /// # Panics
    /// When it does not run, or does not end in time.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        let mut child = self.child.take().expect("mingle vdir runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("a signal to our own child");
        until_within("mingle vdir to end", wait::LONG, || child.try_wait().ok().flatten()).code()
    }

    /// The text of every file that readers look at, by its name.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(&self.dir).expect("the folder").flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let ours = names.filter(|name| !name.starts_with('.') && (name.ends_with(".ics") || name.ends_with(".vcf")));
        // One may go between the two looks.
        ours.filter_map(|name| Some((name.clone(), fs::read_to_string(self.dir.join(&name)).ok()?))).collect()
    }

    /// Writes a file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("a file of the folder");
    }

    /// Removes one.
    ///
    /// # Panics
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.dir.join(name)).expect("a file of the folder, removed");
    }
}

impl Drop for Vdir {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "mingle vdir said:\n{}", self.said());
        }
    }
}
