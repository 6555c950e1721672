//! Owns: which headers of its own a service tells its limit with, and asking for what is kept.
//! Must never know: what is asked, what follows from a limit.

use mingle_core::replica::RemoteError;
use reqwest::{
    Method, Url,
    header::{self, HeaderMap},
};

use super::{
    Rest,
    profile::{Limits, ResetForm},
};
use crate::remotes::{budget::headers::Own, http::Reply, kept};

/// What the profile says of limits, beyond the headers that everybody knows.
pub(super) fn own(limits: &Limits) -> Option<Own> {
    let (reset, seconds) = match &limits.reset {
        Some(reset) => (Some(reset.header.clone()), reset.form == ResetForm::Seconds),
        None => (None, false),
    };
    Some(Own { remaining: limits.remaining.clone()?, reset, seconds })
}

impl Rest {
    /// Asks for something that may have been asked for before: where nothing changed, the former answer counts.
    pub(super) async fn asked_again(&self, url: Url) -> Result<Reply, RemoteError> {
        let mut request = self.request(Method::GET, url, HeaderMap::new(), None);
        let name = kept::name(&self.means.http.marks, &request);
        let kept = &self.means.http.by.kept;
        if let Some(validator) = kept.validator(&name) {
            request.headers.insert(header::IF_NONE_MATCH, validator);
        }
        let reply = self.exchange(request).await.map_err(|lost| lost.error)?;
        Ok(kept.settle(name, reply))
    }
}
