//! Owns: the least HTTP a test needs, both sides, on threads: asking a server directly, and answering byte by byte.
//! Must never know: what the daemon's own HTTP does.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

/// Asks once, over a connection of its own.
///
/// # Errors
/// When there is no whole answer within 20 s.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&str>) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::other(format!("{method} {url}: {what}"));
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("not http"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let mut line = TcpStream::connect(host)?;
    line.set_read_timeout(Some(Duration::from_secs(20)))?;
    // 1.0: the answer ends where the connection does, and is never chunked.
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = body {
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            head += "content-type: application/json\r\n";
        }
        head += &format!("content-length: {}\r\n", body.len());
    }
    line.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())?;
    let mut bytes = Vec::new();
    line.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("answered with no text"))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| wrong("answered with no head"))?;
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(|| wrong("answered with no status"))?;
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Ok(Answer { status, headers: headers.collect(), body: body.to_owned() })
}

/// A request, as a scripted server sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// The segments of its path, decoded.
    pub path: Vec<String>,
    /// Its parameters, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The server's end of a connection.
pub struct Line {
    stream: TcpStream,
    stop: Arc<AtomicBool>,
}

impl Line {
    /// Sends these bytes; false where nobody takes them any more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Says nothing until the other side goes away or the server ends.
    pub fn hang(&mut self) {
        let mut bytes = [0; 512];
        while matches!(self.read(&mut bytes), Ok(got) if got > 0) {}
    }

    /// Waits so long, or until the server ends.
    pub fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5).min(time));
        }
    }

    /// Whether the server ends.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the connection.
    pub fn cut(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Zero where the other side is gone; an error where the server ends.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.stop.load(Ordering::Relaxed) {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
                other => return other,
            }
        }
    }

    fn request(&mut self) -> Option<Request> {
        let mut bytes = Vec::new();
        let mut piece = [0; 8192];
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            match self.read(&mut piece) {
                Ok(got) if got > 0 => bytes.extend_from_slice(&piece[..got]),
                _ => return None,
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length =
            headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        while bytes.len() < head_end + 4 + length {
            match self.read(&mut piece) {
                Ok(got) if got > 0 => bytes.extend_from_slice(&piece[..got]),
                _ => return None,
            }
        }
        let body = String::from_utf8_lossy(&bytes[head_end + 4..head_end + 4 + length]).into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let plus = |text: &str| decoded(&text.replace('+', " "));
        Some(Request {
            method,
            path: path.trim_start_matches('/').split('/').map(decoded).collect(),
            query: pairs.map(|(name, value)| (plus(name), plus(value))).collect(),
            headers,
            body,
        })
    }
}

/// A server on loopback that answers as a function says, each connection on a thread of its own. It ends with its value.
pub struct Served {
    /// Where it answers: no slash at the end.
    pub url: String,
    stop: Arc<AtomicBool>,
    address: std::net::SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Answers one request; false closes the connection.
pub type Handler = Arc<dyn Fn(&Request, &mut Line) -> bool + Send + Sync>;

/// Starts one.
///
/// # Panics
/// When loopback has no free port.
#[must_use]
pub fn serve(handler: Handler) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    let address = listener.local_addr().expect("its address");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopping.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let (handler, stop) = (Arc::clone(&handler), Arc::clone(&stopping));
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                let mut line = Line { stream, stop };
                while let Some(request) = line.request() {
                    let last = request.header("connection").is_some_and(|how| how.eq_ignore_ascii_case("close"));
                    if !handler(&request, &mut line) || last {
                        break;
                    }
                }
                line.cut();
            });
        }
    });
    Served { url: format!("http://{address}"), stop, address, thread: Some(thread) }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The bytes of an answer with a length.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    (out + "\r\n" + body).into_bytes()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
            out.push(u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?'));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Bytes with something in place of each of these.
#[must_use]
pub fn replaced(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}
