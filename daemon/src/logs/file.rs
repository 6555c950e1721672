//! Owns: the file that keeps the log where no journal does: two pieces of bounded size. Must never know: what is logged.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use rustix::fs::OFlags;

/// Bytes of one piece. A full one becomes `mingled.log.1`, in place of the one before: so twice this is kept.
const PIECE_BYTES_MAX: u64 = 2 << 20;

/// An open log file. What cannot be written is lost: the log is no reason to stop working.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Goes on where it ended. None: it cannot be written.
    pub(super) fn open(path: PathBuf) -> Option<Self> {
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_follow).open(&path).ok()?;
        let bytes = file.metadata().ok()?.len();
        Some(Self { path, file, bytes })
    }

    pub(super) fn write(&mut self, line: &[u8]) {
        if self.bytes >= PIECE_BYTES_MAX {
            self.turn();
        }
        if self.file.write_all(line).is_ok() {
            self.bytes += line.len() as u64;
        }
    }

    fn turn(&mut self) {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        let _ = fs::rename(&self.path, &old);
        if let Some(new) = Self::open(self.path.clone()) {
            *self = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pieces_are_kept_and_no_more() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let path = room.path().join("mingled.log");
        let line = [b'x'; 1023];
        for _ in 0..2 {
            // Opened again it goes on, as after a restart.
            let mut log = LogFile::open(path.clone()).expect("opened");
            for _ in 0..3 * PIECE_BYTES_MAX / 1024 {
                log.write(&line);
                log.write(b"\n");
            }
        }
        let bytes = |name: &str| fs::metadata(room.path().join(name)).expect(name).len();
        assert!(bytes("mingled.log") <= PIECE_BYTES_MAX + 1024 && bytes("mingled.log.1") <= PIECE_BYTES_MAX + 1024);
        assert_eq!(fs::read_dir(room.path()).expect("readable").count(), 2);
    }
}
