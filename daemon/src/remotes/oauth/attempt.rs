//! Owns: one login by a person, from the address that is shown to them to the tokens. Must never know: who asked for it, how it is shown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mingle_core::{limits, replica::RemoteError, time::Timestamp};

use super::{
    LoggedOut, Means, Problem,
    answer::{Grant, No},
    ask::{Asker, Places},
    code, device,
    holder::Holder,
    listener::Page,
};
use crate::remotes::{
    Pending, budget,
    settings::{Auth, RemoteSettings},
};

/// What a person is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Where they agree.
    pub url: String,
    /// What they write there, where they agree at another machine.
    pub code: Option<String>,
    /// How long they may take.
    pub within: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// Where the tokens are, in words.
    pub place: String,
    /// Whose login it is; none: the service does not say.
    pub account: Option<String>,
    /// What was asked for and is not given.
    pub lacks: Vec<String>,
    /// The service gave what renews it.
    pub renews: bool,
    /// When it is over, where it is not renewed and the service says that.
    pub over: Option<Timestamp>,
}

/// A login that goes on: it ends with this, and a browser that waits to be told so. Dropped, it leaves nothing.
pub type Attempt = Pending<'static, Result<(LoggedIn, Option<Page>), Problem>>;

/// Lets so much time pass.
pub type Rest = Arc<dyn Fn(Duration) -> Pending<'static, ()> + Send + Sync>;

/// What waits for a person's word.
pub(super) type Asked = Pending<'static, Result<(Grant, Option<Page>), Problem>>;

/// Begins a login: with a browser on this machine, or with a code that is written at another. `same_as`: where the service names nobody, it
/// is the same person's as this login before.
///
/// # Errors
/// The remote has no such login, or the service cannot be asked.
pub async fn begin(
    means: &Means,
    name: &str,
    remote: &RemoteSettings,
    at_another: bool,
    same_as: Option<String>,
    rest: Rest,
) -> Result<(Shown, Attempt), Problem> {
    let Auth::OAuth2(settings) = &remote.auth else {
        return Err(
            Problem::new("it has no login with a browser").hint(format!("`mingle remote login {name}` asks for its secret"))
        );
    };
    let (holder, asker) = (means.logins.holder(settings), super::asker(means, settings, remote.insecure));
    let places = asker.places().await.map_err(told)?;
    let (shown, asked) =
        if at_another { device::begin(&asker, &places, rest).await? } else { code::begin(&asker, &places, rest).await? };
    let origins = budget::host(remote).map(|origin| (name.to_owned(), origin)).into_iter().collect();
    let within = shown.within.min(limits::LOGIN_TIME_MAX);
    let work = async move {
        let late = || Problem::new("nobody agreed in time").hint("begin anew");
        let (grant, page) = tokio::time::timeout(within, asked).await.map_err(|_| late())??;
        match kept(grant, &holder, &asker, &places, (origins, same_as)).await {
            Ok(logged_in) => Ok((logged_in, page)),
            Err(problem) => {
                if let Some(page) = page {
                    page.say(false).await;
                }
                Err(problem)
            }
        }
    };
    Ok((Shown { within, ..shown }, Box::pin(work)))
}

/// Keeps what was given, if it is what was asked for.
async fn kept(
    grant: Grant,
    holder: &Holder,
    asker: &Asker,
    places: &Places,
    (origins, same_as): (BTreeMap<String, String>, Option<String>),
) -> Result<LoggedIn, Problem> {
    checked(&grant, asker, places)?;
    let given = grant.scopes.clone();
    let lacks = asker.settings.scopes.iter().filter(|scope| given.as_ref().is_some_and(|given| !given.contains(scope)));
    let lacks = lacks.cloned().collect();
    let renews = grant.refresh.is_some();
    let over = grant.lives.filter(|_| !renews).map(|lives| (asker.now)().plus(lives));
    let account = Some(holder.accept(grant, asker, origins, same_as).await?).filter(|account| !account.is_empty());
    Ok(LoggedIn { place: holder.place.words(), account, lacks, renews, over })
}

/// Whether who has logged in was told by the right one, for us.
fn checked(grant: &Grant, asker: &Asker, places: &Places) -> Result<(), Problem> {
    let Some(identity) = &grant.identity else { return Ok(()) };
    if !identity.is_for(&asker.settings.client_id) {
        return Err(Problem::new("the service says who logged in to another program").hint("is client_id in auth the right one?"));
    }
    match &places.issuer {
        Some(issuer) if issuer.trim_end_matches('/') != identity.iss.trim_end_matches('/') => {
            Err(Problem::new("another service than the issuer says who logged in"))
        }
        _ => Ok(()),
    }
}

pub(super) fn told(error: RemoteError) -> Problem {
    Problem { what: error.what, hint: error.hint }
}

/// Why a login comes to nothing.
pub(super) fn refused(no: No) -> Problem {
    match no {
        No::Trouble(error) => told(error),
        No::Said(code, said) => {
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            match code.as_str() {
                "access_denied" => {
                    Problem::new(format!("the login was refused at the service{said}")).hint("whoever was asked said no")
                }
                "expired_token" => Problem::new("nobody agreed in time").hint("begin anew"),
                "invalid_client" | "unauthorized_client" => Problem::new(format!(
                    "the service does not take this program ({code}{said})"
                ))
                .hint("look at client_id and client_secret in auth; is the program registered for this way of logging in?"),
                "invalid_scope" => Problem::new(format!("the service does not give what is asked for ({code}{said})"))
                    .hint("look at scopes in auth"),
                _ => Problem::new(format!("the service does not log in ({code}{said})")),
            }
        }
    }
}

/// Chance, as a text that fits everywhere (RFC 7636, 4.1).
pub(super) fn chance() -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(crate::remotes::http::chance())
}

impl LoggedOut {
    /// In words, what is left to do; none: nothing.
    #[must_use]
    pub fn left(&self) -> Option<String> {
        self.left.as_ref().map(|why| format!("the login may still stand at the service: {why}; end it there"))
    }
}
