//! Owns: sending a change: what is put where, under which condition, and what the answer means. Must never know: when to try again.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError, atomic::Ordering},
};

use mingle_core::{
    limits,
    record::Props,
    replica::{Action, Answer, Failure, Precondition, RemoteError, Row, RowState},
};
use reqwest::{Method, StatusCode, header::HeaderValue};

use super::{Dav, Fetched, place::Place, xml};
use crate::remotes::{
    aside::aside,
    http::{self, Lost, Reply},
    larder, rest,
};

impl Dav {
    /// Sends one change. What it comes to there is read back: servers may write a text otherwise than they were sent it, and say nothing.
    pub(super) async fn sent(&self, action: &Action) -> Answer {
        let id = match action {
            Action::Create { remote_id, .. } => remote_id.as_deref(),
            Action::Update { remote_id, .. } | Action::Delete { remote_id, .. } => Some(remote_id.as_str()),
        };
        if id.is_some_and(rest::is_no_name) {
            return Answer::Refused(rest::NO_NAME.into());
        }
        let place = match self.place().await {
            Ok(place) => place,
            Err(error) => return Answer::Unsent(error),
        };
        match action {
            Action::Create { remote_id, whole, .. } => self.create(place, remote_id.as_deref(), whole).await,
            Action::Update { remote_id, patch, unless_moved, .. } => {
                let found = match self.agreed(place, remote_id, unless_moved).await {
                    Ok(found) => found,
                    Err(answer) => return *answer,
                };
                let (holds, text, patch) = (place.holds, found.text.clone(), patch.clone());
                match aside(move || mingle_text::edited(holds, &text, &patch)).await {
                    // Nothing of it has a place there: what the server has stands.
                    Ok(text) if text == found.text => Answer::Taken(None),
                    Ok(text) => {
                        let row = Fetched { revision: None, modified: None, text: Ok(text.clone()) }.row(holds, remote_id);
                        match self.put(place, remote_id, ("if-match", &found.revision), text).await {
                            // As it reads in what was sent; what the server made of it is read back.
                            Answer::Taken(None) => Answer::Taken(Some(row)),
                            other => other,
                        }
                    }
                    Err(why) => Answer::Refused(why),
                }
            }
            Action::Delete { remote_id, unless_moved } => match unless_moved {
                Precondition::Revision(revision) => self.delete(place, remote_id, revision).await,
                Precondition::Reread(_) | Precondition::Shows(_) => Answer::Refused(NO_REVISION.into()),
            },
        }
    }

    async fn create(&self, place: &Place, id: Option<&str>, whole: &Props) -> Answer {
        let now = (self.means.now)();
        // Of an id that is no file name nothing is kept but that it is another one.
        let own = || uuid::Uuid::new_v4().to_string();
        let id = id.map_or_else(own, str::to_owned);
        let (holds, props, uid) = (place.holds, whole.clone(), id.clone());
        let text = match aside(move || mingle_text::made(holds, &props, &uid, now)).await {
            Ok(text) => text,
            Err(why) => return Answer::Refused(why),
        };
        match self.put(place, &id, ("if-none-match", "*"), text).await {
            // Its id is told; the rest is read back.
            Answer::Taken(None) => {
                let state = RowState::Live(whole.clone());
                Answer::Taken(Some(Row { remote_id: id, revision: None, modified: None, created: None, state }))
            }
            other => other,
        }
    }

    async fn put(&self, place: &Place, id: &str, condition: (&'static str, &str), text: String) -> Answer {
        let Some(value) = condition_of(condition.1) else { return Answer::Refused(NO_REVISION.into()) };
        let of = HeaderValue::from_static(place.holds.media_type());
        let request = self.request(Method::PUT, place.member(id), &[(condition.0, value), ("content-type", of)], Some(text));
        let creates = condition.0 == "if-none-match";
        self.answer(place, self.told_in_turn(request).await, creates).await
    }

    async fn delete(&self, place: &Place, id: &str, revision: &str) -> Answer {
        let Some(value) = condition_of(revision) else { return Answer::Refused(NO_REVISION.into()) };
        let request = self.request(Method::DELETE, place.member(id), &[("if-match", value)], None);
        self.answer(place, self.told_in_turn(request).await, false).await
    }

    /// Sends a change beside others. Some servers take one at a time, and say of another that it is locked (HTTP 423): once one has said so,
    /// each waits until it is alone. What is locked even then, somebody else has locked: the next run tries again.
    async fn told_in_turn(&self, request: http::Request) -> Result<Reply, Lost> {
        if !self.in_turn.load(Ordering::Relaxed) {
            let beside = self.turn.read().await;
            let reply = self.tell(request.clone()).await?;
            drop(beside);
            if reply.status != StatusCode::LOCKED {
                return Ok(reply);
            }
            self.in_turn.store(true, Ordering::Relaxed);
        }
        let _alone = self.turn.write().await;
        self.tell(request).await
    }

    /// Reads at once what is to be edited: a text that has another revision by the time it is written is not written over. What does not come
    /// is read by itself.
    pub(super) async fn read_ahead(&self, actions: &[&Action]) {
        *self.ahead() = Ahead::default();
        let mut ids = Vec::new();
        for action in actions {
            if let Action::Update { remote_id, unless_moved: Precondition::Revision(_), .. } = action
                && !rest::is_no_name(remote_id)
                && ids.len() < limits::DAV_PAGE_ROWS
            {
                ids.push(remote_id.as_str());
            }
        }
        if ids.len() < 2 {
            return;
        }
        if let (Ok(place), Some(room)) = (self.place().await, self.means.http.larder.whole())
            && let Ok(texts) = self.texts(place, &ids).await
        {
            *self.ahead() = Ahead { texts: texts.into_iter().collect(), _room: Some(room) };
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there, where it is what the change takes for granted; or the answer, where it is not.
    async fn agreed(&self, place: &Place, id: &str, unless_moved: &Precondition) -> Result<Agreed, Box<Answer>> {
        let Precondition::Revision(expected) = unless_moved else { return Err(Box::new(Answer::Refused(NO_REVISION.into()))) };
        let read = self.ahead().texts.remove(id);
        let found = match read {
            Some(found) => Ok(Some(found)),
            None => self.fetched(place, id).await,
        };
        match found {
            Ok(None) => Err(Box::new(Answer::Gone)),
            Ok(Some(found)) if found.revision.as_deref().map(strong) == Some(strong(expected)) => {
                let text = found.text.map_err(|why| Box::new(Answer::Refused(why)))?;
                Ok(Agreed { revision: expected.clone(), text })
            }
            Ok(Some(found)) => Err(Box::new(Answer::Stale(Some(found.row(place.holds, id))))),
            Err(error) => Err(Box::new(Answer::Unsent(error))),
        }
    }

    async fn answer(&self, place: &Place, reply: Result<Reply, Lost>, creates: bool) -> Answer {
        let reply = match reply {
            Ok(reply) => reply,
            Err(Lost { error, sent: true }) => return Answer::Unknown(error),
            Err(Lost { error, sent: false }) => return Answer::Unsent(error),
        };
        let status = reply.status.as_u16();
        if reply.status.is_success() {
            return Answer::Taken(None);
        }
        if status == 412 {
            return Answer::Stale(None);
        }
        if !creates {
            match self.gone(place, &reply).await {
                Ok(true) => return Answer::Gone,
                Ok(false) => {}
                // It may be gone, and it may be hidden from us like all others: nothing was done.
                Err(error) => return Answer::Unsent(error),
            }
        }
        if reply.status == StatusCode::LOCKED {
            let what = format!("{} is locked by somebody else (HTTP 423)", http::place(&reply.url));
            return Answer::Unsent(
                RemoteError::new(Failure::Server, what).hint("it is tried again by itself, once the lock is gone"),
            );
        }
        match reply.trouble((self.means.now)()) {
            // No room is an answer; a gateway says 503 as well when the server behind it took the request and then went away.
            Some(_) if status == 507 => Answer::Refused(words(&reply)),
            Some(error) if status == 503 || status == 408 || status < 400 => Answer::Unknown(error),
            Some(error) if error.kind == Failure::Server => Answer::Unknown(error),
            Some(error) if matches!(error.kind, Failure::Throttled(_) | Failure::NeedsLogin) => Answer::Unsent(error),
            // The collection is not there.
            Some(error) if creates && matches!(status, 404 | 410) => Answer::Unsent(error),
            _ => Answer::Refused(words(&reply)),
        }
    }
}

/// What was read ahead of being written.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    texts: BTreeMap<String, Fetched>,
    _room: Option<larder::Whole>,
}

struct Agreed {
    revision: String,
    text: String,
}

const NO_REVISION: &str = "the server shows no revision of it that a change could be bound to";

/// A revision without the mark of a weak one: a proxy that packs answers puts it there, and the server knows nothing of it.
fn strong(revision: &str) -> &str {
    revision.strip_prefix("W/").unwrap_or(revision)
}

fn condition_of(revision: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(strong(revision)).ok().filter(|value| !value.is_empty())
}

/// The server's words for why it refuses.
fn words(reply: &Reply) -> String {
    let said = std::str::from_utf8(&reply.body)
        .ok()
        .and_then(xml::refusal)
        .and_then(xml::Refusal::words)
        .map(|reason| format!(": {}", http::words(&reason)));
    format!("{} refuses it (HTTP {}){}", http::place(&reply.url), reply.status.as_u16(), said.unwrap_or_default())
}
