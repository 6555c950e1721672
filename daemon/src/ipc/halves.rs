//! Owns: the two halves of a connection's socket: reading, writing, and whether the other end is there. Must never know: what is on it.
//!
//! A socket is watched for what comes, and for room only while it has none: one that is watched for room always tells of it whenever
//! the other end has read something, and a thread wakes for nothing after each message.

use std::{
    future::poll_fn,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    task::{Context, Poll, ready},
};

use interprocess::local_socket::tokio::Stream;
use mingle_proto::limits::REQUEST_BYTES_MAX;
use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, recv},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Room for one read: many pipelined calls, and little enough for hundreds of connections.
pub(super) const READ_BYTES: usize = 8 << 10;
/// After a line that is too long no more than this is thrown away.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// A connection's socket.
pub(super) struct Halves {
    /// None only after it could not be watched: then the connection ends.
    socket: Option<AsyncFd<UnixStream>>,
    /// It is watched for room too.
    waits_for_room: bool,
}

impl Halves {
    /// Of a connection that came. Must be called inside a tokio runtime.
    pub(super) fn of(stream: Stream) -> io::Result<Self> {
        let Stream::UdSocket(stream) = stream;
        let socket = UnixStream::from(OwnedFd::try_from(stream)?);
        Ok(Self { socket: Some(watched(socket, Interest::READABLE)?), waits_for_room: false })
    }

    fn socket(&self) -> io::Result<&AsyncFd<UnixStream>> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Watches it for room, or no longer.
    fn watch_for_room(&mut self, room: bool) -> io::Result<()> {
        if self.waits_for_room != room
            && let Some(socket) = self.socket.take()
        {
            let interest = if room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            self.socket = Some(watched(socket.into_inner(), interest)?);
            self.waits_for_room = room;
        }
        Ok(())
    }

    /// Reads what there is, as far as `space` has room, or waits for it. 0: the other end says no more.
    pub(super) async fn read(&self, space: &mut Vec<u8>) -> io::Result<usize> {
        let socket = self.socket()?;
        poll_fn(|context| {
            loop {
                let mut ready = ready!(socket.poll_read_ready(context))?;
                let room = space.capacity() - space.len();
                match recv(socket.get_ref(), spare_capacity(&mut *space), RecvFlags::empty()) {
                    Ok((got, _)) => {
                        // Less than there was room for: that was all, and it is told when more comes.
                        if got > 0 && got < room {
                            ready.clear_ready();
                        }
                        return Poll::Ready(Ok(got));
                    }
                    Err(rustix::io::Errno::WOULDBLOCK) => ready.clear_ready(),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Poll::Ready(Err(error.into())),
                }
            }
        })
        .await
    }

    /// Writes what the socket takes at once; none: it takes nothing now, and is watched for room.
    pub(super) fn write_now(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let written = self.socket().and_then(|socket| write(socket.get_ref(), bytes));
        let written = match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watch_for_room(true).err().map(Err),
            written => Some(written),
        };
        if let Some(Ok(bytes_written)) = written
            && bytes_written == bytes.len()
            && let Err(error) = self.watch_for_room(false)
        {
            return Some(Err(error));
        }
        written
    }

    /// Writes what the socket takes, once it does; only after [`Halves::write_now`] found no room.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.socket()?;
        let attempt = |context: &mut Context<'_>| {
            loop {
                let mut ready = ready!(socket.poll_write_ready(context))?;
                match ready.try_io(|socket| write(socket.get_ref(), bytes)) {
                    Ok(written) => return Poll::Ready(written),
                    Err(_has_no_room) => {}
                }
            }
        };
        poll_fn(attempt).await
    }

    /// Whether the other end is closed for both directions: one that only says no more still wants its answers.
    pub(super) fn is_gone(&self) -> bool {
        let Ok(socket) = self.socket() else { return true };
        let mut looked = [PollFd::new(socket.get_ref(), PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        // What cannot be asked shows itself at the next read or write.
        poll(&mut looked, Some(&at_once)).is_ok() && looked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Says no more.
    pub(super) fn end(&self) {
        // One that is gone heard it all.
        let _ = self.socket().and_then(|socket| socket.get_ref().shutdown(Shutdown::Write));
    }

    /// Reads on, for nothing: until the end, or until it is too much.
    pub(super) async fn discard(&self) {
        let Ok(socket) = self.socket() else { return };
        let mut waste = vec![0; READ_BYTES];
        let mut left = DISCARDED_BYTES_MAX;
        while let Ok(mut ready) = socket.readable().await {
            match ready.try_io(|socket| socket.get_ref().read(&mut waste)) {
                Ok(Ok(bytes @ 1..)) if bytes <= left => left -= bytes,
                Ok(_) => return,
                Err(_nothing_there) => {}
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "what took its place is `unsafe`, for types that change their descriptor: this one has the same for life"
)]
fn watched(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

fn write(mut socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}

/// Room for the next read: as much again as is there, so that a long line costs few reads, and never beyond the longest.
pub(super) fn make_room(space: &mut Vec<u8>) {
    if space.capacity() - space.len() < READ_BYTES {
        let room = space.len().clamp(READ_BYTES, (REQUEST_BYTES_MAX + READ_BYTES).saturating_sub(space.len()).max(READ_BYTES));
        space.reserve_exact(room);
    }
}
