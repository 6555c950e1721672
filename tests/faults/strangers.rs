//! Owns: another user of the same machine, who tries everything that the system lets them (P13). Must never know: what stops them.
//!
//! Only root can be somebody else, so without root all of it is skipped, and counted. The stranger is a Python under `setpriv`.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown, symlink},
        process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use mingle_tests::{
    daemon::{Daemon, Home},
    tally,
    wait::until,
};
use serde_json::json;

/// Who that is.
const STRANGER: u32 = 12_345;
/// Stands in a record, in its name, in the configuration, and must never be seen.
const SECRET: &str = "canary7f3a";

/// What a stranger tries, told in Python; `at` is what is handed over.
struct Try {
    name: &'static str,
    script: &'static str,
    /// What it must print, and nothing else: what the system says, or that nothing came.
    expect: &'static str,
}

/// What all of them begin with.
const PRELUDE: &str = "
import os, socket, sys, signal
at, pid = sys.argv[1], int(sys.argv[2])
def told(what):
    try:
        got = what()
    except OSError as error:
        got = error.__class__.__name__
    print(got)
def talk(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    try:
        s.sendall(b'{\"id\":1,\"method\":\"hello\",\"params\":{\"app\":\"x\",\"protocol\":1}}\\n{\"id\":2,\"method\":\"status\"}\\n')
        return s.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        return b''
";

fn python(script: &str, at: &Path, pid: u32) -> Command {
    let mut command = Command::new("setpriv");
    let id = STRANGER.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", "python3", "-I", "-c"]);
    command.arg(format!("{PRELUDE}{script}")).arg(at).arg(pid.to_string());
    // The system's own Python: one of the owner's may be where a stranger must not look.
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stranger(script: &str, at: &Path, pid: u32) -> Output {
    python(script, at, pid).output().expect("a stranger: setpriv and python3")
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        tally::skip("strangers", "only root can be somebody else");
    }
    root
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A daemon with a secret in it; everything around its own folders is open to all, so that they alone keep strangers out.
fn house() -> Daemon {
    let config = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"http://127.0.0.1:9/v1\"\n\
         auth = {{ type = \"bearer\", token = {{ file = \"{SECRET}.secret\" }} }}\n[collection.{SECRET}]\n"
    );
    let home = Home::new(Some(&config));
    home.write(&format!("{SECRET}.secret"), SECRET);
    for open in ["", "r", "c", "d", "s"] {
        mode(&home.dir().join(open), 0o755);
    }
    let daemon = home.start();
    daemon.app(SECRET).put(SECRET, SECRET, &json!({ "text": SECRET }));
    daemon
}

/// Tries one thing; what went wrong.
fn attempt(one: &Try, at: &Path, pid: u32) -> Option<String> {
    let output = stranger(one.script, at, pid);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said.trim() != one.expect || said.contains(SECRET)).then(|| format!("{}: {said}", one.name))
}

#[test]
fn a_stranger_gets_nothing_from_a_daemon_that_runs() {
    if !is_root() {
        return;
    }
    let daemon = house();
    let (home, pid) = (daemon.dir().to_path_buf(), daemon.pid());
    let denied = "PermissionError";
    let mut tried = 0;
    let mut wrong = Vec::new();
    let mut check = |name, script, at: PathBuf, expect| {
        tried += 1;
        wrong.extend(attempt(&Try { name, script, expect }, &at, pid));
    };
    let talk = "told(lambda: talk(at))";
    check("connects", talk, daemon.socket(), denied);
    check("connects to the status socket", talk, daemon.status_socket(), denied);
    check("connects to an abstract name", "told(lambda: talk('\\0' + at))", daemon.socket(), "ConnectionRefusedError");
    check(
        "looks for an abstract name",
        "told(lambda: [line for line in open('/proc/net/unix') if '@' in line and 'mingle' in line])",
        daemon.socket(),
        "[]",
    );
    for (name, file) in [
        ("reads the store", "d/mingle/store.db"),
        ("reads the store's log", "d/mingle/store.db-wal"),
        ("reads the store's index", "d/mingle/store.db-shm"),
        ("reads the lock", "s/mingle/mingled.lock"),
        ("reads the log", "s/mingle/mingled.log"),
        ("reads the secret", "c/mingle/canary7f3a.secret"),
        ("reads the configuration", "c/mingle/config.toml"),
    ] {
        check(name, "told(lambda: open(at, 'rb').read())", home.join(file), denied);
    }
    for (name, folder) in [
        ("lists the store's folder", "d/mingle"),
        ("lists the socket's folder", "r/mingle"),
        ("lists the state's folder", "s/mingle"),
        ("lists the configuration's folder", "c/mingle"),
    ] {
        check(name, "told(lambda: os.listdir(at))", home.join(folder), denied);
    }
    for (name, script) in [
        ("puts a file beside the socket", "told(lambda: open(at + '/x', 'w'))"),
        ("takes the socket away", "told(lambda: os.unlink(at + '/mingle.sock'))"),
        ("puts another folder in its place", "told(lambda: os.rename(at, at + '2'))"),
        ("puts a folder beside it", "told(lambda: os.mkdir(at + '2'))"),
    ] {
        check(name, script, home.join("r/mingle"), denied);
    }
    check("ends it", "told(lambda: os.kill(pid, signal.SIGTERM))", home.clone(), denied);
    check("stops it", "told(lambda: os.kill(pid, signal.SIGSTOP))", home.clone(), denied);
    for (name, script) in [
        ("reads its environment", "told(lambda: open(f'/proc/{pid}/environ').read())"),
        ("reads its memory", "told(lambda: open(f'/proc/{pid}/mem', 'rb').read(1))"),
        ("reads where its memory is", "told(lambda: open(f'/proc/{pid}/maps').read())"),
        ("lists its descriptors", "told(lambda: os.listdir(f'/proc/{pid}/fd'))"),
        ("opens its working folder", "told(lambda: os.listdir(f'/proc/{pid}/cwd/c'))"),
        ("goes through its root", "told(lambda: os.listdir(f'/proc/{pid}/root' + '/'))"),
    ] {
        check(name, script, home.clone(), denied);
    }
    // What everybody may read of a process.
    tried += 1;
    let seen = stranger("print(open(f'/proc/{pid}/cmdline').read(), open(f'/proc/{pid}/comm').read())", &home, pid);
    if String::from_utf8_lossy(&seen.stdout).contains(SECRET) {
        wrong.push("its command line tells".into());
    }
    through_doors(&daemon, &mut tried, &mut wrong);

    tally::tell("strangers", tried, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(daemon.app("owner").get(SECRET, SECRET), Some(json!({ "text": SECRET })));
    assert!(!daemon.said().contains(&format!("\"{SECRET}\"")), "{}", daemon.said());
}

/// The socket by other ways than its path: a mount, a descriptor, modes that somebody opened by mistake.
fn through_doors(daemon: &Daemon, tried: &mut u64, wrong: &mut Vec<String>) {
    let (pid, folder) = (daemon.pid(), daemon.socket().parent().expect("its folder").to_path_buf());
    let talk = "told(lambda: talk(at))";
    let denied = "PermissionError";
    let mut check = |name, script, at: &Path, expect| {
        *tried += 1;
        wrong.extend(attempt(&Try { name, script, expect }, at, pid));
    };
    // The socket itself, mounted where everybody may look.
    let open = tempfile::Builder::new().prefix("mglx").tempdir_in("/tmp").expect("a folder");
    mode(open.path(), 0o755);
    let door = open.path().join("door");
    fs::write(&door, "").expect("a place to mount on");
    let mounted = |from: &Path, to: &Path| {
        Command::new("mount").arg("--bind").arg(from).arg(to).output().is_ok_and(|output| output.status.success())
    };
    if mounted(&daemon.socket(), &door) {
        check("connects through a mount", talk, &door, denied);
        let _ = Command::new("umount").arg(&door).status();
    } else {
        tally::skip("a socket mounted elsewhere", "nothing can be mounted here");
    }
    // A descriptor of the folder that leaked into a stranger's process: it may walk on from there.
    *tried += 1;
    let script = "
fd = 9
told(lambda: talk(f'/proc/self/fd/{fd}/mingle.sock'))
told(lambda: os.open('mingle.sock', os.O_RDONLY, dir_fd=fd))";
    let mut inheriting = Command::new("sh");
    let inner = python(script, &folder, pid);
    inheriting.args(["-c", &format!("exec \"$@\" 9<'{}'", folder.display()), "sh"]).arg(inner.get_program());
    inheriting.args(inner.get_args()).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null());
    let output = inheriting.output().expect("a stranger with a descriptor");
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() != "PermissionError\nPermissionError" {
        wrong_of(wrong, "walks on from a descriptor", &output);
    }
    let mut check = |name, script, at: &Path, expect| {
        *tried += 1;
        wrong.extend(attempt(&Try { name, script, expect }, at, pid));
    };
    // Somebody opened everything: then the daemon itself has to look who comes.
    mode(&folder, 0o755);
    for socket in [daemon.socket(), daemon.status_socket()] {
        mode(&socket, 0o777);
        check("connects through modes that were opened", talk, &socket, "b''");
        let lying = "
import struct
def lie():
    s = socket.socket(socket.AF_UNIX)
    s.connect(at)
    s.sendmsg([b'{}\\n'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('3i', pid, 0, 0))])
    return s.recv(1)
told(lie)";
        check("lies about who it is", lying, &socket, denied);
        mode(&socket, 0o600);
    }
    mode(&folder, 0o700);
}

fn wrong_of(wrong: &mut Vec<String>, what: &str, output: &Output) {
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    wrong.push(format!("{what}: {said:?}"));
}

/// A stranger was there first: their folders, links and files stand where ours should. The daemon refuses, and writes nothing.
#[test]
fn places_that_a_stranger_prepared_are_refused() {
    if !is_root() {
        return;
    }
    let mut tried = 0;
    let mut wrong = Vec::new();
    let theirs = |path: &Path| chown(path, Some(STRANGER), Some(STRANGER)).expect("chown");
    let mut check = |name: &str, prepare: &dyn Fn(&Path), expect: &str| {
        tried += 1;
        let home = Home::new(Some("[collection.notes]\n"));
        mode(home.dir(), 0o755);
        let victim = home.dir().join("victim");
        fs::write(&victim, "mine").expect("a file of the owner");
        prepare(home.dir());
        let output = home.mingled_ends();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(78) || !said.contains(expect) || !said.contains("hint: ") {
            wrong.push(format!("{name}: {:?} {:?} {said}", output.status.code(), output.status.signal()));
        }
        if fs::read(&victim).expect("still there") != b"mine" {
            wrong.push(format!("{name}: a file of the owner was written through it"));
        }
    };
    for (name, folder) in
        [("the socket's folder", "r/mingle"), ("the state's folder", "s/mingle"), ("the store's folder", "d/mingle")]
    {
        let made = move |home: &Path| {
            fs::create_dir(home.join(folder)).expect("a folder");
            mode(&home.join(folder), 0o700);
            theirs(&home.join(folder));
        };
        check(name, &made, "belongs to user 12345");
        let linked = move |home: &Path| {
            fs::create_dir(home.join("theirs")).expect("a folder");
            theirs(&home.join("theirs"));
            symlink(home.join("theirs"), home.join(folder)).expect("a link");
        };
        check(&format!("a link for {name}"), &linked, "is a link or not a directory");
        let open = move |home: &Path| {
            fs::create_dir(home.join(folder)).expect("a folder");
            mode(&home.join(folder), 0o777);
        };
        check(&format!("{name}, open to all"), &open, "other users");
        let above = move |home: &Path| mode(home.join(folder).parent().expect("above"), 0o777);
        check(&format!("{name}, where anybody may replace it"), &above, "every user may replace");
    }
    for (name, file, expect) in [
        ("a link for the lock", "s/mingle/mingled.lock", "is a link"),
        ("a link for the store", "d/mingle/store.db", "is a link"),
    ] {
        let linked = move |home: &Path| {
            let path = home.join(file);
            fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
            mode(path.parent().expect("its folder"), 0o700);
            symlink(home.join("victim"), path).expect("a link");
        };
        check(name, &linked, expect);
        let planted = move |home: &Path| {
            let path = home.join(file);
            fs::create_dir_all(path.parent().expect("its folder")).expect("a folder");
            mode(path.parent().expect("its folder"), 0o700);
            fs::write(&path, "").expect("a file");
            theirs(&path);
        };
        check(&format!("a stranger's file: {file}"), &planted, "belongs to user 12345");
    }
    let config = |home: &Path| theirs(&home.join("c/mingle/config.toml"));
    check("a stranger's configuration", &config, "belongs to user 12345");
    let config = |home: &Path| mode(&home.join("c/mingle/config.toml"), 0o666);
    check("a configuration that anybody writes", &config, "config.toml");
    tally::tell("strangers", tried, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Gives a folder and all that is in it to the stranger.
fn give(path: &Path) {
    chown(path, Some(STRANGER), Some(STRANGER)).expect("chown");
    for entry in fs::read_dir(path).into_iter().flatten() {
        let path = entry.expect("readable").path();
        if path.is_dir() { give(&path) } else { chown(&path, Some(STRANGER), Some(STRANGER)).expect("chown") }
    }
}

/// A second user starts a daemon of their own on our store, while ours runs and while it does not, through our modes and through ones
/// that somebody opened: it is refused each time, and ours goes on with all that it has.
#[test]
fn a_second_user_starts_no_daemon_on_our_store() {
    if !is_root() {
        return;
    }
    let mut daemon = house();
    let store = daemon.store();
    let mut other = Home::new(Some(&format!("[store]\npath = \"{}\"\n[collection.{SECRET}]\n", store.display())));
    let program = other.dir().join("mingled");
    fs::write(&program, fs::read(mingle_tests::daemon::mingled()).expect("the daemon")).expect("a daemon of theirs");
    mode(&program, 0o755);
    other.run_by(&program);
    let id = STRANGER.to_string();
    other.set_under(&["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    give(other.dir());
    let (mut tried, mut wrong) = (0, Vec::new());
    for opened in [false, true] {
        if opened {
            mode(store.parent().expect("its folder"), 0o777);
            for end in ["", "-wal", "-shm"] {
                let mut name = store.clone().into_os_string();
                name.push(end);
                if Path::new(&name).exists() {
                    mode(Path::new(&name), 0o666);
                }
            }
        }
        for runs in [true, false] {
            if !runs {
                daemon.terminate();
            }
            let before = fs::read(&store).expect("the store");
            let output = other.mingled_ends();
            let said = String::from_utf8_lossy(&output.stderr);
            tried += 1;
            let refused = matches!(output.status.code(), Some(78 | 1)) && said.contains("hint: ");
            if !refused || said.contains(SECRET) || fs::read(&store).expect("the store") != before {
                wrong.push(format!("opened: {opened}, ours runs: {runs}: {:?}: {said}", output.status.code()));
            }
            if !runs {
                mode(store.parent().expect("its folder"), 0o700);
                for file in fs::read_dir(store.parent().expect("its folder")).expect("its files") {
                    mode(&file.expect("a file").path(), 0o600);
                }
                daemon.start();
            }
            assert_eq!(daemon.app(SECRET).get(SECRET, SECRET), Some(json!({ "text": SECRET })));
        }
    }
    tally::tell("strangers", tried, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where the log is a link into somebody's file: nothing is written through it.
#[test]
fn a_log_that_leads_elsewhere_is_not_written() {
    let home = Home::new(Some("[collection.notes]\n"));
    let victim = home.dir().join("victim");
    fs::write(&victim, "mine").expect("a file of the owner");
    fs::create_dir_all(home.dir().join("s/mingle")).expect("a folder");
    mode(&home.dir().join("s/mingle"), 0o700);
    symlink(&victim, home.dir().join("s/mingle/mingled.log")).expect("a link");
    let mut daemon = home.start();
    daemon.app("tester").put("notes", "a", &json!({}));
    assert_eq!(daemon.terminate().0.code(), Some(0));
    let kept = fs::read_to_string(&victim).expect("still there");
    tally::tell("strangers", 1, u64::from(kept != "mine"));
    assert_eq!(kept, "mine");
}

/// A stranger serves where the daemon should: our own command says so, and tells them nothing. In a folder that anybody writes in, and
/// in our own, where somebody moved the stranger's socket to.
#[test]
fn the_command_tells_nothing_to_a_strangers_daemon() {
    if !is_root() {
        return;
    }
    told_nothing(0o1777, "others may enter it");
    told_nothing(0o700, "12345");
}

fn told_nothing(folder: u32, expect: &str) {
    let open = tempfile::Builder::new().prefix("mglx").tempdir_in("/tmp").expect("a folder");
    mode(open.path(), 0o1777);
    let trap = open.path().join("mingle.sock");
    let serve = "
s = socket.socket(socket.AF_UNIX)
s.bind(at)
os.chmod(at, 0o777)
s.listen(5)
print('ready', flush=True)
c, _ = s.accept()
c.settimeout(20)
try:
    print(len(c.recv(65536)), flush=True)
except OSError as error:
    print(error.__class__.__name__, flush=True)";
    let mut server = python(serve, &trap, std::process::id()).spawn().expect("a stranger's server");
    until("the stranger's server", || trap.exists().then_some(()));
    mode(open.path(), folder);
    let mut home = Home::new(None);
    home.set("MINGLE_SOCKET", trap.display().to_string());
    let output = home.mingle(&["--app", SECRET, "put", SECRET, SECRET, "{}"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let _ = server.kill();
    let heard = server.wait_with_output().expect("what it heard");
    let heard = String::from_utf8_lossy(&heard.stdout).replace("ready", "");
    // Either it never came, or it came and left without a byte.
    let silent = matches!(heard.trim(), "" | "0");
    let refused = output.status.code() == Some(4) && said.contains(expect);
    tally::tell("strangers", 1, u64::from(!silent || !refused));
    assert!(silent, "the stranger heard {heard}");
    assert!(refused, "{:?}: {said}", output.status.code());
}
