//! Owns: what an answer says by its status and its headers alone. Must never know: what was asked, what its body means.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use reqwest::{
    StatusCode, Url,
    header::{self, HeaderMap},
};

use super::{place, words};
use crate::remotes::{larder::Large, secret::Fetched};

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body, decompressed. Of a refusal that came broken or too large: empty.
    pub body: Vec<u8>,
    /// Where it came from in the end: redirects change it.
    pub url: Url,
    /// Its place, where the body is large.
    pub large: Option<Arc<Large>>,
    /// What showed who we are, where that runs out.
    pub shown: Option<Fetched>,
}

impl Reply {
    /// What the status alone says is wrong, for requests where nothing else is expected: 401, 403, 404 and the like, 429, 5xx.
    #[must_use]
    pub fn trouble(&self, now: Timestamp) -> Option<RemoteError> {
        let place = place(&self.url);
        let status = self.status;
        if status.is_success() {
            return None;
        }
        let (kind, what) = match status {
            StatusCode::UNAUTHORIZED if self.asks_for_digest_alone() => {
                let what = format!("{place} asks for Digest authentication, which is not known here (HTTP 401)");
                let error = RemoteError::new(Failure::NeedsLogin, what);
                return Some(error.hint("set the server to Basic (over https), or give it a token: Digest shows the password to whoever listens and can guess"));
            }
            StatusCode::UNAUTHORIZED => (Failure::NeedsLogin, format!("{place} refuses the credentials")),
            StatusCode::FORBIDDEN => (Failure::Denied, format!("{place} does not allow this")),
            StatusCode::NOT_FOUND | StatusCode::GONE => (Failure::Denied, format!("{place} is not there")),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                (Failure::Throttled(self.not_before(now)), format!("{place} asks for patience"))
            }
            _ if status.is_server_error() => (Failure::Server, format!("{place} is in trouble")),
            _ => (Failure::Nonsense, format!("{place} answers unexpectedly")),
        };
        Some(RemoteError::new(kind, format!("{what} (HTTP {})", status.as_u16())))
    }

    /// The body as text of one of these types.
    ///
    /// # Errors
    /// When it is of another type, or no text.
    pub fn text(&self, types: &[String]) -> Result<&str, RemoteError> {
        let wrong = |what: String| RemoteError::new(Failure::Nonsense, format!("{} {what}", place(&self.url)));
        let of = self.headers.get(header::CONTENT_TYPE).and_then(|of| of.to_str().ok()).unwrap_or_default();
        let of = of.split(';').next().unwrap_or_default().trim();
        if !types.iter().any(|one| one.eq_ignore_ascii_case(of)) {
            if let Some(page) = self.web_page() {
                return Err(page);
            }
            let of = if of.is_empty() { "nothing it would name".to_owned() } else { words(of) };
            return Err(wrong(format!("answers with {of}, not {}", types.join(" or ")))
                .hint("something between us and the service may answer in its place, such as a login page of the network"));
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| wrong("answers with something that is not UTF-8".into()))?;
        // RFC 8259 lets a reader ignore a byte order mark, and some servers send one.
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// What is wrong where it is a page for people, whatever its status says.
    #[must_use]
    pub fn web_page(&self) -> Option<RemoteError> {
        let of = self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
        of.eq_ignore_ascii_case("text/html").then(|| {
            let what = format!("{} answers with a web page (HTML): this is a login page or an error page, and no service", place(&self.url));
            RemoteError::new(Failure::Nonsense, what)
                .hint("something between us and the service may answer in its place, such as a login page of the network: open the address in a browser")
        })
    }

    /// Whether it takes Digest alone from who logs in.
    fn asks_for_digest_alone(&self) -> bool {
        let named = |scheme: &str| {
            let lines = self.headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
            lines
                .flat_map(|line| line.split(','))
                .any(|part| part.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(scheme)))
        };
        named("digest") && !named("basic") && !named("bearer")
    }

    /// A header, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    }

    /// A header that is a list, which may come in several lines (RFC 9110), as text.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        Some(lines.join(", ")).filter(|text| !text.is_empty())
    }

    /// The server's clock when it answered.
    #[must_use]
    pub fn server_time(&self) -> Option<Timestamp> {
        self.header("date").and_then(moment)
    }

    /// When it may be asked again, if it said so: `Retry-After` in seconds, or a date by its own clock. Never before now, never
    /// later than [`limits::PATIENCE_MAX`] from now.
    #[must_use]
    pub fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        let text = self.header("retry-after")?.trim();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let wait = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than fit mean "very long", a minus means "long ago".
            let seconds = if text.starts_with('-') { 0 } else { digits.parse().unwrap_or(u64::MAX) };
            Duration::from_secs(seconds)
        } else {
            stamp(httpdate::parse_http_date(text).ok()?).since(self.server_time().unwrap_or(now))
        };
        Some(now.plus(wait.min(limits::PATIENCE_MAX)))
    }
}

/// A moment as HTTP writes it.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(text.trim()).ok().map(stamp)
}

fn stamp(time: SystemTime) -> Timestamp {
    let ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    Timestamp::from_unix_ms(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: StatusCode, headers: &[(header::HeaderName, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Reply { status, headers, body: Vec::new(), url: Url::parse("http://localhost/").unwrap(), large: None, shown: None }
    }

    #[test]
    fn a_page_for_people_and_a_login_that_is_not_known_are_named() {
        #[track_caller]
        fn check(status: StatusCode, headers: &[(header::HeaderName, &str)], part: &str) {
            let reply = reply(status, headers);
            let error = reply.trouble(Timestamp::default()).or_else(|| reply.text(&["text/xml".into()]).err());
            assert!(error.as_ref().is_some_and(|error| error.what.contains(part)), "{error:?}");
        }
        let asks = header::WWW_AUTHENTICATE;
        check(StatusCode::OK, &[(header::CONTENT_TYPE, "Text/HTML; charset=utf-8")], "this is a login page");
        check(StatusCode::OK, &[(header::CONTENT_TYPE, "text/plain")], "answers with text/plain, not text/xml");
        check(StatusCode::UNAUTHORIZED, &[(asks.clone(), "Digest realm=\"a\", qop=\"auth\"")], "asks for Digest");
        check(StatusCode::UNAUTHORIZED, &[(asks.clone(), "Digest realm=\"a\", Basic realm=\"b\"")], "refuses the credentials");
        check(StatusCode::UNAUTHORIZED, &[(asks, "Basic realm=\"digest\"")], "refuses the credentials");
        check(StatusCode::UNAUTHORIZED, &[], "refuses the credentials");
    }

    #[test]
    fn patience_is_bounded() {
        const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
        let now = Timestamp::from_unix_ms(1_000_000);
        let check = |after: Option<&str>, date: Option<&str>, expect: Option<u64>| {
            let headers = [(header::RETRY_AFTER, after), (header::DATE, date)];
            let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let reply = reply(StatusCode::SERVICE_UNAVAILABLE, &headers);
            let seconds = reply.not_before(now).map(|then| then.since(now).as_secs());
            assert_eq!(seconds, expect, "{after:?} at {date:?}");
        };
        check(None, None, None);
        check(Some("0"), None, Some(0));
        check(Some("17"), None, Some(17));
        check(Some("-5"), None, Some(0));
        check(Some("10000000000000000000"), None, Some(3600));
        check(Some("99999999999999999999999999"), None, Some(3600));
        check(Some("NaN"), None, None);
        check(Some("1.5"), None, None);
        check(Some(""), None, None);
        check(Some("Thu, 01 Jan 2026 00:00:30 GMT"), Some(DATE), Some(30));
        check(Some("Wed, 31 Dec 2025 23:00:00 GMT"), Some(DATE), Some(0));
        check(Some("Thu, 01 Jan 2099 00:00:00 GMT"), Some(DATE), Some(3600));
    }
}
