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
    path::{Path, PathBuf},
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
    Means, Problem, secret,
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

    /// Whom these credentials stand for, for people; empty: that is not known.
    #[must_use]
    pub fn account(&self, auth: &Auth) -> String {
        match auth {
            Auth::OAuth2(settings) => Place::of(settings, &self.folder).known().account,
            other => other.account().to_owned(),
        }
    }

    /// What tells whom these credentials stand for from anybody else; empty: nothing does.
    #[must_use]
    pub fn who(&self, auth: &Auth) -> String {
        match auth {
            Auth::OAuth2(settings) => Place::of(settings, &self.folder).known().who().to_owned(),
            other => other.account().to_owned(),
        }
    }

    /// The same of the last login at the service of these settings, where that named nobody.
    #[must_use]
    pub fn unnamed(&self, settings: &OAuth2) -> Option<String> {
        let kept = Place::of(settings, &self.folder).known();
        let is_unnamed = kept.account.is_empty() && !kept.login.is_empty() && kept.is_of(settings);
        is_unnamed.then(|| kept.who().to_owned())
    }

    /// What tells one login from another, over all renewals of its tokens, and what the program shows of itself; none: nobody is logged in, or it
    /// is not to be had now.
    pub async fn print(&self, auth: &Auth, config_dir: &Path) -> Option<blake3::Hash> {
        let Auth::OAuth2(settings) = auth else { return None };
        let kept = Place::of(settings, &self.folder).read().await.ok()??;
        let program = match &settings.client_secret {
            Some(from) => Some(secret::fetch(from, config_dir).await.ok()?),
            None => None,
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(kept.login.as_bytes()).as_bytes());
        hasher.update(program.as_ref().map_or("", |secret| secret.reveal()).as_bytes());
        kept.tokens.is_some().then(|| hasher.finalize())
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
    if account.is_some_and(|account| account != who.name()) {
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

#[cfg(test)]
mod tests {
    use super::{
        kept::{Kept, Pair},
        *,
    };

    #[tokio::test]
    async fn a_login_that_was_refused_is_tried_again_when_it_or_the_programs_secret_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let settings = "client_id = \"c\"\nclient_secret = { file = \"program.secret\" }\ntokens = { file = \"far\" }";
        let settings: OAuth2 = toml::from_str(settings).unwrap();
        let (logins, place) = (Logins::new(dir.path().join("logins")), Place::of(&settings, &dir.path().join("logins")));
        let auth = Auth::OAuth2(Box::new(settings));
        let keep = async |login: &str, access: &str| {
            let tokens = Some(Pair { access: access.into(), renew_at_ms: None, over_at_ms: None, refresh: None });
            place.write(&Kept { login: login.into(), tokens, ..Kept::default() }).await.unwrap();
        };
        let shows = |text: &str| secret::put::write(&dir.path().join("program.secret"), text).unwrap();
        keep("l1", "a").await;
        assert_eq!(logins.print(&auth, dir.path()).await, None, "without what the program shows there is nothing to try");
        shows("wrong");
        let refused = logins.print(&auth, dir.path()).await;
        keep("l1", "b").await;
        assert!(refused.is_some() && logins.print(&auth, dir.path()).await == refused, "a renewal is no other login");
        shows("right");
        let mended = logins.print(&auth, dir.path()).await;
        keep("l2", "b").await;
        let other = logins.print(&auth, dir.path()).await;
        assert!(mended != refused && other != mended && other != refused);
        place.write(&Kept { login: "l2".into(), ..Kept::default() }).await.unwrap();
        assert_eq!(logins.print(&auth, dir.path()).await, None);
    }
}
