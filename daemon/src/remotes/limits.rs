//! Owns: every bound on what a remote may cost us, with its reason and what happens there. May know everything, and decides nothing.

use std::time::Duration;

/// Connecting (name, route, handshake) may take this long; then the remote counts as offline. Nothing was sent.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection that brings nothing for this long is given up; whether the request was done is not known.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// An answer must bring [`SLOW_BYTES_MIN`] in each stretch of this length, or it is given up: a byte now and then is not silence,
/// but would hold a run for days.
pub const SLOW_STRETCH: Duration = Duration::from_secs(60);

/// See [`SLOW_STRETCH`].
pub const SLOW_BYTES_MIN: u64 = 1024;

/// An answer larger than this, after decompression, is nonsense: pages are asked for by the thousand rows, and a small compressed
/// text can hide one that does not fit in memory.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Of an answer that refuses, this much is read; what is longer counts as having no body.
pub const REFUSAL_BYTES_MAX: usize = 1024 * 1024;

/// So many redirects of one request are followed, all within the same scheme, host and port. More are nonsense.
pub const REDIRECTS_MAX: usize = 5;

/// A server that asks for more patience than this gets this much: the figure may be garbage, and a wait must not pass for a death.
pub const PATIENCE_MAX: Duration = Duration::from_secs(60 * 60);

/// The remote's own words, where it refuses, are cut here: they stand in rejections and lists.
pub const WORDS_CHARS_MAX: usize = 300;

/// A program that prints a secret may take this long; then it is killed, and a person is asked to look.
pub const SECRET_COMMAND_TIME_MAX: Duration = Duration::from_secs(30);

/// A file larger than this is no secret.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;
