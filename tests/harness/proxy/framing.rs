//! Owns: where a request and an answer of HTTP/1.1 end. Must never know: what is done with them.

use std::{
    io::{self, Read as _},
    net::TcpStream,
};

/// More than this is no request and no answer of a test's, in bytes.
const BYTES_MAX: usize = 256 << 20;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
}

impl Head {
    /// Whether it asks for a change.
    pub fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// As it came.
    pub bytes: Vec<u8>,
    /// Its status.
    pub status: u16,
    /// It says itself where it ends, so that the connection may go on.
    pub framed: bool,
}

/// The next request of a connection; none: it ends, or `ended` says so. `before`: what came already.
pub fn request(line: &mut TcpStream, before: &mut Vec<u8>, ended: &dyn Fn() -> bool) -> io::Result<Option<(Head, Vec<u8>)>> {
    let mut from = Source { line, bytes: std::mem::take(before), ended };
    let Some(head_end) = from.head()? else { return Ok(None) };
    let text = String::from_utf8_lossy(&from.bytes[..head_end]).into_owned();
    let mut first = text.split(' ');
    let head = Head { method: first.next().unwrap_or_default().to_owned(), target: first.next().unwrap_or_default().to_owned() };
    let length = header(&text, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    if !from.up_to(head_end + length)? {
        return Ok(None);
    }
    *before = from.bytes.split_off(head_end + length);
    Ok(Some((head, from.bytes)))
}

/// The answer to the one request of a connection.
pub fn answer(line: &mut TcpStream, ended: &dyn Fn() -> bool) -> io::Result<Answer> {
    let mut from = Source { line, bytes: Vec::new(), ended };
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let head_end = from.head()?.ok_or_else(cut)?;
    let text = String::from_utf8_lossy(&from.bytes[..head_end]).to_lowercase();
    let status: u16 = text.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(cut)?;
    let length = header(&text, "content-length").and_then(|text| text.parse::<usize>().ok());
    let mut framed = true;
    if status == 204 || status == 304 {
    } else if header(&text, "transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        let mut at = head_end;
        loop {
            let line_end = from.find(at, b"\r\n")?.ok_or_else(cut)?;
            let size = String::from_utf8_lossy(&from.bytes[at..line_end - 2]).into_owned();
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).map_err(|_| cut())?;
            if size == 0 {
                // Its end, or trailers and then the end.
                let _ = from.find(line_end - 2, b"\r\n\r\n")?.ok_or_else(cut)?;
                break;
            }
            at = line_end + size + 2;
            if !from.up_to(at)? {
                return Err(cut());
            }
        }
    } else if let Some(length) = length {
        if !from.up_to(head_end + length)? {
            return Err(cut());
        }
    } else {
        framed = false;
        while from.more()? {}
    }
    framed &= header(&text, "connection").is_none_or(|how| how != "close");
    Ok(Answer { bytes: from.bytes, status, framed })
}

/// The same request, said to come from a page of this server.
pub fn from_here(request: &[u8], server: &str) -> Vec<u8> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(request.len());
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let lines = head.split("\r\n").map(|line| match line.to_lowercase().starts_with("origin:") {
        true => format!("origin: http://{server}"),
        false => line.to_owned(),
    });
    let mut out = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    out.extend_from_slice(&request[end..]);
    out
}

/// The same answer, said to be of this type.
pub fn of_type(answer: &[u8], of: &str) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let kept = head.split("\r\n").filter(|line| !line.to_lowercase().starts_with("content-type:"));
    let mut out = kept.collect::<Vec<_>>().join("\r\n").into_bytes();
    out.extend_from_slice(format!("\r\ncontent-type: {of}").as_bytes());
    out.extend_from_slice(&answer[end..]);
    out
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Bytes of a connection as they come.
struct Source<'a> {
    line: &'a mut TcpStream,
    bytes: Vec<u8>,
    ended: &'a dyn Fn() -> bool,
}

impl Source<'_> {
    /// False where the other side ended, or we do.
    fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 1 << 16];
        loop {
            match self.line.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(got) => {
                    self.bytes.extend_from_slice(&piece[..got]);
                    return if self.bytes.len() > BYTES_MAX { Err(io::ErrorKind::InvalidData.into()) } else { Ok(true) };
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if (self.ended)() {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn up_to(&mut self, length: usize) -> io::Result<bool> {
        while self.bytes.len() < length {
            if !self.more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The place behind the next of these, from a place on.
    fn find(&mut self, from: usize, what: &[u8]) -> io::Result<Option<usize>> {
        loop {
            if let Some(at) = self.bytes.get(from..).and_then(|rest| rest.windows(what.len()).position(|window| window == what)) {
                return Ok(Some(from + at + what.len()));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn head(&mut self) -> io::Result<Option<usize>> {
        self.find(0, b"\r\n\r\n")
    }
}
