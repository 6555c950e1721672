//! Owns: khal and todoman, a calendar and a list of tasks on the command line, over a folder of `.ics` files. Must never know: who else
//! edits the files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::install;

/// The folder of programs that has khal, khard and todoman.
///
/// # Panics
/// When they cannot be installed.
#[must_use]
pub fn programs() -> &'static Path {
    install::pim()
}

/// khal and todoman with one calendar.
pub struct Pim {
    dir: tempfile::TempDir,
    folder: PathBuf,
}

impl Pim {
    /// Over this folder.
    ///
    /// # Panics
    /// When they cannot be installed or their configuration cannot be written.
    #[must_use]
    pub fn over(folder: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a folder for khal");
        let times = "timeformat = %H:%M\ndateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\ndatetimeformat = %Y-%m-%d %H:%M\n\
                     longdatetimeformat = %Y-%m-%d %H:%M\nlocal_timezone = UTC\ndefault_timezone = UTC\n";
        let khal =
            format!("[calendars]\n[[work]]\npath = {}\n[default]\ndefault_calendar = work\n[locale]\n{times}", folder.display());
        let todoman = format!("path = \"{}\"\ndate_format = \"%Y-%m-%d\"\ntime_format = \"%H:%M\"\n", folder.display());
        for (name, text) in [("khal/config", khal), ("todoman/config.py", todoman)] {
            let path = dir.path().join("c").join(name);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder for a configuration");
            fs::write(path, text).expect("a configuration");
        }
        Self { dir, folder: folder.into() }
    }

    /// What khal prints for these words, where it is told this.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn khal(&self, words: &[&str], told: &str) -> String {
        self.says("khal", words, told)
    }

    /// What todoman prints for these words.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn todo(&self, words: &[&str]) -> String {
        self.says("todo", words, "")
    }

    /// Has khal give the event of this title another one.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn retitle(&self, title: &str, to: &str) {
        self.khal(&["edit", title], &format!("s\n{to}\nn\n"));
    }

    #[track_caller]
    fn says(&self, program: &str, words: &[&str], told: &str) -> String {
        let under = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(install::pim().join(program));
        command.args(words).current_dir(&self.folder).env_clear();
        command.env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("XDG_CONFIG_HOME", under("c")).env("XDG_DATA_HOME", under("d")).env("XDG_CACHE_HOME", under("k"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        // It may end without having read it.
        let _ = child.stdin.take().expect("a pipe").write_all(told.as_bytes());
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program} {words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}
