//! Owns: the tokens of one login: the one place that has them, and that asks for others. Must never know: what they open, how a person logs in.
//!
//! Remotes with one login share this, and so there is one renewal at a time: whoever comes meanwhile waits, and finds what it brought. A
//! renewal is brought to its end, though the run that wanted it is stopped: the service may have given a new token in place of the one that
//! we have, and nobody else would hear of it. What came is on the disk before it is used. A kill between the answer and the disk loses it: a
//! service that then takes the one before no more wants a person.

use std::sync::{
    Arc, Mutex as ShortLock, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use mingle_core::{
    limits,
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
    beside: Arc<Beside>,
}

/// What is known without waiting for a renewal.
#[derive(Debug, Default)]
struct Beside {
    /// Renewals that came to nothing: who finds more than when it came has waited for one.
    failed: AtomicU64,
    /// Of a token that came in place of one that a service refused, while none has taken it.
    unproven: ShortLock<Option<blake3::Hash>>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// It is not on the disk yet: that failed.
    is_unsaved: bool,
    /// Whom no other token is given, and what was said.
    ended: Option<Ended>,
    /// Why the last renewal came to nothing.
    trouble: Option<Trouble>,
}

/// No other token is given.
struct Ended {
    /// For this one.
    refresh: String,
    /// To a program that shows itself so.
    program: blake3::Hash,
    error: RemoteError,
}

/// A renewal came to nothing: all who wait for it are told, and it is not asked for again at once. An answer that is lost may be a renewal that was
/// done, and the same token once more looks like theft to some services.
#[derive(Clone)]
struct Trouble {
    at: Timestamp,
    until: Timestamp,
    /// The service named the time.
    is_told: bool,
    error: RemoteError,
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

    pub(super) fn name(&self) -> &str {
        if self.account.is_empty() { &self.login } else { &self.account }
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
        Self { place, state: Arc::default(), beside: Arc::default() }
    }

    /// What lies there now, for a run that begins. `anew`: a person asks, so what was said to be over is asked once more.
    ///
    /// # Errors
    /// There is no login, or it was given to another program.
    pub(super) async fn begin(&self, asker: &Asker, remote: &str, anew: bool) -> Result<Who, RemoteError> {
        let failed = self.beside.failed.load(Relaxed);
        let mut state = self.state.lock().await;
        // What could not be written is newer than what lies there.
        if !state.is_unsaved {
            state.kept = self.place.read().await?;
        }
        // What came to nothing while this waited is fresh.
        if anew && failed == self.beside.failed.load(Relaxed) {
            state.ended = None;
            state.trouble.take_if(|trouble| !trouble.is_told);
        }
        let kept = state.kept.as_ref().filter(|kept| kept.tokens.is_some());
        let kept = kept.ok_or_else(|| needs(remote, format!("nobody has logged in to {remote} yet")))?;
        if kept.client_id != asker.settings.client_id {
            return Err(needs(remote, format!("the login of {remote} was given to another client_id")));
        }
        if !kept.is_of(&asker.settings) {
            return Err(needs(remote, format!("the login of {remote} was given by another service: it is shown to nobody else")));
        }
        Ok(Who { login: kept.login.clone(), account: kept.account.clone() })
    }

    /// A token that is good as far as anybody knows.
    pub(super) async fn token(&self, asker: &Asker, remote: &str, who: &Who) -> Result<String, RemoteError> {
        let (state, stands) = self.settled(asker).await?;
        let pair = state.pair(remote, who)?.clone();
        if !pair.is_due((asker.now)()) || pair.refresh.is_none() {
            return Ok(pair.access);
        }
        let renewed = match stands {
            Some(error) => Err(error),
            None => self.renewed(state, asker, remote, false).await,
        };
        match renewed {
            // It is renewed ahead: till its time is over it is as good as it was.
            Err(error) if is_trouble(&error) && !pair.is_over((asker.now)()) => Ok(pair.access),
            renewed => renewed,
        }
    }

    /// Another one than this, which a service refused; none: none is to be had, and the refusal stands.
    pub(super) async fn other_than(
        &self,
        refused: &str,
        asker: &Asker,
        remote: &str,
        who: &Who,
    ) -> Result<Option<String>, RemoteError> {
        let (state, stands) = self.settled(asker).await?;
        let pair = state.pair(remote, who)?;
        let is_over = pair.is_due((asker.now)());
        let is_unproven = *self.beside.unproven() == Some(print(refused));
        match remedy(Refused { is_ours: pair.access == refused, is_unproven, is_over }) {
            Remedy::Again => Ok(Some(pair.access.clone())),
            Remedy::Renew if pair.refresh.is_some() && stands.is_some() => stands.map_or(Ok(None), Err),
            Remedy::Renew if pair.refresh.is_some() => self.renewed(state, asker, remote, true).await.map(Some),
            Remedy::Renew => Err(without_renewal(remote)),
            Remedy::Person => Ok(None),
        }
    }

    /// A service took this one. An answer in hand waits for no renewal.
    pub(super) fn proven(&self, token: &str) {
        self.beside.unproven().take_if(|unproven| *unproven == print(token));
    }

    /// The state, once what came is on the disk; and why nobody is to be asked for another token now.
    async fn settled(&self, asker: &Asker) -> Result<(OwnedMutexGuard<State>, Option<RemoteError>), RemoteError> {
        let failed = self.beside.failed.load(Relaxed);
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if state.is_unsaved
            && let Some(kept) = &state.kept
        {
            self.place.write(kept).await.map_err(broken)?;
            state.is_unsaved = false;
        }
        let (now, waited) = ((asker.now)(), failed != self.beside.failed.load(Relaxed));
        // A clock that was set back waits no longer for that.
        let stands = |trouble: &&Trouble| waited || (trouble.at <= now && now < trouble.until);
        let stands = state.trouble.as_ref().filter(stands).map(|trouble| trouble.error.clone());
        Ok((state, stands))
    }

    /// Another token. `refused`: a service refused the one before it, so this one has to prove itself.
    async fn renewed(
        &self,
        state: OwnedMutexGuard<State>,
        asker: &Asker,
        remote: &str,
        refused: bool,
    ) -> Result<String, RemoteError> {
        let work = renew(state, Arc::clone(&self.beside), asker.clone(), self.place.clone(), remote.to_owned(), refused);
        // By itself: see above.
        tokio::spawn(work).await.unwrap_or_else(|_| Err(RemoteError::new(Failure::Broken, "the renewal of a login was cut off")))
    }

    /// Somebody has logged in. Whose login it is now.
    pub(super) async fn accept(&self, grant: Grant, asker: &Asker) -> Result<String, Problem> {
        let mut state = self.state.lock().await;
        let account = grant.identity.as_ref().map(super::answer::Identity::account).unwrap_or_default();
        let login = uuid::Uuid::new_v4().to_string();
        let tokens = Some(pair(&grant, None, (asker.now)()));
        let (client_id, from) = (asker.settings.client_id.clone(), Kept::giver(&asker.settings));
        let kept = Kept { login, account: account.clone(), client_id, from, tokens };
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        *self.beside.unproven() = None;
        Ok(account)
    }

    /// The login ends: what is to be ended at the service as well, and whether that is the one which gave it; none: there was none.
    pub(super) async fn forget(&self, asker: &Asker) -> Result<Option<(Pair, bool)>, Problem> {
        let mut state = self.state.lock().await;
        let told = |error: RemoteError| Problem { what: error.what, hint: error.hint };
        let kept = if state.is_unsaved { state.kept.take() } else { self.place.read().await.map_err(told)? };
        let Some(mut kept) = kept else { return Ok(None) };
        let Some(pair) = kept.tokens.take() else { return Ok(None) };
        // Whose it was stays known: the next may be another's.
        let is_of = kept.is_of(&asker.settings);
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        Ok(Some((pair, is_of)))
    }

    /// Once no renewal is under way.
    pub(super) async fn rests(&self) {
        drop(self.state.lock().await);
    }
}

impl Beside {
    fn unproven(&self) -> std::sync::MutexGuard<'_, Option<blake3::Hash>> {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(text: &str) -> blake3::Hash {
    blake3::hash(text.as_bytes())
}

/// Whether nothing is said of the login itself.
fn is_trouble(error: &RemoteError) -> bool {
    error.kind != Failure::NeedsLogin
}

impl State {
    /// A renewal came to nothing: who waits for it is told so.
    fn fails(&mut self, beside: &Beside, now: Timestamp, remote: &str, mut error: RemoteError) -> RemoteError {
        beside.failed.fetch_add(1, Relaxed);
        if !is_trouble(&error) {
            return error;
        }
        let told = match error.kind {
            // It is the one that logs in who asks for patience, and not the remote.
            Failure::Throttled(until) => {
                error.kind = Failure::Server;
                until
            }
            _ => None,
        };
        let until = now.plus(limits::RENEWAL_PAUSE).max(told.unwrap_or(now));
        if told.is_some() {
            error
                .hint
                .get_or_insert_with(|| format!("it is asked again when it said; `mingle remote login {remote}` asks at once"));
        }
        self.trouble = Some(Trouble { at: now, until, is_told: told.is_some(), error: error.clone() });
        error
    }

    fn pair(&self, remote: &str, who: &Who) -> Result<&Pair, RemoteError> {
        let kept = self.kept.as_ref().and_then(|kept| Some((kept, kept.tokens.as_ref()?)));
        let (kept, pair) = kept.ok_or_else(|| needs(remote, format!("somebody has logged out of {remote}")))?;
        if who.is(kept) { Ok(pair) } else { Err(another(remote)) }
    }
}

/// Asks for another token, and keeps it.
async fn renew(
    mut state: OwnedMutexGuard<State>,
    beside: Arc<Beside>,
    asker: Asker,
    place: Place,
    remote: String,
    is_unproven: bool,
) -> Result<String, RemoteError> {
    let Some((kept, pair)) = state.kept.clone().and_then(|kept| Some((kept.clone(), kept.tokens?))) else {
        return Err(needs(&remote, format!("nobody has logged in to {remote} yet")));
    };
    let Some(refresh) = pair.refresh.clone() else { return Ok(pair.access) };
    let program = asker.program().await?;
    if let Some(ended) = &state.ended
        && ended.refresh == refresh
        && ended.program == program
    {
        return Err(ended.error.clone());
    }
    let asked = async {
        let places = asker.places().await?;
        let given = asker.grant(&places, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
        given.map_err(|no| match no {
            No::Trouble(error) => error,
            No::Said(code, said) => {
                tracing::warn!(%remote, code, "the login is not renewed");
                refused(&remote, &http::place(&places.token), &code, &said)
            }
        })
    };
    let asked = asked.await.and_then(|grant| match &grant.identity {
        Some(identity) if !kept.account.is_empty() && identity.account() != kept.account => {
            Err(needs(&remote, format!("the service renews the login of {remote} as somebody else's")))
        }
        _ => Ok(grant),
    });
    let grant = match asked {
        Ok(grant) => grant,
        Err(error) => {
            let error = state.fails(&beside, (asker.now)(), &remote, error);
            if error.kind == Failure::NeedsLogin {
                state.ended = Some(Ended { refresh, program, error: error.clone() });
            }
            return Err(error);
        }
    };
    let pair = self::pair(&grant, Some(refresh), (asker.now)());
    let access = pair.access.clone();
    let kept = Kept { tokens: Some(pair), ..kept };
    let written = place.write(&kept).await;
    tracing::debug!(%remote, kept = written.is_ok(), "the login was renewed");
    *beside.unproven() = is_unproven.then(|| print(&access));
    *state = State { kept: Some(kept), is_unsaved: written.is_err(), ..State::default() };
    written.map_err(broken).map(|()| access)
}

fn pair(grant: &Grant, before: Option<String>, now: Timestamp) -> Pair {
    let (chance, _) = uuid::Uuid::new_v4().as_u64_pair();
    let renew_at_ms = grant.lives.map(|lives| renewed_at(now, lives, chance).unix_ms());
    let over_at_ms = grant.lives.map(|lives| now.plus(lives).unix_ms());
    Pair { access: grant.access.clone(), renew_at_ms, over_at_ms, refresh: grant.refresh.clone().or(before) }
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
                .hint(format!("look at client_id and client_secret in [remote.{remote}], then `mingle sync` one of its syncs"))
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

/// What the service gave is over, and there is no more.
fn without_renewal(remote: &str) -> RemoteError {
    let what = format!("the login of {remote} has run out, or was ended, and the service gave nothing to renew it with");
    RemoteError::new(Failure::NeedsLogin, what)
        .hint(format!("`mingle remote login {remote}`; for the scope \"offline_access\" many services give what renews it"))
}

/// The run speaks for somebody who is not logged in any more.
pub(super) fn another(remote: &str) -> RemoteError {
    let what = format!("somebody else, or nobody knows who, has logged in to {remote}: nothing of one is sent to the other");
    RemoteError::new(Failure::Broken, what).hint("the next run speaks for who is logged in")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remotes::settings::OAuth2;

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

    #[tokio::test]
    async fn a_token_is_good_till_its_time_is_over_while_no_other_is_to_be_had() {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", socket.local_addr().unwrap());
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                count.fetch_add(1, Relaxed);
                drop(stream);
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let settings = format!("client_id = \"c\"\ntoken_url = \"{url}\"\ntokens = {{ file = \"far\" }}");
        let settings: OAuth2 = toml::from_str(&settings).unwrap();
        let holder = Holder::new(Place::of(&settings, dir.path()));
        let tokens =
            Some(Pair { access: "a".into(), renew_at_ms: Some(100), over_at_ms: Some(9_000), refresh: Some("r".into()) });
        let from = Kept::giver(&settings);
        holder.place.write(&Kept { login: "l".into(), client_id: "c".into(), from, tokens, ..Kept::default() }).await.unwrap();
        let clock = Arc::new(AtomicU64::new(0));
        let (now, hand) = (Arc::clone(&clock), http::Client::new(http::Patience::default()).unwrap());
        let asker = Asker {
            http: hand,
            now: Arc::new(move || Timestamp::from_unix_ms(now.load(Relaxed).cast_signed())),
            config_dir: "/".into(),
            settings: Arc::new(settings),
            insecure: false,
        };
        let elsewhere = OAuth2 { token_url: Some("https://evil.org/token".into()), ..OAuth2::clone(&asker.settings) };
        let elsewhere = Asker { settings: Arc::new(elsewhere), ..asker.clone() };
        let told = holder.begin(&elsewhere, "far", false).await.err().unwrap();
        assert!(told.kind == Failure::NeedsLogin && told.what.contains("another service"), "{told:?}");
        let who = holder.begin(&asker, "far", false).await.unwrap();
        let check = async |at_ms: u64, good: bool, has_asked: bool| {
            let before = asked.load(Relaxed);
            clock.store(at_ms, Relaxed);
            let token = holder.token(&asker, "far", &who).await;
            assert_eq!((token.is_ok(), asked.load(Relaxed) > before), (good, has_asked), "{at_ms}: {token:?}");
        };
        check(99, true, false).await;
        check(100, true, true).await;
        check(101, true, false).await;
        check(100 + limits::RENEWAL_PAUSE.as_millis() as u64, true, true).await;
        check(8_999, true, false).await;
        check(9_000, false, false).await;
        check(60_000, false, true).await;
        // A clock that was set back waits for nothing.
        check(9_001, false, true).await;
        holder.begin(&asker, "far", true).await.unwrap();
        check(9_002, false, true).await;
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
