//! Owns: what is asked of the service that logs in: its addresses, tokens for a word of a person, tokens for a token, an end.
//! Must never know: where tokens are kept, the services that take them.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mingle_core::replica::{Failure, RemoteError};
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{self, Grant, No};
use crate::remotes::{
    Clock, Problem,
    http::{Client, Reply, Request, place},
    secret,
    settings::{OAuth2, endpoint},
};

/// Who asks, and as which program.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) http: Client,
    pub(super) now: Clock,
    pub(super) config_dir: PathBuf,
    pub(super) settings: Arc<OAuth2>,
    pub(super) insecure: bool,
}

/// Where the service is asked what.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) authorize: Option<Url>,
    pub(super) token: Url,
    pub(super) device: Option<Url>,
    pub(super) revoke: Option<Url>,
    /// Its name, where it was asked for its addresses.
    pub(super) issuer: Option<String>,
    /// It names itself in what a browser brings back (RFC 9207).
    pub(super) names_itself: bool,
    /// It takes the program's secret in a header; else in the body.
    takes_header: bool,
}

/// What a service tells of itself (RFC 8414, OpenID Connect Discovery).
#[derive(Deserialize)]
struct Told {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Asker {
    /// Where the service is asked what.
    ///
    /// # Errors
    /// It does not tell, or what it tells cannot be.
    pub(super) async fn places(&self) -> Result<Places, RemoteError> {
        let OAuth2 { issuer, authorize_url, token_url, device_url, revoke_url, .. } = &*self.settings;
        let told = match issuer {
            Some(issuer) => Some(self.told(issuer).await?),
            None => None,
        };
        let whole = |key: &str, text: &str| endpoint(key, text, self.insecure).map_err(nonsense);
        let one = |key: &str, written: &Option<String>, told: Option<&String>| {
            written.as_ref().or(told).map(|text| whole(key, text)).transpose()
        };
        let of = |pick: fn(&Told) -> Option<&String>| told.as_ref().and_then(pick);
        let token = one("token_url", token_url, of(|told| told.token_endpoint.as_ref()))?
            .ok_or_else(|| nonsense(Problem::new("the issuer tells no token_endpoint").hint("write token_url in auth")))?;
        Ok(Places {
            authorize: one("authorize_url", authorize_url, of(|told| told.authorization_endpoint.as_ref()))?,
            token,
            device: one("device_url", device_url, of(|told| told.device_authorization_endpoint.as_ref()))?,
            revoke: one("revoke_url", revoke_url, of(|told| told.revocation_endpoint.as_ref()))?,
            names_itself: told.as_ref().is_some_and(|told| told.authorization_response_iss_parameter_supported),
            // Where nothing is told it is the header (RFC 6749, 2.3.1).
            takes_header: told
                .as_ref()
                .and_then(|told| told.token_endpoint_auth_methods_supported.as_ref())
                .is_none_or(|all| all.iter().any(|one| one == "client_secret_basic")),
            issuer: told.map(|told| told.issuer),
        })
    }

    async fn told(&self, issuer: &str) -> Result<Told, RemoteError> {
        let base = endpoint("issuer", issuer, self.insecure).map_err(nonsense)?;
        let path = base.path().trim_end_matches('/').to_owned();
        let mut last = None;
        for below in
            [format!("{path}/.well-known/openid-configuration"), format!("/.well-known/oauth-authorization-server{path}")]
        {
            let mut url = base.clone();
            url.set_path(&below);
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
            let request = Request { method: Method::GET, url, headers, body: None, changes: false };
            let reply = self.http.pay(request).await.map_err(|lost| lost.error)?;
            match reply.trouble((self.now)()) {
                None => return told_by(issuer, &reply),
                // What is not there may be at the other place.
                Some(trouble) if trouble.kind == Failure::Denied => last = Some(trouble),
                Some(trouble) => return Err(trouble),
            }
        }
        let what = last.map(|trouble| trouble.what).unwrap_or_default();
        Err(nonsense(
            Problem::new(format!("the issuer tells no addresses: {what}")).hint("write authorize_url and token_url in auth"),
        ))
    }

    /// Tokens for these words.
    pub(super) async fn grant(&self, places: &Places, words: &[(&str, &str)]) -> Result<Grant, No> {
        let (reply, sent) = self.post(places, &places.token, words).await.map_err(No::Trouble)?;
        answer::read(&reply, (self.now)(), &sent)
    }

    /// Which program asks, and what it shows: other settings may be answered otherwise.
    pub(super) async fn program(&self) -> Result<blake3::Hash, RemoteError> {
        let mut hasher = blake3::Hasher::new();
        let OAuth2 { client_id, issuer, token_url, client_secret, .. } = &*self.settings;
        for part in [Some(client_id), issuer.as_ref(), token_url.as_ref()].into_iter().flatten() {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        if let Some(from) = client_secret {
            hasher.update(secret::fetch(from, &self.config_dir).await?.reveal().as_bytes());
        }
        Ok(hasher.finalize())
    }

    /// Sends a form, with what shows which program this is. The answer, and what of it no word of the service may repeat.
    pub(super) async fn post(
        &self,
        places: &Places,
        url: &Url,
        words: &[(&str, &str)],
    ) -> Result<(Reply, Vec<String>), RemoteError> {
        let of_grants =
            words.iter().filter(|(name, _)| !matches!(*name, "grant_type" | "redirect_uri" | "scope" | "token_type_hint"));
        let mut sent: Vec<String> = of_grants.map(|(_, value)| (*value).to_owned()).collect();
        let id = self.settings.client_id.as_str();
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        let mut words: Vec<(&str, &str)> = words.to_vec();
        let secret = match &self.settings.client_secret {
            Some(from) => Some(secret::fetch(from, &self.config_dir).await?),
            None => None,
        };
        sent.extend(secret.iter().map(|secret| secret.reveal().to_owned()));
        match &secret {
            Some(secret) if places.takes_header => {
                // Both are escaped before they are joined (RFC 6749, 2.3.1).
                let joined = BASE64_STANDARD.encode(format!("{}:{}", escaped(id), escaped(secret.reveal())));
                let text = format!("Basic {joined}");
                sent.push(joined);
                let mut value =
                    HeaderValue::from_str(&text).map_err(|_| nonsense(Problem::new("the client_secret fits into no header")))?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Some(secret) => words.extend([("client_id", id), ("client_secret", secret.reveal())]),
            None => words.push(("client_id", id)),
        }
        let request = Request { method: Method::POST, url: url.clone(), headers, body: Some(form(&words)), changes: true };
        let reply = self.http.pay(request).await.map_err(|lost| lost.error)?;
        Ok((reply, sent))
    }

    /// Has the service end a login (RFC 7009).
    ///
    /// # Errors
    /// Why it may still stand there.
    pub(super) async fn revoke(&self, token: &str, of: &str) -> Result<(), Problem> {
        let told = |error: RemoteError| Problem { what: error.what, hint: error.hint };
        let places = self.places().await.map_err(told)?;
        let Some(url) = places.revoke.clone() else {
            return Err(Problem::new("the service has no address where a login is ended"));
        };
        let (reply, _) = self.post(&places, &url, &[("token", token), ("token_type_hint", of)]).await.map_err(told)?;
        // What is unknown there is ended as well, and the answer is 200 (RFC 7009, 2.2).
        reply.trouble((self.now)()).map_or(Ok(()), |trouble| Err(told(trouble)))
    }
}

/// What is told at the issuer's place, if it is the issuer's.
fn told_by(issuer: &str, reply: &Reply) -> Result<Told, RemoteError> {
    let place = place(&reply.url);
    let wrong = |what: String| nonsense(Problem::new(format!("{place} {what}")));
    let told: Told = serde_json::from_slice::<Value>(&reply.body)
        .and_then(serde_json::from_value)
        .map_err(|_| wrong("does not tell the addresses of a login".into()))?;
    // Whoever names another could send a login's code elsewhere (RFC 8414, 3.3).
    if told.issuer.trim_end_matches('/') == issuer.trim_end_matches('/') {
        Ok(told)
    } else {
        Err(nonsense(
            Problem::new(format!("{place} says that the issuer is {}", crate::remotes::http::words(&told.issuer)))
                .hint("write that as the issuer if it is the right one"),
        ))
    }
}

/// Words as a form.
fn form(words: &[(&str, &str)]) -> String {
    words.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

/// A text as a form has it.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The service, or what is written of it, makes no sense: another try may find it mended.
pub(super) fn nonsense(Problem { what, hint }: Problem) -> RemoteError {
    RemoteError { hint, ..RemoteError::new(Failure::Nonsense, what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped_as_a_form_has_them() {
        assert_eq!(form(&[("code", "a b+c&d=e%"), ("é", "")]), "code=a%20b%2Bc%26d%3De%25&%C3%A9=");
    }

    #[test]
    fn an_issuer_names_itself() {
        let reply = |issuer: &str| Reply {
            status: reqwest::StatusCode::OK,
            headers: HeaderMap::new(),
            body: format!("{{\"issuer\":{issuer:?},\"token_endpoint\":\"https://id.org/t\"}}").into_bytes(),
            url: Url::parse("https://id.org/.well-known/openid-configuration").unwrap(),
            large: None,
            shown: None,
        };
        assert!(told_by("https://id.org", &reply("https://id.org/")).is_ok());
        let told = told_by("https://id.org", &reply("https://evil.org")).err().unwrap();
        assert!(told.what.contains("the issuer is https://evil.org") && told.hint.is_some(), "{told:?}");
    }
}
