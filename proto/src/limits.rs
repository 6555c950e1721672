//! Owns: the bounds that both ends of the socket must agree on. Must never know: the bounds of the store and of the remotes.

/// The longest request line. A longer one is answered `too_large` with id null, and the connection is closed: past it nobody can tell
/// where the next message begins.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The size at which the daemon ends a page of an answer. One record larger than this still travels, alone.
pub const REPLY_BYTES_MAX: usize = 1 << 20;

/// What a client takes as one line. Larger than any page: a record near the request limit grows when it is escaped anew.
pub const LINE_FROM_DAEMON_BYTES_MAX: usize = 16 << 20;

/// The longest request id, as written. Ids of calls in flight are kept; a longer one is refused with `request`.
pub const ID_BYTES_MAX: usize = 256;

/// The longest `op`; a longer one is `invalid`.
pub const OP_BYTES_MAX: usize = 64;

/// The longest record id in bytes of UTF-8; a longer one, an empty one, or one with control characters is `invalid`.
pub const RECORD_ID_BYTES_MAX: usize = 256;

/// The largest `limit` of a page; a larger one is `invalid`.
pub const PAGE_RECORDS_MAX: u32 = 1000;

/// Past this many calls in flight on a connection the daemon stops reading it; the socket pushes back.
pub const CALLS_IN_FLIGHT_MAX: usize = 64;

/// The longest path of a socket. Linux takes 107 bytes and macOS 103; a name that works on one must work on the other.
pub const SOCKET_PATH_BYTES_MAX: usize = 100;

/// So many lists and objects of a request may lie in each other; what lies deeper is not read. A value
/// is read 127 deep (a deeper one is `invalid`), and no method wraps one in more than five.
pub const REQUEST_DEPTH_MAX: usize = 160;
