//! Owns: where a command stands: its connection, its output, and its patience with a daemon that goes away. Must never know:
//! subcommands.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    time::Duration,
};

use mingle_client::{Ask, CallError, ConnectError, Options, Raw, blocking::Client};

use crate::{
    clock::{self, Deadline},
    exit::{Exit, Failure},
};

/// How long a daemon that goes away is waited for: a restart takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked for meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// One run of the command.
pub struct At {
    /// Answers are printed as they came.
    pub json: bool,
    options: Options,
    client: Option<Client>,
    out: BufWriter<io::Stdout>,
    color: bool,
    told_of_build: bool,
}

impl At {
    /// As this app.
    pub fn new(json: bool, app: String) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = !json && wanted && io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { json, options: Options::app(app), client: None, out: BufWriter::new(io::stdout()), color, told_of_build: false }
    }

    /// How to connect once more: for progress, which has a connection of its own.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Whether colour is wanted.
    pub const fn color(&self) -> bool {
        self.color
    }

    /// `status`, `stop` and `shutdown` speak with a daemon of any version: they say no `hello` where it is not understood.
    pub fn with_any_version(&mut self) -> Result<(), Failure> {
        match Client::open(&self.options) {
            Err(ConnectError::WrongVersion { what }) => {
                self.note(&format!("mingled speaks another version: {what}"));
                self.options.without_hello = true;
                self.client = Some(Client::open(&self.options)?);
            }
            other => {
                let client = other?;
                self.look_at_build(&client);
                self.client = Some(client);
            }
        }
        Ok(())
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        if self.client.is_none() {
            let client = Client::open(&self.options)?;
            self.look_at_build(&client);
            self.client = Some(client);
        }
        self.client.as_mut().ok_or_else(|| Failure::said(Exit::NoDaemon, "there is no connection", ""))
    }

    /// After an upgrade the old daemon goes on until somebody restarts it: said once.
    fn look_at_build(&mut self, client: &Client) {
        let Some(build) = client.hello().map(|hello| hello.build.as_str()) else { return };
        if !self.told_of_build && is_older(build, env!("CARGO_PKG_VERSION")) {
            self.told_of_build = true;
            let ours = env!("CARGO_PKG_VERSION");
            self.note(&format!(
                "mingled {build} still runs, and this is mingle {ours}: `mingle service restart` starts the new one"
            ));
        }
    }

    /// Makes a call. Where the daemon goes away, it is waited for and asked again: a repeated write is safe, for it carries its
    /// operation id.
    pub fn ask<C: Ask + Clone>(&mut self, mut call: C) -> Result<Raw, Failure> {
        call.give_op();
        let once = |at: &mut Self| Ok(at.client()?.call_raw(call.clone())?);
        match once(self) {
            // A daemon that goes away between connect and hello went away as well, but nothing was asked of it.
            Err(Failure::Connect(ConnectError::Hello(lost @ CallError::Lost { .. }))) => self.again(lost, None, once),
            Err(Failure::Call(lost @ CallError::Lost { .. })) => {
                self.client = None;
                self.again(lost, call.op(), once)
            }
            answer => answer,
        }
    }

    /// Repeats until a daemon is there again, or patience ends.
    pub fn again<T>(
        &mut self,
        lost: CallError,
        op: Option<&str>,
        mut ask: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = Deadline::after(Some(PATIENCE));
        self.note("mingled went away; waiting for it");
        let mut last = Failure::Call(lost);
        while !until.passed() {
            clock::pause(LOOK_AGAIN);
            match ask(self) {
                Err(Failure::Connect(absent)) if absent.is_absence() => last = absent.into(),
                Err(Failure::Call(lost @ CallError::Lost { .. })) => {
                    self.client = None;
                    last = lost.into();
                }
                other => return other,
            }
        }
        Err(Failure::Gone {
            after_s: PATIENCE.as_secs(),
            what: match op {
                Some(_) => "whether it was written is not known",
                None => "the work goes on when mingled is back",
            },
            hint: match op {
                Some(op) => format!("when mingled is back, repeat it with `--op {op}`, which writes it once at most"),
                None => last.hint(),
            },
        })
    }

    /// Makes a call and reads its answer.
    pub fn call<C: Ask + Clone>(&mut self, call: C) -> Result<C::Answer, Failure> {
        read::<C>(&self.ask(call)?)
    }

    /// Makes a call; prints the answer as it came (`--json`), or what `words` makes of it.
    pub fn show<C: Ask + Clone>(&mut self, call: C, words: impl FnOnce(&C::Answer) -> String) -> Result<C::Answer, Failure> {
        let raw = self.ask(call)?;
        let answer = read::<C>(&raw)?;
        if self.json {
            self.line(raw.get())?;
        } else {
            self.text(&words(&answer))?;
        }
        Ok(answer)
    }

    /// Prints one line.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Prints lines; nothing for an empty text.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        match text.trim_end() {
            "" => Ok(()),
            text => self.line(text),
        }
    }

    /// Prints what is written so far: a reader of a stream wants it now.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Says something beside the output.
    #[expect(clippy::unused_self, reason = "what is said may one day depend on how quiet a person wants it")]
    pub fn note(&self, note: &str) {
        complain(note);
    }

    /// The end of the output.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.flush()
    }

    /// Says why the command failed, and what a person may do.
    pub fn complain(&mut self, failure: &Failure) {
        if matches!(failure, Failure::Unread | Failure::Ended(_)) {
            return;
        }
        // What was printed before the failure is true, and comes first.
        let _ = self.out.flush();
        self.note(&failure.to_string());
        let hint = failure.hint();
        if !hint.is_empty() {
            let _ = writeln!(io::stderr(), "  hint: {}", crate::words::plain(&hint));
        }
    }
}

/// Whether a version comes before another; what is no version comes before none.
fn is_older(build: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let text = text.split(['-', '+']).next().unwrap_or_default();
        text.split('.').map(|number| number.parse().ok()).collect()
    };
    matches!((numbers(build), numbers(than)), (Some(build), Some(than)) if build < than)
}

fn read<C: Ask>(raw: &Raw) -> Result<C::Answer, Failure> {
    serde_json::from_str(raw.get()).map_err(|why| CallError::Garbled(format!("{}: {why}", C::METHOD)).into())
}

/// The same where nothing else is at hand.
pub fn complain(note: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "mingle: {}", crate::words::plain(note));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (build, than, older) in [
            ("0.1.0", "0.2.0", true),
            ("0.9.0", "0.10.0", true),
            ("0.2.0", "0.2.0", false),
            ("1.0.0", "0.2.0", false),
            ("0.1.9-rc.1", "0.2.0", true),
            ("fake", "0.2.0", false),
            ("", "0.2.0", false),
        ] {
            assert_eq!(is_older(build, than), older, "{build} {than}");
        }
    }
}
