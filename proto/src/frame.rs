//! Owns: one line, one message, and the size limit. Must never know: JSON-RPC.

use thiserror::Error;

/// A line passed the limit: where the next one begins is no longer known, so the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a line is longer than {limit} bytes")]
pub struct TooLarge {
    /// The limit that it passed, in bytes without the line end.
    pub limit: usize,
}

/// Bytes in, lines out. Holds at most one unfinished line and what was read behind it; a line is given as a slice of the buffer, never
/// copied.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the first line not given yet begins.
    start: usize,
    /// Up to here there is no line end behind `start`.
    scanned: usize,
    limit: usize,
}

impl Frames {
    /// Lines of at most `limit` bytes, line end not counted.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, limit }
    }

    /// Takes bytes that were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space().extend_from_slice(bytes);
    }

    /// The buffer to append what is read to, without a copy of its own (`read_buf`). Append only: what stands in it is not given yet.
    pub fn space(&mut self) -> &mut Vec<u8> {
        // What was given is dropped here and not in `next`, so that a batch of lines costs one move.
        if self.start == self.buffer.len() {
            self.buffer.clear();
            // One long line must not keep its memory for the life of a connection.
            if self.buffer.capacity() > KEPT_BYTES_MAX {
                self.buffer.shrink_to(KEPT_BYTES_MAX);
            }
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
        }
        self.scanned -= self.start;
        self.start = 0;
        &mut self.buffer
    }

    /// Bytes that the buffer holds in memory, used or not.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next whole line, without its end; None until more is pushed. Blank lines are passed over: they ask nothing.
    ///
    /// # Errors
    /// [`TooLarge`] as soon as more than the limit came without a line end, and from then on.
    // Not an iterator: what it gives is borrowed from it.
    #[expect(clippy::should_implement_trait, reason = "a line borrows the buffer, which `Iterator` cannot say")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, TooLarge> {
        loop {
            let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                return if self.scanned - self.start > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(None) };
            };
            let (from, to) = (self.start, self.scanned + found);
            if to - from > self.limit {
                return Err(TooLarge { limit: self.limit });
            }
            self.start = to + 1;
            self.scanned = self.start;
            if !self.buffer[from..to].iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(&self.buffer[from..to]));
            }
        }
    }

    /// Whether a line has begun and not ended: what an end of the stream would cut off.
    #[must_use]
    pub fn unfinished(&self) -> bool {
        self.buffer[self.start..].iter().any(|byte| !byte.is_ascii_whitespace())
    }
}

/// What an idle connection may keep. Most lines are far below it.
const KEPT_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes each piece and takes what is whole after each; `!` stands for [`TooLarge`].
    #[track_caller]
    fn check(limit: usize, pieces: &[&str], expect: &[&str]) {
        let mut frames = Frames::new(limit);
        let mut got = Vec::new();
        'pieces: for piece in pieces {
            frames.push(piece.as_bytes());
            loop {
                match frames.next() {
                    Ok(Some(line)) => got.push(String::from_utf8_lossy(line).into_owned()),
                    Ok(None) => break,
                    Err(_) => {
                        got.push("!".into());
                        assert_eq!(frames.next(), Err(TooLarge { limit }), "it stays too large");
                        break 'pieces;
                    }
                }
            }
        }
        assert_eq!(got, expect, "{pieces:?}");
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        check(9, &["a\nb\n"], &["a", "b"]);
        check(9, &["a", "b", "\n", "c"], &["ab"]);
        check(9, &["a\nb", "c\nd", "\n"], &["a", "bc", "d"]);
        check(9, &["\n\n \r\na\n"], &["a"]);
        check(9, &["a\r\n"], &["a\r"]);
        check(9, &["", "\n", ""], &[]);
    }

    #[test]
    fn a_long_line_is_refused_once_it_is_long() {
        check(3, &["abc\n"], &["abc"]);
        check(3, &["abcd\n"], &["!"]);
        check(3, &["ab", "cd"], &["!"]);
        check(3, &["a\nabcd", "\n"], &["a", "!"]);
        check(0, &["\n\n"], &[]);
    }

    #[test]
    fn memory_of_a_long_line_is_given_back() {
        let mut frames = Frames::new(1 << 20);
        frames.push(&vec![b'a'; 1 << 19]);
        frames.push(b"\n");
        assert!(frames.next().is_ok_and(|line| line.is_some_and(|line| line.len() == 1 << 19)));
        assert!(!frames.unfinished());
        assert!(frames.space().capacity() <= KEPT_BYTES_MAX);
    }
}
