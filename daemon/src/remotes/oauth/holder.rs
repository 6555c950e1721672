//! Owns: the tokens of one login: the one place that has them, and that asks for others. Must never know: what they open, how a person logs in.
//!
//! Remotes with one login share this, and so there is one renewal at a time: whoever comes meanwhile waits, and finds what it brought. A
//! renewal is brought to its end, though the run that wanted it is stopped: the service may have given a new token in place of the one that
//! we have, and nobody else would hear of it. What came is on the disk before it is used. A kill between the answer and the disk loses it: a
//! service that then takes the one before no more wants a person.

use std::sync::Arc;

use mingle_core::{
    login::{Refused, Remedy, remedy, renewed_at},
    planted,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    answer::{Grant, No},
    ask::Asker,
    kept::{Kept, Pair, Place, broken},
};
use crate::remotes::{Problem, http};

/// One login.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) place: Place,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// It is not on the disk yet: that failed.
    is_unsaved: bool,
    /// A service refused the token before this one, and none has taken this one.
    is_unproven: bool,
    /// For what no other token is given, and what was said.
    ended: Option<(String, RemoteError)>,
}

// What is shown of it may end up in a log.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a login")
    }
}

/// Whom a run speaks for: it ends where somebody else has logged in meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    login: String,
    account: String,
}

impl Who {
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    fn is(&self, kept: &Kept) -> bool {
        if planted::is("a run goes on for whoever has logged in") {
            return true;
        }
        // Where the service does not say who it is, another login may be anybody's.
        if kept.account.is_empty() { self.login == kept.login } else { self.account == kept.account }
    }
}

impl Holder {
    pub(super) fn new(place: Place) -> Self {
        Self { place, state: Arc::default() }
    }

    /// What lies there now, for a run that begins. `anew`: a person asks, so what was said to be over is asked once more.
    ///
    /// # Errors
    /// There is no login, or it was given to another program.
    pub(super) async fn begin(&self, asker: &Asker, remote: &str, anew: bool) -> Result<Who, RemoteError> {
        let mut state = self.state.lock().await;
        // What could not be written is newer than what lies there.
        if !state.is_unsaved {
            state.kept = self.place.read().await?;
        }
        if anew {
            state.ended = None;
        }
        let kept = state.kept.as_ref().filter(|kept| kept.tokens.is_some());
        let kept = kept.ok_or_else(|| needs(remote, format!("nobody has logged in to {remote} yet")))?;
        if kept.client_id != asker.settings.client_id {
            return Err(needs(remote, format!("the login of {remote} was given to another client_id")));
        }
        Ok(Who { login: kept.login.clone(), account: kept.account.clone() })
    }

    /// A token that is good as far as anybody knows.
    pub(super) async fn token(&self, asker: &Asker, remote: &str, who: &Who) -> Result<String, RemoteError> {
        let state = self.settled().await?;
        let pair = state.pair(remote, who)?;
        if !pair.is_due((asker.now)()) || pair.refresh.is_none() {
            return Ok(pair.access.clone());
        }
        self.renewed(state, asker, remote, false).await
    }

    /// Another one than this, which a service refused; none: none is to be had, and the refusal stands.
    pub(super) async fn other_than(
        &self,
        refused: &str,
        asker: &Asker,
        remote: &str,
        who: &Who,
    ) -> Result<Option<String>, RemoteError> {
        let state = self.settled().await?;
        let pair = state.pair(remote, who)?;
        let is_over = pair.is_due((asker.now)());
        match remedy(Refused { is_ours: pair.access == refused, is_unproven: state.is_unproven, is_over }) {
            Remedy::Again => Ok(Some(pair.access.clone())),
            Remedy::Renew if pair.refresh.is_some() => self.renewed(state, asker, remote, true).await.map(Some),
            Remedy::Renew | Remedy::Person => Ok(None),
        }
    }

    /// A service took this one.
    pub(super) async fn proven(&self, token: &str) {
        let mut state = self.state.lock().await;
        if state.is_unproven && state.kept.as_ref().and_then(|kept| kept.tokens.as_ref()).is_some_and(|pair| pair.access == token)
        {
            state.is_unproven = false;
        }
    }

    /// The state, once what came is on the disk.
    async fn settled(&self) -> Result<OwnedMutexGuard<State>, RemoteError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if state.is_unsaved
            && let Some(kept) = &state.kept
        {
            self.place.write(kept).await.map_err(broken)?;
            state.is_unsaved = false;
        }
        Ok(state)
    }

    /// Another token. `refused`: a service refused the one before it, so this one has to prove itself.
    async fn renewed(
        &self,
        state: OwnedMutexGuard<State>,
        asker: &Asker,
        remote: &str,
        refused: bool,
    ) -> Result<String, RemoteError> {
        let work = renew(state, asker.clone(), self.place.clone(), remote.to_owned(), refused);
        // By itself: see above.
        tokio::spawn(work).await.unwrap_or_else(|_| Err(RemoteError::new(Failure::Broken, "the renewal of a login was cut off")))
    }

    /// Somebody has logged in. Whose login it is now.
    pub(super) async fn accept(&self, grant: Grant, asker: &Asker) -> Result<String, Problem> {
        let mut state = self.state.lock().await;
        let account = grant.identity.as_ref().map(super::answer::Identity::account).unwrap_or_default();
        let login = uuid::Uuid::new_v4().to_string();
        let tokens = Some(pair(&grant, None, (asker.now)()));
        let kept = Kept { login, account: account.clone(), client_id: asker.settings.client_id.clone(), tokens };
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        Ok(account)
    }

    /// The login ends: what is to be ended at the service as well; none: there was none.
    pub(super) async fn forget(&self) -> Result<Option<Pair>, Problem> {
        let mut state = self.state.lock().await;
        let told = |error: RemoteError| Problem { what: error.what, hint: error.hint };
        let kept = if state.is_unsaved { state.kept.take() } else { self.place.read().await.map_err(told)? };
        let Some(Kept { tokens: Some(pair), login, account, client_id }) = kept else { return Ok(None) };
        // Whose it was stays known: the next may be another's.
        let kept = Kept { login, account, client_id, tokens: None };
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        Ok(Some(pair))
    }

    /// Once no renewal is under way.
    pub(super) async fn rests(&self) {
        drop(self.state.lock().await);
    }
}

impl State {
    fn pair(&self, remote: &str, who: &Who) -> Result<&Pair, RemoteError> {
        let kept = self.kept.as_ref().filter(|kept| kept.tokens.is_some());
        let kept = kept.ok_or_else(|| needs(remote, format!("somebody has logged out of {remote}")))?;
        if !who.is(kept) {
            return Err(another(remote));
        }
        kept.tokens.as_ref().ok_or_else(|| needs(remote, format!("nobody has logged in to {remote} yet")))
    }
}

/// Asks for another token, and keeps it.
async fn renew(
    mut state: OwnedMutexGuard<State>,
    asker: Asker,
    place: Place,
    remote: String,
    is_unproven: bool,
) -> Result<String, RemoteError> {
    let Some((kept, pair)) = state.kept.clone().and_then(|kept| Some((kept.clone(), kept.tokens?))) else {
        return Err(needs(&remote, format!("nobody has logged in to {remote} yet")));
    };
    let Some(refresh) = pair.refresh.clone() else { return Ok(pair.access) };
    if let Some((over, error)) = &state.ended
        && *over == refresh
    {
        return Err(error.clone());
    }
    let places = asker.places().await?;
    let given = asker.grant(&places, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    let grant = match given {
        Ok(grant) => grant,
        Err(No::Trouble(error)) => return Err(error),
        Err(No::Said(code, said)) => {
            let error = refused(&remote, &http::place(&places.token), &code, &said);
            tracing::warn!(%remote, code, "the login is not renewed");
            if error.kind == Failure::NeedsLogin {
                state.ended = Some((refresh, error.clone()));
            }
            return Err(error);
        }
    };
    if let Some(identity) = &grant.identity
        && !kept.account.is_empty()
        && identity.account() != kept.account
    {
        return Err(needs(&remote, format!("the service renews the login of {remote} as somebody else's")));
    }
    let pair = self::pair(&grant, Some(refresh), (asker.now)());
    let access = pair.access.clone();
    let kept = Kept { tokens: Some(pair), ..kept };
    let written = place.write(&kept).await;
    tracing::debug!(%remote, kept = written.is_ok(), "the login was renewed");
    (state.kept, state.is_unsaved, state.is_unproven) = (Some(kept), written.is_err(), is_unproven);
    written.map_err(broken).map(|()| access)
}

fn pair(grant: &Grant, before: Option<String>, now: Timestamp) -> Pair {
    let (chance, _) = uuid::Uuid::new_v4().as_u64_pair();
    let renew_at_ms = grant.lives.map(|lives| renewed_at(now, lives, chance).unix_ms());
    Pair { access: grant.access.clone(), renew_at_ms, refresh: grant.refresh.clone().or(before) }
}

/// What it means that no other token is given for the one that we have.
fn refused(remote: &str, place: &str, code: &str, said: &str) -> RemoteError {
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    match code {
        "server_error" | "temporarily_unavailable" | "slow_down" => {
            RemoteError::new(Failure::Server, format!("{place} is in trouble ({code}{said})"))
        }
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" => {
            let what = format!("{place} does not take this program ({code}{said})");
            RemoteError::new(Failure::NeedsLogin, what)
                .hint(format!("look at client_id and client_secret in [remote.{remote}], then `mingle remote login {remote}`"))
        }
        _ => needs(
            remote,
            format!("{place} does not renew the login of {remote}: it has run out, or was ended there ({code}{said})"),
        ),
    }
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
            let who = Who { login: was.0.into(), account: was.1.into() };
            assert_eq!(who.is(&kept(now.0, now.1)), same, "{was:?} {now:?}");
        };
        check(("l1", "ada"), ("l1", "ada"), true);
        check(("l1", "ada"), ("l2", "ada"), true);
        check(("l1", "ada"), ("l2", "bob"), false);
        check(("l1", ""), ("l1", ""), true);
        check(("l1", ""), ("l2", ""), false);
        check(("l1", "ada"), ("l2", ""), false);
        check(("l1", ""), ("l2", "bob"), false);
    }

    #[test]
    fn what_is_said_of_a_renewal_is_a_no_or_trouble() {
        let check = |code: &str, kind: Failure, part: &str| {
            let error = refused("far", "https://id.org/token", code, "");
            let told = format!("{} {}", error.what, error.hint.unwrap_or_default());
            assert!(error.kind == kind && told.contains(part), "{code}: {told}");
        };
        check("invalid_grant", Failure::NeedsLogin, "`mingle remote login far`");
        check("access_denied", Failure::NeedsLogin, "`mingle remote login far`");
        check("invalid_client", Failure::NeedsLogin, "client_id and client_secret in [remote.far]");
        check("temporarily_unavailable", Failure::Server, "in trouble");
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
