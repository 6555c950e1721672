//! Owns: whose secret is meant by a login and a logout, logins that wait for a person, and what is said where there can be none.
//! Must never know: where a secret is kept, the wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use mingle_core::{
    ask::{LoggedIn, LoginBegun, LoginPlace, Refusal},
    engine::Event,
    limits,
    schedule::Name,
};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{House, described};
use crate::{
    alarm, boot,
    ipc::door::Later,
    remotes::{
        Pending, Problem, oauth,
        secret::put,
        settings::{Auth, RemoteSettings, Secret},
    },
    run::Letter,
    store::marks,
};

/// Logins that wait for a person, by their names: of each remote the last that was begun, and the one whose place it took, whose client is to be
/// told so.
#[derive(Default)]
pub(super) struct Logins(Mutex<BTreeMap<String, Waiting>>);

/// A login that waits for a person.
struct Waiting {
    remote: String,
    /// Where what comes of it is told; none: somebody waits for it already.
    outcome: Option<Outcome>,
    /// Another login takes its place.
    over: CancellationToken,
}

/// What comes of a login, for the one who waits. Dropped, the login ends and leaves nothing.
struct Outcome {
    told: oneshot::Receiver<Result<oauth::attempt::LoggedIn, Problem>>,
    _goes_on: DropGuard,
}

impl House {
    /// Keeps the secret of a remote where the configuration has it.
    pub(super) fn logged_in(&self, remote: String, secret: String) -> Later<LoginPlace> {
        let (from, dir) = (self.secret_of(&remote), self.0.means.config_dir.clone());
        Box::pin(async move {
            let from = from?;
            let no = |problem| refused(&remote, problem);
            let place = put::place(&from, &dir).map_err(no)?;
            put::keep(&from, &secret, &dir).await.map_err(no)?;
            tracing::info!(%remote, place, "a secret was put in its place");
            Ok(LoginPlace { remote, place, done: true, left: None })
        })
    }

    /// Takes the secret of a remote out of there; a login with OAuth 2 ends at the service too.
    pub(super) fn logged_out(&self, remote: String) -> Later<LoginPlace> {
        let (settings, from) = (self.settings_of(&remote), self.secret_of(&remote));
        let means = self.0.means.clone();
        Box::pin(async move {
            let (settings, no) = (settings?, |problem| refused(&remote, problem));
            if let Auth::OAuth2(_) = &settings.auth {
                let out = oauth::log_out(&means, &settings).await.map_err(no)?;
                tracing::info!(%remote, place = out.place, done = out.done, left = out.left, "a login was ended");
                let left = out.left();
                return Ok(LoginPlace { remote, place: out.place, done: out.done, left });
            }
            let from = from?;
            let place = put::place(&from, &means.config_dir).map_err(no)?;
            let done = put::take_out(&from, &means.config_dir).await.map_err(no)?;
            tracing::info!(%remote, place, done, "a secret was taken out");
            Ok(LoginPlace { remote, place, done, left: None })
        })
    }

    /// Begins a login with OAuth 2. One of the same remote that still waits ends. `is_same`: where the service names nobody, it is the same person's
    /// as before.
    pub(super) fn login_begun(&self, remote: String, at_another: bool, is_same: bool) -> Later<LoginBegun> {
        let (settings, house) = (self.settings_of(&remote), self.clone());
        Box::pin(async move {
            let (settings, means) = (settings?, house.0.means.clone());
            let same_as = if is_same { house.person(&remote, &settings)? } else { None };
            let rest: oauth::attempt::Rest = Arc::new(|time| -> Pending<'static, ()> { Box::pin(alarm::pause(time)) });
            let begun = oauth::attempt::begin(&means, &remote, &settings, at_another, same_as, rest).await;
            let (shown, attempt) = begun.map_err(|problem| refused(&remote, problem))?;
            let (over, goes_on) = (CancellationToken::new(), CancellationToken::new());
            let (tell, told) = oneshot::channel();
            let (is_over, is_left, at) = (over.clone(), goes_on.clone(), house.clone());
            let of = remote.clone();
            tokio::spawn(async move {
                let ended = tokio::select! {
                    biased;
                    () = is_left.cancelled() => return,
                    () = is_over.cancelled() => {
                        Err(Problem::new("another login was begun after this one").hint("go on with that one, or begin anew"))
                    }
                    ended = attempt => ended,
                };
                let ended = match ended {
                    Ok((logged_in, page)) => {
                        at.holds(&of, &logged_in).await;
                        if let Some(page) = page {
                            // Beside the rest: it may read slowly.
                            tokio::spawn(page.say(true));
                        }
                        Ok(logged_in)
                    }
                    Err(problem) => Err(problem),
                };
                // Who has gone meanwhile needs no word: it holds all the same.
                let _ = tell.send(ended);
            });
            let login = uuid::Uuid::new_v4().to_string();
            let outcome = Some(Outcome { told, _goes_on: goes_on.drop_guard() });
            house.0.logins.waits(login.clone(), Waiting { remote: remote.clone(), outcome, over });
            let (at, unasked) = (house.clone(), login.clone());
            tokio::spawn(async move {
                alarm::pause(limits::LOGIN_UNASKED_MAX).await;
                at.0.logins.waiting().retain(|login, waiting| *login != unasked || waiting.outcome.is_none());
            });
            Ok(LoginBegun { remote, login, url: shown.url, code: shown.code, within: shown.within })
        })
    }

    /// For whom the syncs of a remote speak whose service names nobody, as its login tells: also where somebody else has logged in since, and
    /// they wait for a word. None: it has no such login, which is told where that is begun.
    fn person(&self, remote: &str, settings: &RemoteSettings) -> Result<Option<String>, Refusal> {
        let Auth::OAuth2(oauth) = &settings.auth else { return Ok(None) };
        let Some(last) = self.0.means.logins.unnamed(oauth) else {
            let hint = format!("`mingle remote login {remote}` without --same-person");
            return Err(Refusal::WrongState(format!("{remote}: no login of it was without a name"), Some(hint)));
        };
        let (config, shared) = (self.config(), self.with_the_login_of(remote));
        let mut persons = BTreeSet::new();
        for (sync, definition) in config.syncs.iter().filter(|(_, sync)| shared.iter().any(|name| **name == *sync.remote)) {
            let url = config.remotes.get(&definition.remote).map(|settings| settings.url.as_str()).unwrap_or_default();
            let identity = self.read(|reader| marks::spoken_to(reader, sync))?;
            let account = identity.as_deref().and_then(|identity| boot::account_in(identity, url));
            // The others are names.
            persons.extend(account.filter(|account| uuid::Uuid::try_parse(account).is_ok()).map(str::to_owned));
        }
        match persons.len() {
            0 => Ok(Some(last)),
            1 => Ok(persons.pop_first()),
            _ => {
                let hint =
                    format!("`mingle remote login {remote}` without --same-person, then `mingle reset` for each of its syncs");
                Err(Refusal::WrongState(format!("{remote}: its syncs speak for several persons"), Some(hint)))
            }
        }
    }

    /// What came of a login, once it has ended.
    pub(super) fn login_ended(&self, login: String) -> Later<LoggedIn> {
        let house = self.clone();
        Box::pin(async move {
            let taken = {
                let mut waiting = house.0.logins.waiting();
                waiting.get_mut(&login).and_then(|waiting| Some((waiting.remote.clone(), waiting.outcome.take()?)))
            };
            let gone = || {
                let hint = "`mingle remote login REMOTE` begins one";
                Refusal::NotFound("no login of that name waits for a person".into(), Some(hint.into()))
            };
            let (remote, outcome) = taken.ok_or_else(gone)?;
            let Outcome { told, _goes_on } = outcome;
            let ended = told.await.unwrap_or_else(|_| Err(Problem::new("the login was cut off").hint("begin anew")));
            house.0.logins.waiting().remove(&login);
            let oauth::attempt::LoggedIn { place, account, lacks, renews, over } =
                ended.map_err(|problem| refused(&remote, problem))?;
            Ok(LoggedIn { remote, place, account, lacks, renews, over })
        })
    }

    /// A login is kept: it holds for runs before anybody is told, and whether or not anybody waits.
    async fn holds(&self, remote: &str, oauth::attempt::LoggedIn { place, account, .. }: &oauth::attempt::LoggedIn) {
        tracing::info!(%remote, place, account, "somebody has logged in");
        // What syncs are bound to the account, so that nothing of one is mixed with another's.
        if let Err(refusal) = self.answered(|sender| Letter::Accounts(Some(sender))).await {
            // The login is good all the same: the next run finds that it is another's, and has them looked at again.
            tracing::warn!(%remote, ?refusal, "whose login it is was not looked at again");
        }
        for remote in self.with_the_login_of(remote) {
            // Going down: nobody waits for it.
            let _ = self.0.inbox.send(Letter::Event(Event::LoginChanged(remote))).await;
        }
    }

    /// The remotes that have one login with this one, and it.
    fn with_the_login_of(&self, remote: &str) -> Vec<Name> {
        let config = self.config();
        let tokens = |settings: &RemoteSettings| match &settings.auth {
            Auth::OAuth2(oauth) => Some(oauth.tokens.clone()),
            _ => None,
        };
        let of = config.remotes.get(remote).and_then(tokens);
        let same = config.remotes.iter().filter(|(_, settings)| of.is_some() && tokens(settings) == of);
        same.map(|(name, _)| Name::from(name.as_str())).collect()
    }

    fn settings_of(&self, remote: &str) -> Result<RemoteSettings, Refusal> {
        let config = self.config();
        config.remotes.get(remote).cloned().ok_or_else(|| described::no_remote(remote, &config))
    }

    fn secret_of(&self, remote: &str) -> Result<Secret, Refusal> {
        let settings = self.settings_of(remote)?;
        if let Auth::OAuth2(_) = settings.auth {
            let hint = format!("`mingle remote login {remote}` without a secret: a person logs in with a browser");
            return Err(Refusal::WrongState(format!("{remote} has no secret to be kept"), Some(hint)));
        }
        settings.auth.secret().cloned().ok_or_else(|| {
            let hint = format!("`auth` in [remote.{remote}] says how it logs in");
            Refusal::WrongState(format!("{remote} has no login in the configuration"), Some(hint))
        })
    }
}

impl Logins {
    /// One was begun: it takes the place of the one before.
    fn waits(&self, login: String, begun: Waiting) {
        let mut waiting = self.waiting();
        waiting.retain(|_, one| one.remote != begun.remote || !one.over.is_cancelled());
        waiting.values().filter(|one| one.remote == begun.remote).for_each(|one| one.over.cancel());
        waiting.insert(login, begun);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(remote: &str, Problem { what, hint }: Problem) -> Refusal {
    Refusal::WrongState(format!("{remote}: {what}"), hint)
}
