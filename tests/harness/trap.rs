//! Owns: the traps that HTTP sets, as data: what a hostile or broken server answers, byte by byte, and what must come of it.
//! Must never know: how the daemon finds out.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use mingle_core::replica::Failure;

use crate::wire::{self, Line, Request, Served};

/// One trap: every request is answered like this.
pub struct Trap {
    /// In words.
    pub name: &'static str,
    /// What is answered.
    pub play: Vec<Play>,
    /// What a listing must say.
    pub list: Listed,
    /// What a change must say.
    pub send: Sent,
}

/// One step of an answer. After the last the connection ends: a whole answer says so itself, or the next request is lost now and then.
#[derive(Clone, Debug)]
pub enum Play {
    /// These bytes.
    Send(Vec<u8>),
    /// Nothing more, but the connection stays.
    Hang,
    /// A byte now and then, without end.
    Trickle(Duration),
    /// So many bytes of a list, as one chunk after another.
    Flood(usize),
}

/// What a listing must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A failure of this kind ([`Failure::Throttled`] with any moment).
    Fails(Failure),
    /// So many rows.
    Rows(usize),
}

/// What a change must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Not known whether it was done.
    Unknown,
    /// Certainly not done, and worth another try.
    Unsent,
    /// Refused for good.
    Refused,
    /// The record moved.
    Stale,
    /// The record is not there.
    Gone,
    /// Done.
    Taken,
}

/// The name of the profile that traps answer to.
pub const PROFILE: &str = "trap";

/// Writes that profile into the folder of a configuration.
///
/// # Panics
/// When the file cannot be written.
pub fn write_profile(config_dir: &Path) {
    const TEXT: &str = r#"
version = 1
about = "a trap"
example = ""
[abilities]
cursor = "none"
strong_revision = true
conditional = true
errands_max = 1
page_rows = 10
[row]
id = "/id"
revision = "/rev"
[list]
path = "/{resource}"
rows = "/rows"
next = { header = "next-page" }
[get]
path = "/{resource}/{id}"
row = "/row"
[create]
method = "POST"
path = "/{resource}"
sends = "whole"
row = "/row"
[update]
method = "PUT"
path = "/{resource}/{id}"
headers = { if-match = "{revision}" }
sends = "whole"
row = "/row"
[delete]
method = "DELETE"
path = "/{resource}/{id}"
headers = { if-match = "{revision}" }
"#;
    let dir = config_dir.join("profiles");
    std::fs::create_dir_all(&dir).expect("a folder for profiles");
    std::fs::write(dir.join(format!("{PROFILE}.toml")), TEXT).expect("a profile");
}

/// A server that plays one trap. It ends with its value.
pub struct TrapServer {
    /// Where it answers: no slash at the end.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    _served: Served,
}

impl TrapServer {
    /// Starts one; `URL` in what it sends stands for its own address.
    #[must_use]
    pub fn start(play: Vec<Play>) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let served = wire::serve(Arc::new(move |request, line| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            let url = format!("http://{}", request.header("host").unwrap_or_default());
            let _ = play.iter().all(|step| act(step, line, &url));
            false
        }));
        Self { url: served.url.clone(), requests, _served: served }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn act(step: &Play, line: &mut Line, url: &str) -> bool {
    match step {
        Play::Send(bytes) => line.send(&wire::replaced(bytes, b"URL", url.as_bytes())),
        Play::Hang => {
            line.hang();
            false
        }
        Play::Trickle(pause) => {
            while line.send(b" ") && !line.ended() {
                line.wait(*pause);
            }
            false
        }
        Play::Flood(bytes) => {
            let piece = [b' '; 1 << 16];
            (0..bytes / piece.len()).all(|_| line.send(b"10000\r\n") && line.send(&piece) && line.send(b"\r\n"))
        }
    }
}

/// Every trap.
#[must_use]
pub fn traps() -> Vec<Trap> {
    use Failure::{Broken, Denied, NeedsLogin, Nonsense, Server, Throttled};
    use Listed::{Fails, Rows};
    use Sent::{Gone, Refused, Stale, Taken, Unknown, Unsent};
    let json = |body: &str| reply(200, "content-type: application/json", body);
    let row = r#""row":{"id":"a","rev":2}"#;
    let good = format!(r#"{{"rows":[],{row}}}"#);
    // What is too large is good in every other way.
    let bomb = zipped(&[&[b' '; 1 << 20].repeat(80), good.as_bytes()].concat());
    let cut = zipped(good.as_bytes());
    let last_chunk = format!("{:x}\r\n{good}\r\n0\r\n\r\n", good.len());
    vec![
        trap("nothing is wrong", json(&good), Rows(0), Taken),
        trap("a login page of the network", reply(200, "content-type: text/html", "<html>"), Fails(Nonsense), Unknown),
        trap("no type", reply(200, "x: y", r#"{"rows":[]}"#), Fails(Nonsense), Unknown),
        trap("an empty body", json(""), Fails(Nonsense), Unknown),
        trap("204 where rows should be", reply(204, "x: y", ""), Fails(Nonsense), Taken),
        trap("a list for an object", json("[]"), Fails(Nonsense), Unknown),
        trap("null", json("null"), Fails(Nonsense), Unknown),
        trap("rows that are no list", json(r#"{"rows":{},"row":[]}"#), Fails(Nonsense), Unknown),
        trap("rows without ids", json(r#"{"rows":[{"rev":1}],"row":{"rev":1}}"#), Fails(Nonsense), Unknown),
        trap("a record of another id", json(r#"{"rows":[{"id":"b","rev":2}],"row":{"id":"b","rev":2}}"#), Rows(1), Unknown),
        trap(
            "an id twice in a page",
            json(r#"{"rows":[{"id":"a","rev":1},{"id":"a","rev":2}],"row":{"id":"a","rev":2}}"#),
            Rows(1),
            Taken,
        ),
        trap("no JSON", json("{\"rows\":[},"), Fails(Nonsense), Unknown),
        trap("two values", json(r#"{"rows":[]} {"rows":[]}"#), Fails(Nonsense), Unknown),
        trap(
            "no UTF-8",
            raw(
                b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n\"\xff\xfe\"",
            ),
            Fails(Nonsense),
            Unknown,
        ),
        trap("too deep", json(&"[".repeat(100_000)), Fails(Nonsense), Unknown),
        trap(
            "a body cut short",
            raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"rows\":[]"),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "a whole value, but cut short",
            raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"rows\":[]}"),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "chunks without an end",
            raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nb\r\n{\"rows\":[]}\r\n"),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "no length, cut short",
            raw(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\n\r\n{\"rows\":["),
            Fails(Nonsense),
            Unknown,
        ),
        trap("no length, and whole: JSON says itself where it ends", unframed("", good.as_bytes()), Rows(0), Taken),
        trap("compressed, and whole", gzip(&cut), Rows(0), Taken),
        trap("compressed, cut short", gzip(&cut[..cut.len() - 9]), Fails(Nonsense), Unknown),
        trap("compressed without a length, cut in its check", unframed(ZIPPED, &cut[..cut.len() - 5]), Fails(Nonsense), Unknown),
        trap("compressed without a length, cut in its data", unframed(ZIPPED, &cut[..cut.len() / 2]), Fails(Nonsense), Unknown),
        trap("compressed, and large", gzip(&bomb), Fails(Nonsense), Unknown),
        trap("compressed, and not", gzip(b"{\"rows\":[]}"), Fails(Nonsense), Unknown),
        Trap {
            name: "large",
            play: vec![
                Play::Send(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()),
                Play::Flood(80 << 20),
                Play::Send(last_chunk.into_bytes()),
            ],
            list: Fails(Nonsense),
            send: Unknown,
        },
        Trap { name: "nothing at all", play: vec![Play::Hang], list: Fails(Broken), send: Unknown },
        trap("the connection ends at once", Vec::new(), Fails(Broken), Unknown),
        trap("no HTTP", vec![Play::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())], Fails(Broken), Unknown),
        Trap {
            name: "half a head",
            play: vec![Play::Send(b"HTTP/1.1 200 X\r\ncontent-ty".to_vec()), Play::Hang],
            list: Fails(Broken),
            send: Unknown,
        },
        Trap {
            name: "half a body",
            play: vec![
                Play::Send(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"rows\"".to_vec()),
                Play::Hang,
            ],
            list: Fails(Broken),
            send: Unknown,
        },
        Trap {
            name: "a byte now and then",
            play: vec![
                Play::Send(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n".to_vec()),
                Play::Trickle(Duration::from_millis(40)),
            ],
            list: Fails(Broken),
            send: Unknown,
        },
        trap(
            "the next page is the same",
            reply(200, "content-type: application/json\r\nnext-page: URL/things", r#"{"rows":[]}"#),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "the next page is elsewhere",
            reply(200, "content-type: application/json\r\nnext-page: http://127.0.0.2:1/things", r#"{"rows":[]}"#),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "the next page is a file",
            reply(200, "content-type: application/json\r\nnext-page: file:///etc/passwd", r#"{"rows":[]}"#),
            Fails(Nonsense),
            Unknown,
        ),
        trap("redirects in a circle", reply(302, "location: /things", ""), Fails(Nonsense), Unknown),
        trap("redirects to nowhere", reply(302, "x: y", ""), Fails(Nonsense), Unknown),
        trap("redirects elsewhere", reply(307, "location: http://127.0.0.2:1/things", ""), Fails(Nonsense), Unknown),
        trap("redirects to a file", reply(301, "location: file:///etc/passwd", ""), Fails(Nonsense), Unknown),
        trap(
            "redirects to plain http of another port",
            reply(302, "location: http://127.0.0.1:1/things", ""),
            Fails(Nonsense),
            Unknown,
        ),
        trap("redirects to this network", reply(302, "location: http://169.254.169.254/latest", ""), Fails(Nonsense), Unknown),
        trap("redirects to another scheme", reply(302, "location: https://127.0.0.1/things", ""), Fails(Nonsense), Unknown),
        trap("redirects a change to a question", reply(303, "location: /moved", ""), Fails(Nonsense), Unknown),
        trap("not modified", reply(304, "x: y", ""), Fails(Nonsense), Unknown),
        trap("bad request", reply(400, "x: y", ""), Fails(Nonsense), Refused),
        trap("no credentials", reply(401, "www-authenticate: Basic", ""), Fails(NeedsLogin), Unsent),
        trap("forbidden", reply(403, "x: y", ""), Fails(Denied), Refused),
        trap("not there", reply(404, "x: y", ""), Fails(Denied), Gone),
        trap("gone", reply(410, "x: y", ""), Fails(Denied), Gone),
        trap("too slow for it", reply(408, "x: y", ""), Fails(Nonsense), Unknown),
        trap("in conflict", reply(409, "x: y", ""), Fails(Nonsense), Refused),
        trap("locked", reply(423, "x: y", ""), Fails(Nonsense), Refused),
        trap("too long an address", reply(414, "x: y", ""), Fails(Nonsense), Refused),
        trap("moved", reply(412, "x: y", ""), Fails(Nonsense), Stale),
        trap("not as it should be", reply(422, "x: y", ""), Fails(Nonsense), Refused),
        trap("patience", reply(429, "x: y", ""), Fails(Throttled(None)), Unsent),
        trap("patience, in seconds", reply(429, "retry-after: 5", ""), Fails(Throttled(None)), Unsent),
        trap(
            "patience, in the past",
            reply(503, "retry-after: Thu, 01 Jan 1970 00:00:00 GMT", ""),
            Fails(Throttled(None)),
            Unknown,
        ),
        trap("patience, less than none", reply(503, "retry-after: -1", ""), Fails(Throttled(None)), Unknown),
        trap("patience without end", reply(503, "retry-after: 10000000000000000000", ""), Fails(Throttled(None)), Unknown),
        trap("patience, no number", reply(503, "retry-after: NaN", ""), Fails(Throttled(None)), Unknown),
        trap(
            "patience, until 2099",
            reply(429, "retry-after: Thu, 01 Jan 2099 00:00:00 GMT", ""),
            Fails(Throttled(None)),
            Unsent,
        ),
        trap("patience, less than none, 429", reply(429, "retry-after: -9", ""), Fails(Throttled(None)), Unsent),
        trap("patience, twice", reply(429, "retry-after: 1\r\nretry-after: 100000", ""), Fails(Throttled(None)), Unsent),
        trap("an error of the server", reply(500, "x: y", ""), Fails(Server), Unknown),
        trap("an error with a broken body", raw(b"HTTP/1.1 500 X\r\ncontent-length: 90\r\n\r\nx"), Fails(Server), Unknown),
        trap("a gateway in trouble", reply(502, "content-type: text/html", "<html>"), Fails(Server), Unknown),
        trap("a status nobody knows", reply(599, "x: y", ""), Fails(Server), Unknown),
        trap("the network wants a login", reply(511, "content-type: text/html", "<html>"), Fails(Server), Unknown),
        trap("an error that says 200", json(r#"{"error":"no such thing"}"#), Fails(Nonsense), Unknown),
        trap("many answers in one, none of them ours", of_many(r#"{"responses":[{"status":409}]}"#), Fails(Nonsense), Unknown),
        trap("many answers in one, with ours", of_many(&good), Rows(0), Taken),
        trap("go on, and then the answer", after("HTTP/1.1 100 Continue\r\n\r\n", &good), Rows(0), Taken),
        trap("hints, and then the answer", after("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", &good), Rows(0), Taken),
        trap("only go on", raw(b"HTTP/1.1 100 Continue\r\n\r\n"), Fails(Broken), Unknown),
        trap(
            "another protocol from here on",
            raw(b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            Fails(Nonsense),
            Unknown,
        ),
        trap("headers behind the body", chunked(&good, "x-token: 99\r\ncontent-type: text/html\r\n"), Rows(0), Taken),
        trap("two answers to one question", [json(&good), json(r#"{"rows":[{"id":"evil","rev":1}]}"#)].concat(), Rows(0), Taken),
        trap(
            "two types",
            reply(200, "content-type: text/html\r\ncontent-type: application/json", &good),
            Fails(Nonsense),
            Unknown,
        ),
        trap("two lengths", reply(200, "content-type: application/json\r\ncontent-length: 3", &good), Fails(Broken), Unknown),
        trap("a length that is none", raw(b"HTTP/1.1 200 X\r\ncontent-length: -5\r\n\r\n{}"), Fails(Broken), Unknown),
        trap(
            "a chunk of no size",
            raw(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
            Fails(Nonsense),
            Unknown,
        ),
        trap(
            "a header with a zero in it",
            raw(b"HTTP/1.1 200 X\r\na: \0\r\ncontent-length: 2\r\n\r\n{}"),
            Fails(Broken),
            Unknown,
        ),
        trap("a status that is none", raw(b"HTTP/1.1 20 X\r\ncontent-length: 2\r\n\r\n{}"), Fails(Broken), Unknown),
        trap("a megabyte of headers", many_headers(), Fails(Broken), Unknown),
    ]
}

fn trap(name: &'static str, play: Vec<Play>, list: Listed, send: Sent) -> Trap {
    Trap { name, play, list, send }
}

fn raw(bytes: &[u8]) -> Vec<Play> {
    vec![Play::Send(bytes.to_vec())]
}

fn reply(status: u16, headers: &str, body: &str) -> Vec<Play> {
    raw(format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .as_bytes())
}

const ZIPPED: &str = "content-encoding: gzip\r\n";

/// Ends where the connection does.
fn unframed(headers: &str, body: &[u8]) -> Vec<Play> {
    let head = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\n{headers}\r\n");
    raw(&[head.as_bytes(), body].concat())
}

fn chunked(body: &str, trailers: &str) -> Vec<Play> {
    let head = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-token\r\n\r\n";
    raw(format!("{head}{:x}\r\n{body}\r\n0\r\n{trailers}\r\n", body.len()).as_bytes())
}

fn after(first: &str, body: &str) -> Vec<Play> {
    [raw(first.as_bytes()), reply(200, "content-type: application/json", body)].concat()
}

/// A status of DAV and of batches: each part has one of its own.
fn of_many(body: &str) -> Vec<Play> {
    reply(207, "content-type: application/json", body)
}

fn many_headers() -> Vec<Play> {
    let headers = "x-filling: 0123456789012345678901234567890123456789\r\n".repeat(20_000);
    raw(format!("HTTP/1.1 200 X\r\nconnection: close\r\n{headers}content-length: 2\r\n\r\n{{}}").as_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<Play> {
    let head = format!(
        "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    raw(&[head.as_bytes(), bytes].concat())
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    zip.write_all(bytes).and_then(|()| zip.finish()).expect("compressing into memory")
}
