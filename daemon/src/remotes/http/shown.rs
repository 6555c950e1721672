//! Owns: a client that shows a login which runs out, and one that shows nothing of a run's. Must never know: how a login is renewed.

use mingle_core::replica::RemoteError;

use super::{Client, Reply};
use crate::remotes::{budget::By, oauth::bearer::Bearer};

impl Client {
    /// The same, for a remote that takes this login: each request shows it.
    #[must_use]
    pub fn showing(&self, bearer: Bearer) -> Self {
        Self { bearer: Some(bearer), ..self.clone() }
    }

    /// The same without anything of a run's: it asks for itself.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self { by: By::default(), purse: None, held: None, bearer: None, ..self.clone() }
    }

    /// Whether there is another login now than the one that this answer refuses by other means than its status.
    ///
    /// # Errors
    /// No other is to be had now, or a person has to log in.
    pub async fn is_renewed(&self, reply: &Reply) -> Result<bool, RemoteError> {
        match &self.bearer {
            Some(bearer) => bearer.is_renewed(reply).await,
            None => Ok(false),
        }
    }
}
