//! Owns: file systems of a test's own, in a file or in memory, under the data of a home; cut off, made read-only, taken away. Must never
//! know: what is on them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use mingle_tests::{daemon::Home, wait::until};

use super::shim::compiled;

/// Why no file system can be made here, where none can.
pub fn why_not(makers: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root mounts".to_owned());
    }
    if makers.iter().any(|maker| maker.starts_with("mkfs")) && !Path::new("/dev/loop-control").exists() {
        return Some("there are no loop devices".to_owned());
    }
    let missing =
        |maker: &&&str| !["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(maker).exists());
    makers.iter().find(missing).map(|maker| format!("{maker} is not installed"))
}

fn ran(command: &str, words: &[&str]) -> Output {
    Command::new(command).args(words).output().unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Runs a command of the system that must succeed.
///
/// # Panics
/// When it does not.
pub fn must(command: &str, words: &[&str]) {
    let output = ran(command, words);
    assert!(output.status.success(), "{command} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system at a folder. It goes away with its value: to be made before the daemon, whose end comes first then.
pub struct Mount {
    at: PathBuf,
    image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    /// A new file system of this kind (`ext4`, `xfs`) and size, under the data of a home.
    pub fn new(kind: &str, mib: u64, home: &Home) -> Self {
        let image = tempfile::Builder::new().prefix("mgl-disk").tempfile_in("/tmp").expect("a file for a disk");
        image.as_file().set_len(mib << 20).expect("a file for a disk");
        let path = image.path().display().to_string();
        match kind {
            "xfs" => must("mkfs.xfs", &["-q", "-f", &path]),
            _ => must("mkfs.ext4", &["-q", "-F", "-m", "0", &path]),
        }
        let mount = Self { at: data(home), image: Some(image) };
        mount.mount();
        mount
    }

    /// One in memory, with these options.
    pub fn in_memory(options: &str, home: &Home) -> Self {
        let mount = Self { at: data(home), image: None };
        must("mount", &["-t", "tmpfs", "-o", options, "tmpfs", &mount.at.display().to_string()]);
        mount
    }

    fn mount(&self) {
        let image = self.image.as_ref().expect("a disk in a file").path().display().to_string();
        must("mount", &["-o", "loop", &image, &self.at.display().to_string()]);
    }

    /// Where it is.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// The power goes: what was not written is lost. Everything on it fails from now on.
    pub fn cut(&self) {
        static CUTTER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
        let (_, cutter) = CUTTER.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a folder");
            let path = compiled(dir.path(), "cut", &[]);
            (dir, path)
        });
        must(&cutter.display().to_string(), &[&self.at.display().to_string()]);
    }

    /// The power is back, and the file system recovers. Nobody uses it just now.
    pub fn again(&self) {
        self.unmount();
        self.mount();
    }

    fn unmount(&self) {
        let at = self.at.display().to_string();
        // A process that was just killed may hold it a moment longer.
        until("the file system to be let go", || ran("umount", &[&at]).status.success().then_some(()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.at.display().to_string();
        if !ran("umount", &[&at]).status.success() {
            ran("umount", &["-l", &at]);
        }
        // The home went before, and could not take its folder along.
        let _ = std::fs::remove_dir(&self.at);
        let _ = self.at.parent().map(std::fs::remove_dir);
    }
}

fn data(home: &Home) -> PathBuf {
    home.dir().join("d")
}

/// Fills a file system up, but for so many bytes. The file that does it.
pub fn fill(folder: &Path, but: u64) -> PathBuf {
    let path = folder.join("ballast");
    let file = File::create(&path).expect("a file that fills a disk");
    let room = rustix::fs::statvfs(folder).expect("the room of a disk");
    let bytes = (room.f_bavail * room.f_frsize).saturating_sub(but);
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).expect("the rest of a disk");
    path
}
