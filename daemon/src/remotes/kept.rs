//! Owns: answers that are kept with their validators (`ETag`), so that the same question costs the service little: those that a run goes on
//! with, and those that it brings. Few and small. Must never know: what an answer says, where it lies between two runs.
//!
//! A whole answer is kept, never a validator alone: "not modified" brings the answer again, and its rows are applied again. So it does no
//! harm to have one whose rows are not in the truth.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mingle_core::{limits, replica::KeptAnswer};
use reqwest::{
    StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::http::{Reply, Request};

/// The answers of one run, or of whoever else asks.
#[derive(Default)]
pub struct Kept(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// The one that was asked for longest ago first.
    entries: VecDeque<Entry>,
    /// There is another one than before.
    changed: bool,
}

struct Entry {
    name: Name,
    headers: HeaderMap,
    body: Vec<u8>,
    came: Came,
}

/// When an answer came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Before, and it was not asked again.
    Before,
    /// Before, and it still held.
    Holds,
    /// Now.
    Now,
}

impl fmt::Debug for Kept {
    /// Without what they say: a log is no place for records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.held().entries.len())
    }
}

/// What was asked, and as whom: an answer is for whoever asked.
pub type Name = [u8; 32];

/// The name of a question, under a key: without that it tells nobody which login was shown. `who`: whose login is shown that is not in the
/// headers yet.
#[must_use]
pub fn name(key: &[u8; 32], request: &Request, who: &str) -> Name {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(request.url.as_str().as_bytes());
    part(who.as_bytes());
    for (name, value) in &request.headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Kept {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up those of before. What does not read is not there.
    pub fn take_up(&self, answers: Vec<KeptAnswer>) {
        let entry = |answer: KeptAnswer| {
            let headers = headers(&answer)?;
            Some(Entry { name: answer.name, headers, body: answer.body, came: Came::Before })
        };
        self.held().entries.extend(answers.into_iter().filter_map(entry).take(limits::KEPT_ANSWERS_MAX));
    }

    /// Those of before do not count any more.
    pub fn forget_former(&self) {
        self.held().entries.retain(|entry| entry.came == Came::Now);
    }

    /// What is to be kept, the one that was asked for last first: what was asked now, where any of it is another than before.
    #[must_use]
    pub fn to_keep(&self) -> Option<Vec<KeptAnswer>> {
        let held = self.held();
        let mut left = limits::KEPT_SYNC_BYTES_MAX;
        let fits = |answer: &KeptAnswer| {
            let rest = left.checked_sub(answer.bytes());
            left = rest.unwrap_or(left);
            rest.is_some()
        };
        let asked = held.entries.iter().rev().filter(|entry| entry.came != Came::Before);
        held.changed.then(|| asked.filter_map(Entry::packed).filter(fits).collect())
    }

    /// What shows the service which answer we hold.
    #[must_use]
    pub fn validator(&self, name: &Name) -> Option<HeaderValue> {
        self.held().entries.iter().find(|entry| entry.name == *name).and_then(|entry| entry.headers.get(header::ETAG).cloned())
    }

    /// It is not gone on with: that it is the same again would not say all that its question is asked for.
    pub fn forget(&self, name: &Name) {
        let mut held = self.held();
        let before = held.entries.len();
        held.entries.retain(|entry| entry.name != *name);
        held.changed |= held.entries.len() < before;
    }

    /// Takes an answer; gives the one that counts: where the service says that ours still holds, ours, with its new headers. Of its headers
    /// only these are kept, and its type.
    #[must_use]
    pub fn settle(&self, name: Name, reply: Reply, heads: &[HeaderName]) -> Reply {
        let mut held = self.held();
        let ours = held.entries.iter().position(|entry| entry.name == name).and_then(|at| held.entries.remove(at));
        let (counts, came) = match ours {
            Some(ours) if reply.status == StatusCode::NOT_MODIFIED => {
                let headers = renewed(ours.headers, &reply.headers);
                let came = if ours.came == Came::Before { Came::Holds } else { ours.came };
                (
                    Reply { status: StatusCode::OK, headers, body: ours.body, url: reply.url, large: None, shown: reply.shown },
                    came,
                )
            }
            ours => {
                held.changed |= ours.is_some();
                (reply, Came::Now)
            }
        };
        if counts.status == StatusCode::OK
            && counts.headers.contains_key(header::ETAG)
            && counts.body.len() <= limits::KEPT_BYTES_MAX
        {
            held.changed |= came == Came::Now;
            let mut headers = counts.headers.clone();
            let others: Vec<_> = headers.keys().filter(|name| !lasts(name, heads)).cloned().collect();
            for name in others {
                headers.remove(name);
            }
            held.entries.push_back(Entry { name, headers, body: counts.body.clone(), came });
            if held.entries.len() > limits::KEPT_ANSWERS_MAX {
                held.entries.pop_front();
            }
        }
        counts
    }
}

impl Entry {
    /// As it lies between two runs; none: it has headers that are no text, or too many.
    fn packed(&self) -> Option<KeptAnswer> {
        let mut head = String::new();
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != header::ETAG) {
            head += &format!("{name}: {}\n", value.to_str().ok()?);
        }
        let validator = self.headers.get(header::ETAG)?.to_str().ok()?.to_owned();
        let fits = head.len() <= limits::KEPT_HEAD_BYTES_MAX;
        fits.then(|| KeptAnswer { name: self.name, validator, head, body: self.body.clone() })
    }
}

/// Whether a header belongs to an answer on another day. What nobody reads is left out: it may say whom it was for.
fn lasts(name: &HeaderName, heads: &[HeaderName]) -> bool {
    *name == header::ETAG || *name == header::CONTENT_TYPE || heads.contains(name)
}

/// The headers of an answer that was kept; none: they do not read.
fn headers(answer: &KeptAnswer) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, HeaderValue::from_str(&answer.validator).ok()?);
    for line in answer.head.lines() {
        let (name, value) = line.split_once(": ")?;
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

/// Headers of a 304 count from now on (RFC 9111); those of the body stay.
fn renewed(mut ours: HeaderMap, headers: &HeaderMap) -> HeaderMap {
    let of_body = |name: &HeaderName| name.as_str().starts_with("content-") || *name == header::TRANSFER_ENCODING;
    for name in headers.keys().filter(|name| !of_body(name)) {
        ours.remove(name);
        for value in headers.get_all(name) {
            ours.append(name, value.clone());
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn name(url: &str, login: &str) -> Name {
        let headers = [(header::AUTHORIZATION, HeaderValue::from_str(login).unwrap())].into_iter().collect();
        let request = Request { method: reqwest::Method::GET, url: url.parse().unwrap(), headers, body: None, changes: false };
        super::name(&KEY, &request, "")
    }

    fn reply(status: u16, etag: &str, date: &str, body: &str) -> Reply {
        let text = |value: &str| HeaderValue::from_str(value).unwrap();
        let of = HeaderName::from_static;
        let headers =
            [(header::ETAG, text(etag)), (header::DATE, text(date)), (of("x-n"), text("1")), (of("set-cookie"), text("c"))];
        let url = "http://localhost/".parse().unwrap();
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.into_iter().collect(),
            body: body.into(),
            url,
            large: None,
            shown: None,
        }
    }

    fn heads() -> [HeaderName; 2] {
        [HeaderName::from_static("x-n"), header::LINK]
    }

    fn told(reply: &Reply) -> (u16, &str) {
        (reply.status.as_u16(), std::str::from_utf8(&reply.body).unwrap())
    }

    #[test]
    fn an_answer_is_kept_for_whoever_asked() {
        let kept = Kept::default();
        let mine = name("http://localhost/a", "me");
        assert_eq!(kept.validator(&mine), None);
        assert_eq!(kept.settle(mine, reply(200, "\"1\"", "then", "one"), &heads()).body, b"one");
        assert_eq!(kept.validator(&mine), Some(HeaderValue::from_static("\"1\"")));
        assert_eq!(kept.validator(&name("http://localhost/a", "you")), None);
        assert_eq!(kept.validator(&name("http://localhost/a?b=1", "me")), None);
        let again = kept.settle(mine, reply(304, "\"1\"", "now", ""), &heads());
        assert_eq!((told(&again), again.header("date")), ((200, "one"), Some("now")));
        // Another answer takes its place, one that went wrong leaves none.
        assert_eq!(kept.settle(mine, reply(200, "\"2\"", "now", "two"), &heads()).body, b"two");
        assert_eq!(kept.validator(&mine), Some(HeaderValue::from_static("\"2\"")));
        assert_eq!(kept.settle(mine, reply(500, "\"3\"", "now", ""), &heads()).status, 500);
        assert_eq!(kept.validator(&mine), None);
    }

    #[test]
    fn a_question_has_another_name_under_another_key() {
        let url = "http://localhost/a";
        let request = |url: &str| Request {
            method: reqwest::Method::GET,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
            changes: false,
        };
        assert_eq!(super::name(&KEY, &request(url), ""), super::name(&KEY, &request(url), ""));
        assert_ne!(super::name(&KEY, &request(url), ""), super::name(&[8; 32], &request(url), ""));
        // Whose a login is counts though it is not in the headers yet.
        assert_ne!(super::name(&KEY, &request(url), "ada"), super::name(&KEY, &request(url), "bob"));
    }

    #[test]
    fn of_the_headers_those_that_are_read_stay_and_the_new_ones_count() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let mut reply = reply(200, "\"1\"", "then", "one");
            reply.headers.remove("x-n");
            for (name, value) in headers {
                reply.headers.append(*name, HeaderValue::from_static(value));
            }
            reply
        };
        let all = |headers: &HeaderMap, name: &str| -> Vec<String> {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let (kept, a) = (Kept::default(), name("http://localhost/a", "me"));
        let _ = kept.settle(a, of(&[("link", "<1>; rel=a"), ("link", "<2>; rel=b"), ("x-key", "secret")]), &heads());
        let left = kept.to_keep().unwrap();
        assert_eq!(left[0].head, "link: <1>; rel=a\nlink: <2>; rel=b\n", "what nobody reads is not kept");
        let mut again = of(&[("link", "<3>; rel=a"), ("link", "<4>; rel=b")]);
        again.status = StatusCode::NOT_MODIFIED;
        let again = kept.settle(a, again, &heads());
        assert_eq!(all(&again.headers, "link"), ["<3>; rel=a", "<4>; rel=b"], "each of them once, and none of before");
        kept.forget(&a);
        assert_eq!((kept.validator(&a), kept.to_keep()), (None, Some(vec![])));
    }

    #[test]
    fn few_and_small_ones_are_kept() {
        let kept = Kept::default();
        let large = "x".repeat(limits::KEPT_BYTES_MAX + 1);
        let name_of = |at: usize| name(&format!("http://localhost/{at}"), "me");
        let _ = kept.settle(name_of(0), reply(200, "\"1\"", "now", &large), &heads());
        assert_eq!(kept.validator(&name_of(0)), None);
        for at in 1..=limits::KEPT_ANSWERS_MAX + 1 {
            let _ = kept.settle(name_of(at), reply(200, "\"1\"", "now", "x"), &heads());
        }
        assert_eq!(kept.validator(&name_of(1)), None);
        assert!(kept.validator(&name_of(2)).is_some());
        let bytes = |kept: &Kept| kept.to_keep().unwrap().iter().map(KeptAnswer::bytes).sum::<usize>();
        assert_eq!(kept.to_keep().unwrap().len(), limits::KEPT_ANSWERS_MAX);
        for at in 0..limits::KEPT_ANSWERS_MAX {
            let _ = kept.settle(name_of(at), reply(200, "\"1\"", "now", &large[1..]), &heads());
        }
        assert!(bytes(&kept) <= limits::KEPT_SYNC_BYTES_MAX && bytes(&kept) > limits::KEPT_SYNC_BYTES_MAX - large.len());
        let mut wordy = reply(200, "\"1\"", "now", "x");
        wordy.headers.insert(header::LINK, HeaderValue::from_str(&large[..limits::KEPT_HEAD_BYTES_MAX]).unwrap());
        let kept = Kept::default();
        let _ = kept.settle(name_of(0), wordy, &heads());
        assert_eq!(kept.to_keep(), Some(vec![]), "its headers are too long");
    }

    /// From one process to the next: `asked` says what is asked and answered then, `kept` what it leaves.
    #[test]
    fn what_one_run_leaves_the_next_goes_on_with() {
        let (a, b) = (name("http://localhost/a", "me"), name("http://localhost/b", "me"));
        let first = Kept::default();
        assert_eq!(first.to_keep(), None, "nothing was asked");
        let _ = first.settle(a, reply(200, "\"1\"", "then", "one"), &heads());
        let _ = first.settle(b, reply(200, "\"2\"", "then", "two"), &heads());
        let left = first.to_keep().unwrap();
        assert_eq!(left.iter().map(|one| one.validator.as_str()).collect::<Vec<_>>(), ["\"2\"", "\"1\""]);
        assert!(left.iter().all(|one| one.head == "x-n: 1\n"), "neither its hour nor a cookie: {:?}", left[0].head);

        // Nothing changed: nothing is to be written.
        let next = Kept::default();
        next.take_up(left.clone());
        let again = next.settle(a, reply(304, "\"1\"", "now", ""), &heads());
        assert_eq!((told(&again), again.header("x-n"), again.header("date")), ((200, "one"), Some("1"), Some("now")));
        assert_eq!(next.to_keep(), None);
        // Something did: what was not asked again is of no listing any more.
        assert_eq!(told(&next.settle(a, reply(200, "\"3\"", "now", "three"), &heads())), (200, "three"));
        assert_eq!(next.to_keep().unwrap().iter().map(|one| one.body.as_slice()).collect::<Vec<_>>(), [b"three"]);

        // Another history: they do not count, and what came since does.
        let anew = Kept::default();
        anew.take_up(left.clone());
        let _ = anew.settle(a, reply(304, "\"1\"", "now", ""), &heads());
        let _ = anew.settle(b, reply(200, "\"4\"", "now", "four"), &heads());
        anew.forget_former();
        assert_eq!((anew.validator(&a), anew.validator(&b)), (None, Some(HeaderValue::from_static("\"4\""))));
        assert_eq!(
            anew.settle(a, reply(304, "\"1\"", "now", ""), &heads()).status,
            304,
            "an answer to a question that was not put"
        );

        // What does not read is not there.
        let damaged = KeptAnswer { head: "no header".into(), ..left[0].clone() };
        let kept = Kept::default();
        kept.take_up(vec![damaged]);
        assert_eq!(kept.validator(&b), None);
    }
}
