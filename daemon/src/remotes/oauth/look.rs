//! Owns: what lies here of a login, for whoever looks while no daemon runs. Must never know: what is asked of a service, how it is told.

use std::path::Path;

use mingle_core::{replica::RemoteError, time::Timestamp};

use super::kept::{Kept, Pair, Place};
use crate::remotes::{
    budget,
    settings::{Auth, RemoteSettings, Tokens},
};

/// A login, as it lies here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where, in words.
    pub place: String,
    /// Whose it is, or was; empty: that is not known.
    pub account: String,
    /// What is there.
    pub lies: Lies,
}

/// What is there of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lies {
    /// Nobody has logged in, or somebody has logged out.
    Nothing,
    /// It is for something else than the configuration has.
    Elsewhere(String),
    /// In the keyring, which is not asked.
    InKeyring,
    /// It is renewed. The token that is there is over then, where the service says that.
    Renewed(Option<Timestamp>),
    /// There is nothing to renew it with. It is over then.
    Ends(Option<Timestamp>),
}

/// Looks at the login of a remote in the folder of logins; none: it has no such login.
///
/// # Errors
/// It cannot be read.
pub fn look(folder: &Path, name: &str, remote: &RemoteSettings) -> Option<Result<Look, RemoteError>> {
    let Auth::OAuth2(settings) = &remote.auth else { return None };
    let place = Place::of(settings, folder);
    let seen = |kept: Option<Kept>| {
        let kept = kept.unwrap_or_default();
        let at = budget::host(remote);
        let moved = kept.origins.get(name).filter(|known| at.as_ref().is_some_and(|at| at != *known));
        let lies = match (&settings.tokens, &kept.tokens, moved) {
            _ if kept.login.is_empty() || kept.ended => Lies::Nothing,
            (Tokens::File(_), None, _) => Lies::Nothing,
            _ if kept.client_id != settings.client_id => Lies::Elsewhere("it was given to another client_id".into()),
            _ if !kept.is_of(settings) => Lies::Elsewhere("it was given by another service".into()),
            (_, _, Some(known)) => Lies::Elsewhere(format!("it was shown to {known}, and the url is another now")),
            (_, None, _) => Lies::InKeyring,
            (_, Some(Pair { refresh, over_at_ms, .. }), _) => {
                let over = over_at_ms.map(Timestamp::from_unix_ms);
                if refresh.is_some() { Lies::Renewed(over) } else { Lies::Ends(over) }
            }
        };
        Look { place: place.words(), account: kept.account, lies }
    };
    Some(place.read_file().map(seen))
}
