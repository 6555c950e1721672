//! Owns: what a browser brings back to loopback: one answer to one login. Must never know: tokens, the service.
//!
//! Everybody on this machine can connect. Only who brings the `state`, which went to the browser alone, is heard; all others are told so,
//! and change nothing.

use std::{collections::HashMap, io, time::Duration};

use mingle_core::{limits, planted};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{
    answer::No,
    attempt::{Rest, refused},
};
use crate::remotes::{Problem, http::words};

/// What is waited for.
#[derive(Clone)]
pub(super) struct Expects {
    pub(super) port: u16,
    pub(super) state: String,
    pub(super) issuer: Option<String>,
    /// The service says that it names itself (RFC 9207).
    pub(super) names_itself: bool,
}

/// What was brought.
pub(super) struct Brought {
    pub(super) code: String,
    /// The browser still waits for its page.
    pub(super) page: Page,
}

/// A browser that waits for its page. Dropped, it gets none.
#[derive(Debug)]
pub struct Page(TcpStream);

impl Page {
    /// Tells it how the login ended.
    pub async fn say(self, is_done: bool) {
        let (title, text) = if is_done {
            ("Logged in", "mingle has what it needs. You can close this page.")
        } else {
            ("Not logged in", "The service gave no login. The terminal where you began says why; you can close this page.")
        };
        answer(self.0, "200 OK", title, text).await;
    }
}

/// What one request comes to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Code(String),
    /// The service says no.
    No(String, String),
    /// It answers as somebody else: what it brings may be meant for another service.
    Other(String),
    /// It is not what is waited for.
    Stray,
}

/// Where browsers connect.
pub(super) trait Door: Send + Sync {
    fn opens(&self) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

impl Door for TcpListener {
    async fn opens(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Until a browser brings the answer.
pub(super) async fn wait(door: impl Door, expects: Expects, rest: Rest) -> Result<Brought, Problem> {
    let (mut heard, mut failed) = (JoinSet::new(), 0);
    loop {
        let has_room = heard.len() < limits::LOGIN_CONNECTIONS_MAX;
        let one = tokio::select! {
            opened = door.opens(), if has_room => match opened {
                Ok(stream) => {
                    failed = 0;
                    let expects = expects.clone();
                    heard.spawn(async move { timeout(limits::LOGIN_CONNECTION_TIME_MAX, hear(stream, &expects)).await.ok().flatten() });
                    continue;
                }
                Err(error) if failed < limits::LOGIN_ACCEPTS_FAILED_MAX => {
                    failed += 1;
                    tracing::warn!(%error, "a login cannot take a connection, and goes on");
                    // Out of descriptors: an instant retry would spin.
                    rest(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                    continue;
                }
                Err(error) => return Err(Problem::new(format!("no browser can come back to this machine: {error}"))),
            },
            Some(one) = heard.join_next() => one.ok().flatten(),
        };
        match one {
            Some((Heard::Code(code), page)) => return Ok(Brought { code, page }),
            Some((Heard::No(code, said), page)) => {
                page.say(false).await;
                return Err(refused(No::Said(code, said)));
            }
            Some((Heard::Other(who), page)) => {
                page.say(false).await;
                return Err(Problem::new(format!("the answer to the login is of {who:?}, and not of the issuer"))
                    .hint("something may have sent you to another service; look at the address in the browser"));
            }
            Some((Heard::Stray, Page(stream))) => {
                // Beside the next: it may read slowly.
                heard.spawn(async move {
                    answer(stream, "404 Not Found", "Not found", "This is not what mingle waits for here.").await;
                    None
                });
            }
            None => {}
        }
    }
}

/// One request; none: it broke off.
async fn hear(mut stream: TcpStream, expects: &Expects) -> Option<(Heard, Page)> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 2048];
        let read = stream.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&piece[..read]);
        if head.len() > limits::LOGIN_HEAD_BYTES_MAX {
            return None;
        }
    }
    Some((read(&String::from_utf8_lossy(&head), expects), Page(stream)))
}

/// What the head of a request means.
fn read(head: &str, expects: &Expects) -> Heard {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let host = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let own = format!("127.0.0.1:{}", expects.port);
    // A name that leads here is no name of ours.
    if method != "GET" || host.is_none_or(|(_, host)| host.trim() != own) {
        return Heard::Stray;
    }
    let Ok(url) = Url::parse(&format!("http://{own}{target}")) else { return Heard::Stray };
    let mut brought = HashMap::new();
    for (name, value) in url.query_pairs() {
        // Twice is not once (RFC 6749, 3.1).
        if brought.insert(name.into_owned(), value.into_owned()).is_some() {
            return Heard::Stray;
        }
    }
    let knows = brought.get("state").is_some_and(|state| is_same(state, &expects.state));
    if url.path() != "/" || (!knows && !planted::is("an answer without the state is heard")) {
        return Heard::Stray;
    }
    if let Some(issuer) = &expects.issuer {
        match brought.get("iss") {
            Some(named) if named.trim_end_matches('/') != issuer.trim_end_matches('/') => return Heard::Other(words(named)),
            None if expects.names_itself => return Heard::Other(String::new()),
            _ => {}
        }
    }
    match (brought.remove("code"), brought.remove("error")) {
        (_, Some(error)) => Heard::No(words(&error), words(&brought.remove("error_description").unwrap_or_default())),
        (Some(code), None) if !code.is_empty() && code.len() <= limits::TOKEN_BYTES_MAX => Heard::Code(code),
        _ => Heard::Stray,
    }
}

/// Takes the same time however much of it is right.
fn is_same(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

async fn answer(mut stream: TcpStream, status: &str, title: &str, text: &str) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>mingle: {title}</title><style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:30rem;margin:20vh auto;padding:0 1rem;\
         color-scheme:light dark}}</style><h1>{title}</h1><p>{text}</p></html>\n"
    );
    let whole = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    // Who is gone needs no page; who reads slowly holds nobody up for long.
    let _ = timeout(limits::LOGIN_CONNECTION_TIME_MAX, async {
        stream.write_all(whole.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    fn expects(names_itself: bool) -> Expects {
        Expects { port: 7, state: "s".into(), issuer: Some("https://id.org".into()), names_itself }
    }

    fn heard(target: &str, names_itself: bool) -> Heard {
        read(&format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:7\r\n\r\n"), &expects(names_itself))
    }

    #[test]
    fn only_the_answer_to_this_login_is_heard() {
        let code = || Heard::Code("c".into());
        assert_eq!(heard("/?code=c&state=s", false), code());
        assert_eq!(heard("/?code=c&state=s&iss=https://id.org", true), code());
        assert_eq!(
            heard("/?state=s&error=access_denied&error_description=no+way", false),
            Heard::No("access_denied".into(), "no way".into())
        );
        assert_eq!(heard("/?code=c&state=s&iss=https%3A%2F%2Fevil.org", false), Heard::Other("https://evil.org".into()));
        assert_eq!(heard("/?code=c&state=s", true), Heard::Other(String::new()));
        for stray in [
            "/",
            "/favicon.ico",
            "/?code=c",
            "/?code=c&state=t",
            "/?code=c&state=",
            "/?error=access_denied",
            "/?state=s",
            "/?code=&state=s",
            "/?code=c&code=d&state=s",
            "/?code=c&state=s&state=s",
            "/x?code=c&state=s",
            "//evil.org/?code=c&state=s",
            "*",
            "",
        ] {
            assert_eq!(heard(stray, false), Heard::Stray, "{stray}");
        }
        for head in [
            "POST /?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:7\r\n\r\n",
            "GET /?code=c&state=s HTTP/1.1\r\nHost: localhost:7\r\n\r\n",
            "GET /?code=c&state=s HTTP/1.1\r\nHost: evil.org\r\n\r\n",
            "GET /?code=c&state=s HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert_eq!(read(head, &expects(false)), Heard::Stray, "{head}");
        }
    }

    /// Nobody can connect for so many tries.
    struct Stuck(TcpListener, AtomicUsize);

    impl Door for Stuck {
        async fn opens(&self) -> io::Result<TcpStream> {
            let one_less = |left: usize| left.checked_sub(1);
            match self.1.fetch_update(Relaxed, Relaxed, one_less) {
                Ok(_) => Err(io::Error::other("no descriptors")),
                Err(_) => self.0.opens().await,
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_taken_ends_no_login_and_many_in_a_row_do() {
        for (stuck, ends) in [(limits::LOGIN_ACCEPTS_FAILED_MAX, false), (limits::LOGIN_ACCEPTS_FAILED_MAX + 1, true)] {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let rests = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&rests);
            let rest: Rest = Arc::new(move |_| {
                count.fetch_add(1, Relaxed);
                Box::pin(std::future::ready(()))
            });
            // Before anybody takes it.
            let mut browser = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let asked = format!("GET /?code=c&state=s HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
            browser.write_all(asked.as_bytes()).await.unwrap();
            let expects = Expects { port, issuer: None, ..expects(false) };
            let brought = wait(Stuck(socket, stuck.into()), expects, rest).await;
            let told = brought.map(|brought| brought.code).map_err(|problem| problem.what);
            assert_eq!((told.is_err(), rests.load(Relaxed)), (ends, limits::LOGIN_ACCEPTS_FAILED_MAX), "{told:?}");
        }
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("an answer without the state is heard"));
        let found = std::panic::catch_unwind(only_the_answer_to_this_login_is_heard).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
