//! Owns: what is done with the two halves of a connection's socket, beyond reading lines. Must never know: what is on it.

use std::{future::poll_fn, io, pin::Pin, task::Poll};

use futures_util::FutureExt as _;
use mingle_proto::limits::REQUEST_BYTES_MAX;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite as _, Interest},
    net::unix::{ReadHalf, WriteHalf},
};

/// Room for one read: many pipelined calls, and little enough for hundreds of connections.
pub(super) const READ_BYTES: usize = 8 << 10;
/// After a line that is too long no more than this is thrown away.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// Whether the other end is closed for both directions, as far as is known: one that only says no more still wants its answers.
pub(super) fn is_gone(write: &WriteHalf<'_>) -> bool {
    match write.ready(Interest::WRITABLE).now_or_never() {
        Some(Ok(ready)) => ready.is_write_closed(),
        Some(Err(_)) => true,
        None => false,
    }
}

/// Room for the next read: as much again as is there, so that a long line costs few reads, and never beyond the longest.
pub(super) fn make_room(space: &mut Vec<u8>) {
    if space.capacity() - space.len() < READ_BYTES {
        let room = space.len().clamp(READ_BYTES, (REQUEST_BYTES_MAX + READ_BYTES).saturating_sub(space.len()).max(READ_BYTES));
        space.reserve_exact(room);
    }
}

/// Writes what the socket takes at once; none: it takes nothing now.
pub(super) async fn write_now(write: &mut WriteHalf<'_>, bytes: &[u8]) -> Option<io::Result<usize>> {
    poll_fn(|context| match Pin::new(&mut *write).poll_write(context, bytes) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Reads on, for nothing: until the end, or until it is too much.
pub(super) async fn discard(read: &mut ReadHalf<'_>) {
    let mut waste = vec![0; READ_BYTES];
    let mut left = DISCARDED_BYTES_MAX;
    while let Ok(bytes @ 1..) = read.read(&mut waste).await {
        if bytes > left {
            return;
        }
        left -= bytes;
    }
}
