//! Owns: the exit codes, and which end of a command has which. Must never know: subcommands.

use std::{io, process::ExitCode};

use mingle_client::{CallError, ConnectError, Name, blocking::SubscribeError};

/// How a command ends, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// It was asked in a way that cannot be meant.
    Usage = 2,
    /// There is no daemon to do it.
    NoDaemon = 3,
    /// It may not be done.
    NoPermission = 4,
    /// A person must decide: an open conflict, a rejection, a login, guarded deletes.
    Person = 5,
    /// It waits for a condition.
    Waits = 6,
    /// It is not settled yet.
    Timeout = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The end of two things done together: the one that a person should look at first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        const FIRST: [Exit; 8] =
            [Exit::Usage, Exit::NoDaemon, Exit::NoPermission, Exit::Failed, Exit::Person, Exit::Waits, Exit::Timeout, Exit::Done];
        FIRST.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(self)
    }
}

/// Why a command does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call brought no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The daemon went away and did not come back in time.
    #[error("mingled went away, and is not back after {} s; {what}", after_s)]
    Gone {
        /// How long was tried.
        after_s: u64,
        /// What becomes of what was asked.
        what: &'static str,
        /// What a person may do.
        hint: String,
    },
    /// What the command itself says.
    #[error("{what}")]
    Said {
        /// The code it ends with.
        exit: Exit,
        /// In words.
        what: String,
        /// What a person may do; may be empty.
        hint: String,
    },
    /// A command that we ran for somebody has ended, and said whatever it had to say.
    #[error("the command ended with {0}")]
    Ended(u8),
    /// Nobody reads our output any more: that is no failure (`mingle list issues | head`).
    #[error("nobody reads the output")]
    Unread,
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Connect(error) => Self::Connect(error),
            SubscribeError::Call(error) => Self::Call(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Unread } else { Self::said(Exit::Failed, error.to_string(), "") }
    }
}

impl Failure {
    /// What the command itself has to say.
    pub fn said(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Said { exit, what: what.into(), hint: hint.into() }
    }

    /// What the daemon says in words of the wire, in those of the command line.
    #[must_use]
    pub fn reworded(mut self, wire: &str, ours: &str) -> Self {
        if let Self::Call(CallError::Refused(refusal)) = &mut self {
            refusal.message = refusal.message.replace(wire, ours);
            refusal.data.hint = refusal.data.hint.take().map(|hint| hint.replace(wire, ours));
        }
        self
    }

    /// The code that it ends with.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Connect(ConnectError::NoPermission { .. }) => Exit::NoPermission,
            Self::Connect(ConnectError::Hello(error)) | Self::Call(error) => of_call(error),
            Self::Connect(_) | Self::Gone { .. } => Exit::NoDaemon,
            Self::Said { exit, .. } => *exit,
            Self::Ended(0) | Self::Unread => Exit::Done,
            Self::Ended(_) => Exit::Failed,
        }
    }

    /// The code of the process: that of the command which ran, or our own.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Ended(code) => ExitCode::from(*code),
            other => other.exit().into(),
        }
    }

    /// What a person may do; may be empty.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Connect(error) => error.hint(),
            Self::Call(error) => of_call_hint(error),
            Self::Gone { hint, .. } | Self::Said { hint, .. } => hint.clone(),
            Self::Ended(_) | Self::Unread => String::new(),
        }
    }
}

const fn of_call(error: &CallError) -> Exit {
    match error {
        CallError::Refused(refusal) => of_name(refusal.data.name),
        CallError::Lost { .. } | CallError::Garbled(_) => Exit::NoDaemon,
        CallError::Late { .. } => Exit::Timeout,
    }
}

/// Every error name of the protocol has its code.
const fn of_name(name: Name) -> Exit {
    match name {
        Name::Invalid => Exit::Usage,
        Name::Version => Exit::NoDaemon,
        Name::Denied => Exit::NoPermission,
        Name::NeedsLogin => Exit::Person,
        Name::Stopped => Exit::Waits,
        Name::Deadline => Exit::Timeout,
        Name::NotFound
        | Name::Stale
        | Name::OpReused
        | Name::WrongState
        | Name::Guarded
        | Name::TooLarge
        | Name::Busy
        | Name::Cancelled
        | Name::OutcomeUnknown
        | Name::Unsupported
        | Name::ReadOnly
        | Name::DiskFull
        | Name::Internal
        | Name::Parse
        | Name::Request
        | Name::Method
        | Name::Unknown => Exit::Failed,
    }
}

fn of_call_hint(error: &CallError) -> String {
    if let Some(op) = error.outcome_unknown() {
        return format!("whether it was written is not known; repeat it with `--op {op}`, which writes it once at most");
    }
    match error {
        CallError::Refused(refusal) => refusal.data.hint.clone().unwrap_or_else(|| of_name_hint(refusal.data.name).into()),
        CallError::Garbled(_) => "install `mingle` and `mingled` of one release".into(),
        CallError::Lost { .. } | CallError::Late { .. } => String::new(),
    }
}

/// For refusals that come without a hint.
const fn of_name_hint(name: Name) -> &'static str {
    match name {
        Name::Stopped => "`mingle restart` accepts runs again",
        Name::Stale => "read it again, then decide; `--overwrite` writes whatever is there",
        Name::Denied => "the configuration grants it: `[app.NAME]`; `--app NAME` says who you are",
        Name::NeedsLogin => "`mingle remote check` tries the credentials again",
        Name::Version | Name::Method => "install `mingle` and `mingled` of one release",
        Name::Busy => "ask again in a moment",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use mingle_client::Error;

    use super::*;

    #[test]
    fn every_end_has_its_code() {
        #[track_caller]
        fn check(failure: impl Into<Failure>, expect: Exit) {
            let failure = failure.into();
            assert_eq!(failure.exit(), expect, "{failure}");
        }
        let refused = |name| CallError::Refused(Error::new(name, "m"));
        check(refused(Name::NotFound), Exit::Failed);
        check(refused(Name::Invalid), Exit::Usage);
        check(refused(Name::Denied), Exit::NoPermission);
        check(refused(Name::NeedsLogin), Exit::Person);
        check(refused(Name::Stopped), Exit::Waits);
        check(refused(Name::Deadline), Exit::Timeout);
        check(refused(Name::OutcomeUnknown), Exit::Failed);
        check(CallError::Lost { why: String::new(), op: None }, Exit::NoDaemon);
        check(CallError::Garbled(String::new()), Exit::NoDaemon);
        check(ConnectError::NotInstalled, Exit::NoDaemon);
        check(ConnectError::WrongVersion { what: String::new() }, Exit::NoDaemon);
        let closed = ConnectError::NoPermission { path: "/x".into(), what: String::new(), remedy: String::new() };
        check(closed, Exit::NoPermission);
        check(ConnectError::Hello(refused(Name::Denied)), Exit::NoPermission);
        check(Failure::Unread, Exit::Done);
    }

    #[test]
    fn the_first_thing_to_look_at_wins() {
        #[track_caller]
        fn check(ends: &[Exit], expect: Exit) {
            assert_eq!(ends.iter().copied().fold(Exit::Done, Exit::and), expect, "{ends:?}");
        }
        check(&[], Exit::Done);
        check(&[Exit::Done, Exit::Waits, Exit::Done], Exit::Waits);
        check(&[Exit::Waits, Exit::Person], Exit::Person);
        check(&[Exit::Person, Exit::Failed, Exit::Waits], Exit::Failed);
        check(&[Exit::Failed, Exit::NoDaemon], Exit::NoDaemon);
    }

    #[test]
    fn an_unknown_outcome_gives_the_op() {
        let lost = Failure::Call(CallError::Lost { why: "it was closed".into(), op: Some("o-1".into()) });
        assert!(lost.hint().contains("--op o-1"));
        let unknown = Error::new(Name::OutcomeUnknown, "m").op("o-2");
        assert!(Failure::Call(unknown.into()).hint().contains("--op o-2"));
    }
}
