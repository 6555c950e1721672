//! Owns: answers that are kept with their validators (`ETag`), so that the same question costs the service little. In memory, few
//! and small. Must never know: what an answer says.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use mingle_core::limits;
use reqwest::{
    StatusCode,
    header::{self, HeaderMap, HeaderValue},
};

use super::http::{Reply, Request};

/// The kept answers of this process.
#[derive(Debug, Default)]
pub struct Kept(Mutex<VecDeque<(Name, Reply)>>);

/// What was asked, and as whom: an answer is for whoever asked.
type Name = [u8; 32];

/// The name of a question.
#[must_use]
pub fn name(request: &Request) -> Name {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(request.url.as_str().as_bytes());
    for (name, value) in &request.headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Kept {
    /// What shows the service which answer we hold.
    #[must_use]
    pub fn validator(&self, name: &Name) -> Option<HeaderValue> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == name).and_then(|(_, reply)| reply.headers.get(header::ETAG).cloned())
    }

    /// Takes an answer; gives the one that counts: where the service says that ours still holds, ours, with its new headers.
    #[must_use]
    pub fn settle(&self, name: Name, reply: Reply) -> Reply {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = kept.iter().position(|(known, _)| *known == name).and_then(|at| kept.remove(at));
        let counts = match ours {
            Some((_, ours)) if reply.status == StatusCode::NOT_MODIFIED => renewed(ours, reply.headers),
            _ => reply,
        };
        if counts.status == StatusCode::OK
            && counts.headers.contains_key(header::ETAG)
            && counts.body.len() <= limits::KEPT_BYTES_MAX
        {
            kept.push_back((name, counts.clone()));
            if kept.len() > limits::KEPT_ANSWERS_MAX {
                kept.pop_front();
            }
        }
        counts
    }
}

/// Headers of a 304 count from now on (RFC 9111); those of the body stay.
fn renewed(mut ours: Reply, headers: HeaderMap) -> Reply {
    let of_body = |name: &header::HeaderName| name.as_str().starts_with("content-") || *name == header::TRANSFER_ENCODING;
    let mut last = None;
    for (name, value) in headers {
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| !of_body(name)) {
            ours.headers.insert(name.clone(), value);
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, login: &str) -> Request {
        let headers = [(header::AUTHORIZATION, HeaderValue::from_str(login).unwrap())].into_iter().collect();
        Request { method: reqwest::Method::GET, url: url.parse().unwrap(), headers, body: None, changes: false }
    }

    fn reply(status: u16, etag: &str, date: &str, body: &str) -> Reply {
        let text = |value: &str| HeaderValue::from_str(value).unwrap();
        let headers = [(header::ETAG, text(etag)), (header::DATE, text(date))].into_iter().collect();
        let url = "http://localhost/".parse().unwrap();
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into(), url, large: None }
    }

    #[test]
    fn an_answer_is_kept_for_whoever_asked() {
        let kept = Kept::default();
        let name_of = |url: &str, login: &str| name(&request(url, login));
        let mine = name_of("http://localhost/a", "me");
        assert_eq!(kept.validator(&mine), None);
        assert_eq!(kept.settle(mine, reply(200, "\"1\"", "then", "one")).body, b"one");
        assert_eq!(kept.validator(&mine), Some(HeaderValue::from_static("\"1\"")));
        assert_eq!(kept.validator(&name_of("http://localhost/a", "you")), None);
        assert_eq!(kept.validator(&name_of("http://localhost/a?b=1", "me")), None);
        let again = kept.settle(mine, reply(304, "\"1\"", "now", ""));
        assert_eq!((again.status.as_u16(), again.body.as_slice()), (200, &b"one"[..]));
        assert_eq!(again.header("date"), Some("now"));
        // Another answer takes its place, one that went wrong leaves none.
        assert_eq!(kept.settle(mine, reply(200, "\"2\"", "now", "two")).body, b"two");
        assert_eq!(kept.validator(&mine), Some(HeaderValue::from_static("\"2\"")));
        assert_eq!(kept.settle(mine, reply(500, "\"3\"", "now", "")).status, 500);
        assert_eq!(kept.validator(&mine), None);
    }

    #[test]
    fn few_and_small_ones_are_kept() {
        let kept = Kept::default();
        let large = "x".repeat(limits::KEPT_BYTES_MAX + 1);
        let name_of = |at: usize| name(&request(&format!("http://localhost/{at}"), "me"));
        let _ = kept.settle(name_of(0), reply(200, "\"1\"", "now", &large));
        assert_eq!(kept.validator(&name_of(0)), None);
        for at in 1..=limits::KEPT_ANSWERS_MAX + 1 {
            let _ = kept.settle(name_of(at), reply(200, "\"1\"", "now", "x"));
        }
        assert_eq!(kept.validator(&name_of(1)), None);
        assert!(kept.validator(&name_of(2)).is_some());
    }
}
