//! Owns: what an answer means, by its status, its headers and what it says.
//! Must never know: when to try again, or what was asked.

use std::time::Duration;

use mingle_core::{
    record::Value,
    replica::{Failure, RemoteError, Row},
};

use super::{
    Rest,
    profile::{Meaning, Means},
    rows,
};
use crate::remotes::http::{self, Reply};

/// Of the name that a service gives us, so much is shown: it tells two accounts apart.
const ACCOUNT_CHARS_SHOWN: usize = 24;

impl Rest {
    /// What the profile says that this answer means, where its status alone does not tell.
    pub(super) fn means(&self, reply: &Reply) -> Option<Means> {
        self.meaning(reply).map(|meaning| meaning.means)
    }

    fn meaning(&self, reply: &Reply) -> Option<&Meaning> {
        let body = std::cell::OnceCell::new();
        let fits = |meaning: &&Meaning| {
            let any = meaning.is.is_empty() && meaning.begins.is_empty();
            let is = |said: &str| {
                any || meaning.is.iter().any(|one| one == said) || meaning.begins.iter().any(|one| said.starts_with(one.as_str()))
            };
            meaning.status.contains(&reply.status.as_u16())
                && match (&meaning.at, &meaning.header) {
                    (Some(at), _) => {
                        let body = body.get_or_init(|| self.json(reply).ok());
                        body.as_ref().and_then(|body| at.find(body)).is_some_and(|value| match rows::word(value) {
                            Some(word) => is(&word),
                            None => *value != Value::Null && any,
                        })
                    }
                    (None, Some(name)) => reply.header(name).is_some_and(is),
                    (None, None) => true,
                }
        };
        self.profile.meaning.iter().find(fits)
    }

    /// What is wrong with an answer, with the profile's hint where the resource is refused.
    pub(super) fn trouble(&self, reply: &Reply) -> Option<RemoteError> {
        let now = (self.means.now)();
        let by_status = reply.trouble(now);
        let place = http::place(&reply.url);
        let told =
            |kind: Failure, what: &str| Some(RemoteError::new(kind, format!("{place} {what} (HTTP {})", reply.status.as_u16())));
        let meaning = self.meaning(reply);
        let mut trouble = match meaning.map(|meaning| meaning.means) {
            Some(Means::NeedsLogin) => told(Failure::NeedsLogin, "refuses the credentials"),
            Some(Means::Denied) => told(Failure::Denied, "does not allow this"),
            Some(Means::Throttled) => {
                let least = meaning.and_then(|meaning| meaning.wait_s).map(|wait| now.plus(Duration::from_secs(wait)));
                if let (None, Some(least)) = (reply.not_before(now), least) {
                    self.means.http.quiet(least);
                }
                told(Failure::Throttled(reply.not_before(now).or(least)), "asks for patience")
            }
            Some(Means::Trouble) => told(Failure::Server, "is in trouble"),
            Some(Means::TokenRefused) => told(Failure::CheckpointRefused, "no longer knows where we were"),
            Some(Means::Gone | Means::Stale | Means::Exists | Means::Refused) | None => by_status,
        }?;
        if let Failure::Throttled(until) = &mut trouble.kind {
            *until = until.or_else(|| self.means.http.until());
        }
        if let (Failure::Denied, Some(hint)) = (trouble.kind, &self.profile.denied_hint) {
            let url = self.url.as_str().trim_end_matches('/');
            trouble.hint = hint.fill(&[("url", url), ("resource", &self.resource)]);
        }
        if let (Failure::Denied, Some(account)) = (trouble.kind, self.account.get()) {
            // To some services another password is another account, and all they can say is that it may not.
            let account: String = http::words(account).chars().take(ACCOUNT_CHARS_SHOWN).collect();
            let who = format!("the service takes us for {account:?}: if that is not you, the username or the password is wrong");
            trouble.hint = Some(trouble.hint.map_or(who.clone(), |hint| format!("{who}; else {hint}")));
        }
        Some(trouble)
    }

    /// Whether an answer says that the record is not there; an error where it says so of all of them.
    pub(super) async fn gone(&self, reply: &Reply) -> Result<bool, RemoteError> {
        let says_so = match self.means(reply) {
            Some(means) => means == Means::Gone,
            None => self.profile.answers.gone.contains(&reply.status.as_u16()),
        };
        if says_so && let Some(place) = self.profile.place.as_ref().filter(|place| place.proves_gone) {
            let shown = self.ask(self.below(&place.path, None)?).await?;
            if let Some(trouble) = self.trouble(&shown) {
                return Err(trouble);
            }
        }
        Ok(says_so)
    }

    /// The record as a refusal shows it.
    pub(super) fn present(&self, reply: &Reply, id: Option<&str>) -> Option<Row> {
        let mut body = self.json(reply).ok()?;
        let value = self.profile.answers.present.as_ref()?.take(&mut body)?;
        rows::row(&self.profile.row, value).ok().filter(|row| id.is_none_or(|id| id == row.remote_id))
    }

    /// The remote's words for why it refuses.
    pub(super) fn words(&self, reply: &Reply) -> String {
        let said = self.json(reply).ok().and_then(|body| match self.profile.answers.words.as_ref()?.find(&body) {
            Some(Value::Text(text)) => Some(http::words(text)),
            _ => None,
        });
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        format!("{} refuses it (HTTP {}){said}", http::place(&reply.url), reply.status.as_u16())
    }
}
