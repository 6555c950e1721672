//! Owns: sending one change, and what the answer to it means.
//! Must never know: when to try again, or what the change is for.

use std::collections::BTreeMap;

use mingle_core::{
    record::{Props, Value},
    replica::{Action, Answer, Asked, Failure, Precondition, RemoteError},
};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    Rest, fields, nonsense,
    pointer::Pointer,
    profile::{Means, One, Sends, Templates},
    rows,
};
use crate::{
    json,
    remotes::http::{Lost, Reply},
};

/// How a change is asked for, of which record, and what must still be so.
type Way<'a> = (&'a One, Option<&'a str>, Option<&'a Precondition>);

/// One change as a request.
pub(super) struct Part<'a> {
    pub one: &'a One,
    /// Of which record, where it has an id.
    pub id: Option<&'a str>,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Value>,
}

impl Rest {
    /// Sends a change once. A re-read that it asks for was done by [`crate::remotes::wrap::carry`].
    pub(super) async fn sent(&self, action: &Action) -> Answer {
        match self.part(action) {
            Ok(part) => self.sent_once(action, part).await,
            Err(answer) => *answer,
        }
    }

    /// A change as a request, or the answer to what is none.
    pub(super) fn part<'a>(&'a self, action: &'a Action) -> Result<Part<'a>, Box<Answer>> {
        let (one, id, unless_moved) = self.way(action)?;
        // Nothing of it can be set here: what the service has stands.
        let body = self.body(one, action, id).ok_or_else(|| Box::new(Answer::Taken(None)))?;
        let mut values: Vec<(&str, &str)> = match unless_moved {
            Some(Precondition::Revision(revision)) => vec![("revision", revision)],
            Some(Precondition::Reread(_) | Precondition::Shows(_)) | None => Vec::new(),
        };
        if let Action::Create { key: Some(key), .. } = action {
            values.push(("key", key));
        }
        self.request_of(one, id, &values, body)
    }

    fn request_of<'a>(
        &'a self,
        one: &'a One,
        id: Option<&'a str>,
        values: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Part<'a>, Box<Answer>> {
        let request = self.address(one, id).and_then(|url| Ok((url, headers(&one.headers, values)?)));
        // What cannot be written as a request will not be sent, however often we try.
        let (url, headers) = request.map_err(|error| Box::new(Answer::Refused(error.what)))?;
        Ok(Part { one, id, url, headers, body })
    }

    /// Sends a change with a request of its own.
    pub(super) async fn sent_once(&self, action: &Action, part: Part<'_>) -> Answer {
        let Part { one, id, url, headers, body } = part;
        let body = body.as_ref().map(json::write_value);
        match self.tell(one.method.clone(), url, headers, body).await {
            Ok(reply) => self.answer(one, action, id, &reply).await,
            Err(Lost { error, sent: true }) => Answer::Unknown(error),
            Err(Lost { error, sent: false }) => Answer::Unsent(error),
        }
    }

    fn way<'a>(&'a self, action: &'a Action) -> Result<Way<'a>, Box<Answer>> {
        let profile = &self.profile;
        let (one, id, unless_moved) = match action {
            Action::Create { remote_id: None, .. } => (&profile.create, None, None),
            Action::Create { remote_id: Some(id), .. } => (&profile.create_named, Some(id.as_str()), None),
            Action::Update { remote_id, unless_moved, .. } => (&profile.update, Some(remote_id.as_str()), Some(unless_moved)),
            Action::Delete { remote_id, unless_moved } => (&profile.delete, Some(remote_id.as_str()), Some(unless_moved)),
        };
        let one = one.as_ref().ok_or_else(|| {
            let what = format!("the profile of this remote has no way to {}", action.name());
            Box::new(match action {
                // Such a service has records that stay: that concerns this one, not all.
                Action::Delete { .. } if profile.update.is_some() => Answer::Refused(what),
                _ => Answer::Unsent(RemoteError::new(Failure::Denied, what).hint("use direction = \"down\", or another profile")),
            })
        })?;
        Ok((one, id, unless_moved))
    }

    /// What is sent; without a body: none inside. None: there is nothing to send.
    fn body(&self, one: &One, action: &Action, id: Option<&str>) -> Option<Option<Value>> {
        let shape = &self.profile.row;
        let some = |props: &Props| props.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        let (props, clears): (BTreeMap<String, Option<Value>>, bool) = match (one.sends, action) {
            (Sends::Nothing, _) | (_, Action::Delete { .. }) => {
                return Some(one.says.clone());
            }
            (Sends::Patch, Action::Update { patch, .. }) => (patch.clone(), true),
            (_, Action::Create { whole, .. } | Action::Update { whole, .. }) => (some(whole), false),
        };
        let mut record = fields::sent(shape, &props, clears);
        if clears && record == Value::Map(Props::new()) {
            return None;
        }
        if let (Some(at), Some(id)) = (&one.id, id) {
            at.put(&mut record, Value::Text(id.to_owned()));
        }
        Some(Some(written(one, record)))
    }

    /// The record that was made, whose id is all that the answer shows.
    async fn made(&self, at: &Pointer, reply: &Reply) -> Answer {
        let id = match self.json(reply).map(|body| at.find(&body).and_then(rows::word)) {
            Ok(Some(id)) => id,
            Ok(None) => return Answer::Unknown(nonsense(reply, &format!("shows no id at {at}"))),
            Err(error) => return Answer::Unknown(error),
        };
        match self.looked_up(&id).await {
            Ok(Asked::There(row)) => Answer::Taken(Some(row)),
            Ok(Asked::Gone) => Answer::Unknown(nonsense(reply, "shows the id of a record that is not there")),
            // It is made, and a listing has to find it: what it holds is not known.
            Err(error) => Answer::Unknown(error),
        }
    }

    pub(super) async fn answer(&self, one: &One, action: &Action, id: Option<&str>, reply: &Reply) -> Answer {
        let (answers, status, means) = (&self.profile.answers, reply.status.as_u16(), self.means(reply));
        let creates = matches!(action, Action::Create { .. });
        if reply.status.is_success() && means.is_none() {
            if let Some(made) = &one.made {
                return self.made(made, reply).await;
            }
            return match self.row_of(one, reply) {
                Ok(Some(row)) if id.is_some_and(|id| id != row.remote_id) => {
                    Answer::Unknown(nonsense(reply, "answers with a record of another id"))
                }
                Ok(row) => Answer::Taken(row.filter(|_| !matches!(action, Action::Delete { .. }))),
                Err(error) => Answer::Unknown(error),
            };
        }
        let (stale, exists) = match means {
            Some(means) => (means == Means::Stale, means == Means::Exists),
            None => (answers.stale.contains(&status), answers.exists.contains(&status)),
        };
        if stale || (creates && exists) {
            return Answer::Stale(self.present(reply, id));
        }
        if !creates {
            match self.gone(reply).await {
                Ok(true) => return Answer::Gone,
                Ok(false) => {}
                // It may be gone, and it may be hidden from us like all others: nothing was done.
                Err(error) => return Answer::Unsent(error),
            }
        }
        match self.trouble(reply) {
            _ if means == Some(Means::Refused) => Answer::Refused(self.words(reply)),
            // The profile knows that nothing was done.
            Some(error) if matches!(means, Some(Means::Throttled | Means::NeedsLogin | Means::Denied)) => Answer::Unsent(error),
            // An account that may read may still not change this very record, and a create finds no place where the resource
            // is gone: the one concerns a record, the other everything.
            Some(error) if error.kind == Failure::Denied && status != 403 => Answer::Unsent(error),
            // A gateway says 503 as well when the service behind it took the request and then went away.
            Some(error) if status == 503 => Answer::Unknown(error),
            Some(error) if matches!(error.kind, Failure::Throttled(_) | Failure::NeedsLogin) => Answer::Unsent(error),
            Some(error) if error.kind == Failure::Server || status == 408 || status < 400 => Answer::Unknown(error),
            _ => Answer::Refused(self.words(reply)),
        }
    }
}

/// A record as a request carries it.
fn written(one: &One, mut record: Value) -> Value {
    if let (Value::Map(record), Some(Value::Map(says))) = (&mut record, &one.says) {
        record.extend(says.clone());
    }
    one.body.wrap(record)
}

/// Templates of headers, filled; one without a value is left out.
pub(super) fn headers(templates: &Templates, values: &[(&str, &str)]) -> Result<HeaderMap, RemoteError> {
    let mut headers = HeaderMap::new();
    for (name, template) in templates {
        let Some(value) = template.fill(values) else { continue };
        let cannot = || RemoteError::new(Failure::Nonsense, format!("what {name} should hold does not fit into a header"));
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?,
            HeaderValue::from_str(&value).map_err(|_| cannot())?,
        );
    }
    Ok(headers)
}
