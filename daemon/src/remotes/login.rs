//! Owns: what stands in each request to show who we are: headers, or a parameter. Must never know: what is asked.

use std::path::Path;

use mingle_core::replica::{Failure, RemoteError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{secret, settings::Auth};

/// What shows who we are: headers, or a parameter of every address.
#[derive(Default)]
pub(super) struct Login {
    /// Headers of every request, marked as sensitive.
    pub(super) headers: HeaderMap,
    /// A parameter of every address, and what stands in it.
    pub(super) query: Option<(String, secret::Fetched)>,
}

impl Login {
    /// What shows who we are: the secret is fetched now.
    ///
    /// # Errors
    /// The secret is not to be had, or fits into no header.
    pub(super) async fn of(auth: &Auth, config_dir: &Path) -> Result<Self, RemoteError> {
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
            Auth::Bearer { .. } | Auth::None => ("authorization", format!("Bearer {}", secret.reveal())),
        };
        let no = || RemoteError::new(Failure::NeedsLogin, "the secret does not fit into a header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| no())?;
        value.set_sensitive(true);
        login.headers.insert(name, value);
        Ok(login)
    }

    /// Whether we show nothing.
    pub(super) fn is_none(&self) -> bool {
        self.headers.is_empty() && self.query.is_none()
    }

    /// What shows who we are, to tell one account from another.
    pub(super) fn proof(&self) -> Vec<u8> {
        let headers = self.headers.values().map(HeaderValue::as_bytes);
        headers.chain(self.query.iter().map(|(_, secret)| secret.reveal().as_bytes())).collect::<Vec<_>>().concat()
    }
}
