//! Owns: logins that run out (OAuth 2): who holds the tokens, how a person logs in and out, what shows who we are in requests.
//! Must never know: what is asked of a remote, the store, the schedule.
//!
//! The tokens have one owner, this process. They are in no answer to an app, in no log, and leave only to the service that gave them and to
//! the remote they are for.

mod answer;
mod ask;
pub mod attempt;
pub mod bearer;
mod code;
mod device;
mod held;
mod holder;
mod kept;
mod listener;
pub mod look;
mod renewal;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use mingle_core::{budget::Class, replica::RemoteError};
use reqwest::Url;
use tokio::sync::Notify;

use self::{
    ask::Asker,
    bearer::Bearer,
    holder::{Forgotten, Holder},
    kept::Place,
};
use super::{
    Means, Problem,
    settings::{Auth, OAuth2, RemoteSettings},
};

/// Every login of this process that runs out.
#[derive(Debug, Default)]
pub struct Logins {
    /// Where they lie; empty: nowhere, and there are none.
    folder: PathBuf,
    holders: Mutex<BTreeMap<PathBuf, Arc<Holder>>>,
    /// A run met another's login than it was made for.
    another: Notify,
}

/// What came of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// Where the tokens were, in words.
    pub place: String,
    /// There were some.
    pub done: bool,
    /// Why the login may still stand at the service.
    pub left: Option<String>,
}

impl Logins {
    /// Those that lie in this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Whom these credentials stand for; empty: that is not known.
    #[must_use]
    pub fn account(&self, auth: &Auth) -> String {
        match auth {
            Auth::OAuth2(settings) => Place::of(settings, &self.folder).account(),
            other => other.account().to_owned(),
        }
    }

    /// What tells one login from another, over all renewals of its tokens; none: nobody is logged in, or it is not to be had now.
    pub async fn print(&self, auth: &Auth) -> Option<blake3::Hash> {
        let Auth::OAuth2(settings) = auth else { return None };
        let kept = Place::of(settings, &self.folder).read().await.ok()??;
        kept.tokens.is_some().then(|| blake3::hash(kept.login.as_bytes()))
    }

    /// Once a run has met another's login than it was made for: whose it is was not to be read then, or is another's now.
    pub async fn met_another(&self) {
        self.another.notified().await;
    }

    /// Once no renewal is under way.
    pub async fn rest(&self) {
        let holders: Vec<_> = self.holders().values().cloned().collect();
        for holder in holders {
            holder.rests().await;
        }
    }

    fn holders(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Arc<Holder>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self, settings: &OAuth2) -> Arc<Holder> {
        let place = Place::of(settings, &self.folder);
        let mut holders = self.holders();
        Arc::clone(holders.entry(place.file().to_path_buf()).or_insert_with(|| Arc::new(Holder::new(place))))
    }
}

/// What shows who we are in a run, at this address. `account`: whom it is to speak for; none: whoever is logged in.
///
/// # Errors
/// Nobody is logged in, or somebody else.
pub(super) async fn begin(
    means: &Means,
    settings: &OAuth2,
    insecure: bool,
    url: &Url,
    remote: &str,
    account: Option<&str>,
) -> Result<Bearer, RemoteError> {
    let (holder, asker) = (means.logins.holder(settings), asker(means, settings, insecure));
    let who =
        holder.begin(&asker, remote, &url.origin().ascii_serialization(), means.http.by.class == Class::Interactive).await?;
    if account.is_some_and(|account| account != who.account()) {
        means.logins.another.notify_one();
        return Err(held::another(remote));
    }
    Ok(Bearer::new(holder, asker, remote.to_owned(), who))
}

fn asker(means: &Means, settings: &OAuth2, insecure: bool) -> Asker {
    Asker {
        http: means.http.plain(),
        now: Arc::clone(&means.now),
        config_dir: means.config_dir.clone(),
        settings: Arc::new(settings.clone()),
        insecure,
    }
}

/// Ends the login of a remote, here and at the service.
///
/// # Errors
/// The tokens are still here.
pub async fn log_out(means: &Means, remote: &RemoteSettings) -> Result<LoggedOut, Problem> {
    let Auth::OAuth2(settings) = &remote.auth else { return Err(Problem::new("it has no login that runs out")) };
    let (holder, asker) = (means.logins.holder(settings), asker(means, settings, remote.insecure));
    let place = holder.place.words();
    let Some(Forgotten { pair, is_of, is_cut }) = holder.forget(&asker).await? else {
        return Ok(LoggedOut { place, done: false, left: None });
    };
    let mut left = is_cut.then(|| "a renewal was under way, and what it brought is not known".to_owned());
    if !is_of {
        let left = Some("another service gave it than the one in the configuration".into());
        return Ok(LoggedOut { place, done: true, left });
    }
    // With what others are given for goes, at most services, what it was given for.
    for (token, of) in [(pair.refresh.as_ref(), "refresh_token"), (Some(&pair.access), "access_token")] {
        if let Some(token) = token
            && let Err(problem) = asker.revoke(token, of).await
        {
            left.get_or_insert(problem.what);
        }
    }
    Ok(LoggedOut { place, done: true, left })
}
