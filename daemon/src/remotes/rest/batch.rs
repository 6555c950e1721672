//! Owns: several changes in one request, and telling their answers apart. Must never know: what an answer to one of them means.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use mingle_core::{
    limits::BATCH_BYTES_MAX,
    record::{Props, Value},
    replica::{Action, Answer, Failure, RemoteError},
};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{Rest, nonsense, profile::Batch, send::Part};
use crate::{
    json,
    remotes::http::{Lost, Reply},
};

/// What is known of a service's batches.
#[derive(Default)]
pub(super) struct Batches {
    /// How many changes it says that it takes at once.
    most: OnceLock<usize>,
    /// It refused one as such: changes go out one by one.
    refused: AtomicBool,
}

impl Batches {
    /// Notes what the service says of itself.
    pub(super) fn heed(&self, batch: Option<&Batch>, said: &Value) {
        let most = batch.and_then(|batch| batch.max_at.as_ref()?.find(said));
        if let Some(Value::Number(most)) = most
            && let Ok(most) = most.text().parse()
        {
            let _ = self.most.set(most);
        }
    }
}

/// What became of one request with several changes.
enum Envelope {
    /// An answer to each; or what holds for it where none came.
    Opened(Vec<Result<Reply, Answer>>),
    /// Refused as such, and nothing of it was done.
    Refused,
    /// This holds for each of them.
    Same(Answer),
}

impl Rest {
    /// Sends changes with as few requests as the service allows. An answer each, in their order.
    pub(super) async fn sent_together(&self, actions: &[Action]) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; actions.len()];
        let mut parts = Vec::new();
        for (at, action) in actions.iter().enumerate() {
            match self.part(action) {
                Ok(part) => parts.push((at, part)),
                Err(answer) => answers[at] = Some(*answer),
            }
        }
        while !parts.is_empty() {
            let (some, items) = self.fitting(&mut parts);
            let replies = match (&self.profile.batch, some.len()) {
                (Some(batch), 2..) if !self.batches.refused.load(Relaxed) => self.enveloped_with_a_login(batch, items).await,
                _ => Envelope::Refused,
            };
            match replies {
                Envelope::Opened(replies) => {
                    for ((at, part), reply) in some.iter().zip(&replies) {
                        answers[*at] = Some(match reply {
                            Ok(reply) => self.answer(part.one, &actions[*at], part.id, reply).await,
                            Err(answer) => answer.clone(),
                        });
                    }
                }
                Envelope::Refused => {
                    for (at, part) in some {
                        answers[at] = Some(self.sent_once(&actions[at], part).await);
                    }
                }
                Envelope::Same(answer) => some.iter().for_each(|(at, _)| answers[*at] = Some(answer.clone())),
            }
        }
        let none = || Answer::Unsent(RemoteError::new(Failure::Nonsense, "it was left out of a batch"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(none)).collect()
    }

    /// The first of these that fit into one request, and what each is in it.
    fn fitting<'a>(&self, parts: &mut Vec<(usize, Part<'a>)>) -> (Vec<(usize, Part<'a>)>, Vec<Value>) {
        let Some(batch) = &self.profile.batch else { return (std::mem::take(parts), Vec::new()) };
        let most = self.batches.most.get().map_or(batch.max, |most| batch.max.min(*most)).max(1);
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (_, part) in parts.iter().take(most) {
            let item = self.item(batch, part);
            bytes += json::write_value(&item).len();
            if bytes > BATCH_BYTES_MAX && !items.is_empty() {
                break;
            }
            items.push(item);
        }
        (parts.drain(..items.len()).collect(), items)
    }

    /// One change, as a batch has it: its path lies below our url.
    fn item(&self, batch: &Batch, part: &Part<'_>) -> Value {
        let base = self.url.path().trim_end_matches('/').len();
        let mut path = part.url.path()[base..].to_owned();
        if let Some(query) = part.url.query() {
            path.push('?');
            path.push_str(query);
        }
        let text = |value: &HeaderValue| Value::Text(String::from_utf8_lossy(value.as_bytes()).into_owned());
        let headers: Props = part.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let mut item = Value::Map(Props::new());
        batch.item.method.put(&mut item, Value::Text(part.one.method.as_str().to_owned()));
        batch.item.path.put(&mut item, Value::Text(path));
        if !headers.is_empty() {
            batch.item.headers.put(&mut item, Value::Map(headers));
        }
        if let Some(body) = &part.body {
            batch.item.body.put(&mut item, body.clone());
        }
        item
    }

    /// The same, and once more what of it was refused for a login that there is another of now: one may run out while the service works.
    async fn enveloped_with_a_login(&self, batch: &Batch, items: Vec<Value>) -> Envelope {
        let again = self.login.runs_out().then(|| items.clone());
        let mut first = self.enveloped(batch, items).await;
        let (Some(again), Envelope::Opened(replies)) = (again, &mut first) else { return first };
        let refused = |reply: &Reply| self.trouble(reply).is_some_and(|trouble| trouble.kind == Failure::NeedsLogin);
        let refused = |reply: &Result<Reply, Answer>| reply.as_ref().is_ok_and(&refused);
        let places: Vec<usize> = (0..replies.len()).filter(|at| refused(&replies[*at])).collect();
        let Some(Ok(one)) = places.first().map(|at| &replies[*at]) else { return first };
        match self.means.http.is_renewed(one).await {
            Ok(true) => {}
            Ok(false) => return first,
            Err(error) => {
                places.into_iter().for_each(|at| replies[at] = Err(Answer::Unsent(error.clone())));
                return first;
            }
        }
        let items = again.into_iter().enumerate().filter(|(at, _)| places.contains(at)).map(|(_, item)| item).collect();
        let second: Vec<Result<Reply, Answer>> = match self.enveloped(batch, items).await {
            Envelope::Opened(second) => second,
            Envelope::Same(answer) => vec![Err(answer); places.len()],
            // One by one then, when they are due again.
            Envelope::Refused => {
                vec![Err(Answer::Unsent(RemoteError::new(Failure::Server, "the service takes no batch of these"))); places.len()]
            }
        };
        places.into_iter().zip(second).for_each(|(at, reply)| replies[at] = reply);
        first
    }

    async fn enveloped(&self, batch: &Batch, items: Vec<Value>) -> Envelope {
        let count = items.len();
        let url = match self.below(&batch.path, None) {
            Ok(url) => url,
            Err(error) => return Envelope::Same(Answer::Unsent(error)),
        };
        let body = json::write_value(&batch.requests.wrap(Value::List(items)));
        let reply = match self.tell(batch.method.clone(), url, HeaderMap::new(), Some(body)).await {
            Ok(reply) => reply,
            Err(Lost { error, sent: true }) => return Envelope::Same(Answer::Unknown(error)),
            Err(Lost { error, sent: false }) => return Envelope::Same(Answer::Unsent(error)),
        };
        let list = self.json(&reply).map(|mut body| batch.responses.take(&mut body));
        if reply.status.is_success() && self.means(&reply).is_none() {
            return match list {
                Ok(Some(Value::List(list))) if list.len() == count => match self.opened(batch, &reply, list) {
                    Some(replies) => Envelope::Opened(replies.into_iter().map(Ok).collect()),
                    None => Envelope::Same(Answer::Unknown(nonsense(&reply, "answers a batch with what is no answer"))),
                },
                Ok(_) => {
                    Envelope::Same(Answer::Unknown(nonsense(&reply, &format!("has no {count} answers to a batch of {count}"))))
                }
                Err(error) => Envelope::Same(Answer::Unknown(error)),
            };
        }
        let status = reply.status.as_u16();
        let error = self.trouble(&reply).unwrap_or_else(|| nonsense(&reply, "answers a batch unexpectedly"));
        match error.kind {
            // A gateway says 503 as well when the service behind it took the request and then went away.
            _ if status == 503 => Envelope::Same(Answer::Unknown(error)),
            Failure::NeedsLogin | Failure::Throttled(_) => Envelope::Same(Answer::Unsent(error)),
            // It has no batches for us, or none of this size, and did nothing; one that lists answers all the same did something.
            _ if (400..500).contains(&status) && status != 408 && !matches!(list, Ok(Some(Value::List(_)))) => {
                tracing::debug!(what = %error.what, "batches are refused: changes go out one by one");
                self.batches.refused.store(true, Relaxed);
                Envelope::Refused
            }
            _ => Envelope::Same(Answer::Unknown(error)),
        }
    }

    /// The answers in an answer; none where one of them is not readable as such: then no position means anything.
    fn opened(&self, batch: &Batch, reply: &Reply, list: Vec<Value>) -> Option<Vec<Reply>> {
        let of = HeaderValue::from_str(self.profile.types.take.first()?).ok()?;
        list.into_iter()
            .map(|mut item| {
                let Value::Number(status) = batch.answer.status.take(&mut item)? else { return None };
                let status = status.text().parse().ok().and_then(|status| StatusCode::from_u16(status).ok())?;
                let mut headers = HeaderMap::new();
                if let Some(Value::Map(said)) = batch.answer.headers.as_ref().and_then(|at| at.take(&mut item)) {
                    headers.extend(said.iter().filter_map(|(name, value)| {
                        let Value::Text(value) = value else { return None };
                        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
                    }));
                }
                headers.insert(CONTENT_TYPE, of.clone());
                let body = batch.answer.body.take(&mut item).filter(|body| *body != Value::Null);
                let body = body.map(|body| json::write_value(&body).into_bytes()).unwrap_or_default();
                Some(Reply { status, headers, body, url: reply.url.clone(), large: None, shown: reply.shown.clone() })
            })
            .collect()
    }
}
