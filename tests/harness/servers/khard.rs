//! Owns: khard, an address book on the command line, over a folder of `.vcf` files. Must never know: who else edits the files.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::install;

/// khard with one address book.
pub struct Khard {
    dir: tempfile::TempDir,
    folder: PathBuf,
}

impl Khard {
    /// Over this folder.
    ///
    /// # Panics
    /// When it cannot be installed or its configuration cannot be written.
    #[must_use]
    pub fn over(folder: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a folder for khard");
        let config = format!(
            "[addressbooks]\n[[book]]\npath = {}\n[general]\neditor = true\nmerge_editor = true\n[vcard]\npreferred_version = 3.0\n",
            folder.display()
        );
        fs::write(dir.path().join("khard.conf"), config).expect("a configuration of khard");
        Self { dir, folder: folder.into() }
    }

    /// What it prints for these words, where it is told this.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn says(&self, words: &[&str], told: &str) -> String {
        let mut command = Command::new(install::pim().join("khard"));
        command.arg("-c").arg(self.dir.path().join("khard.conf")).args(words).current_dir(&self.folder);
        command.env_clear().env("HOME", self.dir.path()).env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("khard: {error}"));
        // It may end without having read it.
        let _ = child.stdin.take().expect("a pipe").write_all(told.as_bytes());
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "khard {words:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Makes a contact of what a template says.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn new_contact(&self, template: &str) {
        let file = self.template(template);
        self.says(&["new", "-a", "book", "-i", &file], "");
    }

    /// The contact of this uid as a template.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    #[must_use]
    pub fn shows(&self, uid: &str) -> String {
        self.says(&["show", "--format", "yaml", &format!("uid:{uid}")], "")
    }

    /// Edits a contact: its template with another line in the place of one that begins so.
    ///
    /// # Panics
    /// When it ends badly, or there is no such line.
    #[track_caller]
    pub fn edit(&self, uid: &str, begins: &str, line: &str) {
        let shown = self.shows(uid);
        assert!(shown.lines().any(|one| one.trim_start().starts_with(begins)), "no line begins with {begins:?}: {shown}");
        let template: Vec<&str> =
            shown.lines().map(|one| if one.trim_start().starts_with(begins) { line } else { one }).collect();
        let file = self.template(&template.join("\n"));
        let said = self.says(&["edit", "-i", &file, &format!("uid:{uid}")], "yes\n");
        assert!(said.contains("Done"), "{said}");
    }

    /// Removes a contact.
    ///
    /// # Panics
    /// When it ends badly.
    #[track_caller]
    pub fn remove(&self, uid: &str) {
        self.says(&["remove", "--force", &format!("uid:{uid}")], "");
    }

    fn template(&self, text: &str) -> String {
        let file = self.dir.path().join("template.yaml");
        fs::write(&file, text).expect("a template");
        file.display().to_string()
    }
}
