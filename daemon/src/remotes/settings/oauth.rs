//! Owns: what a person writes of a login that runs out: `auth = { type = "oauth2", .. }`. Must never know: tokens, how they are asked for.

use std::fmt;

use reqwest::Url;
use serde::Deserialize;

use super::Secret;
use crate::remotes::{Problem, http, keyring::Item};

/// How a remote logs in with OAuth 2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// What the service calls this program.
    pub client_id: String,
    /// What shows that it is this program, for services that insist; in a program on a desk it is no secret.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// Who tells the addresses below; one that is written here wins.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Where a person agrees.
    #[serde(default)]
    pub authorize_url: Option<String>,
    /// Where tokens are given.
    #[serde(default)]
    pub token_url: Option<String>,
    /// Where a login at another machine begins.
    #[serde(default)]
    pub device_url: Option<String>,
    /// Where tokens are taken back.
    #[serde(default)]
    pub revoke_url: Option<String>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Where the tokens are kept. None while it is read: a file with the remote's name.
    #[serde(default)]
    pub tokens: Tokens,
}

/// Where tokens are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// In a file of this name, in the folder `logins` of the state. Remotes with the same one have one login.
    File(String),
    /// In the system's keyring, under this name.
    #[serde(deserialize_with = "item")]
    Keyring(Item),
}

impl Default for Tokens {
    fn default() -> Self {
        Self::File(String::new())
    }
}

fn item<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Item, D::Error> {
    Item::parse(&String::deserialize(reader)?).map_err(serde::de::Error::custom)
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => write!(f, "the file {name}"),
            Self::Keyring(item) => write!(f, "the keyring, as {item}"),
        }
    }
}

impl OAuth2 {
    /// What was left out has the name of its remote.
    pub fn settle(&mut self, remote: &str) {
        if self.tokens == Tokens::default() {
            self.tokens = Tokens::File(remote.to_owned());
        }
    }

    /// Whether it says all that is needed, and nothing that cannot be.
    ///
    /// # Errors
    /// What is missing or wrong, with the remedy.
    pub fn check(&self, insecure: bool) -> Result<(), Problem> {
        let wrong = |what: &str, hint: &str| Err(Problem::new(format!("auth of type \"oauth2\" {what}")).hint(hint));
        if self.client_id.trim().is_empty() {
            return wrong(
                "has an empty client_id",
                "client_id = \"..\": the service gave it when this program was registered there",
            );
        }
        let written = [
            ("issuer", &self.issuer),
            ("authorize_url", &self.authorize_url),
            ("token_url", &self.token_url),
            ("device_url", &self.device_url),
            ("revoke_url", &self.revoke_url),
        ];
        for (key, url) in written.into_iter().filter_map(|(key, url)| Some((key, url.as_deref()?))) {
            endpoint(key, url, insecure)?;
        }
        if self.issuer.is_none() {
            if self.token_url.is_none() {
                return wrong(
                    "does not say where to log in",
                    "issuer = \"https://HOST\" where the service tells its addresses; else authorize_url and token_url",
                );
            }
            if self.authorize_url.is_none() && self.device_url.is_none() {
                return wrong(
                    "does not say where a person agrees",
                    "authorize_url = \"..\" for a browser on this machine, device_url = \"..\" for one elsewhere",
                );
            }
        }
        if let Some(scope) = self.scopes.iter().find(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return wrong(
                &format!("has the scope {scope:?}"),
                "each scope is a word of its own: scopes = [\"openid\", \"read\"]",
            );
        }
        match &self.tokens {
            Tokens::File(name) if !name.is_empty() && !is_plain(name) => wrong(
                &format!("has tokens in {name:?}, which is no plain name"),
                "tokens = { file = \"NAME\" } of a-z, 0-9, - and _: it lies in mingle's own state",
            ),
            _ => Ok(()),
        }
    }
}

fn is_plain(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}

/// An address of the service that logs in. Unlike that of a remote it may have a query (RFC 6749, 3.1 and 3.2).
///
/// # Errors
/// As of the address of a remote.
pub fn endpoint(key: &str, text: &str, insecure: bool) -> Result<Url, Problem> {
    let wrong = |Problem { what, hint }: Problem| Problem { what: format!("{key} in auth: {what}"), hint };
    let mut bare = Url::parse(text).map_err(|error| {
        wrong(Problem::new(format!("{:?} is no address: {error}", http::words(text))).hint("it looks like https://HOST/PATH"))
    })?;
    let whole = bare.clone();
    bare.set_query(None);
    http::address(bare.as_str(), insecure).map_err(wrong)?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remotes::settings::{Auth, RemoteSettings};

    /// What is said of an `auth`, in the reading or in the check.
    #[track_caller]
    fn check(more: &str, wrong: Option<&str>) {
        let text = format!("kind = \"rest\"\nurl = \"https://x.org\"\nauth = {{ type = \"oauth2\", {more} }}");
        let told = match toml::from_str::<RemoteSettings>(&text) {
            Err(error) => Some(error.message().to_owned()),
            Ok(settings) => match &settings.auth {
                Auth::OAuth2(auth) => auth
                    .check(settings.insecure)
                    .err()
                    .map(|Problem { what, hint }| format!("{what}: {}", hint.unwrap_or_default())),
                other => panic!("{other:?}"),
            },
        };
        match (told, wrong) {
            (None, None) => {}
            (Some(told), Some(part)) => assert!(told.contains(part) && !told.contains("sesame"), "{more}: {told}"),
            (told, wrong) => panic!("{more}: {told:?}, not {wrong:?}"),
        }
    }

    #[test]
    fn a_login_that_runs_out_is_read_strictly() {
        check("client_id = \"c\", issuer = \"https://id.example.org\"", None);
        check("client_id = \"c\", issuer = \"http://127.0.0.1:80\", scopes = [\"openid\"]", None);
        check("client_id = \"c\", token_url = \"https://x.org/t?a=b\", device_url = \"https://x.org/d\"", None);
        check("client_id = \"c\", issuer = \"https://x.org\", tokens = { keyring = \"mingle/far\" }", None);
        check("client_id = \"c\", issuer = \"https://x.org\", tokens = { file = \"far_2\" }", None);
        check("client_id = \"c\", issuer = \"https://x.org\", client_secret = { file = \"s\" }", None);
        check("issuer = \"https://x.org\"", Some("missing field `client_id`"));
        check("client_id = \" \", issuer = \"https://x.org\"", Some("empty client_id"));
        check("client_id = \"c\"", Some("does not say where to log in"));
        check("client_id = \"c\", token_url = \"https://x.org/t\"", Some("where a person agrees"));
        check("client_id = \"c\", issuer = \"http://x.org\"", Some("issuer in auth: http://x.org/ is not encrypted"));
        check("client_id = \"c\", issuer = \"https://a:sesame@x.org\"", Some("holds a login"));
        check("client_id = \"c\", issuer = \"x\"", Some("issuer in auth: \"x\" is no address"));
        check("client_id = \"c\", issuer = \"https://x.org\", scopes = [\"a b\"]", Some("each scope is a word"));
        check("client_id = \"c\", issuer = \"https://x.org\", tokens = { file = \"../x\" }", Some("no plain name"));
        check("client_id = \"c\", issuer = \"https://x.org\", tokens = { keyring = \"x\" }", Some("named SERVICE/ACCOUNT"));
        check("client_id = \"c\", issuer = \"https://x.org\", tokens = { env = \"x\" }", Some("unknown variant `env`"));
        check(
            "client_id = \"c\", issuer = \"https://x.org\", client_secret = \"sesame\"",
            Some("does not stand in the configuration"),
        );
        check("client_id = \"c\", isuer = \"https://x.org\"", Some("unknown field `isuer`"));
    }
}
