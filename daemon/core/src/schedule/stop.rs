//! Owns: why a run was stopped, in its words, and what follows of it. Must never know: who stops it.

use super::Constraint;

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A person stopped or paused it.
    User,
    /// An app did.
    App,
    /// Its deadline passed, or the wire was silent too long.
    Timeout,
    /// A condition no longer held.
    Constraint(Constraint),
    /// Something more urgent needed its place.
    Preempted,
    /// The daemon ends, or the machine sleeps.
    Shutdown,
    /// The daemon died.
    Crash,
    /// The credentials were refused.
    Auth,
    /// The schema changed under it.
    Schema,
    /// The sync was defined anew.
    Replaced,
}

impl StopReason {
    /// Whether a run stopped for this reason is due at once when it may run again.
    #[must_use]
    pub const fn due_again(self) -> bool {
        matches!(self, Self::Timeout | Self::Constraint(_) | Self::Preempted | Self::Shutdown | Self::Crash)
    }

    /// The word in history: `user`, `timeout`, `constraint:network`, ...
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::App => "app",
            Self::Timeout => "timeout",
            Self::Constraint(constraint) => constraint.stop_reason(),
            Self::Preempted => "preempted",
            Self::Shutdown => "shutdown",
            Self::Crash => "crash",
            Self::Auth => "auth",
            Self::Schema => "schema",
            Self::Replaced => "replaced",
        }
    }

    /// Reads the word back; none: there is no such reason.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let plain = [
            Self::User,
            Self::App,
            Self::Timeout,
            Self::Preempted,
            Self::Shutdown,
            Self::Crash,
            Self::Auth,
            Self::Schema,
            Self::Replaced,
        ];
        let constraints = Constraint::ALL.map(Self::Constraint);
        plain.into_iter().chain(constraints).find(|reason| reason.name() == word)
    }
}
