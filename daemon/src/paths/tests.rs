//! Owns: the tables that hold `paths` to its rules. Must never know: what the files hold.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn env(pairs: &str) -> Environment {
    pairs.split_whitespace().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

#[test]
fn places_follow_the_environment() {
    let check = |pairs: &str, expected: &str| {
        let found = match Paths::find(&env(pairs)) {
            Ok(p) => {
                format!("{} {} {} {}", p.config.display(), p.store_file().display(), p.lock_file().display(), p.socket.display())
            }
            Err(refusal) => refusal.what,
        };
        assert_eq!(found, expected, "with {pairs}");
    };
    check(
        "HOME=/h",
        "/h/.config/mingle /h/.local/share/mingle/store.db /h/.local/state/mingle/mingled.lock /h/.local/state/mingle/run/mingle.sock",
    );
    check(
        "HOME=/h XDG_RUNTIME_DIR=/r XDG_STATE_HOME=/s",
        "/h/.config/mingle /h/.local/share/mingle/store.db /s/mingle/mingled.lock /r/mingle/mingle.sock",
    );
    check(
        "XDG_CONFIG_HOME=/c XDG_DATA_HOME=/d XDG_STATE_HOME=/s",
        "/c/mingle /d/mingle/store.db /s/mingle/mingled.lock /s/mingle/run/mingle.sock",
    );
    // The rules say that a relative path in such a variable is not to be used; an empty one is not set.
    check(
        "HOME=/h XDG_RUNTIME_DIR=r XDG_STATE_HOME=s XDG_DATA_HOME=",
        "/h/.config/mingle /h/.local/share/mingle/store.db /h/.local/state/mingle/mingled.lock /h/.local/state/mingle/run/mingle.sock",
    );
    check("XDG_STATE_HOME=/s", "no home directory is known");
    check("HOME=/h MINGLE_SOCKET=m.sock", "the socket needs an absolute path, and MINGLE_SOCKET is m.sock");
    check(
        "HOME=/h MINGLE_SOCKET=/m XDG_RUNTIME_DIR=/r",
        "/h/.config/mingle /h/.local/share/mingle/store.db /h/.local/state/mingle/mingled.lock /m",
    );
}

/// Makes a scene in a private directory, then says what the check says of `x` in it.
fn scene(make: impl Fn(&Path), look: impl Fn(&Path) -> Result<(), Refusal>) -> String {
    let room = tempfile::tempdir().expect("a directory for the test");
    make(room.path());
    match look(&room.path().join("x")) {
        Ok(()) => "fit".into(),
        Err(refusal) => format!("{refusal}; {}", refusal.hint).replace(&format!("{}/", room.path().display()), ""),
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn a_directory_must_be_ours_alone() {
    let check = |make: fn(&Path), privacy: Privacy, expected: &str| {
        let found = scene(make, |path| prepare_dir(path, privacy));
        assert!(found.starts_with(expected), "expected {expected}, found {found}");
    };
    check(|_| (), Privacy::Ours, "fit");
    check(
        |room| {
            fs::create_dir(room.join("x")).expect("mkdir");
            mode(&room.join("x"), 0o755);
        },
        Privacy::ReadByOthers,
        "fit",
    );
    check(
        |room| {
            fs::create_dir(room.join("x")).expect("mkdir");
            mode(&room.join("x"), 0o755);
        },
        Privacy::Ours,
        "x is open to other users (mode 755); chmod 700 x",
    );
    check(
        |room| {
            fs::create_dir(room.join("x")).expect("mkdir");
            mode(&room.join("x"), 0o777);
        },
        Privacy::ReadByOthers,
        "x is writable by other users (mode 777); chmod go-w x",
    );
    check(
        |room| {
            fs::create_dir(room.join("real")).expect("mkdir");
            symlink("real", room.join("x")).expect("link");
        },
        Privacy::Ours,
        "x is a link or not a directory",
    );
    check(|room| fs::write(room.join("x"), "").expect("write"), Privacy::Ours, "cannot make the directory x");
    let open_above = scene(|room| mode(room, 0o777), |path| prepare_dir(path, Privacy::Ours));
    assert!(open_above.starts_with("every user may replace what lies in"), "{open_above}");
}

#[test]
fn new_directories_are_closed_to_others() {
    let room = tempfile::tempdir().expect("a directory for the test");
    let deep = room.path().join("a/b/c");
    prepare_dir(&deep, Privacy::Ours).expect("made");
    for path in [deep.as_path(), deep.parent().expect("b")] {
        assert_eq!(fs::metadata(path).expect("there").mode() & 0o777, 0o700);
    }
}

#[test]
fn a_file_must_be_ours_alone() {
    let check = |make: fn(&Path), expected: &str| {
        let found = scene(make, |path| check_file(path).map(|_| ()));
        assert!(found.starts_with(expected), "expected {expected}, found {found}");
    };
    let plain: fn(&Path) = |room| {
        fs::write(room.join("x"), "").expect("write");
        mode(&room.join("x"), 0o600);
    };
    check(|_| (), "fit");
    check(plain, "fit");
    check(
        |room| {
            fs::write(room.join("x"), "").expect("write");
            mode(&room.join("x"), 0o640);
        },
        "x is open to other users (mode 640); chmod 600 x",
    );
    check(
        |room| {
            fs::write(room.join("x"), "").expect("write");
            mode(&room.join("x"), 0o600);
            fs::hard_link(room.join("x"), room.join("y")).expect("link");
        },
        "x has 2 names (hard links)",
    );
    check(|room| symlink("nowhere", room.join("x")).expect("link"), "x is a link");
    check(|room| fs::create_dir(room.join("x")).expect("mkdir"), "x is not a plain file");
}

#[test]
fn network_disks_are_known_by_their_numbers() {
    for (magic, expected) in [
        (0x6969, Disk::Network("NFS")),
        (0xFF53_4D42, Disk::Network("CIFS")),
        (0xFE53_4D42, Disk::Network("SMB2")),
        (0x0102_1997, Disk::Network("9p")),
        (0x6573_5546, Disk::Fuse),
        (0xEF53, Disk::Local),
        (0x0102_1994, Disk::Local),
    ] {
        assert_eq!(Disk::of_magic(magic), expected);
    }
}

#[test]
fn home_is_written_out() {
    let env = env("HOME=/h");
    for (given, expected) in [("~/a/b", "/h/a/b"), ("/a", "/a"), ("~other/a", "~other/a")] {
        assert_eq!(expand_home(given, &env), Path::new(expected));
    }
    assert!(
        is_plain_absolute(Path::new("/a/b")) && !is_plain_absolute(Path::new("/a/../b")) && !is_plain_absolute(Path::new("a"))
    );
}

#[test]
fn the_session_bus_is_where_the_environment_says() {
    let check = |vars: &[(&str, &str)], expected: Option<&str>| {
        let env: Environment = vars.iter().copied().collect();
        assert_eq!(session_bus(&env).as_deref(), expected, "{vars:?}");
    };
    check(&[], None);
    check(&[("XDG_RUNTIME_DIR", "/run/user/1")], Some("unix:path=/run/user/1/bus"));
    check(&[("XDG_RUNTIME_DIR", "/r"), ("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=x")], Some("unix:abstract=x"));
    check(&[("DBUS_SESSION_BUS_ADDRESS", "")], None);
}

#[test]
fn a_bus_without_its_socket_is_not_there() {
    for (address, expected) in
        [("unix:path=/nowhere/bus", false), ("unix:path=/tmp,guid=1", true), ("unix:path=/tmp;tcp:x", true), ("tcp:x", true)]
    {
        assert_eq!(has_bus(address), expected, "{address}");
    }
}
