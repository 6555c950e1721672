//! Owns: the disk that fails on command (`shim.c`): compiled, loaded into a daemon of a test, told what to do while it runs.
//! Must never know: what is written.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use mingle_tests::daemon::Home;

/// A call of the system that the shim counts, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Pwrite,
    Write,
    Fsync,
    Ftruncate,
    Open,
    Mmap,
    Unlink,
    Pread,
    /// Kept in step with `shim.c`, which has the call of plain reading before it.
    Rename = 9,
    /// Memory is asked for, whoever asks.
    Malloc,
}

/// Every call that changes what is on the disk.
pub const CHANGES: &[Op] = &[Op::Pwrite, Op::Write, Op::Fsync, Op::Ftruncate, Op::Unlink, Op::Rename];

/// What becomes of the call.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// It fails with this number.
    Fail(i32),
    /// It writes half.
    Short,
    /// The process is killed instead of it.
    Kill,
    /// The process is killed when half is written.
    KillHalf,
    /// It takes so long.
    Delay(Duration),
}

/// Where the control has its numbers.
const COUNT: u64 = 6;
const HITS: u64 = 7;
const CALLS: u64 = 8;

/// The shim of one home.
pub struct Shim {
    control: File,
}

impl Shim {
    /// Every daemon of this home that is started from now on has this disk below the path; at first it is a good one.
    pub fn on(home: &mut Home, root: &Path) -> Self {
        let path = home.dir().join("control");
        fs::write(&path, [0; 256]).expect("the control of a disk");
        home.set("LD_PRELOAD", library().display().to_string());
        home.set("MINGLE_SHIM_ROOT", root.display().to_string());
        home.set("MINGLE_SHIM_CONTROL", path.display().to_string());
        Self { control: OpenOptions::new().read(true).write(true).open(&path).expect("the control of a disk") }
    }

    /// What changes is written down there.
    pub fn record(home: &mut Home, file: &Path) {
        home.set("MINGLE_SHIM_RECORD", file.display().to_string());
    }

    /// Every open is written down there: its flags in octal, its path.
    pub fn opens(home: &mut Home, file: &Path) {
        home.set("MINGLE_SHIM_OPENS", file.display().to_string());
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, at * 8).expect("the control of a disk");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, at: u64, number: u64) {
        self.control.write_all_at(&number.to_ne_bytes(), at * 8).expect("the control of a disk");
    }

    /// From now on the `at`-th of these calls, or it and all after it.
    pub fn arm(&self, ops: &[Op], at: u64, sticky: bool, action: Action) {
        self.heal();
        let (action, value) = match action {
            Action::Fail(number) => (1, u64::from(number.unsigned_abs())),
            Action::Short => (2, 0),
            Action::Kill => (3, 0),
            Action::KillHalf => (4, 0),
            Action::Delay(time) => (5, u64::try_from(time.as_millis()).expect("a short time")),
        };
        let mask = ops.iter().fold(0, |mask, op| mask | 1 << (*op as u64));
        for (place, number) in [mask, at, u64::from(sticky), action, value, 0, 0].into_iter().enumerate() {
            self.set(place as u64 + 1, number);
        }
        self.set(0, 1);
    }

    /// A good disk again.
    pub fn heal(&self) {
        self.set(0, 0);
    }

    /// How many of the calls that it was armed for were made since.
    pub fn count(&self) -> u64 {
        self.number(COUNT)
    }

    /// How many of them met their fate.
    pub fn hits(&self) -> u64 {
        self.number(HITS)
    }

    /// How often this call was made at all.
    pub fn calls(&self, op: Op) -> u64 {
        self.number(CALLS + op as u64)
    }
}

/// A home in memory, where an fsync costs nothing: what is tried here is whether it is asked for.
pub fn home(config: &str) -> Home {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { Home::new_in(memory, Some(config)) } else { Home::new(Some(config)) }
}

/// The shim, compiled.
fn library() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let path = compiled(dir.path(), "shim", &["-shared", "-fPIC", "-ldl"]);
        (dir, path)
    });
    path
}

/// A C file of this folder, compiled into another.
pub fn compiled(into: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/disk").join(format!("{name}.c"));
    let path = into.join(name);
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-Wextra", "-o"]).arg(&path).arg(&source).args(flags);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    path
}
