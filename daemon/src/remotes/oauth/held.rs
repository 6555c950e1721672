//! Owns: what is held of one login, and whom a run speaks for. Must never know: how another token is asked for, where tokens are kept.

use std::sync::{Mutex as ShortLock, MutexGuard, PoisonError, atomic::AtomicU64};

use mingle_core::{
    planted,
    replica::{Failure, RemoteError},
    time::Timestamp,
};

use tokio::sync::watch;

use super::kept::{Kept, Pair};

#[derive(Default)]
pub(super) struct State {
    pub(super) kept: Option<Kept>,
    /// It is not on the disk yet: that failed.
    pub(super) is_unsaved: bool,
    /// Whom no other token is given, and what was said.
    pub(super) ended: Option<Ended>,
    /// Why the last renewal came to nothing.
    pub(super) trouble: Option<Trouble>,
}

/// No other token is given.
pub(super) struct Ended {
    /// For this one.
    pub(super) refresh: String,
    /// To a program that shows itself so.
    pub(super) program: blake3::Hash,
    pub(super) error: RemoteError,
}

/// A renewal came to nothing: all who wait for it are told, and it is not asked for again at once. An answer that is lost may be a renewal that was
/// done, and the same token once more looks like theft to some services.
#[derive(Clone)]
pub(super) struct Trouble {
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
    /// The service named the time.
    pub(super) is_told: bool,
    pub(super) error: RemoteError,
}

// What is shown of it may end up in a log.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a login")
    }
}

/// What is known without waiting for a renewal.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Renewals that came to nothing: who finds more than when it came has waited for one.
    pub(super) failed: AtomicU64,
    /// Persons who wait to log in or out: a renewal is given up for them.
    pub(super) persons: watch::Sender<usize>,
    /// Of a token that came in place of one that a service refused, while none has taken it.
    unproven: ShortLock<Option<blake3::Hash>>,
}

/// Somebody who waits to log in or out.
pub(super) struct Person<'a>(&'a watch::Sender<usize>);

impl Drop for Person<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|persons| *persons -= 1);
    }
}

/// Whom a run speaks for: it ends where somebody else has logged in meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who(String);

impl Who {
    pub(super) fn of(kept: &Kept) -> Self {
        Self(kept.who().to_owned())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    fn is(&self, kept: &Kept) -> bool {
        if planted::is("a run goes on for whoever has logged in") {
            return true;
        }
        self.0 == kept.who()
    }
}

impl State {
    pub(super) fn pair(&self, remote: &str, who: &Who) -> Result<&Pair, RemoteError> {
        let kept = self.kept.as_ref().and_then(|kept| Some((kept, kept.tokens.as_ref()?)));
        let (kept, pair) = kept.ok_or_else(|| needs(remote, format!("somebody has logged out of {remote}")))?;
        if who.is(kept) { Ok(pair) } else { Err(another(remote)) }
    }
}

impl Beside {
    /// A person waits, until this is dropped.
    pub(super) fn person(&self) -> Person<'_> {
        self.persons.send_modify(|persons| *persons += 1);
        Person(&self.persons)
    }

    /// Once a person waits.
    pub(super) async fn is_wanted(&self) {
        // The other end is here.
        let _ = self.persons.subscribe().wait_for(|persons| *persons > 0).await;
    }

    pub(super) fn unproven(&self) -> MutexGuard<'_, Option<blake3::Hash>> {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn print(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

/// A person has to log in.
pub(super) fn needs(remote: &str, what: String) -> RemoteError {
    RemoteError::new(Failure::NeedsLogin, what).hint(format!("`mingle remote login {remote}`"))
}

/// The run speaks for somebody who is not logged in any more.
pub(super) fn another(remote: &str) -> RemoteError {
    let what = format!("somebody else, or nobody knows who, has logged in to {remote}: nothing of one is sent to the other");
    RemoteError::new(Failure::Broken, what).hint("the next run speaks for who is logged in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_speaks_for_whom_it_began_for() {
        let kept = |login: &str, account: &str| Kept { login: login.into(), account: account.into(), ..Kept::default() };
        let check = |was: (&str, &str), now: (&str, &str), same: bool| {
            assert_eq!(Who::of(&kept(was.0, was.1)).is(&kept(now.0, now.1)), same, "{was:?} {now:?}");
        };
        check(("l1", "ada"), ("l1", "ada"), true);
        check(("l1", "ada"), ("l2", "ada"), true);
        check(("l1", "ada"), ("l2", "bob"), false);
        check(("l1", ""), ("l1", ""), true);
        check(("l1", ""), ("l2", ""), false);
        check(("l1", "ada"), ("l2", ""), false);
        check(("l1", ""), ("l2", "bob"), false);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("a run goes on for whoever has logged in"));
        let found = std::panic::catch_unwind(a_run_speaks_for_whom_it_began_for).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
