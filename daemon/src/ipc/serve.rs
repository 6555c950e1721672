//! Owns: one connection: reading lines, answering at once what is cheap, holding what is not, writing. Must never know: what a
//! method does.
//!
//! One task serves a connection. A cheap call costs one read and one write of the socket and no other task; many lines that came
//! together are answered in one write.

#![expect(clippy::disallowed_methods, reason = "how long a peer may take is counted where it is waited for")]

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use mingle_core::limits::{REPLIES_WAITING_BYTES_MAX, SUBSCRIPTION_AHEAD_BYTES_MAX};
use mingle_proto::{
    Error, Frames, Id, Name, Request, Right, TooLarge, call, depth,
    limits::{CALLS_IN_FLIGHT_MAX, REQUEST_BYTES_MAX},
    message,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    authorize::{Caller, Purpose},
    budget::{Budget, KEPT_BYTES_MAX, Share},
    connections::Connections,
    convert::Stored,
    door::Door,
    halves::{Halves, READ_BYTES, make_room},
    handle,
    pages::Pages,
    served::{Done, Served, Work},
    subscribe::Subscriptions,
    worker::{Worker, tell},
};

/// Whoever asks for much while memory is short may ask again so soon.
const BUSY_RETRY_MS: u64 = 200;
/// How often a connection that waits for the budget looks again.
const PRESSURE_CHECK: Duration = Duration::from_millis(100);
/// How often a connection that is not read from is asked whether its other end is still there.
const GONE_CHECK: Duration = Duration::from_secs(1);
/// After a line that is too long the rest of it is thrown away for so long; then the connection is closed whatever comes.
const LINGER: Duration = Duration::from_secs(1);

/// What all connections of a socket share.
pub(super) struct Shared {
    pub(super) door: Arc<dyn Door>,
    pub(super) connections: Arc<Connections>,
    pub(super) pages: Pages,
    pub(super) purpose: Purpose,
    /// A socket that takes nothing for so long is closed.
    pub(super) takes_nothing: Duration,
    /// What the buffers of all may hold together.
    pub(super) budget: Arc<Budget>,
    /// Past the budget, who has held a share for so long is closed.
    pub(super) holds_long: Duration,
    /// Ends every connection once what is due has gone out.
    pub(super) closing: CancellationToken,
    /// Ends what is left of them at once.
    pub(super) cut: CancellationToken,
}

/// What one connection has going on.
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    /// The connection's number; also that of its lease.
    pub(super) number: u64,
    pub(super) caller: Caller,
    pub(super) subscriptions: Subscriptions,
    pub(super) worker: Worker,
    /// It holds a stop by lease.
    pub(super) leased: bool,
    /// It has, or had, a session.
    pub(super) in_session: bool,
    /// What waits for the socket.
    pub(super) out: Vec<u8>,
    share: Share,
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>,
    in_flight: HashMap<Id<'static>, Held>,
    /// What the lines of the calls in flight have together.
    in_flight_bytes: usize,
    /// It was told `busy`: while memory is short it waits a moment with its next call, for what it asks costs others their turn.
    rests: bool,
}

/// A call in flight.
struct Held {
    abort: AbortHandle,
    cancellable: bool,
    /// How long its line was: what it holds until it is answered.
    bytes: usize,
}

struct Ended {
    id: Id<'static>,
    /// None: it was cancelled.
    result: Option<Result<Done, Error>>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, number: u64) -> Self {
        let (caller, share) = (Caller::unnamed(shared.purpose), Share::of(shared.budget.clone()));
        Self {
            shared,
            number,
            caller,
            subscriptions: Subscriptions::default(),
            worker: Worker::default(),
            leased: false,
            in_session: false,
            out: Vec::new(),
            share,
            running: FuturesUnordered::new(),
            in_flight: HashMap::new(),
            in_flight_bytes: 0,
            rests: false,
        }
    }

    /// Whether another call may be taken, with so much room for lines. Where memory is short, only by who holds no share of it.
    fn has_room(&self, input: usize) -> bool {
        self.in_flight.len() < CALLS_IN_FLIGHT_MAX
            && self.out.len() < REPLIES_WAITING_BYTES_MAX
            && (!self.shared.budget.pressed() || self.is_small(input) && !self.rests)
    }

    /// Whether it holds no more than an idle connection may keep.
    fn is_small(&self, input: usize) -> bool {
        input + self.in_flight_bytes <= KEPT_BYTES_MAX && self.out.capacity() <= KEPT_BYTES_MAX
    }

    /// Takes one line: answers it, or holds it.
    fn take(&mut self, line: &[u8]) {
        let shallow = depth::shallow(line);
        let line = shallow.as_deref().unwrap_or(line);
        let request = match Request::read(line) {
            Ok(request) => request,
            Err(not) => return self.refuse(not.id.as_ref(), &not.error),
        };
        if !self.in_flight.is_empty() && self.in_flight.contains_key(&request.id) {
            // With the id it would be taken for the answer to the first of the two.
            let error = Error::new(Name::Invalid, format!("a call with the id {} is in flight", request.id.text()));
            return self.refuse(None, &error.hint("give every call an id of its own"));
        }
        let written = self.out.len();
        match handle::serve(self, &request) {
            Ok(Served::Answered) => self.answered(&request.id, written, || reads(&request)),
            Ok(Served::Later { work, cancellable }) => self.hold(request.id.into_owned(), work, cancellable, line.len()),
            Err(error) => self.refuse(Some(&request.id), &error),
        }
    }

    /// An answer stands behind so many bytes. One that is long and only reads is taken back where memory is short.
    fn answered(&mut self, id: &Id<'_>, written: usize, reads: impl FnOnce() -> bool) {
        if self.out.len() - written > KEPT_BYTES_MAX && self.shared.budget.pressed() && reads() {
            self.out.truncate(written);
            self.out.shrink_to(KEPT_BYTES_MAX);
            let error = Error::new(Name::Busy, "the answer is long, and other connections hold the memory for it");
            self.refuse(Some(id), &error.hint("ask again, or for less").retry_after_ms(BUSY_RETRY_MS));
            self.rests = true;
        }
    }

    fn hold(&mut self, id: Id<'static>, work: Work, cancellable: bool, bytes: usize) {
        let (abort, registration) = AbortHandle::new_pair();
        self.in_flight_bytes += bytes;
        self.in_flight.insert(id.clone(), Held { abort, cancellable, bytes });
        let work = Abortable::new(work, registration);
        self.running.push(Box::pin(async move { Ended { id, result: work.await.ok() } }));
    }

    /// Ends a call in flight, if that is possible; false: it is not in flight, or happens all the same.
    pub(super) fn cancel(&mut self, id: &Id<'_>) -> bool {
        // What has its answer already is answered with it.
        self.collect();
        match self.in_flight.iter().find(|(held, _)| held.text() == id.text()) {
            Some((_, held)) if held.cancellable => held.abort.abort(),
            _ => return false,
        }
        self.collect();
        true
    }

    /// Whether another answer may be written of those that took their time: what waits for the socket is bounded for them too.
    fn may_answer(&self) -> bool {
        self.out.len() < REPLIES_WAITING_BYTES_MAX
    }

    /// Answers whatever has its answer, as far as there is room.
    fn collect(&mut self) {
        while self.may_answer()
            && let Some(Some(ended)) = self.running.next().now_or_never()
        {
            self.end(ended);
        }
    }

    fn end(&mut self, ended: Ended) {
        // Gone: it has its answer, for the connection closes and waits no longer.
        let Some(held) = self.in_flight.remove(&ended.id) else { return };
        self.in_flight_bytes -= held.bytes;
        match ended.result {
            Some(Ok(Done::Text(result))) => {
                let written = message::answer(&mut self.out, &ended.id, &Stored(&result));
                self.check(&ended.id, written);
            }
            Some(Ok(Done::Ready(read))) => {
                let written = self.out.len();
                match read(self, &ended.id) {
                    Ok(()) => self.answered(&ended.id, written, || true),
                    Err(error) => self.refuse(Some(&ended.id), &error),
                }
            }
            Some(Err(error)) => self.refuse(Some(&ended.id), &error),
            None => self.refuse(Some(&ended.id), &Error::new(Name::Cancelled, "cancelled, as asked")),
        }
    }

    /// What cannot be written as JSON must still be answered.
    pub(super) fn check(&mut self, id: &Id<'_>, written: serde_json::Result<()>) {
        if let Err(error) = written {
            tracing::error!(%error, "an answer could not be written");
            self.refuse(Some(id), &Error::new(Name::Internal, "a fault of the daemon").hint("`mingle logs` shows more"));
        }
    }

    fn refuse(&mut self, id: Option<&Id<'_>>, error: &Error) {
        if let Err(error) = message::refusal(&mut self.out, id, error) {
            tracing::error!(%error, "a refusal could not be written");
        }
    }

    /// The connection ends: what may be cancelled is told to ask again, what happens all the same is waited for.
    fn give_up_waiting(&mut self) {
        let waiting: Vec<_> = self.in_flight.iter().filter(|(_, held)| held.cancellable).map(|(id, _)| id.clone()).collect();
        for id in waiting {
            if let Some(held) = self.in_flight.remove(&id) {
                self.in_flight_bytes -= held.bytes;
                held.abort.abort();
                let error = Error::new(Name::Busy, "mingled ends");
                self.refuse(Some(&id), &error.hint("the work goes on when mingled is back: connect and ask again"));
            }
        }
    }

    /// So much of what waited has gone.
    fn taken(&mut self, bytes: usize) {
        self.out.drain(..bytes);
        // One long answer must not keep its memory for the life of a connection.
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES_MAX {
            self.out.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Before a call is taken, or one that waited is answered: who was answered that a reload is done may rely on it.
    fn look_at_grants(&mut self, granted: &mut watch::Receiver<u64>) {
        if granted.has_changed().unwrap_or_default() {
            granted.mark_unchanged();
            self.granted_anew();
        }
    }

    /// The configuration grants other things now, perhaps also to this app.
    fn granted_anew(&mut self) {
        let Some(name) = self.caller.name().map(str::to_owned) else { return };
        let before = self.caller.grants().clone();
        let grants = self.shared.door.grants(&name);
        self.caller.is(&name, grants);
        if *self.caller.grants() != before {
            self.subscriptions.granted_anew(&self.caller, &*self.shared.door);
        }
    }

    /// The app said who it is, or has more subscriptions.
    pub(super) fn note(&self) {
        let wanted = self.subscriptions.wants_invitations();
        self.shared.connections.note(self.number, self.caller.name(), self.subscriptions.len(), wanted);
    }
}

impl Desk {
    /// Takes whole lines as long as there is room; whether none was left.
    fn take_lines(&mut self, frames: &mut Frames, input: &mut Input) -> bool {
        while *input == Input::Open || *input == Input::Ended {
            if !self.has_room(frames.held()) {
                return false;
            }
            match frames.next() {
                Ok(Some(line)) => self.take(line),
                Ok(None) => return true,
                Err(TooLarge { limit }) => {
                    let error = Error::new(Name::TooLarge, format!("a line is longer than {limit} bytes"));
                    self.refuse(None, &error.hint("send large values in several writes"));
                    *input = Input::Lost;
                }
            }
        }
        true
    }

    /// Whether a subscription is due and may be fed.
    fn has_to_tell(&self) -> bool {
        self.subscriptions.due() && !self.shared.budget.pressed()
    }

    /// Feeds subscriptions as far as the socket keeps up; false: one cannot be fed.
    fn feed(&mut self) -> bool {
        if self.shared.budget.pressed() {
            return true;
        }
        let fed = self.subscriptions.feed(&*self.shared.door, &self.shared.pages, &mut self.out, SUBSCRIPTION_AHEAD_BYTES_MAX);
        if let Err(refusal) = &fed {
            // The app connects again and goes on from its last seq; anything else would leave it waiting.
            tracing::warn!(?refusal, "a subscription cannot be fed; its connection is closed");
        }
        fed.is_ok()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if self.leased {
            self.shared.door.release(self.number);
        }
        if self.in_session {
            self.shared.door.session_leave(self.number);
        }
        if self.worker.is_one() {
            self.shared.door.work_leave(self.number);
        }
        self.shared.connections.leave(self.number);
    }
}

/// How much of the input is still of interest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Lines come.
    Open,
    /// The app has said all it wants to; it is owed its answers.
    Ended,
    /// Where the next line begins is not known.
    Lost,
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut socket: Halves, mut desk: Desk) {
    let shared = desk.shared.clone();
    let mut frames = Frames::new(REQUEST_BYTES_MAX);
    let mut input = Input::Open;
    let mut closing = false;
    let (mut head, mut news, mut granted) = (shared.door.head(), shared.door.news().number(), shared.door.granted());
    let mut closed = pin!(shared.closing.cancelled());
    // Set anew whenever a wait for the socket begins; asked only then, so that calls which never wait cost no timer.
    let mut patience = pin!(sleep(shared.takes_nothing));
    let mut waits = false;

    loop {
        desk.look_at_grants(&mut granted);
        desk.collect();
        // One state serves all that has come: it is no older than any answer that who asked can have seen before.
        let mut all_taken = false;
        shared.door.read_together(&mut || all_taken = desk.take_lines(&mut frames, &mut input));
        if !desk.feed() {
            return;
        }
        let mut blocked = false;
        if !desk.out.is_empty() {
            match socket.write_now(&desk.out) {
                Some(Ok(bytes)) => {
                    desk.taken(bytes);
                    waits = false;
                }
                Some(Err(_)) => return,
                None => {
                    blocked = true;
                    if !waits {
                        waits = true;
                        // What was written by doubling would hold up to twice of what waits.
                        desk.out.shrink_to(KEPT_BYTES_MAX);
                        patience.as_mut().reset(Instant::now() + shared.takes_nothing);
                    }
                }
            }
        }
        if !blocked {
            if !desk.out.is_empty() || !all_taken && desk.has_room(frames.held()) || desk.has_to_tell() {
                tokio::task::coop::consume_budget().await;
                continue;
            }
            if desk.in_flight.is_empty() && (closing || input.is_over(&desk.subscriptions)) {
                break;
            }
        }

        let space = frames.space();
        // Where memory is short, a line that an idle connection would not keep waits.
        let more = if shared.budget.pressed() { READ_BYTES } else { 0 };
        let reads = input == Input::Open && all_taken && desk.has_room(space.len() + more) && !closing;
        if reads {
            make_room(space);
        }
        desk.share.note(space.capacity() + desk.in_flight_bytes, desk.out.capacity());
        tokio::select! {
            got = socket.read(space), if reads => match got {
                Ok(0) if socket.is_gone() => return,
                Ok(0) => input = Input::Ended,
                Ok(_) => {}
                Err(_) => return,
            },
            taken = socket.write(&desk.out), if blocked => match taken {
                Ok(bytes) => {
                    desk.taken(bytes);
                    waits = false;
                }
                Err(_) => return,
            },
            () = &mut patience, if blocked => {
                tracing::info!(app = desk.caller.name(), waiting = desk.out.len(), "a connection that takes nothing is closed");
                return;
            }
            Some(ended) = desk.running.next(), if !desk.in_flight.is_empty() && desk.may_answer() => {
                desk.look_at_grants(&mut granted);
                desk.end(ended);
            }
            called = desk.worker.next(), if desk.worker.is_one() && desk.out.len() < REPLIES_WAITING_BYTES_MAX => {
                tell(called, &mut desk.out);
            }
            Ok(()) = head.changed(), if desk.subscriptions.follow_changes() => desk.subscriptions.head_moved(),
            Ok(()) = granted.changed() => desk.granted_anew(),
            Ok(()) = news.changed(), if desk.subscriptions.follow_news() && !closing => desk.subscriptions.news_came(),
            () = &mut closed, if !closing => {
                closing = true;
                input = Input::Ended;
                desk.subscriptions.end();
                desk.give_up_waiting();
            }
            // Who is not read from cannot say goodbye; and the budget does not say when it is free again.
            () = sleep(if shared.budget.pressed() { PRESSURE_CHECK } else { GONE_CHECK }), if !reads => {
                desk.rests = false;
                if shared.budget.pressed() && desk.share.older_than(shared.holds_long) {
                    tracing::warn!(app = desk.caller.name(), "a connection that holds much memory for long is closed");
                    return;
                }
                if socket.is_gone() {
                    return;
                }
            }
        }
    }
    socket.end();
    if input == Input::Lost {
        // Closed with bytes unread, the socket would take our answer back from an app that is still writing.
        let _ = timeout(LINGER, socket.discard()).await;
    }
}

impl Input {
    /// Whether nothing more can come of this connection once its calls are answered.
    fn is_over(self, subscriptions: &Subscriptions) -> bool {
        match self {
            Self::Open => false,
            Self::Ended => subscriptions.len() == 0,
            Self::Lost => true,
        }
    }
}

/// Whether a call only reads records: what it brought can be asked for again.
fn reads(request: &Request<'_>) -> bool {
    call::method(&request.method).is_some_and(|method| method.right == Right::Read)
}
