//! Owns: vdirsyncer, which keeps a folder of files in step with a collection of a DAV server. Must never know: who else writes there.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use super::{Dav, install};

/// vdirsyncer with one folder and one collection.
pub struct Vdirsyncer {
    dir: tempfile::TempDir,
}

impl Vdirsyncer {
    /// Beside the collection at this path of a server; its folder is empty.
    ///
    /// # Panics
    /// When it cannot be installed, or does not find the collection.
    #[must_use]
    pub fn beside(server: &Dav, path: &str, is_calendar: bool) -> Self {
        let dir = tempfile::tempdir().expect("a folder for vdirsyncer");
        let (kind, ending) = if is_calendar { ("caldav", ".ics") } else { ("carddav", ".vcf") };
        let (place, url, (account, password)) = (dir.path().display(), &server.url, Dav::ACCOUNT);
        let config = format!(
            "[general]\nstatus_path = \"{place}/status/\"\n\n\
             [pair all]\na = \"here\"\nb = \"there\"\ncollections = null\n\n\
             [storage here]\ntype = \"filesystem\"\npath = \"{place}/folder/\"\nfileext = \"{ending}\"\n\n\
             [storage there]\ntype = \"{kind}\"\nurl = \"{url}{path}\"\nusername = \"{account}\"\npassword = \"{password}\"\n"
        );
        fs::write(dir.path().join("config"), config).expect("a configuration of vdirsyncer");
        let this = Self { dir };
        this.begin();
        this
    }

    /// Forgets all that it brought.
    ///
    /// # Panics
    /// When it does not find the collection.
    pub fn begin(&self) {
        for folder in ["folder", "status"] {
            let _ = fs::remove_dir_all(self.dir.path().join(folder));
            fs::create_dir(self.dir.path().join(folder)).expect("a folder of vdirsyncer");
        }
        self.says(&["discover"]);
    }

    /// It, with these words.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(install::vdirsyncer().join("vdirsyncer"));
        command.arg("-c").arg(self.dir.path().join("config")).args(words).current_dir(self.dir.path());
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command
    }

    /// What it says to these words; it must not end badly.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        let output = self.ends(words);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "vdirsyncer {words:?}: {said}");
        said
    }

    fn ends(&self, words: &[&str]) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("vdirsyncer: {error}"));
        // Whatever it wants to have confirmed; it may end without having read it.
        let _ = child.stdin.take().expect("a pipe").write_all(b"y\ny\n");
        child.wait_with_output().expect("its end")
    }

    /// Brings both sides in step; what it did to which item, in its own words, a line each.
    ///
    /// # Panics
    /// When it ends badly: a conflict, say.
    #[track_caller]
    pub fn sync(&self) -> Vec<String> {
        let said = self.says(&["sync"]);
        let did = |line: &&str| ["Copying", "Deleting"].iter().any(|word| line.contains(word));
        said.lines().filter(did).map(str::to_owned).collect()
    }

    /// Looks through the collection at the server, and mends what is wrong with its items; what it complained of, a line each.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn repair(&self) -> Vec<String> {
        let said = self.says(&["repair", "there"]);
        let complains = |line: &&str| ["warning:", "error:", "critical:"].iter().any(|word| line.starts_with(word));
        // Before it looks at the first item it warns of itself.
        let items = said.lines().skip_while(|line| !line.contains("] Processing"));
        items.filter(complains).map(str::to_owned).collect()
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("folder")
    }

    /// The text of every file, by its name.
    ///
    /// # Panics
    /// When one cannot be read.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(self.folder()).expect("its folder").map(|entry| entry.expect("a file"));
        let text = |path: PathBuf| fs::read_to_string(path).expect("a file");
        files.map(|file| (file.file_name().to_string_lossy().into_owned(), text(file.path()))).collect()
    }

    /// Writes a file anew, as somebody who edits the folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).expect("a file");
    }

    /// Removes one.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder().join(name)).expect("a file that goes");
    }
}
