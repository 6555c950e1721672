//! Owns: the words on the socket, as types, and nothing that acts. Must never know: who sends, who serves, and any other crate of ours.
//!
//! `PROTOCOL.md` beside this crate says the same for people; `tests/protocol.rs` holds the two together.

pub mod call;
pub mod depth;
pub mod error;
pub mod event;
pub mod frame;
pub mod limits;
pub mod message;
pub mod openrpc;
pub mod place;
mod words;

pub use call::{Call, METHODS, Method, Right};
pub use error::{Error, Name};
pub use frame::{Frames, TooLarge};
pub use message::{FromDaemon, Id, Request};

/// The protocol's major version; inside it the words only grow.
pub const PROTOCOL: u32 = 1;

/// A moment on the wire: RFC 3339 in UTC (`2026-01-02T03:04:05.678Z`), in members whose names end in `_at` (or are `at`).
pub type Time = String;

/// JSON text that is carried as it was written: record data, values, numbers of any size.
pub type Raw = Box<serde_json::value::RawValue>;
