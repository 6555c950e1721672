//! Owns: the key under which this daemon marks what it asked of services, and where it lies. Must never know: what is marked with it.
//!
//! A mark is of the login too, so it must be of no help in guessing one: the key is chance, lies in no store and no backup, and is its owner's alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::http;

/// The key in this file; made where there is none, or one that is not its owner's alone: then what was marked before is known no more.
///
/// # Errors
/// It can neither be read nor made.
pub fn of(file: &Path) -> io::Result<[u8; 32]> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    let key = http::chance();
    let part = file.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    new.write_all(&key)?;
    new.sync_all()?;
    fs::rename(&part, file)?;
    Ok(key)
}

/// The key that lies there; none: there is none that is of use.
fn read(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let is_ours =
        |file: &fs::Metadata| file.is_file() && file.mode() & 0o077 == 0 && file.uid() == rustix::process::geteuid().as_raw();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(found) if !is_ours(&found) => return Ok(None),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(33).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_stays_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("marks.key");
        let key = of(&file).unwrap();
        assert_eq!((of(&file).unwrap(), fs::metadata(&file).unwrap().mode() & 0o777), (key, 0o600));
        // One that others could read, or that is none, is not gone on with.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let next = of(&file).unwrap();
        assert_ne!(next, key);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        for wrong in [&[1; 31][..], &[1; 33], &[]] {
            fs::write(&file, wrong).unwrap();
            assert_ne!(of(&file).unwrap()[..], [1; 32]);
            assert_eq!(fs::read(&file).unwrap().len(), 32);
        }
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("link")).unwrap();
        assert_ne!(of(&dir.path().join("link")).unwrap(), [0; 32]);
        // Where it cannot be made.
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(of(&dir.path().join("taken")).is_err());
        assert!(of(&dir.path().join("nowhere/marks.key")).is_err());
    }
}
