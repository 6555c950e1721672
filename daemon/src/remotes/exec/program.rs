//! Owns: a program that does work for us: started without a shell, without anything of ours but a few names, and ended with all it
//! started. Must never know: what it is for, and what its lines mean.

use std::{
    future::pending,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

/// Of our environment a program gets these, and those that begin with one of [`PASSED_PREFIXES`]; secrets may stand in others.
const PASSED: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "DBUS_SESSION_BUS_ADDRESS"];
const PASSED_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// Between two looks whether anybody is left of a group.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program that runs. Dropped, it and all that it started are asked to end, and killed where they do not.
#[derive(Debug)]
pub struct Program {
    name: String,
    /// None: its end was seen.
    child: Option<Child>,
    /// All that it started; none: its end is waited for elsewhere.
    group: Option<Group>,
    out: Option<BufReader<ChildStdout>>,
    /// What was read of its next line.
    begun: Vec<u8>,
    said: Arc<Mutex<Vec<u8>>>,
    hears: Option<tokio::task::JoinHandle<()>>,
}

/// The program of a command: a bare name is looked for where the system keeps programs, a path is relative to the configuration.
#[must_use]
pub fn found(word: &str, config_dir: &Path) -> std::path::PathBuf {
    if word.contains('/') { config_dir.join(word) } else { word.into() }
}

impl Program {
    /// Starts it in the folder of the configuration. It reads `input` and then the end; `names` are added to its environment. With
    /// `speaks`, its lines are read; else what it prints goes nowhere.
    ///
    /// # Errors
    /// [`Failure::Denied`]: it does not start.
    pub fn start(
        words: &[String],
        config_dir: &Path,
        names: &[(&str, &str)],
        input: String,
        speaks: bool,
    ) -> Result<Self, RemoteError> {
        let denied = |what: String| {
            RemoteError::new(Failure::Denied, what)
                .hint("`command` names a program and its words, each by itself; no shell reads it; `mingle remote check` looks")
        };
        let Some((word, arguments)) = words.split_first() else { return Err(denied("`command` names no program".into())) };
        let mut command = Command::new(found(word, config_dir));
        command.args(arguments).env_clear().envs(std::env::vars_os().filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| PASSED.contains(&name) || PASSED_PREFIXES.iter().any(|first| name.starts_with(first)))
        }));
        if config_dir.is_dir() {
            command.current_dir(config_dir);
        }
        let mut child = command
            .envs(names.iter().copied())
            .stdin(Stdio::piped())
            .stdout(if speaks { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::piped())
            // What it starts is in its group, and ends with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| denied(format!("the program {word} does not start: {error}")))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).map(Group::new);
        if let Some(mut pipe) = child.stdin.take() {
            // One that does not want to read it may do so.
            tokio::spawn(async move { drop(pipe.write_all(input.as_bytes()).await) });
        }
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = child.stderr.take().map(|pipe| tokio::spawn(hear(pipe, Arc::clone(&said))));
        let out = child.stdout.take().map(|pipe| BufReader::with_capacity(64 << 10, pipe));
        Ok(Self { name: word.clone(), child: Some(child), group, out, begun: Vec::new(), said, hears })
    }

    /// Its next line, without the end of it. None: there is no more. Dropped, it loses nothing of what was read.
    ///
    /// # Errors
    /// [`Failure::Nonsense`]: it is too long, or no text. What the system says is [`Failure::Broken`].
    pub async fn line(&mut self) -> Result<Option<String>, RemoteError> {
        let Some(out) = &mut self.out else { return Ok(None) };
        let most = (limits::TOLD_LINE_BYTES_MAX + 1).saturating_sub(self.begun.len());
        out.take(most as u64).read_until(b'\n', &mut self.begun).await.map_err(|error| {
            RemoteError::new(Failure::Broken, format!("what the program {} prints cannot be read: {error}", self.name))
        })?;
        let mut line = std::mem::take(&mut self.begun);
        if line.is_empty() {
            return Ok(None);
        }
        let nonsense = |what: &str| RemoteError::new(Failure::Nonsense, format!("the program {} printed {what}", self.name));
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > limits::TOLD_LINE_BYTES_MAX {
            return Err(nonsense(&format!("a line of more than {} bytes", limits::TOLD_LINE_BYTES_MAX)));
        }
        String::from_utf8(line).map(Some).map_err(|_| nonsense("a line that is not text"))
    }

    /// By which it can be asked to end while its end is waited for.
    #[must_use]
    pub fn asker(&self) -> Asker {
        Asker(self.group.as_ref().map(|group| group.0))
    }

    /// Waits for its end. What it started does not outlive it for longer than [`limits::PROGRAM_ENDS_TIME_MAX`].
    ///
    /// # Errors
    /// It did not end well: [`Failure::Throttled`] where it asks to be tried again, else [`Failure::Work`], with its last words.
    pub async fn ends(mut self) -> Result<(), RemoteError> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let ended = child.wait().await;
        self.child = None;
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group.0, Signal::TERM);
            tokio::spawn(async move {
                let _ = tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, group.is_empty()).await;
            });
        }
        let name = &self.name;
        let status = ended.map_err(|error| RemoteError::new(Failure::Broken, format!("waiting for {name}: {error}")))?;
        if status.success() {
            return Ok(());
        }
        if let Some(hears) = self.hears.take() {
            // Others may hold its end of the pipe: then what was said so far has to do.
            let _ = tokio::time::timeout(limits::LAST_WORDS_TIME_MAX, hears).await;
        }
        let words = last_words(&self.said.lock().unwrap_or_else(PoisonError::into_inner));
        Err(failed(name, status, &words))
    }
}

/// Asks a program to end.
#[derive(Clone, Copy, Debug)]
pub struct Asker(Option<Pid>);

impl Asker {
    /// The program with all that it started. Only as long as its end is waited for: later its number may be another's.
    pub fn to_end(self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

fn failed(name: &str, status: ExitStatus, words: &str) -> RemoteError {
    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
    if status.code() == Some(limits::EXIT_TRY_AGAIN) {
        return RemoteError::new(Failure::Throttled(None), format!("the program {name} asks to be tried again later{words}"));
    }
    RemoteError::new(Failure::Work, format!("the program {name} ended with {status}{words}"))
        .hint("run it by hand with the same words, and see what it says; the sync tries it again")
}

/// The end of what was said, in one line.
fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join(" / ");
    let more = text.chars().count().saturating_sub(limits::WORDS_CHARS_MAX);
    let text: String = text.chars().skip(more).map(|one| if one.is_control() { ' ' } else { one }).collect();
    text.trim_start_matches([' ', '/']).to_owned()
}

/// Keeps the end of what is said, until there is no more.
async fn hear(mut pipe: impl AsyncRead + Unpin, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&piece[..read]);
        let more = said.len().saturating_sub(limits::LAST_WORDS_BYTES_MAX);
        said.drain(..more);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let (Some(mut child), Some(group)) = (self.child.take(), self.group.take()) else { return };
        let _ = kill_process_group(group.0, Signal::TERM);
        // Without a runtime we end too, and the group is killed where it is dropped.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let all = async {
                    let _ = child.wait().await;
                    group.is_empty().await;
                };
                if tokio::time::timeout(limits::PROGRAM_ENDS_TIME_MAX, all).await.is_err() {
                    let _ = kill_process_group(group.0, Signal::KILL);
                    let _ = child.wait().await;
                }
            });
        }
    }
}

/// A program with all that it started. Dropped, those that still live are killed.
#[derive(Debug)]
struct Group(Pid);

/// Every group there is, to be killed when we end: what waits for their ends does not run any more then.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

impl Group {
    fn new(id: Pid) -> Self {
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Self(id)
    }

    /// Waits until nobody is left. The first one was reaped: its number is the group's as long as anybody is in it, and is not given
    /// away again between two looks, since numbers go round.
    async fn is_empty(&self) {
        while test_kill_process_group(self.0).is_ok() {
            // Nothing tells the end of those that are not our children.
            let _ = tokio::time::timeout(LOOK_EVERY, pending::<()>()).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| *one != self.0);
    }
}

/// Kills every program that runs, with all that they started: we end.
pub fn kill_all() {
    for group in std::mem::take(&mut *GROUPS.lock().unwrap_or_else(PoisonError::into_inner)) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}
