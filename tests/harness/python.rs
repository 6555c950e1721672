//! Owns: an app in Python that stands on `client/python/mingle.py`: told what to do line by line, asked what came of it.
//! Must never know: what a test has it do; the daemon.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;

use crate::{servers, wait};

/// Where `mingle.py` lies.
#[must_use]
pub fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/python")
}

/// A Python process. It ends with its value.
pub struct Python {
    child: Child,
    told: Option<ChildStdin>,
    says: mpsc::Receiver<String>,
}

impl Python {
    /// Starts `python3` with these variables in its environment, and no others but PATH.
    ///
    /// # Panics
    /// When there is no `python3`, which the README asks for.
    #[must_use]
    pub fn start(environment: &[(String, String)]) -> Self {
        let mut command = servers::tied(&Command::new("python3"));
        command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/python/app.py")).arg(client());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = servers::spawn(command).unwrap_or_else(|error| panic!("python3: {error}"));
        let (told, out) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        let (sender, says) = mpsc::channel();
        // Read beside the test, so that what never comes is waited for with a deadline.
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, told, says }
    }

    /// Only tells it what to do; [`Python::answer`] waits.
    ///
    /// # Panics
    /// When it is gone.
    pub fn tell(&mut self, code: &str) {
        let line = format!("{}\n", Value::from(code));
        let told = self.told.as_mut().expect("its input is open");
        told.write_all(line.as_bytes()).unwrap_or_else(|error| panic!("python3 is gone: {error}; it was told {code}"));
    }

    /// What came of what was told.
    ///
    /// # Panics
    /// When it ends without an answer, or does not answer in time.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        let line = self.says.recv_timeout(wait::LONG).unwrap_or_else(|why| panic!("no answer from python3: {why}"));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Does this, and gives the value of it (null where it is a statement).
    ///
    /// # Panics
    /// When it raises.
    #[track_caller]
    pub fn does(&mut self, code: &str) -> Value {
        self.tell(code);
        let mut answer = self.answer();
        assert!(answer.get("raised").is_none(), "{code}\nraised {answer}");
        answer["value"].take()
    }

    /// Does this, which must raise an exception of this class; gives what the exception has.
    ///
    /// # Panics
    /// When it raises nothing, or something else.
    #[track_caller]
    pub fn raises(&mut self, class: &str, code: &str) -> Value {
        self.tell(code);
        let answer = self.answer();
        assert_eq!(answer["raised"], class, "{code}\ngave {answer}");
        answer
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.told.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
