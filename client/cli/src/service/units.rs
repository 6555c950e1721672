//! Owns: what the unit files of one user say: the files of `systemd/user`, with the places of this user. Must never know: systemctl.

use std::path::{Path, PathBuf};

use serde_json::Value;

const SERVICE: &str = include_str!("../../../../systemd/user/mingled.service");
const SOCKET: &str = include_str!("../../../../systemd/user/mingled.socket");
const STATUS: &str = include_str!("../../../../systemd/user/mingle-status.socket");
const VDIR: &str = include_str!("../../../../systemd/user/mingle-vdir@.service");
const HARDENING: &str = include_str!("../../../../systemd/user/mingled.service.d/hardening.conf");

/// Every file that an install may write, by its name in the folder of units.
pub const NAMES: [&str; 7] = [
    "mingled.service",
    "mingled.socket",
    "mingle-status.socket",
    "mingled.service.d/environment.conf",
    "mingled.service.d/hardening.conf",
    "mingle-vdir@.service",
    "mingle-vdir@.service.d/environment.conf",
];

/// The template for folders of files, and all that were made of it.
pub const FOLDERS: [&str; 2] = ["mingle-vdir@.service", "mingle-vdir@*.service"];

/// What is enabled and disabled together, each socket before what it starts.
pub const UNITS: [&str; 3] = ["mingled.socket", "mingle-status.socket", "mingled.service"];

/// Variables that say where things are, or how it logs; the service gets those that this shell has.
const KEPT: [&str; 8] = [
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "MINGLE_SOCKET",
    "MINGLE_STATUS_SOCKET",
    "MINGLE_LOG",
    "MINGLE_LOG_FORMAT",
    "SSL_CERT_FILE",
];

/// What `PrivateTmp=yes` hides. Without it they can be read, and written no more than anything else.
const TMP: [&str; 2] = ["/tmp", "/var/tmp"];

/// One file to write.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// One of [`NAMES`].
    pub name: &'static str,
    /// The whole of it.
    pub text: String,
}

/// Where everything of this user lies.
pub struct Place {
    mingled: String,
    mingle: String,
    socket: String,
    status_socket: String,
    environment: Vec<(&'static str, String)>,
    /// Where the store lies.
    pub data: PathBuf,
    /// Where the lock lies.
    pub state: PathBuf,
    /// Something that the daemon needs lies below a folder that a sandbox with its own would hide.
    in_tmp: bool,
}

impl Place {
    /// By the programs (`mingled`, `mingle`), what `mingled places` says, and this environment.
    ///
    /// # Errors
    /// What cannot be written into a unit file, in words.
    pub fn of(programs: (&Path, &Path), places: &Value, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (mingled, mingle) = programs;
        let path = |name: &str| fit(places[name].as_str().unwrap_or_default());
        let mut kept = Vec::new();
        for name in KEPT {
            if let Some(value) = environment(name) {
                kept.push((name, fit(&value)?));
            }
        }
        let (socket, status_socket, data, state) = (path("socket")?, path("status_socket")?, path("data")?, path("state")?);
        let home = environment("HOME");
        let needed = [&socket, &data, &state].map(Path::new).into_iter().chain([mingled]);
        let needed = needed.chain(kept.iter().map(|(_, value)| Path::new(value))).chain(home.as_deref().map(Path::new));
        let in_tmp = needed.into_iter().any(|path| TMP.iter().any(|tmp| path.starts_with(tmp)));
        Ok(Self {
            mingled: fit(&mingled.to_string_lossy())?,
            mingle: fit(&mingle.to_string_lossy())?,
            socket,
            status_socket,
            environment: kept,
            data: PathBuf::from(data),
            state: PathBuf::from(state),
            in_tmp,
        })
    }

    /// The files to write. `packaged`: the units of a package are there, and serve this mingled already.
    #[must_use]
    pub fn files(&self, packaged: bool, sandbox: bool) -> Vec<File> {
        let mut files = Vec::new();
        if !packaged {
            let service = SERVICE.replace("ExecStart=/usr/bin/mingled", &format!("ExecStart={}", quoted(&self.mingled)));
            let listen = |unit: &str, usual: &str, place: &str| {
                unit.replace(&format!("ListenStream={usual}"), &format!("ListenStream={}", escaped(place)))
            };
            files.push(File { name: NAMES[0], text: service });
            files.push(File { name: NAMES[1], text: listen(SOCKET, "%t/mingle/mingle.sock", &self.socket) });
            files.push(File { name: NAMES[2], text: listen(STATUS, "%t/mingle/status.sock", &self.status_socket) });
            let vdir = VDIR.replace("ExecStart=/usr/bin/mingle ", &format!("ExecStart={} ", quoted(&self.mingle)));
            files.push(File { name: NAMES[5], text: vdir });
        }
        if !self.environment.is_empty() {
            let lines =
                self.environment.iter().map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
            let text = format!("[Service]\n{}", lines.collect::<String>());
            files.push(File { name: NAMES[3], text: text.clone() });
            files.push(File { name: NAMES[6], text });
        }
        if sandbox {
            let socket = Path::new(&self.socket).parent().unwrap_or(Path::new("/"));
            let paths = [self.data.as_path(), self.state.as_path(), socket].map(|path| quoted(&format!("-{}", path.display())));
            let usual = "ReadWritePaths=-%h/.local/share/mingle -%h/.local/state/mingle -%t/mingle";
            let mut text = HARDENING.replace(usual, &format!("ReadWritePaths={}", paths.join(" ")));
            if self.in_tmp {
                // With its own, the daemon would not find what lies in everybody's: it could not even be started.
                text = text.replace("PrivateTmp=yes", "PrivateTmp=no");
            }
            files.push(File { name: NAMES[4], text });
        }
        files
    }
}

/// Where the units of a user lie.
#[must_use]
pub fn folder(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("systemd/user"))
}

/// Whether a package brought both this mingled and units for it.
#[must_use]
pub fn is_packaged(mingled: &Path) -> bool {
    mingled == Path::new("/usr/bin/mingled") && Path::new("/usr/lib/systemd/user/mingled.service").exists()
}

fn fit(text: &str) -> Result<String, String> {
    if text.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        return Err(format!("{text:?} cannot stand in a unit file"));
    }
    Ok(text.to_owned())
}

/// `%` and `$` mean something in a unit file.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text).replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(mingled: &str, environment: &[(&str, &str)]) -> Result<Place, String> {
        let (socket, status) = ("/run/user/7/mingle/mingle.sock", "/run/user/7/mingle/status.sock");
        let places = json!({"socket": socket, "status_socket": status, "data": "/h/a b/mingle", "state": "/h/s%/mingle"});
        let find = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Place::of((Path::new(mingled), Path::new("/h/my bin/mingle")), &places, &find)
    }

    #[test]
    fn the_files_have_this_users_places() {
        let files = place("/h/my bin/mingled", &[("XDG_DATA_HOME", "/h/a b"), ("OTHER", "x")]).expect("fit").files(false, true);
        let text = |name: &str| &files.iter().find(|file| file.name == name).expect(name).text;
        assert!(text("mingled.service").contains("\nExecStart=\"/h/my bin/mingled\"\n"));
        assert!(text("mingled.socket").contains("\nListenStream=/run/user/7/mingle/mingle.sock\n"));
        assert!(text("mingle-status.socket").contains("\nListenStream=/run/user/7/mingle/status.sock\n"));
        assert_eq!(text("mingled.service.d/environment.conf"), "[Service]\nEnvironment=\"XDG_DATA_HOME=/h/a b\"\n");
        let paths = "\nReadWritePaths=\"-/h/a b/mingle\" \"-/h/s%%/mingle\" \"-/run/user/7/mingle\"\n";
        assert!(text("mingled.service.d/hardening.conf").contains(paths), "{}", text("mingled.service.d/hardening.conf"));
        assert_eq!(files.len(), NAMES.len());
    }

    /// A program, a configuration or data below `/tmp` would be hidden from a daemon that has its own.
    #[test]
    fn what_lies_in_tmp_stays_in_sight() {
        for (mingled, environment, private) in [
            ("/h/mingled", &[("XDG_CONFIG_HOME", "/h/c"), ("HOME", "/h")][..], true),
            ("/h/mingled", &[("HOME", "/h/tmp")], true),
            ("/h/mingled", &[("HOME", "/tmpfs/h")], true),
            ("/tmp/clone/target/debug/mingled", &[("XDG_CONFIG_HOME", "/h/c")], false),
            ("/h/mingled", &[("XDG_CONFIG_HOME", "/var/tmp/c")], false),
            ("/h/mingled", &[("HOME", "/tmp/h")], false),
        ] {
            let files = place(mingled, environment).expect("fit").files(false, true);
            let hardening = &files.last().expect("files").text;
            assert_eq!(hardening.contains("\nPrivateTmp=yes\n"), private, "{mingled} {environment:?}");
            assert_eq!(hardening.contains("\nPrivateTmp=no\n"), !private, "{mingled} {environment:?}");
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_written() {
        let names = |packaged, sandbox| {
            let files = place("/usr/bin/mingled", &[]).expect("fit").files(packaged, sandbox);
            files.iter().map(|file| file.name).collect::<Vec<_>>()
        };
        assert_eq!(names(true, true), ["mingled.service.d/hardening.conf"]);
        assert_eq!(names(true, false), [""; 0]);
        assert_eq!(names(false, false), ["mingled.service", "mingled.socket", "mingle-status.socket", "mingle-vdir@.service"]);
    }

    #[test]
    fn what_a_unit_file_would_misread_is_refused() {
        for bad in ["/a\nExecStart=/bin/sh", "/a\"b", "/a\\b"] {
            assert!(place(bad, &[]).is_err(), "{bad:?}");
            assert!(place("/m", &[("MINGLE_LOG", bad)]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn units_lie_where_systemd_looks() {
        let find = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(folder(&find(&[("HOME", "/h")])), Some("/h/.config/systemd/user".into()));
        assert_eq!(folder(&find(&[("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")])), Some("/c/systemd/user".into()));
        assert_eq!(folder(&find(&[("XDG_CONFIG_HOME", "rel"), ("HOME", "/h")])), Some("/h/.config/systemd/user".into()));
        assert_eq!(folder(&find(&[])), None);
    }
}
