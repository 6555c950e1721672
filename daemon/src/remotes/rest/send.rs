//! Owns: sending one change, and what the answer to it means.
//! Must never know: when to try again, or what the change is for.

use std::collections::BTreeMap;

use mingle_core::{
    record::{Props, Value},
    replica::{Action, Answer, Failure, Precondition, RemoteError},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Rest, nonsense,
    profile::{Means, One, Sends},
    rows,
    template::Template,
};
use crate::{
    json,
    remotes::http::{Lost, Reply},
};

impl Rest {
    /// Sends a change once. A re-read that it asks for was done by [`crate::remotes::wrap::carry`].
    pub(super) async fn sent(&self, action: &Action) -> Answer {
        let (one, id, unless_moved) = match self.way(action) {
            Ok(way) => way,
            Err(error) => return Answer::Unsent(error),
        };
        let (url, headers) = match self.below(&one.path, id).and_then(|url| Ok((url, headers(&one.headers, unless_moved)?))) {
            Ok(both) => both,
            // What cannot be written as a request will not be sent, however often we try.
            Err(error) => return Answer::Refused(error.what),
        };
        match self.tell(one.method.clone(), url, headers, self.body(one, action, id)).await {
            Ok(reply) => self.answer(one, action, id, &reply).await,
            Err(Lost { error, sent: true }) => Answer::Unknown(error),
            Err(Lost { error, sent: false }) => Answer::Unsent(error),
        }
    }

    fn way<'a>(&'a self, action: &'a Action) -> Result<(&'a One, Option<&'a str>, Option<&'a Precondition>), RemoteError> {
        let profile = &self.profile;
        let (one, id, unless_moved) = match action {
            Action::Create { remote_id: None, .. } => (&profile.create, None, None),
            Action::Create { remote_id: Some(id), .. } => (&profile.create_named, Some(id.as_str()), None),
            Action::Update { remote_id, unless_moved, .. } => (&profile.update, Some(remote_id.as_str()), Some(unless_moved)),
            Action::Delete { remote_id, unless_moved } => (&profile.delete, Some(remote_id.as_str()), Some(unless_moved)),
        };
        let one = one.as_ref().ok_or_else(|| {
            RemoteError::new(Failure::Denied, format!("the profile of this remote has no way to {}", action.name()))
                .hint("use direction = \"down\", or another profile")
        })?;
        Ok((one, id, unless_moved))
    }

    fn body(&self, one: &One, action: &Action, id: Option<&str>) -> Option<String> {
        let shape = &self.profile.row;
        let record = match (one.sends, action) {
            (Sends::Nothing, _) | (_, Action::Delete { .. }) => return None,
            (Sends::Patch, Action::Update { patch, .. }) => {
                let patch = patch.iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or(Value::Null)));
                rows::data(shape, &patch.collect::<Props>())
            }
            (_, Action::Create { whole, .. } | Action::Update { whole, .. }) => rows::data(shape, whole),
        };
        let mut record = Value::Map(record);
        if let (Some(at), Some(id)) = (&one.id, id) {
            at.put(&mut record, Value::Text(id.to_owned()));
        }
        Some(json::write_value(&one.body.wrap(record)))
    }

    async fn answer(&self, one: &One, action: &Action, id: Option<&str>, reply: &Reply) -> Answer {
        let (answers, status, means) = (&self.profile.answers, reply.status.as_u16(), self.means(reply));
        let creates = matches!(action, Action::Create { .. });
        if reply.status.is_success() && means.is_none() {
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

fn headers(templates: &BTreeMap<String, Template>, unless_moved: Option<&Precondition>) -> Result<HeaderMap, RemoteError> {
    let values: Vec<(&str, &str)> = match unless_moved {
        Some(Precondition::Revision(revision)) => vec![("revision", revision)],
        Some(Precondition::Reread(_) | Precondition::Shows(_)) | None => Vec::new(),
    };
    let mut headers = HeaderMap::new();
    for (name, template) in templates {
        let Some(value) = template.fill(&values) else { continue };
        let cannot = || RemoteError::new(Failure::Nonsense, format!("what {name} should hold does not fit into a header"));
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?,
            HeaderValue::from_str(&value).map_err(|_| cannot())?,
        );
    }
    Ok(headers)
}
