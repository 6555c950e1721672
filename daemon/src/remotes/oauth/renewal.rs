//! Owns: another token for one that is due, or that a service refused: how it is asked for, and what it means that none is given.
//! Must never know: which token a request shows.
//!
//! A renewal is brought to its end, though the run that wanted it is stopped: the service may have given a new token in place of the one that
//! we have, and nobody else would hear of it. What came is on the disk before it is used. A kill between the answer and the disk loses it: a
//! service that then takes the one before no more wants a person.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use mingle_core::{
    limits,
    login::renewed_at,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use tokio::sync::OwnedMutexGuard;

use super::{
    answer::{Grant, No},
    ask::Asker,
    held::{Beside, Ended, State, Trouble, needs, print},
    kept::{Kept, Pair, Place, broken},
};
use crate::remotes::http;

/// Asks for another token, and keeps it.
pub(super) async fn renew(
    mut state: OwnedMutexGuard<State>,
    beside: Arc<Beside>,
    asker: Asker,
    place: Place,
    remote: String,
    is_unproven: bool,
) -> Result<String, RemoteError> {
    let Some((kept, pair)) = state.kept.clone().and_then(|kept| Some((kept.clone(), kept.tokens?))) else {
        return Err(needs(&remote, format!("nobody has logged in to {remote} yet")));
    };
    let Some(refresh) = pair.refresh.clone() else { return Ok(pair.access) };
    let program = asker.program().await?;
    if let Some(ended) = &state.ended
        && ended.refresh == refresh
        && ended.program == program
    {
        return Err(ended.error.clone());
    }
    let asked = async {
        let places = asker.places().await?;
        let given = asker.grant(&places, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
        given.map_err(|no| match no {
            No::Trouble(error) => error,
            No::Said(code, said) => {
                tracing::warn!(%remote, code, "the login is not renewed");
                refused(&remote, &http::place(&places.token), &code, &said)
            }
        })
    };
    let asked = tokio::select! {
        biased;
        () = beside.is_wanted() => return Err(given_up(&remote)),
        asked = asked => asked,
    };
    let asked = asked.and_then(|grant| match &grant.identity {
        Some(identity) if !kept.account.is_empty() && identity.account() != kept.account => {
            Err(needs(&remote, format!("the service renews the login of {remote} as somebody else's")))
        }
        _ => Ok(grant),
    });
    let grant = match asked {
        Ok(grant) => grant,
        Err(error) => {
            let error = state.fails(&beside, (asker.now)(), &remote, error);
            if error.kind == Failure::NeedsLogin {
                state.ended = Some(Ended { refresh, program, error: error.clone() });
            }
            return Err(error);
        }
    };
    let pair = self::pair(&grant, Some(refresh), (asker.now)());
    let access = pair.access.clone();
    let kept = Kept { tokens: Some(pair), ..kept };
    let written = place.write(&kept).await;
    tracing::debug!(%remote, kept = written.is_ok(), "the login was renewed");
    *beside.unproven() = is_unproven.then(|| print(&access));
    *state = State { kept: Some(kept), is_unsaved: written.is_err(), ..State::default() };
    written.map_err(broken).map(|()| access)
}

impl State {
    /// A renewal came to nothing: who waits for it is told so.
    fn fails(&mut self, beside: &Beside, now: Timestamp, remote: &str, mut error: RemoteError) -> RemoteError {
        beside.failed.fetch_add(1, Relaxed);
        if !is_trouble(&error) {
            return error;
        }
        let told = match error.kind {
            // It is the one that logs in who asks for patience, and not the remote.
            Failure::Throttled(until) => {
                error.kind = Failure::Server;
                until
            }
            _ => None,
        };
        let until = now.plus(limits::RENEWAL_PAUSE).max(told.unwrap_or(now));
        if told.is_some() {
            error
                .hint
                .get_or_insert_with(|| format!("it is asked again when it said; `mingle remote login {remote}` asks at once"));
        }
        self.trouble = Some(Trouble { at: now, until, is_told: told.is_some(), error: error.clone() });
        error
    }
}

pub(super) fn pair(grant: &Grant, before: Option<String>, now: Timestamp) -> Pair {
    let (chance, _) = uuid::Uuid::new_v4().as_u64_pair();
    let renew_at_ms = grant.lives.map(|lives| renewed_at(now, lives, chance).unix_ms());
    let over_at_ms = grant.lives.map(|lives| now.plus(lives).unix_ms());
    Pair { access: grant.access.clone(), renew_at_ms, over_at_ms, refresh: grant.refresh.clone().or(before) }
}

/// What it means that no other token is given for the one that we have.
fn refused(remote: &str, place: &str, code: &str, said: &str) -> RemoteError {
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    match code {
        "server_error" | "temporarily_unavailable" | "slow_down" => {
            RemoteError::new(Failure::Server, format!("{place} is in trouble ({code}{said})"))
        }
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" => {
            let what = format!("{place} does not take this program ({code}{said})");
            RemoteError::new(Failure::NeedsLogin, what)
                .hint(format!("look at client_id and client_secret in [remote.{remote}], then `mingle sync` one of its syncs"))
        }
        _ => needs(
            remote,
            format!("{place} does not renew the login of {remote}: it has run out, or was ended there ({code}{said})"),
        ),
    }
}

/// Whoever logs in or out puts another login in place of this one, or none.
fn given_up(remote: &str) -> RemoteError {
    let what = format!("a renewal of the login of {remote} was given up: somebody logs in or out");
    RemoteError::new(Failure::Broken, what).hint("the next run has what came of that")
}

/// What the service gave is over, and there is no more.
pub(super) fn without_renewal(remote: &str) -> RemoteError {
    let what = format!("the login of {remote} has run out, or was ended, and the service gave nothing to renew it with");
    RemoteError::new(Failure::NeedsLogin, what)
        .hint(format!("`mingle remote login {remote}`; for the scope \"offline_access\" many services give what renews it"))
}

/// Whether nothing is said of the login itself.
pub(super) fn is_trouble(error: &RemoteError) -> bool {
    error.kind != Failure::NeedsLogin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_renewal_is_a_no_or_trouble() {
        let check = |code: &str, kind: Failure, part: &str| {
            let error = refused("far", "https://id.org/token", code, "");
            let told = format!("{} {}", error.what, error.hint.unwrap_or_default());
            assert!(error.kind == kind && told.contains(part), "{code}: {told}");
        };
        check("invalid_grant", Failure::NeedsLogin, "`mingle remote login far`");
        check("access_denied", Failure::NeedsLogin, "`mingle remote login far`");
        check("invalid_client", Failure::NeedsLogin, "client_id and client_secret in [remote.far]");
        check("temporarily_unavailable", Failure::Server, "in trouble");
    }
}
