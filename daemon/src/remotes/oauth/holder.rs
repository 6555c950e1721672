//! Owns: the tokens of one login: the one place that has them, and that hands them out. Must never know: what they open, how a person logs in.
//!
//! Remotes with one login share this, and so there is one renewal at a time: whoever comes meanwhile waits, and finds what it brought.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use mingle_core::{
    limits,
    login::{Refused, Remedy, remedy},
    replica::{Failure, RemoteError},
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};

use super::{
    answer::{Grant, Identity},
    ask::Asker,
    held::{Beside, State, Trouble, Who, needs, print},
    kept::{Kept, Pair, Place, broken},
    renewal::{is_trouble, pair, renew, without_renewal},
};
use crate::remotes::Problem;

/// One login.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) place: Place,
    state: Arc<Mutex<State>>,
    beside: Arc<Beside>,
}

/// What was forgotten of a login.
pub(super) struct Forgotten {
    pub(super) pair: Pair,
    /// The service that gave it is the one in the settings.
    pub(super) is_of: bool,
    /// A renewal was given up: what it brought is known to nobody.
    pub(super) is_cut: bool,
}

impl Holder {
    pub(super) fn new(place: Place) -> Self {
        Self { place, state: Arc::default(), beside: Arc::default() }
    }

    /// What lies there now, for a run that begins and shows it to this origin. `anew`: a person asks, so what was said to be over is asked
    /// once more.
    ///
    /// # Errors
    /// There is no login, or it was given to another program, by another service, or for another address.
    pub(super) async fn begin(&self, asker: &Asker, remote: &str, origin: &str, anew: bool) -> Result<Who, RemoteError> {
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
        let kept = state.kept.as_mut().filter(|kept| kept.tokens.is_some());
        let kept = kept.ok_or_else(|| needs(remote, format!("nobody has logged in to {remote} yet")))?;
        if kept.client_id != asker.settings.client_id {
            return Err(needs(remote, format!("the login of {remote} was given to another client_id")));
        }
        if !kept.is_of(&asker.settings) {
            return Err(needs(remote, format!("the login of {remote} was given by another service: it is shown to nobody else")));
        }
        let who = Who::of(kept);
        match kept.origins.get(remote) {
            Some(known) if known == origin => {}
            Some(known) => {
                let what = format!("the login of {remote} was shown to {known}, and its url is at {origin} now");
                return Err(needs(remote, format!("{what}: it is shown there after another login")));
            }
            // Remotes that share a login come to it one by one.
            None => {
                kept.origins.insert(remote.to_owned(), origin.to_owned());
                self.place.write(kept).await.map_err(broken)?;
                state.is_unsaved = false;
            }
        }
        Ok(who)
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
        // By itself: it is brought to its end.
        tokio::spawn(work).await.unwrap_or_else(|_| Err(RemoteError::new(Failure::Broken, "the renewal of a login was cut off")))
    }

    /// Somebody has logged in to a remote at this origin: where the service names nobody, the same person as in this login before. Whose login
    /// it is now.
    pub(super) async fn accept(
        &self,
        grant: Grant,
        asker: &Asker,
        origins: BTreeMap<String, String>,
        same_as: Option<String>,
    ) -> Result<String, Problem> {
        // Nobody needs what a renewal of the login before would bring.
        let (mut state, _) = self.for_person(Duration::ZERO).await;
        let account = grant.identity.as_ref().map(Identity::account).unwrap_or_default();
        let login = uuid::Uuid::new_v4().to_string();
        let tokens = Some(pair(&grant, None, (asker.now)()));
        let (client_id, from) = (asker.settings.client_id.clone(), Kept::giver(&asker.settings));
        let same_as = same_as.filter(|_| account.is_empty()).unwrap_or_default();
        // Other remotes with this login stay where they were: nobody has logged in to them.
        let before = if state.is_unsaved { state.kept.clone().unwrap_or_default() } else { self.place.known() };
        let pinned = if before.client_id == client_id && before.from == from { before.origins } else { BTreeMap::new() };
        let origins = pinned.into_iter().chain(origins).collect();
        let kept = Kept { login, account: account.clone(), same_as, client_id, from, origins, tokens, ended: false };
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        *self.beside.unproven() = None;
        Ok(account)
    }

    /// The login ends: what is to be ended at the service as well; none: there was none.
    pub(super) async fn forget(&self, asker: &Asker) -> Result<Option<Forgotten>, Problem> {
        let (mut state, is_cut) = self.for_person(limits::RENEWAL_WAIT_MAX).await;
        let told = |error: RemoteError| Problem { what: error.what, hint: error.hint };
        let kept = if state.is_unsaved { state.kept.clone() } else { self.place.read().await.map_err(told)? };
        let Some(mut kept) = kept else { return Ok(None) };
        let Some(pair) = kept.tokens.take() else { return Ok(None) };
        // Whose it was stays known: the next may be another's.
        kept.ended = true;
        let is_of = kept.is_of(&asker.settings);
        // Where that fails, nothing is another than before: what is held in memory alone has yet to be ended.
        self.place.write(&kept).await?;
        *state = State { kept: Some(kept), ..State::default() };
        Ok(Some(Forgotten { pair, is_of, is_cut }))
    }

    /// The state, for a person: a renewal that is under way has so long to come to its end. Whether it was given up.
    async fn for_person(&self, patience: Duration) -> (OwnedMutexGuard<State>, bool) {
        let lock = || Arc::clone(&self.state).lock_owned();
        if let Ok(state) = timeout(patience, lock()).await {
            return (state, false);
        }
        let _person = self.beside.person();
        (lock().await, true)
    }

    /// Once no renewal is under way.
    pub(super) async fn rests(&self) {
        drop(self.state.lock().await);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use mingle_core::time::Timestamp;

    use super::*;
    use crate::remotes::{http, settings::OAuth2};

    const AT: &str = "https://far.org";

    fn asker(settings: &str) -> Asker {
        Asker {
            http: http::Client::new(http::Patience::default()).unwrap(),
            now: Arc::new(Timestamp::default),
            config_dir: "/".into(),
            settings: Arc::new(toml::from_str(settings).unwrap()),
            insecure: false,
        }
    }

    const SHARED: &str = "client_id = \"c\"\nissuer = \"https://id.org\"\ntokens = { file = \"shared\" }";

    #[tokio::test]
    async fn a_logout_that_could_not_be_written_is_done_by_the_next() {
        let (dir, asker) = (tempfile::tempdir().unwrap(), asker(SHARED));
        let folder = dir.path().join("logins");
        std::fs::write(&folder, "in the way").unwrap();
        let holder = Holder::new(Place::of(&asker.settings, &folder));
        // Of a renewal that the disk did not take.
        let tokens = Some(Pair { access: "new".into(), renew_at_ms: None, over_at_ms: None, refresh: None });
        let kept = Kept { login: "l".into(), from: Kept::giver(&asker.settings), tokens, ..Kept::default() };
        *holder.state.lock().await = State { kept: Some(kept), is_unsaved: true, ..State::default() };
        for _ in 0..2 {
            assert!(holder.forget(&asker).await.err().unwrap().what.contains("not written"));
        }
        std::fs::remove_file(&folder).unwrap();
        let forgotten = holder.forget(&asker).await.unwrap_or_else(|_| panic!("the disk takes it")).expect("a login");
        assert!(forgotten.pair.access == "new" && forgotten.is_of);
        let kept = holder.place.known();
        assert!(kept.ended && kept.tokens.is_none() && kept.login == "l");
        assert!(holder.forget(&asker).await.is_ok_and(|forgotten| forgotten.is_none()));
    }

    #[tokio::test]
    async fn a_login_of_one_remote_takes_no_other_with_it_to_another_place() {
        let dir = tempfile::tempdir().unwrap();
        let near = |at: &str| BTreeMap::from([("near".to_owned(), at.to_owned())]);
        for (program, stays) in [("c", true), ("other", false)] {
            let asker = asker(SHARED);
            let holder = Holder::new(Place::of(&asker.settings, dir.path()));
            let client_id = program.to_owned();
            let (from, origins) = (Kept::giver(&asker.settings), near("https://near.org"));
            holder.place.write(&Kept { login: "l".into(), client_id, from, origins, ..Kept::default() }).await.unwrap();
            let far = BTreeMap::from([("far".to_owned(), AT.to_owned())]);
            let grant = Grant { access: "a".into(), refresh: None, lives: None, scopes: None, identity: None };
            holder.accept(grant, &asker, far, Some("l".into())).await.unwrap_or_else(|_| panic!("it is kept"));
            assert_eq!(holder.begin(&asker, "near", AT, false).await.is_err(), stays, "{program}");
            assert!(holder.begin(&asker, "far", AT, false).await.is_ok());
            // Nobody is named, and somebody said who it is.
            let kept = holder.place.known();
            assert!(kept.who() == "l" && kept.login != "l");
        }
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
        let told = holder.begin(&elsewhere, "far", AT, false).await.err().unwrap();
        assert!(told.kind == Failure::NeedsLogin && told.what.contains("another service"), "{told:?}");
        let who = holder.begin(&asker, "far", AT, false).await.unwrap();
        let told = holder.begin(&asker, "far", "https://evil.org", false).await.err().unwrap();
        assert!(
            told.kind == Failure::NeedsLogin && told.what.contains("https://far.org, and its url is at https://evil.org"),
            "{told:?}"
        );
        // Another remote with this login is at another place, and stays there.
        holder.begin(&asker, "near", "https://near.org", false).await.unwrap();
        assert!(holder.begin(&asker, "near", AT, false).await.is_err() && holder.begin(&asker, "far", AT, false).await.is_ok());
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
        holder.begin(&asker, "far", AT, true).await.unwrap();
        check(9_002, false, true).await;
    }
}
