//! Owns: taking connections in, as many as there may be, and ending them. Must never know: what is said on them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mingle_core::limits::{
    BUFFERS_BYTES_MAX, CLOSING_MS_MAX, CONNECTIONS_MAX, HOLDS_LONG_MS_MAX, STATUS_CONNECTIONS_MAX, TAKES_NOTHING_MS_MAX,
};
use mingle_proto::{Error, Name, message};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncWriteExt as _, sync::Notify, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    authorize::Purpose,
    budget::Budget,
    connections::Connections,
    door::Door,
    halves::Halves,
    listen::{File, Incoming, Socket},
    pages::Pages,
    serve::{self, Desk, Shared},
};

/// Descriptors that everything else takes: the store's connections, remotes, secrets' commands, logs.
const DESCRIPTORS_BESIDE: u64 = 512;
/// We have no more than so many of our own when a socket begins to listen.
const DESCRIPTORS_AT_START: u64 = 64;

/// How a socket is served. The defaults are the limits; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the socket is for.
    pub purpose: Purpose,
    /// So many connections at once; the next is told `busy`.
    pub connections_max: usize,
    /// A connection that takes nothing for so long is closed.
    pub takes_nothing: Duration,
    /// What the buffers of all connections may hold together, in bytes.
    pub buffers_bytes_max: usize,
    /// Past that, a connection that has held a large share for so long is closed.
    pub holds_long: Duration,
    /// How long connections have to take what is written when the server ends.
    pub closing: Duration,
}

impl Settings {
    /// By the limits.
    #[must_use]
    pub fn of(purpose: Purpose) -> Self {
        Self {
            purpose,
            connections_max: if purpose == Purpose::Status { STATUS_CONNECTIONS_MAX } else { CONNECTIONS_MAX },
            takes_nothing: Duration::from_millis(TAKES_NOTHING_MS_MAX),
            buffers_bytes_max: BUFFERS_BYTES_MAX,
            holds_long: Duration::from_millis(HOLDS_LONG_MS_MAX),
            closing: Duration::from_millis(CLOSING_MS_MAX),
        }
    }
}

/// One served socket. Dropped, it takes no more connections in; [`Server::close`] ends it in order.
#[derive(Debug)]
pub struct Server {
    accepting: CancellationToken,
    closing: CancellationToken,
    cut: CancellationToken,
    listener: JoinHandle<()>,
    tasks: TaskTracker,
    budget: Arc<Budget>,
    closing_for: Duration,
    connections: Arc<Connections>,
    lookout: Lookout,
}

/// Looks whether a served socket's file is still there, for whoever looks at things now and then: a look is one question to the system,
/// and wakes nobody while all is well.
#[derive(Clone, Debug)]
pub struct Lookout(Arc<Looked>);

#[derive(Debug)]
struct Looked {
    file: Mutex<Option<Arc<File>>>,
    gone: Notify,
}

impl Lookout {
    fn new(socket: &Socket) -> Self {
        Self(Arc::new(Looked { file: Mutex::new(socket.file()), gone: Notify::new() }))
    }

    /// Looks. Where the file is gone, the server makes it anew.
    pub fn look(&self) {
        let file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if file.is_some_and(|file| !file.is_there()) {
            self.0.gone.notify_one();
        }
    }

    fn is_of(&self, socket: &Socket) {
        *self.0.file.lock().unwrap_or_else(PoisonError::into_inner) = socket.file();
    }
}

impl Server {
    /// Serves `socket` from now on. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(socket: Socket, door: Arc<dyn Door>, settings: Settings) -> Self {
        Self::with(socket, door, settings, Arc::default())
    }

    /// Serves another socket of the same daemon: its connections are numbered and shown together with those of this one.
    #[must_use]
    pub fn beside(&self, socket: Socket, door: Arc<dyn Door>, settings: Settings) -> Self {
        Self::with(socket, door, settings, self.connections.clone())
    }

    fn with(socket: Socket, door: Arc<dyn Door>, mut settings: Settings, connections: Arc<Connections>) -> Self {
        settings.connections_max = descriptors(&settings);
        let (accepting, closing, cut) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (tasks, budget) = (TaskTracker::new(), Budget::new(settings.buffers_bytes_max));
        let shared = Arc::new(Shared {
            door,
            connections: connections.clone(),
            pages: Pages::default(),
            purpose: settings.purpose,
            takes_nothing: settings.takes_nothing,
            budget: budget.clone(),
            holds_long: settings.holds_long,
            closing: closing.clone(),
            cut: cut.clone(),
        });
        let lookout = Lookout::new(&socket);
        let listening = listen(socket, shared, settings.connections_max, lookout.clone(), accepting.clone(), tasks.clone());
        let listener = tokio::spawn(listening);
        Self { accepting, closing, cut, listener, tasks, budget, closing_for: settings.closing, connections, lookout }
    }

    /// For whoever looks after the socket's file: unless somebody does, it stays gone when it was cleaned away.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        self.lookout.clone()
    }

    /// Bytes that the buffers of all connections hold, beyond what idle ones keep.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.budget.held()
    }

    /// Takes no more connections in, and takes the socket's file away; those that are open go on.
    pub fn stop_accepting(&self) {
        self.accepting.cancel();
    }

    /// Ends it: last news go out, calls that only wait are told to ask again, and what is written is sent, within the time that
    /// the settings give, or until somebody insists; then what is left is cut off.
    pub async fn close(mut self, insisted: &CancellationToken) {
        self.accepting.cancel();
        if let Err(error) = (&mut self.listener).await {
            tracing::error!(%error, "the socket's task ended badly");
        }
        self.closing.cancel();
        self.tasks.close();
        let gone = tokio::time::timeout(self.closing_for, self.tasks.wait());
        if !matches!(insisted.run_until_cancelled(gone).await, Some(Ok(()))) {
            tracing::info!(connections = self.tasks.len(), "connections that took too long to close are cut off");
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.cancel();
    }
}

/// A connection is a descriptor, and the usual limit is just as many as we let in: takes what the system grants beyond it. Returns how
/// many connections may come: where little is granted, a share, so that the store, remotes and the other socket have theirs.
fn descriptors(settings: &Settings) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let inherited = inherited();
    let wanted = settings.connections_max as u64 + DESCRIPTORS_BESIDE + inherited;
    let enough = |is: Option<u64>| is.is_none_or(|is| is >= wanted);
    if enough(limit.current) {
        return settings.connections_max;
    }
    let before = limit.current;
    limit.current = if enough(limit.maximum) { Some(wanted) } else { limit.maximum };
    if setrlimit(Resource::Nofile, limit).is_err() {
        limit.current = before;
    }
    match limit.current {
        Some(granted) if !enough(limit.current) => {
            let max = share(granted.saturating_sub(inherited), settings);
            tracing::warn!(wanted, granted, connections = max, purpose = ?settings.purpose, "few descriptors: fewer connections are let in");
            max
        }
        _ => settings.connections_max,
    }
}

/// Descriptors that a careless parent left open, as far as they are more than we have of our own at a start: they are not granted to us.
fn inherited() -> u64 {
    let open = std::fs::read_dir("/dev/fd").map_or(0, Iterator::count);
    (open as u64).saturating_sub(DESCRIPTORS_AT_START)
}

/// How many of so few descriptors a socket's connections may have.
fn share(granted: u64, settings: &Settings) -> usize {
    let share = if settings.purpose == Purpose::Status { granted / 16 } else { granted / 3 };
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, settings.connections_max)
}

async fn listen(
    mut socket: Socket,
    shared: Arc<Shared>,
    connections_max: usize,
    lookout: Lookout,
    accepting: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        tokio::select! {
            incoming = socket.accept() => let_in(incoming, &shared, connections_max, &tasks),
            () = lookout.0.gone.notified() => {
                look_after(&mut socket);
                lookout.is_of(&socket);
            }
            () = accepting.cancelled() => return,
        }
    }
}

fn let_in(incoming: Incoming, shared: &Arc<Shared>, max: usize, tasks: &TaskTracker) {
    let Incoming { stream, pid } = incoming;
    match shared.connections.enter(shared.purpose, pid, shared.door.now(), max) {
        Some(number) => {
            tracing::debug!(number, pid, "a connection came");
            let desk = Desk::new(shared.clone(), number);
            let socket = match Halves::of(stream) {
                Ok(socket) => socket,
                Err(error) => return tracing::warn!(%error, "a connection cannot be watched, and is closed"),
            };
            let cut = shared.cut.clone();
            tasks.spawn(async move { cut.run_until_cancelled(serve::serve(socket, desk)).await });
        }
        None => {
            tracing::warn!(pid, max, "too many connections: one more is closed");
            tasks.spawn(async move {
                let error = Error::new(Name::Busy, format!("{max} apps are connected, and no more are let in"));
                let mut line = Vec::new();
                if message::refusal(&mut line, None, &error.hint("`mingle status` names them").retry_after_ms(1_000)).is_ok() {
                    // A new socket takes one short line at once, or its app does not read at all.
                    let _ = tokio::time::timeout(Duration::from_secs(1), (&stream).write_all(&line)).await;
                }
            });
        }
    }
}

/// Something cleaned the file away: makes it anew, so that apps find us. What somebody else put there stays.
fn look_after(socket: &mut Socket) {
    let Some(path) = socket.path().filter(|_| !socket.is_there()).map(std::path::Path::to_path_buf) else { return };
    match Socket::bind_for(&path, socket.access()) {
        Ok(anew) => {
            tracing::warn!(path = %path.display(), "the socket's file was gone; it is made anew");
            *socket = anew;
        }
        Err(error) => tracing::error!(%error, hint = error.hint(), "the socket's file is gone and cannot be made anew"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_few_descriptors_each_has_a_share() {
        let share = |granted, purpose| share(granted, &Settings::of(purpose));
        assert_eq!((share(64, Purpose::Apps), share(64, Purpose::Status)), (21, 4));
        assert_eq!((share(1_024, Purpose::Apps), share(1_024, Purpose::Status)), (341, 64));
        assert_eq!((share(1, Purpose::Apps), share(1 << 40, Purpose::Apps)), (1, CONNECTIONS_MAX));
    }
}
