//! Owns: how much the service says that it may be asked, and asking for what is kept.
//! Must never know: what is asked.

use std::sync::{Mutex, PoisonError};

use mingle_core::{limits::PATIENCE_MAX, replica::RemoteError, time::Timestamp};
use reqwest::{
    Method, Url,
    header::{self, HeaderMap},
};

use super::{
    Rest,
    profile::{Limits, ResetForm},
};
use crate::remotes::{http::Reply, kept};

/// Nothing is asked before a moment.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<Timestamp>>);

impl Quiet {
    /// Until when, if that is still to come.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| *until > now)
    }

    /// Heeds what an answer says.
    pub(super) fn heed(&self, limits: &Limits, reply: &Reply, now: Timestamp) {
        let left = limits.remaining.as_ref().and_then(|name| reply.header(name)?.trim().parse::<u64>().ok());
        if left == Some(0) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reset(limits, reply, now);
        }
    }
}

/// When there is more again.
fn reset(limits: &Limits, reply: &Reply, now: Timestamp) -> Option<Timestamp> {
    let reset = limits.reset.as_ref()?;
    let seconds: i64 = reply.header(&reset.header)?.trim().parse().ok()?;
    let wait = match reset.form {
        ResetForm::Seconds => std::time::Duration::from_secs(u64::try_from(seconds).ok()?),
        // By the server's clock, so that ours may be wrong. One more: its clock shows whole seconds.
        ResetForm::UnixS => {
            let then = Timestamp::from_unix_ms(seconds.saturating_add(1).saturating_mul(1000));
            then.since(reply.server_time().unwrap_or(now))
        }
    };
    Some(now.plus(wait.min(PATIENCE_MAX)))
}

impl Rest {
    /// Asks for something that may have been asked for before: where nothing changed, the former answer counts.
    pub(super) async fn asked_again(&self, url: Url) -> Result<Reply, RemoteError> {
        let mut request = self.request(Method::GET, url, HeaderMap::new(), None);
        let name = kept::name(&request);
        let kept = &self.means.http.kept;
        if let Some(validator) = kept.validator(&name) {
            request.headers.insert(header::IF_NONE_MATCH, validator);
        }
        let reply = self.exchange(request).await.map_err(|lost| lost.error)?;
        Ok(kept.settle(name, reply))
    }
}
