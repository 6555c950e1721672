//! Owns: noticing that a time zone in use is another: the system was moved to one, or the rules of one were renewed.
//! Must never know: who uses it, what comes of it.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Where zones are kept, unless the environment says otherwise.
const ZONES: &str = "/usr/share/zoneinfo";
/// Where the system's own is.
const SYSTEM: &str = "/etc/localtime";

/// What a file of a zone looked like: another one, or other rules, look otherwise. None: it is not there.
type Print = Option<(u64, u64, i64, i64, u64)>;

/// The zones in use, each as its file was last seen. Only looked at from outside, so that a look costs next to nothing.
#[derive(Default)]
pub struct Zones(BTreeMap<Option<String>, Print>);

impl Zones {
    /// These are in use, by their names; none: the system's. Those that were in use before are compared with what was seen of them.
    pub fn set(&mut self, names: impl IntoIterator<Item = Option<String>>) {
        let mut before = std::mem::take(&mut self.0);
        for name in names {
            let print = before.remove(&name).unwrap_or_else(|| print(&place(name.as_deref())));
            self.0.insert(name, print);
        }
    }

    /// Whether one of them is another than at the last look. If so, what was read of any zone is read anew from here on.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (name, before) in &mut self.0 {
            let now = print(&place(name.as_deref()));
            changed |= std::mem::replace(before, now) != now;
        }
        if changed {
            jiff::tz::db().reset();
            jiff::tz::reset_system_time_zone_cache();
        }
        changed
    }
}

fn place(name: Option<&str>) -> PathBuf {
    let zones = || env::var_os("TZDIR").map_or_else(|| PathBuf::from(ZONES), PathBuf::from);
    match (name, env::var("TZ")) {
        (Some(name), _) => zones().join(name),
        // An absolute path replaces the folder.
        (None, Ok(own)) if !own.is_empty() => zones().join(own.trim_start_matches(':')),
        (None, _) => PathBuf::from(SYSTEM),
    }
}

fn print(file: &Path) -> Print {
    let seen = fs::metadata(file).ok()?;
    Some((seen.dev(), seen.ino(), seen.mtime(), seen.mtime_nsec(), seen.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_whose_file_is_another_has_changed_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("zone");
        fs::write(&file, "these rules").unwrap();
        // An absolute path stands for itself, as in TZ.
        let name = || [Some(file.display().to_string()), Some("UTC".into()), None];
        let mut zones = Zones::default();
        zones.set(name());
        assert!(!zones.changed());
        fs::write(&file, "other rules, of another length").unwrap();
        // Who asks for the same zones again does not hide it.
        zones.set(name());
        assert!(zones.changed());
        assert!(!zones.changed());
        fs::remove_file(&file).unwrap();
        assert!(zones.changed());
        zones.set([Some("UTC".into())]);
        assert!(!zones.changed());
    }
}
