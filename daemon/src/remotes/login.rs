//! Owns: what stands in each request to show who we are: headers, or a parameter. Must never know: what is asked.

use std::{path::Path, sync::Arc};

use mingle_core::replica::{Failure, RemoteError};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    Means, Place, Problem,
    budget::{Purse, headers::Own},
    oauth::{self, bearer::Bearer},
    secret,
    settings::{Auth, RemoteSettings},
};

/// What shows who we are: headers, or a parameter of every address.
#[derive(Default)]
pub(super) struct Login {
    /// Headers of every request, marked as sensitive.
    pub(super) headers: HeaderMap,
    /// A parameter of every address, and what stands in it.
    pub(super) query: Option<(String, secret::Fetched)>,
    /// What a header holds, where one does.
    secret: Option<secret::Fetched>,
    /// What [`super::http::Client`] shows in each request, where that runs out.
    runs_out: Option<Bearer>,
}

/// Whether it can stand in a request.
///
/// # Errors
/// The name of its header is none, or it does not say where a person logs in.
pub(super) fn fits(settings: &RemoteSettings) -> Result<(), Problem> {
    match &settings.auth {
        Auth::OAuth2(auth) => auth.check(settings.insecure),
        Auth::Header { name, .. } if HeaderName::from_bytes(name.as_bytes()).is_err() => {
            Err(Problem::new(format!("{name:?} in auth is no name of a header")))
        }
        _ => Ok(()),
    }
}

impl Login {
    /// The same for a run: what it asks from here on is spent from what the account has. `own`: what is known of the service's limits beyond the
    /// headers that everybody knows.
    ///
    /// # Errors
    /// As [`Login::of`].
    pub(super) async fn begin(
        means: &mut Means,
        url: &Url,
        settings: &RemoteSettings,
        place: &Place,
        own: Option<Own>,
    ) -> Result<Self, RemoteError> {
        let auth = &settings.auth;
        let login = match auth {
            Auth::OAuth2(oauth) => {
                let bearer = oauth::begin(means, oauth, settings.insecure, url, &place.remote, place.account.as_deref()).await?;
                means.http = means.http.showing(bearer.clone());
                Self { runs_out: Some(bearer), ..Self::default() }
            }
            auth => Self::of(auth, &means.config_dir).await?,
        };
        let account = means.http.budgets.account(url, auth, &login.proof(), (means.now)());
        let purse = Purse::new(account, means.http.by.clone(), Arc::clone(&means.now), own);
        means.http = means.http.spending(purse);
        Ok(login)
    }

    /// What shows who we are: the secret is fetched now.
    ///
    /// # Errors
    /// The secret is not to be had, or fits into no header.
    async fn of(auth: &Auth, config_dir: &Path) -> Result<Self, RemoteError> {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let mut login = Self::default();
        let Some(from) = auth.secret() else { return Ok(login) };
        let secret = secret::fetch(from, config_dir).await?;
        let (name, value) = match auth {
            Auth::Query { name, .. } => {
                login.query = Some((name.clone(), secret));
                return Ok(login);
            }
            Auth::Basic { username, .. } => {
                ("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", secret.reveal()))))
            }
            Auth::Header { name, .. } => (name.as_str(), secret.reveal().to_owned()),
            Auth::Bearer { .. } | Auth::None | Auth::OAuth2(_) => ("authorization", format!("Bearer {}", secret.reveal())),
        };
        let no = || RemoteError::new(Failure::NeedsLogin, "the secret does not fit into a header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| no())?;
        value.set_sensitive(true);
        login.headers.insert(name, value);
        login.secret = Some(secret);
        Ok(login)
    }

    /// Whether we show nothing.
    pub(super) fn is_none(&self) -> bool {
        self.headers.is_empty() && self.query.is_none() && self.runs_out.is_none()
    }

    /// Of a login that runs out: whose it is, in every request of it; empty: it is shown in headers.
    pub(super) fn who(&self) -> &str {
        self.runs_out.as_ref().map_or("", Bearer::who)
    }

    /// Whether it may be another one in the midst of a run.
    pub(super) fn runs_out(&self) -> bool {
        self.runs_out.is_some()
    }

    /// Whether a text tells the secret, plainly or escaped as in an address; or what was shown in its place.
    pub(super) fn is_told_in(&self, text: &[u8], shown: Option<&secret::Fetched>) -> bool {
        let secrets = self.secret.iter().chain(self.query.iter().map(|(_, secret)| secret)).chain(shown);
        let unescaped = unescaped(text);
        let shows = |text: &[u8], secret: &[u8]| text.windows(secret.len()).any(|part| part == secret);
        secrets
            .map(|secret| secret.reveal().as_bytes())
            .any(|secret| !secret.is_empty() && (shows(text, secret) || shows(&unescaped, secret)))
    }

    /// What shows who we are, to tell one account from another.
    pub(super) fn proof(&self) -> Vec<u8> {
        let headers = self.headers.values().map(HeaderValue::as_bytes);
        let query = self.query.iter().map(|(_, secret)| secret.reveal().as_bytes());
        // Of what runs out it is whose it is: tokens change, and the account is the same.
        let account = self.runs_out.iter().map(|bearer| bearer.who().as_bytes());
        headers.chain(query).chain(account).collect::<Vec<_>>().concat()
    }
}

/// Without the escapes of addresses: `%2B` and `+`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        let escaped = if *byte == b'%' { digit(at + 1).zip(digit(at + 2)) } else { None };
        let (byte, width) = match (escaped, byte) {
            (Some((high, low)), _) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
            (None, b'+') => (b' ', 1),
            (None, byte) => (*byte, 1),
        };
        out.push(byte);
        at += width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remotes::settings::Secret;

    #[tokio::test]
    async fn a_secret_is_found_however_it_is_written() {
        let auth = Auth::Bearer { token: Secret::Plain("a b/c+d%".into()) };
        let login = Login::of(&auth, Path::new("/")).await.unwrap();
        let check = |text: &str, told: bool| assert_eq!(login.is_told_in(text.as_bytes(), None), told, "{text}");
        check("", false);
        check("x a b/c+d% y", true);
        check("?key=a+b%2Fc%2bd%25&page=2", true);
        check("?key=a%20b%2fc%2Bd%25", true);
        check("?key=a+b%2Fc%2bd", false);
        check("%", false);
        let shown = secret::Fetched::of("a+b".into());
        assert!(Login::default().is_told_in(b"x=a%2bb", Some(&shown)) && !Login::default().is_told_in(b"anything", Some(&shown)));
    }
}
