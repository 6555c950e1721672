//! Owns: requests that are written down in place of being sent. Must never know: what they are for, who reads them.

use std::sync::{Mutex, PoisonError};

use mingle_core::ask::PlannedRequest;

use super::{
    http::{self, Request},
    settings::Auth,
};

/// What is said in place of an answer.
pub const HELD_BACK: &str = "held back: this is only a plan";

/// Requests that would change something at a remote. A client that holds them back ([`super::http::Client::holding`]) still asks
/// questions.
#[derive(Debug)]
pub struct Held {
    /// So many bytes are kept; what comes later is only counted.
    bytes_max: usize,
    /// The parameter of addresses that shows who we are.
    secret: Option<String>,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    count: u64,
    bytes: usize,
    kept: Vec<PlannedRequest>,
}

impl Held {
    /// None yet. It keeps requests of so many bytes, and counts the others.
    #[must_use]
    pub fn new(bytes_max: usize, auth: &Auth) -> Self {
        let secret = if let Auth::Query { name, .. } = auth { Some(name.clone()) } else { None };
        Self { bytes_max, secret, so_far: Mutex::default() }
    }

    /// Takes a request that would change something; a question is left to be asked.
    pub(super) fn takes(&self, request: &Request) -> bool {
        if !request.changes && http::is_question(&request.method) {
            return false;
        }
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        so_far.count += 1;
        let bytes = request.url.as_str().len() + request.body.as_ref().map_or(0, String::len);
        if so_far.bytes + bytes <= self.bytes_max {
            so_far.bytes += bytes;
            so_far.kept.push(self.told(request));
        }
        true
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Those that were kept since it was last asked, in their order; whose they are is not known here.
    #[must_use]
    pub fn take(&self) -> Vec<PlannedRequest> {
        std::mem::take(&mut self.so_far.lock().unwrap_or_else(PoisonError::into_inner).kept)
    }

    /// A request as it may be told: without what shows who we are.
    fn told(&self, request: &Request) -> PlannedRequest {
        let mut url = request.url.clone();
        if let Some(secret) = &self.secret {
            http::take_parameter(&mut url, secret);
        }
        let headers = request.headers.iter().filter(|(_, value)| !value.is_sensitive());
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        PlannedRequest {
            method: request.method.to_string(),
            url: url.into(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: request.body.clone(),
            ids: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{
        Method,
        header::{HeaderMap, HeaderValue},
    };

    use super::*;

    #[test]
    fn what_shows_who_we_are_is_not_told_and_questions_are_not_held() {
        let auth: Auth = toml::from_str("type = \"query\"\nname = \"key\"\nsecret = { env = \"KEY\" }").unwrap();
        let mut hidden = HeaderValue::from_static("hush");
        hidden.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", hidden);
        headers.insert("if-match", HeaderValue::from_static("7"));
        let url = "http://far/a?of=1&key=hush".parse().unwrap();
        let request = Request { method: Method::PUT, url, headers, body: Some("{}".into()), changes: true };
        let held = Held::new(100, &auth);
        let question = Request { method: Method::GET, changes: false, ..request.clone() };
        assert!(!held.takes(&question));
        let report = Method::from_bytes(b"REPORT").unwrap();
        assert!(!held.takes(&Request { method: report, ..question.clone() }), "a body alone changes nothing");
        assert!(Held::new(100, &auth).takes(&Request { changes: true, ..question }), "a service may delete by GET");
        assert!(held.takes(&request));
        assert!(held.takes(&Request { body: Some("x".repeat(100)), ..request }), "held, and only counted");
        let told = held.take();
        assert_eq!((held.count(), told.len()), (2, 1));
        assert_eq!((&*told[0].url, &told[0].headers[..]), ("http://far/a?of=1", &[("if-match".to_owned(), "7".to_owned())][..]));
        assert!(!format!("{told:?}").contains("hush"));
    }
}
