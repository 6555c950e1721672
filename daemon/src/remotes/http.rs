//! Owns: one HTTP request and its whole answer: time limits, redirects, sizes, and what a failure means.
//! Must never know: profiles, records, or what an answer is for.

mod reply;
mod shown;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::StreamExt as _;
use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
    time::Timestamp,
};
use reqwest::{
    Method, StatusCode, Url,
    header::{self, HeaderMap},
};

pub use self::reply::{Reply, moment};
use super::{
    Problem,
    budget::{Budgets, By, Purse},
    held::{HELD_BACK, Held},
    larder::{Larder, Large},
    oauth::bearer::Bearer,
};

/// How long we wait for a remote; what tests shorten.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes.
    pub silence: Duration,
    /// In each stretch of this length an answer must bring some (see [`limits::SLOW_STRETCH`]).
    pub stretch: Duration,
    /// For so many bytes of one answer.
    pub bytes: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIME_MAX,
            silence: limits::SILENCE_MAX,
            stretch: limits::SLOW_STRETCH,
            bytes: limits::BODY_BYTES_MAX,
        }
    }
}

/// What speaks HTTP: one pool of connections for the whole process. Belongs to the runtime it is first used in.
#[derive(Clone, Debug)]
pub struct Client {
    /// For this host: never through a proxy.
    near: Arc<Hand>,
    /// For all others: through the system's proxy where there is one.
    far: Arc<Hand>,
    patience: Patience,
    /// Under which a question that was asked before is known again; none: no answer is kept.
    pub marks: Option<[u8; 32]>,
    /// Where answers lie until they are applied.
    pub larder: Arc<Larder>,
    /// What each account may ask.
    pub budgets: Arc<Budgets>,
    /// Who asks.
    pub by: By,
    /// What is spent with each request; none: nobody counts them.
    purse: Option<Purse>,
    /// What would change something is written down here, and not sent.
    held: Option<Arc<Held>>,
    /// What shows who we are, where that runs out.
    bearer: Option<Bearer>,
}

/// Made when it is first used: reading the system's certificates takes longer than all the rest of a start.
type Hand = OnceLock<Result<reqwest::Client, String>>;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub url: Url,
    /// With what besides, credentials included (marked sensitive).
    pub headers: HeaderMap,
    /// And this text.
    pub body: Option<String>,
    /// It is meant to change something there, whatever its method.
    pub changes: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What went wrong.
    pub error: RemoteError,
    /// Whether the request may have reached the remote.
    pub sent: bool,
}

impl Client {
    /// One that waits as long as `patience` says.
    ///
    /// # Errors
    /// None at present: TLS is set up with the first request.
    pub fn new(patience: Patience) -> Result<Self, Problem> {
        Ok(Self {
            near: Arc::default(),
            far: Arc::default(),
            patience,
            marks: Some(chance()),
            larder: Arc::default(),
            budgets: Arc::default(),
            by: By::default(),
            purse: None,
            held: None,
            bearer: None,
        })
    }

    /// The same, which knows questions again that were asked under this key, in whatever process; none: it knows none, and keeps no answer.
    #[must_use]
    pub fn knowing(self, marks: Option<[u8; 32]>) -> Self {
        Self { marks, ..self }
    }

    /// The same, in somebody's name.
    #[must_use]
    pub fn asked_by(&self, by: By) -> Self {
        Self { by, ..self.clone() }
    }

    /// The same, for a remote that is open: each request is of this budget.
    #[must_use]
    pub fn spending(&self, purse: Purse) -> Self {
        Self { purse: Some(purse), ..self.clone() }
    }

    /// What else is asked with this budget waits until then: the service said so, and in no header.
    pub fn quiet(&self, until: Timestamp) {
        self.purse.iter().for_each(|purse| purse.quiet(until));
    }

    /// Until when nothing may be asked, where that is known.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.purse.as_ref()?.until()
    }

    /// The same, which asks questions and changes nothing: a request that is more than a question goes there.
    #[must_use]
    pub fn holding(&self, held: Arc<Held>) -> Self {
        Self { held: Some(held), ..self.clone() }
    }

    /// The client for this address, made now where it was not needed before.
    fn hand(&self, url: &Url) -> Result<&reqwest::Client, Lost> {
        let near = is_near(url);
        let hand = if near { &self.near } else { &self.far };
        hand.get_or_init(|| build(self.patience, near)).as_ref().map_err(|what| {
            let error = RemoteError::new(Failure::Offline, what.clone()).hint("the system's certificates may be missing");
            Lost { error, sent: false }
        })
    }

    /// Sends one request and reads the whole answer, once the budget lets it go. Dropped, it stops at once and the connection is closed.
    ///
    /// # Errors
    /// When there is no whole answer, or the budget does not let it go for long; a refusal is an answer.
    pub async fn exchange(&self, request: Request) -> Result<Reply, Lost> {
        if self.held.as_ref().is_some_and(|held| held.takes(&request)) {
            return Err(Lost { error: RemoteError::new(Failure::Stopped, HELD_BACK), sent: false });
        }
        match &self.bearer {
            Some(bearer) => bearer.exchange(self, request).await,
            None => self.pay(request).await,
        }
    }

    /// As [`Client::exchange`], with what the request shows by itself.
    pub(super) async fn pay(&self, request: Request) -> Result<Reply, Lost> {
        let Some(purse) = &self.purse else { return self.exchange_now(request).await };
        let permit = purse.permit(&request.url).await?;
        let reply = self.exchange_now(request).await?;
        permit.answered(&reply);
        Ok(reply)
    }

    async fn exchange_now(&self, request: Request) -> Result<Reply, Lost> {
        let client = self.hand(&request.url)?;
        let Request { method, mut url, headers, body, .. } = request;
        for _ in 0..=limits::REDIRECTS_MAX {
            let build = || {
                let builder = client.request(method.clone(), url.clone()).headers(headers.clone());
                body.iter().fold(builder, |builder, body| builder.body(body.clone()))
            };
            let meter = &self.by.meter;
            let sent = async || {
                let bytes = body.as_ref().map_or(0, String::len);
                // Before: who is cut off while it waits has asked all the same.
                meter.sent(bytes);
                let sent = build().send().await;
                // Of a connection that never stood nothing has left.
                if sent.as_ref().is_err_and(reqwest::Error::is_connect) {
                    meter.not_sent(bytes);
                }
                sent
            };
            let response = match sent().await {
                // The server closed a connection that we kept: a question may be put again, once.
                Err(error) if is_question(&method) && !error.is_timeout() && !error.is_connect() => sent().await,
                other => other,
            };
            let response = response.map_err(|error| lost(&url, &error))?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED {
                meter.not_modified();
            }
            let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                url = self.onward(&method, &url, location)?;
                continue;
            }
            return self.whole(response, url).await;
        }
        Err(nonsense(&url, "redirects without end"))
    }

    /// Where a redirect leads, if we follow it.
    fn onward(&self, method: &Method, from: &Url, location: Option<&str>) -> Result<Url, Lost> {
        let to = location.and_then(|to| from.join(to).ok()).ok_or_else(|| nonsense(from, "redirects to nowhere"))?;
        if to.origin() != from.origin() {
            let mut lost = nonsense(from, &format!("redirects to {}", place(&to)));
            lost.error.hint = Some("credentials are not taken elsewhere; if that is the right place, set it as the url".into());
            return Err(lost);
        }
        if !is_question(method) {
            return Err(nonsense(from, &format!("redirects a {method} to {}", place(&to))));
        }
        Ok(to)
    }

    async fn whole(&self, response: reqwest::Response, url: Url) -> Result<Reply, Lost> {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes_max = if status.is_success() { self.patience.bytes } else { limits::REFUSAL_BYTES_MAX };
        match self.read(response, bytes_max, &url).await {
            Ok((body, large)) => Ok(Reply { status, headers, body, url, large: large.map(Arc::new), shown: None }),
            // The status alone says what to do.
            Err(_) if !status.is_success() => Ok(Reply { status, headers, body: Vec::new(), url, large: None, shown: None }),
            Err(lost) => Err(lost),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how fast bytes come is measured here, and nothing is decided by the hour")]
    async fn read(&self, response: reqwest::Response, bytes_max: usize, url: &Url) -> Result<(Vec<u8>, Option<Large>), Lost> {
        let mut body = Vec::new();
        let mut large = None::<Large>;
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut stream = response.bytes_stream();
        let mut stretch = (tokio::time::Instant::now(), 0);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| lost(url, &error))?;
            self.by.meter.received(piece.len() as u64);
            if body.len() + piece.len() > bytes_max {
                let what = format!("{} answers with more than {bytes_max} bytes", place(url));
                return Err(Lost { error: RemoteError::new(Failure::TooLarge, what), sent: true });
            }
            if body.len() + piece.len() > limits::BODY_BYTES_SMALL && large.is_none() {
                large = tokio::time::timeout(self.patience.silence, self.larder.large()).await.unwrap_or_default();
                if large.is_none() {
                    let what = format!("{} answers at length, while other long answers take the memory", place(url));
                    return Err(Lost { error: RemoteError::new(Failure::Broken, what), sent: true });
                }
            }
            if large.as_ref().is_some_and(Large::is_due) {
                let what = format!("{} answers with much, and slowly, while others wait", place(url));
                return Err(Lost { error: RemoteError::new(Failure::TooLarge, what), sent: true });
            }
            // Grown by doubling it would hold twice as much for a moment; and each time it moves it leaves a hole, which a page of this
            // length never fits again. What is announced is believed of the one that may be large.
            if body.capacity() - body.len() < piece.len() {
                let rest = announced.filter(|_| large.is_some()).map_or(0, |length| length.saturating_sub(body.len()));
                let more = if rest > 0 { rest } else { body.len() / 2 };
                body.reserve_exact(more.min(bytes_max - body.len()).max(piece.len()));
            }
            body.extend_from_slice(&piece);
            stretch.1 += piece.len() as u64;
            if stretch.0.elapsed() >= self.patience.stretch {
                if stretch.1 < limits::SLOW_BYTES_MIN {
                    let what = format!("{} answers too slowly to ever end", place(url));
                    return Err(Lost { error: RemoteError::new(Failure::Broken, what), sent: true });
                }
                stretch = (tokio::time::Instant::now(), 0);
            }
        }
        Ok((body, large))
    }
}

/// A key that nobody else has, and this process only as long as it lives.
#[must_use]
pub fn chance() -> [u8; 32] {
    let (one, other) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    blake3::hash(&[one.into_bytes(), other.into_bytes()].concat()).into()
}

fn build(patience: Patience, near: bool) -> Result<reqwest::Client, String> {
    // Whoever comes second finds the same provider in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder();
    let builder = if near { builder.no_proxy() } else { builder };
    builder
        .user_agent(concat!("mingled/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .read_timeout(patience.silence)
        .pool_idle_timeout(limits::CONNECTION_IDLE_MAX)
        // We follow them ourselves: credentials must not go elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // A repeat is a decision, and not made here.
        .retry(reqwest::retry::never())
        .referer(false)
        .build()
        .map_err(|error| format!("HTTP cannot be set up: {}", deepest(&error)))
}

/// Whether a request of this method asks and changes nothing, whatever it is sent to: DAV has two of its own.
pub(super) fn is_question(method: &Method) -> bool {
    method.is_safe() || matches!(method.as_str(), "PROPFIND" | "REPORT")
}

/// An address for people: without query, fragment and user, any of which may hold a secret.
#[must_use]
pub fn place(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}{}", url.scheme(), url.path()),
        (Some(host), None) => format!("{}://{host}{}", url.scheme(), url.path()),
        (None, _) => format!("{}:", url.scheme()),
    }
}

/// An address without one of its parameters, such as one that shows who we are.
pub fn take_parameter(url: &mut Url, name: &str) {
    let rest: Vec<_> = url.query_pairs().filter(|(key, _)| key != name).map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
}

/// The words of a stranger, fit to be shown: one line, no control characters, not too long.
#[must_use]
pub fn words(text: &str) -> String {
    let line: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(limits::WORDS_CHARS_MAX).collect();
    line.trim().to_owned()
}

/// Reads the address of a remote.
///
/// # Errors
/// When it is none, holds what does not belong in it, or is plain http to another host without leave.
pub fn address(text: &str, insecure: bool) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|error| {
        Problem::new(format!("the url {:?} is no address: {error}", words(text))).hint("it looks like https://HOST/PATH")
    })?;
    let named = place(&url);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new(format!("the url {named} holds a login")).hint("move it to auth = { .. }"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new(format!("the url {named} goes on after its path")).hint("leave out what follows ? or #"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_near(&url) => Ok(url),
        "http" => Err(Problem::new(format!("{named} is not encrypted"))
            .hint("use https, or set insecure = true if everyone between here and there may read it")),
        scheme => Err(Problem::new(format!("{scheme} is no way to reach a remote")).hint("use https")),
    }
}

/// Whether a remote with this address is on this machine.
#[must_use]
pub fn is_this_machine(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_near(&url))
}

/// Whether the address is this very host.
fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn nonsense(url: &Url, what: &str) -> Lost {
    Lost { error: RemoteError::new(Failure::Nonsense, format!("{} {what}", place(url))), sent: true }
}

/// What a failed request means. A connection that never stood has carried nothing.
fn lost(url: &Url, error: &reqwest::Error) -> Lost {
    // An error that has no cause names the whole address, and a parameter may be a secret.
    let (place, why) = (place(url), deepest(error).replace(url.as_str(), &place(url)));
    if error.is_builder() {
        return Lost { error: RemoteError::new(Failure::Nonsense, format!("{place} cannot be asked: {why}")), sent: false };
    }
    if error.is_connect() {
        if is_tls(error) {
            let error = RemoteError::new(Failure::Nonsense, format!("{place} does not prove who it is: {why}"))
                .hint("the certificate is wrong, or something stands between us and the service; nothing was sent");
            return Lost { error, sent: false };
        }
        let why = if error.is_timeout() { "no connection in time".to_owned() } else { why };
        return Lost { error: RemoteError::new(Failure::Offline, format!("{place} cannot be reached: {why}")), sent: false };
    }
    // A session of TLS that breaks is one fault, whether it does before an answer's first line or in the midst of its body.
    if error.is_decode() && !error.is_timeout() && !is_tls(error) {
        return nonsense(url, &format!("answers with a body that cannot be read: {why}"));
    }
    let why = if error.is_timeout() { "went silent".to_owned() } else { format!("broke off: {why}") };
    Lost { error: RemoteError::new(Failure::Broken, format!("{place} {why}")), sent: true }
}

fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).any(|one| {
        // An i/o error hides from the chain what it was made of, which may be another one.
        let mut one = one;
        while let Some(inner) = one.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            one = inner;
        }
        one.is::<rustls::Error>()
    })
}

fn chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |one| one.source())
}

/// The words of the innermost cause: the outer ones repeat the address, with its query.
fn deepest(error: &reqwest::Error) -> String {
    words(&chain(error).last().map_or_else(String::new, ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        #[track_caller]
        fn check(text: &str, insecure: bool, wrong: Option<&str>) {
            match (address(text, insecure), wrong) {
                (Ok(_), None) => {}
                (Err(problem), Some(part)) => {
                    assert!(problem.what.contains(part) && !problem.what.contains("sesame"), "{text}: {problem}");
                }
                (got, wrong) => panic!("{text} gave {got:?}, not {wrong:?}"),
            }
        }
        check("https://example.org/v1", false, None);
        check("http://127.0.0.1:8888/v1", false, None);
        check("http://localhost/v1", false, None);
        check("http://[::1]:80/", false, None);
        check("http://example.org/", true, None);
        check("http://example.org/", false, Some("not encrypted"));
        check("http://127.0.0.1.example.org/", false, Some("not encrypted"));
        check("https://me:sesame@example.org/", false, Some("holds a login"));
        check("https://example.org/?token=sesame", false, Some("after its path"));
        check("file:///etc/passwd", true, Some("no way"));
        check("example.org", false, Some("no address"));
    }
}
